"""A machine by hand: what it shows, what it refuses, and what it says then."""

from __future__ import annotations

import copy
import pickle
import re
import time

import numpy as np
import pytest

import lazydestroy as ld
from lazydestroy import limits
from lazydestroy._core import step, visit
from lazydestroy.page import Content, Holder
from lazydestroy.showing import rows_shown

UVC = ld.UVC


def protected(guest="64 KiB", **options) -> ld.Machine:
    machine = ld.Machine(guest, **options)
    machine.boot()
    machine.protect()
    return machine


# What it shows


def test_a_small_machine_shows_each_of_its_pages():
    machine = protected("200 KiB")
    assert len(machine.show().splitlines()) == 1 + 50
    assert machine._repr_html_().count("<tr") == 1 + 50
    assert repr(machine) == machine.show()


def test_a_large_machine_shows_runs_of_equal_pages():
    machine = protected("4 GiB")
    for page in (7, 8, 900):
        machine.touch(page)
    machine.share(900)
    began = time.process_time()
    lines = machine.show().splitlines()
    assert time.process_time() - began < 2
    assert [line.split()[0] for line in lines] == ["page", "0", "1-6", "7-8", "9-899", "900", "901-1048575"]
    assert [line.split()[1] for line in lines[1:]] == ["secure", "not", "secure", "not", "shared", "not"]
    assert machine._repr_html_().count("<tr") == 7
    assert repr(machine) == machine.show()


def test_pages_that_are_not_present_have_no_empty_columns():
    machine = ld.small_machine(4)
    assert list(rows_shown(machine)[0][0]) == list(machine.rows()[0])
    machine.exit()
    machine.run()
    assert rows_shown(machine)[0] == [{"page": page, "state": "not present"} for page in range(4)]
    assert machine.show().splitlines()[0] == "page  state" and machine._repr_html_().count("<th>") == 2


@pytest.mark.parametrize("pages", [51, 64, 1000])
def test_the_runs_are_those_of_the_pages_one_by_one(pages):
    """Swapped pages come back in other frames, so that equal pages need not lie in a row."""
    machine = protected(pages * 4096, host_memory="64 MiB")
    for page in [*range(1, 20), 30, 31, 33, 44]:
        machine.touch(page)
    for page in (3, 5, 9):
        machine.swap_out(page)
    machine.touch(5)
    machine.share(6)
    expected = []
    for row in machine.rows():
        page = row.pop("page")
        if expected and expected[-1][2] == row:
            expected[-1][1] = page
        else:
            expected.append([page, page, row])
    shown, left = rows_shown(machine)
    assert [row.pop("page") for row in shown] == [
        str(first) if first == last else f"{first}-{last}" for first, last, _ in expected
    ]
    assert shown == [row for _, _, row in expected]
    assert left == ""


def test_more_runs_than_can_be_read_are_counted():
    machine = protected("1 MiB")
    for page in range(0, 250, 2):
        machine.touch(page)
    lines = machine.show().splitlines()
    assert len(lines) == 1 + 50 + 1
    assert lines[-1] == "... and 206 pages more, from page 50 on"
    assert lines[-1] in machine._repr_html_()


def test_an_access_that_faults_again_and_again_says_how_often():
    raised = (ld.Interruption(0x3E), ld.Interruption(0x3D)) * 25_000
    event = ld.Event(5, "warning", "vCPU", "again")
    access = ld.Access("vCPU", 3, raised, "", "host", ("CONV_TO_SEC_STOR (refused)",) * 50_000, 10**9, (event,) * 40)
    raised, calls = "0x3E (25,000 times), 0x3D (25,000 times)", "calls CONV_TO_SEC_STOR (refused) (50,000 times)"
    assert str(access).splitlines() == [
        f"vCPU touches page 3: {raised}; {calls}; never gets through; 1 s",
        f"    {event}, 40 times",
    ]


def test_an_access_that_faults_a_few_times_says_it_in_order():
    raised = (ld.Interruption(0x3E), ld.Interruption(0x3D), ld.Interruption(0x3E))
    access = ld.Access("vCPU", 3, raised, "zeros", "A", ("A", "B", "A"), 1000, ())
    assert str(access) == "vCPU touches page 3: 0x3E, 0x3D, 0x3E; calls A, B, A; reads zeros; 1 µs"


# What it refuses


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_machines_and_their_parts_cannot_be_copied_and_say_what_to_do_instead(copied):
    machine = protected()
    thread = machine.engine.tasks[0]
    parts = [machine, machine.memory, machine.engine, machine.uv, machine.mm, machine.kvm, machine.mm.guest, thread]
    parts += [machine.mm.mmap_lock, machine.mm.context, machine.kvm.pv, machine.kvm.gmap, ld.Ultravisor("4 GiB")]
    for part in parts:
        with pytest.raises(TypeError, match=r"cannot be copied or pickled: .*make another ld.Machine"):
            copied(part)


@pytest.mark.parametrize(
    "refused",
    [UVC.CREATE_SEC_CONF, UVC.CREATE_SEC_CPU, UVC.SET_SEC_CONF_PARAMS, UVC.UNPACK_IMG, UVC.VERIFY_IMG],
)
@pytest.mark.parametrize("tabled", [True, False])
def test_a_call_that_is_refused_on_the_way_to_a_protected_guest_is_named(refused, tabled):
    machine = ld.Machine("64 KiB", tabled=tabled)
    machine.event("oom", "an old event")
    machine.boot()
    machine.uv.fail(refused, 0x102)
    said = f"the guest could not be made protected: {refused.name} was refused (rc 0x102)"
    with pytest.raises(RuntimeError, match=f"^{re.escape(said)}$"):
        machine.protect()


def test_without_memory_to_donate_a_guest_is_not_made_protected_and_the_event_is_told():
    machine = ld.Machine("64 KiB")
    machine.boot()
    while (frame := machine.memory.find_run(1)) is not None:
        machine.take(frame, 1, Content.HOST)
    with pytest.raises(RuntimeError, match=r"could not be made protected: nowhere is 1 page free, in a row"):
        machine.protect()


def test_more_configurations_than_the_model_can_tell_apart_are_refused_and_the_machine_goes_on():
    machine = ld.Machine("64 KiB", host_memory="64 MiB", low_memory=0, segment_table=0)
    for _ in range(260):
        machine.boot()
        try:
            machine.protect()
        except RuntimeError as error:
            assert "the model cannot tell apart the pages of more" in str(error)
            break
        machine.touch(3)
        machine.share(3)
        machine.reboot()
    else:
        pytest.fail("260 configurations at a time")
    machine.run()
    assert machine.protect()
    assert len(machine.uv.configurations) == 1


def test_pages_of_more_kinds_than_can_be_told_apart_are_an_error_that_says_so():
    machine = protected(host_memory="64 MiB")
    there = []
    for _ in range(100):
        there.append(machine.start_another())
        machine.boot()
        machine.protect()
    with pytest.raises(RuntimeError, match=r"^the machine cannot go on: more than 256 .* make another ld.Machine"):
        for process in there:
            machine.turn_to(process)
            machine.touch(3)
            machine.share(3)


def test_time_that_comes_to_its_end_by_hand_is_no_matter_of_kinds_of_page():
    machine = protected()

    def waiting():
        yield 1 << 63

    with pytest.raises(OverflowError, match=r"^dev yielded 9223372036854775808 ns in .*waiting: time ends 146 years"):
        machine.observe("dev", 0, waiting())


def test_a_process_that_ends_while_you_drive_another_has_ended_when_you_turn_back():
    machine = protected(host_memory="1 MiB")
    first = machine.start_another()
    machine.boot()
    first.kill()
    assert machine.alive and machine.guest_up
    machine.run()
    machine.turn_to(first)
    assert not machine.alive and not machine.guest_up
    with pytest.raises(RuntimeError, match="the process has exited"):
        machine.boot()


def two_vms(kernel, protected_twice, **options):
    """A machine with two guests, of which the first has a page of an old one; and a vCPU that touches it."""
    machine = ld.Machine("32 KiB", kernel=kernel, low_memory=0, segment_table=0, host_memory="2 MiB", **options)
    machine.boot()
    machine.protect()
    machine.touch(3)
    machine.reboot()
    machine.boot()
    if protected_twice:
        machine.protect()
    first = machine.start_another()
    machine.boot()
    return machine, first, machine.qemu


def touched_by(machine, qemu, page):
    """A vCPU of a VM touches a page, while another VM is driven."""
    touch = step(machine.kernel.guest_access, qemu.kvm)

    def touching():
        yield visit(qemu.mm.guest, page, 1, touch, lock=qemu.mm.mmap_lock)

    task = machine.engine.spawn(touching(), "vCPU of another VM")
    qemu.vcpu_tasks.append(task)
    for _ in range(8):
        if task.alive:
            machine.step(task)
    assert not task.alive


def test_a_signal_ends_the_process_whose_vcpu_has_touched_the_page_and_no_other():
    machine, first, second = two_vms(ld.series.v1.without(3), True)
    touched_by(machine, first, 3)
    assert machine.events[-1].text.startswith("SIGSEGV: 0x3F")
    assert (first.alive, first.guest_up) == (False, False) and (second.alive, second.guest_up) == (True, True)


def test_an_addressing_exception_stops_the_guest_that_has_touched_the_page_and_no_other():
    machine, first, second = two_vms(ld.series.v1.without(4), False)
    touched_by(machine, first, 3)
    assert machine.events[-1].kind == "addressing exception"
    assert (first.alive, first.guest_up) == (True, False) and (second.alive, second.guest_up) == (True, True)


def test_a_process_that_finds_no_memory_is_killed_and_no_other():
    machine, first, second = two_vms(ld.series.v1, False)
    free = [frame for frame in range(len(machine.memory)) if machine.memory.record(frame).holder == Holder.FREE]
    for frame in free:
        machine.take(frame, 1, Content.HOST)
    touched_by(machine, first, 5)
    assert machine.events[-1].kind == "oom"
    assert not first.alive and second.alive and second.guest_up


def test_machines_with_the_same_ultravisor_check_its_arguments_once(monkeypatch):
    made, keep = [], ld.Ultravisor.__init__
    monkeypatch.setattr(ld.Ultravisor, "__init__", lambda self, *a, **k: (made.append(self), keep(self, *a, **k))[1])
    options = {"max_configurations": 77}
    first, second = (ld.Machine(ultravisor=options) for _ in range(2))
    assert len(made) == 3 and {first.uv, second.uv} < {*made}
    ld.Machine(ultravisor={**options, "old_firmware": True})
    assert len(made) == 5
    with pytest.raises(ValueError, match="old_firmware=1: use True or False"):
        ld.Machine(ultravisor={**options, "old_firmware": 1})


def test_a_machine_that_does_not_fit_is_refused_with_both_figures(monkeypatch):
    monkeypatch.setattr(limits, "available_memory", lambda: 20 << 20)
    with pytest.raises(
        ld.NotEnoughMemory, match=r"a machine with a host of 128.* GiB needs 32.* MiB of memory, but only 20"
    ):
        ld.Machine("64 GiB")
    assert ld.Machine("1 GiB").guest_pages == 1 << 18


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"reserve": -1}, "reserve=-1: use a whole number from 0"),
        ({"reserve": "many"}, "reserve='many': use a whole number"),
        ({"reserve": 1.5}, "reserve=1.5: use a whole number"),
        (
            {"ultravisor": ["old_firmware"]},
            r"ultravisor=\['old_firmware'\]: use 'as of 2021' or 'as of 2022', or a dict",
        ),
        (
            {"ultravisor": {"memory": None}},
            "ultravisor=.*: use 'as of 2021' or 'as of 2022', or a dict with",
        ),
        (
            {"ultravisor": {"rule": 1}},
            "ultravisor=.*: use 'as of .*, or a dict with some of the names .*destroy_needs_no_cpus",
        ),
        ({"ultravisor": {"max_configurations": "x"}}, "ultravisor=.*"),
        ({"features": "none"}, "features='none': use bit numbers 0 to 63"),
        ({"features": 1.5}, "features=1.5: use bit numbers"),
        ({"features": [64]}, r"features=\[64\]: use bit numbers"),
        ({"features": b"\x00"}, "features=b.*: use bit numbers"),
        ({"tabled": 1}, "tabled=1: use True or False"),
        ({"small_storage": None}, "small_storage=None: use True or False"),
    ],
)
def test_what_a_machine_does_not_accept_is_named(given, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        ld.Machine(**given)


def test_what_is_done_by_hand_names_what_it_does_not_accept():
    machine = protected()
    for call, words in [
        (lambda: machine.fail_allocation("roof"), "what='roof': use one of 'deferred_priv'"),
        (lambda: machine.fail_allocation(["kthread"]), r"what=\['kthread'\]: use one of"),
        (lambda: machine.fail_allocation("kthread", -1), "times=-1: use a whole number, 0 or more"),
        (lambda: machine.fail_allocation("kthread", "twice"), "times='twice': use a whole number"),
        (lambda: machine.touch(16), "page=16: the guest has pages 0 to 15"),
        (lambda: machine.share(1.0), "page=1.0: the guest has pages 0 to 15"),
        (lambda: machine.read(0, as_=["host"]), r"as_=\['host'\]: use 'host', 'kernel' or 'io'"),
        (lambda: machine.turn_to(None), "process=None: use what this machine's start_another"),
        (lambda: machine.turn_to(protected().qemu), "process=.*: use what this machine's start_another"),
        (lambda: machine.step("QEMU"), "task='QEMU': use one of m.tasks"),
    ]:
        with pytest.raises(ValueError, match=f"^{words}"):
            call()
    other = ld.Machine("64 KiB")
    other.boot()
    for image in (0, -1, "1", 1.0, None, True):
        with pytest.raises(ValueError, match=r"^image=.*: use a whole number, 1 or more"):
            other.protect(image)


def test_numpys_integers_are_pages_images_and_times():
    machine = ld.Machine("64 KiB", vcpus=np.int8(2), reserve=np.int16(1))
    machine.boot()
    machine.protect(np.int64(2))
    assert machine.touch(np.int64(2)).saw == "plaintext of A"
    machine.share(np.uint8(2))
    assert machine.io(np.int8(2)).page == 2
    machine.fail_allocation("kthread", np.int8(1))
