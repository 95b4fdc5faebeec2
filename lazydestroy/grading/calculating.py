"""A student's cells are run for what they calculate: they may ask the model, but not the exercise.

This runs in the fresh interpreter. The problem's numbers and text come with the job. What would know the answer, the
package ``lazydestroy.exercises``, is replaced by a stand-in before anything can import it, and its files cannot be
opened, nor any other but Python's own and this package's.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Callable, Iterable
from fractions import Fraction
from numbers import Integral, Real
from pathlib import Path
from types import ModuleType
from typing import Any

from .landlock import confine, pythons_own

Report = Callable[[dict[str, Any]], None]

LONGEST = 200
"""Characters of an answer that is text."""


class Unsaid:
    """What `check` and the like give while a notebook is graded: nothing."""

    right = False
    hints = ()
    trace = None

    def __bool__(self) -> bool:
        return False

    def points(self, of: float = 1.0) -> float:
        """None: they are counted elsewhere."""
        return 0.0

    def __repr__(self) -> str:
        return "(said when you work, not when you are graded)"


class Problem:
    """A problem as its task tells it: what is drawn, and the text."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.name, self.title, self.text = told["name"], told["title"], told["text"]
        self.numbers: Any = ast.literal_eval(told["numbers"])

    def check(self, answer: object, **_: Any) -> Unsaid:
        """Say nothing."""
        return Unsaid()

    def solution(self) -> Unsaid:
        """Say nothing."""
        return Unsaid()

    def __repr__(self) -> str:
        return str(self.text)


def _stand_in(problems: dict[str, Problem]) -> ModuleType:
    """Make the module that stands for the exercises."""
    module = ModuleType("lazydestroy.exercises")

    def exercise(name: str, seed: object = None) -> Problem:
        if name not in problems:
            raise ValueError(f"{name}: only the problems of this notebook are here when you are graded")
        return problems[name]

    vars(module).update(
        exercise=exercise,
        progress=lambda *_, **__: Unsaid(),
        student=lambda *_: problems and "you",
        EXERCISES=tuple(problems),
        __path__=[],
    )
    return module


def calculate(job: dict[str, Any], report: Report, forbid: Callable[..., None]) -> None:
    """Run cells one after the other, and report the value of ``answer`` after those that answer a problem.

    Parameters
    ----------
    job : dict
        ``problems``: what the tasks tell; ``cells``: each with its ``text`` and the ``name`` of the problem that it
        answers, or "" for one of the student's own.
    report : callable
        Takes what came of each cell, before and after it.
    forbid : callable
        Sets what is forbidden from then on.
    """
    problems = {told["name"]: Problem(told) for told in job["problems"]}
    sys.modules["lazydestroy.exercises"] = _stand_in(problems)
    import lazydestroy as ld

    # what a notebook always has, and what the model imports when it is first asked
    vars(ld).update(
        exercises=sys.modules["lazydestroy.exercises"], exercise=sys.modules["lazydestroy.exercises"].exercise
    )
    vars(ld).update(progress=lambda *_, **__: Unsaid(), predict=lambda *_, **__: None, quiz=lambda *_, **__: None)
    ld.reboot("1 GiB", touch="none")
    main = ModuleType("__main__")
    sys.modules["__main__"] = main
    scope = vars(main)
    scope.update(ld=ld, display=lambda *_, **__: None, SEED=job["seed"], answer=None)
    scope.update({name.replace("-", "_"): problem for name, problem in problems.items()})
    places = _places()
    confine(places, [Path(__file__).parents[1] / "exercises"])
    forbid(_may_open(places))
    for number, cell in enumerate(job["cells"]):
        report({"begins": number})
        _run(cell, scope, number, report)


def _run(cell: dict[str, str], scope: dict[str, Any], number: int, report: Report) -> None:
    said = ""
    try:
        exec(compile(cell["text"], f"<cell {number}>", "exec"), scope)
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"[:300]
    if cell["name"]:
        report({"cell": number, "name": cell["name"], "said": said, **_plain(scope.get("answer"))})
        scope["answer"] = None


def _plain(value: object) -> dict[str, Any]:
    """An answer as JSON can write it."""
    if value is None:
        return {"value": None}
    if isinstance(value, str):
        return {"value": str.__str__(value)[:LONGEST]}
    if isinstance(value, bool):
        return {"wrong": "True and False are no answers"}
    try:
        if isinstance(value, Integral):
            return {"value": int(value)} if abs(int(value)) < 10**50 else {"wrong": "it is larger than any answer"}
        if isinstance(value, Fraction):
            return {"value": float(value)}
        if isinstance(value, Real) or hasattr(value, "__float__"):
            return {"value": float(value)}
        if isinstance(value, list | tuple) and len(value) <= 10:
            return {"value": ", ".join(map(str, value))[:LONGEST]}
    except Exception as error:
        return {"wrong": f"{type(error).__name__}: {error}"[:300]}
    return {"wrong": f"a {type(value).__name__} is no answer"}


def _places() -> list[str]:
    """Where Python and this package are; of a checkout not the folder that holds it, whose history has the answers."""
    package = Path(__file__).parents[1]
    return [*pythons_own(), *(place for place in filter(None, sys.path) if Path(place) != package.parent), str(package)]


def _may_open(places: Iterable[str]) -> Callable[[Any], bool]:
    """Tell which files may be read: what is in some places, but never an exercise or a notebook."""
    real = tuple(map(os.path.realpath, places))
    beneath = tuple(place.rstrip(os.sep) + os.sep for place in real)
    sep, realpath, fsdecode = os.sep, os.path.realpath, os.fsdecode
    never = tuple(f"{sep}{part}{sep}" for part in (f"lazydestroy{sep}exercises", "notebooks", "source"))

    def may(file: Any) -> bool:
        path = realpath(fsdecode(file))
        if any(part in path for part in never) or path.endswith(".ipynb"):
            return False
        return path in real or path.startswith(beneath)

    return may


def text_of(numbers: Any) -> str:
    """Write what was drawn so that `Problem` can read it."""
    text = repr(numbers)
    ast.literal_eval(text)
    return text


__all__ = ["Problem", "calculate", "text_of"]
