"""Points and feedback go back to Moodle: to whom they belong, or the teacher is told. The worksheets are made up."""

import csv
import io
import json
import os
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from lazydestroy.grading.collect import collect
from lazydestroy.grading.course import Course, Submission, table
from lazydestroy.grading.moodle import main

HEAD = "Identifier,Full name,Email address,Status,Grade,Maximum Grade,Last modified (grade),Feedback comments"
ADA = "Participant 123,Ada Lovelace,ada@example.org,Submitted for grading,,20.00,-,"
JORG = (
    'Participant 77,"Weiß, Jörg ""Jo""",jo@example.org,Submitted for grading,,20.00,"Monday, 5 October 2026, 9:00 AM",'
)
POINTS = "student_id,last_name,first_name,email,week-1/patch-3 (10),week-1/patch-4 (10),week-2/patch-8 (20),total\n"


@pytest.fixture
def course(tmp_path):
    folder = tmp_path / "course"
    (folder / "source/week-1").mkdir(parents=True)
    for name in ("Ada Lovelace_123_assignsubmission_file_", 'Weiß, Jörg "Jo"_77_assignsubmission_file'):
        (tmp_path / "all" / name).mkdir(parents=True)
        (tmp_path / "all" / name / "patch-3.ipynb").write_text("{}", encoding="utf-8")
    collect(tmp_path / "all", folder, "week-1")
    points(folder, "ada-lovelace,,,,7.5,10,,17.5", "weiss-jörg-jo,,,,3,,,3")
    return folder


def points(course, *rows):
    (course / "points.csv").write_text(POINTS + "\n".join(rows) + "\n", encoding="utf-8")


def filled(course, *rows, head=HEAD, options=(), encoding="utf-8", code=0):
    """The rows of the filled worksheet, by identifier."""
    sheet = course.parent / "sheet.csv"
    sheet.write_bytes("\r\n".join([head, *rows, ""]).encode(encoding))
    before = sheet.read_bytes()
    assert main([str(sheet), str(course), "week-1", *options]) == code
    assert sheet.read_bytes() == before
    text = (course / "moodle-week-1.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;", key=text.partition("\n")[0].count))
    return {row[rows.fieldnames[0]]: row for row in rows}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_points_go_to_the_number_in_the_folders_name(course, capsys, encoding):
    found = filled(course, JORG, ADA, encoding=encoding)
    assert found["Participant 123"]["Grade"] == "17.5"
    assert found["Participant 123"]["Feedback comments"] == "patch-3: 7.5 of 10; patch-4: 10 of 10"
    assert found["Participant 77"]["Grade"] == "3"
    assert found["Participant 77"]["Full name"] == 'Weiß, Jörg "Jo"'
    assert found["Participant 77"]["Last modified (grade)"] == "Monday, 5 October 2026, 9:00 AM"
    printed = capsys.readouterr().out
    assert "weiss-jörg-jo: no points yet for patch-4" in printed and "2 students" in printed


def test_what_is_not_ours_stays(course):
    nobody = "Participant 9,Bob,bob@example.org,No submission,5.00,20.00,-,late"
    found = filled(course, ADA + "well done", JORG, nobody)
    assert found["Participant 123"]["Feedback comments"] == "well done"
    assert (found["Participant 9"]["Grade"], found["Participant 9"]["Feedback comments"]) == ("5.00", "late")


def test_a_worksheet_with_other_heads_and_decimal_commas(course):
    head = "ID;Vollständiger Name;Bewertung;Maximum Grade;Zuletzt geändert"
    found = filled(
        course,
        "Teilnehmer/in123;Ada;;20,00;-",
        "Teilnehmer/in77;Jörg;;20,00;-",
        head=head,
        options=["--grade", "Bewertung"],
    )
    assert [row["Bewertung"] for row in found.values()] == ["17,5", "3"]


@pytest.mark.parametrize("student", ["ada@example.org", "ada-lovelace", "s4711"])
def test_without_a_number_an_id_must_be_one_rows(course, student, capsys):
    (course / "collected.json").unlink()
    points(course, f"{student},,,,1,2,,3")
    head = HEAD.replace("Email address", "Email address,ID number")
    rows = [
        "Participant 123,Ada Lovelace,ada@example.org,s4711,,,20.00,-,",
        "Participant 5,Bob,bob@example.org,s4712,,,20.00,-,",
    ]
    assert filled(course, *rows, head=head)["Participant 123"]["Grade"] == "3"
    twice = [*rows, rows[0].replace("123", "124")]
    assert {row["Grade"] for row in filled(course, *twice, head=head, code=1).values()} == {""}
    assert f"{student}: 2 rows could be theirs" in capsys.readouterr().out


def test_who_is_not_in_the_worksheet_is_named(course, capsys):
    points(course, "ada-lovelace,,,,1,2,,3", "carl,,,,4,4,,8", "dora,,,,,,5,5")
    assert set(filled(course, ADA, JORG, code=1)) == {"Participant 123", "Participant 77"}
    printed = capsys.readouterr().out
    assert "carl: no row of the worksheet is theirs" in printed and "dora" not in printed


def test_more_points_than_moodle_takes_and_a_changed_grade_are_told(course, capsys):
    ten = ADA.replace("20.00", "10.00")
    assert filled(course, ten, JORG.replace(",,20", ",2.00,20"), code=1)["Participant 123"]["Grade"] == ""
    printed = capsys.readouterr().out
    assert "ada-lovelace: 17.5 points, but Moodle's maximum is 10" in printed
    assert "weiss-jörg-jo: 2.00 becomes 3" in printed
    assert "Moodle's maximum is 10, and the problems give 20 points" in printed


def test_feedback_is_packed_under_names_that_moodle_understands(course, capsys):
    filled(course, ADA, JORG)
    assert "There is no feedback yet" in capsys.readouterr().out
    there = course / "feedback/ada-lovelace/week-1"
    there.mkdir(parents=True)
    (there / "patch-3.html").write_text("good", encoding="utf-8")
    filled(course, ADA, JORG)
    with zipfile.ZipFile(course / "moodle-week-1-feedback.zip") as archive:
        assert archive.namelist() == ["ada-lovelace_123_assignsubmission_file_/patch-3.html"]


def test_what_cannot_be_filled_is_refused_with_what_to_do(course, capsys):
    sheet = course.parent / "bad.csv"
    for content, said in (
        (b"ID,Nota\r\n", "grade='Grade': the columns of bad.csv are ID, Nota; name yours with --grade"),
        (HEAD.encode() + b"\r\nParticipant 1,Ada\r\n", "row 2 has 2 fields, the head has 8"),
        ("Identifier,Grade,Größe".encode("latin-1"), "is not in UTF-8; download it again"),
    ):
        sheet.write_bytes(content)
        assert main([str(sheet), str(course), "week-1"]) == 2
        assert said in capsys.readouterr().err
    sheet.write_text(HEAD, encoding="utf-8")
    assert main([str(sheet), str(course), "week-9"]) == 2
    assert "assignment='week-9': points.csv has week-1, week-2" in capsys.readouterr().err
    (course / "points.csv").unlink()
    assert main([str(sheet), str(course), "week-1"]) == 2
    assert "make grade first" in capsys.readouterr().err


def test_collecting_again_keeps_the_numbers_of_before(course, tmp_path):
    (tmp_path / "more/Eve_8_assignsubmission_file_").mkdir(parents=True)
    (tmp_path / "more/Eve_8_assignsubmission_file_/patch-3.ipynb").write_text("{}", encoding="utf-8")
    collect(tmp_path / "more", course, "week-1")
    assert set(json.loads((course / "collected.json").read_text(encoding="utf-8"))["week-1"]) == {
        "ada-lovelace",
        "weiss-jörg-jo",
        "eve",
    }


def test_points_that_a_damaged_resubmission_leaves_are_told(tmp_path, monkeypatch):
    """They are kept: what was right once is worth something, until the teacher has asked for the file again."""
    from nbgrader.api import Gradebook

    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)  # where alembic is
    for name in ("source", "submitted"):
        (tmp_path / name).mkdir()
    (tmp_path / "nbgrader_config.py").touch()
    book = Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}")
    with book:
        book.add_assignment("week-1")
        book.add_notebook("patch-3", "week-1")
        book.add_grade_cell("patch-3-points", "patch-3", "week-1", max_score=10, cell_type="code")
        book.add_student("ada")
        book.add_submission("week-1", "ada")
        book.find_grade("patch-3-points", "patch-3", "week-1", "ada").auto_score = 8
        book.db.commit()
        submissions = [Submission(student, "week-1", failed="it is damaged") for student in ("ada", "bob")]
        Course(tmp_path)._read_points(SimpleNamespace(gradebook=book), submissions)
    told = table(submissions)
    assert "points.csv keeps the 8 of 10 from before" in told.partition("bob")[0]
    assert "keeps" not in told.partition("bob")[2]


@pytest.mark.parametrize(
    "content",
    [
        "a,week-1/patch-3 (10)\n1,2\n",
        f"{POINTS}ada,,,,x,,,\n",
        f"{POINTS}ada,,,,nan,,,\n",
        f"{POINTS}ada,,,,inf,,,\n",
        f"{POINTS}ada,,,,{'9' * 200_000},,,\n",
        "student_id,ä",
    ],
    ids=["other columns", "no number", "nan", "inf", "a field without end", "not UTF-8"],
)
def test_points_that_make_grade_has_not_written_are_refused(course, capsys, content):
    (course / "points.csv").write_bytes(content.encode("latin-1"))
    sheet = course.parent / "sheet.csv"
    sheet.write_text(f"{HEAD}\n{ADA}\n", encoding="utf-8")
    assert main([str(sheet), str(course), "week-1"]) == 2
    assert "make grade again" in capsys.readouterr().err


@pytest.mark.parametrize("most", ["inf", "nan", "1e999"])
def test_a_maximum_without_end_is_none(course, capsys, most):
    filled(course, JORG.replace("20.00", most), ADA.replace("20.00", most))
    assert "Moodle's maximum" not in capsys.readouterr().out


def test_a_worksheet_with_a_field_without_end_is_none(course, capsys):
    sheet = course.parent / "sheet.csv"
    sheet.write_text(f"{HEAD}\n{'x' * 200_000}\n", encoding="utf-8")
    assert main([str(sheet), str(course), "week-1"]) == 2
    assert "worksheet=" in capsys.readouterr().err
