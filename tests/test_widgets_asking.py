"""A question with controls: each change asks again, what cannot be asked is said in words."""

from __future__ import annotations

import io

import pytest
from PIL import Image

import lazydestroy as ld
from lazydestroy.questions import EXPERIMENTS
from lazydestroy.widgets import asking, explore_question

SMALL = {"memory": "1 GiB"}


@pytest.fixture
def first():
    return explore_question(1, **SMALL)


def test_it_begins_with_the_answer_for_what_the_controls_say(first):
    assert first.answer.reproduce() == "ld.ask(1, memory='1 GiB')"
    assert first.answer.verdict == ld.ask(1, memory="1 GiB").verdict
    assert all(sentence in first._answer.value for sentence in first.answer.said)
    assert Image.open(io.BytesIO(first._image.png)).width == 900
    assert first.message == ""


def test_its_picture_has_no_display_of_its_own(first):
    assert first._image.layout.display == ""


def test_each_control_asks_again(first):
    first.controls["destroy"].value = 3000
    assert first.answer.parameters == {"memory": "1 GiB", "costs": ld.Costs(destroy="3 us")}
    first.controls["kernel"].value = ld.series.v1.upto(0)
    assert first.answer.verdict.startswith("No")
    assert all(sentence in first._answer.value for sentence in first.answer.said)


def test_several_controls_at_once_ask_once(first, monkeypatch):
    asked = []
    monkeypatch.setattr(asking, "ask", lambda number, **given: asked.append(given) or ld.ask(number, **given))
    first.set(memory=2 << 30, destroy=3000)
    assert [given["memory"] for given in asked] == ["2 GiB"]


def test_the_host_is_so_much_larger_than_the_guest():
    third = explore_question(3, controls=("memory", "host"), rates=("64 GiB/s",), **SMALL)
    third.controls["host"].value = 1
    assert third.answer.parameters["host_memory"] == "2 GiB"


def test_what_cannot_be_asked_is_said_in_words_and_the_last_answer_stays():
    fourth = explore_question(4, controls=("kernel",), memory="64 MiB", rates=("64 GiB/s",))
    answer = fourth.answer
    fourth.controls["kernel"].value = ld.series.v1.upto(0)
    assert "needs patch 9" in fourth.message
    assert fourth.answer is answer
    assert "Below is the last answer" in fourth._status.value
    fourth.controls["kernel"].value = ld.series.v1
    assert fourth.message == ""


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_stopping_is_no_error(first, monkeypatch, error):
    def stopped(*_, **__):
        raise error

    monkeypatch.setattr(asking, "ask", stopped)
    first.controls["destroy"].value = 3000
    assert first.message


def test_sliders_ask_when_they_are_let_go(first):
    assert not first.controls["memory"].continuous_update


def test_without_a_kernel_the_verdict_is_there(first):
    data = first._repr_mimebundle_()
    assert first.answer.short in data["text/plain"]
    assert "image/png" not in data, "the same picture stands in the cell before"


@pytest.mark.parametrize("number", sorted(EXPERIMENTS))
def test_every_question_has_controls_for_what_decides_it(number):
    assert set(asking.decides(number)) == set(asking._DECIDES[number])


@pytest.mark.parametrize(
    ("number", "given", "words"),
    [
        (16, {}, "1 to 15"),
        (1, {"controls": ("colour",)}, "'colour' is not one of"),
        (1, {"memory": "3 GiB"}, "use a power of two"),
        (2, {"controls": ("memory",)}, "'memory' is not one of"),
    ],
)
def test_what_makes_no_sense_is_refused(number, given, words):
    with pytest.raises(ValueError, match=words):
        explore_question(number, **given)
