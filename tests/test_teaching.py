"""The teacher's guide: its plans fit the clock and the lessons, and its commands are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from test_notebooks import committed, headings, markdown

import lazydestroy as ld
from lazydestroy.grading.sheets import VOLUNTARY, WEIGHTS
from tests.refresh_notebooks import FOLDER, ROOT
from tools import course, lessons

GUIDE = FOLDER / "reference/teaching.ipynb"
SOURCE = FOLDER / "exercises/source"
CLASS_MINUTES = 90

LESSON = re.compile(r"\((?:\.\./)+(?P<file>course/[\w-]+\.ipynb)\)")


def cell(name: str) -> str:
    """A cell of the guide."""
    return next(each.source for each in committed(GUIDE).cells if each.id == name)


def rows(text: str) -> list[list[str]]:
    """The rows of the tables in a text."""
    lines = (line for line in text.splitlines() if line.startswith("|") and not set(line) <= set("|- "))
    return [[part.strip() for part in line.strip("|").split("|")] for line in lines]


def measured(name: str) -> lessons.Lesson:
    return lessons.measure(FOLDER / name, FOLDER)


def plan(title: str) -> list[list[str]]:
    """The table of a plan."""
    return rows(re.split(r"^### ", cell("plans"), flags=re.MULTILINE)[1:][title])


@pytest.mark.parametrize(("which", "minutes"), [(0, CLASS_MINUTES), (2, 60)], ids=["lab", "reviewers"])
def test_a_plan_by_the_clock_leaves_each_lesson_its_measured_minutes(which, minutes):
    at = 0
    for row in plan(which)[1:]:
        begin, end = map(int, row[0].split("–"))
        assert begin == at < end
        at = end
        for found in LESSON.finditer(row[1]):
            if "up to the table" not in row[1]:
                reading, everything = measured(found["file"]).minutes
                assert end - begin >= (everything if ", with its exercises" in row[1] else reading), row
    assert at == minutes


def sessions() -> list[list[str]]:
    """The lessons of each session, by what the plan of three weeks links to."""
    return [[found["file"] for found in LESSON.finditer(row[2])] for row in plan(1)[1:]]


def test_the_sessions_are_those_of_the_courses_folder_and_cover_the_course():
    assert sessions() == [[f"course/{name}.ipynb" for name in names] for names in course.SESSIONS]
    in_order = [path.relative_to(FOLDER).as_posix() for path in sorted((FOLDER / "course").glob("*.ipynb"))]
    assert [name for session in sessions() for name in session] == in_order


def homework(session: int, lesson: lessons.Lesson) -> int:
    """Minutes of a lesson's exercises that are due when the session begins: they were handed out."""
    due = [Path(name).name for each in course.HANDOUTS if each.due == session for name in each.notebooks]
    return sum(minutes for name, minutes in lesson.own.items() if name in due)


def in_class(session: int, lesson: lessons.Lesson) -> int:
    """Minutes of a lesson in class, with its exercises."""
    return (lesson.minutes[1] or lesson.minutes[0]) - homework(session, lesson)


def test_a_session_has_time_for_its_lessons_and_their_exercises():
    """But for those that were handed out."""
    for number, session in enumerate(sessions(), 1):
        assert sum(in_class(number, measured(name)) for name in session) <= CLASS_MINUTES - 10, session


def test_a_session_after_homework_on_its_lesson_says_its_minutes():
    """A sum of what each lesson takes, with its exercises but without the homework."""
    said = 0
    for number, row in enumerate(plan(1)[1:], 1):
        found = [measured(each["file"]) for each in LESSON.finditer(row[2])]
        if any(homework(number, each) for each in found):
            assert f"{' + '.join(str(in_class(number, each)) for each in found)} minutes" in row[3]
            said += 1
    assert said == 1


def test_the_minutes_of_each_session_add_up():
    for number, row in enumerate(plan(1)[1:], 1):
        minutes = [int(found) for found in re.findall(r"\b(\d+)\b(?= \+| minutes| for| to)", row[3])]
        assert sum(minutes) == CLASS_MINUTES, row[3]
        lessons_take = [in_class(number, measured(name)) for name in sessions()[number - 1]]
        assert minutes[: len(lessons_take)] == lessons_take, row[3]


def at_home(notebook: str) -> int:
    """Minutes that an exercise's own notebook says."""
    return int(re.search(r"\*\*Time:\*\* (\d+) minutes", committed(SOURCE / f"{notebook}.ipynb").cells[0].source)[1])


def test_the_work_at_home_takes_what_the_exercises_take():
    takes = {each.name: sum(map(at_home, each.notebooks)) for each in course.HANDOUTS}
    assert (
        f"{takes['week-1']} minutes after session 1, {takes['week-2']} after session 4, "
        f"{takes['week-3']} after session 5, "
        f"and {takes['experiment']} for the experiment"
    ) in cell("plans")
    assert f"Another {takes['more']} after session 2" in cell("plans")


def test_the_weights_are_the_guides():
    said = re.search(r"Patches (\d+) %, problems (\d+) %, the experiment (\d+) %, .* (\d+) %", cell("grading"))
    assert [int(each) for each in said.groups()] == [*WEIGHTS.values(), 100 - sum(WEIGHTS.values())]
    voluntary = {
        f"patch-{each}" for each in re.search(r"Patches (\d) and (\d) are voluntary", cell("grading")).groups()
    }
    assert voluntary == set(VOLUNTARY)


def test_each_goal_says_where_it_is_examined_and_names_the_lesson_of_its_problem():
    for row in rows(cell("goals"))[1:]:
        if len(row) < 4 or row[0].startswith("**") or not row[0]:
            continue
        assert row[3], row
        for name in re.findall(r"`([a-z-]+)`", row[2]):
            if name == "break-even":
                assert ld.exercise(name).lesson in row[1], row


def exercises_in(notebook: str) -> list[str]:
    text = "\n".join(each.source for each in committed(SOURCE / f"{notebook}.ipynb").cells if each.cell_type == "code")
    return re.findall(r'ld\.exercise\("([\w-]+)"', text)


def test_no_lesson_has_the_answer_before_an_exercise_is_due():
    """A patch is told in the lesson that it belongs to."""
    patches = 0
    for handout in course.HANDOUTS:
        assert 1 <= handout.out < handout.due <= len(course.SESSIONS)
        for name in [each for notebook in handout.notebooks for each in exercises_in(notebook)]:
            if name.startswith("patch-") or name == "destroy-fast":
                taught = Path(ld.exercise(name).lesson).stem
                assert not any(taught in session for session in course.SESSIONS[: handout.due - 1]), name
                patches += 1
    assert patches == 7


def test_what_an_exercise_needs_has_been_taught_before_it_is_handed_out():
    asked = 0
    for handout in course.HANDOUTS:
        taught = {name for session in course.SESSIONS[: handout.out] for name in session}
        for name in handout.notebooks:
            first = committed(SOURCE / f"{name}.ipynb").cells[0].source
            needs = first.partition("**You need before:**")[2].partition(". ")[0]
            needed = {Path(found["file"]).stem for found in LESSON.finditer(needs)}
            assert needed <= taught, (name, needed - taught)
            asked += len(needed)
    assert asked > 15


def test_every_exercise_is_handed_out_once():
    handed = [name for handout in course.HANDOUTS for name in handout.notebooks]
    there = {path.relative_to(SOURCE).with_suffix("").as_posix() for path in SOURCE.rglob("*.ipynb")}
    assert len(handed) == len(set(handed))
    assert there == set(handed)


def test_the_plan_hands_out_what_the_courses_folder_has():
    for number, row in enumerate(plan(1)[1:], 1):
        linked = re.findall(r"exercises/release/([\w/-]+)\.ipynb", row[4])
        out = [name for handout in course.HANDOUTS if handout.out == number for name in handout.notebooks]
        assert sorted(linked) == sorted(out), number


def test_the_courses_folder_has_an_assignment_for_each_hand_out(tmp_path, capsys):
    assert course.main([str(tmp_path)]) == 0
    assert {path.name for path in (tmp_path / "source").iterdir()} == {each.name for each in course.HANDOUTS}
    assert (tmp_path / "source/week-1/patch-3.ipynb").exists() and (tmp_path / "nbgrader_config.py").exists()
    assert "week-1: patch-4, patch-3, patch-7\n    handed out after session 1" in capsys.readouterr().out
    assert course.main([str(tmp_path)]) == 1
    assert "there is a course already" in capsys.readouterr().err


def test_a_course_without_a_name_is_refused(tmp_path, monkeypatch, capsys):
    """As `make course` would have it; a course in the repository itself is no good."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        course.main([""])
    assert "make course COURSE=my-course" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_notes_say_where_to_stop_in_every_lesson():
    noted = rows(cell("notes"))[1:]
    assert all(len(row) == 5 and all(row) for row in noted)
    assert len(noted) == len(list((FOLDER / "course").glob("*.ipynb")))
    for row in noted:
        path = FOLDER / LESSON.search(row[0])["file"]
        stop = re.fullmatch(r"\*(.+)\*", row[4])[1]
        assert stop.replace("`", "").replace(" ", "-") in headings(path), (path, stop)


def test_every_command_of_the_guide_is_one():
    text = markdown(GUIDE)
    rules = re.findall(r"^([a-z -]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    targets = {target for rule in rules for target in rule.split()}
    asked = set(re.findall(r"\bmake ([a-z-]+)", "\n".join(re.findall(r"`[^`]+`|```.*?```", text, re.DOTALL))))
    assert len(asked) > 4 and asked <= targets
    modules = re.findall(r"python -m ((?:tools|benchmarks|tests|lazydestroy)[\w.]*\w)", text)
    assert "lazydestroy.grading.collect" in modules
    for module in modules:
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module
