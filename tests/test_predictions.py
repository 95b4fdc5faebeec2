"""Predictions: you choose, then you see; what was right is measured."""

from __future__ import annotations

import re

import numpy as np
import pytest

import lazydestroy as ld
from lazydestroy import quizzes
from lazydestroy.quizzes import files, predictions
from lazydestroy.quizzes.predicting import read_prediction, written
from lazydestroy.widgets.outcome import as_html, ran
from tests.lessons import asked, cells, lessons, name_of, with_questions

SOON = {"answer": "soon", "most": 10, "feedback": "So fast? It took {measured} s."}
LATE = {"answer": "<b>late</b>", "least": 10, "correct": True, "feedback": "It took {measured} s."}
TIME = {"question": "When?", "measured": "downtime", "answers": [SOON, LATE]}
YES = {"answer": "Yes, it is.", "name": "yes", "correct": True, "feedback": "It is."}
NO = {"answer": "No.", "name": "no", "feedback": "Look again."}
WHETHER = {"question": "Is <i>it</i>?", "answers": [YES, NO]}


@pytest.fixture(autouse=True)
def lesson(monkeypatch):
    """A lesson with two predictions, besides those that there are."""
    there = {**files._lessons(), "mine": {"predictions": {"time": TIME, "whether": WHETHER}}}
    monkeypatch.setattr(files, "_lessons", lambda: there)


def slow():
    """A run of some 25 s, in virtual time."""
    return ld.reboot("64 GiB", kernel=ld.series.v1.upto(0), new_guest="normal", touch="none")


# What was right is measured


def test_the_data_say_what_is_measured():
    shown = ld.predict("time", slow)
    assert shown.right.label == "late" and 20 < shown.measured < 30
    assert shown.value.downtime == shown.measured


def test_a_reader_who_changes_the_experiment_gets_another_answer_and_is_told_so():
    shown = ld.predict("time", lambda: ld.reboot("4 GiB"))
    assert shown.right.label == "soon"
    assert "With the lesson's own values it is <b><b>late</b></b>" in shown.html
    assert "lesson's own values" not in ld.predict("time", slow).html


@pytest.mark.parametrize(("value", "label"), [(True, "Yes, it is."), (np.False_, "No."), ("no", "No.")])
def test_an_answer_may_be_a_name_or_yes_and_no(value, label):
    assert ld.predict("whether", lambda: value).right.label == label
    assert ld.predict("whether", lambda: None, answer=lambda _: value).right.label == label


def test_of_several_things_the_first_is_measured_and_of_a_list_its_length():
    shown = ld.predict("time", lambda: (slow(), "a picture"))
    assert shown.right.label == "late" and "a picture" in shown.outcome
    assert ld.predict("whether", lambda: ("no", "yes")).right.label == "No."
    assert ld.predict("time", lambda: None, answer=lambda _: [0] * 3).measured == 3


@pytest.mark.parametrize("value", [10, np.int64(10), 10.0, np.float32(10)])
def test_bounds_begin_with_the_least_and_end_before_the_most(value):
    assert ld.predict("time", lambda: None, answer=lambda _: value).right.label == "late"
    assert ld.predict("time", lambda: None, answer=lambda _: value - 0.5).right.label == "soon"


def test_what_was_measured_stands_in_the_feedback():
    shown = ld.predict("time", lambda: None, answer=lambda _: 25.50321)
    soon, late = shown.asked.options
    assert shown.said(late) == "✔ Right. It took 25.5 s."
    assert shown.said(soon) == "✘ Not quite. So fast? It took 25.5 s. What happened: <b><b>late</b></b>."
    assert [written(each) for each in (True, False, 1234567, 0.000123456, "B")] == [
        "yes", "no", "1,234,567", "0.000123", "B",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "outcome", "answer", "message"),
    [
        ("never heard of", slow, None, "name='never heard of': there is no such prediction; use one of"),
        ("time", 3, None, "outcome=3: use a function"),
        ("time", slow, 3, "answer=3: use a function"),
        ("time", lambda: 3, None, "what outcome= returned has no 'downtime': 3"),
        ("time", slow, lambda _: "late", "measured was 'late'; let outcome= or answer= return a number in one of"),
        ("time", slow, lambda _: float("nan"), "measured was nan"),
        ("time", slow, lambda _: None, "measured was None"),
        ("whether", lambda: "B", None, "measured was 'B'; let outcome= or answer= return one of 'yes', 'no'"),
        ("whether", lambda: 1, None, "measured was 1"),
    ],
)
def test_what_cannot_be_predicted_is_refused(name, outcome, answer, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        ld.predict(name, outcome, answer)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"question": "When?"}, "use a table with 'question', 'answers'; there may also be 'measured', 'says'"),
        ({**TIME, "answers": [SOON]}, "at least two"),
        ({**TIME, "answers": [SOON, {**LATE, "correct": False}]}, "0 answers are correct; exactly one must be"),
        ({**TIME, "answers": [SOON, {**LATE, "least": 9}]}, "the bounds of 'soon' and 'late' overlap"),
        (
            {**TIME, "answers": [{**SOON, "least": 10}, {**LATE, "least": 12}]},
            "the bounds of 'soon' and 'late' overlap",
        ),
        ({**TIME, "answers": [SOON, {**LATE, "answer": "soon"}]}, "two answers are the same"),
        ({**TIME, "answers": [SOON, {**LATE, "name": "late"}]}, "give it a 'name', or bounds"),
        ({**TIME, "answers": [SOON, {**LATE, "least": "10 s"}]}, "'10 s' is no bound; use a number"),
        ({**TIME, "answers": [SOON, YES]}, "give each answer a name of its own"),
        ({**WHETHER, "answers": [YES, {**NO, "name": "yes"}]}, "give each answer a name of its own"),
        ({**WHETHER, "measured": ""}, "measured: '': use a word"),
        ({**WHETHER, "says": "It is."}, "says: 'It is.': write {measured} where the measured value is to stand"),
    ],
)
def test_data_that_ask_nothing_are_refused(given, message):
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        read_prediction("mine", given)
    assert "'mine'" in str(refused.value)


def test_two_lessons_have_no_prediction_of_the_same_name(monkeypatch):
    both = {lesson: {"predictions": {"time": TIME}} for lesson in ("one", "two")}
    monkeypatch.setattr(files, "_lessons", lambda: both)
    with pytest.raises(ValueError, match=r"two.toml: prediction 'time': another lesson has one of that name"):
        predictions()


# What is shown


def test_what_code_prints_and_what_it_returns_is_shown():
    value, printed = ran(lambda: print("a < b") or ("text", ld.Costs(), None))
    assert printed == "<pre>a &lt; b</pre>" and value[0] == "text"
    shown = ld.predict("whether", lambda: print("a < b") or ("no", "text"))
    assert shown.outcome == "<pre>a &lt; b</pre><pre>no</pre><pre>text</pre>"


@pytest.mark.parametrize(
    ("returned", "besides"),
    [(25.50321, ""), (np.float64(25.50321), ""), ((25.50321, "a"), "<pre>a</pre>"), (["late"], "<pre>late</pre>")],
)
def test_a_bare_number_is_put_into_the_sentence_that_there_is_for_it(returned, besides, monkeypatch):
    told = {"question": "When?", "answers": [SOON, LATE], "says": "It took <b>{measured}</b> s."}
    monkeypatch.setattr(files, "_lessons", lambda: {"mine": {"predictions": {"told": told}}})
    answer = (lambda _: 25.50321) if isinstance(returned, list) else None
    assert ld.predict("told", lambda: returned, answer).outcome == f"<p>It took <b>25.5</b> s.</p>{besides}"


def test_numbers_and_truth_values_are_shown_as_pythons_own():
    seen = {"right": np.bool_(True), "times": [np.int64(3), np.float64(0.5)], "whole": (np.int64(1),)}
    for value in (
        np.bool_(False),
        np.float64(2.5),
        seen,
        [seen],
        {"before": seen, "after": seen},
        {"a": {}, "b": seen},
    ):
        assert "np." not in as_html(value)
    assert as_html(np.bool_(False)) == "<pre>False</pre>"
    assert "<td" in as_html(seen) and ">[3, 0.5]</td>" in as_html(seen)


def test_a_dict_is_a_table():
    left = ' style="text-align: left; vertical-align: top"'
    one = as_html({"v1": "<no secret>", 2: True})
    assert "<thead>" not in one
    assert f"<tr><td{left}><b>v1</b></td><td{left}>&lt;no secret&gt;</td></tr>" in one
    both = as_html({"before": {"killed": True, "back after": "52 s"}, "after": {"killed": False, "left": 1}})
    assert [head for head in ("killed", "back after", "left") if f"<th{left}>{head}</th>" in both] == [
        "killed",
        "back after",
        "left",
    ]
    assert f"<b>after</b></td><td{left}>False</td><td{left}></td><td{left}>1</td>" in both
    assert as_html({}) == "<pre>{}</pre>"


def test_a_picture_is_shown_with_its_words():
    picture = ld.small_machine(4)
    html = as_html(ld.plots.plot_pages(picture))
    assert re.match(r'<img src="data:image/png;base64,[\w+/]+=*" alt="[^"]{40,}" style="max-width: 100%">$', html)


def test_nothing_is_shown_before_a_choice_and_then_what_is_said_to_it():
    shown = ld.predict("whether", lambda: print("see") or True)
    assert shown.after.selected_index is None and shown.choose.value is None
    assert [each.children[0].value for each in shown.after.children] == [
        '<div role="status">✔ Right. It is.</div>',
        '<div role="status">✘ Not quite. Look again. What happened: <b>Yes, it is</b>.</div>',
    ]
    assert all("<pre>see</pre>" in each.children[1].value for each in shown.after.children)


def test_the_experiment_has_run_before_the_next_cell_runs():
    machine = ld.small_machine(4, touched=())
    ld.predict("whether", lambda: machine.touch(2), answer=lambda access: access.saw.startswith("plaintext"))
    assert machine.rows()[2]["state"] == "secure"


# In the lessons


def test_each_prediction_is_in_one_lesson():
    made = [asking.name for path in with_questions() for asking in asked(path, "predict")]
    assert len(made) == len(set(made))
    assert set(made) == set(predictions()) - {"time", "whether"}


@pytest.mark.parametrize("name", sorted(predictions()))
def test_each_prediction_is_short_and_each_wrong_choice_is_explained(name):
    prediction = quizzes.prediction_named(name)
    assert len(prediction.text.split()) <= 45 and 2 <= len(prediction.options) <= 5
    for option in prediction.options:
        assert len(option.label) <= 130
        assert 4 <= len(option.feedback.split()) <= 50, option.feedback
    assert len({option.feedback for option in prediction.options}) == len(prediction.options)


@pytest.mark.parametrize("path", lessons(), ids=name_of)
def test_no_lesson_predicts_in_its_text(path):
    for cell in cells(path):
        if cell.cell_type == "markdown":
            assert not re.search(r"\*\*Predict\b", cell.source), "use ld.predict(...): the answer is folded then"


@pytest.mark.parametrize("path", with_questions(), ids=name_of)
def test_with_the_lessons_own_values_what_was_expected_is_what_was_measured(path):
    for asking in asked(path, "predict"):
        (html,) = asking.html
        assert "With the lesson's own values" not in html
        assert f"✔ Right. {quizzes.prediction_named(asking.name).expected.feedback.partition('{')[0]}" in html


def test_a_tuple_that_has_a_table_of_its_own_is_shown_as_one():
    html = as_html((ld.series.FINDINGS_6_2, "after it"))
    assert html.startswith("<table>") and html.count("<table>") == 1
    assert html.endswith("<pre>after it</pre>")
