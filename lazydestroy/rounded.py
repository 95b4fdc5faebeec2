"""Sizes, times and counts as people say them: with two or three digits, and "1 page" beside "2 pages".

Exact values are for tables: `lazydestroy.units` writes them.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal

from .units import expect, format_count, whole_number, writable

_TIMES = (("s", 10**9, 10**8), ("ms", 10**6, 10**6), ("µs", 10**3, 10**3), ("ns", 1, 0))
"""Unit, nanoseconds in it, and from how many nanoseconds on it is used: 0.8 s is easier to take in than 797 ms."""

_SIZES = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def about_duration(nanoseconds: int) -> str:
    """Write a time with two or three digits.

    >>> [about_duration(ns) for ns in (797_100_000, 25_503_208_320, 52_010_000_000, 640, 0)]
    ['0.8 s', '25.5 s', '52 s', '640 ns', '0 s']
    """
    count = writable(nanoseconds, "nanoseconds")
    if count < 0:
        return f"-{about_duration(-count)}"
    if not count:
        return "0 s"
    unit, one, _ = next(each for each in _TIMES if count >= each[2])
    return f"{_digits(Decimal(count) / one)} {unit}"


def about_size(count: int) -> str:
    """Write a number of bytes with two or three digits.

    >>> [about_size(count) for count in (64 << 30, 203_319_706, 8512 << 10, 100)]
    ['64 GiB', '194 MiB', '8.3 MiB', '100 bytes']
    """
    count = writable(count, "count")
    if count < 0:
        return f"-{about_size(-count)}"
    for unit, one in _SIZES:
        if count >= one:
            return f"{_digits(Decimal(count) / one)} {unit}"
    return f"{count} byte{'' if count == 1 else 's'}"


def about_count(count: int) -> str:
    """Write a count; from a thousand on with three digits, from a million on in words.

    >>> [about_count(count) for count in (7, 1108, 82_700, 524_290, 16_777_217)]
    ['7', '1,110', '82,700', '524,000', '16.8 million']
    """
    count = writable(count, "count")
    if count < 0:
        return f"-{about_count(-count)}"
    if count < 1_000:
        return str(count)
    if count < 999_500:
        return format_count(int(_rounded(Decimal(count), 3)))
    return f"{_digits(Decimal(count) / 10**6)} million"


def about(count: int, unit: str) -> str:
    """Write a number of things with three digits: "1 page", "16.8 million pages". `unit` is the plural."""
    return f"{about_count(count)} {_form(unit, count)}".rstrip()


def counted(count: int, unit: str) -> str:
    """Write a number of things with every digit: "1 page", "16,777,217 pages". `unit` is the plural."""
    return f"{format_count(count)} {_form(unit, count)}".rstrip()


def short_of(text: str, words: int) -> str:
    """Shorten a text to at most so many words, at the end of a clause; empty if its first clause is too long."""
    expect(str, text, "text", "a text")
    words = whole_number(words, "words", 0)
    clauses = re.split(r"(?<=[,;:.]) ", text)
    while clauses and len(" ".join(clauses).split()) > words:
        clauses.pop()
    return " ".join(clauses).rstrip(",;:.")


def _form(unit: str, count: int) -> str:
    expect(str, unit, "unit", "the plural of what is counted, such as 'pages'")
    return unit.removesuffix("s") if count == 1 else unit


def _digits(value: Decimal) -> str:
    """Two digits, from 10 on three; no zeros at the end."""
    found = _rounded(value, 3 if value >= Decimal("9.95") else 2)
    return f"{found:,f}".rstrip("0").rstrip(".") if found != found.to_integral() else f"{int(found):,}"


def _rounded(value: Decimal, digits: int) -> Decimal:
    """Keep so many digits in front."""
    if not value:
        return value
    return value.quantize(Decimal(1).scaleb(value.adjusted() - digits + 1), ROUND_HALF_EVEN)


__all__ = ["about", "about_count", "about_duration", "about_size", "counted", "short_of"]
