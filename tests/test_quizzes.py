"""Quizzes: each lesson ends with one, each wrong choice is told where the thought goes wrong; the widget says so."""

from __future__ import annotations

import ast
import re

import nbformat
import pytest
from in_browser import MARKS, SCREENSHOTS, THEMES, WIDTHS
from refresh_notebooks import FOLDER, ROOT, notebooks

from lazydestroy.widgets.quiz import KINDS, TAGS, quiz, read

LESSONS = [path for path in notebooks() if path.name[0].isdigit() and "exercises" not in path.relative_to(FOLDER).parts]

every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: str(path.relative_to(FOLDER)))


def questions_in(path):
    """The data of a lesson's quiz."""
    cell = next(cell for cell in nbformat.read(path, as_version=4).cells if cell.id == "quiz")
    tree = ast.parse(cell.source)
    return next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "questions"
    )


GOOD = {
    "question": "Who <b>owns</b> the page?",
    "type": "multiple_choice",
    "answers": [
        {"answer": "<code>A</code> & co", "correct": True, "feedback": "It was imported for A."},
        {"answer": "the host", "correct": False, "feedback": "The host <i>maps</i> it; that is not to own it."},
    ],
}


def changed(**changes):
    return [{**GOOD, **changes}]


# In the lessons


def test_there_are_lessons():
    assert len(LESSONS) >= 23


@every_lesson
def test_it_ends_with_three_to_five_questions(path):
    cells = nbformat.read(path, as_version=4).cells
    assert [cell.id for cell in cells[-2:]] == ["quiz-intro", "quiz"]
    assert cells[-1].metadata["jupyter"]["source_hidden"]
    assert 3 <= len(read(questions_in(path))) <= 5


@every_lesson
def test_each_wrong_choice_names_where_the_thought_goes_wrong(path):
    for asked in read(questions_in(path)):
        assert 2 <= len(asked.choices) <= 5
        assert any(not choice.correct for choice in asked.choices)
        for choice in asked.choices:
            assert len(choice.feedback.split()) >= 7, choice
        assert len({choice.feedback for choice in asked.choices}) == len(asked.choices)


@every_lesson
def test_it_is_short_enough_to_be_read(path):
    for asked in read(questions_in(path)):
        assert len(asked.question.split()) <= 45, asked.question
        for choice in asked.choices:
            assert len(choice.label) <= 130, choice.label
            assert len(choice.feedback.split()) <= 50, choice.feedback


@every_lesson
def test_it_is_there_without_a_kernel_and_without_scripts(path):
    output = nbformat.read(path, as_version=4).cells[-1].outputs[0]
    html = output.data["text/html"]
    assert "<script" not in html and html.count("<details>") == sum(
        len(asked.choices) for asked in read(questions_in(path))
    )


def test_the_right_choice_is_not_always_at_the_same_place_nor_the_longest():
    one = [asked for path in LESSONS for asked in read(questions_in(path)) if not asked.several]
    places = [next(place for place, choice in enumerate(asked.choices) if choice.correct) for asked in one]
    longest = [max(asked.choices, key=lambda choice: len(choice.label)).correct for asked in one]
    assert all(places.count(place) >= len(one) / 8 for place in (0, 1, 2))
    assert sum(longest) <= len(one) * 0.6


# The widget


def test_a_choice_is_answered_at_once():
    shown = quiz([GOOD])
    part = shown.parts[0]
    assert part.says.value == ""
    part.controls[0].value = "the host"
    assert "✘ Not so. The host <i>maps</i> it" in part.says.value
    part.controls[0].value = "A & co"
    assert "✔ Right. It was imported for A." in part.says.value


def test_several_right_choices_are_answered_one_by_one():
    both = [{**GOOD["answers"][0], "answer": name} for name in ("A", "B")]
    shown = quiz(changed(type="many_choice", answers=[*both, GOOD["answers"][1]]))
    part = shown.parts[0]
    part.controls[0].value = True
    assert part.says.value.count("✔") == 1 and "all of them" not in part.says.value
    part.controls[1].value = True
    assert part.says.value.count("✔") == 2 and "all of them" in part.says.value
    part.controls[2].value = True
    assert "✘" in part.says.value and "all of them" not in part.says.value


def test_marks_are_kept_and_everything_else_is_text():
    asked = read(changed(question="Is <code>a < b</code> & <script>alert(1)</script> <b>so</b>?"))[0]
    assert asked.question == "Is <code>a &lt; b</code> &amp; &lt;script&gt;alert(1)&lt;/script&gt; <b>so</b>?"
    assert asked.text == "Is a < b & <script>alert(1)</script> so?"
    assert set(TAGS) == {"b", "code", "i"} and set(KINDS) == {"multiple_choice", "many_choice"}


def test_without_a_kernel_the_answers_unfold():
    data = quiz([GOOD])._repr_mimebundle_()
    assert data["text/html"].count("<details>") == 2 and "<code>A</code> &amp; co" in data["text/html"]
    assert data["text/plain"] == "A quiz:\n1. Who owns the page?"


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        ([], "there are none"),
        (["?"], "question 1: use a dict with 'question', 'type' and 'answers'"),
        ([{**GOOD, "hint": "x"}], "question 1: use a dict"),
        (changed(type="essay"), "type='essay': use one of 'multiple_choice', 'many_choice'"),
        (changed(answers=GOOD["answers"][:1]), "at least two"),
        (changed(answers=[GOOD["answers"][0]] * 2), "two answers are the same"),
        (changed(answers=[{**each, "correct": True} for each in GOOD["answers"]]), "2 answers are correct"),
        (changed(answers=[{**each, "correct": False} for each in GOOD["answers"]]), "0 answers are correct"),
        (changed(answers=[{"answer": "A", "correct": True}, GOOD["answers"][1]]), "for each answer a dict"),
        (changed(answers=[{**GOOD["answers"][0], "correct": 1}, GOOD["answers"][1]]), "correct=1: use True or False"),
        (changed(answers=[{**GOOD["answers"][0], "feedback": " "}, GOOD["answers"][1]]), "a text that says something"),
        (changed(question=None), "a text that says something"),
        ([GOOD, {**GOOD, "type": "x"}], "question 2: type="),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_number_of_the_question(questions, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        quiz(questions)


# In a browser


class TestInABrowser:
    pytestmark = MARKS

    def test_a_quiz_is_answered_by_keyboard_and_fits(self, opened):
        lesson = FOLDER / "series" / "04-exception.ipynb"
        notebook = opened(str(lesson.relative_to(ROOT)))
        page = notebook.page
        notebook.until(lambda: page.locator(".lazydestroy-quiz").count() == 1, "the quiz is there")
        root = page.locator(".lazydestroy-quiz")
        said = root.locator("[role=status]")
        for number, asked in enumerate(read(questions_in(lesson))):
            part = root.locator(":scope > .widget-vbox").nth(number)
            boxes = part.locator("input")
            assert boxes.count() == len(asked.choices)
            for place, choice in enumerate(asked.choices):
                boxes.nth(place).focus()
                page.keyboard.press("Space")
                words = re.sub(r"<[^>]*>", "", choice.said)[:30]
                notebook.until(lambda words=words, part=part: words in part.inner_text(), words, 10)
        assert said.count() == len(read(questions_in(lesson)))
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
