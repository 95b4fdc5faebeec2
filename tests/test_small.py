"""The machine of the lessons."""

from __future__ import annotations

import pytest

import lazydestroy as ld


def secure(machine):
    return [row["page"] for row in machine.rows() if row["state"] == "secure"]


def test_its_guest_is_protected_and_has_used_all_its_pages():
    machine = ld.small_machine()
    assert secure(machine) == list(range(8))
    machine.reboot()
    assert not [event for event in machine.events if event.kind != "userspace"]


def test_after_a_reboot_all_its_pages_are_left_to_the_thread():
    machine = ld.small_machine(5)
    machine.reboot()
    assert secure(machine) == list(range(5)) and machine.tasks


def test_the_guest_touches_what_it_is_told_to_and_may_stay_normal():
    assert secure(ld.small_machine(4, touched=(2,))) == [0, 2]  # page 0 has the boot image
    assert secure(ld.small_machine(4, protected=False)) == []


def test_a_machine_parameter_is_handed_on():
    machine = ld.small_machine(low_memory="8 KiB", kernel=ld.series.v1)
    machine.reboot()
    assert secure(machine) == list(range(2, 8))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pages": 0}, "pages=0"),
        ({"pages": 65}, "pages=65"),
        ({"touched": 3}, "touched=3: use pages 0 to 7"),
        ({"protected": 1}, "protected=1: use True or False"),
    ],
)
def test_what_it_does_not_take_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        ld.small_machine(**wrong)
