"""The kernel of version 1 does what the kernel's own code did, call by call and page by page (`tests.golden`)."""

from __future__ import annotations

import pytest

from tests import golden

CASES = list(golden.cases(golden.DATA / "golden-v1.json.gz"))
SCENARIOS = sorted({case["scenario"] for case in CASES})


def of(scenario):
    return [case for case in CASES if case["scenario"] == scenario]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_first_run_of_each_case_is_as_recorded(scenario):
    different = [golden.difference(case, *case["runs"][0]) for case in of(scenario)]
    assert not any(different), different


@pytest.mark.long("all 3,178 runs; the first one of each case is in make test")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_all_other_runs_are_as_recorded(scenario):
    different = [golden.difference(case, *run) for case in of(scenario) for run in case["runs"][1:]]
    assert not any(different), different


def test_nothing_is_missing_from_the_data():
    assert len(CASES) == 513
    assert sum(len(case["runs"]) for case in CASES) == 3178


@pytest.mark.parametrize("spoil", ["calls", "pages", "mm", "threads", "events", "result"])
def test_a_difference_of_each_kind_is_seen_and_told(spoil):
    case = next(case for case in CASES if case["scenario"] == "reboot, nothing touched")
    steps = [dict(step) for step in case["steps"]]
    at = next(place for place, step in enumerate(steps) if step["op"] == ["reset"])
    other = {"pages": ["7 absent"], "mm": [], "threads": [5], "events": ["BUG"], "result": [-1, 0, 0], "calls": []}
    steps[at][spoil] = other[spoil]
    told = golden.difference({**case, "steps": steps}, *case["runs"][0])
    assert told.startswith(f"step {at} ['reset']: {spoil}: "), told


def test_a_difference_at_the_end_is_seen_and_told():
    case = next(case for case in CASES if case["end"])
    told = golden.difference({**case, "end": {**case["end"], "small structures": 9}}, *case["runs"][0])
    assert told.startswith("the end: small structures: 9 in the data"), told
