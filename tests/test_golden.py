"""The kernel of version 1 does what the kernel's own code did, call by call and page by page (`tests.golden`)."""

from __future__ import annotations

from collections import Counter

import pytest

from lazydestroy.page import Holder
from lazydestroy.series.picture import Bounds, Pictures, Story
from lazydestroy.series.watch import watching
from tests.golden import DATA
from tests.golden import version_1 as golden

CASES = list(golden.cases(DATA / "golden-v1.json.gz"))
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


# In the search's own world


class InTheSearch(golden.Driven):
    """A machine whose structures note what is looked at, as in a search; after each operation the search judges it."""

    def __init__(self, kernel, options):
        super().__init__(kernel, options)
        bounds = Bounds(pages=options["guest"], low_pages=options["low"], vcpus=options.get("vcpus", 1))
        used = sum(n for record, n in self.m.memory.records().items() if record.holder == Holder.DONATED)
        self.pictures = Pictures(bounds, used)
        self.found = []

    def do(self, operation):
        if operation[0] in ("boot", "begin"):
            seen = super().do(operation)
        else:
            with watching(self.m):
                seen = super().do(operation)
        roles = {self.task.index: (self.kind, -1)} if self.task is not None else {}
        self.found.append(self.pictures.found(self.pictures.take(self.m, Story(), roles)))
        return seen


INTERLEAVED = [case for case in CASES if any(step["op"][0] in ("go-on", "step") for step in case["steps"])]


@pytest.mark.parametrize("scenario", sorted({case["scenario"] for case in INTERLEAVED}))
def test_interleavings_are_as_recorded_in_the_searchs_own_world(scenario, monkeypatch):
    judged = []

    class Judged(InTheSearch):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            judged.append(self)

    monkeypatch.setattr(golden, "Driven", Judged)
    for case in INTERLEAVED:
        if case["scenario"] == scenario:
            assert not golden.difference(case, *case["runs"][0])
            trouble = Counter(event for step in case["steps"] for event in step.get("events", ()))
            complete = case["runs"][0][0].startswith("upto")
            assert trouble or not complete or not any(judged[-1].found), (case["runs"][0], judged[-1].found)
