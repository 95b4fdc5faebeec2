"""The stage: a small process of its own that starts a process with memory, kills it, and watches.

`measuring` runs this file as a program, since a notebook's kernel is large and has threads: what is measured is the end
of a process that has little but its memory. Nothing here imports the package.

    the notebook's kernel  ── starts ──▸  stage  ── forks ──▸  process  ── clones ──▸  helper (if wanted)

Nothing is left behind, whatever happens. Each of the three asks the kernel to be killed when the one before it ends
(PR_SET_PDEATHSIG), and an alarm ends the process should all of them hang. The stage adopts the helper when the process
is gone, so that it can wait for it: the memory is back when its last user has ended.
"""

from __future__ import annotations

import importlib.util
import json
import mmap
import os
import re
import select
import signal
import sys
import time
from contextlib import suppress
from typing import Any

PAGE = mmap.PAGESIZE
AT_A_TIME = 64 << 20
"""Bytes that are touched between two looks at the clock."""

SAMPLE_MS = 1
SETTLE_S = 0.05
"""How long the process rests before it is killed, so that its last page faults are over."""

AFTERWARDS = 5
"""Samples that are taken when the last user of the memory has ended."""

SECONDS_MAX = 120


def main() -> None:
    """Play what the command line says, and print what was seen, as JSON."""
    given = json.loads(sys.argv[1])
    live = _extension(given["extension"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that is for the notebook's kernel, which will say if this is to end
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    live.end_with_parent(given["parent"])
    live.adopt_orphans()
    before = available()
    process, told = start(live, given)
    try:
        ready = json.loads(told.readline() or '{"error": "the process ended before its memory was there"}')
        if "error" not in ready:
            time.sleep(SETTLE_S)
            ready |= watch(process, ready["helper"])
        print(json.dumps(ready | {"available_before": before}))
    finally:
        end(process)


def start(live: Any, given: dict[str, Any]) -> tuple[int, Any]:
    """Fork the process. Returns its number, and the pipe through which it tells when its memory is there."""
    reading, writing = os.pipe()
    stage = os.getpid()
    process = os.fork()
    if process:
        os.close(writing)
        return process, os.fdopen(reading)
    try:
        os.close(reading)
        says = become(live, stage, given)
        with os.fdopen(writing, "w") as tell:
            tell.write(json.dumps(says))
        while "error" not in says:
            signal.pause()
    finally:
        os._exit(1)


def become(live: Any, stage: int, given: dict[str, Any]) -> dict[str, Any]:
    """In the process: make sure that it ends, start its helper, and touch its memory."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        live.end_with_parent(stage)
        signal.alarm(SECONDS_MAX)
        with suppress(OSError), open("/proc/self/oom_score_adj", "w") as first:  # noqa: PTH123
            first.write("1000")  # if memory gets short after all, the kernel takes this process and no other
        helper = live.start_helper() if given["helper"] else None
        began = time.monotonic_ns()
        _keep.append(touch(given["size"], given["huge_pages"]))
        return {"helper": helper, "fill_ns": time.monotonic_ns() - began}
    except (OSError, ValueError, MemoryError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


_keep: list[mmap.mmap] = []


def touch(size: int, huge_pages: bool) -> mmap.mmap:
    """Map memory and write a byte into each of its pages."""
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # EINVAL: this kernel has no huge pages, so there is nothing to choose
        memory.madvise(mmap.MADV_HUGEPAGE if huge_pages else mmap.MADV_NOHUGEPAGE)
    for at in range(0, size, AT_A_TIME):
        end = min(size, at + AT_A_TIME)
        memory[at:end:PAGE] = b"\1" * ((end - at) // PAGE)
    return memory


def watch(process: int, helper: int | None) -> dict[str, Any]:
    """Kill the process; look at the memory until the last one that uses it has ended."""
    users = [process] if helper is None else [process, helper]
    files = {os.pidfd_open(user): user for user in users}
    waiting = select.poll()
    for file in files:
        waiting.register(file, select.POLLIN)
    ended: dict[int, int] = {}
    used = [cpu_ns(user) for user in users]
    samples = [[0, *sample(users)]]
    killed = time.monotonic_ns()
    os.kill(process, signal.SIGKILL)
    rest = AFTERWARDS
    while rest:
        for file, _ in waiting.poll(SAMPLE_MS):
            user = files[file]
            ended[user] = time.monotonic_ns() - killed
            used[users.index(user)] = cpu_ns(user) - used[users.index(user)]
            os.waitpid(user, 0)
            waiting.unregister(file)
            os.close(file)
        samples.append([time.monotonic_ns() - killed, *sample(users)])
        rest -= len(ended) == len(users)
    times = {"wait_ns": ended[process], "freed_ns": max(ended.values()), "cpu_ns": sum(used) or None}
    return {**times, "samples": samples}


def cpu_ns(user: int) -> int:
    """CPU time that a process has used so far, in nanoseconds; 0 where the kernel doesn't count it.

    A zombie's can be read until it is waited for.
    """
    try:
        with open(f"/proc/{user}/schedstat", "rb", buffering=0) as file:  # noqa: PTH123
            return int(file.read().split()[0])
    except (OSError, IndexError):
        return 0


def sample(users: list[int]) -> list[int]:
    """Memory that is available, memory that is free, and what is resident of each user. All in bytes.

    What a CPU keeps in a list of its own is free, too, but /proc/meminfo doesn't count it. Since Linux 6.7 such a list
    may hold an eighth of the memory, divided by the CPUs (mm/page_alloc.c).
    """
    figures = meminfo()
    with open("/proc/zoneinfo", "rb", buffering=0) as file:  # noqa: PTH123
        listed = sum(map(int, re.findall(rb"\n +count: +(\d+)", file.read()))) * PAGE
    return [figures["MemAvailable"] + listed, figures["MemFree"] + listed, *map(resident, users)]


def available() -> int:
    """Bytes that can be had without swapping."""
    return sample([])[0]


def meminfo() -> dict[str, int]:
    """The first lines of /proc/meminfo, in bytes."""
    with open("/proc/meminfo", "rb", buffering=0) as file:  # noqa: PTH123
        lines = file.read().decode("ascii").splitlines()[:3]
    return {name: int(rest.split()[0]) << 10 for name, _, rest in (line.partition(":") for line in lines)}


def resident(user: int) -> int:
    """Bytes that are resident of a process; 0 when it has let go of its memory, or has ended."""
    try:
        with open(f"/proc/{user}/statm", "rb", buffering=0) as file:  # noqa: PTH123
            return int(file.read().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def end(process: int) -> None:
    """Kill the process if it lives, and wait until it and its helper have ended."""
    with suppress(OSError):
        os.kill(process, signal.SIGKILL)
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def _extension(path: str) -> Any:
    """Load `lazydestroy._live` from its file, without the package around it."""
    spec = importlib.util.spec_from_file_location("_live", path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
