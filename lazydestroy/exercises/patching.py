"""Write the patch yourself: a kernel without it, a layer that somebody wrote, and the search that judges it."""

from __future__ import annotations

import ast
import inspect
import io
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from types import CodeType, FunctionType
from typing import Any

from ..layers import summary_of
from ..rounded import counted
from ..series import Series, Trace
from ..series.bounds import Bounds
from ..series.check import each_checked
from ..series.plain import Hidden
from ..series.reading import functions_listing, source
from ..series.trace import told
from ..series.world import raised_in
from ..units import expect_progress, shown
from . import typed
from .bounded import OutOfBounds, bounded
from .credit import share
from .feedback import Feedback, Solution
from .task import Exercise
from .written import is_unwritten

Probe = Callable[[Series], str]
"""An experiment with a kernel that breaks nothing: does it do what the patch is for? Empty, or what it does not do."""

Progressing = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong answer that is known.

    Attributes
    ----------
    layer : type
        The answer. Its docstring says in a line what was thought, and then where the thought goes wrong.
    """

    layer: type

    @property
    def name(self) -> str:
        """The thought, in a few words."""
        return summary_of(self.layer).partition("\n")[0].rstrip(".")

    @property
    def hint(self) -> str:
        """Where it goes wrong."""
        return " ".join(summary_of(self.layer).partition("\n")[2].split())


class PatchExercise(Exercise):
    """A function of a patch, to be written as a layer.

    Attributes
    ----------
    kernel : Series
        The kernel without it.
    writes : tuple of str
        The functions that are missing.
    searches : tuple of dict
        Bounds of the searches that must find nothing, for `lazydestroy.series.check`.
    probes : tuple of callable
        Experiments that show whether it does what it is for.
    remarks : tuple of callable
        What there is to say of a right answer that differs from the patch.
    mistakes : tuple of Mistake
        Wrong answers that are known.
    decisive : tuple of callable
        Those of the probes that show the case that the patch is about: who fails there gets half of the rest.
    """

    def __init__(
        self,
        name: str,
        title: str,
        lesson: str,
        task: str,
        kernel: Series,
        writes: tuple[str, ...],
        searches: tuple[dict[str, Any], ...],
        probes: tuple[Probe, ...],
        mistakes: tuple[type, ...],
        model_answer: type,
        steps: tuple[str, ...],
        remarks: tuple[Probe, ...] = (),
        *,
        decisive: tuple[Probe, ...],
    ) -> None:
        self.name, self.title, self.lesson = name, title, lesson
        self.task = "\n\n".join(" ".join(part.split()) for part in task.split("\n\n"))
        self.kernel, self.writes = kernel, writes
        self.searches, self.probes, self.remarks = searches, probes, remarks
        self.decisive = decisive
        self.mistakes = tuple(map(Mistake, mistakes))
        self.model_answer, self.steps = model_answer, steps
        self._stories: dict[type, str] = {}
        self._findings: dict[tuple[type, Probe], str] = {}

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse to change what every other use of this exercise shares."""
        if name in vars(self) and not name.startswith("_"):
            raise AttributeError(f"{name} of {self.name} is the same for all who ask for it, and cannot be set")
        super().__setattr__(name, value)

    @property
    def text(self) -> str:
        """The task."""
        return self.task

    def given(self) -> Any:
        """The missing functions as they are in the kernel without the patch.

        Returns
        -------
        Listing
            Highlighted in a notebook, plain text in a terminal.
        """
        return functions_listing(self.kernel, self.writes)

    def check(self, answer: Any, *, progress: Progressing | None = None) -> Feedback:
        """Try everything that can happen on a small machine with this layer in its kernel.

        What the layer prints is shown for the way in which it breaks, and for no other of the many that are tried.

        Parameters
        ----------
        answer : type
            A class with the missing functions.
        progress : callable, optional
            Called now and then with the number of states seen.

        Returns
        -------
        Feedback

        Raises
        ------
        ValueError
            If it is no class, or `progress` no function of a number.
        """
        expect_progress(progress, 1, f"the number of states seen, for {self.name}")
        self._progress = progress
        try:
            return super().check(answer)
        finally:
            self._progress = None

    _progress: Progressing | None = None

    def _read(self, answer: Any) -> type:
        if not isinstance(answer, type):
            raise ValueError(
                f"{self.name}: check({shown(answer)}): give the class that has the functions, not something else"
            )
        return answer

    def _refused(self, answer: Any) -> Feedback | None:
        if not isinstance(answer, type) or self._unwritten(answer):
            return None
        said = typed.refusal(answer, self)
        return Feedback(self.name, False, said, (_RULE,)) if said else None

    def _judge(self, answer: type) -> Feedback:
        if missing := self._unwritten(answer):
            return Feedback(self.name, False, f"{answer.__name__} does not write {' and '.join(missing)} yet.")
        kernel = self.kernel.plus(answer)
        if said := _cannot_be_called(answer, self.kernel, self.writes):
            return Feedback(self.name, False, said)
        try:
            with redirect_stdout(_Nowhere()), bounded(_codes(answer).__contains__):
                return self._tried(answer, kernel)
        except (OutOfBounds, Hidden) as out:
            return Feedback(self.name, False, str(out))

    def _tried(self, answer: type, kernel: Series) -> Feedback:
        forgotten = tuple(_never_run(answer, kernel))
        states = 0
        verdicts = each_checked(kernel, self.searches, _MANY, self._progress)
        for bounds, verdict in zip(self.searches, verdicts, strict=True):
            states += verdict.states
            if verdict.trace is not None:
                broken = self._broken(verdict.trace, bounds, forgotten)
                try:
                    return replace(broken, share=share(self, self.probed(kernel), safe=False))
                except OutOfBounds:
                    return broken
            if not verdict.exhausted:
                return Feedback(self.name, False, _TOO_MANY.format(verdict.states))
        findings = self.probed(kernel)
        if any(findings):
            safe = f"The search found nothing, in all {states:,} states of its small machine. But in an experiment:"
            hints = (*forgotten, *filter(None, findings), *self._thoughts_probed(findings))
            return Feedback(self.name, False, safe, hints, share=share(self, findings, safe=True))
        remarks = tuple(said for remark in self.remarks if (said := remark(kernel)))
        every = f"The search saw all {states:,} states that there are, and it does what the patch is for."
        return Feedback(self.name, True, every, remarks)

    def _unwritten(self, answer: type) -> list[str]:
        """The functions that are not there; all of them, if there is nothing in any."""
        functions = {name: getattr(answer, name, None) for name in self.writes}
        if all(map(is_unwritten, functions.values())):
            return list(self.writes)
        return [name for name, function in functions.items() if not callable(function)]

    def _broken(self, trace: Trace, bounds: dict[str, Any], forgotten: tuple[str, ...]) -> Feedback:
        text = f"The shortest of all ways in which it breaks has {counted(len(trace.moments), 'steps')}:"
        thoughts = tuple(_thought(known) for known in self.alike(trace, bounds))
        otherwise = (_MEND_IT if trace.line else _READ_IT,)
        return Feedback(self.name, False, text, (*forgotten, *thoughts) or otherwise, trace, _printed(trace, bounds))

    def alike(self, trace: Trace, bounds: dict[str, Any]) -> list[Mistake]:
        """The known mistakes that come to the same end when the same is done, step by step, and tell the same story.

        One of which a quick search finds a shorter way to break is another thought.
        """
        same = [mistake for mistake in self.mistakes if self._retold(mistake, trace, bounds) == trace.story]
        return [mistake for mistake in same if self._shortest(mistake) in ("", trace.story)]

    def _shortest(self, mistake: Mistake) -> str:
        """The story of the shortest way in which a mistake breaks, if a quick search finds it."""
        if mistake.layer not in self._stories:
            kernel = self.kernel.plus(mistake.layer)
            found = (verdict.trace for verdict in each_checked(kernel, self.searches, _QUICK))
            self._stories[mistake.layer] = next((trace.story for trace in found if trace is not None), "")
        return self._stories[mistake.layer]

    def probed(self, kernel: Series) -> list[str]:
        """What each experiment finds missing in a kernel; empty for one that is content."""
        return [_probed(probe, kernel) for probe in self.probes]

    def _thoughts_probed(self, findings: list[str]) -> list[str]:
        """The known mistakes of which the experiments say the same, one and all."""
        said = list(zip(self.probes, findings, strict=True))
        return [_thought(each) for each in self.mistakes if all(self._found(each, *both) for both in said)]

    def _found(self, mistake: Mistake, probe: Probe, finding: str) -> bool:
        """Whether an experiment finds just that of a known mistake."""
        asked = mistake.layer, probe
        if asked not in self._findings:
            self._findings[asked] = _probed(probe, self.kernel.plus(mistake.layer))
        return self._findings[asked] == finding

    def _retold(self, mistake: Mistake, trace: Trace, bounds: dict[str, Any]) -> str:
        """The story of the same actions with another layer; empty if they are not possible."""
        try:
            return told(self.kernel.plus(mistake.layer), Bounds(**_complete(bounds)), list(trace.actions), False).story
        except Exception:
            # with another layer other tasks run: what was done cannot be done there
            return ""

    def solution(self) -> Solution:
        """The functions as they could be written, and why."""
        return Solution(self.name, self.steps, inspect.getsource(self.model_answer).rstrip())


_RULE = "The grader reads your text in the same way, and gives no points for what it doesn't run."

_MANY = 50_000
"""States after which a search is given up: several times as many as a right answer has."""

_QUICK = 1000
"""States after which a search for another thought is given up: half a second."""


_TOO_MANY = "It was not broken in {:,} states, and there are more: does it keep something that grows without end?"


def _probed(probe: Probe, kernel: Series) -> str:
    """What an experiment finds; an error in the layer is a finding, too."""
    try:
        return probe(kernel)
    except Exception as error:
        _, line = raised_in(error)
        where = f", in the line: {line}" if line else ""
        return f"{(probe.__doc__ or '').strip()} That ends with {type(error).__name__}: {error}{where}"


def _thought(mistake: Mistake) -> str:
    return f"Was this your thought? {mistake.name}. {mistake.hint}"


def _never_run(answer: type, kernel: Series) -> Iterator[str]:
    """Functions that take time, and are called as if they did not: then nothing of them happens."""
    try:
        tree = ast.parse("\n".join(source(answer).parts[0].lines))
    except (SyntaxError, IndexError):
        return
    for node in ast.walk(tree):
        call = node.value if isinstance(node, ast.Expr | ast.Assign | ast.Return) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and _is_self(call.func.value):
            name = call.func.attr
            if inspect.isgeneratorfunction(getattr(kernel.kernel, name, None)):
                yield f'self.{name}(...) takes time: without "yield from" before it, nothing of it happens.'


def _cannot_be_called(answer: type, kernel: Series, names: tuple[str, ...]) -> str:
    """What is wrong with how a function begins; empty if it can stand where the kernel's own stands."""
    for name in names:
        before, written = getattr(kernel.kernel, name, None), getattr(answer, name)
        if before is None:
            continue  # only the layer itself calls it
        takes, called = inspect.signature(written), inspect.signature(before).parameters
        try:
            takes.bind(*called)
        except TypeError:
            mine, theirs = ", ".join(takes.parameters), ", ".join(called)
            return f"{name} is called with ({theirs}), and yours takes ({mine})."
        if inspect.isgeneratorfunction(written) and not inspect.isgeneratorfunction(before):
            return (
                f"{name} has a yield in it, so a call does nothing of what you wrote. It is called as a function that "
                "takes no time of its own: write it without."
            )
    return ""


def _printed(trace: Trace, bounds: dict[str, Any]) -> str:
    """What a layer prints on the way that a trace tells."""
    with redirect_stdout(_Beginning()) as told_once_more:
        told(trace.kernel, Bounds(**_complete(bounds)), list(trace.actions), False)
    return told_once_more.text.rstrip()


class _Beginning(io.TextIOBase):
    """Keeps the beginning of what is printed, and counts the rest."""

    def __init__(self) -> None:
        self._kept = ""
        self._dropped = 0

    def write(self, text: str) -> int:
        room = _PRINTED - len(self._kept)
        self._kept += text[:room]
        self._dropped += len(text[room:])
        return len(text)

    @property
    def text(self) -> str:
        """What was kept, and how much more there was."""
        return self._kept + (f"\n[cut here: {self._dropped:,} more characters]" if self._dropped else "")


_PRINTED = 4000
"""Characters of what a layer prints that are shown."""

_MOST_PRINTED = 30_000_000
"""Characters that a layer may print in all, on all the ways that are tried."""


def _codes(answer: type) -> set[CodeType]:
    """The code of a class's functions."""
    found = (value for each in answer.__mro__ for value in vars(each).values())
    return {value.__code__ for value in found if isinstance(value, FunctionType)}


class _Nowhere(io.TextIOBase):
    """Where the prints of all the other ways go."""

    written = 0

    def write(self, text: str) -> int:
        self.written += len(text)
        if self.written > _MOST_PRINTED:
            raise OutOfBounds(f"Your code prints more than {_MOST_PRINTED:,} characters. Print less, and only once.")
        return len(text)


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


_READ_IT = (
    "Say of each line what is ordinary about it. What is not ordinary about the last one, and which of your lines "
    "could have kept it from happening? To see the pages at each step: feedback.plot(). What your functions print on "
    "this way is shown here."
)


_MEND_IT = "Python stops in that line. If you did not mean to raise an error there, fix it first."


def _complete(bounds: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list | tuple) else value for name, value in bounds.items()}


__all__ = ["Mistake", "PatchExercise", "Probe"]
