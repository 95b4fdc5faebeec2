"""The search on the merged design: what it finds, that it finds nothing else, and what may happen there."""

import functools

import pytest

import lazydestroy as ld
from lazydestroy.kernel.structs import Answer
from lazydestroy.series import FINDINGS_6_2, linux_6_2, linux_latest, v1, v1_fixed
from lazydestroy.series.bounds import Bounds
from lazydestroy.series.findings import INFERRED, OF_THE_KERNEL, READ
from lazydestroy.series.world import World
from tests.marks import long_unless
from tests.searches import same

EXHAUSTS = "a search that finds nothing goes through all there is, which takes seconds"

NAMES = {finding.name: finding for finding in FINDINGS_6_2}

VIOLATIONS = {
    "a small guest's table is replaced": "use after free: gmap_unlink writes into a top-level table",
    "a top-level table is lost": "the process is gone, and 4 pages are leaked",
    "a page is freed while it is secure": "a page is free and still secure",
    "the notifier is not registered": "use after free: mm_count of a freed mm falls below 0",
    "a leftover waits": "1 leftover waits, and no command ends it",
    "leftovers pile up": "2 leftovers wait, and no command ends them",
    "PREPARE is refused, and the guest is lost": "PREPARE was refused, and yet the guest's data in page 0 are lost",
    "PREPARE cannot be killed": "3 Ultravisor Calls after QEMU was killed, with kvm->lock held",
    "DISABLE cannot be killed": "4 Ultravisor Calls after QEMU was killed, with kvm->lock held",
    "a page in low memory stays secure": "page 0 may be a CPU's prefix area",
    "what is lost grows with each attempt": "the process is gone, and 10 pages are leaked, more than 6",
    "a CPU's storage is lost": "the process is gone, and 2 pages are leaked",
    "a marked table is freed": "a top-level table is free that the Ultravisor still marks",
}
"""How each finding shows."""

PILE = "leftovers pile up"


@functools.cache
def found(name):
    return NAMES[name].check()


# What it finds


def test_every_finding_is_looked_for():
    assert list(VIOLATIONS) == list(NAMES)


def test_what_linux_ships_tells_how_many_there_are_and_how_they_are_known():
    """Twelve in Linux 6.2, nine of them still there, one that came later; nine recorded, two read, one inferred."""
    in_6_2 = [finding for finding in FINDINGS_6_2 if finding.kernel is linux_6_2]
    assert (len(in_6_2), sum(not finding.later for finding in in_6_2)) == (12, 9)
    assert [finding.kernel for finding in FINDINGS_6_2 if finding not in in_6_2] == [linux_latest]
    for source, number in ((OF_THE_KERNEL, 9), (READ, 2), (INFERRED, 1)):
        assert sum(finding.source.startswith(source) for finding in in_6_2) == number


@pytest.mark.parametrize("name", long_unless(lambda name: name != PILE, EXHAUSTS, VIOLATIONS))
def test_the_search_finds_it_by_itself(name):
    trace = found(name).trace
    assert trace.violation.startswith(VIOLATIONS[name])
    world = World(trace.kernel, found(name).bounds)
    for action in trace.actions:
        assert not world.wrong
        assert action in world.actions()
        world.act(action)
    assert world.wrong == trace.violation


@pytest.mark.parametrize("name", long_unless(lambda name: name != PILE, EXHAUSTS, VIOLATIONS))
def test_later_kernels_have_what_is_said_to_be_there(name):
    verdict = NAMES[name].check(linux_latest)
    if NAMES[name].later:
        assert verdict.holds
    else:
        assert verdict.trace.violation == found(name).trace.violation


@pytest.mark.parametrize(
    ("commit", "name"),
    [
        (19, "a small guest's table is replaced"),
        (23, "a top-level table is lost"),
        (24, "the notifier is not registered"),
    ],
)
def test_it_comes_back_without_the_commit_that_fixed_it(commit, name):
    assert linux_latest[commit].commit in NAMES[name].later
    assert NAMES[name].check(linux_latest.without(commit)).trace.violation == found(name).trace.violation


def test_the_marked_table_is_what_the_list_was_good_for():
    finding = NAMES["a marked table is freed"]
    assert finding.kernel == linux_latest
    assert finding.check(linux_latest.without(23)).holds


def test_findings_are_shown_as_a_table():
    text, html = repr(FINDINGS_6_2), FINDINGS_6_2._repr_html_()
    for finding in FINDINGS_6_2:
        assert finding.name in text
        assert finding.what.split(".")[0].split("'")[0] in html
        assert finding.what and finding.costs and finding.source
        assert all(number in finding.kernel for number in finding.commits)


def test_checked_searches_each_in_both_kernels():
    finding, verdict, later = next(FINDINGS_6_2.checked())
    assert verdict.kernel == finding.kernel and not verdict.holds
    assert later.kernel == linux_latest and later.holds


# What it does not find


QUICK = {"failures": (), "pages": 1}


@pytest.mark.parametrize(
    "bounds",
    long_unless(
        lambda bounds: (bounds.get("pages") == 1 and "resets" not in bounds) or bounds == {"failures": ()},
        EXHAUSTS,
        [
            QUICK,
            {**QUICK, "fast": True},
            {**QUICK, "helper": True},
            {**QUICK, "segment_table": "1 MiB"},
            {**QUICK, "async_destroy": False},
            {**QUICK, "low_pages": 1},
            {**QUICK, "userspace": "any", "sharing": False},
            {"failures": ()},
            {"failures": (), "fast": True},
            {"failures": (), "helper": True, "fast": True, "sharing": False},
            {"failures": (), "image_loaded": False, "sharing": True},
            {"failures": (), "features": "misc"},
            {"failures": (), "vcpus": 2, "sharing": False},
            {"failures": (), "low_pages": 1},
            {"failures": (), "host": ("io", "swap"), "sharing": False, "pages": 2},
            {"failures": (), "userspace": "any", "sharing": False, "pages": 2},
            {"failures": (), "userspace": "any", "resets": 2, "sharing": False, "pages": 1},
            {"failures": (), "resets": 2, "configurations": 3, "sharing": False, "pages": 1},
        ],
    ),
    ids=str,
)
@pytest.mark.parametrize(
    "kernel", long_unless(lambda kernel: kernel is linux_6_2, EXHAUSTS, [linux_6_2, linux_latest]), ids=repr
)
def test_without_a_failure_nothing_breaks(kernel, bounds):
    verdict = ld.series.check(kernel, **bounds)
    assert verdict.trace is None, verdict
    assert verdict.exhausted and verdict.states > 10


@pytest.mark.parametrize(
    "name", ["set-aside structure", "DESTROY_SEC_CONF", "DESTROY_SEC_CPU", "donated storage", "CREATE_SEC_CONF in part"]
)
def test_linux_6_2_copes_with_what_it_has_a_plan_for(name):
    assert ld.series.check(linux_6_2, failures=name, sharing=False, pages=1).holds


def test_linux_6_2_copes_with_a_fast_call_that_is_refused():
    assert ld.series.check(linux_6_2, failures="DESTROY_SEC_CONF_FAST", fast=True, sharing=False, pages=1).holds


# Why it is as it is


class LowersAtOnce:
    """Lower the count as soon as the fast call has ended the configuration."""

    def kvm_s390_pv_deinit_vm_fast(self, kvm):
        answer = yield from super().kvm_s390_pv_deinit_vm_fast(kvm)
        if not answer.r:
            kvm.mm.context.is_protected -= 1
        return answer

    def kvm_s390_pv_dispose_one_leftover(self, kvm, leftover):
        if not leftover.handle:
            return Answer()
        return (yield from super().kvm_s390_pv_dispose_one_leftover(kvm, leftover))


def test_the_fast_call_must_not_lower_the_count():
    verdict = ld.series.check(linux_6_2.plus(LowersAtOnce), fast=True, **QUICK)
    assert verdict.trace.violation.startswith("a page is free and still secure")
    assert [action[0] for action in verdict.trace.actions if action[0] != "step"] == ["touch", "protect", "exit"]


def test_without_the_handler_the_next_guest_is_killed_while_perform_is_under_way():
    verdict = ld.series.check(linux_6_2.without(5), failures=(), sharing=False)
    assert verdict.trace.violation.startswith("the process is killed: SIGSEGV: 0x3F")
    assert "thread async_cleanup: destroy page 0" in [moment.text for moment in verdict.trace.moments]


# What a killed QEMU still does


@pytest.mark.parametrize("pages", [1, 2])
def test_a_killed_qemu_goes_on_for_longer_the_larger_the_guest_is(pages):
    bounds = {"failures": (), "sharing": False, "pages": pages, "low_pages": pages}
    assert not ld.series.check(linux_6_2, patience=pages - 1, **bounds).holds
    assert ld.series.check(linux_6_2, patience=pages + 1, **bounds).holds


def test_the_kernel_before_the_series_cannot_be_killed_there_either():
    bounds = {"failures": (), "sharing": False, "pages": 3, "patience": 3}
    assert "after QEMU was killed" in ld.series.check(v1.upto(0), **bounds).trace.violation


# What can happen


def begun(kernel, *actions, **bounds):
    """A world in which some actions have been done, each to where nothing disturbs it any more."""
    world = World(kernel, Bounds(**{"failures": (), "sharing": False, **bounds}))
    for action in (("touch", 0), ("protect",), *actions):
        world.act(action)
    return world


def test_whether_userspace_sets_aside_is_asked_of_the_kernel():
    for kernel in (v1_fixed, linux_6_2.upto(14)):
        world = begun(kernel, userspace="any")
        assert ("reset",) in world.actions()
        assert ("prepare",) not in world.actions()
    world = begun(linux_6_2, userspace="any")
    assert {("prepare",), ("disable",), ("close",)} <= set(world.actions())
    assert ("reset",) not in world.actions()
    off = begun(linux_6_2, userspace="any", async_destroy=False)
    assert ("prepare",) not in off.actions()


def test_a_reset_is_what_qemu_makes_of_it():
    world = begun(linux_6_2, ("reset",))
    assert [task.name for task in world.machine.tasks] == ["async_cleanup"]
    assert world.machine.kvm.pv.set_aside is not None
    assert not [action for action in world.actions() if action[0] in ("perform", "kill", "disable")]


def test_perform_may_begin_at_once_later_or_be_killed_alone():
    world = begun(linux_6_2, ("prepare",), userspace="any")
    assert ("perform",) in world.actions()
    world.act(("perform",))
    (task,) = world.machine.tasks
    assert {("step", task.index), ("kill", task.index)} <= set(world.actions())
    world.act(("kill", task.index))
    assert ("kill", task.index) not in world.actions()
    while world.machine.tasks:
        world.act(("step", task.index))
    assert [leftover.handle for leftover in world.machine.kvm.pv.need_cleanup] == list(world.machine.uv.configurations)


def test_the_helper_dies_last_unless_it_is_killed_first():
    world, actors = begun(linux_6_2, helper=True), []
    world.act(("exit",), actors.append)
    assert not world.wrong and not world.machine.tasks
    assert list(dict.fromkeys(actors)) == ["QEMU exits", "helper"]
    first = begun(linux_6_2, ("helper",), helper=True)
    assert ("helper",) not in first.actions()
    while first.machine.tasks:
        first.act(first.actions()[0])
    assert first.machine.alive and first.machine.mm.mm_users == 1


def test_a_search_tells_only_failures_that_the_kernel_can_meet():
    names = {name: ld.series.check(kernel, max_states=5).bounds.failures for name, kernel in KERNELS.items()}
    assert {"kthread", "deferred_priv", "list page"} <= set(names["v1"])
    assert not {"notifier", "set-aside structure", "DESTROY_SEC_CONF_FAST"} & set(names["v1"])
    assert {"notifier", "set-aside structure"} <= set(names["merged"])
    assert not {"kthread", "deferred_priv", "list page", "DESTROY_SEC_CONF_FAST"} & set(names["merged"])


KERNELS = {"v1": v1, "merged": linux_6_2}


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"userspace": "systemd"}, "userspace='systemd'"),
        ({"patience": -1}, "patience=-1"),
        ({"leftovers": "none"}, "leftovers='none'"),
        ({"leaked": 1.5}, "leaked=1.5"),
        ({"helper": 1}, "helper=1"),
        ({"fast": "yes"}, "fast='yes'"),
        ({"keeps_refused": 0}, "keeps_refused=0"),
        ({"async_destroy": 1}, "async_destroy=1"),
    ],
)
def test_bounds_that_are_not_accepted_are_refused_by_name(bounds, message):
    with pytest.raises(ValueError, match=message):
        ld.series.check(linux_6_2, **bounds)


# What is learned


@pytest.mark.parametrize(
    "bounds",
    long_unless(
        lambda bounds: bounds.get("resets") != 2,
        "every step of every state is run, too, which takes seconds",
        [
            QUICK,
            {**QUICK, "userspace": "any", "sharing": False, "leftovers": 0},
            {**QUICK, "fast": True, "failures": ("DESTR_SEC_STOR",)},
            {**QUICK, "patience": 1, "low_pages": 1, "sharing": False},
            {**QUICK, "userspace": "any", "sharing": False, "resets": 2, "keeps_refused": True},
        ],
    ),
    ids=str,
)
def test_a_search_that_learns_sees_what_one_sees_that_runs_every_step(bounds):
    same(linux_6_2, **bounds)


# How it is told


def test_a_trace_knows_the_new_actions():
    assert [moment.text for moment in found("a leftover waits").trace.moments] == [
        "the normal guest touches page 0",
        "the guest goes protected: this is A",
        "userspace calls PREPARE for A",
        "userspace starts a thread with PERFORM",
        "thread async_cleanup: destroy page 0",
        "a fatal signal hits that thread alone",
        "thread async_cleanup goes on",
    ]
    refused = found("PREPARE is refused, and the guest is lost").trace.moments
    assert refused[-3].text == "userspace calls PREPARE for B: it answers -EINVAL"
    assert refused[-4].old == refused[-3].old == {"A"}, "B has not been ended"


@pytest.mark.parametrize("name", ["a top-level table is lost", "PREPARE cannot be killed"])
def test_a_trace_of_the_merged_design_can_be_drawn(name):
    picture = found(name).plot()
    assert ld.plots is not None and picture.get_figwidth() > 0
