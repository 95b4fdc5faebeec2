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


def test_the_steps_of_a_thread_are_told_line_by_line():
    m = ld.small_machine(3)
    m.reboot()
    told = m.steps().splitlines()
    assert [line.partition(": ")[2] for line in told] == ["DESTR_SEC_STOR"] * 3 + ["DESTROY_SEC_CONF"]
    assert [f"page {page}" in line for page, line in enumerate(told[:3])] == [True] * 3
    assert m.tasks == [] and m.steps() == ""


def test_what_was_done_about_a_page_is_found_in_the_steps():
    m = ld.small_machine(3)
    m.reboot()
    m.touch(0)
    m.protect()
    m.touch(2)
    told = m.steps()
    assert [told.about(page) for page in range(4)] == [
        "DESTR_SEC_STOR (refused)",
        "DESTR_SEC_STOR",
        "DESTR_SEC_STOR (refused)",
        "no call",
    ]


def test_an_access_has_a_kind_of_content_and_a_short_form():
    m = ld.small_machine(3)
    read = m.read(1)
    assert (read.content, read.short) == ("ciphertext", "0x3D; reads ciphertext of A")
    m = ld.small_machine(3, kernel=ld.series.v1_fixed.without(4))
    m.reboot()
    stopped = m.touch(1)
    assert (stopped.content, stopped.short) == ("nothing", "0x3D; never gets through")


@pytest.mark.parametrize("kernel", [ld.series.v1_fixed, ld.series.linux_6_2], ids=["version 1", "Linux 6.2"])
def test_of_old_pages_that_a_normal_guest_uses_only_one_that_was_shared_is_cleared(kernel):
    machine = ld.small_machine(kernel=kernel)
    machine.share(3)
    machine.reboot()
    assert machine.touch(2).content == "ciphertext"  # patch 4 exports it
    assert not machine.touch(3).interruptions
    told = machine.steps()
    assert told.about(page=2) == "DESTR_SEC_STOR (noop)"
    assert told.about(page=3) == "DESTR_SEC_STOR"
    assert machine.touch(2).content == "host data"
    assert machine.touch(3).content == "zeros"


@pytest.mark.parametrize("kernel", [ld.series.v1_fixed, ld.series.linux_6_2], ids=["version 1", "Linux 6.2"])
@pytest.mark.parametrize(("shared", "outcomes"), [((0,), ["done"]), ((), ["noop"])], ids=["shared", "not shared"])
def test_patch_7_encrypts_a_boot_image_only_on_a_page_that_the_old_guest_had_shared(kernel, shared, outcomes):
    """And VERIFY_IMG says yes: that the image is right is assumed."""
    machine = ld.small_machine(kernel=kernel)
    for page in shared:
        machine.share(page)
    machine.reboot()
    machine.touch(0)  # the loader writes its image
    seen, before = [], machine.uv.observer
    machine.uv.observer = lambda call, outcome, ns: (seen.append((call, outcome)), before(call, outcome, ns))
    machine.protect()
    assert [outcome for call, outcome in seen if call == ld.UVC.CONV_FROM_SEC_STOR] == outcomes
    assert seen[-1] == (ld.UVC.VERIFY_IMG, "done")
