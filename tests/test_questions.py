"""The questions, and the answers to 1, 5 and 7: what is claimed holds over a grid of parameters, or says why not."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import lazydestroy as ld
from lazydestroy import questions as experiments
from lazydestroy.assumptions import assumptions
from lazydestroy.questions import EXPERIMENTS, QUESTIONS, accepted, answer, question
from lazydestroy.questions import ask as ask_from_package
from lazydestroy.questions.again import touched, worked
from lazydestroy.questions.answer import resting_on
from lazydestroy.questions.calls import by_cleanup
from tests.wording import SENTENCE_WORDS, words_of

BEFORE = ld.series.v1.upto(0)
SMALL = {"memory": "64 MiB", "low_memory": "16 MiB", "image": "1 MiB", "loader": "1 MiB"}
COSTS = [ld.Costs(), ld.Costs().scaled(0.1), ld.Costs().scaled(10), ld.Costs(destroy="20 us"), ld.Costs(noop="5 us")]


# The questions themselves


def test_there_are_fifteen_in_order_each_with_somebody_who_asked_in_a_mail():
    assert [each.number for each in QUESTIONS] == list(range(1, 16))
    assert all(re.fullmatch(r"[^\s<>@]+@[^\s<>@]+", each.message_id) for each in QUESTIONS)
    assert all(re.fullmatch(r"[^\s<>@]+@[^\s<>@]+", mail) for each in QUESTIONS for mail in each.answered_in)
    assert {each.who for each in QUESTIONS} == {
        "Cornelia Huck",
        "Christian Borntraeger",
        "David Hildenbrand",
        "Janosch Frank",
        "Nico Boehr",
        "The reviewers of versions 1 to 5",
    }


def test_what_was_not_answered_says_so_and_names_no_mail():
    assert [each.number for each in QUESTIONS if not each.answered] == [9, 10, 11]
    assert all(each.answered == bool(each.answered_in) for each in QUESTIONS)
    assert all(each.answer == "not answered in the thread" for each in QUESTIONS if not each.answered)


def test_they_are_shown_as_a_list_and_as_a_table():
    assert repr(QUESTIONS).count("\n") == 14
    assert repr(QUESTIONS[:3]).count("\n") == 2
    assert QUESTIONS._repr_html_().count("<tr>") == 16


def test_every_assumption_that_an_answer_names_is_one_of_the_models():
    named = [
        name.value
        for file in Path(experiments.__file__).parent.rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "resting_on"
        for name in call.args
        if isinstance(name, ast.Constant)
    ]
    assert len(named) > 20
    for name in named:
        assert resting_on(name), name


@pytest.mark.parametrize("number", [0, 16, -1, "3", 3.0, True, None])
def test_a_number_that_is_no_questions_is_refused_in_words(number):
    with pytest.raises(ValueError, match="use the number of a question, 1 to 15"):
        ld.ask(number)


def test_a_parameter_that_the_experiment_does_not_have_is_refused_with_those_that_it_has():
    with pytest.raises(TypeError, match=r"question 5 has no parameter 'colour'; it takes .*memory"):
        ld.ask(5, colour="red")


def test_ask_is_the_same_from_the_package_and_from_its_questions():
    assert ld.ask is ask_from_package
    assert ld.QUESTIONS is QUESTIONS


@pytest.mark.parametrize("number", sorted(EXPERIMENTS))
def test_every_experiment_takes_memory_or_says_why_not_and_a_kernel(number):
    assert "kernel" in accepted(number)
    assert question(number).number == number


# An answer


@pytest.fixture(scope="module")
def first() -> ld.Answer:
    return ld.ask(1, memory="4 GiB", costs=ld.Costs(destroy="2 us"))


def test_an_answer_has_the_line_that_gives_it_again(first):
    again = eval(first.reproduce(), {"ld": ld})
    assert (again.verdict, again.claims, again.evidence, again.agrees) == (
        first.verdict,
        first.claims,
        first.evidence,
        first.agrees,
    )


def test_an_answer_as_text_has_all_that_its_reader_asks_for(first):
    text = re.sub(r"\s+", " ", repr(first))
    for part in (
        first.question.asks,
        first.short,
        *first.details,
        first.question.message_id,
        first.agreement,
        first.reproduce(),
    ):
        assert re.sub(r"\s+", " ", part) in text
    assert all(len(line) <= 100 for line in first.text(100).splitlines() if not line.startswith(("  ", "ld.")))


def test_an_answer_as_html_escapes_and_has_the_verdict(first):
    html = first._repr_html_()
    assert all(sentence in html for sentence in first.said)
    assert "<table>" in html


def test_the_costs_it_rests_on_are_those_that_were_given():
    rests = ld.ask(7, **SMALL, costs=ld.Costs(destroy="2 us")).assumptions
    assert next(each for each in rests if "destroy`" in each.what).value == "2 µs"
    assert next(each for each in rests if "export`" in each.what).value == "3 µs"


def test_what_an_answer_rests_on_is_among_the_assumptions():
    assert set(resting_on("destroy", "boot loader")) <= set(assumptions())
    assert len(resting_on("destroy")) == 1
    with pytest.raises(ValueError, match="'colour' is no assumption"):
        resting_on("colour")


REFUSED = {(4, BEFORE), (9, BEFORE), (11, BEFORE)}
"""Questions that make no sense for a kernel."""


@pytest.mark.parametrize(
    ("number", "kernel"),
    [(n, k) for k in (ld.series.v1, BEFORE, ld.series.linux_6_2) for n in range(1, 16) if (n, k) not in REFUSED],
    ids=str,
)
def test_an_answer_is_short_and_so_are_its_details(number, kernel):
    given = {name: value for name, value in SMALL.items() if name in accepted(number)}
    found = ld.ask(number, kernel=kernel, **given)
    assert found.verdict == " ".join(found.said) and found.text().startswith(found.short)
    for sentence in found.said:
        assert words_of(sentence) <= SENTENCE_WORDS, sentence
        assert sentence.endswith((".", "?")) and "\n" not in sentence


def test_a_table_lines_up():
    table = answer.Table(("", "a"), (("x", "1"), ("longer", "2")))
    assert repr(table).splitlines() == ["        a", "------  -", "x       1", "longer  2"]


# 1: who makes the calls


@pytest.mark.parametrize("used", [0, 0.1, 1])
@pytest.mark.parametrize("costs", COSTS)
@pytest.mark.parametrize("touch", ["none", "reverse"])
def test_the_clean_up_thread_makes_all_calls_on_pages_above_what_is_cleared_at_once(used, costs, touch):
    found = ld.ask(1, **SMALL, used=used, costs=costs, touch=touch)
    run = found.values["runs"]["reboot"]
    low = min(run.pages, (16 << 20) // 4096)
    assert found.claims == {"the clean-up thread makes Ultravisor Calls that do something": True}
    assert found.agrees == ("yes" if used else "refines")  # a guest that used nothing leaves nothing to set aside
    assert found.short.startswith("Yes: " if used else "In a reboot only: ")
    assert run.foreground[ld.UVC.DESTR_SEC_STOR] == low
    assert by_cleanup(run)[ld.UVC.DESTR_SEC_STOR] >= run.pages - low
    assert by_cleanup(run)[ld.UVC.DESTROY_SEC_CONF] == 1


def test_without_patch_9_the_answer_is_for_a_reboot_only():
    found = ld.ask(1, **SMALL, kernel=ld.series.v1.upto(8))
    assert found.short.startswith("In a reboot only: ") and found.agrees == "refines"


@pytest.mark.parametrize("features, word", [((), "without"), ((63,), "without"), ("misc", "with"), ((0, 5), "with")])
def test_the_answer_says_at_once_whether_the_ultravisor_has_misc(features, word):
    found = ld.ask(1, **SMALL, features=features)
    assert found.details[0] == f"That holds for an Ultravisor {word} the misc feature."


def test_calls_by_actor_add_up_to_all_calls_before_and_after():
    for run in ld.ask(1, **SMALL).values["runs"].values():
        assert sum(sum(calls.values()) for calls in run.foreground_by_actor.values()) == sum(run.foreground.values())
        assert sum((calls for calls in run.by_actor.values()), start=type(run.uvcs)()) == run.uvcs


def test_before_the_series_the_answer_is_no():
    found = ld.ask(1, **SMALL, kernel=BEFORE)
    assert not any(found.claims.values())
    assert found.agrees == "does not apply"
    assert found.short.startswith("No: ")
    assert "The clean-up thread makes none." in found.details


def test_calls_in_vain_do_not_count():
    """Version 1 without lazy destroy starts a thread all the same: it finds nothing to do."""
    found = ld.ask(1, **SMALL, lazy_destroy=False, new_guest="normal", touch="none")
    assert found.values["by_thread"]["reboot"] > 0 == found.values["with_effect"]["reboot"]
    assert not any(found.claims.values())


# 5: which guest


@pytest.mark.parametrize("costs", COSTS)
@pytest.mark.parametrize("touch", ["none", "sequential", "random"])
def test_the_three_things_have_moments_of_their_own(costs, touch):
    found = ld.ask(5, **SMALL, costs=costs, touch=touch)
    assert all(found.claims.values())
    assert found.agrees == "yes"
    run = found.values["run"]
    old, new = run.configurations
    assert old.created_ns < 0 == old.ended_ns < old.set_aside_ns == run.downtime_ns < new.created_ns
    assert old.destroyed_ns == run.cleanup_ns
    assert found.values["both_ns"] == old.destroyed_ns - new.created_ns


def test_before_the_series_there_are_never_two_configurations():
    found = ld.ask(5, **SMALL, kernel=BEFORE)
    assert not found.claims["two secure configurations exist at the same time"]
    assert found.values["old_set_aside_ns"] is None
    assert "at no moment are there two" in found.short
    assert "set aside" not in found.verdict


def test_without_a_protected_successor_there_is_one_configuration():
    found = ld.ask(5, **SMALL, new_guest="normal")
    assert "No other configuration is created." in found.details
    assert len(found.evidence.rows) == 5


def test_a_process_that_exits_takes_the_vm_with_it():
    found = ld.ask(5, **SMALL, exit_at="end")
    assert not found.claims["the KVM VM stays"]
    assert found.values["exited_ns"] is not None


def test_an_address_space_may_outlive_its_process():
    """The clean-up thread is a user of it, too, and then the last one."""
    found = ld.ask(5, **SMALL, exit_at="7 ms", touch="none")
    assert found.values["exited_ns"] < found.values["address_space_ns"]


# 7: what using a page again costs


@pytest.mark.parametrize("costs", COSTS)
@pytest.mark.parametrize("features", [(), "misc"])
def test_a_protected_guest_waits_for_a_destroy_and_an_unprotected_one_for_an_export(costs, features):
    found = ld.ask(7, **SMALL, costs=costs, features=features)
    assert [claim for claim, holds in found.claims.items() if not holds] == (
        ["for one that the old guest had shared it waits for an export"] if features else []
    )
    assert found.agrees == "refines"


@pytest.mark.parametrize("touch", ["sequential", "reverse", "random"])
def test_to_use_all_memory_takes_no_less_during_the_clean_up_than_after_it(touch):
    filled = ld.ask(7, **SMALL, touch=touch).values["filled"]
    for during, after in filled.values():
        assert during >= after > 0


def test_a_page_by_hand_takes_what_its_steps_cost():
    costs = ld.Costs(destroy=11, export=13, import_clear=17, noop=19, exception=23, touch=29, refused=31)
    old = touched(ld.series.v1, costs, True, "kept", None, ())
    assert old.ns == 2 * 23 + 11 + 19 + 17 + 29
    plain = touched(ld.series.v1, costs, False, "kept", None, ())
    assert plain.ns == 23 + 31 + 13 + 29
    assert worked(old, "DESTR_SEC_STOR")
    assert not worked(old, "CONV_FROM_SEC_STOR")
    shared = touched(ld.series.v1, costs, True, "shared", None, ())
    assert shared.ns == 23 + 13 + 17 + 29


def test_without_patch_3_the_protected_guest_never_gets_through():
    found = ld.ask(7, **SMALL, kernel=ld.series.v1.without(3))
    assert "never gets through" in found.verdict
    assert found.agrees == "does not apply"
    assert found.values["filled"]["protected"].during is None


def test_before_the_series_there_is_nothing_to_wait_for():
    found = ld.ask(7, **SMALL, kernel=BEFORE)
    assert found.verdict.startswith("There is nothing more to wait for")
    during, after = found.values["filled"]["protected"]
    assert during == after
