"""The exercises for nbgrader: the students' version is in step with the one with solutions, and is graded fairly."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, partial

import nbformat
import pytest

import lazydestroy as ld
from lazydestroy.grading.allowed import MODULES
from tests.marks import long_unless
from tests.refresh_notebooks import FOLDER
from tests.release_exercises import ASSIGNMENTS, RELEASE, SOURCE, course, generated, graded

pytestmark = pytest.mark.notebooks

RELEASED = sorted(str(path.relative_to(RELEASE)) for path in RELEASE.rglob("*.ipynb"))


@pytest.fixture(scope="module")
def folder():
    """A teacher's course."""
    with course() as there:
        yield there


@pytest.fixture(scope="module")
def made(folder):
    """A function that gives the students' version of an assignment, which nbgrader makes when first asked."""
    return cache(partial(generated, folder))


@pytest.fixture(scope="module")
def points(folder, made):
    """The points that nbgrader gives to two submissions."""
    for assignment in ASSIGNMENTS:
        made(assignment)
    return graded(folder, {"right": SOURCE, "untouched": RELEASE})


def cells(notebook):
    """Cells without what an execution leaves."""
    return [(cell.id, cell.cell_type, cell.source, cell.metadata.get("nbgrader")) for cell in notebook.cells]


def test_each_source_has_a_release_and_each_release_a_source():
    assert sorted(str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.ipynb")) == RELEASED
    assert ASSIGNMENTS == ("design-an-experiment", "predict-and-compute", "write-the-patch")


@pytest.mark.parametrize(
    "name",
    long_unless(
        lambda name: name.startswith("design-an-experiment"), "nbgrader takes seconds for each assignment", RELEASED
    ),
)
def test_the_release_is_what_nbgrader_makes_of_the_source(made, name):
    committed = nbformat.read(RELEASE / name, as_version=4)
    now = made(name.partition("/")[0])[name]
    assert cells(now) == cells(committed), "if the source is right: python -m tests.release_exercises"


@pytest.mark.long("nbgrader executes every exercise twice")
@pytest.mark.parametrize("name", RELEASED)
def test_right_solutions_are_given_all_points_and_an_untouched_notebook_none(points, name):
    notebook = name.removesuffix(".ipynb")
    given, most = points["right"][notebook]
    assert given == most
    assert points["untouched"][notebook][0] == 0
    if not name.startswith("design-an-experiment"):
        assert most > 0


@pytest.mark.parametrize("name", RELEASED)
def test_a_release_has_no_solution(name):
    released = nbformat.read(RELEASE / name, as_version=4)
    text = "\n".join(cell.source for cell in released.cells)
    assert "SOLUTION" not in text and "YOUR " in text
    # what is on offer is listed in the task, and used in the solution
    text = "\n".join(cell.source for cell in released.cells if cell.cell_type == "code")
    source = nbformat.read(SOURCE / name, as_version=4)
    for cell in source.cells:
        for solution in re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", cell.source, re.DOTALL):
            for line in solution.splitlines():
                if len(line.strip()) > 40:
                    assert line.strip() not in text, line


@pytest.mark.parametrize("name", RELEASED)
def test_points_are_given_for_each_answer(name):
    source = nbformat.read(SOURCE / name, as_version=4)
    marked = [cell.metadata.nbgrader for cell in source.cells if "nbgrader" in cell.metadata]
    answers = [one for one in marked if one.solution]
    assert answers and sum(one.get("points", 0) for one in marked if one.grade) >= 10
    assert all(one.locked for one in marked if not one.solution)


@pytest.mark.parametrize("seed", range(1, 9))
@pytest.mark.parametrize("notebook", sorted(path.name for path in (SOURCE / "predict-and-compute").glob("*.ipynb")))
def test_the_solutions_solve_the_problems_of_every_student(notebook, seed):
    """They are arithmetic, or follow from rules: another way to the answer than the model's."""
    source = nbformat.read(SOURCE / "predict-and-compute" / notebook, as_version=4)
    scope = {"ld": ld}
    solved = 0
    for cell in source.cells:
        slow = ("break-even", "missing-patch") if seed > 3 else ("break-even",)
        if cell.cell_type != "code" or cell.id.startswith(slow):
            continue  # these take seconds
        if cell.id.endswith("-points"):
            continue  # they are for nbgrader
        exec(cell.source.replace('"your student id"', str(seed)), scope)
        if cell.id.endswith("-check"):
            feedback = scope[f"{cell.id.removesuffix('-check').replace('-', '_')}_says"]
            assert feedback.right, (cell.id, feedback)
            solved += 1
    assert solved >= 3


def test_the_teachers_guide_says_how_many_points_there_are():
    def points(name):
        notebook = nbformat.read(SOURCE / name, as_version=4)
        return sum(cell.metadata.get("nbgrader", {}).get("points", 0) for cell in notebook.cells)

    guide = nbformat.read(FOLDER / "reference/teaching.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in guide.cells)
    first, second, third = (points(f"predict-and-compute/{name}.ipynb") for name in ("1-pages", "2-times", "3-counts"))
    assert f"| predict-and-compute | 1-pages, 2-times, 3-counts | {first} + {second} + {third} |" in text
    assert {points(f"write-the-patch/patch-{number}.ipynb") for number in (3, 4, 6, 7, 9)} == {10}
    assert points("write-the-patch/destroy-fast.ipynb") == 10
    assert f"| voluntary: patch-8 | {points('write-the-patch/patch-8.ipynb')} |" in text
    assert f"| design-an-experiment | experiment | {points('design-an-experiment/experiment.ipynb')} |" in text


def test_no_notebook_has_a_character_that_nobody_sees():
    """Such as one that a replacement has left behind."""
    for path in sorted(FOLDER.rglob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            found = [each for each in cell.source if unicodedata.category(each) == "Cc" and each not in "\n\t"]
            assert not found, (path, cell.id, found)


@pytest.mark.parametrize("name", [name for name in RELEASED if name.startswith("write-the-patch")])
def test_a_patch_says_what_an_answer_may_use(name):
    text = " ".join(cell.source for cell in nbformat.read(RELEASE / name, as_version=4).cells)
    for module in ("errno", "itertools", "math", "typing"):
        assert f"`{module}`" in text and module in MODULES


TERMS = (
    *(
        "0x3D",
        "0x3E",
        "0x3F",
        r"PG_arch_1|\barch_1",
        r"\breference",
        r"\bzombie",
        r"\b[Ll]azy reboot",
        "clean-up thread",
    ),
    *(
        r"\bshare[sd]?\b",
        r"\b[Ss]et aside",
        "mmap_lock",
        "[Dd]onated storage",
        r"\b[Pp]in\b",
        "list page",
        "noop",
        "prefix",
    ),
)
"""Words that the reader of an exercise must have met."""


@pytest.mark.parametrize("name", RELEASED)
def test_what_an_exercise_asks_has_been_told_by_its_lessons_or_by_itself(name):
    cells = [cell for cell in nbformat.read(SOURCE / name, as_version=4).cells if "BEGIN SOLUTION" not in cell.source]
    needs = cells[0].source.partition("**You need before:**")[2]
    lessons = re.findall(r"\((?:\.\./)+((?:course|side|reviewers)/[\w-]+\.ipynb)\)", needs)
    told = [cell.source for lesson in lessons for cell in nbformat.read(FOLDER / lesson, as_version=4).cells]
    told += [cell.source for cell in cells if cell.id == "know"]
    asked = [cell.source for cell in cells if cell.id not in ("title", "know")]
    for exercise in re.findall(r'ld\.exercise\("([\w-]+)"', "\n".join(asked)):
        problem = ld.exercise(exercise)
        asked.append(problem.title if exercise == "missing-patch" else problem.text)
    for term in TERMS:
        if re.search(term, "\n".join(asked)):
            assert re.search(term, "\n".join(told)), (name, term, lessons)
