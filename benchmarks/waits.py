"""Rows for what a reader waits for: a verdict, an answer, a long loop, an interpreter that something else holds.

Seconds are those of the processor: what other processes do meanwhile does not count.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import lazydestroy as ld
from lazydestroy.exercises.patches import PATCHES
from lazydestroy.series import check, v1_fixed
from lazydestroy.units import format_size

from .measure import Row, check_done, in_turns, seconds
from .sizes import Sizes

FAILURES = ("DESTROY_SEC_CONF", "deferred_priv", "top-level table", "kthread", "list page")
"""What the search lets fail, once in each way that it tries."""

TICK = 0.001
"""Seconds between two looks of a thread that does nothing else."""


def judging(sizes: Sizes) -> Row:
    """A right patch judged: the slowest of the exercises."""
    found = {}
    for patch in (patch for patch in PATCHES if patch.name in sizes.exercises):
        began = time.process_time()
        feedback = patch.check(patch.model_answer)
        found[patch.name] = time.process_time() - began
        check_done(feedback.right, patch.name)
    slowest = max(found, key=lambda name: found[name])
    return _waited(f"a right patch judged, the slowest of {len(found)}: {slowest}", found[slowest], 2)


def search(sizes: Sizes) -> Row:
    """All that can happen with the fixed series on a small machine, with one failure of five kinds."""
    bounds = {"failures": FAILURES, **sizes.search}
    took = _taken(lambda: check_done(check(v1_fixed, **bounds).holds, "v1_fixed"))
    return _waited(f"check(v1_fixed), {len(bounds['failures'])} failures", took, 6)


def question(sizes: Sizes) -> Row:
    """An answer for a large guest."""
    size = format_size(sizes.question)
    return _waited(f"ask(10, memory={size!r})", _taken(lambda: ld.ask(10, memory=size)), 2.6)


def exit_loop(sizes: Sizes) -> Row:
    """A call of the Ultravisor in a loop whose processes end and whose guests refill their memory, beside no refill."""

    def loop(refill: float) -> Callable[[], float]:
        def a_call() -> float:
            began = time.process_time()
            run = ld.reboot_loop(sizes.loop, habit="exit", refill=refill, times=3)
            took = time.process_time() - began
            check_done(len(run.downtimes_ns) == 3, run.reproduce())
            return took / run.uvcs.total()

        return a_call

    mine, other = in_turns(loop(1.0), loop(0.0), min(2, sizes.repetitions))
    work = f"exit loop of {format_size(sizes.loop)} with refill, a call"
    return Row(work, seconds(mine), f"{seconds(other)} without refill", mine / other, "×", 3)


def held(sizes: Sizes) -> Row:
    """The longest time for which a run keeps other threads from the interpreter; setting up memory is in it."""
    size = sizes.held

    def run() -> object:
        return ld.reboot(size, kernel=ld.series.v1.upto(0), touch="none", new_guest="normal")

    longest = min(longest_wait(run) for _ in range(1 + sizes.repetitions))
    return _waited(f"run of {format_size(size)}, another thread waits", longest, 0.03)


def longest_wait(work: Callable[[], object]) -> float:
    """Seconds that a thread which wakes every `TICK` waits at most for the interpreter while `work` runs."""
    done = threading.Event()
    longest = 0.0

    def tick() -> None:
        nonlocal longest
        last = time.perf_counter()
        while not done.is_set():
            time.sleep(TICK)
            now = time.perf_counter()
            longest = max(longest, now - last - TICK)
            last = now

    ticking = threading.Thread(target=tick)
    ticking.start()
    try:
        work()
    finally:
        done.set()
        ticking.join()
    return longest


def _taken(work: Callable[[], object]) -> float:
    """Seconds of the processor that it takes, once: what it learns would be known the next time."""
    began = time.process_time()
    work()
    return time.process_time() - began


def _waited(work: str, took: float, target: float) -> Row:
    return Row(work, seconds(took), "–", took, " s", target)
