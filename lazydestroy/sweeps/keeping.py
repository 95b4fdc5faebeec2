"""What a sweep has found, as a Dataset, and as a file of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..units import bad_value, shown
from .figures import FIGURES, NOT_ENOUGH_MEMORY, Chosen
from .inputs import Inputs

if TYPE_CHECKING:
    import xarray

ENGINE = "h5netcdf"
MISSING = "not computed"
"""Why a point is missing that nobody has tried yet."""

Result = dict[str, float] | str | None
"""What is known of a point: its numbers, or why it was refused, or nothing."""


def needed() -> Any:
    """The module xarray.

    Raises
    ------
    ImportError
        If it is not there, or its engine for files isn't: says what to install.
    """
    try:
        import h5netcdf  # noqa: F401
        import h5py  # noqa: F401  # what the engine itself can do without
        import xarray
    except ImportError as error:
        raise ImportError(f'A sweep needs {error.name}: pip install "lazydestroy[sweep]"') from error
    return xarray


def dataset_of(inputs: Inputs, chosen: Chosen, results: Sequence[Result]) -> xarray.Dataset:
    """What is known of each point.

    Parameters
    ----------
    inputs : Inputs
    chosen : tuple or mapping
        Which figures there are of a Run; another function has its own.
    results : sequence
        In the order of `Inputs.points`.
    """
    xarray = needed()
    axes = tuple(inputs.dimensions)
    coordinates: dict[str, Any] = {}
    for name, found in inputs.coordinates().items():
        about = {"units": found.unit} if found.unit else {"is_code": int(found.is_code)}
        coordinates[name] = (name, found.values, about)
    for name, values in inputs.costs().items():
        coordinates[f"costs_{name}"] = ("costs", values, {"units": "ns", "long_name": f"Costs.{name}"})
    variables: dict[str, Any] = {
        name: (axes, _column(results, name).reshape(inputs.shape), _about(name, chosen))
        for name in _names(chosen, results)
    }
    variables["why"] = (axes, _reasons(results).reshape(inputs.shape), {"long_name": "why a point is missing"})
    attributes = inputs.attributes() | {"figures": json.dumps(list(chosen))}
    return xarray.Dataset(variables, coordinates, attributes)


def _names(chosen: Chosen, results: Sequence[Result]) -> list[str]:
    """Names of the figures: those that were found; in the order of `chosen`, others behind these."""
    found = dict.fromkeys(name for each in results if isinstance(each, dict) for name in each)
    return [name for name in chosen if name in found or not found] + [name for name in found if name not in chosen]


def _column(results: Sequence[Result], name: str) -> np.ndarray:
    return np.array([each.get(name, np.nan) if isinstance(each, dict) else np.nan for each in results], np.float64)


def _reasons(results: Sequence[Result]) -> np.ndarray:
    found = np.empty(len(results), object)
    found[:] = ["" if isinstance(each, dict) else MISSING if each is None else each for each in results]
    return found


def _about(name: str, chosen: Chosen) -> dict[str, str]:
    if isinstance(chosen, Mapping) or name not in FIGURES:
        return {}
    return {"units": FIGURES[name].unit, "long_name": FIGURES[name].words}


# Files


def file_of(value: Any) -> Path | None:
    """Read the parameter `file`.

    Raises
    ------
    ValueError
        If it is no name that ends in ".nc", or there is no folder for it that may be written.
    """
    if value is None:
        return None
    accepted = 'a name that ends in ".nc", in a folder that you may write'
    if not isinstance(value, str | os.PathLike) or Path(value).suffix != ".nc":
        raise bad_value("file", value, "is no name for a sweep", accepted)
    path = Path(value)
    if not os.access(path.parent, os.W_OK):
        raise bad_value("file", str(value), "cannot be written", accepted)
    return path


def save(dataset: xarray.Dataset, file: Path) -> None:
    """Write a Dataset. What was there before stays until the new file is complete."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        dataset.to_netcdf(part, engine=ENGINE)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def load(file: Path, inputs: Inputs, chosen: Chosen) -> list[Result]:
    """What a file knows of each point; nothing of one for which this computer, or another one, had not enough memory.

    Raises
    ------
    ValueError
        If it is not the file of this sweep: says what differs.
    """
    there = _read(file)
    here = dataset_of(inputs, chosen, [None] * int(np.prod(inputs.shape)))
    different = _difference(there, here)
    if different:
        raise bad_value("file", str(file), f"holds another sweep: {different}", "a new name, or remove that file")
    names = [name for name in there.data_vars if name != "why"]
    columns = {str(name): there[name].values.ravel().tolist() for name in names}
    reasons = there["why"].values.ravel().tolist()
    return [_result(reason, columns, number) for number, reason in enumerate(reasons)]


def _result(reason: str, columns: Mapping[str, list[float]], number: int) -> Result:
    if reason.startswith((MISSING, NOT_ENOUGH_MEMORY)):
        return None
    return reason or {name: column[number] for name, column in columns.items()}


def _read(file: Path) -> xarray.Dataset:
    xarray = needed()
    try:
        with xarray.open_dataset(file, engine=ENGINE) as found:
            there = found.load()
    except (OSError, ValueError) as error:
        raise bad_value(
            "file", str(file), f"is no NetCDF file ({error})", "the file of a sweep, or a new name"
        ) from error
    if "why" not in there or "given" not in there.attrs:
        raise bad_value("file", str(file), "is not the file of a sweep", "the file of a sweep, or a new name")
    return there


def _difference(there: xarray.Dataset, here: xarray.Dataset) -> str:
    """What tells two sweeps apart, in words; empty if nothing does."""
    for name in sorted({*map(str, there.coords), *map(str, here.coords)}):
        values = [each[name].values.tolist() if name in each.coords else "one value" for each in (there, here)]
        if values[0] != values[1]:
            return f"{name} is {shown(values[0])} there, and {shown(values[1])} here"
    for name in sorted(there.attrs.keys() | here.attrs.keys()):
        found, given = (each.attrs.get(name, "nothing") for each in (there, here))
        if str(found) != str(given):
            return f"{name} is {shown(found)} there, and {shown(given)} here"
    return ""


def reproduce(point: xarray.Dataset) -> str:
    """The line of code that runs a point of a sweep again (after ``import lazydestroy as ld``).

    Parameters
    ----------
    point : xarray.Dataset
        One point of the Dataset, such as ``found.isel(memory=0, kernel=1)``.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If it is not one point of a sweep.
    """
    attributes = getattr(point, "attrs", {})
    if "given" not in attributes or "dimensions" not in attributes:
        raise bad_value("point", point, "is no point of a sweep", "one such as found.isel(memory=0)")
    arguments = json.loads(attributes["given"])
    for name in json.loads(attributes["dimensions"]):
        if point[name].size != 1:
            raise bad_value(
                "point", dict(point.sizes), f"has {point[name].size} values of {name}", f"found.isel({name}=0)"
            )
        value = point[name].values.reshape(())[()]
        value = value.item() if isinstance(value, np.generic) else value
        arguments[name] = value if point[name].attrs.get("is_code") else repr(value)
    return f"{attributes['of']}({', '.join(f'{name}={written}' for name, written in arguments.items())})"


__all__ = ["dataset_of", "file_of", "load", "needed", "reproduce", "save"]
