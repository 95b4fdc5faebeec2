"""Work shared out to an executor: the same results in any order, nothing lost, nothing begun after an error."""

from __future__ import annotations

import sys
import time
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from lazydestroy import executors
from lazydestroy.questions import how_sure


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2) as pool:
        yield pool


class Counting(Executor):
    """Does at once what it is given, and counts."""

    def __init__(self):
        self.chunks = 0

    def submit(self, function, /, *arguments):
        self.chunks += 1
        future = Future()
        future.set_result(function(*arguments))
        return future


def test_quick_points_are_sent_in_chunks_and_slow_ones_by_themselves(monkeypatch):
    quick, slow = Counting(), Counting()
    assert dict(executors.each_done(abs, range(5000), quick)) == {number: number for number in range(5000)}
    assert quick.chunks < executors.AT_FIRST + 10 * executors.SHARES
    monkeypatch.setattr(executors, "AT_FIRST", 1)
    monkeypatch.setattr(executors, "SHARES", 1)
    list(executors.each_done(time.sleep, [0.13] * 8, slow))
    assert slow.chunks == 8


def test_an_executor_that_is_shut_down_meanwhile_is_no_end_of_the_work():
    threads = ThreadPoolExecutor(1)
    with pytest.raises((CancelledError, RuntimeError)):
        for _ in executors.each_done(time.sleep, [0.01] * 200, threads):
            threads.shutdown(wait=False, cancel_futures=True)


def failing(number):
    if number == 3:
        raise RuntimeError("no such luck")
    return number


def test_an_error_of_a_point_comes_with_what_was_done(processes):
    for executor in (None, processes):
        found = []
        with pytest.raises(RuntimeError, match="no such luck"):
            for number, _ in executors.each_done(failing, range(200), executor):
                found.append(number)
        assert {0, 1, 2} <= set(found) and 3 not in found


def test_without_cloudpickle_only_what_can_be_imported_is_sent(monkeypatch, processes):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    assert dict(executors.each_done(abs, [-1, -2], processes)) == {0: 1, 1: 2}
    with pytest.raises(ValueError, match=r"^executor=.*cannot be sent"):
        dict(executors.each_done(lambda number: number, [1], processes))


def test_how_sure_is_the_same_on_an_executor(processes):
    given = {"memory": "64 MiB", "low_memory": "16 MiB", "factors": (0.1, 10)}
    one, other = how_sure(7, **given), how_sure(7, executor=processes, **given)
    assert list(one.answers) == list(other.answers) and one.turns == other.turns
    assert [answer.evidence for answer in one.answers.values()] == [
        answer.evidence for answer in other.answers.values()
    ]
