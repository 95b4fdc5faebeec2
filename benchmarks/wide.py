"""``python -m benchmarks.wide``: how far a search of larger machines gets in some minutes, on an executor's workers.

It needs all cores, and some GiB of memory. ``--write`` puts what it finds where `lazydestroy.series.far` reads it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import lazydestroy as ld
from lazydestroy.collecting import rarely_collecting
from lazydestroy.series import far
from lazydestroy.series.bounds import bounds_in_words, bounds_of
from lazydestroy.series.far import Far, Reached
from lazydestroy.series.search import Search
from lazydestroy.series.trace import told

BOUNDS = {"pages": 3, "vcpus": 2, "configurations": 3, "resets": 2, "host": "io", "most_failures": 2}
"""Three pages, two vCPUs, three configurations, two failures, I/O in flight."""

SEARCHES = (
    (ld.series.v1_fixed, ("DESTROY_SEC_CONF", "list page")),
    (ld.series.linux_6_2, ("DESTROY_SEC_CONF", "set-aside structure")),
)
"""Kernels, and what may fail: what the Ultravisor refuses, and an allocation that each design has a fall-back for."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, search, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wide", description="Search, and say how far it got.")
    parser.add_argument("--minutes", type=float, default=10, help="for each kernel")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", type=float, default=4.5, help="GiB that the search itself may take")
    parser.add_argument("--kernels", nargs="+", default=[repr(kernel) for kernel, _ in SEARCHES])
    parser.add_argument("--write", action="store_true", help="keep the result")
    options = parser.parse_args(arguments)
    found = []
    for kernel, failures in SEARCHES:
        if repr(kernel) in options.kernels:
            print(f"searching: {kernel!r}", file=sys.stderr, flush=True)
            found.append(reached(kernel, failures, options.minutes * 60, options.workers, options.memory * 2**30))
    table = Reached(found)
    table.on = datetime.now(tz=UTC).date().isoformat()
    table.machine = f"{options.workers} workers on a {platform.system()} with Python {platform.python_version()}"
    table.bounds = bounds_in_words(bounds_of(ld.series.v1_fixed, {**BOUNDS, "failures": ()}))
    table.bounds += "; up to 2 failures of DESTROY_SEC_CONF and of an allocation"
    print(table)
    if options.write:
        stored = {**vars(table), "searches": [asdict(each) for each in table]}
        Path(far.__file__).with_name(far.FILE).write_text(json.dumps(stored, indent=1) + "\n")


def reached(kernel: ld.series.Series, failures: tuple[str, ...], seconds: float, workers: int, memory: float) -> Far:
    """Search until the time is over, or the memory is used up, or the end is reached."""
    began, worked = time.perf_counter(), sum(os.times()[:4])
    with ProcessPoolExecutor(workers) as executor:
        search = Search(kernel, bounds_of(kernel, {**BOUNDS, "failures": failures}), executor=executor)
        with rarely_collecting(), closing(iter(search)) as steps:
            for tried, _ in enumerate(steps):
                if tried % 100 == 0 and (time.perf_counter() - began > seconds or _resident(os.getpid()) > memory):
                    break
        took = time.perf_counter() - began
        memory_used = sum(map(_resident, (os.getpid(), *executor._processes)))
    cpu = max(sum(os.times()[:4]) - worked, 0.01)  # the clock ticks a hundred times a second
    broken = "" if search.broken is None else _told(search)
    levels = levels_of(search)
    return Far(
        kernel=repr(kernel),
        levels=levels,
        complete=len(levels) if search.exhausted else search.queue[0][0],
        dealt_with=len(search.nodes) - len(search.queue),
        transitions=search.transitions,
        seconds=round(took, 1),
        cpu_seconds=round(cpu, 2),
        memory=memory_used,
        exhausted=search.exhausted and not broken,
        broken=broken,
    )


def levels_of(search: Search) -> tuple[int, ...]:
    """How many states there are with so many actions."""
    depths = np.zeros(len(search.nodes), int)
    for number, node in enumerate(search.nodes):
        if node.parent >= 0:
            depths[number] = depths[node.parent] + (node.action[0] != "step")
    return tuple(np.bincount(depths).tolist())


def _told(search: Search) -> str:
    assert search.broken is not None
    trace = told(search.kernel, search.bounds, search.broken, search.stuck)
    print(trace, file=sys.stderr, flush=True)
    return trace.violation


def _resident(process: int) -> int:
    """Bytes of a process that are in memory. This needs Linux."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
