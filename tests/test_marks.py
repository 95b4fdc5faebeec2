"""Which tests `make test` runs: what it leaves out says why, and no claim is left out by accident."""

from __future__ import annotations

from pathlib import Path

import conftest
import pytest

from tests.marks import long_unless

pytest_plugins = ["pytester"]

ON = {
    "a function": "{mark}\ndef test_x(): pass",
    "a method": "class TestX:\n    {mark}\n    def test_x(self): pass",
    "a class": "{mark}\nclass TestX:\n    def test_x(self): pass",
    "a TestCase": "{mark}\nclass TestX(unittest.TestCase):\n    def test_x(self): pass",
    "a value": "@pytest.mark.parametrize('x', [pytest.param(1, marks={value})])\ndef test_x(x): pass",
    "a module": "pytestmark = {value}\ndef test_x(): pass",
}


@pytest.fixture
def collected(pytester):
    """Collects a test of a suite with this suite's settings."""
    pytester.makeconftest(Path(conftest.__file__).read_text(encoding="utf-8"))
    pytester.makeini("[pytest]\nmarkers = long\n")

    def collect(mark, on):
        test = ON[on].format(mark=f"@{mark}", value=mark)
        pytester.makepyfile(f"import unittest\n\nimport pytest\n\n\n{test}\n")
        return pytester.runpytest_inprocess("--collect-only", "-m", "not long")

    return collect


@pytest.mark.parametrize("on", ON)
def test_a_long_test_with_a_reason_is_left_out(collected, on):
    done = collected("pytest.mark.long('tries every kernel')", on)
    assert done.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    done.stdout.fnmatch_lines(["*1 deselected*"])


@pytest.mark.parametrize(
    ("on", "given"),
    [(on, "") for on in ON]
    + [("a function", given) for given in ("()", "('')", "('  ')", "(5)", "('one', 'two')", "(why='by name')")],
)
def test_a_long_test_without_a_reason_is_refused_though_it_is_left_out(collected, on, given):
    done = collected(f"pytest.mark.long{given}", on)
    assert done.ret == pytest.ExitCode.INTERRUPTED
    done.stdout.fnmatch_lines(["*gives no reason; write long(*"])


def test_values_that_are_not_quick_are_marked_with_the_reason_and_keep_their_order():
    first, second, third = long_unless(lambda value: value == (2, "b"), "big", [(1, "a"), (2, "b"), 3])
    assert second == (2, "b")
    assert (first.values, third.values) == ((1, "a"), (3,))
    assert [mark.args for each in (first, third) for mark in each.marks] == [("big",), ("big",)]


@pytest.mark.parametrize("values", [[], [1, 3]])
def test_a_claim_without_a_quick_value_is_refused(values):
    with pytest.raises(ValueError, match="is quick"):
        long_unless(lambda value: value == 2, "big", values)
