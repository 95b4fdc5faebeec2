"""Rows for what a sweep costs beside a plain loop, and what an executor costs for each point."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor

import lazydestroy as ld
from lazydestroy.units import format_size

from .measure import Row, check_done, in_turns, seconds
from .sizes import Sizes

USED = 20
"""Shares of the memory that are used, in the grid; each on both kernels."""


def square(number: int) -> dict[str, float]:
    """A point that takes no time: what a sweep of these takes is what the sweep costs."""
    return {"square": number * number}


def sweep(sizes: Sizes) -> Row:
    """A sweep in this process, beside a plain loop over the same runs: CPU time."""
    kernels = [ld.series.v1.upto(0), ld.series.v1]
    shares = [(place + 1) / USED for place in range(USED)]

    def ours() -> float:
        return _taken(lambda: ld.sweep(ld.reboot, memory=sizes.question, kernel=kernels, used=shares))

    def peer() -> float:
        def loop() -> list[ld.Run]:
            return [ld.reboot(sizes.question, kernel=kernel, used=used) for kernel in kernels for used in shares]

        return _taken(loop)

    mine, other = in_turns(ours, peer, min(3, sizes.repetitions))
    points = len(kernels) * len(shares)
    work = f"a sweep of {points} reboots of {format_size(sizes.question)}, a run"
    return Row(work, seconds(mine / points), f"{seconds(other / points)} plain loop", mine / other, "×", 1.2)


def on_processes(sizes: Sizes) -> Row:
    """What two processes cost, by the point."""
    with ProcessPoolExecutor(2) as pool:
        return _cost(sizes.points, pool, "two processes")


def on_dask(sizes: Sizes) -> Row:
    """What two workers of Dask cost, by the point."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        return _cost(sizes.points, client.get_executor(), "two workers of Dask")


def _taken(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _cost(points: int, executor: Executor, name: str) -> Row:
    """Points that do nothing, on an executor and in this process: seconds on the clock."""

    def on(executor: Executor | None) -> Callable[[], float]:
        def measurement() -> float:
            began = time.perf_counter()
            found = ld.sweep(square, number=range(points), executor=executor)
            took = time.perf_counter() - began
            check_done(found["square"].values.tolist() == [number * number for number in range(points)], "squares")
            return took / points

        return measurement

    mine, other = in_turns(on(executor), on(None), 2)
    work = f"a point that does nothing, of {points:,}, on {name}"
    return Row(work, seconds(mine), f"{seconds(other)} in line", mine / other, "×", None)
