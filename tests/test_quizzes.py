"""Quizzes: questions with feedback to each answer, as data; a widget asks them, and a text does where there is none."""

from __future__ import annotations

import json
import re

import pytest

from lazydestroy import quizzes
from lazydestroy.exercises import session
from lazydestroy.quizzes import files, quiz_named, read
from lazydestroy.quizzes.texts import TAGS
from lazydestroy.widgets.quiz import quiz
from tests.in_browser import MARKS, SCREENSHOTS, THEMES, WIDTHS
from tests.lessons import asked, cells, lessons, name_of, with_questions
from tests.refresh_notebooks import FOLDER, ROOT

GOOD = {
    "question": "Who <b>owns</b> the page?",
    "answers": [
        {"answer": "<code>A</code> & co", "correct": True, "feedback": "It was imported for A."},
        {"answer": "the host", "feedback": "The host <i>maps</i> it; that is not to own it."},
    ],
}
JUPYTERQUIZ = {
    "question": "Who?",
    "type": "multiple_choice",
    "answers": [{**each, "correct": "correct" in each} for each in GOOD["answers"]],
}


def changed(**changes):
    return [{**GOOD, **changes}]


@pytest.fixture
def lesson(monkeypatch):
    """A lesson called "mine" with a quiz of two questions."""
    both = {**GOOD, "several": True, "answers": [*GOOD["answers"], {**GOOD["answers"][0], "answer": "B"}]}
    monkeypatch.setattr(files, "_lessons", lambda: {"mine": {"questions": [GOOD, both]}, "other": {}})


# The data


ALL = {name: quiz_named(name) for name in quizzes.names()}

every_quiz = pytest.mark.parametrize("name", ALL)


TEST = "before-and-after"
"""Asked before the course and after it: a question for each of eight things that students get wrong."""


@every_quiz
def test_it_has_three_to_five_questions(name):
    assert len(ALL[name]) == 8 if name == TEST else 3 <= len(ALL[name]) <= 5


@every_quiz
def test_each_wrong_choice_names_where_the_thought_goes_wrong(name):
    for question in ALL[name]:
        assert 2 <= len(question.choices) <= 5
        assert any(not choice.correct for choice in question.choices)
        for choice in question.choices:
            assert len(choice.feedback.split()) >= 7, choice
        assert len({choice.feedback for choice in question.choices}) == len(question.choices)


@every_quiz
def test_it_is_short_enough_to_be_read(name):
    for question in ALL[name]:
        assert len(question.question.split()) <= 45, question.question
        for choice in question.choices:
            assert len(choice.label) <= 130, choice.label
            assert len(choice.feedback.split()) <= 50, choice.feedback


def test_the_right_choice_is_not_always_at_the_same_place_nor_the_longest():
    one = [question for questions in ALL.values() for question in questions if not question.several]
    places = [next(place for place, choice in enumerate(question.choices) if choice.correct) for question in one]
    longest = [max(question.choices, key=lambda choice: len(choice.label)).correct for question in one]
    assert all(places.count(place) >= len(one) / 8 for place in (0, 1, 2))
    assert sum(longest) <= len(one) * 0.6


def options_of_all():
    """For each question of quizzes and predictions: its name, its options as they are read, and which are right."""
    for name, questions in ALL.items():
        for number, question in enumerate(questions, 1):
            labels = [choice.label for choice in question.choices]
            yield f"{name}, question {number}", labels, [choice.correct for choice in question.choices]
    for name in quizzes.predictions():
        options = quizzes.prediction_named(name).options
        yield name, [option.label for option in options], [option.expected for option in options]


@pytest.mark.parametrize(("name", "labels", "right"), list(options_of_all()))
def test_no_option_of_a_question_can_be_told_by_its_form(name, labels, right):
    assert len({label.rstrip()[-1] in ".?!" for label in labels}) == 1, "a full stop behind all of them, or behind none"
    explained = [":" in label for label in labels]
    if len(labels) > 2 and sum(right) == 1:
        assert explained.count(explained[right.index(True)]) > 1, "only the right one has a reason, or only it has none"


# In the lessons


def test_each_lesson_of_the_course_ends_with_a_quiz_of_its_own():
    course = [path for path in lessons() if "course" in path.parts]
    names = [asking.name for path in course for asking in asked(path, "quiz")]
    assert len(names) == len(set(names))
    for path in course:
        *_, quiz, way_on = (cell for cell in cells(path) if cell.cell_type == "code" or "**Next:**" in cell.source)
        assert asked(path, "quiz")[-1].cell in (quiz, way_on), path
        assert way_on is cells(path)[-1], path


def test_each_quiz_is_in_a_lesson():
    assert {asking.name for path in with_questions() for asking in asked(path, "quiz")} == set(quizzes.names())


@pytest.mark.parametrize("path", with_questions(), ids=name_of)
def test_what_is_committed_is_what_would_be_asked(path):
    for asking in asked(path, "quiz"):
        (html,) = asking.html
        assert quiz(asking.name, feedback="feedback=False" not in asking.cell.source).html in html


def test_the_page_before_the_course_does_not_tell_the_answers():
    page = FOLDER / "reference/before-the-course.ipynb"
    assert [asking.name for asking in asked(page, "quiz")] == [TEST]
    text = page.read_text(encoding="utf-8")
    said = [choice.feedback for question in ALL[TEST] for choice in question.choices]
    assert not [each for each in said if each in text]
    other = page.with_name("after-the-course.ipynb").read_text(encoding="utf-8")
    assert all(json.dumps(each, ensure_ascii=False)[1:-1] in other for each in said)


# Reading


def test_marks_are_kept_and_everything_else_is_text():
    question = read(changed(question="Is <code>a < b</code> & <script>alert(1)</script> <b>so</b>?"))[0]
    assert question.question == "Is <code>a &lt; b</code> &amp; &lt;script&gt;alert(1)&lt;/script&gt; <b>so</b>?"
    assert question.text == "Is a < b & <script>alert(1)</script> so?"
    assert set(TAGS) == {"b", "code", "i"}


def test_a_quiz_is_found_by_name(lesson):
    assert quizzes.names() == ("mine",)
    assert quiz("mine").asked == quiz_named("mine") and len(quiz_named("mine")) == 2


@pytest.mark.parametrize("name", ["other", "no such lesson", ""])
def test_a_name_that_there_is_not_is_refused_with_those_that_there_are(lesson, name):
    with pytest.raises(ValueError, match=f"questions='{name}': there is no such quiz; use one of 'mine'"):
        quiz(name)


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        ([], "there are none"),
        (["?"], "question 1: use a table with 'question', 'answers'"),
        ([{**GOOD, "hint": "x"}], "question 1: use a table"),
        (changed(several="no"), "several='no': use True or False"),
        (changed(answers=GOOD["answers"][:1]), "at least two"),
        (changed(answers="AB"), "at least two"),
        (changed(answers=[GOOD["answers"][0]] * 2), "two answers are the same"),
        (changed(answers=[{**each, "correct": True} for each in GOOD["answers"]]), "2 answers are correct"),
        (changed(answers=[{**each, "correct": False} for each in GOOD["answers"]]), "0 answers are correct"),
        (changed(answers=[{"answer": "A", "correct": True}, GOOD["answers"][1]]), "'answer', 'feedback'"),
        (changed(answers=[{**GOOD["answers"][0], "correct": 1}, GOOD["answers"][1]]), "correct=1: use True or False"),
        (changed(answers=[{**GOOD["answers"][0], "feedback": " "}, GOOD["answers"][1]]), "a text that says something"),
        (changed(question=None), "a text that says something"),
        ([GOOD, {**GOOD, "question": 2}], "question 2: 2: use a text"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_number_of_the_question(questions, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        read(questions)


def test_questions_of_your_own_are_in_jupyterquizs_format():
    one, many = quiz([JUPYTERQUIZ, {**JUPYTERQUIZ, "type": "many_choice"}]).asked
    assert not one.several and many.several and one.choices == many.choices
    for wrong, message in (
        ({**JUPYTERQUIZ, "type": "essay"}, "type='essay': use one of 'multiple_choice', 'many_choice'"),
        (GOOD, "question 1: use a table with 'question', 'type', 'answers'"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            quiz([wrong])


# The widget


def test_a_choice_is_answered_at_once(lesson):
    part = quiz("mine").parts[0]
    assert part.says.value == ""
    part.controls[0].value = "the host"
    assert "✘ Not quite. The host <i>maps</i> it" in part.says.value
    part.controls[0].value = "A & co"
    assert "✔ Right. It was imported for A." in part.says.value


def test_several_right_choices_are_answered_one_by_one(lesson):
    part = quiz("mine").parts[1]
    part.controls[0].value = True
    assert part.says.value.count("✔") == 1 and "all of them" not in part.says.value
    part.controls[2].value = True
    assert part.says.value.count("✔") == 2 and "all of them" in part.says.value
    part.controls[1].value = True
    assert "✘" in part.says.value and "all of them" not in part.says.value


def test_its_score_is_part_of_your_progress(lesson, monkeypatch):
    monkeypatch.setattr(session, "_SESSION", session.Progress())
    one, several = quiz("mine").parts
    assert session.progress().quizzes == {}
    one.controls[0].value = "the host"
    one.controls[0].value = "A & co"
    several.controls[0].value = True  # right, but there is more: that is no try
    assert session.progress().quizzes == {"mine": (1, 0, 2)}
    several.controls[2].value = True
    assert session.progress().quizzes == {"mine": (2, 1, 2)}
    quiz([JUPYTERQUIZ]).parts[0].controls[0].value = "the host"
    assert list(session.progress().quizzes) == ["mine"]


# A test: asked before it is taught


def test_a_test_tells_how_many_answers_are_right_and_not_which(lesson, monkeypatch):
    monkeypatch.setattr(session, "_SESSION", session.Progress())
    test = quiz("mine", feedback=False)
    one, several = test.parts
    one.controls[0].value = "the host"
    one.controls[0].value = "A & co"
    several.controls[0].value = True  # right, but there is more
    assert one.says.value == several.says.value == test.says.value == ""
    assert session.progress().quizzes == {}
    test.done.click()
    assert "1 of 2 right.<" in test.says.value and one.says.value == several.says.value == ""
    assert session.progress().quizzes == {"mine/before": (1, 1, 2)}


def test_what_is_left_out_of_a_test_is_not_right(lesson):
    test = quiz("mine", feedback=False)
    test.done.click()
    assert "0 of 2 right, 2 left out." in test.says.value


def test_a_test_that_is_done_cannot_be_changed(lesson, monkeypatch):
    monkeypatch.setattr(session, "_SESSION", session.Progress())
    test = quiz("mine", feedback=False)
    test.done.click()
    assert test.done.disabled and all(control.disabled for part in test.parts for control in part.controls)
    quiz([JUPYTERQUIZ], feedback=False).done.click()
    assert list(session.progress().quizzes) == ["mine/before"], "questions of your own are not kept"


def test_as_a_text_a_test_has_the_answers_and_no_word_on_them(lesson):
    html = quiz("mine", feedback=False).html
    assert html.count("<li>") == 5 and "<details" not in html
    assert "It was imported" not in html and "✔" not in html


def test_as_a_text_each_answer_unfolds_by_itself(lesson):
    shown = quiz("mine")
    assert shown.html.count("<li><details><summary>") == 5 and "<code>A</code> &amp; co" in shown.html
    assert "<details open" not in shown.html and "<script" not in shown.html
    assert shown.text == "A quiz:\n1. Who owns the page?\n2. Who owns the page?"


# In a browser

OFF_LINE = """root => [...root.querySelectorAll('label:has(input)')].filter(label => {
    const words = document.createRange(), button = label.querySelector('input').getBoundingClientRect();
    words.selectNodeContents(label.querySelector('span') ?? label.firstChild);
    const line = words.getClientRects()[0];
    return Math.abs((line.top + line.bottom) / 2 - (button.top + button.bottom) / 2) > 1.5;
}).map(label => label.innerText)"""
"""Answers whose button is above or below their first line."""

LINE_HEIGHTS = """root => [...root.querySelectorAll('.widget-html-content')].map(each => getComputedStyle(each))
    .map(style => parseFloat(style.lineHeight) / parseFloat(style.fontSize))"""


class TestInABrowser:
    pytestmark = MARKS

    def test_a_quiz_is_answered_by_keyboard_and_fits(self, opened):
        path = next(path for path in lessons() if asked(path, "quiz"))
        questions = quiz(asked(path, "quiz")[0].name).asked
        notebook = opened(str(path.relative_to(ROOT)))
        page = notebook.page
        root = page.locator(".lazydestroy-quiz").last
        notebook.until(lambda: root.locator("input").count() > 0, "the quiz is there")
        for number, question in enumerate(questions):
            part = root.locator(":scope > .widget-vbox").nth(number)
            boxes = part.locator("input")
            assert boxes.count() == len(question.choices)
            for place, choice in enumerate(question.choices):
                boxes.nth(place).focus()
                page.keyboard.press("Space")
                words = re.sub(r"<[^>]*>", "", choice.said)[:30]
                notebook.until(lambda words=words, part=part: words in part.inner_text(), words, 10)
        assert root.locator("[role=status]").count() == len(questions)
        assert root.evaluate(OFF_LINE) == []
        assert max(root.evaluate(LINE_HEIGHTS)) < 1.6
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        for theme, name in THEMES.items():
            notebook.execute("apputils:change-theme", theme=name)
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 2400})
                page.wait_for_timeout(500)
                wide = root.evaluate("e => [e.scrollWidth, e.clientWidth]")
                assert wide[0] <= wide[1] + 1
                root.screenshot(path=SCREENSHOTS / f"quiz-{theme}-{width}.png")
        assert notebook.errors() == [] and notebook.complaints == []

    def test_the_test_before_the_course_is_done_by_keyboard_and_tells_a_score(self, opened):
        notebook = opened("notebooks/reference/before-the-course.ipynb")
        page = notebook.page
        page.set_viewport_size({"width": 1366, "height": 768})
        root = page.locator(".lazydestroy-quiz").last
        notebook.until(lambda: root.locator("input").count() > 0, "the test is there")
        for number, question in enumerate(ALL[TEST][:3]):
            place = next(place for place, choice in enumerate(question.choices) if choice.correct)
            root.locator(":scope > .widget-vbox").nth(number).locator("input").nth(place).focus()
            page.keyboard.press("Space")
        assert "of 8 right" not in root.inner_text()
        root.locator("button").focus()
        page.keyboard.press("Enter")
        notebook.until(lambda: "3 of 8 right, 5 left out." in root.inner_text(), "the score")
        notebook.until(lambda: root.locator("input:not([disabled])").count() == 0, "an end")
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / "test-before-the-course.png")
        assert notebook.errors() == [] and notebook.complaints == []
