"""An amount as people type it: a decimal comma, a unit in words, an exponent."""

from __future__ import annotations

import re
from decimal import Decimal

from ..units import shown

_AMOUNT = re.compile(r"(?P<number>[+-]?\d[\d.,']*|[+-]?[.,]\d+)(?P<exponent>[eE][+-]?\d{1,2})?\s*(?P<unit>[^\W\d]*)")

_WORDS = {
    "s": ("sec", "secs", "second", "seconds"),
    "ms": ("msec", "msecs", "millisecond", "milliseconds"),
    "us": ("μs", "usec", "usecs", "microsecond", "microseconds"),
    "ns": ("nsec", "nsecs", "nanosecond", "nanoseconds"),
    "B": ("byte", "bytes"),
    "KiB": ("kibibyte", "kibibytes"),
    "MiB": ("mebibyte", "mebibytes"),
    "GiB": ("gibibyte", "gibibytes"),
    "TiB": ("tebibyte", "tebibytes"),
}
"""Other ways to write a unit. MB is none of them: some mean 1,000,000 bytes by it."""

_UNITS = {word: unit for unit, words in _WORDS.items() for word in words}


def amount(answer: object, name: str, unit: str) -> object:
    """Write an answer as `lazydestroy.units` reads it; what is no amount, and no text, is left as it is.

    Parameters
    ----------
    answer : object
    name : str
        What it is, for the error.
    unit : str
        What a number without a unit counts.

    Raises
    ------
    ValueError
        If a comma in it may be a decimal one or not.

    Examples
    --------
    >>> amount("16,95 seconds", "answer", "s")
    '16.95 s'
    >>> amount("4.731e-1", "answer", "s")
    '0.4731 s'
    """
    found = _AMOUNT.fullmatch(answer.strip()) if isinstance(answer, str) else None
    if found is None:
        return answer
    number = _plain(found["number"], name, answer)
    if number is None:
        return answer
    exact = Decimal(number + (found["exponent"] or ""))
    written = found["unit"] or unit
    return f"{exact:f} {_UNITS.get(written.casefold(), written)}"


def _plain(number: str, name: str, answer: object) -> str | None:
    """A number with a decimal point and nothing between thousands; None if it is none."""
    marks = re.findall("[.,']", number)
    if not set(marks) - {"."}:
        return number if len(marks) < 2 else None
    last = marks[-1]
    whole, _, rest = number.rpartition(last)
    if len(marks) == 1 and last == ",":
        if re.fullmatch(r"[+-]?[1-9]\d{0,2}", whole) and len(rest) == 3:
            raise ValueError(
                f"{name}={shown(answer)} may be {whole}.{rest} or {whole}{rest}: write a decimal point, and nothing "
                "between thousands"
            )
        return f"{whole or '0'}.{rest}"
    decimal = last if marks.count(last) == 1 and len(set(marks)) > 1 else ""
    groups, fraction = (whole, rest) if decimal else (number, "")
    if not re.fullmatch(r"[+-]?\d{1,3}(?:([.,'])\d{3})(?:\1\d{3})*", groups):
        return None
    return re.sub("[.,']", "", groups) + (f".{fraction}" if fraction else "")


__all__ = ["amount"]
