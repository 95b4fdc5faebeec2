"""What a reader types: NumPy's numbers compute like Python's, and the line of code that a run gives makes it again."""

from __future__ import annotations

import re
from collections import deque
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import lazydestroy as ld
from lazydestroy.demonstrations import demonstrate

SMALL = {"memory": "8 MiB", "low_memory": "2 MiB", "host_memory": "32 MiB"}


def again(result):
    """What the line of a result makes, with nothing but the package at hand."""
    return eval(result.reproduce(), {"ld": ld})


def same(one: ld.Run, other: ld.Run) -> bool:
    """Whether two runs did the same."""
    return (one.downtime_ns, one.cleanup_ns, one.uvcs, one.pages) == (
        other.downtime_ns,
        other.cleanup_ns,
        other.uvcs,
        other.pages,
    )


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint64])
def test_an_answer_in_numpys_integers_is_judged_like_any_other(kind):
    """In 32 bits 5 MiB times some millions is right."""
    exercise = ld.exercise("donated-storage")
    assert not exercise.check(kind(5)).right
    assert not exercise.check(Fraction(kind(5))).right


@pytest.mark.parametrize(
    ("given", "plainly"),
    [
        ({"used": np.int16(1)}, {"used": 1}),
        ({"used": np.float32(0.3)}, {"used": 0.3}),
        ({"used": Fraction(np.int8(1), np.int8(3))}, {"used": Fraction(1, 3)}),
        ({"vcpus": np.uint8(3)}, {"vcpus": 3}),
        ({"seed": np.int64(5), "touch": np.str_("random")}, {"seed": 5, "touch": "random"}),
        ({"memory": np.int32(8 << 20)}, {"memory": 8 << 20}),
        ({"bystander": np.array([10, 20], np.int16)}, {"bystander": (10, 20)}),
        ({"bystander": iter(["1 us", 20])}, {"bystander": ("1 us", 20)}),
        ({"exit_at": np.int8(100)}, {"exit_at": 100}),
        ({"wait_for_cleanup": np.True_}, {"wait_for_cleanup": True}),
        ({"destroy_loop_threshold": np.int8(4)}, {"destroy_loop_threshold": 4}),
        ({"lazy_destroy": np.False_}, {"lazy_destroy": False}),
        ({"features": iter(["misc"])}, {"features": ("misc",)}),
        ({"features": {np.int8(0)}}, {"features": (0,)}),
        ({"costs": ld.Costs().scaled(np.uint8(200))}, {"costs": ld.Costs().scaled(200)}),
        ({"used": Decimal("0.1")}, {"used": 0.1}),
        ({"used": Decimal("0.12345678901234567890")}, {"used": Fraction("0.12345678901234567890")}),
        ({"bystander": deque(["1 us"])}, {"bystander": ("1 us",)}),
        ({"bystander": range(2)}, {"bystander": (0, 1)}),
    ],
)
def test_what_is_not_pythons_own_counts_as_if_it_were(given, plainly):
    run, expected = ld.reboot(**{**SMALL, **given}), ld.reboot(**{**SMALL, **plainly})
    assert same(run, expected)
    assert run.reproduce() == expected.reproduce()
    assert same(again(run), run)


def test_a_film_is_kept_for_numpys_true():
    assert ld.reboot(**SMALL, film=np.True_).film is not None
    assert ld.reboot(**SMALL, film=np.False_).film is None


def test_numpys_integers_are_numbers_of_resets_of_questions_and_of_patches():
    assert len(ld.reboot_loop("8 MiB", times=np.int64(2)).resets_ns) == 2
    assert ld.ask(np.int64(2)).question.number == 2
    assert demonstrate(np.int8(1), memory="8 MiB", vms=np.int8(2)).number == 1
    assert np.int8(3) in ld.series.v1
    assert ld.series.v1.upto(np.int8(3)) == ld.series.v1.upto(3)
    assert repr(ld.series.v1.without(np.int8(3))) == "ld.series.v1.without(3)"
    assert ld.series.v1[np.int8(3)].number == 3
    assert ld.exercise("flat-floor", seed=np.int64(7)).text == ld.exercise("flat-floor", seed=7).text


@pytest.mark.parametrize(
    "kernel",
    [
        ld.series.v1.plus(ld.series.OomNotifier),
        ld.series.v1.plus(ld.series.OneAtATime).without(11),
        ld.series.v1.upto(10).plus(ld.series.fixes.ReturnWhenOff),
        ld.series.v1_fixed.upto(9),
        *(bug.kernel for bug in ld.series.BUGS),
    ],
    ids=repr,
)
def test_a_kernel_of_this_package_is_written_so_that_the_line_runs(kernel):
    assert eval(repr(kernel), {"ld": ld}) == kernel
    run = ld.shutdown("8 MiB", kernel=kernel, host_memory="32 MiB")
    assert same(again(run), run)


def test_a_kernel_with_your_own_layer_has_the_name_that_you_gave_it():
    class Mine:
        pass

    kernel = ld.series.v1.plus(Mine, ld.series.OomNotifier)
    assert repr(kernel) == "ld.series.v1.plus(Mine, ld.series.OomNotifier)"
    assert kernel.name == "v1.plus(Mine, OomNotifier)"


@pytest.mark.parametrize(
    ("number", "given"),
    [
        (1, {**SMALL, "used": Fraction(1, 3)}),
        (3, {"memory": np.int64(8 << 20), "rates": iter(["1 GiB/s"]), "host_memory": "32 MiB"}),
        (9, {"memory": "8 MiB", "batches": np.array([1, 32])}),
        (10, {"memory": "8 MiB", "moments": iter([Fraction(1, 3), np.float32(0.5)])}),
    ],
)
def test_the_line_of_an_answer_gives_it_again(number, given):
    answer = ld.ask(number, **given)
    assert (again(answer).verdict, again(answer).evidence) == (answer.verdict, answer.evidence)


def test_the_line_of_a_demonstration_makes_it_again():
    shown = demonstrate(5, memory=np.int32(8 << 20), bystanders=np.int8(2), shared=Fraction(2, 3))
    assert again(shown).measures == shown.measures


def test_layers_of_many_kernels_do_not_pile_up():
    """A notebook in which a cell with a layer is run again and again keeps only the last ones."""
    from lazydestroy.layers import compose

    for _ in range(2 * compose.cache_info().maxsize):
        ld.series.v1.plus(type("Mine", (), {})).kernel  # noqa: B018
    assert compose.cache_info().currsize <= compose.cache_info().maxsize


def test_nothing_asks_numpy_for_its_own_integers():
    """They have 32 bits on some machines, a browser's Python among them: nanoseconds and pages need 64."""
    for file in Path(ld.__file__).parent.rglob("*.py"):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            found = re.search(r"astype\(int\)|dtype=int\b|np\.(int_|intp|uint|long)\b", line)
            assert found is None, f"{file.name}:{number}: {line}"
