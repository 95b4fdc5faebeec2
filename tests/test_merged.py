"""The merged design as layers: what is known of each commit, what each one fixed, and that any set of them runs."""

import inspect
import itertools
import random

import pytest

import lazydestroy as ld
from lazydestroy.errnos import EINTR, EINVAL
from lazydestroy.kernel.kvm import KVM_CAP_S390_PROTECTED, KVM_CAP_S390_PROTECTED_ASYNC_DISABLE
from lazydestroy.page import Holder, State
from lazydestroy.uvcb import UVC

latest, linux_6_2, v1 = ld.series.linux_latest, ld.series.linux_6_2, ld.series.v1

NEEDS = {
    **dict.fromkeys((1, 2, 3, 4, 6, 8, 9, 10, 11, 13), ()),
    5: (3,),
    7: (3,),
    12: (3,),
    14: (4, 7, 13),
    15: (14,),
    16: (9,),
    17: (11, 14),
    18: (14,),
    19: (4, 14),
    20: (14,),
    21: (17,),
    22: (5,),
    23: (4,),
    24: (11,),
}
SHARED = {3: 2, 5: 3, 6: 4, 8: 6, 9: 7, 16: 11}
"""Commits, and the patches of version 1 that they are made from."""

FAST = {"calls": ("DESTROY_SEC_CONF_FAST",)}
REFUSED = 0x111


def machine(kernel, **options):
    """A machine with a guest of 16 pages, all of them secure; 4 of them stand for the first 2 GiB."""
    m = booted(kernel, **options)
    m.protect()
    for page in range(16):
        m.touch(page)
    return m


def booted(kernel, **options):
    options = {"low_memory": "16 KiB", "segment_table": 0, "destroy_loop_threshold": 3, "tabled": False, **options}
    m = ld.Machine("64 KiB", kernel=kernel, **options)
    m.boot()
    return m


def did(m, flow):
    return m._do(flow, "QEMU")


def told(m, kind, text=""):
    return [event for event in m.events if event.kind == kind and text in event.text]


def held(m):
    return sum(n for record, n in m.memory.records().items() if record.holder == Holder.DONATED)


def without(*gone):
    """The latest kernel without some commits, and without those that need one of them."""
    return latest.without(*sorted({*gone, *latest._needing(gone)}))


# What is known of them


def test_the_commits_stand_in_the_order_of_merging_and_are_numbered_from_1():
    assert [commit.number for commit in linux_6_2] == list(range(1, 19))
    assert [commit.number for commit in latest] == list(range(1, 25))
    assert latest.upto(18) == linux_6_2
    releases = [tuple(map(int, commit.release.split("."))) for commit in latest]
    assert releases == sorted(releases)


@pytest.mark.parametrize("commit", latest, ids=lambda commit: f"m{commit.number:02}")
def test_a_commit_says_what_it_is(commit):
    assert len(commit.commit) == 12 and int(commit.commit, 16)
    assert commit.title and commit.summary and not commit.message_id
    assert commit.layer.__module__.rpartition(".")[2].startswith(f"m{commit.number:02}_")
    assert commit.commit in inspect.getmodule(commit.layer).__doc__
    assert all(file.startswith(("arch/s390/", "include/")) for file in commit.files)
    assert commit.needs == NEEDS[commit.number]
    assert repr(commit).startswith(f"Patch {commit.number}: {commit.title}")
    assert str(commit.source()) and str(commit.diff())


def test_a_commit_with_the_text_of_a_patch_of_version_1_is_that_patch():
    found = {}
    for commit, patch in itertools.product(latest, v1):
        if issubclass(commit.layer, patch.layer):
            found[commit.number] = patch.number
    assert found == SHARED


@pytest.mark.parametrize("commit", latest, ids=lambda commit: f"m{commit.number:02}")
def test_a_commit_overrides_what_is_there_without_it(commit):
    below = latest.upto(commit.number - 1).kernel
    assert commit.overrides
    assert all(hasattr(below, name) for name in commit.overrides)
    assert not any(hasattr(below, name) for name in commit.adds)


def test_the_functions_of_pv_c_are_there_under_their_names():
    names = """
        kvm_s390_pv_set_aside kvm_s390_pv_deinit_cleanup_all kvm_s390_pv_dispose_one_leftover kvm_s390_pv_deinit_vm
        kvm_s390_pv_deinit_aside_vm kvm_s390_destroy_lower_2g kvm_s390_pv_deinit_vm_fast kvm_s390_clear_pv_state
        kvm_s390_pv_mmu_notifier_release s390_replace_asce s390_unlist_old_asce s390_uv_destroy_range
        s390_uv_destroy_range_interruptible uv_destroy_owned_page is_destroy_fast_available kvm_s390_cpus_from_pv
        kvm_pv_async_cleanup_prepare kvm_pv_async_cleanup_perform kvm_vm_ioctl_check_extension
    """
    for name in names.split():
        function = getattr(linux_6_2.kernel, name)
        assert function.__doc__, name


@pytest.mark.parametrize("kernel", [linux_6_2, linux_6_2.upto(9), latest, latest.without(19), latest.upto(0)], ids=repr)
def test_the_name_of_a_kernel_makes_it_again(kernel):
    assert eval(repr(kernel), {"ld": ld}) == kernel


def test_what_the_model_cannot_show_is_in_a_table():
    text = repr(ld.series.OTHER_FOLLOW_UPS)
    assert text.count("fixed: ") == len(ld.series.OTHER_FOLLOW_UPS)
    for bug in ld.series.OTHER_FOLLOW_UPS:
        assert set(bug.patches) <= set(linux_6_2.numbers)
        assert bug.fixed and bug.why_not


# That they run

FULL = frozenset(range(1, 25))


def drawn(sets, seed):
    """Sets of commits in which each has what it needs: all others go at random, some of them or most."""
    draw = random.Random(seed)
    for _ in range(sets):
        share = draw.random()
        kept = {number for number in FULL if draw.random() < share}
        while missing := {number for number in kept if not set(NEEDS[number]) <= kept}:
            kept -= missing
        yield tuple(sorted(kept))


NEXT_TO_ALL = [FULL - {*gone, *latest._needing(gone)} for gone in itertools.chain(((n,) for n in FULL), [()])]
PAIRS = [FULL - {*gone, *latest._needing(gone)} for gone in itertools.combinations(sorted(FULL), 2)]
PREFIXES = [frozenset(range(1, n + 1)) for n in range(25)]
SETS = sorted({tuple(sorted(kept)) for kept in [*NEXT_TO_ALL, *PREFIXES]} | set(drawn(150, 1)))
MORE = sorted({tuple(sorted(kept)) for kept in PAIRS} | set(drawn(3000, 2)) - set(SETS))


@pytest.mark.parametrize("kept", SETS, ids=lambda kept: "+".join(map(str, kept)) or "none")
def test_a_set_that_could_be_compiled_runs_and_loses_no_page(kept):
    runs_and_loses_no_page(kept)


@pytest.mark.long("3,000 more sets drawn at random, and all without two commits; 200 are in make test")
def test_any_set_that_could_be_compiled_runs_and_loses_no_page():
    for kept in MORE:
        runs_and_loses_no_page(kept)


def runs_and_loses_no_page(kept):
    kernel = latest.without(*(FULL - set(kept)))
    for options in ({}, {"ultravisor": FAST}):
        m = machine(kernel, **options)
        total = m.memory.pages
        m.share(9)
        m.reboot()
        assert bool(m.tasks) == ({14, 15} <= set(kept)), "it is cleaned in the background"
        for page in (15, 9, 0):
            if m.guest_up:
                m.touch(page)
            assert sum(m.memory.records().values()) == total
        m.run()
        if m.guest_up:
            m.protect()
            m.touch(15)
            did(m, m.qemu.preparing())
        if m.alive:
            m.exit()
        m.run()
        assert sum(m.memory.records().values()) == total
        assert not m.tasks
        assert not any(record.holder == Holder.MAPPED for record in m.memory.records())


@pytest.mark.parametrize("gone", [(3,), (7,), (14,), (11,)])
def test_a_set_that_could_not_be_compiled_is_refused_with_the_reason(gone):
    with pytest.raises(ValueError, match=rf"needs patch {gone[0]}\. Leave out"):
        latest.without(*gone)


# What each is for


def test_a_reboot_leaves_the_rest_to_a_thread_of_the_process():
    m = machine(linux_6_2)
    m.reboot()
    (thread,) = m.tasks
    assert thread.name == "async_cleanup" and m.mm.mm_users == 2
    assert m.engine.calls()[UVC.DESTR_SEC_STOR, "done"] == 4
    m.run()
    assert thread.value == ld.kernel.structs.Answer(0, 1, 0)
    assert m.engine.calls()[UVC.DESTR_SEC_STOR, "done"] == 16
    assert m.engine.calls()[UVC.DESTR_SEC_STOR, "noop"] == 4
    assert (m.mm.mm_users, m.mm.context.is_protected, m.uv.configurations) == (1, 0, {})


def test_an_ordinary_disable_destroys_the_configuration_first_and_pays_for_the_walk():
    m = machine(linux_6_2)
    assert did(m, m.resetting()).rc == 1
    assert m.engine.calls()[UVC.DESTR_SEC_STOR, "noop"] == 16
    assert not m.engine.calls()[UVC.DESTR_SEC_STOR, "done"]
    assert not any(record.arch_1 for record in m.memory.records())


def test_without_the_configuration_first_every_page_costs_a_call_that_does_something():
    m = machine(linux_6_2.upto(12))
    did(m, m.resetting())
    assert m.engine.calls()[UVC.DESTR_SEC_STOR, "done"] == 16


@pytest.mark.parametrize(("kernel", "destroyed", "exported"), [(linux_6_2, 16, 0), (linux_6_2.without(12), 0, 16)])
def test_an_address_space_that_ends_is_destroyed_and_not_exported(kernel, destroyed, exported):
    m = machine(kernel)
    m.exit()
    calls = m.engine.calls()
    assert (calls[UVC.DESTR_SEC_STOR, "done"], calls[UVC.CONV_FROM_SEC_STOR, "done"]) == (destroyed, exported)
    assert not m.events and m.mm.freed


def test_without_the_notifier_the_cpus_are_still_there_and_the_fall_back_exports():
    m = machine(linux_6_2.without(11, 17))
    m.exit()
    calls = m.engine.calls()
    assert calls[UVC.DESTR_SEC_STOR, "refused"] == calls[UVC.CONV_FROM_SEC_STOR, "done"] == 16


def test_fast_leaves_nothing_but_a_count_and_pages_without_a_guest():
    m = machine(linux_6_2, ultravisor=FAST)
    before = held(m)
    m.reboot()
    assert not m.uv.configurations and not m.uv.marked
    assert m.mm.context.is_protected == 1
    assert held(m) < before, "the donated storage is the host's again"
    assert sum(n for record, n in m.memory.records().items() if record.state == State.SECURE) == 12
    m.run()
    assert m.mm.context.is_protected == 0
    assert UVC.DESTROY_SEC_CONF not in {command for command, _ in m.engine.calls()}


def test_without_clearing_field_by_field_a_leftover_is_forgotten_and_its_configuration_never_ends():
    for kernel, left in ((linux_6_2, 0), (linux_6_2.without(10), 1)):
        m = machine(kernel)
        did(m, m.qemu.preparing())
        m.qemu.kill_thread(m.qemu.start_perform())
        m.run()
        assert len(m.kvm.pv.need_cleanup) == 1
        m.protect()
        did(m, m.resetting())
        m.exit()
        assert len(m.uv.configurations) == left


def test_the_parameter_turns_both_commands_off_and_the_capability_with_them():
    m = machine(linux_6_2, async_destroy=False)
    assert did(m, m.qemu.preparing()).r == -EINVAL
    assert did(m, m.kernel.kvm_pv_async_cleanup_perform(m.kvm)).r == -EINVAL
    assert m.running_handle(m.kvm), "the CPUs have not been touched"
    assert not m.kernel.kvm_vm_ioctl_check_extension(KVM_CAP_S390_PROTECTED_ASYNC_DISABLE)
    m.reboot()
    assert not m.tasks and not m.uv.configurations


@pytest.mark.parametrize(("kernel", "able"), [(v1, 0), (linux_6_2.upto(14), 0), (linux_6_2.upto(15), 1), (latest, 1)])
def test_userspace_can_ask_what_the_kernel_can_do(kernel, able):
    kernel = booted(kernel).kernel
    assert kernel.kvm_vm_ioctl_check_extension(KVM_CAP_S390_PROTECTED_ASYNC_DISABLE) == able
    assert kernel.kvm_vm_ioctl_check_extension(KVM_CAP_S390_PROTECTED) == 1
    assert kernel.kvm_vm_ioctl_check_extension(1) == 0


@pytest.mark.parametrize(
    ("kernel", "parameter"), [(v1, "async_destroy"), (linux_6_2, "lazy_destroy"), (linux_6_2.upto(17), "async_destroy")]
)
def test_a_parameter_that_the_kernel_does_not_have_is_refused(kernel, parameter):
    with pytest.raises(
        ValueError, match=rf"^{parameter}=True: ld\..* does not have the module parameter .*leave it None"
    ):
        ld.Machine("64 KiB", kernel=kernel, **{parameter: True})


def test_without_preparation_the_second_reboot_is_as_slow_as_ever():
    """The price of the bound: one configuration is set aside, nobody has begun to clean it, and PREPARE refuses."""
    m = machine(linux_6_2)
    did(m, m.qemu.preparing())
    m.protect()
    answer = did(m, m.qemu.preparing())
    assert answer.r == -EINVAL and m.kvm.pv.handle and not m.running_handle(m.kvm)
    assert did(m, m.resetting()).r == 0
    assert not m.uv.configurations and m.kvm.pv.set_aside is None


# What each follow-up fixed


def test_19_small_guests():
    for kernel, bad in ((latest, 0), (latest.without(19), 1)):
        m = machine(kernel, segment_table="1 MiB")
        assert bool(m.prepare().r) != bad
        m.perform()
        m.run()
        m.exit()
        assert bool(told(m, "use after free", "gmap")) == bad


def test_20_a_count_that_is_raised_for_a_moment_makes_others_call():
    """A VM that was never protected is closed, and in the middle of that the host swaps a page out."""

    def swapping(m):
        return m.swap_out(0)
        yield

    for kernel, calls in ((latest, 0), (latest.without(20), 1)):
        m = booted(kernel)
        m.touch(0)
        closing = m.engine.spawn(m.qemu.closing(), "QEMU")
        while closing.alive and not m.mm.context.is_protected:
            m.engine.step(closing)
        assert did(m, swapping(m))
        m.run()
        assert m.engine.calls()[UVC.CONV_FROM_SEC_STOR, "noop"] == calls
        assert not m.mm.context.is_protected


def test_21_a_refusal_because_of_crypto_queues_is_no_warning():
    for kernel, warnings in ((latest, 0), (latest.without(21), 1)):
        m = machine(kernel, ultravisor=FAST)
        m.uv.fail(UVC.DESTROY_SEC_CONF_FAST, 0x104)
        m.reboot()
        assert len(told(m, "warning", "fast")) == warnings
        assert not m.uv.configurations, "the ordinary call ended it"


def test_21_another_refusal_still_is():
    m = machine(latest, ultravisor=FAST)
    m.uv.fail(UVC.DESTROY_SEC_CONF_FAST, REFUSED)
    m.reboot()
    assert len(told(m, "warning", "fast")) == 1


def test_22_a_normal_guest_pays_one_call_for_an_old_page():
    for kernel, calls in ((latest, ("DESTR_SEC_STOR",)), (latest.without(22), ("PIN_PAGE_SHARED (refused)",))):
        m = machine(kernel)
        m.reboot()
        access = m.touch(15)
        assert access.uvcs[:1] == calls and access.saw


def test_23_a_table_that_cannot_be_replaced_is_not_lost():
    for kernel, lost in ((latest, 0), (latest.without(23), 4)):
        m = machine(kernel)
        m.fail_allocation("top-level table")
        assert did(m, m.qemu.preparing()).r < 0
        m.exit()
        leaked = sum(n for record, n in m.memory.records().items() if record.holder == Holder.LEAKED)
        assert leaked == lost


def test_23_but_one_that_is_marked_is_freed():
    """Inferred from the commit: without a list nothing keeps a table that must not be used again."""
    for kernel, marked in ((latest, 1), (latest.without(23), 0)):
        m = machine(kernel, segment_table="1 MiB")
        m.uv.fail(UVC.DESTROY_SEC_CONF, REFUSED)
        did(m, m.resetting())
        m.exit()
        (origin,) = m.uv.marked
        assert (m.memory.record(origin >> 12).holder == Holder.FREE) == bool(marked)


def test_24_a_signal_while_the_notifier_is_registered():
    for kernel, bad in ((latest, False), (latest.without(24), True)):
        m = booted(kernel)
        m.fail_allocation("notifier")
        m.protect()
        m.touch(15)
        m.exit()
        assert bool(told(m, "use after free", "below 0")) == bad
        assert bool(m.engine.calls()[UVC.DESTR_SEC_STOR, "refused"]) == bad


def test_24_userspace_hears_of_it_and_nothing_is_left_behind():
    m = booted(latest)
    m.fail_allocation("notifier")
    before = held(m)
    assert did(m, m.kernel.kvm_pv_enable(m.kvm)) == -EINTR
    assert (held(m), m.mm.mm_count, m.kvm.pv.mmu_notifier) == (before, 2, False)
    assert did(m, m.kernel.kvm_pv_enable(m.kvm)) == 0
    assert m.mm.mm_count == 3


# Where memory has a hole


def test_the_foreground_ends_at_the_first_hole():
    m = machine(linux_6_2, hole=(2, 5))
    did(m, m.qemu.preparing())
    assert m.engine.calls()[UVC.DESTR_SEC_STOR, "done"] == 2
    m.qemu.start_perform()
    m.run()
    assert m.engine.calls()[UVC.DESTR_SEC_STOR, "done"] == 16


def test_guest_addresses_know_of_the_hole():
    m = booted(linux_6_2, hole=(2, 5))
    kernel, gmap = m.kernel, m.kvm.gmap
    assert [kernel.guest_address(gmap, page << 12) >> 12 for page in (0, 1, 2, 15)] == [0, 1, 7, 20]
    translated = [kernel.gmap_translate(gmap, page << 12) for page in (1, 2, 6, 7, 20, 21)]
    assert translated == [1 << 12, -14, -14, 2 << 12, 15 << 12, -14]
    assert kernel.gmap_page(gmap, 3 << 12) is None
    assert did(m, kernel.kvm_pv_enable(m.kvm)) == 0
    assert did(m, kernel.kvm_pv_set_sec_parms(m.kvm, m.kvm.sca << 12, 4096)) == 0
    assert did(m, kernel.kvm_pv_unpack(m.kvm, 7, 3)) == 0
    assert did(m, kernel.kvm_pv_unpack(m.kvm, 1, 3)) == -14
    assert did(m, kernel.kvm_pv_unpack(m.kvm, 3, 1)) == -14
    assert m.engine.calls()[UVC.UNPACK_IMG, "done"] == 4


def test_the_image_may_end_where_the_hole_begins():
    m = booted(linux_6_2, hole=(2, 5))
    m.protect(image=2)
    assert m.touch(15).interruptions == (0x3E,)
    m.share(15)


@pytest.mark.parametrize("hole", [(0, 1), (16, 1), (3, 0), 3, (1, 2, 3), "3"])
def test_a_hole_that_cannot_be_is_refused(hole):
    with pytest.raises(ValueError, match="^hole="):
        ld.Machine("64 KiB", hole=hole)
