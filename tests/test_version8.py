"""Version 8 as a series: the first form of the commands that userspace calls, beside what Linux 6.2 made of them."""

import pytest

import lazydestroy as ld
from lazydestroy.page import Holder
from lazydestroy.uvcb import UVC

v8, merged = ld.series.v8, ld.series.linux_6_2
PAGES, LOW = 16, 4


def protected(kernel, **options):
    """A machine with a guest that has touched all its memory, and the calls that its Ultravisor gets from now on."""
    machine = ld.Machine(
        "64 KiB", kernel=kernel, low_memory="16 KiB", segment_table=0, destroy_loop_threshold=4, **options
    )
    machine.boot()
    machine.protect()
    for page in range(PAGES):
        machine.touch(page)
    called, call = [], machine.uv.call
    machine.uv.call = lambda block: (called.append(UVC(block.header.cmd)), call(block))[1]
    return machine, called


def prepared(kernel, **options):
    machine, called = protected(kernel, **options)
    answer = machine._do(machine.qemu.preparing(), "QEMU")
    assert (answer.r, answer.rc, answer.rrc) == (0, 1, 42)
    return machine, called


def ended(machine):
    """End everything; what the Ultravisor and the host still hold of it."""
    machine.exit()
    machine.run()
    return len(machine.uv.configurations), machine.mm.freed


def test_its_preparations_are_those_that_were_merged():
    assert v8.upto(12) == merged.upto(12)
    assert v8.numbers == (*range(1, 13), 14, 15, 16)
    assert {patch.number for patch in v8 if not patch.commit} == {14}
    assert v8[14].message_id == "20220302181143.188283-15-imbrenda@linux.ibm.com"
    assert eval(repr(v8), {"ld": ld}) == v8


@pytest.mark.parametrize("kernel", [v8, merged], ids=repr)
def test_a_thread_of_userspace_cleans_up_while_the_next_guest_runs(kernel):
    machine, called = prepared(kernel)
    assert called.count(UVC.DESTR_SEC_STOR) == LOW
    thread = machine.qemu.start_perform()
    machine.protect()
    machine.run()
    assert thread.value.r == 0
    assert called.count(UVC.DESTROY_SEC_CONF) == 1
    assert ended(machine) == (0, True)
    assert not any(record.holder == Holder.MAPPED for record in machine.memory.records())


@pytest.mark.parametrize("kernel", [v8, merged], ids=repr)
def test_a_second_one_is_refused_and_disable_ends_both(kernel):
    machine, called = prepared(kernel)
    machine.protect()
    assert machine._do(machine.qemu.preparing(), "QEMU").r < 0
    assert len(machine.uv.configurations) == 2
    assert machine._do(machine.qemu.resetting(), "QEMU").r == 0
    assert not machine.uv.configurations
    assert called.count(UVC.DESTROY_SEC_CONF) == 2


@pytest.mark.parametrize(("kernel", "first"), [(v8, UVC.DESTR_SEC_STOR), (merged, UVC.DESTROY_SEC_CONF)], ids=repr)
def test_an_ordinary_disable_walks_first(kernel, first):
    machine, called = protected(kernel)
    machine.disable()
    order = [call for call in called if call != UVC.DESTROY_SEC_CPU]
    assert order[0] == first
    assert (order.count(UVC.DESTR_SEC_STOR), order.count(UVC.DESTROY_SEC_CONF)) == (PAGES, 1)


@pytest.mark.parametrize(("kernel", "waits"), [(v8, True), (merged, False)], ids=repr)
def test_the_command_takes_the_lock_again_at_its_end(kernel, waits):
    machine, called = prepared(kernel)
    engine, lock = machine.engine, machine.kvm.lock
    thread = machine.qemu.start_perform()
    before = len(called)
    while len(called) == before:
        engine.step(thread)

    def another_command():
        yield lock.write()
        yield 1_000_000_000
        engine.release(lock)

    other = engine.spawn(another_command(), "another command")
    engine.step(other)
    while thread.alive and not thread.asleep:
        engine.step(thread)
    assert thread.alive is waits
    assert called[-1] == UVC.DESTROY_SEC_CONF
    machine.run()
    assert thread.value.r == 0


@pytest.mark.parametrize(("kernel", "left"), [(v8, 1), (merged, 0)], ids=repr)
def test_whoever_is_killed_while_the_next_guest_boots_leaves_a_configuration_forever(kernel, left):
    machine, called = prepared(kernel)
    thread = machine.qemu.start_perform()
    machine.engine.step(thread)
    configurations, freed = ended(machine)
    assert (configurations, freed) == (left, not left)
    assert called.count(UVC.DESTROY_SEC_CONF) == 1 - left


@pytest.mark.parametrize(("kernel", "left"), [(v8, 0), (merged, 0)], ids=repr)
def test_if_the_next_guest_is_protected_the_leftover_is_ended_with_it(kernel, left):
    machine, _ = prepared(kernel)
    thread = machine.qemu.start_perform()
    machine.engine.step(thread)
    machine.protect()
    assert ended(machine) == (left, True)


@pytest.mark.parametrize(("kernel", "freed"), [(v8, False), (merged, True)], ids=repr)
def test_the_notifier_keeps_the_mm_of_a_guest_that_ends_as_a_normal_one(kernel, freed):
    machine, _ = protected(kernel)
    machine.disable()
    assert ended(machine) == (0, freed)


def test_with_the_parameter_off_nothing_can_be_set_aside():
    machine, _ = protected(v8, lazy_destroy=False)
    assert machine._do(machine.qemu.preparing(), "QEMU").r < 0
    with pytest.raises(ValueError, match="does not have the module parameter"):
        ld.Machine(kernel=v8, async_destroy=False)
