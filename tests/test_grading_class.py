"""A class hands in as classes do: in the wrong folder, twice, damaged, under another's name; and is graded again."""

import csv
import json
import os

import nbformat
import pytest

from lazydestroy.grading import course as grading
from lazydestroy.grading.course import Course, Submission, main, summary
from lazydestroy.grading.fixing import fix
from tests import submissions
from tests.release_exercises import RELEASE, SOURCE

PATCH = "write-the-patch"


def handed_in(folder, **files):
    """Write files into a folder, each a second later than the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    for second, (name, content) in enumerate(files.items()):
        path = folder / name
        path.write_text(content if isinstance(content, str) else nbformat.writes(content), encoding="utf-8")
        os.utime(path, (1_700_000_000 + second,) * 2)
    return folder


def patch_4(text):
    return submissions.notebook("patch-4", {"patch-4": text})


@pytest.fixture
def course(tmp_path):
    submissions.course(tmp_path)
    return tmp_path


@pytest.mark.parametrize("newest", ["patch-4.ipynb", "patch-4 (1).ipynb", "final.ipynb"])
def test_of_what_was_handed_in_twice_the_newest_counts(tmp_path, newest):
    older = [name for name in ("patch-4 (1).ipynb", "final.ipynb", "patch-4.ipynb") if name != newest]
    files = {name: patch_4("OLD = 1") for name in older} | {newest: patch_4("NEW = 1")}
    fixed = fix(handed_in(tmp_path, **files), SOURCE / PATCH)
    assert [path.name for path in tmp_path.glob("*.ipynb")] == ["patch-4.ipynb"]
    assert "NEW = 1" in (tmp_path / "patch-4.ipynb").read_text()
    told = [note for note in fixed.notes if f"{newest} was changed last" in note]
    assert len(told) == 1 and all(name in told[0] for name in older)
    assert not any("not graded" in note or "patch-4.ipynb is missing" in note for note in fixed.notes)


def test_of_two_files_with_the_same_time_the_one_that_a_browser_numbered_counts(tmp_path):
    handed_in(tmp_path, **{"patch-4 (1).ipynb": patch_4("NEW = 1"), "patch-4.ipynb": patch_4("OLD = 1")})
    for path in tmp_path.glob("*.ipynb"):
        os.utime(path, (1_700_000_000,) * 2)
    fixed = fix(tmp_path, SOURCE / PATCH)
    assert "NEW = 1" in (tmp_path / "patch-4.ipynb").read_text()
    assert "(they have the same time)" in fixed.notes[0]


@pytest.mark.parametrize("name", ["patch-4.ipynb", "patch-4 (1).ipynb"])
def test_what_cannot_be_read_is_counted_and_not_called_missing(tmp_path, name):
    fixed = fix(handed_in(tmp_path, **{name: "this was lost"}), SOURCE / PATCH)
    assert fixed.unreadable == [name] and "damaged" in fixed.notes[0]
    assert "patch-4.ipynb is missing" not in fixed.notes and "patch-3.ipynb is missing" in fixed.notes
    said = summary([Submission("dave", "week-1", unreadable=[name])], 1.2)
    assert said == f"1 submission graded, 0 failed, in 1 s; 1 notebook could not be graded (dave/week-1/{name})."


def _changed(change):
    notebook = json.loads(nbformat.writes(patch_4("NEW = 1")))
    change(notebook)
    return json.dumps(notebook).encode()


def _each_cell(change):
    return lambda notebook: [change(cell) for cell in notebook["cells"] if "nbgrader" not in cell["metadata"]]


def _added(marks, source="1"):
    cell = {"cell_type": "code", "metadata": {"nbgrader": marks}, "source": source, "outputs": [], "id": "mine"}
    return lambda notebook: notebook["cells"].append({**cell, "execution_count": None})


DAMAGED = {
    "cells without metadata": _changed(_each_cell(lambda cell: cell.pop("metadata"))),
    "metadata that is null": _changed(_each_cell(lambda cell: cell.update(metadata=None))),
    "outputs that are null": _changed(_each_cell(lambda cell: "outputs" in cell and cell.update(outputs=None))),
    "no metadata at all": _changed(lambda notebook: notebook.pop("metadata")),
    "marks that are a list": _changed(_added([1])),
    "a name that is a list": _changed(_added({"grade_id": ["a"], "grade": True})),
    "a cell of another notebook": _changed(_added({"grade_id": "patch-7-points", "grade": True, "points": 1000})),
    "half a character": _changed(_added({}, "'\ud800'")),
    "a mark of the encoding": b"\xef\xbb\xbf" + _changed(len),
    "UTF-16": nbformat.writes(patch_4("NEW = 1")).encode("utf-16"),
    "newlines of Windows": nbformat.writes(patch_4("NEW = 1")).replace("\n", "\r\n").encode(),
}
"""What makes nbgrader stop, and does not matter."""


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_what_only_nbgrader_cannot_read_is_put_right(tmp_path, content):
    (tmp_path / "PATCH-4.IPYNB").write_bytes(content)
    fixed = fix(tmp_path, SOURCE / PATCH)
    assert fixed.notebooks == ["patch-4"] and not fixed.unreadable
    made = nbformat.read(tmp_path / "patch-4.ipynb", as_version=4)
    nbformat.validate(made)
    nbformat.writes(made).encode()
    assert any(cell.source == "NEW = 1" for cell in made.cells)
    known = {cell.id for cell in nbformat.read(SOURCE / PATCH / "patch-4.ipynb", as_version=4).cells}
    assert all(cell.id in known for cell in made.cells if "grade_id" in cell.metadata.get("nbgrader", {}))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[" * 200_000, "damaged"),
        ("{}", "no list of cells"),
        ('{"cells": {"a": 1}}', "no list of cells"),
        ('{"cells": [1], "nbformat": 4}', "no list of cells"),
        (nbformat.writes(patch_4("NEW = 1"), version=3), "no list of cells"),
    ],
    ids=["nested", "empty", "no list", "no cells", "version 3"],
)
def test_what_nobody_can_read_is_told_and_stops_nothing(tmp_path, content, said):
    fixed = fix(handed_in(tmp_path, **{"patch-4.ipynb": content}), SOURCE / PATCH)
    assert fixed.unreadable == ["patch-4.ipynb"] and said in fixed.notes[0]


def test_links_and_pipes_are_not_followed_and_names_that_nbgrader_cannot_find_are_told(course):
    folder = handed_in(course / "submitted" / "ada" / PATCH, **{"patch-4.ipynb": patch_4("NEW = 1")})
    (folder / "patch-6.ipynb").symlink_to("/dev/zero")
    (folder / "everything").symlink_to("/")
    os.mkfifo(folder / "patch-7.ipynb")
    (folder / "patch-8.ipynb").mkdir()
    submission = Submission("ada", PATCH)
    Course(course).fix(submission)
    assert not submission.failed
    told = "\n".join(submission.notes)
    assert "patch-6.ipynb is a link" in told and "everything is a link" in told
    assert "patch-7.ipynb cannot be copied" in told and "patch-6.ipynb is missing" in told
    for name in ("a*", "b[c]", "what?", "two\nlines"):
        handed_in(course / "submitted" / name / PATCH, **{"patch-4.ipynb": patch_4("NEW = 1")})
        submission = Submission(name, PATCH)
        Course(course).fix(submission)
        assert submission.failed == f"nbgrader cannot work with {name!r}: rename the folder"


def test_what_lies_in_the_wrong_place_is_told(course):
    handed_in(course / "submitted", **{"patch-4.ipynb": ""})
    handed_in(course / "submitted/frank/write-the-patches", **{"patch-4.ipynb": ""})
    handed_in(course / "submitted/gina", **{"patch-4 (1).ipynb": "", "thoughts.ipynb": ""})
    handed_in(course / "submitted/hal" / PATCH, **{"patch-4.ipynb": ""})
    assert Course(course).misplaced() == [
        "patch-4.ipynb lies in submitted itself: put it into STUDENT/ASSIGNMENT",
        "frank/write-the-patches is no assignment: did you mean frank/write-the-patch?",
        "gina/patch-4 (1).ipynb lies in no assignment's folder: did you mean gina/write-the-patch?",
        "gina/thoughts.ipynb lies in no assignment's folder",
    ]


def test_who_and_what_is_graded_can_be_named(course):
    for student in ("ada", "bob"):
        for name, assignment in submissions.NOTEBOOKS.items():
            handed_in(course / "submitted" / student / assignment, **{f"{name}.ipynb": ""})
    found = Course(course).submissions(["ada"], [PATCH])
    assert [(each.student, each.assignment) for each in found] == [("ada", PATCH)]
    assert len(Course(course).submissions()) == 4
    with pytest.raises(ValueError, match="student='eve': use one of ada, bob"):
        Course(course).submissions(["eve"])
    with pytest.raises(ValueError, match="assignment='week-9': use one of predict-and-compute, write-the-patch"):
        Course(course).submissions((), ["week-9"])


def points(folder):
    with (folder / "points.csv").open(newline="") as reading:
        return {row["student_id"]: row for row in csv.DictReader(reading)}


@pytest.mark.notebooks
@pytest.mark.long("nbgrader grades a small class three times")
def test_a_class_is_graded_and_graded_again(course, capsys, monkeypatch):
    (course / "source/experiment").mkdir()
    (course / "source/experiment/experiment.ipynb").write_bytes(
        (SOURCE / "design-an-experiment/experiment.ipynb").read_bytes()
    )
    counts = submissions.notebook("3-counts", submissions.in_units("bob"), student="bob")
    handed_in(course / "submitted/ada" / PATCH, **{"patch-4.ipynb": "lost", "patch-6.ipynb": tried()})
    handed_in(course / "submitted/lea/predict-and-compute", **{"3-counts.ipynb": counts})
    handed_in(course / "submitted/bob/experiment", **{"experiment.ipynb": experiment(course / "harm")})

    def grade(*arguments):
        status = main([str(course), *arguments])
        return status, capsys.readouterr().out

    status, said = grade()
    assert status == 1 and "1 notebook could not be graded (ada/write-the-patch/patch-4.ipynb)." in said
    assert "The notebook has the problems of 'bob'; these are those of 'lea'." in said
    assert "no points for patch-6: Your answer is no Python" in said
    assert "2 of 4 for out-of-memory" not in said and said.count("no points for") > 1
    assert "tries that it shows: patch-6 3" in said
    assert "3 answers for you to grade" in said
    assert not (course / "harm").exists(), "a cell of an experiment was run"
    shown = (course / "autograded/bob/experiment/experiment.ipynb").read_text()
    assert "what it printed" in shown and "<script>" not in shown
    empty = [value for name, value in points(course)["ada"].items() if "3-counts" in name or "experiment/" in name]
    assert not any(empty)
    assert points(course)["ada"]["write-the-patch/patch-4 (10)"] == ""
    assert points(course)["ada"]["write-the-patch/patch-6 (10)"] == "0.0"
    untouched = dict.fromkeys((f"experiment/{part}" for part in ("question (2)", "hypothesis (2)", "words (1)")), "0.0")
    parts = {name: value for name, value in points(course)["bob"].items() if name.startswith("experiment/")}
    assert parts == dict.fromkeys(parts, "") | untouched and len(parts) == 6

    give_points(course)
    monkeypatch.setattr(grading, "fix", lambda *_: pytest.fail("it was graded again"))
    (course / "submitted/ada" / PATCH / "patch-4.ipynb").unlink()
    (course / "submitted/ada" / PATCH / "patch-6.ipynb").unlink()
    (course / "submitted/ada" / PATCH).rmdir()
    status, said = grade()
    assert status == 0 and "2 submissions graded (2 unchanged), 0 failed" in said
    assert "for you to grade" not in said and "The notebook has the problems of 'bob'" in said
    assert points(course)["ada"]["total"] in ("0", "0.0")
    assert sum(float(v) for k, v in points(course)["bob"].items() if k.startswith("experiment/")) == 10
    monkeypatch.undo()
    _, said = grade("--again", "--student", "bob")
    assert "1 submission graded, 0 failed" in said and "unchanged" not in said


def tried():
    made = submissions.notebook("patch-6", {"patch-6": "class MyPatch:\n    def (:\n"})
    check = next(cell for cell in made.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == "patch-6-points")
    check.outputs = [nbformat.v4.new_output("stream", text="(try 3)")]
    return made


def experiment(harm):
    """One whose cells write where they should not, and show what they should not."""
    made = nbformat.read(RELEASE / "design-an-experiment/experiment.ipynb", as_version=4)
    data = {"text/plain": "a picture", "text/html": "<script>alert(1)</script>"}
    outputs = [nbformat.v4.new_output("stream", text="what it printed"), nbformat.v4.new_output("display_data", data)]
    for cell in made.cells:
        if cell.cell_type == "code":
            cell.source += f"\nopen({str(harm)!r}, 'w')\nwhile True: pass"
            cell.outputs = outputs
    return made


def give_points(folder):
    """As a teacher does in the formgrader."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as book:
        for notebook in book.find_submission("experiment", "bob").notebooks:
            for grade in notebook.grades:
                grade.manual_score, grade.needs_manual_grade = grade.max_score, False
        book.db.commit()


def test_what_is_kept_of_a_grading_is_no_longer_true_when_a_file_changes(course):
    handed_in(course / "submitted/ada" / PATCH, **{"patch-4.ipynb": "1"})
    graded = grading.Graded(course)
    graded.keep("ada", PATCH, ["a note"])
    graded.save()
    assert json.loads((course / "graded.json").read_text())
    assert grading.Graded(course).notes("ada", PATCH) == ["a note"]
    assert grading.Graded(course).notes("bob", PATCH) is None
    for changed in (f"submitted/ada/{PATCH}/patch-4.ipynb", f"source/{PATCH}/patch-4.ipynb", "nbgrader_config.py"):
        before = (course / changed).read_text()
        (course / changed).write_text(before + " ")
        assert grading.Graded(course).notes("ada", PATCH) is None
        (course / changed).write_text(before)
    assert grading.Graded(course).notes("ada", PATCH) == ["a note"]
