"""Question 11: at which moments the parameter may be changed."""

from __future__ import annotations

import pytest

import lazydestroy as ld
from lazydestroy.machine import Machine
from lazydestroy.questions.switching import FIXED, MOMENTS, WITH_RETURN, harm, left_wrong, life, troubles
from lazydestroy.series.fixes import ReturnWhenOff

V1 = ld.series.v1


@pytest.fixture(scope="module")
def eleventh() -> ld.Answer:
    return ld.ask(11)


def test_every_moment_is_tried_in_both_directions_and_both_lives(eleventh):
    for changes in eleventh.values["found"].values():
        assert len(changes) == 2 * 2 * len(MOMENTS)


@pytest.mark.parametrize("hurried", [False, True])
def test_a_life_has_as_many_moments_as_it_says(hurried):
    machine = Machine("32 KiB", low_memory=4096, segment_table=0, destroy_loop_threshold=2)
    assert len(list(life(machine, hurried))) == len(MOMENTS)
    assert not machine.tasks


def test_with_the_return_turning_it_off_under_a_running_guest_strands_its_pages(eleventh):
    harmed = eleventh.values["harmed"][WITH_RETURN]
    assert [(MOMENTS[change.moment], change.before) for change in harmed] == [
        ("while the next guest runs, protected", True)
    ]
    assert eleventh.values["stranded"] == 8
    assert all(eleventh.claims.values()), eleventh.claims


def test_version_1_as_it_is_survives_it_because_it_tears_down_twice(eleventh):
    assert not eleventh.values["harmed"]["v1"]
    assert "second tear-down" in eleventh.verdict


def test_with_all_bugs_mended_no_moment_does_harm(eleventh):
    assert not eleventh.values["harmed"][FIXED]


def test_a_life_without_a_change_does_what_its_value_does():
    """Off, version 1 leaks a table at every end; on, it does not."""
    on, off = (troubles(V1, lazy, False, None) for lazy in (True, False))
    assert off["pages leaked"] > 0
    assert "pages leaked" not in on


def test_harm_is_seen_where_it_is_done():
    """A kernel whose parameter kills: the check can fail."""

    class Careless:
        def kvm_s390_pv_deinit_vm_deferred(self, kvm):
            if self.lazy_destroy is False:
                self.machine.warn("somebody turned it off")
            return (yield from super().kvm_s390_pv_deinit_vm_deferred(kvm))

        def start(self):
            super().start()
            if self.lazy_destroy is False:
                self.lazy_destroy = None

    found = harm(V1.plus(ReturnWhenOff).plus(Careless))
    assert any(trouble.get("warning") for trouble in found.values())


def test_nothing_is_wrong_with_a_new_machine():
    assert left_wrong(Machine("32 KiB")) == {}


def test_without_patch_10_there_is_no_parameter():
    with pytest.raises(ValueError, match="no parameter before patch 10"):
        ld.ask(11, kernel=V1.upto(9))
