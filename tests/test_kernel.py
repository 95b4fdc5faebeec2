"""What the kernel's functions do by themselves, where the golden data (`tests.golden`) do not look."""

from __future__ import annotations

import errno
import re
import sys
from pathlib import Path

import pytest

import lazydestroy as ld
from lazydestroy import UVC, errnos
from lazydestroy.errnos import EINVAL, EIO
from lazydestroy.page import Content, Holder, State
from lazydestroy.scenarios import atomic_reserve, min_free_pages
from lazydestroy.series import v1, v1_fixed


def machine(kernel=v1, pages=8, **options):
    m = ld.Machine(pages << 12, **{"kernel": kernel, "low_memory": 0, "segment_table": 0, **options})
    m.boot()
    return m


def protected(kernel=v1, **options):
    m = machine(kernel, **options)
    m.protect()
    return m


def did(m, flow):
    """What a function with waiting points returns."""
    return m._do(flow, "QEMU")


def told(m, kind, word=""):
    return [event.text for event in m.events if event.kind == kind and word in event.text]


def is_free_and_secure(record):
    return record.holder == Holder.FREE and record.state == State.SECURE


def blocks_of(m, command):
    """The control blocks of a command from now on, as they come."""
    seen, call = [], m.uv.call

    def noted(block):
        if block.header.cmd == command:
            seen.append(block)
        return call(block)

    m.uv.call = noted
    return seen


# The ioctls


def test_a_protected_vm_cannot_be_protected_again():
    m = protected(v1.upto(0))
    before = m.engine.calls()
    assert did(m, m.kernel.kvm_pv_enable(m.kvm)) == -EINVAL
    assert m.engine.calls() == before


def test_a_vm_without_a_configuration_takes_no_header_no_image_and_no_reset():
    m = machine(v1.upto(0))
    before = m.engine.calls()
    kernel, kvm = m.kernel, m.kvm
    assert did(m, kernel.kvm_pv_set_sec_parms(kvm, kvm.sca << 12, 4096)) == -EINVAL
    assert did(m, kernel.kvm_pv_unpack(kvm, 0, 1)) == -EINVAL
    assert did(m, kernel.kvm_pv_verify(kvm)) == -EINVAL
    assert did(m, kernel.kvm_pv_disable(kvm)).r == -EINVAL
    assert m.engine.calls() == before


@pytest.mark.parametrize(("kernel", "asks"), [(v1.upto(0), False), (v1.without(6), False), (v1, True)])
def test_unpack_asks_the_flag_which_means_that_the_header_was_accepted_until_patch_6_counts(kernel, asks):
    """With the counter the question goes through, and it is the Ultravisor that refuses."""
    m = machine(kernel)
    assert did(m, m.kernel.kvm_pv_enable(m.kvm)) == 0
    unpacked = m.engine.calls()[UVC.UNPACK_IMG, "refused"]
    assert did(m, m.kernel.kvm_pv_unpack(m.kvm, 0, 1)) == -EINVAL
    assert m.engine.calls()[UVC.UNPACK_IMG, "refused"] - unpacked == asks
    assert bool(told(m, "refused", "KVM_PV_UNPACK answers -EINVAL")) != asks


def test_without_patch_6_the_end_of_the_zombie_between_header_and_image_stops_the_new_guest():
    m = protected(v1_fixed.without(6))
    m.reboot()
    kernel, kvm = m.kernel, m.kvm
    assert did(m, kernel.kvm_pv_enable(kvm)) == 0
    assert did(m, kernel.kvm_pv_set_sec_parms(kvm, kvm.sca << 12, 4096)) == 0
    m.run()
    assert did(m, kernel.kvm_pv_unpack(kvm, 0, 1)) == -EINVAL


def test_without_patch_6_the_end_of_the_zombie_behind_the_image_frees_secure_pages_at_exit():
    m = protected(v1_fixed.without(6))
    m.reboot()
    m.touch(0)
    m.protect()
    m.touch(5)
    m.run()  # the zombie ends, and takes the flag with it
    blocks, call, seen = blocks_of(m, UVC.DESTROY_SEC_CPU), m.uv.call, []

    def looking(block):
        if block.header.cmd == UVC.DESTROY_SEC_CPU:
            seen.append(sum(n for record, n in m.memory.records().items() if is_free_and_secure(record)))
        return call(block)

    m.uv.call = looking
    m.exit()
    assert len(blocks) == 1
    assert seen == [2], "pages 0 and 5 are with the allocator, until DESTROY_SEC_CONF cleans them"
    assert told(m, "warning") == []


@pytest.mark.parametrize("command", ["enable", "set_sec_parms", "unpack", "verify", "disable"])
def test_every_command_runs_under_the_lock_of_the_vm(command):
    m = protected(v1.upto(0)) if command != "enable" else machine(v1.upto(0))
    arguments = {"set_sec_parms": (m.kvm.sca << 12, 4096), "unpack": (0, 1)}.get(command, ())
    begun = []

    def holding():
        yield m.kvm.lock.write()
        yield 10**9
        begun.append(m.engine.calls())
        m.engine.release(m.kvm.lock)

    before = m.engine.calls()
    m.engine.spawn(holding(), "another thread of QEMU")
    m.engine.step(m.engine.tasks[-1])
    m.engine.spawn(getattr(m.kernel, f"kvm_pv_{command}")(m.kvm, *arguments), "QEMU")
    m.engine.run()
    assert begun == [before]
    assert m.kvm.lock.held is None
    assert m.kvm.lock.longest_wait == 10**9


def test_a_reset_tells_rc_and_rrc_of_the_first_cpu_that_cannot_be_destroyed():
    m = protected(v1.upto(0), vcpus=3)
    second, third = m.kvm.vcpus[1].handle, m.kvm.vcpus[2].handle
    m.uv.fail(UVC.DESTROY_SEC_CPU, 0x111, handle=second, rrc=7)
    m.uv.fail(UVC.DESTROY_SEC_CPU, 0x222, handle=third, rrc=8)
    answer = did(m, m.kernel.kvm_pv_disable(m.kvm))
    assert (answer.r, answer.rc, answer.rrc) == (-EIO, 0x111, 7)
    assert m.engine.calls()[UVC.DESTROY_SEC_CPU, "done"] == 1
    assert m.engine.calls()[UVC.DESTROY_SEC_CPU, "refused"] == 2
    assert (UVC.DESTROY_SEC_CONF, "refused") not in m.engine.calls()


# CPUs, and the end of a VM


def test_a_cpu_is_created_for_the_state_description_of_its_vcpu_and_not_twice():
    m = machine(vcpus=2)
    blocks = blocks_of(m, UVC.CREATE_SEC_CPU)
    m.protect()
    assert [block.state_origin for block in blocks] == [vcpu.sie_block << 12 for vcpu in m.kvm.vcpus]
    assert m.kvm.vcpus[0].sie_block != m.kvm.vcpus[1].sie_block
    assert m.kernel.kvm_s390_pv_create_cpu(m.kvm.vcpus[0]) == -EINVAL
    assert len(blocks) == 2


def test_destroying_the_cpu_of_a_vcpu_gives_a_positive_error_and_without_a_cpu_makes_no_call():
    m = protected(v1.upto(0))
    m.uv.fail(UVC.DESTROY_SEC_CPU, 0x111)
    vcpu = m.kvm.vcpus[0]
    assert m.kernel.kvm_s390_pv_destroy_cpu(vcpu) == (EIO, 0x111, 0)
    before = m.engine.calls()
    assert m.kernel.kvm_s390_pv_destroy_cpu(vcpu) == (0, 0, 0)
    assert m.engine.calls() == before


def test_a_vm_goes_cpu_by_cpu_then_its_sca_then_its_configuration():
    m = protected(v1.upto(0), vcpus=2)
    freed, call = [], m.uv.call
    frames = {"sca": m.kvm.sca, "first": m.kvm.vcpus[0].sie_block, "second": m.kvm.vcpus[1].sie_block}

    def noted(block):
        if block.header.cmd in (UVC.DESTROY_SEC_CPU, UVC.DESTROY_SEC_CONF):
            free = [name for name, pfn in frames.items() if m.memory.record(pfn).holder == Holder.FREE]
            freed.append((UVC(block.header.cmd), free))
        return call(block)

    m.uv.call = noted
    m.exit()
    assert freed == [
        (UVC.DESTROY_SEC_CPU, []),
        (UVC.DESTROY_SEC_CPU, ["first"]),
        (UVC.DESTROY_SEC_CONF, ["sca", "first", "second"]),
    ]


# What is said, and what is leaked


def test_a_failure_is_warned_about_once_a_boot_and_place():
    m = machine(v1.upto(1))
    for _ in range(3):
        m.protect()
        m.uv.fail(UVC.DESTROY_SEC_CONF, 0x111, handle=m.kvm.pv.handle)
        m.exit()
        m.start_process()
        m.boot()
    assert len(told(m, "warning", "destroy vm failed")) == 1
    assert len(told(m, "leak", "donated storage")) == 6


def test_the_message_of_a_storage_violation_comes_each_time():
    m = machine(v1_fixed.without(3), pages=16)
    for _ in range(2):
        m.protect()
        m.touch(5)
        m.reboot()
        m.protect()
        m.touch(5)
        assert not m.alive
        m.run()
        m.start_process()
        m.boot()
    assert len(told(m, "warning", "secure storage violation")) == 2


def test_handle_0_is_warned_about_at_each_reboot_with_the_parameter_off_and_the_record_leaks():
    m = machine(lazy_destroy=False)
    for reboot in range(1, 4):
        m.protect()
        m.reboot()
        m.run()
        assert len(told(m, "warning", "no handle provided to Ultravisor call cmd 101")) == reboot
        assert len(told(m, "warning", "destroy vm failed")) == 1
        assert len(told(m, "leak", "the record")) == reboot


def test_storage_that_leaked_is_not_told_again_when_its_configuration_is_refused_a_second_time():
    m = protected(v1.upto(0))
    m.uv.fail(UVC.DESTROY_SEC_CONF, 0x111, handle=m.kvm.pv.handle)
    m.reboot()
    once = told(m, "leak")
    m.exit()
    assert m.engine.calls()[UVC.DESTROY_SEC_CONF, "refused"] == 2
    assert told(m, "leak") == once


# Patches


def test_the_parameter_is_applied_under_the_lock_for_writing_after_the_call():
    m = machine(lazy_destroy=False)
    seen = []

    def holding():
        yield m.mm.mmap_lock.read()
        yield 10**9
        seen.append((m.engine.calls()[UVC.CREATE_SEC_CONF, "done"], m.mm.context.pv_sync_destroy))
        m.engine.release(m.mm.mmap_lock)

    m.engine.spawn(holding(), "a reader")
    m.engine.step(m.engine.tasks[-1])
    m.protect()
    assert seen == [(1, 0)]
    assert m.mm.context.pv_sync_destroy == 1
    m.reboot()
    assert m.mm.context.pv_sync_destroy == 1


def test_a_set_aside_page_that_cannot_be_destroyed_is_freed_secure_and_its_next_owner_faults_forever():
    m = protected()
    m.touch(5)
    m.uv.fail(UVC.DESTROY_SEC_CPU, 0x111)
    m.exit()
    m.run()
    assert any(map(is_free_and_secure, m.memory.records()))
    m.start_process()
    m.boot()
    m.touch(5)
    assert told(m, "endless fault")


def test_the_kernel_before_exports_such_a_page():
    m = protected(v1.upto(0))
    m.touch(5)
    m.uv.fail(UVC.DESTROY_SEC_CPU, 0x111)
    m.exit()
    assert not any(record.holder == Holder.FREE and record.state for record in m.memory.records())


@pytest.mark.parametrize("export", ["works", "is refused"])
def test_the_fix_exports_such_a_page_or_leaks_it(export):
    m = protected(v1_fixed)
    m.touch(5)
    m.uv.fail(UVC.DESTROY_SEC_CPU, 0x111)
    m.exit()
    if export == "is refused":
        m.uv.fail(UVC.CONV_FROM_SEC_STOR, 0x111)
    m.run()
    records = m.memory.records()
    assert not any(record.holder == Holder.FREE and record.state for record in records)
    leaked = [record for record in records if record.holder == Holder.LEAKED and record.state == State.SECURE]
    assert bool(leaked) == (export == "is refused")
    assert not any(record.holder == Holder.SET_ASIDE for record in records)


def test_the_newest_list_page_is_emptied_first_and_each_in_the_order_of_its_numbers():
    m = protected(pages=16, list_page_capacity=3, tabled=False)
    for page in range(1, 16):
        m.touch(page)
    blocks = blocks_of(m, UVC.DESTR_SEC_STOR)
    m.exit()
    m.run()
    base = m.mm.guest.base
    # every fourth page was exported, when a list page was needed
    assert [(block.paddr >> 12) - base for block in blocks] == [13, 14, 15, 9, 10, 11, 5, 6, 7, 1, 2, 3]


def test_a_batch_goes_from_the_guests_memory_on_into_the_process():
    m = protected(v1_fixed, process_memory="16 KiB", destroy_loop_threshold=32)
    for page in range(8):
        m.touch(page)
    m.reboot()
    taken = m.mm.mmap_lock.taken
    m.run()
    assert m.mm.mmap_lock.taken - taken == 1
    assert m.engine.calls()[UVC.DESTR_SEC_STOR, "done"] == 8
    assert m.engine.calls()[UVC.DESTR_SEC_STOR, "noop"] == 4


@pytest.mark.parametrize(("spare", "list_pages"), [(-1, 0), (0, 0), (1, 1)])
def test_an_atomic_allocation_may_use_half_of_the_minimum_watermark(spare, list_pages):
    """One page more than that half must be free."""
    host = 64 << 20
    half = min_free_pages(host) - min_free_pages(host) // 2
    assert atomic_reserve(host) == half
    m = protected(pages=4, host_memory=host, reserve=half)
    free = half + spare
    first = next(pfn for pfn in range(2 + 4, len(m.memory)) if m.memory.record(pfn).holder == Holder.FREE)
    m.memory.change(
        lambda record: record._replace(holder=Holder.OTHER, refs=1) if record.holder == Holder.FREE else record,
        first,
        m.memory.free - free,
    )
    assert m.memory.free == free
    m.engine.step(m.engine.spawn(m.kernel.exit_mmap(m.mm), "exit"))
    m.engine.run()
    assert m.mm.context.deferred_list.list_pages == list_pages


@pytest.mark.parametrize("what", ["list page", "top-level table"])
def test_the_kernel_itself_faults_forever_on_a_page_that_was_freed_secure(what):
    m = protected(v1_fixed, pages=4, list_page_capacity=1, host_memory=1 << 20)
    owner = m.kvm.pv.handle
    m.memory.change(
        lambda record: (
            record._replace(state=State.SECURE, owner=owner, content=Content.PLAINTEXT, content_of=owner)
            if record.holder == Holder.FREE
            else record
        )
    )
    if what == "list page":
        m.exit()
    else:
        m.reboot()
    assert told(m, "endless fault")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the error numbers of other systems differ")
def test_error_numbers_are_those_of_linux():
    assert len(errnos.errorcode) > 5
    assert {name: getattr(errno, name) for name in errnos.errorcode.values()} == {
        name: number for number, name in errnos.errorcode.items()
    }


def test_no_error_number_of_the_kernel_is_the_readers_systems():
    """In a browser and on macOS they differ."""
    package = Path(ld.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"^\s*(import errno|from errno)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert found == {"saying.py", "grading/allowed.py"}  # who has stopped reading; what an answer may import
