"""Measuring the end of a process on this computer: what is seen, that nothing is left, and what is said elsewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lazydestroy as ld
from benchmarks import live as benchmark
from benchmarks.measure import NotHereError
from benchmarks.sizes import QUICK
from lazydestroy import live
from lazydestroy.live import measuring, recorded, stage
from lazydestroy.plots import plot_exits
from lazydestroy.widgets import measure_exits

MIB = 1 << 20
GIB = 1 << 30

here = pytest.mark.skipif(bool(live.why_not()), reason=f"it cannot be measured here: {live.why_not()}")


@pytest.fixture
def mac(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")


# What is seen


@pytest.fixture(scope="module")
def plain():
    return live.exit_time("64 MiB")


@pytest.fixture(scope="module")
def helped():
    return live.exit_time("64 MiB", helper=True)


@here
def test_without_a_helper_the_process_frees_its_memory_itself(plain):
    assert not plain.recorded
    assert plain.wait_ns == plain.freed_ns > 0
    assert plain.samples["process"][0] >= 64 * MIB
    assert not plain.samples["helper"].any()
    assert plain.samples["process"][-1] == 0


@here
def test_a_helper_shares_the_memory_and_ends_later(helped):
    first = helped.samples[0]
    assert first["process"] == first["helper"] >= 64 * MIB
    assert 0 < helped.wait_ns < helped.freed_ns
    assert not helped.samples[-1][["process", "helper"]].tolist() > (0, 0)


def back(one: live.Exit) -> int:
    return int(one.samples["free"][-1] - one.samples["free"][0])


@here
def test_the_memory_that_it_used_is_free_afterwards():
    """Others allocate meanwhile, so a half will do, once."""
    assert any(back(live.exit_time("64 MiB")) > 32 * MIB for _ in range(5))


@here
def test_freeing_takes_cpu_time_and_no_more_of_it_than_there_was(plain):
    if plain.cpu_ns is None:
        pytest.skip("this kernel does not tell CPU time")
    assert 0 < plain.cpu_ns <= 1.1 * plain.freed_ns


def test_where_the_kernel_counts_no_cpu_time_the_time_on_the_clock_counts():
    assert stage.cpu_ns(-1) == 0
    assert replace(made(GIB, 5), cpu_ns=None, freed_ns=7).work_ns == 7


@here
def test_times_keeps_the_one_that_took_least(monkeypatch, plain):
    takes = iter([30, 10, 20])
    monkeypatch.setattr(measuring, "_measure", lambda *_: replace(plain, freed_ns=next(takes)))
    assert live.exit_time("64 MiB", times=3).freed_ns == 10


# Nothing is left


def of(driver: int) -> list[int]:
    """The processes that a measurement of that process has started, and that have not ended."""
    mark = f'"parent": {driver}'.encode()
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and mark in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:  # it has just ended
            continue
    return found


def parent_of(process: int) -> int:
    """The number of its parent: the second word behind the name in brackets."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def until(truth, seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while not truth():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def driver():
    """A process that goes on measuring, when its process and the helper are there."""
    code = "from lazydestroy import live\nwhile True: live.exit_time('128 MiB', helper=True)"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as running:
        try:
            assert until(lambda: len(of(running.pid)) == 3), "stage, process and helper"
            yield running
        finally:
            running.kill()


@here
def test_nothing_is_left_when_it_is_done(plain, helped):
    assert not of(os.getpid())


@here
def test_nothing_is_left_when_the_cell_is_interrupted(driver):
    driver.send_signal(signal.SIGINT)
    said = driver.stderr.read()
    assert "KeyboardInterrupt" in said
    assert not of(driver.pid)


@here
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_notebooks_kernel_is_killed(driver, end):
    driver.send_signal(end)
    driver.wait()
    assert until(lambda: not of(driver.pid))


@here
def test_if_the_stage_is_killed_that_is_an_error_and_nothing_is_left(driver):
    (stage,) = (each for each in of(driver.pid) if parent_of(each) == driver.pid)
    os.kill(stage, signal.SIGKILL)
    assert "RuntimeError: the process that measures has failed: it returned -9" in driver.stderr.read()
    assert until(lambda: not of(driver.pid))


# Bounds


def test_it_takes_no_more_than_half_of_what_is_available(monkeypatch):
    monkeypatch.setattr(measuring, "available_memory", lambda: 100 * MIB)
    monkeypatch.setattr(measuring, "why_not", lambda: "")
    monkeypatch.setattr(measuring, "_measure", lambda size, _: pytest.fail(f"{size} bytes were taken"))
    assert live.largest() == 50 * MIB
    with pytest.raises(
        ValueError, match=r"memory='51 MiB' is more than half of the 100 MiB available here.* 50 MiB or"
    ):
        live.exit_time("51 MiB")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"memory": "4 MiB"}, "memory='4 MiB' is gone too fast to be measured.* 16 MiB or more"),
        ({"memory": 16 * MIB + 1}, "memory=16777217"),
        ({"memory": "1 GB"}, "memory='1 GB'"),
        ({"helper": 1}, "helper=1"),
        ({"huge_pages": "yes"}, "huge_pages='yes'"),
        ({"times": 0}, "times=0"),
        ({"times": 1000}, "times=1000"),
    ],
)
def test_what_is_wrong_is_refused_with_what_is_right(given, says):
    with pytest.raises(ValueError, match=says):
        live.exit_time(**given)


@pytest.mark.parametrize(
    ("there", "found"), [(8 * GIB, (256, 512, 1024)), (800 * MIB, (100, 200, 400)), (MIB, (16, 32, 64))]
)
def test_three_sizes_are_as_large_as_there_is_room_for(monkeypatch, there, found):
    monkeypatch.setattr(measuring, "available_memory", lambda: there)
    monkeypatch.setattr(measuring, "why_not", lambda: "")
    assert tuple(size // MIB for size in live.sizes("1 GiB")) == found


def test_sizes_that_cannot_be_halved_twice_are_refused():
    with pytest.raises(ValueError, match="most='32 MiB' is too little.* 64 MiB or more"):
        live.sizes("32 MiB")


# Where it cannot run


@pytest.mark.parametrize("huge_pages", [False, True])
@pytest.mark.parametrize("helper", [False, True])
def test_elsewhere_figures_are_recorded_ones_and_say_so(mac, helper, huge_pages):
    found = live.exit_time("900 MiB", helper=helper, huge_pages=huge_pages)
    assert (found.size, found.helper, found.huge_pages) == (GIB, helper, huge_pages)
    assert "Not measured here: this is macOS, and it needs Linux. Recorded on Linux" in repr(found)
    assert plot_exits(found).words.startswith("Recorded: 1 GiB")


def test_elsewhere_it_says_what_the_figures_are(mac):
    assert live.about().startswith(
        "Not measured here: this is macOS, and it needs Linux. The figures are recorded ones"
    )
    assert live.sizes("2 GiB") == (512 * MIB, GIB, 2 * GIB)


@here
def test_here_it_says_how_much_is_taken():
    assert live.about().startswith("Measured here: Linux ") and "At most" in live.about()


def test_where_the_module_was_not_built_it_says_so(monkeypatch):
    monkeypatch.setattr(measuring, "_extension", lambda: None)
    monkeypatch.setattr(sys, "platform", "linux")
    assert "was not built" in live.exit_time("1 GiB").recorded


def test_where_it_is_not_allowed_it_says_so(monkeypatch):
    def refuse(_):
        raise measuring._error("PermissionError: [Errno 1] clone")

    monkeypatch.setattr(measuring, "why_not", lambda: "")
    monkeypatch.setattr(measuring, "_play", refuse)
    assert "does not allow it" in live.exit_time("64 MiB").recorded


def test_what_is_recorded_names_a_computer_and_no_host():
    words = recorded._all()["machine"]
    assert words.startswith("Linux ") and "CPU" in words
    assert os.uname().nodename not in words.split()


def test_the_model_fitted_to_two_recorded_sizes_predicts_the_others(mac):
    for helper in (False, True):
        small, large, *rest = (live.exit_time(size, helper=helper) for size in recorded.SIZES)
        fitted = live.fit(small, large)
        assert all(abs(fitted.predict(one).error) < 0.25 for one in rest), [fitted.predict(one) for one in rest]


# Fitting


def made(size: int, cpu_ns: int, **other) -> live.Exit:
    samples = np.zeros(2, measuring.SAMPLES)
    given = {"helper": False, "huge_pages": False, "machine": "made up", **other}
    return live.Exit(size, fill_ns=1, wait_ns=cpu_ns, freed_ns=cpu_ns, cpu_ns=cpu_ns, samples=samples, **given)


def test_costs_are_a_straight_line_through_two_sizes():
    pages = [size // 4096 for size in (GIB, 2 * GIB)]
    fitted = live.fit(*(made(each * 4096, 70 * each + 5000) for each in pages))
    assert fitted.page_ns == pytest.approx(70) and fitted.fixed_ns == pytest.approx(5000)
    assert (fitted.costs.free, fitted.costs.config, fitted.costs.destroy) == (70, 5000, 0)
    third = fitted.predict(made(4 * GIB, 2 * (70 * (1 << 20) + 5000)))
    assert third.predicted_ns == 70 * (1 << 20) + 5000
    assert third.error == -0.5
    assert repr(third) == "4 GiB: predicted 73.4 ms of CPU time, measured 0.15 s: 50% too little"


@pytest.mark.parametrize("helper", [False, True])
def test_the_models_story_is_the_one_that_was_measured(helper):
    run = live.fit(made(GIB, 10**8), made(2 * GIB, 2 * 10**8)).run("1 GiB", helper=helper)
    assert run.cleanup_ns == pytest.approx(10**8, rel=0.01)
    assert run.downtime_ns == (0 if helper else run.cleanup_ns)


@pytest.mark.parametrize(
    ("exits", "says"),
    [
        ([made(GIB, 5), made(GIB, 6)], "2 of 1 size and 1 kind;"),
        ([made(GIB, 5), made(2 * GIB, 6, helper=True)], "2 of 2 sizes and 2 kinds;"),
        ([made(GIB, 6), made(2 * GIB, 5)], "more memory took less time"),
        ([made(GIB, 6), 7], "measured"),
        ([], r"measured=\(\): give what live.exit_time\(\) returned for two sizes"),
    ],
)
def test_what_cannot_be_fitted_is_refused(exits, says):
    with pytest.raises(ValueError, match=says):
        live.fit(*exits)


# The picture


def test_a_picture_shows_a_measurement_beside_the_model(mac):
    measured = live.exit_time("1 GiB", helper=True)
    run = live.fit(measured, live.exit_time("512 MiB", helper=True)).run("1 GiB", helper=True)
    picture = plot_exits(measured, run)
    assert "the memory is back after" in picture.title
    assert "Recorded: 1 GiB, helper: wait() returns after" in picture.words
    assert "Model: 1 GiB, helper: wait() returns at once; 1 GiB of 1 GiB are not back then" in picture.words


def test_a_picture_of_something_else_is_refused():
    with pytest.raises(ValueError, match="stories"):
        plot_exits()
    with pytest.raises(ValueError, match=r"ld\.shutdown"):
        plot_exits(ld.reboot("4 MiB", low_memory="1 MiB", loader="64 KiB", image="64 KiB"))


# Controls, and a row of the benchmarks


def test_ends_are_chosen_by_controls_and_the_last_two_compared(mac):
    shown = measure_exits()
    shown.memory.value = 512 * MIB
    shown.measure()
    shown.helper.value = True
    shown.button.click()
    assert [(one.size, one.helper) for one in shown.exits] == [(512 * MIB, False), (512 * MIB, True)]
    assert "Recorded: 512 MiB: wait() returns after" in shown.shown.value
    assert "Recorded: 512 MiB, helper: wait() returns after" in shown.shown.value
    assert not shown.button.disabled


def test_what_cannot_be_measured_is_said_below_the_controls(monkeypatch, mac):
    def fail(*_, **__):
        raise RuntimeError("it has failed")

    shown = measure_exits()
    monkeypatch.setattr(live, "exit_time", fail)
    shown.measure()
    assert "it has failed" in shown.shown.value and not shown.button.disabled


def test_the_row_of_the_benchmarks_has_the_error_of_the_prediction(monkeypatch):
    times = {256 * MIB: 10, 512 * MIB: 20, GIB: 50}
    monkeypatch.setattr(live, "why_not", lambda: "")
    monkeypatch.setattr(live, "sizes", lambda _: tuple(times))
    monkeypatch.setattr(live, "exit_time", lambda size, **_: made(size, times[size] * 10**6))
    row = benchmark.exits(QUICK)
    assert row.figure == pytest.approx(20, abs=1) and row.met
    assert row.peer == "50.0 ms measured"


def test_the_row_is_left_out_where_nothing_can_be_measured(mac):
    with pytest.raises(NotHereError, match="it needs Linux"):
        benchmark.exits(QUICK)


def test_the_button_says_what_it_will_do():
    shown = measure_exits()
    shown.memory.value = 64 << 20
    assert shown.task.value == "Measure kills a process that has 64 MiB of small pages."
    shown.helper.value = shown.huge_pages.value = True
    assert shown.task.value == "Measure kills a process that has 64 MiB of huge pages. A helper shares them."


def test_the_button_does_not_promise_to_kill_where_it_cannot(mac):
    shown = measure_exits()
    shown.memory.value = 512 * MIB
    told = shown.task.value
    assert told.startswith(
        "Measure shows a recorded end of a process that has 512 MiB of small pages. Nothing is killed"
    )
    assert live.why_not() in told
