"""Question 12: what the mark forbids, and what it does not; and that it is the mark that does."""

import pytest

import lazydestroy as ld
from lazydestroy.questions import poisoned as module
from lazydestroy.questions.poisoned import (
    CLEAR,
    DESTROY,
    FORBIDDEN,
    GUEST_PAGE,
    HOST_MEMORY,
    OWN_TABLE,
    RESET,
    TABLE,
    USES,
    UV_STORAGE,
    later,
    stage,
    tried,
)
from lazydestroy.questions.registry import ask
from lazydestroy.ultravisor import Ultravisor

v1, v1_fixed = ld.series.v1, ld.series.v1_fixed
KERNELS = [v1, v1_fixed, *(v1.upto(number) for number in range(11))]
HANDED_OUT = "the kernel never hands a marked table out again"


@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_the_answer_holds_for_every_kernel_and_patch_1_decides_who_gets_the_table(kernel):
    answer = ask(12, kernel=kernel)
    claims = dict(answer.claims)
    assert claims.pop(HANDED_OUT) is (1 in kernel)
    assert all(claims.values()), claims
    assert answer.agrees == ("refines" if 1 in kernel else "does not apply")


@pytest.mark.parametrize("factor", ["0.1", "10"])
def test_no_cost_matters(factor):
    usual, scaled = ask(12), ask(12, costs=ld.Costs().scaled(factor))
    assert (scaled.verdict, scaled.evidence, scaled.claims) == (usual.verdict, usual.evidence, usual.claims)


@pytest.mark.parametrize("use", FORBIDDEN)
def test_the_mark_forbids_it_for_each_of_the_four_pages(use):
    assert tried(use, True).refused == 4
    assert tried(use, False).refused == 0


def test_the_table_is_marked_in_the_experiment_and_not_in_the_control():
    for kernel in (v1, v1.upto(0)):
        assert stage(kernel, None, marked=True).marked
        assert not stage(kernel, None, marked=False).marked


def test_asking_again_and_clearing_the_page_leave_the_mark():
    for use in (DESTROY, CLEAR):
        found = tried(use, True)
        assert (found.refused, found.stays_marked) == (4, True)
    assert set(tried(DESTROY, True).rcs) == {module.BAD}


def test_a_reset_of_the_machine_takes_it_away():
    found = tried(RESET, True)
    assert (found.was_marked, found.stays_marked, found.refused) == (True, False, 0)


def test_the_host_and_the_own_configuration_can_still_use_it():
    assert tried(HOST_MEMORY, True).refused == 0
    assert tried(OWN_TABLE, True).refused == 0
    assert tried(OWN_TABLE, False).refused == 4, "a configuration that is destroyed has no table"


def test_a_second_init_says_nothing_about_the_mark():
    assert tried(UV_STORAGE, True).rcs == tried(UV_STORAGE, False).rcs


def test_what_no_source_says_is_marked_so():
    assert USES[GUEST_PAGE].rests == "not modelled"
    answer = ask(12)
    assert "no public source says" in answer.verdict
    (grid,) = answer.pictures
    moods = {row: [each.mood for each in cells] for row, cells in zip(grid.rows, grid.cells, strict=True)}
    assert moods[GUEST_PAGE] == ["mixed", "good"]
    assert moods[TABLE] == ["bad", "good"]


def test_an_ultravisor_without_marks_is_found_out(monkeypatch):
    monkeypatch.setattr(Ultravisor, "_is_marked", lambda self, storage: False)
    answer = ask(12)
    table, storage, *_ = answer.claims.values()
    assert not table and not storage
    assert answer.agrees == "no"
    assert answer.verdict.startswith("Nothing that was tried")


def test_an_ultravisor_that_refuses_the_control_too_shows_nothing_about_the_mark(monkeypatch):
    monkeypatch.setattr(module, "_configuration", lambda on, **fields: 0x1FF)
    answer = ask(12)
    assert not answer.claims["the same is possible with a table that is not marked"]
    assert answer.agrees == "no"
    assert "nothing is shown" in answer.agreement


def test_without_patch_1_every_later_vm_is_handed_the_table():
    before, after = later(v1.upto(0), None, 5), later(v1, None, 5)
    assert (before.refused, before.given_the_table, before.holder) == (5, 5, "free")
    assert (after.refused, after.given_the_table, after.holder) == (0, 0, "leaked")


def test_the_verdict_counts_the_later_vms():
    details = ask(12, vms=1).details
    assert "Then 1 of 1 later VM is refused." in details
    assert "Then none of 1 later VM is refused." in details


@pytest.mark.parametrize("vms", [0, 101, True, "3"])
def test_a_wrong_number_of_vms_is_refused(vms):
    with pytest.raises(ValueError, match="vms="):
        ask(12, vms=vms)
