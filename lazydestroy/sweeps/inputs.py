"""What a sweep is given: which inputs vary, and how they are written in a file."""

from __future__ import annotations

import inspect
import itertools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from .. import units
from ..costs import Costs
from ..scenarios import reboot, reboot_loop, shutdown

SCENARIOS = (reboot, shutdown, reboot_loop)

SIZES = (
    "memory",
    "host_memory",
    "swap",
    "loader",
    "image",
    "image_at",
    "process_memory",
    "low_memory",
    "segment_table",
    "demand_total",
)
"""Parameters of the scenarios that are read as bytes."""

NOT_INPUTS = ("film", "progress", "_engine")
"""Parameters of the scenarios that a sweep does not take: they change no figure."""

OURS = ("why", "of", "given", "dimensions", "figures", "lazydestroy")
"""Names that the Dataset itself needs."""


@dataclass(frozen=True, slots=True)
class Coordinate:
    """The values of an input that varies, as a file can hold them.

    Attributes
    ----------
    values : numpy.ndarray, shape (n,)
        Numbers, or text.
    unit : str
        "B", "ns", "B/s", "1"; empty for text.
    is_code : bool
        Whether a text is Python, such as "ld.series.v1", and not itself the value.
    """

    values: np.ndarray
    unit: str
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Inputs:
    """All inputs of a sweep.

    Attributes
    ----------
    what : callable
    same : dict
        Inputs that are the same for all points.
    dimensions : dict of str to list
        Those that vary.
    """

    what: Callable[..., Any]
    same: Mapping[str, Any]
    dimensions: Mapping[str, list[Any]]

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each dimension has."""
        return tuple(map(len, self.dimensions.values()))

    def points(self) -> list[dict[str, Any]]:
        """The inputs of each point, the last dimension fastest."""
        return [
            {**self.same, **dict(zip(self.dimensions, values, strict=True))}
            for values in itertools.product(*self.dimensions.values())
        ]

    def coordinates(self) -> dict[str, Coordinate]:
        """The dimensions as a file can hold them.

        Raises
        ------
        ValueError
            If two values of a dimension would look the same there.
        """
        found = {name: _coordinate(self.what, name, values) for name, values in self.dimensions.items()}
        for name, coordinate in found.items():
            labels = coordinate.values.tolist()
            twice = next((label for place, label in enumerate(labels) if label in labels[:place]), None)
            if twice is not None:
                raise units.bad_value(name, self.dimensions[name], f"has {twice!r} twice", "different values")
        return found

    def costs(self) -> dict[str, np.ndarray]:
        """Nanoseconds of each cost that is not the same in all of `costs`, if these vary; each of shape (n,)."""
        varied = self.dimensions.get("costs", [])
        if not all(isinstance(each, Costs) for each in varied):
            return {}
        columns = {
            each.name: np.array([getattr(costs, each.name) for costs in varied], np.int64) for each in fields(Costs)
        }
        return {name: column for name, column in columns.items() if len(set(column.tolist())) > 1}

    def attributes(self) -> dict[str, Any]:
        """What holds for all points: all inputs, defaults too, and what is needed to run a point again."""
        from .. import __version__

        parameters = inspect.signature(self.what).parameters.values()
        defaults = {
            each.name: each.default
            for each in parameters
            if each.default is not each.empty and each.name not in (*NOT_INPUTS, *self.dimensions)
        }
        found = {name: attribute(value) for name, value in {**defaults, **self.same}.items()}
        costs = self.same.get("costs", defaults.get("costs"))
        if self.what in SCENARIOS and "costs" not in self.dimensions:
            found["costs_ns"] = json.dumps(asdict(costs if isinstance(costs, Costs) else Costs()))
        found["of"] = name_of(self.what)
        found["given"] = json.dumps({name: written(value) for name, value in self.same.items()})
        found["dimensions"] = json.dumps(list(self.dimensions))
        found["lazydestroy"] = __version__
        return found


def inputs_of(what: Any, given: Mapping[str, Any]) -> Inputs:
    """Read what a sweep is given: a list, a range or an array varies, and anything else is one value.

    Raises
    ------
    ValueError
        If `what` is no function, or a dimension has no values or more than one axis.
    TypeError
        If `what` has no such parameter: says which it has.
    """
    names = _parameters(what, given)
    reserved = [name for name in given if name in OURS]
    if reserved:
        raise ValueError(
            f"{reserved[0]}: the Dataset of a sweep needs this name; call the parameter of {names} otherwise"
        )
    same, dimensions = {}, {}
    for name, value in given.items():
        if not isinstance(value, list | range) and not (isinstance(value, np.ndarray) and value.ndim):
            same[name] = units.plain(value, name)
            continue
        if isinstance(value, np.ndarray) and value.ndim > 1:
            raise units.bad_value(name, value, f"has {value.ndim} axes", "a list, or an array with one axis")
        if not len(value):
            raise units.bad_value(name, value, "has no values", "one value, or a list of one or more")
        dimensions[name] = [units.plain(each, name) for each in value]
    return Inputs(what, same, dimensions)


def _parameters(what: Any, given: Mapping[str, Any]) -> str:
    """Check that a function takes what is given; returns its name."""
    accepted = (
        "use ld.reboot, ld.shutdown, ld.reboot_loop, or a function of yours that returns a Run or a dict of numbers"
    )
    if not callable(what):
        raise ValueError(f"what={units.shown(what)}: {accepted}")
    try:
        signature = inspect.signature(what)
    except (TypeError, ValueError):
        raise ValueError(f"what={units.shown(what)}: {accepted}") from None
    name = name_of(what)
    for each in given:
        if what in SCENARIOS and each in NOT_INPUTS:
            raise TypeError(f"{each}: a sweep keeps figures; run the point that you want to look at by itself")
    try:
        signature.bind(**given)
    except TypeError as error:
        takes = ", ".join(each for each in signature.parameters if each not in NOT_INPUTS)
        raise TypeError(f"what={name}: {error}; it takes {takes or 'nothing'}") from None
    return name


def name_of(what: Any) -> str:
    """How a function is called, to write it down."""
    if what in SCENARIOS:
        return f"ld.{what.__name__}"
    return f"{what.__module__}.{what.__qualname__}" if hasattr(what, "__qualname__") else units.shown(what)


def written(value: Any) -> str:
    """Python that makes a value again, as far as there is such Python."""
    if inspect.isroutine(value) or isinstance(value, type):
        return name_of(value)
    try:
        return units.code(value)
    except Exception:
        return units.shown(value)


def attribute(value: Any) -> str | int | float:
    """A value as an attribute of a file."""
    if isinstance(value, str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 62:
        return value
    return written(value)


def _coordinate(what: Any, name: str, values: list[Any]) -> Coordinate:
    if what in SCENARIOS:
        for names, read, unit in (
            (SIZES, units.size, "B"),
            (("exit_at", "bystander"), units.duration, "ns"),
            (("demand",), units.rate, "B/s"),
        ):
            if name in names:
                try:
                    zero = {} if read is units.rate else {"zero": True}
                    return Coordinate(np.array([read(each, name, **zero) for each in values], np.int64), unit)
                except ValueError:
                    break
    if len({isinstance(each, bool) for each in values}) == 1 and all(
        isinstance(each, int | float) and abs(each) < 1 << 62 for each in values
    ):
        return Coordinate(np.array(values), "1")
    if all(isinstance(each, str) for each in values):
        return Coordinate(np.array(values, object), "")
    texts = np.empty(len(values), object)
    texts[:] = [written(each) for each in values]
    return Coordinate(texts, "", is_code=True)


__all__ = ["Coordinate", "Inputs", "inputs_of"]
