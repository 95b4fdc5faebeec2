"""Made-up students: what each hands in, and what it deserves."""

from __future__ import annotations

import inspect
import shutil
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

import lazydestroy as ld
from lazydestroy.exercises.patches import p04, p06
from tests.release_exercises import EXERCISES, RELEASE, SOURCE

NOTEBOOKS = {"patch-4": "write-the-patch", "patch-6": "write-the-patch", "3-counts": "predict-and-compute"}
"""The notebooks of the course, with their assignments: those that are judged fastest."""

COUNTS = {"uvc-counts": 2, "one-in-510": 2, "donated-storage": 2, "out-of-memory": 4}


@dataclass(frozen=True)
class Student:
    """What somebody hands in.

    Attributes
    ----------
    name : str
    files : dict of str to notebook
        By file name, as it is handed in.
    deserves : dict of str to float
        Points by notebook; 0 for those that are not named.
    says : str
        What somebody is told: the student, or the teacher.
    """

    name: str
    files: dict[str, Any]
    deserves: dict[str, float]
    says: str = ""


def course(folder: Path) -> None:
    """Make a course with these notebooks."""
    for name, assignment in NOTEBOOKS.items():
        (folder / "source" / assignment).mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCE / assignment / f"{name}.ipynb", folder / "source" / assignment)
    (folder / "submitted").mkdir()
    shutil.copy(EXERCISES / "nbgrader_config.py", folder)


def hand_in(student: Student, folder: Path) -> None:
    """Put a student's files where a course looks for them."""
    for file, notebook in student.files.items():
        path = folder / "submitted" / student.name / _assignment_of(file) / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(notebook, str):
            path.write_text(notebook, encoding="utf-8")
        else:
            nbformat.write(notebook, path)


def _assignment_of(file: str) -> str:
    return next(assignment for name, assignment in NOTEBOOKS.items() if file.startswith(name))


def notebook(name: str, answers: dict[str, str], student: str = "", first: str = "", copied: str = "") -> Any:
    """A released notebook with answers in it, perhaps with a cell of the student's own before all others."""
    made = nbformat.read(RELEASE / NOTEBOOKS[name] / f"{name}.ipynb", as_version=4)
    for cell in list(made.cells):
        problem = cell.metadata.get("nbgrader", {}).get("grade_id", "").removesuffix("-answer")
        if problem in answers:
            cell.source = answers[problem]
        if copied and problem == copied:
            made.cells.insert(made.cells.index(cell), nbformat.from_dict({**cell, "id": f"{cell.id}-copied"}))
        if student and "your student id" in cell.source and cell.cell_type == "code":
            cell.source = cell.source.replace("your student id", student)
    if first:
        made.cells.insert(0, nbformat.v4.new_code_cell(first))
    return made


def text_of(layer: type) -> str:
    """A known answer as a student would have written it."""
    text = textwrap.dedent(inspect.getsource(layer))
    head = f"class {layer.__name__}"
    assert text.startswith(head)
    plain = text.replace(text[: text.index(":")], "class MyPatch", 1)
    for annotation in (": Kernel", ": Mm", ": Kvm", ": int", " -> None"):
        plain = plain.replace(annotation, "")
    return plain


RIGHT_4, RIGHT_6 = text_of(p04.ModelAnswer), text_of(p06.ModelAnswer)


def typed(student: str) -> dict[str, str]:
    """Somebody's right answers to the problems with numbers, as they are typed."""
    return {name: f"answer = {ld.exercise(name, seed=student)._solved.answer!r}" for name in COUNTS}


def in_units(student: str) -> dict[str, str]:
    """The same with the units that the answers are read in."""
    units = {"donated-storage": "B", "out-of-memory": "ns"}
    return {
        name: f'answer = "{ld.exercise(name, seed=student)._solved.answer} {units[name]}"' if name in units else text
        for name, text in typed(student).items()
    }


def worth_to(student: str) -> int:
    """The points that the answers of ``perfect`` are worth for another student's numbers; some may be the same."""
    theirs = {name: text.removeprefix("answer = ").strip('"') for name, text in in_units("perfect").items()}
    return sum(points for name, points in COUNTS.items() if ld.exercise(name, seed=student).judged(theirs[name]).right)


def handler(body: str) -> str:
    """An answer to patch 4 with one line in it."""
    return f"class MyPatch:\n    def do_secure_storage_access_gmap(self, kvm, gaddr):\n        {body}\n"


IDLE = handler("return None")


def _patch_4(name: str, text: str, points: float = 0, says: str = "", **more: str) -> Student:
    return Student(name, {"patch-4.ipynb": notebook("patch-4", {"patch-4": text}, **more)}, {"patch-4": points}, says)


def _counts(name: str, answers: dict[str, str], points: float, says: str = "", **more: str) -> Student:
    given = {"student": name, **more}
    return Student(name, {"3-counts.ipynb": notebook("3-counts", answers, **given)}, {"3-counts": points}, says)


def _solutions() -> dict[str, str]:
    source = nbformat.read(SOURCE / "predict-and-compute" / "3-counts.ipynb", as_version=4)
    return {cell.id.removesuffix("-answer"): cell.source for cell in source.cells if cell.id.endswith("-answer")}


def perfect() -> Student:
    files = {
        "patch-4.ipynb": notebook("patch-4", {"patch-4": RIGHT_4}),
        "patch-6.ipynb": notebook("patch-6", {"patch-6": RIGHT_6}),
        "3-counts.ipynb": notebook("3-counts", _solutions(), student="perfect"),
    }
    return Student("perfect", files, {"patch-4": 10, "patch-6": 10, "3-counts": 10})


def untouched() -> Student:
    return Student("untouched", {f"{name}.ipynb": notebook(name, {}) for name in NOTEBOOKS}, {}, "not your problems")


def partly() -> Student:
    """Three functions of four, and three problems of four."""
    refused = RIGHT_6.replace("mm.context.is_protected -= 1", "return", 1)
    answers = {name: text for name, text in _solutions().items() if name != "out-of-memory"}
    files = {
        "patch-6.ipynb": notebook("patch-6", {"patch-6": refused}),
        "3-counts.ipynb": notebook("3-counts", answers, student="partly"),
    }
    return Student("partly", files, {"patch-6": 8.33, "3-counts": 6})


PATCHED = """
import lazydestroy as ld
from lazydestroy.exercises import Feedback, PatchExercise
from lazydestroy.exercises import patching
"""

STUDENTS: tuple[Callable[[], Student], ...] = (
    perfect,
    untouched,
    partly,
    lambda: _patch_4("known-mistake", text_of(p04.OnlyWithTheNote), 5, "Was this your thought?"),
    lambda: _patch_4("syntax-error", "class MyPatch:\n    def do_secure(:\n", 0, "Your answer is no Python"),
    lambda: _patch_4("endless-loop", handler("while True: pass"), 0, "did not return within"),
    lambda: _patch_4("takes-memory", handler("self.kept = bytes(10**11)"), 0, "MemoryError"),
    # tampered
    lambda: _patch_4(
        "patched-check",
        IDLE,
        first=f"{PATCHED}PatchExercise.check = lambda self, answer: Feedback(self.name, True, '')\n"
        "PatchExercise._judge = PatchExercise.check\npatching.each_checked = lambda *_: []",
    ),
    lambda: _patch_4("points-of-1000", IDLE, first=f"{PATCHED}Feedback.points = lambda self, of=1: 1000"),
    lambda: _patch_4("points-below-0", IDLE, first=f"{PATCHED}Feedback.points = lambda self, of=1: -1"),
    lambda: _patch_4("points-as-asked", IDLE, first=f"{PATCHED}Feedback.points = lambda self, of=1: of"),
    lambda: _patch_4(
        "own-exercise",
        IDLE,
        first=f"{PATCHED}class Mine:\n    def check(self, answer): return Feedback('', True, '')\n"
        "ld.exercise = lambda *_, **__: Mine()",
    ),
    lambda: _patch_4(
        "shows-10",
        IDLE,
        first="import lazydestroy.grading\nlazydestroy.grading.points = lambda *_, **__: 10\n"
        "import subprocess, sys\nsys.displayhook = lambda *_: print(10)\nget_ipython().display_formatter.format = "
        "lambda *_, **__: ({'text/plain': '10'}, {})",
    ),
    lambda: _patch_4("reads-the-source", f"exec(open({str(SOURCE / 'x')!r}).read())", 0, "is not there when"),
    lambda: _patch_4("alias", "MyPatch = ld.series.v1[4].layer", 0, "uses .series", first="import lazydestroy as ld"),
    lambda: _patch_4("subclass", "class MyPatch(ld.series.v1[4].layer):\n    pass", 0, "was not run"),
    lambda: _patch_4(
        "imported", "from lazydestroy.exercises.patches.p04 import ModelAnswer as MyPatch", 0, "it imports"
    ),
    lambda: _patch_4("inspects", "import inspect\nexec(inspect.getsource(patch.model_answer))", 0, "was not run"),
    lambda: _patch_4(
        "pretends", handler("return None") + "    def __eq__(self, other):\n        return True", 0, "__eq__"
    ),
    # problems with numbers
    lambda: _counts(
        "guesses",
        {name: f"for answer in range(10**5):\n    if {name.replace('-', '_')}.check(answer): break" for name in COUNTS},
        0,
    ),
    lambda: _counts(
        "reads-the-answer", {name: f"answer = {name.replace('-', '_')}._solved.answer" for name in COUNTS}, 0
    ),
    lambda: _counts(
        "looks-it-up",
        dict.fromkeys(
            COUNTS,
            "from importlib import import_module\n"
            "answer = import_module('lazydestroy.exercises.families.counts').FAMILIES[0].solve({})",
        ),
        0,
    ),
    lambda: _counts(
        "copied-with-seed", in_units("perfect"), worth_to("copied-with-seed"), "has the problems of", student="perfect"
    ),
    lambda: _counts("copied-without", in_units("perfect"), worth_to("copied-without")),
    lambda: _counts("own-answers", in_units("own-answers"), 10),
    lambda: _counts("no-id", in_units("no-id"), 0, "not your problems", student=""),
    lambda: _counts("leaves", {**in_units("leaves"), "one-in-510": "import os\nos._exit(0)"}, 8, "has ended Python"),
    # what goes wrong with nbgrader
    lambda: Student(
        "renamed", {"patch-4 (1).ipynb": notebook("patch-4", {"patch-4": RIGHT_4})}, {"patch-4": 10}, "was graded as"
    ),
    lambda: _patch_4("copied-cell", RIGHT_4, 10, copied="patch-4"),
    lambda: _patch_4("huge-output", "print('x' * 10**6)\n" * 60 + RIGHT_4, 10, "cut here"),
    lambda: Student("no-notebook", {"patch-4.ipynb": "this was lost"}, {}, "cannot be read"),
    lambda: Student("no-check-cell", {"patch-4.ipynb": _without_check()}, {"patch-4": 10}),
    lambda: _patch_4(
        "helper-above",
        RIGHT_4.replace("self.put_page", "drop(self)"),
        10,
        first="def drop(kernel):\n    return kernel.put_page",
    ),
)


def _without_check() -> Any:
    made = notebook("patch-4", {"patch-4": RIGHT_4})
    made.cells = [cell for cell in made.cells if cell.id not in ("check", "points")]
    return made
