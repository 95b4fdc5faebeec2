"""Which sequence of actions breaks a kernel? All are tried, on a machine of a few pages, the shortest first.

`check` visits every state that such a machine can be in and asks in each whether what must always hold still does
(`lazydestroy.series.picture` says what can happen and what must hold). The first in which it does not is told as a
`Trace`. `lazydestroy.series.search` does the work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from ..collecting import rarely_collecting
from ..executors import executor_of
from ..layers import Series
from ..rounded import counted, short_of
from ..units import expect_progress, flag, whole_number
from ..waiting import bar
from .bounds import Bounds, bounds_in_words, bounds_of
from .search import Search
from .shelf import SHELF
from .trace import Trace, told


@dataclass(frozen=True, slots=True, repr=False)
class Verdict:
    """What `check` found.

    Attributes
    ----------
    kernel : Series
    trace : Trace or None
        The shortest sequence of actions that breaks the kernel; None if there is none.
    states : int
        Different states that were seen.
    transitions : int
        How often something was tried in one of them.
    done : int
        How many of these were run on a machine; of the others it was known what comes of them. It is less if this
        kernel was searched before in the same process. With an executor it may differ from run to run, because each
        worker learns for itself.
    exhausted : bool
        Whether these are all states that there are within the bounds.
    bounds : Bounds
    seconds : float
        What it took, on this computer.
    """

    kernel: Series
    trace: Trace | None
    states: int
    transitions: int
    done: int
    exhausted: bool
    bounds: Bounds
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether nothing breaks the kernel, within the bounds."""
        return self.trace is None and self.exhausted

    @property
    def steps(self) -> int:
        """How many steps the shortest way to harm has; 0 if none was found."""
        return len(self.trace.moments) if self.trace else 0

    def plot(self) -> Any:
        """Draw the trace. There must be one.

        Raises
        ------
        ValueError
            If nothing broke.
        """
        if self.trace is None:
            raise ValueError(f"{self.kernel!r} was not broken: there is no trace to draw")
        return self.trace.plot()

    @property
    def short(self) -> str:
        """What was found, in one sentence of 20 words at most."""
        if self.trace is not None:
            why = short_of(self.trace.violation, 12)
            return f"{self._breaks}{f': {why}' if why else ''}."
        states = counted(self.states, "states")
        if self.exhausted:
            return f"{self.kernel!r} holds in every state that the search can reach ({states})."
        return f"{self.kernel!r} didn't break in the first {states}; there are more."

    @property
    def _breaks(self) -> str:
        assert self.trace is not None
        return f"{self.kernel!r} breaks in {counted(len(self.trace.moments), 'steps')}"

    def _summary(self) -> str:
        if self.trace is None:
            return self.short
        return f"{self._breaks} (the search saw {counted(self.states, 'states')}):"

    def __repr__(self) -> str:
        machine = f"searched: {bounds_in_words(self.bounds)}"
        return "\n".join([self._summary(), *([str(self.trace)] if self.trace else []), machine])

    def _repr_html_(self) -> str:
        from html import escape

        return (
            f"<div>{escape(self._summary())}{self.trace.html if self.trace else ''}"
            f"<br><small>searched: {escape(bounds_in_words(self.bounds))}</small></div>"
        )


def check(
    kernel: Series,
    *,
    max_states: int = 200_000,
    progress: Callable[[int], object] | None = None,
    learn: bool = True,
    executor: Executor | None = None,
    **bounds: Any,
) -> Verdict:
    """Search for the shortest sequence of actions that makes a kernel break what must always hold.

    What must hold: no process is killed and no guest stopped; a protected guest's data are there while it runs (what a
    normal guest has written isn't watched); no page is free while the Ultravisor holds it; the host reads nothing that
    was not shared; nothing freed is used; every task comes to an end; and after the end of everything all memory, the
    mm and the configurations are free.

    What a layer keeps in attributes (``self.seen``) and in variables is part of a state. What it keeps in its class, or
    in a variable of your notebook, is not: all machines of a search share it, so nothing may depend on it.

    Parameters
    ----------
    kernel : Series
    max_states : int
        Where to give up.
    progress : callable, optional
        Called now and then with the number of states seen. Without it, a notebook shows a bar if it takes long.
    learn : bool
        Learn what a step does and look it up when it comes again (see `lazydestroy.series.search`), also in the next
        search of this kernel. False: run every step of every state. The result is the same, and takes about ten times
        as long.
    executor : concurrent.futures.Executor, optional
        Its workers do most of the work: such as a ``ProcessPoolExecutor``, or what ``get_executor()`` gives of a Dask
        client. Each learns for itself what steps do, so it takes a large search, and more than two cores, to make up
        for it. The verdict, the trace, and how many states and transitions there are don't depend on how many workers
        there are, nor on which is done first. If a worker dies, and the executor with it, the search goes on in this
        process, and warns. None: all is done in this process.
    **bounds
        Fields of `Bounds`: how large the machine is and what may happen on it, such as ``pages=3`` or
        ``host=("io", "swap")``. ``failures=`` takes names of `lazydestroy.series.failures.FAILURES`, which says of each
        whether it is tried by default, and why.

    Returns
    -------
    Verdict

    Raises
    ------
    ValueError
        If a value is not accepted, the executor's workers cannot load the kernel, or a layer keeps something that the
        search cannot look into, such as an open file.

    Examples
    --------
    >>> from lazydestroy.series import v1
    >>> check(v1.upto(0), failures=()).holds
    True
    """
    max_states = whole_number(max_states, "max_states", 1)
    expect_progress(progress, 1, "the number of states seen")
    met, learn, executor = bounds_of(kernel, bounds), flag(learn, "learn"), executor_of(executor)
    if executor is not None or not learn:
        return _judged(Search(kernel, met, learn, executor=executor), max_states, progress)
    began = time.perf_counter()
    kept, asked = SHELF.take(kernel, met), (repr(kernel), met, max_states)
    if kept is not None and asked in kept.verdicts:
        SHELF.put_back(kept)
        verdict: Verdict = kept.verdicts[asked]
        if progress is not None:
            progress(verdict.states)
        return replace(verdict, done=0, seconds=time.perf_counter() - began)
    search = Search(kernel, met, known=None if kept is None else (kept.pictures, kept.learned))
    verdict = _judged(search, max_states, progress)
    SHELF.put(search, {**(kept.verdicts if kept is not None else {}), asked: verdict})
    return verdict


def each_checked(
    kernel: Series,
    searches: Iterable[Mapping[str, Any]],
    max_states: int,
    progress: Callable[[int], object] | None = None,
) -> Iterator[Verdict]:
    """`check` a kernel within several bounds, one after the other. What one search learns, the next one knows."""
    search = None
    for bounds in searches:
        search = Search(kernel, bounds_of(kernel, bounds), before=search)
        yield _judged(search, max_states, progress)


def _judged(search: Search, max_states: int, progress: Callable[[int], object] | None) -> Verdict:
    """Search, and say what was found."""
    began = time.perf_counter()
    with rarely_collecting(), bar("states", wanted=progress is None) as show, closing(iter(search)) as each:
        for states in each:
            if progress is not None:
                progress(states)
            show(states - len(search.queue), states)
            if states >= max_states and search.queue and search.broken is None:
                break
    trace = None
    if search.broken is not None:
        trace = told(search.kernel, search.bounds, search.broken, search.stuck)
    seconds = time.perf_counter() - began
    seen = len(search.nodes), search.transitions, search.done, search.exhausted
    return Verdict(search.kernel, trace, *seen, search.pictures.met, seconds)


__all__ = ["Verdict", "bounds_of", "check", "each_checked"]
