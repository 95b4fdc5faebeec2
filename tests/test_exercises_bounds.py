"""Answers that do not return, take all memory or end Python: each gets a sentence, and the session goes on."""

import os
import signal
import sys
import threading
import time

import pytest

from lazydestroy.exercises import bounded
from lazydestroy.exercises.patches import p03
from lazydestroy.exercises.patching import _PRINTED


def checked(handler):
    return p03.EXERCISE.check(type("MyPatch", (), {"do_secure_storage_violation": handler}))


@pytest.fixture
def soon(monkeypatch):
    """A limit of two seconds, as the tests would rather not wait for eight."""
    monkeypatch.setattr(bounded, "LIMIT_S", 2)


@pytest.fixture(autouse=True)
def unchanged():
    """Whatever happens, the session has afterwards what it had before."""
    import resource

    def settings():
        return signal.getsignal(signal.SIGALRM), resource.getrlimit(resource.RLIMIT_AS), os._exit, sys.gettrace()

    before = settings()
    yield
    assert settings() == before and signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@pytest.mark.parametrize(("takes", "rest"), [(0.05, 0.25), (0.5, 0)])
def test_a_timer_of_yours_goes_on_and_rings_when_it_was_to(takes, rest):
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(time.monotonic()))
    began = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0.3, 60)
    try:
        with bounded.bounded(lambda code: False):
            time.sleep(takes)
        left, again = signal.getitimer(signal.ITIMER_REAL)
        assert again == 60 and (rung or 0 < left <= rest)
        while not rung and time.monotonic() < began + 5:
            time.sleep(0.01)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(rung) == 1 and rung[0] - began >= max(0.3, takes) - 0.01


def returns_never(self, kvm, gaddr):
    while True:
        pass


def swallows(self, kvm, gaddr):
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            continue


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("handler", [returns_never, swallows])
def test_a_handler_that_does_not_return_is_ended(handler):
    feedback = checked(handler)
    assert not feedback.right and feedback.points(10) == 0
    assert f"Your handler, {handler.__name__}, did not return within" in feedback.text


def test_the_limits_are_those_that_the_sentence_tells():
    assert bounded.BUSY_S < bounded.LIMIT_S < 10 <= bounded.WORK_S


def test_a_bomb_of_memory_is_a_finding():
    def bomb(self, kvm, gaddr):
        kept = []
        while True:
            kept.append(bytes(1 << 26))

    feedback = checked(bomb)
    assert not feedback.right and "MemoryError" in repr(feedback)


def exits(self, kvm, gaddr):
    sys.exit(3)


def leaves(self, kvm, gaddr):
    os._exit(3)


@pytest.mark.parametrize("handler", [exits, leaves])
def test_who_ends_python_is_told_so(handler):
    assert "Your code ends Python" in checked(handler).text


def test_threads_that_are_left_behind_are_told():
    goes_on = threading.Event()

    def starts(self, kvm, gaddr):
        if threading.active_count() < 4:
            threading.Thread(target=goes_on.wait, daemon=True).start()
        raise ValueError("that is enough")

    try:
        assert "threads of Python running" in checked(starts).text
    finally:
        goes_on.set()


def test_much_output_is_cut_with_a_note(capsys):
    class Loud(p03.DestroyOnly):
        def do_secure_storage_violation(self, kvm, gaddr):
            print("x" * 1000)
            return super().do_secure_storage_violation(kvm, gaddr)

    class TooLoud(p03.DestroyOnly):
        def do_secure_storage_violation(self, kvm, gaddr):
            print("x" * 60_000_000)

    feedback = p03.EXERCISE.check(Loud)
    assert feedback.printed.count("x") <= _PRINTED and (len(feedback.printed) < 1500 or "[cut here" in feedback.printed)
    assert "prints more than" in p03.EXERCISE.check(TooLoud).text
    assert capsys.readouterr().out == ""


def test_bounds_are_not_for_the_code_around_an_answer(monkeypatch):
    monkeypatch.setattr(bounded, "LIMIT_S", 1)
    until = time.monotonic() + 1.5
    with bounded.bounded(lambda code: code.co_filename == __file__):
        while time.monotonic() < until:  # this function began before the bounds did
            pass
