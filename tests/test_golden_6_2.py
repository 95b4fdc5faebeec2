"""The merged design does what the kernel's own code did, call by call and page by page (`tests.golden`)."""

from __future__ import annotations

from collections import Counter

import pytest

from lazydestroy.errnos import EINVAL, ENOMEM
from tests.golden import DATA, cases
from tests.golden import linux_6_2 as golden

CASES = [case for case, _ in cases(DATA / "golden-6.2.json.gz")]
SCENARIOS = sorted({case["scenario"] for case in CASES})


def of(scenario):
    return [case for case in CASES if case["scenario"] == scenario]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_first_run_of_each_case_is_as_recorded(scenario):
    different = [golden.difference(case, *case["runs"][0]) for case in of(scenario)]
    assert not any(different), different


@pytest.mark.long("all 997 runs; the first one of each case is in make test")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_all_other_runs_are_as_recorded(scenario):
    different = [golden.difference(case, *run) for case in of(scenario) for run in case["runs"][1:]]
    assert not any(different), different


def test_nothing_is_missing_from_the_data():
    assert (len(SCENARIOS), len(CASES)) == (82, 723)
    assert sum(len(case["runs"]) for case in CASES) == 997


# That a difference is seen

OTHER = {
    "pages": ["7 absent"],
    "mm": [],
    "vm": None,
    "threads": ["t5"],
    "events": ["BUG"],
    "result": [-1, 0, 0],
    "calls": [],
}


@pytest.mark.parametrize("spoil", OTHER)
def test_a_difference_of_each_kind_is_seen_and_told(spoil):
    case = of("reboot: PREPARE, PERFORM at once")[0]
    steps = [dict(step) for step in case["steps"]]
    at = next(place for place, step in enumerate(steps) if step["op"] == ["prepare"])
    steps[at][spoil] = OTHER[spoil]
    told = golden.difference({**case, "steps": steps}, *case["runs"][0])
    assert told.startswith(f"step {at} ['prepare']: {spoil}: "), told


@pytest.mark.parametrize(
    "what, value",
    [
        ("in use", 1),
        ("free but secure", 1),
        ("small structures", 9),
        ("configurations left", ["A"]),
        ("marked tables", 2),
    ],
)
def test_a_difference_at_the_end_is_seen_and_told(what, value):
    case = of("reboot: PREPARE, PERFORM at once")[0]
    told = golden.difference({**case, "end": {**case["end"], what: value}}, *case["runs"][0])
    assert told.startswith(f"the end: {what}: {value} in the data"), told


def test_a_kernel_that_is_not_known_is_named():
    with pytest.raises(ValueError, match=r"'6\.3': this program knows 6\.2, 6\.2\+292a7d6fca33"):
        golden.series_of("6.3")


# Operations that the data here do not have, or not in every way: other files do

OPTIONS = {"guest": 8, "low": 2}


def driven(*operations, **options):
    machine = golden.Driven(golden.series_of("6.2"), {**OPTIONS, **options})
    seen = [machine.do(list(operation)) for operation in (("boot",), *operations)]
    return machine, seen


def test_a_thread_waits_for_the_lock_of_the_vm_and_is_not_handed_it():
    commands = (("protect", 1), ("touch-all",), ("prepare",), ("protect", 1), ("perform",), ("begin", "prepare"))
    _, seen = driven(*commands, ("go-on", 1), ("step", "t0", 3), ("finish",), ("go-on",), ("enable",), ("finish",))
    results = [step["result"] for step in seen[-5:]]
    assert results == [["waits"], {"t0": ["waits"]}, [-EINVAL, 0, 0], [-EINVAL, 0, 0], {"t0": ["ended", 0, 1, 0]}]
    assert seen[-2]["vm"]["set_aside"] == "A", "main comes first, although the thread has waited longer"


def test_main_stops_between_an_answer_and_the_note_of_it():
    _, seen = driven(("protect", 1), ("begin", "disable"), ("go-on", 1), ("go-on", 1), ("go-on", 1))
    assert [step["vm"]["cpus"] for step in seen[-3:]] == [["A/0"], ["-"], ["-"]]
    assert [step["vm"]["handle"] for step in seen[-3:]] == ["A", "A", "-"]
    assert [step["calls"][0].split()[1] for step in seen[-3:]] == ["DESTROY-CPU", "DESTROY-VM", "DESTROY"]


def test_a_page_that_is_discarded_is_exported_first_and_comes_back_empty():
    _, seen = driven(("protect", 1), ("touch", 5), ("discard", 5), ("discard", 5), ("touch", 5))
    assert seen[3]["calls"] == ["main EXPORT p0:5 0 0x1 done"] and seen[3]["pages"][5] == "absent"
    assert seen[4]["calls"] == []
    assert seen[5]["pages"][5] == "secure A plaintext:A 1 1"


def test_a_call_that_is_not_installed_is_not_told_to_fail():
    machine, _ = driven(("fail-call", "DESTROY-VM-FAST", {"rc": 153}))
    assert not machine.m.uv.faults


@pytest.mark.parametrize(("what", "answer"), [("donated storage", [-ENOMEM, 0, 0]), ("top-level table", [0, 1, 0])])
def test_an_allocation_may_fail_while_a_guest_is_protected(what, answer):
    _, seen = driven(("fail-allocation", what, 1), ("enable",))
    assert seen[-1]["result"] == answer


def test_another_process_has_rows_of_its_own():
    _, seen = driven(("protect", 1), ("exit",), ("boot",), ("touch", 3))
    assert seen[-1]["mm"] == [[0, 0, 0, 0, 1], [1, 2, 0, 0, 0]]
    assert seen[-1]["vm"]["handle"] == "-" and seen[-1]["pages"][3].startswith("non-secure")


def written(operations, seen):
    """Steps as in a file, with all that was seen."""
    steps = []
    for operation, step in zip((("boot",), *operations), seen, strict=True):
        pages = step["pages"] and [f"{page} {row}" for page, row in enumerate(step["pages"])]
        steps.append({"op": list(operation), **step, "pages": pages})
    return steps


def test_the_answer_that_was_corrected_since_is_counted():
    operations = (("enable",), ("touch", 3))
    machine, seen = driven(*operations)
    assert machine.let and seen[-1]["calls"] == ["main IMPORT A:3 0 0x1 done"]
    for count in (1, 2):
        notes = Counter()
        case = {"steps": written(operations, seen)[: count + 1], "end": None}
        assert not golden.difference(case, "6.2", OPTIONS, notes)
        assert notes == ({golden.AS_RECORDED: 1} if count == 2 else {})
