"""The rows of the table: what is measured, against what, and the target (from the project's design)."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import lazydestroy as ld
from lazydestroy.units import format_size

from . import sweeps, waits
from .case import GIB, PAGE_SIZE, Reboot, outcome
from .measure import Row, check_done, in_turns, seconds, significant
from .sizes import Sizes


def teardown(sizes: Sizes) -> Row:
    """Every page destroyed before the new guest runs, beside one pass of NumPy over as many bytes."""
    pages = sizes.teardown // PAGE_SIZE
    array = np.zeros(pages, np.uint8)

    def ours() -> float:
        run = ld.reboot(sizes.teardown, kernel=ld.series.v1.upto(0), touch="none", new_guest="normal")
        check_done(run.foreground[ld.UVC.DESTR_SEC_STOR] == pages, run.reproduce())
        return run.seconds

    def peer() -> float:
        began = time.perf_counter()
        np.add(array, 1, out=array)
        return time.perf_counter() - began

    mine, other = in_turns(ours, peer, sizes.repetitions)
    work = f"synchronous teardown of {format_size(sizes.teardown)}"
    return Row(work, seconds(mine), f"{seconds(other)} NumPy a += 1", mine / other, "×", 3)


def in_order(sizes: Sizes) -> Row:
    """A lazy reboot, memory touched in order, beside the bare loop."""
    return _beside_bare_loop(sizes, "sequential", "in order")


def at_random(sizes: Sizes) -> Row:
    """A lazy reboot, memory touched in random order, beside the bare loop."""
    return _beside_bare_loop(sizes, "random", "at random")


def merged(sizes: Sizes) -> Row:
    """A lazy reboot on Linux 6.2, whose thread is QEMU's, beside version 1: CPU time."""

    def each(kernel: ld.series.Series) -> float:
        began = time.process_time()
        run = ld.reboot(sizes.reboot, kernel=kernel)
        took = time.process_time() - began
        check_done(run.booted and run.cleanup_ns is not None, run.reproduce())
        return took

    mine, other = in_turns(lambda: each(ld.series.linux_6_2), lambda: each(ld.series.v1), sizes.repetitions)
    work = f"lazy reboot of {format_size(sizes.reboot)} on Linux 6.2"
    return Row(work, seconds(mine), f"{seconds(other)} version 1", mine / other, "×", 1.5)


def _beside_bare_loop(sizes: Sizes, touch: str, words: str) -> Row:
    from . import bare

    case = Reboot.of(sizes.reboot)
    pages = np.zeros(case.pages, np.uint8)

    def ours() -> float:
        return _reboot(case, touch)

    def peer() -> float:
        pages.fill(0)
        began = time.perf_counter()
        visits = bare.play(pages, case.costs, touch)
        took = time.perf_counter() - began
        check_done(
            visits["cleaned"] + visits["taken"] == case.pages == visits["imported"] + visits["taken"], f"{visits}"
        )
        return took

    mine, other = in_turns(ours, peer, sizes.repetitions)
    work = f"lazy reboot of {format_size(sizes.reboot)}, touched {words}"
    return Row(work, seconds(mine), f"{seconds(other)} bare Cython loop", mine / other, "×", 2.5)


def simpy(sizes: Sizes) -> Row:
    """The same in order, by the page, beside SimPy on a smaller guest."""
    from .simpy_model import play

    return _beside_model(sizes, play, "SimPy", 200)


def plain(sizes: Sizes) -> Row:
    """The same in order, by the page, beside plain Python on a smaller guest."""
    from .plain_model import PlainModel

    return _beside_model(sizes, lambda case: PlainModel(case).run(), "plain Python", None)


def _beside_model(sizes: Sizes, play: Callable[[Reboot], object], name: str, target: float | None) -> Row:
    case, small = Reboot.of(sizes.reboot), Reboot.of(sizes.model)
    expected = outcome(small.run())

    def ours() -> float:
        return _reboot(case, "sequential") / case.pages

    def peer() -> float:
        began = time.perf_counter()
        found = play(small)
        took = time.perf_counter() - began
        check_done(found == expected, f"{name} says {found}, lazydestroy {expected}")
        return took / small.pages

    mine, other = in_turns(ours, peer, min(3, sizes.repetitions))
    work = f"the same, a page, beside {name}"
    text = f"{seconds(other)} {name}, {format_size(sizes.model)}"
    return Row(work, seconds(mine), text, other / mine, "×", target, at_least=True)


def other_frames(sizes: Sizes) -> Row:
    """A process exits and the next guest gets other frames: by the page step, beside every step in Python."""

    def each(size: int, **engine: bool) -> float:
        run = ld.reboot_loop(
            size,
            habit="exit",
            refill=1.0,
            times=2,
            host_memory=3 * size + GIB,
            loader="1 MiB",
            image="1 MiB",
            _engine=engine,
        )
        check_done(run.booted and not run.oom, run.reproduce())
        return run.seconds / run.steps

    small = sizes.model // 16
    mine, other = in_turns(
        lambda: each(sizes.reboot // 8), lambda: each(small, tabled=False), min(3, sizes.repetitions)
    )
    work = f"exit and start of {format_size(sizes.reboot // 8)} that gets other frames, a step"
    text = f"{seconds(other)} each step in Python, {format_size(small)}"
    return Row(work, seconds(mine), text, other / mine, "×", 50, at_least=True)


def _reboot(case: Reboot, touch: str) -> float:
    run = case.run(touch)
    check_done(run.booted and run.cleanup_ns is not None, run.reproduce())
    return run.seconds


PEAK = """
import sys
import lazydestroy as ld
from benchmarks.rows import peak, resident
before = resident()
run = {call}
print((peak() - before) / (run.parameters["host_memory"] // 4096))
"""


def memory(sizes: Sizes) -> Row:
    """The most memory that a run takes, by the page of the host: the worst of three scenarios, each in a process."""
    calls = (
        f"ld.reboot({sizes.memory}, kernel=ld.series.v1.upto(0), touch='none', new_guest='normal')",
        f"ld.reboot({sizes.memory})",
        f"ld.shutdown({sizes.memory})",
    )
    figure = max(float(_python(PEAK.format(call=call))) for call in calls)
    work = f"memory of a run of {format_size(sizes.memory)}, a page of the host"
    return Row(work, f"{significant(figure)} bytes", "–", figure, " bytes", 3)


def resident() -> int:
    """Bytes of memory that this process has now."""
    return _status("VmRSS")


def peak() -> int:
    """Bytes of memory that this process has had at most.

    Not what ``getrusage`` says where there is something better: on Linux a new process inherits that from its parent.
    """
    return _status("VmHWM")


def _status(name: str) -> int:
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


IMPORTS = """
import sys, time
began = time.perf_counter()
import numpy
between = time.perf_counter()
import lazydestroy
ended = time.perf_counter()
print(ended - between, between - began, *sorted({"matplotlib", "ipywidgets"} & set(sys.modules)))
"""


def imports(sizes: Sizes) -> Row:
    """How much longer it takes to import lazydestroy than NumPy, which it needs."""
    turns = [_python(IMPORTS).split() for _ in range(2 + sizes.repetitions)]
    mine, other = (min(float(turn[place]) for turn in turns) for place in range(2))
    loaded = ", ".join(turns[0][2:])
    return Row(
        "import lazydestroy, over NumPy",
        f"+ {seconds(mine)}",
        f"{seconds(other)} import numpy",
        mine * 1000,
        " ms",
        60,
        remark=f"loads {loaded} without being asked" if loaded else "",
    )


def _python(code: str) -> str:
    """Run code in a new process that finds the same packages; returns what it prints."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True, env=env).stdout


ROWS: dict[str, Callable[[Sizes], Row]] = {
    "teardown": teardown,
    "in-order": in_order,
    "simpy": simpy,
    "plain": plain,
    "random": at_random,
    "merged": merged,
    "other-frames": other_frames,
    "memory": memory,
    "import": imports,
    "judging": waits.judging,
    "search": waits.search,
    "question": waits.question,
    "exit-loop": waits.exit_loop,
    "held": waits.held,
    "sweep": sweeps.sweep,
    "sweep-processes": sweeps.on_processes,
}
"""In the order of the table; the names are those of ``--rows``."""
