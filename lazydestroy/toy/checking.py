"""Check a reader's toy against the model, one method or all of them, and say what to do next."""

from __future__ import annotations

import inspect
import io
from collections.abc import Collection, Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from itertools import groupby
from typing import Any

from ..exercises import session
from ..exercises.feedback import Feedback
from ..exercises.written import is_unwritten
from ..units import format_count, one_of, shown
from .guard import Stopped, called
from .hints import hint, what_differs
from .kinds import HOST, ULTRAVISOR, Kind, Step, kind_of
from .trying import TOGETHER, Difference, Tried, again, tried


def check(toy: type, method: str | None = None, *, uv: type | None = None) -> Feedback:
    """Check a toy against the model.

    One method is checked alone: whatever else a sequence of operations needs is the ready-made toy's. If it is right,
    it is checked with the toy's methods before it as well: one of them may not know yet of what this one brings.
    Without a name all methods of the toy's lesson are checked, each alone and then all together.

    Parameters
    ----------
    toy : type
        The class: a toy Ultravisor or a toy host.
    method : str, optional
        Name of one of its methods, such as "import_page".
    uv : type, optional
        For a host: the toy Ultravisor that it asks. Default: the ready-made one.

    Returns
    -------
    Feedback
        True in an ``if``, if the toy is right. It is noted for ``ld.progress()``.

    Raises
    ------
    ValueError
        If `toy` is no toy, or has no such method to check.

    Examples
    --------
    >>> class MyUltravisor:
    ...     def __init__(self):
    ...         self.owner, self.shared, self.running = {}, set(), set()
    ...     def export_page(self, page):
    ...         del self.owner[page]
    ...         return True
    >>> check(MyUltravisor, "export_page").right
    False
    """
    kind = kind_of(toy)
    if method is None:
        return _check_all(kind, toy, _ultravisor(kind, uv))
    names = [step.name for step in kind.steps]
    step = kind.step(one_of(method, names, "method"))
    return _noted(_check_step(kind, step, toy, _ultravisor(kind, uv)))


class Unwritten(Feedback):
    """What is said to a skeleton: nothing is wrong with it, and it is no try."""

    __slots__ = ()

    @property
    def _verdict(self) -> str:
        return f"{self.exercise}: your turn."

    @property
    def _mark(self) -> str:
        return "✎"


def _noted(feedback: Feedback) -> Feedback:
    if not isinstance(feedback, Unwritten):
        session.note(feedback.exercise, feedback.right)
    return feedback


def _ultravisor(kind: Kind, uv: type | None) -> type:
    """The Ultravisor on which a host is checked, with methods that are not written taken from the ready-made one."""
    if uv is None:
        return ULTRAVISOR.ready
    if kind is not HOST or kind_of(uv) is not ULTRAVISOR:
        raise ValueError(f"uv={shown(uv)}: give a toy Ultravisor, and only if you check a host")
    return completed(ULTRAVISOR, uv)


def _check_all(kind: Kind, toy: type, ultravisor: type) -> Feedback:
    """Each method that the toy should have, alone; then all of them."""
    names = _asked(kind, toy)
    for name in names:
        found = _noted(_check_step(kind, kind.step(name), toy, ultravisor))
        if not found.right:
            return found
    return _noted(check_together(kind, toy, ultravisor))


def check_together(kind: Kind, toy: type, ultravisor: type | None = None) -> Feedback:
    """All methods that the toy should have, together."""
    whole, below = completed(kind, toy), ultravisor or ULTRAVISOR.ready
    operations = 0
    for name in _asked(kind, toy):
        result = tried(kind, kind.step(name), whole, below, TOGETHER)
        operations += result.operations
        if result.difference is not None:
            return _wrong(kind, kind.step(name), whole, below, result.difference)
    text = f"All its methods together agree with the model, too, in {_operations(operations)}."
    return Feedback(f"toy {kind.class_name}", True, text)


def _asked(kind: Kind, toy: type) -> list[str]:
    """The methods that the toy should have: up to the last lesson of which it has one, be it a skeleton."""
    asked: list[str] = []
    for lesson in kind.lessons:
        if not asked or any(hasattr(toy, name) for name in lesson):
            asked += lesson
    return asked


def completed(kind: Kind, toy: type, only: Collection[str] = ()) -> type:
    """The toy, in which methods that are not written are the ready-made ones; with `only`, all but these."""
    borrowed = {
        step.name: getattr(kind.ready, step.name)
        for step in kind.steps
        if step.name not in only and (only or is_unwritten(getattr(toy, step.name, None)))
    }
    if "__init__" not in vars(toy) and toy.__init__ is object.__init__:  # type: ignore[misc]
        borrowed["__init__"] = kind.ready.__init__  # type: ignore[misc]
    return type(toy.__name__, (toy,), borrowed)


def _check_step(kind: Kind, step: Step, toy: type, ultravisor: type) -> Feedback:
    name = f"toy {step.name}"
    written = getattr(toy, step.name, None)
    if is_unwritten(written):
        return Unwritten(name, False, f"Write {step.call}. {step.task} Then run this cell again.")
    if said := _cannot_be_called(step, written):
        return Feedback(name, False, said)
    alone = completed(kind, toy, only=[step.name])
    if said := _not_ready(kind, alone, ultravisor):
        return Feedback(name, False, said)
    with redirect_stdout(io.StringIO()):
        result = tried(kind, step, alone, ultravisor)
    if result.difference is not None:
        return _wrong(kind, step, alone, ultravisor, result.difference)
    so_far = [each.name for each in kind.steps[: kind.steps.index(step) + 1]]
    whole = completed(kind, toy, [name for name in so_far if not is_unwritten(getattr(toy, name, None))])
    with redirect_stdout(io.StringIO()):
        difference = tried(kind, step, whole, ultravisor, TOGETHER).difference
    if difference is not None:
        found = _wrong(kind, step, whole, ultravisor, difference)
        return replace(found, text=f"By itself it is right, but not together with the methods before it. {found.text}")
    text = f"It agrees with the model in {result.sequences} random sequences, {_operations(result.operations)} in all."
    return Feedback(name, True, text, tuple(_remarks(step, result)))


def _operations(count: int) -> str:
    return f"{format_count(count)} operation{'s' if count != 1 else ''}"


def _wrong(kind: Kind, step: Step, toy: type, ultravisor: type, difference: Difference) -> Feedback:
    with redirect_stdout(io.StringIO()) as printed:
        again(kind, toy, ultravisor, difference.operations)
    done = "; ".join(_counted(difference.words))
    text = f"{done[:1].upper()}{done[1:]}: {what_differs(difference)}"
    return Feedback(f"toy {step.name}", False, text, (hint(step.name, difference),), None, printed.getvalue().rstrip())


def _counted(words: Iterable[str]) -> Iterator[str]:
    """Some sentences; one that comes several times in a row once, with how often."""
    for word, same in groupby(words):
        times = len(list(same))
        yield word + (f", {times} times" if times > 1 else "")


def _cannot_be_called(step: Step, written: Any) -> str:
    """What is wrong with how the method begins."""
    try:
        inspect.signature(written).bind(None, *step.takes)
    except TypeError:
        theirs = ", ".join(inspect.signature(written).parameters)
        return f"It is called as {step.call}, and yours begins with {step.name}({theirs})."
    except ValueError:
        return f"It must be a function: def {step.call}."
    generator = inspect.isgeneratorfunction(written)
    if generator and step.name != "clean_up":
        return f"{step.name} has a yield in it, so a call does nothing of what you wrote: write return instead."
    if not generator and step.name == "clean_up":
        return "There is no yield in it: the guest must run between one page and the next."
    return ""


def _not_ready(kind: Kind, toy: type, ultravisor: type) -> str:
    """What is wrong with the toy's state before anything has been done."""
    try:
        made = called(toy, *([called(ultravisor)] if kind is HOST else []))
    except Stopped as stopped:
        return f"__init__ {stopped}."
    for name, wanted in kind.state.items():
        if not isinstance(getattr(made, name, None), wanted):
            given = shown(vars(made).get(name))
            return f"After __init__ self.{name} must be an empty {wanted.__name__}; yours is {given}."
    return ""


def _remarks(step: Step, result: Tried) -> list[str]:
    """What there is to say of a right answer."""
    if step.name == "on_3e" and any(getattr(side, "needless", 0) for side in result.sides):
        return ["It exports also while there is one guest only. That is right, and costs a call for each import."]
    if step.name == "on_3f" and not any("destroy" in getattr(side, "asked", ()) for side in result.sides):
        return [
            (
                "It exports and never destroys. That is right, and takes about twice the time: it encrypts what no "
                "one will read."
            )
        ]
    if step.name == "on_3d" and any("destroy" in getattr(side, "asked_on_3d", ()) for side in result.sides):
        return [
            "It destroys. That is right, and quicker than the patch, which shares the code for the host's accesses."
        ]
    return []


__all__ = ["Unwritten", "check", "check_together", "completed"]
