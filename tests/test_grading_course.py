"""A course of made-up students is graded by one command: each is given what it deserves."""

import csv
import subprocess
import sys

import pytest

from tests import submissions

pytestmark = [
    pytest.mark.notebooks,
    pytest.mark.long("nbgrader grades some thirty submissions; what each is worth is only seen with nbgrader"),
]


@pytest.fixture(scope="module")
def students():
    """Made here, not when the tests are collected: what they hand in has to be computed."""
    return [make() for make in submissions.STUDENTS]


@pytest.fixture(scope="module")
def graded(tmp_path_factory, students):
    """The course after grading: its folder, and what was printed."""
    folder = tmp_path_factory.mktemp("course")
    submissions.course(folder)
    for student in students:
        submissions.hand_in(student, folder)
    done = subprocess.run(
        [sys.executable, "-m", "lazydestroy.grading.course", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-3000:]  # there is one that cannot be graded
    assert " submissions graded, 1 failed" in done.stdout
    return folder, done.stdout


@pytest.fixture(scope="module")
def points(graded):
    """Points by student and notebook."""
    folder, _ = graded
    with (folder / "points.csv").open(newline="") as reading:
        rows = list(csv.DictReader(reading))
    found = {}
    for row in rows:
        each = dict.fromkeys(submissions.NOTEBOOKS, 0.0)
        for head, value in row.items():
            problem = head.partition("/")[2].partition(" ")[0]
            if problem:
                each[problem if problem in each else "3-counts"] += float(value or 0)
        found[row["student_id"]] = each
    return found


def test_given_is_deserved(points, students):
    wrong = []
    print(f"{'student':18}" + "".join(f"{name:>20}" for name in submissions.NOTEBOOKS))
    for student in students:
        given = points[student.name]
        deserved = {name: student.deserves.get(name, 0) for name in given}
        print(f"{student.name:18}" + "".join(f"{given[name]:>10g} of {deserved[name]:<6g}" for name in given))
        if given != pytest.approx(deserved):
            wrong.append((student.name, given, deserved))
    assert not wrong


def test_the_reason_is_told(graded, students):
    """To the student in what nbgrader has graded, or to the teacher in the table."""
    folder, printed = graded
    not_told = []
    for student in students:
        told = "".join(path.read_text() for path in (folder / "autograded" / student.name).rglob("*.ipynb"))
        start = printed.find(f"{student.name} ")
        if student.says not in told and student.says not in printed[start : start + 700]:
            not_told.append((student.name, student.says))
    assert not not_told


def test_what_was_handed_in_is_left_as_it_is(graded):
    folder, _ = graded
    assert (folder / "submitted/renamed/write-the-patch/patch-4 (1).ipynb").exists()


def test_each_problem_has_a_column_with_its_points(graded):
    folder, _ = graded
    head = (folder / "points.csv").read_text().splitlines()[0].split(",")
    assert head[:4] == ["student_id", "last_name", "first_name", "email"] and head[-2:] == ["total", "final (90)"]
    for name, most in {**submissions.COUNTS, "patch-4": 10, "patch-6": 10}.items():
        assert sum(column.endswith(f"/{name} ({most})") for column in head) == 1
