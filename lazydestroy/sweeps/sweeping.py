"""`sweep`: a scenario with many inputs, on any executor."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..executors import each_done, executor_of
from ..rounded import counted
from ..run import Run
from ..scenarios import Progress
from ..units import expect_progress
from ..waiting import bar
from .figures import Chosen, Number, chosen_of, measured
from .inputs import Inputs, inputs_of
from .keeping import Result, dataset_of, file_of, load, needed, save

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import xarray

OFTEN = 5.0
"""Seconds between two savings, at least."""

COSTLY = 20
"""A saving may take this part of the time, at most."""


def sweep(
    what: Callable[..., Run | Mapping[str, Number]],
    *,
    executor: Executor | None = None,
    file: str | PathLike[str] | None = None,
    figures: Iterable[str] | Mapping[str, Callable[[Run], Number]] | None = None,
    progress: Progress | None = None,
    **inputs: Any,
) -> xarray.Dataset:
    """Run a scenario with all combinations of inputs, and keep the figures of each run.

    Needs the extra ``lazydestroy[sweep]``.

    Parameters
    ----------
    what : callable
        `lazydestroy.reboot`, `lazydestroy.shutdown`, `lazydestroy.reboot_loop`; or a function of yours that returns a
        Run or a mapping of names to numbers, and raises ValueError for inputs that it refuses.
    executor : concurrent.futures.Executor, optional
        Who computes: ``ProcessPoolExecutor()`` for the cores of this computer, ``Client(...).get_executor()`` of
        dask.distributed for a cluster. None: this process, one run after the other. The figures are the same to the
        bit.
    file : path, optional
        A NetCDF file, such as "sweep.nc". It is written now and then and at the end. If it is there already, only what
        it lacks is computed: what was not done, and what had not enough memory. A file does not know whether a
        function or a layer of yours has changed since.
    figures : iterable of str, or mapping of str to callable, optional
        Which of `lazydestroy.sweeps.FIGURES` to keep, all by default; or functions of a Run, by names of yours.
    progress : callable, optional
        Called now and then with the share of the points that are done, 0 to 1. Without it a notebook shows a bar.
    **inputs
        Parameters of `what`. A list, a range or an array becomes a dimension; anything else, a tuple too, is one
        value for all points.

    Returns
    -------
    xarray.Dataset
        Its variables are the figures, float64 with their units; ``why`` says of a missing point why it is missing: the
        error with which it was refused. Sizes, times and numbers are coordinates with units. Kernels and costs are
        coordinates by the Python that makes them, and ``costs_destroy`` and so on have the nanoseconds of costs that
        differ. Attributes have all inputs that are the same, the defaults too, and the version of the package;
        `lazydestroy.sweeps.reproduce` makes a line of code of a point.

    Raises
    ------
    ValueError
        If a parameter is not accepted, or all points were refused; also if the file has another sweep in it.
    TypeError
        If `what` has no such parameter, or returned something else.
    ImportError
        If the extra is not installed.
    KeyboardInterrupt, concurrent.futures.BrokenExecutor, Exception
        Whatever stopped the sweep, an interrupt too. What is done is kept: it is in the file, and as a Dataset in the
        exception's attribute ``dataset``, and the same call with that file goes on from there.

    Examples
    --------
    >>> found = sweep(ld.shutdown, memory=["1 GiB", "2 GiB"], kernel=[ld.series.v1.upto(0), ld.series.v1])
    >>> found.downtime_ns.sel(memory=2 << 30).values / 1e6
    array([825.6, 5.3])
    """
    needed()
    executor = executor_of(executor)
    expect_progress(progress, 1, "the share that is done")
    path, chosen, read = file_of(file), chosen_of(figures), inputs_of(what, inputs)
    return _Sweep(read, chosen, path).run(executor, progress)


class _Sweep:
    """A sweep under way."""

    def __init__(self, inputs: Inputs, chosen: Chosen, file: Path | None) -> None:
        self.inputs, self.chosen, self.file = inputs, chosen, file
        self.points = inputs.points()
        self.results: list[Result] = [None] * len(self.points)
        dataset_of(inputs, chosen, self.results)  # what cannot be written is refused before anything is run
        if file is not None and file.exists():
            self.results = load(file, inputs, chosen)
        self.saved = time.perf_counter()
        self.saving = 0.0  # seconds that it takes

    def run(self, executor: Executor | None, progress: Progress | None) -> xarray.Dataset:
        """Compute what is missing."""
        try:
            self._compute(executor, progress)
            if not all(isinstance(each, str) for each in self.results):
                return self._dataset()
        except BaseException as error:
            self._keep(error)
            raise
        said, points = self.results[0], len(self.points)
        raise ValueError(said if points == 1 else f"{said} (all {points} points are refused)")

    def _compute(self, executor: Executor | None, progress: Progress | None) -> None:
        missing = [number for number, result in enumerate(self.results) if result is None]
        done, total = len(self.points) - len(missing), len(self.points)
        work = partial(measured, self.inputs.what, self.chosen)
        with (
            closing(each_done(work, [self.points[number] for number in missing], executor)) as found,
            bar("points", wanted=progress is None, growing=False) as show,
        ):
            for place, result in found:
                self.results[missing[place]] = result
                done += 1
                show(done, total)
                if progress is not None:
                    progress(done / total)
                self._save_now_and_then()

    def _dataset(self) -> xarray.Dataset:
        found = dataset_of(self.inputs, self.chosen, self.results)
        if self.file is not None:
            save(found, self.file)
        return found

    def _save_now_and_then(self) -> None:
        began = time.perf_counter()
        if self.file is not None and began - self.saved > max(OFTEN, COSTLY * self.saving):
            self._dataset()
            self.saved = time.perf_counter()
            self.saving = self.saved - began

    def _keep(self, error: BaseException) -> None:
        """Keep what is done when something stops the sweep, and say where it is."""
        done = sum(each is not None for each in self.results)
        if not done:
            return
        error.__dict__["dataset"] = self._dataset()
        where = "the exception's dataset (sys.last_value.dataset)"
        if self.file is not None:
            where = f"the file {str(self.file)!r}: the same call goes on from there"
        error.add_note(f"Done and kept: {done:,} of {counted(len(self.points), 'points')}, in {where}.")


__all__ = ["sweep"]
