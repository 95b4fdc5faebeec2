"""What students read of their grading: question, answer, points and why, and never what is out of date."""

import re
from types import SimpleNamespace

import nbformat
import pytest

import lazydestroy as ld
from lazydestroy.exercises import NumberExercise
from lazydestroy.exercises.patches import p06
from lazydestroy.grading import pages
from lazydestroy.grading.course import Submission, _to_know, main
from lazydestroy.grading.for_nbgrader import _final, _write
from lazydestroy.grading.judge import Mark
from lazydestroy.grading.sheets import WEIGHTS
from tests import submissions

PATCH = "write-the-patch"
WRONG_6 = submissions.RIGHT_6.replace("if not cc:", "if True:")


def graded(course, name, answers, share, said, results=""):
    """Put a notebook where nbgrader leaves what it has graded."""
    made = submissions.notebook(name, answers, student="ada")
    assignment = submissions.NOTEBOOKS[name]
    for cell in made.cells:
        marks = cell.metadata.get("nbgrader", {})
        if marks.get("grade_id", "").endswith("-points"):
            _write(cell, Mark(marks["grade_id"].removesuffix("-points"), share, said), 0)
        if results and marks.get("grade_id", "").endswith("-check"):
            cell.outputs = [nbformat.v4.new_output("stream", text=results)]
    for folder in ("autograded", "fixed"):
        file = course / folder / "ada" / assignment / f"{name}.ipynb"
        file.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(made, file)


def book(share, comment=""):
    """A data base in which each problem has a share of two points."""
    grade = SimpleNamespace(needs_manual_grade=False, auto_score=2 * share, manual_score=None, score=2 * share)
    grade.max_score = 2
    return SimpleNamespace(find_grade=lambda *_: grade, find_comment=lambda *_: SimpleNamespace(comment=comment))


def page(course, name="3-counts"):
    return (course / "feedback/ada" / submissions.NOTEBOOKS[name] / f"{name}.html").read_text(encoding="utf-8")


def written(course, share=0.5, solutions=False, name="3-counts", comment="", **submission):
    made = Submission("ada", submissions.NOTEBOOKS[name], **submission)
    pages.write(course, book(share, comment), made, [name], solutions)


def test_a_page_has_the_question_the_answer_the_points_and_why(tmp_path):
    graded(tmp_path, "3-counts", {"uvc-counts": "answer = 6 * 7  # my guess"}, 0.5, "the reason", "it said: not yet")
    written(tmp_path, comment="well tried")
    shown = page(tmp_path)
    for name in submissions.COUNTS:
        problem = ld.exercise(name, seed="ada")
        assert isinstance(problem, NumberExercise)
        assert problem._repr_html_() in shown and f"({name})" in shown
        assert problem.right_answer not in shown
    assert "answer = 6 * 7  # my guess" in shown and "the reason" in shown and "it said: not yet" in shown
    assert "1 of 2 points" in shown and "4 of 8 points" in shown and "well tried" in shown
    assert "HIDDEN" not in shown and "Test cell" not in shown and "href" not in shown


def test_the_solution_comes_when_the_teacher_wants_and_stays(tmp_path):
    graded(tmp_path, "3-counts", {}, 0.5, "the reason")
    right = ld.exercise("uvc-counts", seed="ada").right_answer
    written(tmp_path)
    assert right not in page(tmp_path)
    written(tmp_path, solutions=True)
    assert f"Right is: {right}." in page(tmp_path)
    written(tmp_path, share=1)
    assert f"Right is: {right}." in page(tmp_path) and "2 of 2 points" in page(tmp_path)


def test_a_patch_has_what_was_given(tmp_path):
    graded(tmp_path, "patch-6", {"patch-6": WRONG_6}, 0.4, "not yet")
    written(tmp_path, name="patch-6")
    shown = page(tmp_path, "patch-6")
    assert "What you were given" in shown and "configuration_destroyed(self, mm, cc)" in shown
    assert "is_protected" in shown and p06.EXERCISE.steps[0] not in shown


def test_nothing_of_a_students_is_run_in_a_browser(tmp_path):
    bad = "answer = '<script>alert(1)</script>'"
    graded(tmp_path, "3-counts", {"uvc-counts": bad}, 0, "<script>said</script>", "<script>shown</script>")
    written(tmp_path, comment="<script>commented</script>")
    assert "<script" not in page(tmp_path) and page(tmp_path).count("&lt;script&gt;") >= 4


def test_a_damaged_file_is_told_and_what_is_out_of_date_goes(tmp_path):
    written(tmp_path, unreadable=["3-counts (1).ipynb"])
    assert "3-counts (1).ipynb is damaged" in page(tmp_path) and "Please hand it in again" in page(tmp_path)
    stale = tmp_path / "feedback/ada/predict-and-compute/1-pages.html"
    stale.write_text("10.0/10.0")
    graded(tmp_path, "3-counts", {}, 0.5, "the reason")
    written(tmp_path)
    assert "damaged" not in page(tmp_path) and not stale.exists()
    (tmp_path / "submitted/bob/predict-and-compute").mkdir(parents=True)
    pages.remove_withdrawn(tmp_path, ["predict-and-compute"])
    assert not stale.parent.exists()


def test_a_page_is_not_written_again_if_nothing_has_changed(tmp_path):
    graded(tmp_path, "3-counts", {}, 0.5, "the reason")
    written(tmp_path)
    file = tmp_path / "feedback/ada/predict-and-compute/3-counts.html"
    file.write_text(page(tmp_path) + "mine", encoding="utf-8")
    written(tmp_path)
    assert page(tmp_path).endswith("mine")
    file.write_text("what nbgrader writes", encoding="utf-8")
    written(tmp_path)
    assert "the reason" in page(tmp_path)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("patch-6: not yet. Safe. But in an experiment:\n* It failed.", "Safe. But in an experiment: It failed."),
        ("patch-6: not yet. It breaks:\n 1. x\n=> harm: here\n* Was it so?", "It breaks: => harm: here"),
        ("patch-6: there is no answer.", "there is no answer."),
        ("patch-6: not yet. " + "x" * 999, "x …"),
    ],
)
def test_each_answer_without_all_points_has_a_line_that_says_why(said, told):
    for share, points in ((0.25, "2.5 of 10"), (0, "no points")):
        (line,) = _to_know([Mark("patch-6", share, said)], {"patch-6": 10.0})
        assert line.startswith(f"{points} for patch-6: ") and line.endswith(told) and len(line) < 400
    assert not list(_to_know([Mark("patch-6", 1.0, said)], {"patch-6": 10.0}))


@pytest.mark.notebooks
@pytest.mark.long("nbgrader grades one student twice")
def test_what_was_graded_again_is_told_again(tmp_path, capsys):
    submissions.course(tmp_path)

    def grade(text):
        folder = tmp_path / "submitted/ada" / PATCH
        folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(submissions.notebook("patch-4", {"patch-4": text}), folder / "patch-4.ipynb")
        main([str(tmp_path)])
        return page(tmp_path, "patch-4"), capsys.readouterr().out

    before, said = grade(submissions.RIGHT_4)
    assert "10 of 10 points" in before and "no points" not in said
    after, said = grade(submissions.IDLE)
    assert re.search(r"\b0 of 10 points", after) and "10 of 10" not in after.replace("0 of 10", "", 1)
    assert "no points for patch-4: " in said


def test_the_final_column_weighs_and_leaves_out_what_is_voluntary():
    heads = ["w/patch-4 (10)", "w/patch-6 (10)", "m/patch-8 (20)", "p/who-owns (2)", "e/question (2)", "e/words (1)"]
    assert _final(heads, [10, 10, "", 2, 2, 1]) == 90 == sum(WEIGHTS.values())
    assert _final(heads, [10, 0, 20, "", "", ""]) == 20
    assert _final(heads, ["", "", 20, 1, 2, ""]) == 30
