"""A run as a trace: it keeps the published rules of the Trace Event Format, and says what the run says."""

from __future__ import annotations

import json
from collections import Counter, defaultdict

import pytest

import lazydestroy as ld
from lazydestroy.perfetto import USES

SMALL = {"memory": "8 MiB", "low_memory": "2 MiB", "loader": "64 KiB", "image": "64 KiB", "host_memory": "32 MiB"}

RUNS = {
    "reboot": lambda: ld.reboot(**SMALL),
    "a bystander waits for a lock": lambda: ld.reboot(
        **SMALL, bystander=["10 us", "1 ms"], kernel=ld.series.v1.upto(0)
    ),
    "the process ends meanwhile": lambda: ld.reboot(**SMALL, exit_at="3 ms"),
    "Linux 6.2": lambda: ld.reboot(**SMALL, kernel=ld.series.linux_6_2, segment_table="1 MiB"),
    "shutdown with a bug": lambda: ld.shutdown("8 MiB", host_memory="32 MiB", demand="2 GiB/s"),
    "shutdown with a helper": lambda: ld.shutdown("8 MiB", kernel=ld.series.linux_6_2, helper=True),
    "reboot loop": lambda: ld.reboot_loop("8 MiB", times=3),
}


@pytest.fixture(scope="module", params=RUNS, ids=lambda name: name)
def run(request):
    return RUNS[request.param]()


@pytest.fixture
def trace(run, tmp_path):
    file = run.to_perfetto(tmp_path / "run.json")
    return json.loads(file.read_text(encoding="utf-8"))


def slices_by_thread(events):
    found = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            start, length = (round(1000 * event[name]) for name in ("ts", "dur"))
            found[event["pid"], event["tid"]].append((start, start + length))
    return found


# The format's rules


def test_it_is_the_object_form_of_the_format(trace):
    assert isinstance(trace["traceEvents"], list) and trace["traceEvents"]
    assert trace["displayTimeUnit"] in ("ms", "ns")


def test_every_event_has_what_every_event_must_have(trace):
    for event in trace["traceEvents"]:
        assert isinstance(event["name"], str) and event["name"]
        assert event["ph"] in {"X", "i", "C", "M"}
        assert isinstance(event["ts"], int | float) and event["ts"] >= 0
        assert isinstance(event["pid"], int) and isinstance(event["tid"], int)


def test_every_kind_of_event_has_what_its_kind_must_have(trace):
    for event in trace["traceEvents"]:
        if event["ph"] == "X":
            assert event["dur"] >= 0
        elif event["ph"] == "i":
            assert event["s"] in {"g", "p", "t"}
        elif event["ph"] == "C":
            assert event["args"] and all(isinstance(value, int) for value in event["args"].values())
        else:
            kind, _, what = event["name"].partition("_")
            assert kind in {"process", "thread"} and what in {"name", "sort_index"}
            assert set(event["args"]) == {what}


def test_slices_of_a_thread_do_not_cross(trace):
    """One may lie in another, or behind it: otherwise a viewer drops it."""
    for spans in slices_by_thread(trace["traceEvents"]).values():
        open_until = []
        for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
            while open_until and open_until[-1] <= start:
                open_until.pop()
            assert not open_until or end <= open_until[-1]
            open_until.append(end)


def test_all_processes_and_threads_have_names_of_their_own(trace):
    events = trace["traceEvents"]
    used = {(event["pid"], event["tid"]) for event in events if event["ph"] != "M"}
    names = [(event["pid"], event["args"]["name"]) for event in events if event["name"] == "thread_name"]
    assert used == {(event["pid"], event["tid"]) for event in events if event["name"] == "thread_name"}
    assert len(set(names)) == len(names)
    processes = [event["args"]["name"] for event in events if event["name"] == "process_name"]
    assert len(set(processes)) == len(processes) == len({pid for pid, _ in used})


# What it says


def test_it_has_the_runs_timeline_to_the_nanosecond(run, trace):
    told = Counter(
        (event["name"], round(event["ts"] * 1000), round(event["dur"] * 1000), event["args"]["pages"])
        for event in trace["traceEvents"]
        if event["ph"] == "X" and event["cat"] in {"work", "wait", "lock"}
    )
    rows = run.timeline[["activity", "start", "end", "pages"]].tolist()
    assert told == Counter((activity, start, end - start, pages) for activity, start, end, pages in rows)


def test_its_counters_are_the_runs_memory_and_add_up(run, trace):
    told = [event["args"] for event in trace["traceEvents"] if event["name"] == "memory (bytes)"]
    assert [list(each.values()) for each in told] == [[4096 * int(row[use]) for use in USES] for row in run.memory]
    assert {sum(each.values()) for each in told} == {run.parameters["host_memory"]}


def test_it_has_all_events_of_the_log_and_all_downtimes(run, trace):
    logged = [event["args"]["text"] for event in trace["traceEvents"] if event["ph"] == "i"]
    assert logged == [event.text for event in run.events]
    down = [round(event["dur"] * 1000) for event in trace["traceEvents"] if event["name"] == "downtime"]
    assert down == list(run.downtimes_ns)


def test_it_says_how_the_run_is_made_again(run, trace):
    assert trace["otherData"]["run"] == run.reproduce()


def test_threads_are_in_the_process_that_they_belong_to(tmp_path):
    trace = json.loads(ld.reboot(**SMALL).to_perfetto(tmp_path / "run.json").read_text())
    processes = {e["pid"]: e["args"]["name"] for e in trace["traceEvents"] if e["name"] == "process_name"}
    threads = {e["args"]["name"]: processes[e["pid"]] for e in trace["traceEvents"] if e["name"] == "thread_name"}
    assert threads["vCPU 0"] == threads["QEMU"] == "QEMU"
    assert threads["clean-up thread"] == "kernel"
    assert threads["configuration A"] == "Ultravisor"


def test_waiting_for_a_lock_is_a_slice_of_its_own_kind(tmp_path):
    trace = json.loads(RUNS["a bystander waits for a lock"]().to_perfetto(tmp_path / "run.json").read_text())
    assert any(event.get("cat") == "lock" for event in trace["traceEvents"])


def test_another_kind_of_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"file='run\.perfetto' is no name for such a file"):
        ld.reboot(**SMALL).to_perfetto("run.perfetto")
    with pytest.raises(ValueError, match=r"file=3 is no name for such a file"):
        ld.reboot(**SMALL).to_perfetto(3)
    with pytest.raises(ValueError, match=r"file='.* cannot be written \(No such file or directory\)"):
        ld.reboot(**SMALL).to_perfetto(tmp_path / "nowhere" / "run.json")
