"""Bounds for code that a student has written: it returns in time, does not take all memory, and does not end Python."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

LIMIT_S = 8
"""Seconds after which a function that has not returned is ended. A call takes microseconds."""

BUSY_S = 3
"""Seconds of CPU time after which it is ended sooner."""

WORK_S = 10
"""Seconds of CPU time that all calls together may take. In a search they take about one."""

THREADS = 5
"""Threads that the code may have started, until it is ended."""

MEMORY = 1 << 30
"""Bytes of address space that there may be more than before."""


class OutOfBounds(BaseException):
    """What the code did, in a sentence. No ``except Exception`` on the way may take it for an error of the code."""


@contextmanager
def bounded(is_theirs: Callable[[CodeType], bool]) -> Iterator[None]:
    """Run somebody's code within bounds.

    The limit of time needs the main thread and a system with interval timers, the limit of memory a system that tells
    how much there is; elsewhere there are none.

    Parameters
    ----------
    is_theirs : callable
        Tells of a code object whether it is the code that is bounded.

    Raises
    ------
    OutOfBounds
        If one of its functions does not return, the code ends Python, or leaves a thread behind.
    """
    threads = set(threading.enumerate())
    with ExitStack() as bounds:
        bounds.enter_context(_staying())
        bounds.enter_context(_with_memory())
        bounds.enter_context(_in_time(is_theirs))
        try:
            yield
        except SystemExit:
            raise OutOfBounds("Your code ends Python (SystemExit): a kernel goes on.") from None
    left = len(set(threading.enumerate()) - threads)
    if left:
        raise OutOfBounds(f"Your code left {left} {'thread' if left == 1 else 'threads'} of Python running.")


@contextmanager
def _staying() -> Iterator[None]:
    """Nobody leaves by the back door."""

    def leave(*_: Any) -> None:
        raise OutOfBounds("Your code ends Python at once (os._exit or os.abort): a kernel goes on.")

    before = os._exit, os.abort
    os._exit = os.abort = leave  # type: ignore[assignment]  # it does not return either
    try:
        yield
    finally:
        os._exit, os.abort = before


@contextmanager
def _with_memory() -> Iterator[None]:
    try:
        import resource

        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    except (ImportError, OSError):
        yield
        return
    most = used + MEMORY
    if soft != resource.RLIM_INFINITY:
        most = min(most, soft)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def _in_time(is_theirs: Callable[[CodeType], bool]) -> Iterator[None]:
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    outside = sys._getframe()
    while outside.f_back is not None and outside.f_code.co_filename in _INSIDE:
        outside = outside.f_back
    left, again = signal.setitimer(signal.ITIMER_REAL, 0)
    began = time.monotonic()
    before = signal.signal(signal.SIGALRM, _Watch(is_theirs, outside))
    signal.setitimer(signal.ITIMER_REAL, 1, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if sys.gettrace() is _nothing:
            sys.settrace(None)
        signal.signal(signal.SIGALRM, before if before is not None else signal.SIG_DFL)
        if left:  # the caller's own timer goes on; if it was due meanwhile, it is now
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - began), 1e-6), again)


_INSIDE = (__file__, contextlib.__file__)
"""Where the frames are from that enter the bounds."""


class _Watch:
    """Looks once a second which call of the code is under way, and ends one that is so all the time."""

    def __init__(self, is_theirs: Callable[[CodeType], bool], outside: FrameType) -> None:
        self._is_theirs = is_theirs
        self._outside = outside
        self._threads = threading.active_count()
        self._call: FrameType | None = None
        self._told: FrameType | None = None
        self._seconds, self._busy = 0, 0.0
        self._clock, self._work = time.process_time(), 0.0

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        call = self._under_way(frame)
        before, self._clock = self._clock, time.process_time()
        worked = self._clock - before if call is not None else 0.0
        same = call is not None and call is self._call
        self._seconds, self._busy = (self._seconds + 1, self._busy + worked) if same else (1, 0.0)
        self._work += worked
        self._call = call
        started = threading.active_count() - self._threads
        if started > THREADS:
            raise OutOfBounds(f"Your code has started {started} threads of Python: a kernel's function starts none.")
        if call is None:
            return
        if self._seconds >= LIMIT_S or self._busy >= BUSY_S:
            if self._told is call:  # an except in there has taken the first one
                _raise_at_the_next_line(call, self._late(call))
            self._told = call
            raise self._late(call)
        if self._work > WORK_S:
            raise OutOfBounds(f"The calls of your code took more than {WORK_S} seconds together: what do they repeat?")

    def _under_way(self, frame: FrameType | None) -> FrameType | None:
        """The outermost call of the code that is under way; None if there is none."""
        call = None
        while frame is not None and frame is not self._outside:
            if self._is_theirs(frame.f_code):
                call = frame
            frame = frame.f_back
        return call

    def _late(self, call: FrameType) -> OutOfBounds:
        name = call.f_code.co_name
        what = "Your answer" if name == "<module>" else f"Your handler, {name},"
        return OutOfBounds(f"{what} did not return within {self._seconds} seconds: is there a loop without an end?")


def _raise_at_the_next_line(frame: FrameType, error: OutOfBounds) -> None:
    """Raise it once more where an except has taken it: in there it is not taken again."""

    def trace(_: FrameType, event: str, __: Any) -> Callable[..., Any]:
        if event == "line":
            raise error
        return trace

    frame.f_trace = trace
    sys.settrace(_nothing)


def _nothing(*_: Any) -> None:
    """Tracing must be on for a frame to be traced."""


__all__ = ["LIMIT_S", "OutOfBounds", "bounded"]
