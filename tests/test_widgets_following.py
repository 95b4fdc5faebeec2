"""Controls moved where an event loop runs, as in a notebook: no queue, no standing still, a way to stop."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import types

import pytest

from lazydestroy.widgets import asking, controlled, explore_question, explore_reboot

GIB = 1 << 30
SIZES = [GIB << power for power in range(6)]


async def settled(widget, within=20.0):
    """Wait until the widget shows what its controls say."""
    ends = time.perf_counter() + within
    while widget._done != widget._newest or not widget._work.done():
        assert time.perf_counter() < ends
        await asyncio.sleep(0.005)


@pytest.fixture
def explorer():
    return explore_reboot(memory="1 GiB")


def slowed(explorer, monkeypatch, seconds):
    """Runs take that long, unless they are stopped; returns when each began and how it ended."""
    simulate, log = explorer._simulate, []

    def slow(progress, **values):
        log.append(entry := [values["memory"], "runs", threading.current_thread() is threading.main_thread()])
        ends = time.perf_counter() + seconds
        try:
            while time.perf_counter() < ends:
                progress(0.5)
                time.sleep(0.002)
        except controlled.Stopped:
            entry[1] = "stopped"
            raise
        entry[1] = "done"
        return simulate(progress=progress, **values)

    monkeypatch.setattr(explorer, "_simulate", slow)
    return log


def test_a_slider_dragged_fast_ends_on_the_last_value_and_leaves_no_queue(explorer, monkeypatch):
    log = slowed(explorer, monkeypatch, 0.05)

    async def drag():
        for size in [*SIZES, *SIZES[::-1], *SIZES[:4]]:
            explorer.controls["memory"].value = size
            await asyncio.sleep(0.01)
        await settled(explorer)

    asyncio.run(drag())
    assert explorer.run.reproduce() == "ld.reboot('8 GiB')"
    assert 2 <= len(log) < 8
    assert log[-1] == [8 * GIB, "done", False]


def test_work_that_takes_long_gives_way_to_what_is_wanted_now(explorer, monkeypatch):
    monkeypatch.setattr(controlled, "PATIENCE", 0.05)
    log = slowed(explorer, monkeypatch, 0.5)

    async def change_of_mind():
        explorer.controls["memory"].value = 2 * GIB
        await asyncio.sleep(0.15)
        explorer.controls["memory"].value = 4 * GIB
        await settled(explorer)

    asyncio.run(change_of_mind())
    assert [(size, end) for size, end, _ in log] == [(2 * GIB, "stopped"), (4 * GIB, "done")]
    assert explorer.run.reproduce() == "ld.reboot('4 GiB')"
    assert explorer.message == ""


def test_cancel_stops_what_is_still_to_come_as_well(explorer, monkeypatch):
    monkeypatch.setattr(controlled, "PATIENCE", 5)
    log = slowed(explorer, monkeypatch, 0.5)

    async def cancelling():
        explorer.controls["memory"].value = 2 * GIB
        await asyncio.sleep(0.1)
        explorer.controls["memory"].value = 4 * GIB
        explorer.waiting.children[1].click()
        await settled(explorer, within=1)

    asyncio.run(cancelling())
    assert [(size, end) for size, end, _ in log] == [(2 * GIB, "stopped")]
    assert explorer.message == "Stopped."
    assert explorer.run.reproduce() == "ld.reboot('1 GiB')"


def test_what_is_out_of_date_is_not_worked_on_for_long(explorer, monkeypatch):
    monkeypatch.setattr(controlled, "PATIENCE", 0.1)
    log = slowed(explorer, monkeypatch, 0.5)

    async def change_of_mind():
        explorer.controls["memory"].value = 2 * GIB
        await asyncio.sleep(0.05)
        explorer.controls["memory"].value = 4 * GIB
        await settled(explorer)

    asyncio.run(change_of_mind())
    assert [(size, end) for size, end, _ in log] == [(2 * GIB, "stopped"), (4 * GIB, "done")]


def test_cancel_stops_it_and_the_last_pictures_stay(explorer, monkeypatch):
    monkeypatch.setattr(controlled, "PATIENCE", 0.05)
    log = slowed(explorer, monkeypatch, 5)
    before = [view.image.png for view in explorer._views.values()]
    seen = []

    async def cancelling():
        explorer.controls["memory"].value = 2 * GIB
        await asyncio.sleep(0.3)
        seen.append((explorer.waiting.layout.visibility, explorer._bar.value))
        explorer.waiting.children[1].click()
        await settled(explorer, within=1)

    asyncio.run(cancelling())
    assert seen == [("visible", 0.5)]
    assert log[0][1] == "stopped"
    assert explorer.message == "Stopped."
    assert explorer.waiting.layout.visibility == "hidden"
    assert [view.image.png for view in explorer._views.values()] == before
    monkeypatch.undo()
    explorer.set(memory=2 * GIB)
    assert explorer.message == "" and explorer.run.reproduce() == "ld.reboot('2 GiB')"


def test_the_previous_picture_stays_until_the_new_one_is_there(explorer, monkeypatch):
    slowed(explorer, monkeypatch, 0.2)
    before = explorer._views["timeline"].image.png

    async def looking():
        explorer.controls["memory"].value = 2 * GIB
        await asyncio.sleep(0.1)
        meanwhile = explorer._views["timeline"].image.png
        await settled(explorer)
        return meanwhile

    assert asyncio.run(looking()) == before
    assert explorer._views["timeline"].image.png != before


def test_setting_by_code_is_done_when_it_returns_even_while_something_else_runs(explorer, monkeypatch):
    monkeypatch.setattr(controlled, "PATIENCE", 0.05)

    async def both():
        log = slowed(explorer, monkeypatch, 0.3)
        explorer.controls["memory"].value = 2 * GIB
        await asyncio.sleep(0.05)
        explorer.set(memory=4 * GIB)
        at_once = explorer.run.reproduce()
        await settled(explorer)
        return at_once, log

    at_once, log = asyncio.run(both())
    assert at_once == explorer.run.reproduce() == "ld.reboot('4 GiB')"
    assert [end for _, end, _ in log] == ["stopped", "done"]


def test_an_error_nobody_foresaw_is_said_in_words(explorer, monkeypatch):
    def broken(**values):
        raise RuntimeError("out of cheese")

    async def moving():
        explorer.controls["memory"].value = 2 * GIB
        await settled(explorer)

    monkeypatch.setattr(explorer, "_simulate", broken)
    asyncio.run(moving())
    assert "RuntimeError: out of cheese" in explorer.message


def test_a_question_can_be_stopped_between_its_runs(monkeypatch):
    asker = explore_question(9, memory="1 GiB")
    answer, rounds = asker.answer, []

    def endless(number, progress, **given):
        while True:
            rounds.append(number)
            progress(len(rounds) % 100, 100)
            time.sleep(0.002)

    async def cancelling():
        asker.controls["destroy"].value = 3000
        await asyncio.sleep(0.1)
        asker.waiting.children[1].click()
        await settled(asker, within=1)

    monkeypatch.setattr(asking, "ask", endless)
    asyncio.run(cancelling())
    assert rounds and asker.message == "Stopped."
    assert asker.answer is answer


def cannot_start(thread):
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("start", [cannot_start, threading.Thread.run], ids=["no threads", "threads that run in line"])
def test_without_threads_the_last_value_is_shown_all_the_same(explorer, monkeypatch, start):
    """As in a browser's Python, where `asyncio.to_thread` fails or never comes back."""

    async def drag():
        for size in (2 * GIB, 4 * GIB):
            explorer.controls["memory"].value = size
        await settled(explorer)

    monkeypatch.setattr(threading.Thread, "start", start)
    asyncio.run(drag())
    assert explorer.message == ""
    assert explorer.run.reproduce() == "ld.reboot('4 GiB')"
    assert explorer.waiting.layout.visibility == "hidden"


@pytest.mark.parametrize("start", [cannot_start, threading.Thread.run, threading.Thread.start])
def test_an_error_in_a_thread_comes_back_to_the_one_who_waits(monkeypatch, start):
    def broken():
        raise ValueError("broken")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(ValueError, match="^broken$"):
        asyncio.run(controlled._in_thread(broken))
    assert asyncio.run(controlled._in_thread(divmod, 7, 2)) == (3, 1)


@pytest.mark.parametrize("can_suspend", [True, False])
def test_in_a_browser_work_can_be_stopped_where_it_can_be_suspended(explorer, monkeypatch, can_suspend):
    """There are no threads there; what has come up meanwhile is done while the work is suspended."""
    meanwhile = [lambda: None, explorer._cancel]
    bar = []

    def run_sync(sleeping):
        sleeping.close()
        bar.append(explorer.waiting.layout.visibility)
        if meanwhile:
            meanwhile.pop(0)()

    ffi = types.SimpleNamespace(can_run_sync=lambda: can_suspend, run_sync=run_sync)
    monkeypatch.setitem(sys.modules, "pyodide", types.SimpleNamespace(ffi=ffi))
    monkeypatch.setitem(sys.modules, "pyodide.ffi", ffi)
    monkeypatch.setattr(controlled, "IN_A_BROWSER", True)
    monkeypatch.setattr(controlled, "PATIENCE", 0.05)
    monkeypatch.setattr(threading.Thread, "start", cannot_start)
    log = slowed(explorer, monkeypatch, 0.5)

    async def wait_for_it():
        explorer.controls["memory"].value = 2 * GIB
        await settled(explorer)

    asyncio.run(wait_for_it())
    assert log == [[2 * GIB, "stopped" if can_suspend else "done", True]]
    assert explorer.message == (controlled.STOPPED if can_suspend else "")
    assert ("visible" in bar) is can_suspend
    assert explorer.waiting.layout.visibility == "hidden"
