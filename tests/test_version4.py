"""Version 4 as a series: what it shares with version 1, what a shutdown costs with it, and what breaks it."""

import pytest

import lazydestroy as ld
from lazydestroy.errnos import EAGAIN
from lazydestroy.page import Holder
from lazydestroy.series import check
from lazydestroy.series.failures import FAILURES
from lazydestroy.series.fixes import GiveBackOnFailure
from lazydestroy.uvcb import UVC, UVC_CC_BUSY, uv_cb_cts
from tests.marks import long_unless

EXHAUSTS = "a search that finds nothing goes through all there is; together they do so in another test"

v1, v4 = ld.series.v1, ld.series.v4
DEFAULT = [failure.name for failure in FAILURES if failure.default]
FORGETS = ("top-level table", "kthread")
FIXED = v4.plus(GiveBackOnFailure)


def calls(run):
    return {name: number for name, number in run.uvcs.items() if number}


def listened(machine):
    """The names of the calls that a machine's Ultravisor gets from now on."""
    called, call = [], machine.uv.call
    machine.uv.call = lambda block: (called.append(UVC(block.header.cmd)), call(block))[1]
    return called


def test_it_has_fourteen_patches_under_the_numbers_of_its_mails():
    assert [patch.number for patch in v4] == list(range(1, 15))
    for patch in v4:
        assert patch.message_id == f"20210818132620.46770-{patch.number + 1}-imbrenda@linux.ibm.com"
        assert patch.title and patch.summary and patch.files
        assert patch.layer.__module__ == "lazydestroy.series.version4"
    assert [patch.number for patch in v4 if not patch.overrides and not patch.adds] == [1, 3, 12]


@pytest.mark.parametrize("kernel", [v4, v4.upto(0), v4.upto(12), v4.without(11, 14)], ids=repr)
def test_the_name_of_a_kernel_makes_it_again(kernel):
    assert eval(repr(kernel), {"ld": ld}) == kernel


def test_a_set_that_could_not_be_compiled_is_refused():
    with pytest.raises(ValueError, match=r"patch 14 .* needs patch 11\. Leave out 14 as well"):
        v4.without(11)
    with pytest.raises(ValueError, match=r"Leave out 7, 9, 13 as well"):
        v4.without(6)


def without(number):
    """Version 4 without a patch, and without those that need it."""
    gone = {number}
    for patch in v4:
        if gone & set(patch.needs):
            gone.add(patch.number)
    return v4.without(*sorted(gone))


@pytest.mark.parametrize(
    "kernel", [v4.upto(last) for last in range(15)] + [without(patch.number) for patch in v4], ids=repr
)
def test_a_kernel_with_some_of_the_patches_runs_and_loses_no_page(kernel):
    machine = ld.Machine("64 KiB", kernel=kernel, low_memory="16 KiB", destroy_loop_threshold=3)
    total = machine.memory.pages
    machine.boot()
    machine.protect()
    for page in range(16):
        machine.touch(page)
    machine.share(9)
    machine.reboot()
    for page in (15, 9, 0):
        if machine.guest_up:
            machine.touch(page)
        assert sum(machine.memory.records().values()) == total
    if machine.alive:
        machine.exit()
    machine.run()
    assert sum(machine.memory.records().values()) == total
    assert not machine.tasks and machine.mm.freed and not machine.uv.configurations
    assert not any(record.holder == Holder.MAPPED for record in machine.memory.records())


# What it shares with version 1, and what it does not


@pytest.mark.parametrize("new_guest", ["protected", "normal"])
def test_a_reboot_is_that_of_version_1(new_guest):
    ours, theirs = (ld.reboot("4 GiB", kernel=kernel, new_guest=new_guest) for kernel in (v4, v1))
    assert calls(ours) == calls(theirs)
    assert (ours.downtime_ns, ours.cleanup_ns) == (theirs.downtime_ns, theirs.cleanup_ns)


@pytest.mark.parametrize(("memory", "seconds"), [("4 GiB", (3.25, 0.11)), ("64 GiB", (52.01, 1.78))])
def test_a_shutdown_is_that_of_the_kernel_before(memory, seconds):
    ours, before, theirs = (ld.shutdown(memory, kernel=kernel) for kernel in (v4, v1.upto(0), v1))
    assert calls(ours) == calls(before)
    assert ours.uvcs[UVC.CONV_FROM_SEC_STOR] == ours.pages
    assert ours.downtime_ns == ours.cleanup_ns == before.downtime_ns
    assert (round(ours.downtime, 2), round(theirs.downtime, 2)) == seconds


def test_the_parameter_comes_with_patch_12_and_works_with_patch_13():
    with pytest.raises(ValueError, match="does not have the module parameter"):
        ld.Machine(kernel=v4.upto(11), lazy_destroy=False)
    assert ld.Machine(kernel=v4.upto(12), lazy_destroy=False).kernel.lazy_destroy is False
    off, before = (
        ld.reboot("4 GiB", kernel=v4, lazy_destroy=False, touch="none"),
        ld.reboot("4 GiB", kernel=v4.upto(12), touch="none"),
    )
    assert off.downtime_ns == off.cleanup_ns == before.downtime_ns
    assert UVC.DESTR_SEC_STOR not in off.background and not off.events


def test_a_page_is_made_secure_with_one_try():
    tried = {}
    for kernel in (v4.upto(3), v4.upto(4)):
        machine = ld.Machine("32 KiB", kernel=kernel)
        machine.boot()
        machine.protect()
        machine.touch(3)
        block = uv_cb_cts(guest_handle=machine.kvm.gmap.guest_handle, gaddr=5 << 12)
        machine.kernel.handle_mm_fault(machine.mm, machine.mm.guest, 5 << 12)
        machine.uv.fail(UVC.CONV_TO_SEC_STOR, 0x200, cc=UVC_CC_BUSY, times=3)
        called = listened(machine)
        rc = machine.kernel.gmap_make_secure(machine.kvm.gmap, 5 << 12, block)
        tried[len(kernel)] = rc, called.count(UVC.CONV_TO_SEC_STOR)
        machine.touch(5)
        assert machine.memory.page(machine.mm.guest.slot(5)).owner == machine.kvm.pv.handle
    assert tried == {3: (0, 4), 4: (-EAGAIN, 1)}


def test_a_vcpu_without_a_secure_cpu_is_skipped():
    machine = ld.Machine("32 KiB", kernel=v4, vcpus=2)
    machine.boot()
    machine.protect()
    vcpu = machine.kvm.vcpus[0]
    assert machine.kernel.kvm_s390_pv_destroy_cpu(vcpu) == (0, 1, 0)
    called = listened(machine)
    assert machine.kernel.kvm_s390_pv_destroy_cpu(vcpu) == (0, 0, 0)
    assert not called


@pytest.mark.parametrize(("kernel", "stops"), [(v1, False), (v4, True)], ids=repr)
def test_an_address_without_memory_is_an_error_and_no_longer_tried_again(kernel, stops):
    machine = ld.Machine("32 KiB", kernel=kernel)
    machine.boot()
    machine.kernel.do_secure_storage_access_gmap(machine.kvm, machine.guest_len)
    assert [event.kind for event in machine.events] == ["addressing exception"] * stops
    assert machine.guest_up is not stops


def test_the_record_of_a_configuration_that_cannot_be_destroyed_is_leaked():
    machine = ld.Machine("32 KiB", kernel=v4)
    machine.boot()
    machine.protect()
    machine.uv.fail(UVC.DESTROY_SEC_CONF, 0x111)
    machine.reboot()
    machine.exit()
    machine.run()
    assert "the record of a configuration that cannot be destroyed" in [event.text for event in machine.events]


# What breaks it


def test_without_a_failure_nothing_breaks_it():
    assert check(v4, failures=()).holds


@pytest.mark.parametrize("failure", long_unless(lambda each: each in FORGETS, EXHAUSTS, DEFAULT))
def test_of_the_failures_only_those_of_the_fall_back_break_it(failure):
    verdict = check(v4, failures=(failure,))
    if failure in FORGETS:
        assert verdict.trace.violation == "the process is gone, and its address space is never removed"
    else:
        assert verdict.holds


@pytest.mark.parametrize("failures", long_unless(lambda each: each != DEFAULT, EXHAUSTS, [[*FORGETS], DEFAULT]))
def test_with_the_references_given_back_it_holds(failures):
    assert not check(v4, failures=failures).holds
    assert check(FIXED, failures=failures).holds


def test_turned_off_it_holds():
    assert check(v4, lazy_destroy=False).holds


def test_a_cpu_that_is_not_created_leaks_what_it_was_given():
    verdict = check(v4, failures=("CREATE_SEC_CPU",))
    assert verdict.trace.violation == "the process is gone, and 2 pages are leaked that the kernel took for it"


@pytest.mark.long(EXHAUSTS)
def test_without_patch_2_it_does_not():
    assert check(v4.without(2), failures=("CREATE_SEC_CPU",)).holds


def test_small_guests_are_broken_as_with_version_1():
    verdict = check(v4, segment_table="1 MiB", failures=())
    assert verdict.trace.violation.startswith("use after free: gmap_unlink")


@pytest.mark.parametrize(
    ("numbers", "violation"),
    [
        ((7,), "the process is killed: SIGSEGV: 0x3F"),
        ((8,), "addressing exception"),
        ((10, 14), "refused: KVM_PV_UNPACK"),
        ((11, 14), "the process is killed: SIGSEGV: 0x3E"),
    ],
)
def test_without_a_patch_the_search_finds_what_it_is_for(numbers, violation):
    assert check(v4.without(*numbers), failures=()).trace.violation.startswith(violation)


def test_to_learn_steps_changes_nothing():
    learned, run = (check(v4, failures=("kthread", "DESTROY_SEC_CPU"), learn=learn) for learn in (True, False))
    assert (learned.states, str(learned.trace)) == (run.states, str(run.trace))


# Read, demonstrated, asked


def test_a_diff_tells_version_1_from_version_4():
    notes = [change.note for change in v4[8].diff().changes]
    assert [note.split(";")[0] for note in notes] == [
        "overrides the kernel's, and replaces it",
        "overrides version 1's",
    ]
    notes = {change.name: change.note for change in v4[14].diff().changes}
    assert notes["should_export_before_import"].startswith("overrides patch 11's")
    assert len(v4[8].source().parts) == 2


def test_a_patch_of_version_4_is_demonstrated_as_what_it_is_made_from():
    with pytest.raises(ValueError, match=r"=13 .* use ld\.series\.v1\[8\]\.demonstrate\(\)$"):
        v4[13].demonstrate()
    with pytest.raises(ValueError, match=r"=2 .* use ld\.series\.linux_6_2\[1\]\.demonstrate\(\)$"):
        v4[2].demonstrate()
    with pytest.raises(ValueError, match=r"=1 .* the commits of linux_latest have demonstrations$"):
        v4[1].demonstrate()


def test_a_layer_is_in_a_kernel_in_whatever_form():
    assert v1[8].layer in v4 and v4[13].layer in v4
    assert v1[8].layer not in v4.upto(12) and v1[9].layer not in v4 and v4[13].layer not in v1


def test_a_question_goes_by_the_patch_and_not_by_its_number():
    assert ld.ask(3, kernel=v4, memory="1 GiB").agrees == "does not apply"
    with pytest.raises(ValueError, match="it needs patch 9"):
        ld.ask(4, kernel=v4, memory="1 GiB")
    with pytest.raises(ValueError, match="no batches before patch 5"):
        ld.ask(9, kernel=v4.upto(8), memory="1 GiB")
    ours, theirs = (ld.ask(1, kernel=kernel, memory="1 GiB") for kernel in (v4, v1.upto(8)))
    assert (ours.agrees, ours.verdict) == ("refines", theirs.verdict)
