"""Sizes, times, rates and shares: what is read, what is refused, what is written."""

from __future__ import annotations

import itertools
import time
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazydestroy import units
from lazydestroy.units import (
    LARGEST,
    SIZE_UNITS,
    TIME_UNITS,
    bad_value,
    calculated,
    code,
    duration,
    exact_duration,
    exact_size,
    factor,
    flag,
    format_count,
    format_duration,
    format_rate,
    format_size,
    number,
    one_of,
    plain,
    rate,
    share,
    shown,
    size,
    whole_number,
)

AMOUNTS = st.integers(0, LARGEST)


def refused(read, value, name, **limits) -> str:
    """The words with which a value is refused. They must name the parameter and say what is accepted."""
    with pytest.raises(ValueError) as caught:
        read(value, name, **limits)
    words = str(caught.value)
    assert words.startswith(f"{name}=")
    assert "Accepted: " in words
    assert "\n" not in words and len(words) < 400
    return words


# Reading


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1 B", 1),
        ("64 GiB", 64 << 30),
        ("64GiB", 64 << 30),
        ("  64   GiB ", 64 << 30),
        ("+1.5 MiB", 3 << 19),
        ("0.5 KiB", 512),
        (".5 KiB", 512),
        ("1 TiB", 1 << 40),
        ("0.0009765625 KiB", 1),
        ("1048576 TiB", LARGEST),
    ],
)
def test_text_with_a_unit_is_a_size(text, count):
    assert size(text) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1 ns", 1),
        ("1.5 us", 1500),
        ("1.5us", 1500),
        ("1.5 \u00b5s", 1500),  # micro sign
        ("1.5 \u03bcs", 1500),  # Greek mu, what most keyboards and editors give
        ("3 ms", 3_000_000),
        ("0.000000001 s", 1),
        ("2 s", 2_000_000_000),
    ],
)
def test_text_with_a_unit_is_a_time(text, count):
    assert duration(text, "destroy") == count


def test_a_rate_is_a_size_per_second():
    assert rate("2 GiB/s", "demand") == 2 << 30
    assert rate("2GiB / s", "demand") == 2 << 30
    assert rate(4096, "demand") == 4096


@pytest.mark.parametrize("integer", [4096, np.int64(4096), np.uint16(4096), np.array(4096)])
def test_an_int_is_bytes_or_nanoseconds_and_comes_back_as_an_int(integer):
    assert size(integer) == duration(integer, "destroy") == rate(integer) == 4096
    assert type(size(integer)) is type(duration(integer, "destroy")) is type(rate(integer)) is int


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("64 GB", "64 GiB"),
        ("64GB", "64 GiB"),
        ("64 G", "64 GiB"),
        ("64 gib", "64 GiB"),
        ("1.5 tb", "1.5 TiB"),
        ("4 k", "4 KiB"),
        ("4 kB", "4 KiB"),
        ("512 M", "512 MiB"),
        ("4096 bytes", "4096 B"),
    ],
)
def test_other_spellings_of_a_size_are_refused_with_a_hint(text, meant):
    words = refused(size, text, "memory")
    assert text in words
    assert f"did you mean '{meant}'?" in words


@pytest.mark.parametrize(
    ("text", "meant"),
    [("5 sec", "5 s"), ("1.5 usec", "1.5 us"), ("3 MS", "3 ms"), ("1 nanosecond", "1 ns"), ("1 \u03bcsec", "1 us")],
)
def test_other_spellings_of_a_time_are_refused_with_a_hint(text, meant):
    assert f"did you mean '{meant}'?" in refused(duration, text, "destroy")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("2 GB/s", "did you mean '2 GiB/s'?"),
        ("2 GiB", "does not say '/s'"),
        ("2 GiB/ms", "does not say '/s'"),
        ("2 GiB/s/s", "does not say '/s'"),
        ("2 /s", "has an unknown unit ''"),
    ],
)
def test_a_rate_must_say_per_second(text, complaint):
    assert complaint in refused(rate, text, "demand")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("64", "has no unit"),
        ("", "does not begin with a number"),
        ("GiB", "does not begin with a number"),
        ("nan GiB", "does not begin with a number"),
        ("inf GiB", "does not begin with a number"),
        ("\u0661 GiB", "does not begin with a number"),  # a digit, but not one of ours
        ("\u22121 GiB", "does not begin with a number"),  # a minus sign, but not one of ours
        ("1,5 GiB", "write a decimal point"),
        ("1,024 MiB", "no thousands separators"),
        ("1e3 GiB", "has an unknown unit 'e3 GiB'"),
        ("1_024 MiB", "has an unknown unit"),
        ("1.5.2 GiB", "has an unknown unit"),
        ("1. GiB", "has an unknown unit"),
        ("64 GiB GiB", "has an unknown unit 'GiB GiB'"),
        ("64 GiB/s", "has an unknown unit 'GiB/s'"),
        ("5 PiB", "has an unknown unit 'PiB'"),
        ("64 ms", "has an unknown unit 'ms'"),
        ("0.3 B", "is not a whole number of bytes"),
        ("0.1 KiB", "is not a whole number of bytes"),
        ("-1 GiB", "is negative"),
        ("0 GiB", "is zero"),
        ("1048577 TiB", "is more than 1048576 TiB"),
        pytest.param("9" * 5000 + " B", "is longer than 60 characters", id="long"),
    ],
)
def test_what_is_not_a_size_is_refused(text, complaint):
    assert complaint in refused(size, text, "memory")


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (None, "is of type NoneType"),
        (True, "is of type bool"),
        (False, "is of type bool"),
        (np.True_, "is of type bool"),
        (4096.0, "is of type float"),
        (float("nan"), "is of type float"),
        (np.float64(4096), "is of type float64"),
        (Fraction(4096), "is of type Fraction"),
        (Decimal(4096), "is of type Decimal"),
        (b"64 GiB", "is of type bytes"),
        (["64 GiB"], "is of type list"),
        (np.arange(4), "is of type ndarray"),
        (0, "is zero"),
        (-4096, "is negative"),
        (LARGEST + 1, "is more than"),
        pytest.param(10**5000, "is more than", id="huge"),  # Python itself refuses to print that many digits
        pytest.param(-(10**5000), "is negative", id="-huge"),
    ],
)
@pytest.mark.parametrize("read", [size, duration, rate])
def test_a_value_of_a_wrong_type_or_out_of_bounds_is_a_value_error(read, value, complaint):
    assert complaint in refused(read, value, "parameter")


def test_a_long_value_is_cut_in_the_error():
    assert "..." in refused(size, "x" * 1000, "memory")


def test_an_error_says_all_that_is_accepted():
    words = refused(size, 4097, "memory", multiple_of=4096, minimum=8192, maximum=1 << 30, zero=True)
    assert words == (
        "memory=4097 is less than 8 KiB. Accepted: an int of bytes or text such as '64 GiB' (units: B, KiB, MiB, GiB, "
        "TiB); 0 or at least 8 KiB, at most 1 GiB, a multiple of 4 KiB."
    )


def test_sizes_can_be_limited():
    assert size("8 KiB", multiple_of=4096, minimum=8192, maximum=8192) == 8192
    assert "is not a multiple of 4 KiB" in refused(size, 8193, "memory", multiple_of=4096)
    assert "is less than 8 KiB" in refused(size, 4096, "memory", minimum=8192)
    assert "is more than 8 KiB" in refused(size, 12288, "memory", maximum=8192)


def test_zero_is_accepted_only_where_it_is_allowed():
    assert size("0 B", zero=True) == size(0, minimum=0) == size(0, zero=True, minimum=4096) == 0
    assert duration("0 s", "walk", zero=True) == 0
    assert "0 or more" in refused(duration, -1, "walk", zero=True)
    assert "above 0" in refused(duration, 0, "retry")


@given(AMOUNTS)
def test_a_whole_number_of_base_units_reads_as_itself(count):
    assert size(f"{count} B", zero=True) == duration(f"{count} ns", "t", zero=True) == count


@given(AMOUNTS, st.sampled_from(sorted(SIZE_UNITS)))
def test_reading_a_size_is_exact_or_refused(count, unit):
    """Text with up to six decimals, against exact fractions."""
    number = Decimal(count % 10**12).scaleb(-6)
    exact = Fraction(number) * SIZE_UNITS[unit]
    if exact.denominator == 1 and 0 < exact <= LARGEST:
        assert size(f"{number:f} {unit}") == exact
    else:
        refused(size, f"{number:f} {unit}", "memory")


@given(st.text(max_size=80) | st.from_regex(r"[+-]?[0-9.,_e]{0,6} ?[A-Za-zµ/ ]{0,4}", fullmatch=True))
def test_any_text_is_read_or_refused_with_a_sentence(text):
    for read in (size, duration, rate):
        try:
            assert 0 < read(text, "parameter") <= LARGEST
        except ValueError:
            refused(read, text, "parameter")


# Shares and factors


@pytest.mark.parametrize(
    ("value", "exact"),
    [
        (0, 0),
        (1, 1),
        (0.5, Fraction(1, 2)),
        (0.3, Fraction(3, 10)),
        (np.float32(0.3), Fraction(3, 10)),
        (np.float64(0.3), Fraction(3, 10)),
        (np.int8(1), 1),
        (1e-05, Fraction(1, 100_000)),
        (Decimal("0.3"), Fraction(3, 10)),
        (Fraction(1, 3), Fraction(1, 3)),
        (-0.0, 0),
    ],
)
def test_a_share_is_read_as_it_is_written(value, exact):
    assert share(value, "used") == exact
    assert type(share(value, "used")) is Fraction


def test_three_tenths_of_ten_pages_are_three_pages():
    assert int(share(0.3, "used") * 10) == 3
    assert int(share(0.29, "used") * 25_600) == 7424  # 0.29 * 25600 is 7423.999... in binary


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (1.5, "is above 1"),
        (2, "is above 1"),
        pytest.param(10**5000, "is above 1", id="huge"),
        (-0.1, "is below 0"),
        (float("nan"), "is not a finite number"),
        (float("inf"), "is not a finite number"),
        (Decimal("NaN"), "is not a finite number"),
        (np.float64("nan"), "is not a finite number"),
        (True, "is of type bool"),
        (None, "is of type NoneType"),
        ("0.5", "is of type str"),
        ("50 %", "is of type str"),
        (1j, "is of type complex"),
    ],
)
def test_what_is_not_a_share_is_refused(value, complaint):
    assert complaint in refused(share, value, "used")
    assert "a number from 0 to 1" in refused(share, value, "used")


@given(st.floats(0, 1), st.integers(1, 1 << 30))
def test_a_share_of_pages_is_never_more_than_the_pages(value, pages):
    assert 0 <= int(share(value, "used") * pages) <= pages


def test_a_factor_is_any_number_above_zero():
    assert factor(2) == factor("2") == factor(2.0) == factor(Fraction(2)) == 2
    assert factor("0.1") == factor(0.1) == factor(Decimal("0.1")) == Fraction(1, 10)


@pytest.mark.parametrize("value", [0, -1, 0.0, True, None, float("nan"), float("inf"), "", "x", "2x", "1,5", "-1", []])
def test_what_is_not_a_factor_is_refused(value):
    assert "a number above 0" in refused(factor, value, "factor")


# Writing


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (64 << 30, "64 GiB"),
        ((64 << 30) + 4096, "64.00 GiB"),
        (3 << 39, "1.5 TiB"),
        ((1 << 30) + (2 << 20), "1026 MiB"),
        (12345, "12.06 KiB"),
        ((1 << 30) - 1, "1.000 GiB"),
        (20_000 << 40, "20000 TiB"),
        (-4096, "-4 KiB"),
        (np.int64(4096), "4 KiB"),
    ],
)
def test_a_size_is_written_exactly_or_with_four_digits(count, text):
    assert format_size(count) == text
    assert format_rate(count) == text + "/s"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 ns"),
        (20, "20 ns"),
        (1500, "1.5 µs"),
        (1_001_000, "1.001 ms"),
        (1_001_001, "1.001 ms"),
        (100_000, "100 µs"),
        (17_301_504 * 1500, "25.95 s"),
        (25_000_001_000, "25.00 s"),
        (999_999_999, "1.000 s"),
        (5_539_000_000_000, "5539 s"),
        (123_456_789_000_000, "123457 s"),
        (99_995_000_000, "100.0 s"),  # rounded up: a digit more before the point, one less behind it
        (9_999_500_000, "10.00 s"),
        (999_950, "1.000 ms"),
    ],
)
def test_a_time_is_written_exactly_or_with_four_digits(count, text):
    assert format_duration(count) == text


def test_a_count_is_written_with_all_its_digits():
    assert format_count(268_435_456) == "268,435,456"
    assert format_count(np.int64(-1000)) == "-1,000"


@given(AMOUNTS)
def test_what_is_written_is_near_and_says_the_largest_unit(count):
    for read, write, whole in ((size, format_size, SIZE_UNITS["TiB"]), (duration, format_duration, TIME_UNITS["s"])):
        number, unit = write(count).split()
        value = Fraction(number) * (SIZE_UNITS | TIME_UNITS)[unit]
        assert abs(value - count) <= Fraction(count, 1999)
        if len(number.replace(".", "")) > 4:
            assert count >= 10_000 * whole
        if value == count:
            assert read(write(count), "written", zero=True) == count


@given(AMOUNTS)
def test_exact_writing_is_read_back_as_the_same_number(count):
    assert size(exact_size(count), zero=True) == count
    assert duration(exact_duration(count), "t", zero=True) == count
    assert (exact_size(count) + exact_duration(count)).isascii()


def test_exact_writing_is_short():
    assert [exact_size(count) for count in (0, 4096, 64 << 30, 3 << 39)] == ["0 B", "4 KiB", "64 GiB", "1536 GiB"]
    assert [exact_duration(ns) for ns in (0, 20, 1500, 10**6, 1_234_567, 10**10)] == [
        "0 ns",
        "20 ns",
        "1.5 us",
        "1 ms",
        "1.234567 ms",
        "10 s",
    ]


def test_other_modules_refuse_in_the_same_words():
    error = bad_value("touch", "sideways", "is not a pattern", "'sequential' or 'none'")
    assert isinstance(error, ValueError)
    assert str(error) == "touch='sideways' is not a pattern. Accepted: 'sequential' or 'none'."


def test_what_the_module_offers_is_there_and_documented():
    for name in units.__all__:
        assert hasattr(units, name)
    assert all(getattr(units, name).__doc__ for name in units.__all__ if callable(getattr(units, name)))


# Python's own numbers


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int8(7), 7),
        (np.uint64(2**63), 2**63),
        (np.int32(-5), -5),
        (np.array(3, np.int16), 3),
        (np.True_, True),
        (np.float32(0.3), 0.3),
        (np.float64(0.1), 0.1),
        (np.longdouble("0.1"), 0.1),
        (np.longdouble("0.1234567890123456789"), Decimal("0.1234567890123456789")),
        (np.str_("text"), "text"),
        (np.array([1, 2], np.int8), (1, 2)),
        ([np.int8(1), "2 B"], [1, "2 B"]),
        (iter((np.int8(1), 2)), (1, 2)),
        ({3, 1, 2}, (1, 2, 3)),
        (range(3), (0, 1, 2)),
        (b"12", b"12"),
        (None, None),
    ],
)
def test_a_value_becomes_pythons_own(value, expected):
    found = plain(value, "parameter")
    assert found == expected
    assert type(found) is type(expected)
    if isinstance(found, list | tuple):
        assert all(type(each) in (int, str) for each in found)


def test_an_iterator_without_an_end_is_refused():
    with pytest.raises(ValueError, match=r"^rates=count\(0\): use at most 1,000 values$"):
        plain(itertools.count(), "rates")


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint64])
@pytest.mark.parametrize(
    "read", [lambda n: factor(n), lambda n: calculated(n, "t", "ns"), lambda n: number(n, "n", "")]
)
def test_a_number_of_numpys_does_not_go_on_in_its_own_width(kind, read):
    exact = read(kind(100))
    assert type(exact.numerator) is type(exact.denominator) is int
    assert exact * 10**12 == 10**14
    third = read(Fraction(kind(100), kind(3)))
    assert type(third.numerator) is int
    assert third * 10**12 == Fraction(10**14, 3)


@pytest.mark.parametrize("value", [Decimal("1e-99999999"), Decimal("-1e99999999"), Fraction(1, 10**2000)])
@pytest.mark.parametrize("read", [share, factor, lambda value, name: calculated(value, name, "s")])
def test_a_number_that_takes_seconds_to_write_out_is_refused_at_once(read, value):
    began = time.process_time()
    assert "has more than 1,000 digits" in refused(read, value, "parameter")
    assert time.process_time() - began < 1


def test_a_decimal_zero_is_zero_whatever_its_exponent():
    assert share(Decimal("0e-99999999"), "used") == 0


@pytest.mark.parametrize("value", [0, 5, np.int8(5), np.array(5)])
def test_whole_numbers_are_read(value):
    assert type(whole_number(value, "seed")) is int
    assert whole_number(value, "seed", 0, 5) == int(value)


@pytest.mark.parametrize("value", [None, "5", 5.0, True, np.True_, [5], Decimal(5), 0, 249, object()])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(ValueError, match=r"^vcpus=.*: use a whole number from 1 to 248$"):
        whole_number(value, "vcpus", 1, 248)


def test_flags_are_true_or_false_and_nothing_else():
    assert [flag(value, "film") for value in (True, False, np.True_, np.False_)] == [True, False, True, False]
    for value in (0, 1, None, "True", np.int8(1), np.array([True, False]), []):
        with pytest.raises(ValueError, match=r"^film=.*: use True or False$"):
            flag(value, "film")


@pytest.mark.parametrize("write", [format_size, format_duration, format_rate, format_count, exact_size, exact_duration])
@pytest.mark.parametrize(
    "value", [None, 1.5, "5 MiB", True, np.True_, 1 << 20_000, np.array([1, 2]), Fraction(1, 3), [], int], ids=shown
)
def test_what_is_written_is_a_whole_number(write, value):
    with pytest.raises(ValueError, match=r"^(count|nanoseconds|bytes_per_second)=.*: use a whole number"):
        write(value)
    assert write(np.int64(5)) == write(5)


def test_a_word_is_one_of_those_accepted():
    assert one_of(np.str_("a"), ("a", "b"), "touch") == "a"
    for value in ("c", None, ["a"], np.array(["a", "b"]), 1):
        with pytest.raises(ValueError, match=r"^touch=.*: use one of 'a', 'b'$"):
            one_of(value, ("a", "b"), "touch")


@pytest.mark.parametrize("value", [Fraction(1, 3), Decimal("0.1"), Decimal("0.12345678901234567890"), Decimal(2), 0.1])
def test_the_code_of_a_number_makes_the_same_number(value):
    assert number(eval(code(value), {}), "value", "") == number(value, "value", "")


@pytest.mark.parametrize("value", [(1, "a"), (1,), [], (), ["1 s", (2,)], None, True])
def test_the_code_of_anything_else_makes_it_again(value):
    assert eval(code(value), {}) == value


def test_a_value_that_cannot_be_written_is_named_by_its_type():
    class Broken:
        def __repr__(self):
            raise RuntimeError

    assert shown(Broken()) == "(a Broken that cannot be written)"
    assert shown(np.zeros((3, 3))).count("\n") == 0
