"""Sizes, times and counts as people say them."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazydestroy import rounded
from lazydestroy.rounded import about, about_count, about_duration, about_size, counted, short_of
from tests.wording import words_of

UNITS = {"s": 10**9, "ms": 10**6, "µs": 10**3, "ns": 1, "TiB": 1 << 40, "GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10}
UNITS |= {"bytes": 1, "byte": 1, "million": 10**6, "": 1}


def test_the_examples_hold():
    assert doctest.testmod(rounded).failed == 0


@pytest.mark.parametrize("write", [about_duration, about_size, about_count])
@given(st.integers(0, 1 << 45))
def test_what_is_written_is_within_five_percent_and_has_few_digits(write, value):
    number, _, unit = write(value).partition(" ")
    assert abs(float(number.replace(",", "")) * UNITS[unit] - value) <= value * 0.05
    digits = number.replace(",", "").replace(".", "").lstrip("0").rstrip("0")
    assert len(digits) <= 3 or value < 1024
    assert write(np.int64(value)) == write(value)


@pytest.mark.parametrize(
    ("count", "exact", "rough"),
    [
        (0, "0 pages", "0 pages"),
        (1, "1 page", "1 page"),
        (2, "2 pages", "2 pages"),
        (12_345, "12,345 pages", "12,300 pages"),
    ],
)
def test_one_thing_is_no_several_things(count, exact, rough):
    assert (counted(count, "pages"), about(count, "pages")) == (exact, rough)
    assert counted(count, "") == exact.partition(" ")[0]


def test_a_text_is_shortened_at_the_end_of_a_clause():
    text = "one two, three four: five"
    assert [short_of(text, words) for words in (9, 5, 4, 3, 2, 1)] == [
        text,
        text,
        "one two, three four",
        *["one two"] * 2,
        "",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("With patch 8, a 64 GiB guest is back in 0.8 s, not 25.5 s.", 12),
        ("16.8 million pages", 2),
        ("2 GiB/s – at 5 %", 3),
    ],
)
def test_a_number_and_its_unit_are_one_word(text, words):
    assert words_of(text) == words


@pytest.mark.parametrize("write", [about_duration, about_size, about_count])
def test_a_negative_value_has_the_same_digits(write):
    assert write(-25_503_208_320) == f"-{write(25_503_208_320)}"
