"""The same work for many points: in this process, or shared out to any executor of `concurrent.futures`.

Points are sent in chunks, so that what an executor costs is paid once for many points that are quick. How long a point
takes is measured, and the next chunks are cut by that.
"""

from __future__ import annotations

import pickle
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from .units import shown

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

CHUNK = 0.25
"""Seconds that a chunk should take: long beside what it costs to send it, short beside a reader's patience."""

AT_FIRST = 64
"""Chunks under way, of one point each, until it is known how long a point takes."""

UNDER_WAY = 1024
"""Chunks under way afterwards, at most: no more workers than that have something to do."""

SHARES = 64
"""A chunk has at most this part of the points that are left, so that no worker has to wait long for the last one."""

Outcome = tuple[float, list[Any], Exception | None]
"""Seconds, results, and what stopped the chunk, if anything did."""


def executor_of(value: Any) -> Executor | None:
    """Read the parameter `executor`.

    Raises
    ------
    ValueError
        If it is neither an executor nor None.
    """
    if value is not None:
        from concurrent.futures import Executor

        if not isinstance(value, Executor):
            accepted = "use an executor of concurrent.futures, such as ProcessPoolExecutor(), or None"
            raise ValueError(f"executor={shown(value)}: {accepted}")
    return value


def each_done(
    work: Callable[[Any], Any], points: Sequence[Any], executor: Executor | None = None
) -> Generator[tuple[int, Any]]:
    """Do the same work for each point.

    What is defined in a notebook can be sent to another process if cloudpickle is installed. If a point fails or the
    executor breaks, nothing more is begun, what is under way comes to its end and is yielded, and then the error is
    raised. Closing the iterator cancels what has not begun.

    Parameters
    ----------
    work : callable
        A function of a point.
    points : sequence
    executor : Executor, optional
        None: one point after the other, in this process.

    Yields
    ------
    number : int
        Of the point. On an executor, points are done in any order.
    result : object

    Raises
    ------
    ValueError
        If the work cannot be sent to the executor.
    Exception
        What the work raised, or the executor, such as `concurrent.futures.BrokenExecutor`.
    """
    if executor is not None:
        yield from _Shared(work, points, executor).results()
        return
    for number, point in enumerate(points):
        yield number, work(point)


class _Shared:
    """Points that are being done on an executor."""

    def __init__(self, work: Callable[[Any], Any], points: Sequence[Any], executor: Executor) -> None:
        self.work, self.points, self.executor = work, points, executor
        self.begun = 0
        self.seconds: float | None = None  # for a point
        self.under_way: dict[Future[bytes], range] = {}
        self.ended: SimpleQueue[Future[bytes]] = SimpleQueue()
        self.error: Exception | None = None

    def results(self) -> Iterator[tuple[int, Any]]:
        try:
            self._submit()
            while self.under_way:
                future = self.ended.get()
                yield from self._results_of(future, self.under_way.pop(future))
                self._submit()
            if self.error is not None:
                raise self.error
        finally:
            self._cancel()

    def _results_of(self, future: Future[bytes], numbers: range) -> Iterator[tuple[int, Any]]:
        if future.cancelled() and self.error is not None:
            return  # we did it
        try:
            seconds, results, error = pickle.loads(future.result())
        except Exception as raised:
            self._stop(raised)
            return
        if results:
            latest = seconds / len(results)
            self.seconds = latest if self.seconds is None else (self.seconds + latest) / 2
        yield from zip(numbers, results, strict=False)
        if error is not None:
            self._stop(error)

    def _submit(self) -> None:
        most = AT_FIRST if self.seconds is None else UNDER_WAY
        while self.error is None and self.begun < len(self.points) and len(self.under_way) < most:
            numbers = range(self.begun, self.begun + self._size())
            packed = _packed_for(self.executor, (self.work, [self.points[number] for number in numbers]))
            try:
                future = self.executor.submit(_chunk, packed)
            except Exception as raised:  # broken, or shut down
                self._stop(raised)
                return
            self.begun = numbers.stop
            self.under_way[future] = numbers
            future.add_done_callback(self.ended.put)

    def _size(self) -> int:
        """How many points the next chunk has."""
        if self.seconds is None:
            return 1
        left = len(self.points) - self.begun
        return max(1, min(left // SHARES, int(CHUNK / max(self.seconds, 1e-9))))

    def _stop(self, error: Exception) -> None:
        """Begin nothing more; the first error counts."""
        if self.error is None:
            self.error = error
            self._cancel()

    def _cancel(self) -> None:
        for future in list(self.under_way):
            future.cancel()


def _chunk(packed: bytes) -> bytes:
    """What a worker does."""
    work, points = pickle.loads(packed)
    began = time.perf_counter()
    results, error = [], None
    for point in points:
        try:
            results.append(work(point))
        except Exception as raised:
            error = raised
            error.add_note(f"In a worker of the executor:\n{traceback.format_exc()}")
            break
    outcome: Outcome = (time.perf_counter() - began, results, error)
    return as_bytes(outcome)


def as_bytes(value: Any) -> bytes:
    """A value as bytes; with cloudpickle also what was defined in a notebook."""
    try:
        from cloudpickle import dumps
    except ImportError:
        from pickle import dumps
    return dumps(value)


def _packed_for(executor: Executor, value: Any) -> bytes:
    try:
        return as_bytes(value)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            f"executor={shown(executor)}: the work cannot be sent to another process ({error}). Import what you "
            'defined in a notebook from a file; or install cloudpickle: pip install "lazydestroy[sweep]"'
        ) from error


__all__ = ["as_bytes", "each_done", "executor_of"]
