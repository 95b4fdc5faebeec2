"""Sizes, times, rates, shares, whole numbers and flags: reading what people write, writing what people read.

Inside the package a size is an int of bytes and a time an int of nanoseconds. Text with a unit is accepted where a
value enters. Nothing is guessed and nothing is rounded on the way in: ``"1.5 us"`` is 1500 ns, ``"0.3 ns"`` and
``"64 GB"`` are errors. Every error is a `ValueError` that names the parameter, shows the value and says what is
accepted, for a value of a wrong type too.
"""

from __future__ import annotations

import functools
import inspect
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from numbers import Rational, Real
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "LARGEST",
    "SIZE_UNITS",
    "TIME_UNITS",
    "bad_value",
    "calculated",
    "code",
    "duration",
    "exact_duration",
    "exact_size",
    "expect",
    "expect_function",
    "expect_progress",
    "factor",
    "flag",
    "format_count",
    "format_duration",
    "format_rate",
    "format_size",
    "number",
    "one_of",
    "plain",
    "rate",
    "several",
    "share",
    "shown",
    "size",
    "whole_number",
    "writable",
]

SIZE_UNITS: dict[str, int] = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
TIME_UNITS: dict[str, int] = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9}

LARGEST = 1 << 60
"""Largest number of bytes, nanoseconds or bytes per second accepted. Sums of a few such numbers still fit 64 bits."""


def size(
    value: object,
    name: str = "memory",
    *,
    multiple_of: int = 1,
    minimum: int = 1,
    maximum: int = LARGEST,
    zero: bool = False,
) -> int:
    """Read an amount of memory.

    Parameters
    ----------
    value : int or str
        Bytes, or text with a unit: ``"64 GiB"``, ``"1.5 MiB"``, ``"4096 B"``. NumPy integers are ints.
    name : str
        The parameter's name, for the error.
    multiple_of : int
        The result must be a multiple of this many bytes.
    minimum, maximum : int
        Bounds in bytes; both are allowed themselves.
    zero : bool
        Accept zero too, whatever the minimum.

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    ValueError
        For anything else. Names the parameter, the value and what is accepted.
    """
    return _read(value, name, _SIZE, _Limits(minimum, maximum, zero, multiple_of))


def duration(value: object, name: str, *, minimum: int = 1, maximum: int = LARGEST, zero: bool = False) -> int:
    """Read a length of time.

    Parameters
    ----------
    value : int or str
        Nanoseconds, or text with a unit: ``"20 ns"``, ``"1.5 us"`` (or ``"1.5 µs"``), ``"3 ms"``, ``"1 s"``.
    name : str
        The parameter's name, for the error.
    minimum, maximum : int
        Bounds in nanoseconds; both are allowed themselves.
    zero : bool
        Accept zero too, whatever the minimum.

    Returns
    -------
    int
        Nanoseconds.

    Raises
    ------
    ValueError
        For anything else. Names the parameter, the value and what is accepted.
    """
    return _read(value, name, _TIME, _Limits(minimum, maximum, zero))


def rate(value: object, name: str = "rate") -> int:
    """Read an amount of memory per second.

    Parameters
    ----------
    value : int or str
        Bytes per second, or text: ``"2 GiB/s"``.
    name : str
        The parameter's name, for the error.

    Returns
    -------
    int
        Bytes per second, above 0.

    Raises
    ------
    ValueError
        For anything else. Names the parameter, the value and what is accepted.
    """
    return _read(value, name, _RATE, _Limits(1, LARGEST))


def calculated(value: object, name: str, unit: str) -> Fraction:
    """Read an amount of memory or a length of time that somebody calculated: it need not be a whole number.

    Parameters
    ----------
    value : int, float, Decimal, Fraction or str
        A number of `unit`, or text with a unit of its own. A float counts as the decimal number that Python prints.
    name : str
        The parameter's name, for the error.
    unit : str
        What a number counts: one of `SIZE_UNITS` or `TIME_UNITS`.

    Returns
    -------
    Fraction
        Bytes or nanoseconds, 0 or more.

    Raises
    ------
    ValueError
        For anything else, NaN included. Names the parameter, the value and what is accepted.
    """
    quantity = _TIME if unit in TIME_UNITS else _SIZE
    units = ", ".join(quantity.units)
    accepted = f"a number, which counts {unit}, or text such as {quantity.example!r} (units: {units}); 0 or more"
    if not isinstance(value, str):
        count = number(value, name, accepted) * quantity.units[unit]
    else:
        try:
            count = _amount(value, quantity, unit)
        except ValueError as error:
            raise bad_value(name, value, str(error), accepted) from None
    if count < 0:
        raise bad_value(name, value, "is negative", accepted)
    return count


def share(value: object, name: str) -> Fraction:
    """Read a share of a whole, a number from 0 to 1.

    A float counts as the decimal number that Python prints for it: ``share(0.3, "used")`` is 3/10 and not the binary
    fraction just below, so that 0.3 of 10 pages are 3 pages.

    Parameters
    ----------
    value : int, float, Decimal or Fraction
        The share. NumPy's numbers are accepted.
    name : str
        The parameter's name, for the error.

    Returns
    -------
    Fraction
        Exactly what was written.

    Raises
    ------
    ValueError
        For anything else, NaN included. Names the parameter, the value and what is accepted.
    """
    accepted = "a number from 0 to 1"
    exact = number(value, name, accepted)
    if exact < 0:
        raise bad_value(name, value, "is below 0", accepted)
    if exact > 1:
        raise bad_value(name, value, "is above 1", accepted)
    return exact


def factor(value: object, name: str = "factor") -> Fraction:
    """Read a factor, a number above 0.

    Parameters
    ----------
    value : int, float, Decimal, Fraction or str
        A float counts as the decimal number that Python prints for it; text is a decimal number: ``"0.1"``.
    name : str
        The parameter's name, for the error.

    Returns
    -------
    Fraction
        Exactly what was written.

    Raises
    ------
    ValueError
        For anything else, NaN included. Names the parameter, the value and what is accepted.
    """
    accepted = "a number above 0, such as 2, 0.5 or '1.1'"
    exact = number(value, name, accepted, text=True)
    if exact <= 0:
        raise bad_value(name, value, "is not above 0", accepted)
    return exact


def number(value: object, name: str, accepted: str, *, text: bool = False) -> Fraction:
    """Read a number, exactly.

    Parameters
    ----------
    value : int, float, Decimal, Fraction or str
        A float, whose digits are all there is to go by, counts as the decimal number that Python prints for it.
    name : str
        The parameter's name, for the error.
    accepted : str
        What is accepted, for the error.
    text : bool
        Whether text is: a decimal number.

    Returns
    -------
    Fraction

    Raises
    ------
    ValueError
        For anything else, NaN included. Names the parameter, the value and what is accepted.
    """
    try:
        if text and isinstance(value, str):
            digits, rest = _split(value)
            if rest:
                raise ValueError("is not a number")
            return Fraction(digits)
        if isinstance(value, Rational) and not isinstance(value, bool | np.timedelta64):
            # a Fraction keeps NumPy's integers as they are, and would go on in their 8 to 64 bits
            return _of_reasonable_length(Fraction(int(value.numerator), int(value.denominator)))
        if not isinstance(value, Decimal | Real) or isinstance(value, bool | np.timedelta64):
            raise ValueError(f"is of type {type(value).__name__}")
        if not (value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)):
            raise ValueError("is not a finite number")
        return _of_reasonable_length(value if isinstance(value, Decimal) else Decimal(str(value)))
    except ValueError as error:
        raise bad_value(name, value, str(error), accepted) from None


def whole_number(value: object, name: str, minimum: int | None = None, maximum: int | None = None) -> int:
    """Read a whole number.

    Parameters
    ----------
    value : int
        NumPy's integers are accepted; a bool is not a number.
    name : str
        The parameter's name, for the error.
    minimum, maximum : int, optional
        Bounds; both are allowed themselves.

    Returns
    -------
    int
        Python's own, whose sums and products cannot overflow.

    Raises
    ------
    ValueError
        For anything else. Names the parameter, the value and what is accepted.
    """
    try:
        count = value if type(value) is int else _integer(value)
    except ValueError:
        count = None
    if count is None or (minimum is not None and count < minimum) or (maximum is not None and count > maximum):
        bounds = "" if minimum is None else f", {minimum:,} or more"
        if maximum is not None:
            bounds = f" from {minimum:,} to {maximum:,}"
        raise ValueError(f"{name}={shown(value)}: use a whole number{bounds}")
    return count


def writable(value: object, name: str) -> int:
    """Read a whole number that is to be written: Python refuses to write one of thousands of digits.

    Raises
    ------
    ValueError
        For anything else. Names the parameter, the value and what is accepted.
    """
    count = value if type(value) is int else whole_number(value, name)
    if count.bit_length() > 3 * _MOST_DIGITS:
        raise ValueError(f"{name}={shown(value)}: use a whole number of fewer than {_MOST_DIGITS:,} digits")
    return count


def flag(value: object, name: str) -> bool:
    """Read True or False; NumPy's are accepted, numbers are not.

    Raises
    ------
    ValueError
        For anything else. Names the parameter, the value and what is accepted.
    """
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name}={shown(value)}: use True or False")
    return bool(value)


def one_of(value: object, accepted: Iterable[str], name: str) -> str:
    """Read one of some words.

    Raises
    ------
    ValueError
        For anything else. Names the parameter, the value and what is accepted.
    """
    words = tuple(accepted)
    word = str.__str__(value) if isinstance(value, str) else None
    if word is None or word not in words:
        raise ValueError(f"{name}={shown(value)}: use one of {', '.join(map(repr, words))}")
    return word


SEVERAL = 1000
"""Values that a parameter may have, at most: an iterator may have no end."""


def expect(kind: type | tuple[type, ...], value: object, name: str, accepted: str) -> None:
    """Refuse a value that is no instance of a class, or of any of several.

    Raises
    ------
    ValueError
        Names the parameter, the value and what is accepted.
    """
    if not isinstance(value, kind):
        raise ValueError(f"{name}={shown(value)}: use {accepted}")


def expect_progress(value: object, arguments: int, of: str) -> None:
    """Refuse what cannot be told how far something is; None wants to know nothing.

    Parameters
    ----------
    value : object
    arguments : int
        How many it is called with.
    of : str
        What they are, for the error.

    Raises
    ------
    ValueError
        Names the parameter, ``progress``, the value and what is accepted.
    """
    if value is not None:
        expect_function(value, "progress", arguments, f"a function of {of}, or None")


def expect_function(value: object, name: str, arguments: int, accepted: str) -> None:
    """Refuse what cannot be called with so many arguments, as far as it tells.

    Raises
    ------
    ValueError
        Names the parameter, the value and what is accepted.
    """
    if not (callable(value) and _takes(value, arguments)):
        raise ValueError(f"{name}={shown(value)}: use {accepted}")


def _takes(function: Callable[..., object], arguments: int) -> bool:
    """Whether a function can be called with so many arguments, as far as it tells."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # some that are written in C don't tell
        return True
    try:
        signature.bind(*range(arguments))
    except TypeError:
        return False
    return True


def plain(value: Any, name: str) -> Any:
    """The value of a parameter in Python's own types.

    NumPy's numbers would go on computing in their 8 to 64 bits, and an iterator can be read only once. What is neither
    a number nor text nor a collection of these stays as it is.

    Returns
    -------
    object
        bool, int, float, str, list, or a tuple for any other collection; a Decimal for a float of NumPy's that says
        more than a float can.

    Raises
    ------
    ValueError
        If it has more than `SEVERAL` entries, is nested too deeply, or is masked.
    """
    if isinstance(value, np.bool_ | bool):
        return bool(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int | np.integer) and not isinstance(value, np.timedelta64):
        return _integer(value)
    if isinstance(value, float | np.floating):
        # what Python prints is what counts; a longdouble says more than a float can
        decimal = Decimal(str(value))
        return float(decimal) if not decimal.is_finite() or Decimal(repr(float(decimal))) == decimal else decimal
    if isinstance(value, np.ndarray) and not value.ndim:
        if value is np.ma.masked:  # which is in itself
            raise ValueError(f"{name}=masked: NumPy writes it where there is no value; give one")
        return plain(value[()], name)
    if isinstance(value, bytes | bytearray) or not isinstance(value, Sequence | Set | Iterator | np.ndarray):
        return value
    written = shown(value)  # an iterator that has been read may be written in another way
    entries = list(islice(value, SEVERAL + 1))
    if len(entries) > SEVERAL:
        raise ValueError(f"{name}={written}: use at most {SEVERAL:,} values")
    if isinstance(value, set | frozenset):
        entries.sort(key=repr)  # the same line of code each time
    try:
        found = [plain(each, name) for each in entries]
    except RecursionError:
        raise ValueError(f"{name}={written} is nested too deeply, or is in itself: use fewer brackets") from None
    return found if isinstance(value, list) else tuple(found)


def several(value: Any, name: str, accepted: str) -> tuple[Any, ...]:
    """Read several values, in Python's own types.

    Parameters
    ----------
    value : iterable
        Not text, and at most `SEVERAL` entries.
    name : str
        The parameter's name, for the error.
    accepted : str
        What is accepted, for the error.

    Returns
    -------
    tuple

    Raises
    ------
    ValueError
        For anything else. Names the parameter, the value and what is accepted.
    """
    entries = plain(value, name)
    if not isinstance(entries, list | tuple):
        raise ValueError(f"{name}={shown(value)}: use {accepted}")
    return tuple(entries)


def code(value: Any) -> str:
    """Python that makes the value of a parameter again, after ``import lazydestroy as ld``.

    Raises
    ------
    ValueError
        If it cannot be written as Python.
    """
    if isinstance(value, Fraction | Decimal):
        exact = number(value, "value", "a number")
        if exact.denominator == 1:
            return repr(exact.numerator)
        if Fraction(repr(float(exact))) == exact:
            return repr(float(exact))
        return f"__import__('fractions').{exact!r}"
    if isinstance(value, list | tuple):
        try:
            entries = ", ".join(map(code, value))
        except RecursionError:
            raise bad_value("value", value, "is nested too deeply, or is in itself", "fewer brackets") from None
        return f"[{entries}]" if isinstance(value, list) else f"({entries}{',' * (len(value) == 1)})"
    try:
        return repr(value)
    except Exception:
        raise bad_value("value", value, "cannot be written as Python", "what can") from None


def bad_value(name: str, value: object, complaint: str, accepted: str) -> ValueError:
    """The error for a parameter's value, as a sentence that helps.

    Parameters
    ----------
    name : str
        The parameter.
    value : object
        What was given.
    complaint : str
        What is wrong, as a verb phrase: ``"is not a pattern"``.
    accepted : str
        What would be right: ``"one of 'sequential', 'reverse', 'random', 'none'"``.

    Returns
    -------
    ValueError
        To be raised by the caller.
    """
    stop = "" if complaint.endswith("?") else "."
    return ValueError(f"{name}={shown(value)} {complaint}{stop} Accepted: {accepted}.")


def shown(value: object) -> str:
    """Write a value for an error message, in one line that is cut if it is long.

    Python refuses to print an int of thousands of digits, and an object's own ``__repr__`` may fail.
    """
    if isinstance(value, int) and value.bit_length() > 200:
        return f"(an int of {value.bit_length()} bits)"
    try:
        written = " ".join(repr(value).split())
    except Exception:
        return f"(a {type(value).__name__} that cannot be written)"
    return written if len(written) <= _LONGEST_TEXT + 2 else written[: _LONGEST_TEXT - 3] + "..."


def format_size(count: int) -> str:
    """Write bytes for a reader: ``"64 GiB"``, ``"1.5 MiB"``.

    The largest unit in which four digits say it exactly; if there is none, four digits of the largest unit, with
    trailing zeros: ``"64.00 GiB"`` was rounded, ``"64 GiB"`` was not.
    """
    return _size(writable(count, "count"))


def format_duration(nanoseconds: int) -> str:
    """Write nanoseconds for a reader: ``"1.5 µs"``, ``"25.95 s"``. Rounds as `format_size` does."""
    return _duration(writable(nanoseconds, "nanoseconds"))


def format_rate(bytes_per_second: int) -> str:
    """Write bytes per second for a reader: ``"2 GiB/s"``. Rounds as `format_size` does."""
    return _size(writable(bytes_per_second, "bytes_per_second")) + "/s"


def format_count(count: int) -> str:
    """Write a count for a reader, every digit of it: ``"268,435,456"``."""
    return f"{writable(count, 'count'):,}"


def exact_size(count: int) -> str:
    """Write bytes so that `size` reads the same number again: a whole number of the largest unit that divides it."""
    count = writable(count, "count")
    unit = next((unit for unit, base in reversed(SIZE_UNITS.items()) if count and count % base == 0), "B")
    return f"{count // SIZE_UNITS[unit]} {unit}"


def exact_duration(nanoseconds: int) -> str:
    """Write nanoseconds so that `duration` reads the same number again: ``"1.234567 ms"``, in ASCII."""
    nanoseconds = writable(nanoseconds, "nanoseconds")
    unit = _largest_unit(nanoseconds, {unit: ns for unit, ns in TIME_UNITS.items() if unit != "µs"})
    return f"{(Decimal(nanoseconds) / TIME_UNITS[unit]).normalize():f} {unit}"


@dataclass(frozen=True, eq=False)
class _Quantity:
    """What tells apart reading sizes, times and rates."""

    base: str  # what an int counts
    units: dict[str, int]
    meant: dict[str, str]  # other spellings, in lower case, and the unit that is probably meant
    example: str
    write: Callable[[int], str]
    per: str = ""  # what follows the unit


# Other spellings lead to a hint, never to a value: "GB" is 10⁹ bytes to some and 2³⁰ to others.
_MEANT_SIZE = {
    spelling: unit
    for letter, unit in {"k": "KiB", "m": "MiB", "g": "GiB", "t": "TiB"}.items()
    for spelling in (letter, letter + "b", letter + "ib")
} | {"b": "B", "byte": "B", "bytes": "B"}
_MEANT_TIME = {
    spelling: unit
    for unit, spellings in {
        "ns": "ns nsec nanosecond nanoseconds",
        "us": "us µs usec µsec microsecond microseconds",
        "ms": "ms msec millisecond milliseconds",
        "s": "s sec secs second seconds",
    }.items()
    for spelling in spellings.split()
}

_SIZE = _Quantity("bytes", SIZE_UNITS, _MEANT_SIZE, "64 GiB", format_size)
_TIME = _Quantity("nanoseconds", TIME_UNITS, _MEANT_TIME, "1.5 us", format_duration)
_RATE = _Quantity("bytes per second", SIZE_UNITS, _MEANT_SIZE, "2 GiB/s", format_rate, per="/s")


class _Limits(NamedTuple):
    """Which of the values that can be read are accepted."""

    minimum: int
    maximum: int
    zero: bool = False
    multiple_of: int = 1

    def complaint(self, count: int, write: Callable[[int], str]) -> str:
        """What is wrong with a value; empty if nothing is."""
        if count < 0:
            return "is negative"
        if count == 0 and (self.zero or self.minimum <= 0):
            return ""
        if count == 0:
            return "is zero"
        if count < self.minimum:
            return f"is less than {write(self.minimum)}"
        if count > self.maximum:
            return f"is more than {write(self.maximum)}"
        return f"is not a multiple of {write(self.multiple_of)}" if count % self.multiple_of else ""

    def words(self, write: Callable[[int], str]) -> str:
        """What is accepted."""
        if self.minimum > 1:
            words = [("0 or " if self.zero else "") + f"at least {write(self.minimum)}"]
        else:
            words = ["0 or more" if self.zero or self.minimum <= 0 else "above 0"]
        if self.maximum < LARGEST:
            words.append(f"at most {write(self.maximum)}")
        if self.multiple_of > 1:
            words.append(f"a multiple of {write(self.multiple_of)}")
        return ", ".join(words)


_NUMBER = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+))\s*(.*)", re.DOTALL)
_LONGEST_TEXT = 60


def _read(value: object, name: str, quantity: _Quantity, limits: _Limits) -> int:
    """Read a value of a quantity, within limits."""
    try:
        count = _parse(str(value), quantity) if isinstance(value, str) else _integer(value)
        complaint = limits.complaint(count, quantity.write)
    except ValueError as error:
        complaint = str(error)
    if complaint:
        units = ", ".join(unit + quantity.per for unit in quantity.units)
        accepted = f"an int of {quantity.base} or text such as {quantity.example!r} (units: {units})"
        raise bad_value(name, value, complaint, f"{accepted}; {limits.words(quantity.write)}")
    return count


_MOST_DIGITS = 1000
"""Digits of the longest number read: enough for any float. Decimal("1e-99999999") would take seconds to write out."""


def _of_reasonable_length(exact: Fraction | Decimal) -> Fraction:
    """A number as a Fraction, unless that would have very many digits."""
    if isinstance(exact, Decimal):
        digits, exponent = exact.as_tuple()[1:]
        too_long = bool(exact) and (len(digits) > _MOST_DIGITS or abs(int(exponent)) > _MOST_DIGITS)
    else:
        too_long = exact.denominator.bit_length() > 4 * _MOST_DIGITS
    if too_long:
        raise ValueError(f"has more than {_MOST_DIGITS:,} digits when it is written out")
    return Fraction(exact) if exact else Fraction(0)


def _integer(value: object) -> int:
    """The int that a value is. Neither a bool nor a float is one."""
    try:
        if type(value).__name__.startswith("bool"):  # NumPy's too, which older versions take for an index
            raise TypeError
        # of a class that is made from int, what int itself says
        return int.__index__(operator.index(value))  # type: ignore[arg-type]  # without an __index__: TypeError
    except TypeError:
        raise ValueError(f"is of type {type(value).__name__}") from None
    except Exception as error:  # an __index__ of somebody's own
        raise ValueError(
            f"is of type {type(value).__name__}, whose __index__ ends with {type(error).__name__}"
        ) from None


@functools.lru_cache(1024)
def _parse(text: str, quantity: _Quantity) -> int:
    """The number of base units that text says. The complaint of a ValueError continues "name=value"."""
    count = _amount(text, quantity)
    if count.denominator != 1:
        raise ValueError(f"is not a whole number of {quantity.base}")
    return count.numerator


def _amount(text: str, quantity: _Quantity, counted: str = "") -> Fraction:
    """The base units that text says, whole or not; `counted` is what a number counts, if not an int the base units."""
    digits, unit = _split(text.replace("\N{GREEK SMALL LETTER MU}", "\N{MICRO SIGN}"))
    if not unit:
        would_count = f"a number would count {counted}" if counted else f"an int would count {quantity.base}"
        raise ValueError(f"has no unit ({would_count})")
    if quantity.per:
        unit, slash, per = (part.strip() for part in unit.partition("/"))
        if slash + per != quantity.per:
            raise ValueError(f"does not say {quantity.per!r}")
    if unit not in quantity.units:
        meant = quantity.meant.get(unit.lower())
        hint = f", did you mean '{digits} {meant}{quantity.per}'?" if meant else ""
        raise ValueError(f"has an unknown unit {unit!r}{hint}")
    return Fraction(digits) * quantity.units[unit]


def _split(text: str) -> tuple[str, str]:
    """A text's number and what follows it."""
    if len(text) > _LONGEST_TEXT:
        raise ValueError(f"is longer than {_LONGEST_TEXT} characters")
    if re.search("[0-9],[0-9]", text):
        raise ValueError("has a comma, write a decimal point and no thousands separators")
    match = _NUMBER.fullmatch(text.strip())
    if not match:
        raise ValueError("does not begin with a number")
    return match[1], match[2]


_DIGITS = 4


@functools.lru_cache(1024)
def _size(count: int) -> str:
    return _write(count, SIZE_UNITS)


@functools.lru_cache(1024)
def _duration(nanoseconds: int) -> str:
    return _write(nanoseconds, {unit: ns for unit, ns in TIME_UNITS.items() if unit != "us"})


def _write(count: int, units: dict[str, int]) -> str:
    """Write a number of base units with the digits and the unit that `format_size` promises."""
    sign, count = ("-", -count) if count < 0 else ("", count)
    largest = _largest_unit(count, units)
    for unit, base in reversed(units.items()):
        if base <= units[largest] and _is_short(count, base, unit == largest):
            return f"{sign}{(Decimal(count) / base).normalize():f} {unit}"
    decimals = _decimals(count, units[largest])
    rounded = round(Fraction(count, units[largest]), decimals)
    higher = next((unit for unit, base in units.items() if base > units[largest]), "")
    if higher and rounded * units[largest] >= units[higher]:
        return f"{sign}{1:.{_DIGITS - 1}f} {higher}"
    decimals = _decimals(int(rounded), 1) if decimals else 0  # 99.995 has become 100.0
    return f"{sign}{Decimal(int(rounded * 10**decimals)).scaleb(-decimals)} {largest}"


def _is_short(count: int, base: int, largest: bool) -> bool:
    """Whether four digits say a number exactly in units of `base`. In the largest unit a whole number will do."""
    in_digits = count * 10 ** _decimals(count, base) % base == 0
    return in_digits and (largest or count < base * 10**_DIGITS)


def _decimals(count: int, base: int) -> int:
    """How many decimals there are among the four digits of a number in units of `base`."""
    return max(0, _DIGITS - len(str(count // base)))


def _largest_unit(count: int, units: dict[str, int]) -> str:
    """The largest unit in which a number is at least 1, or else the smallest unit."""
    fitting = [unit for unit, base in units.items() if base <= abs(count)]
    return fitting[-1] if fitting else next(iter(units))
