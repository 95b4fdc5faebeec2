"""Question 8: what is charged, to whom, for how long."""

from __future__ import annotations

import pytest

import lazydestroy as ld

SMALL = {"memory": "64 MiB", "low_memory": "4 MiB"}
V1 = ld.series.v1
COSTS = [ld.Costs(), ld.Costs().scaled(0.1), ld.Costs().scaled(10), ld.Costs(export=0)]


@pytest.mark.parametrize("costs", COSTS)
@pytest.mark.parametrize("used", [0.1, 1])
@pytest.mark.parametrize("kernel", [V1, ld.series.v1_fixed])
def test_every_claim_holds_whatever_the_costs(costs, used, kernel):
    found = ld.ask(8, **SMALL, costs=costs, used=used, kernel=kernel)
    assert all(found.claims.values()), found.claims
    assert found.agrees == "refines"


def test_what_is_charged_when_wait_returns_is_what_was_set_aside():
    found = ld.ask(8, **SMALL)
    run = found.values["runs"]["shutdown"]
    row = run.memory[run.memory["time"] >= run.downtime_ns][0]
    assert found.values["after_wait"] == row["charged"] > 0
    assert row["charged"] <= row["set_aside"] <= row["charged"] + 33, "list pages are charged to nobody"


def test_in_a_reboot_it_is_neither_more_nor_less():
    values = ld.ask(8, **SMALL).values
    assert values["reboot_least"] == values["reboot_most"] == 16384


@pytest.mark.parametrize("kernel", [V1.upto(0), V1.upto(8)])
def test_before_shutdown_became_lazy_nothing_stays_charged(kernel):
    found = ld.ask(8, **SMALL, kernel=kernel)
    assert not found.claims["at shutdown pages stay charged to a process that is gone"]
    assert "nothing is charged any more" in found.verdict
    assert found.agrees == "does not apply"


def test_a_guest_that_used_nothing_is_charged_nothing():
    found = ld.ask(8, **SMALL, used=0)
    assert found.short == "Nothing was charged to begin with: the guest had used no memory."


def test_a_list_that_nobody_empties_stays_charged_for_ever():
    """One of version 1's bugs: if a configuration could not be destroyed, what is set aside at exit is left."""
    given = {**SMALL, "segment_table": 0, "new_guest": "normal", "touch": "none", "exit_at": "end"}
    left = ld.reboot(**given, destroy_fails=True)
    assert left.memory["charged"][-1] == 16384 - 33
    assert ld.reboot(**given).memory["charged"][-1] == 0
