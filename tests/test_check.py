"""The exhaustive search: what it finds without a patch, and with each of version 1's bugs; and nothing else."""

import dataclasses
import functools
import gc
import itertools
import pickle

import pytest

import lazydestroy as ld
import lazydestroy.series.learned as learned_module
import lazydestroy.series.watch as watch_module
from lazydestroy.collecting import YOUNG
from lazydestroy.errnos import EINVAL, ENXIO
from lazydestroy.kernel.structs import Kvm
from lazydestroy.page import Record
from lazydestroy.series.check import bounds_of
from lazydestroy.series.failures import FAILURES, REFUSED, THREAD
from lazydestroy.series.fields import BIT, EVERY, Touched
from lazydestroy.series.picture import PARTS, Bounds, failure_in
from lazydestroy.series.search import Search
from lazydestroy.series.world import World
from lazydestroy.uvcb import UVC
from tests.marks import long_unless
from tests.searches import same
from tests.wording import SENTENCE_WORDS, words_of

v1, v1_fixed, check = ld.series.v1, ld.series.v1_fixed, ld.series.check


@functools.cache
def of_v1_fixed(**bounds):
    """What the search says of version 1 with its bugs fixed: many tests want to know, and it takes seconds."""
    return check(v1_fixed, **bounds)


QUICK = {"failures": ()}

BROKEN = {
    1: ({"failures": ("DESTROY_SEC_CONF",)}, "a top-level table is free that the Ultravisor still marks"),
    3: (QUICK, "the process is killed: SIGSEGV: 0x3F at 0x1000"),
    4: (QUICK, "addressing exception"),
    6: ({"features": "misc", **QUICK}, "refused: KVM_PV_UNPACK answers -EINVAL: the mm does not look protected"),
    7: (QUICK, "the process is killed: SIGSEGV: 0x3E at 0x1000, and the import is refused"),
}
"""Patch: bounds within which a kernel without it breaks, and how."""


EXHAUSTS = "a search that finds nothing goes through all there is, which takes seconds"


VIOLATIONS = (
    "warning: no handle provided to Ultravisor call cmd 101",
    "use after free: mm->context of a freed mm",
    "use after free: gmap_unlink writes into a top-level table that has been freed",
    "the process is gone, and its mm is never freed",
    "1 page is set aside forever",
    "a page is free and still secure",
)
"""How each of version 1's bugs shows."""


def without(number):
    return v1.upto(0) if number == 1 else v1_fixed.without(7, 11) if number == 7 else v1_fixed.without(number)


def replayed(verdict):
    """A world in which all actions of a trace have been done once more."""
    world = World(verdict.kernel, verdict.bounds)
    for action in verdict.trace.actions:
        assert not world.wrong
        assert action in world.actions()
        world.act(action)
    return world


# What breaks


@pytest.mark.parametrize("number", BROKEN)
def test_without_a_patch_the_search_finds_what_it_was_for(number):
    bounds, violation = BROKEN[number]
    verdict = check(without(number), **bounds)
    assert not verdict.holds
    assert verdict.trace.violation.startswith(violation)
    assert replayed(verdict).wrong == verdict.trace.violation


@pytest.mark.parametrize(
    "number",
    long_unless(lambda number: BROKEN[number][0] == QUICK, EXHAUSTS, [number for number in BROKEN if number != 1]),
)
def test_with_the_patch_the_same_search_finds_nothing(number):
    bounds, _ = BROKEN[number]
    verdict = of_v1_fixed(**bounds)
    assert verdict.holds
    assert verdict.exhausted and verdict.trace is None


def test_patch_1_alone_keeps_the_poisoned_table_from_the_allocator():
    assert check(v1.upto(1)).holds


def test_without_patch_7_the_boot_image_is_not_unpacked_onto_a_page_of_the_old_guest():
    verdict = check(v1_fixed.without(7, 11), image_loaded=False, **QUICK)
    assert "the boot image cannot be unpacked" in verdict.trace.violation
    assert of_v1_fixed(image_loaded=False, **QUICK).holds


@pytest.mark.parametrize(
    ("bug", "violation"),
    list(zip(ld.series.BUGS, VIOLATIONS, strict=True)),
    ids=lambda value: getattr(value, "name", ""),
)
def test_each_bug_of_version_1_is_met(bug, violation):
    verdict = bug.check()
    assert verdict.trace.violation.startswith(violation)
    assert replayed(verdict).wrong == verdict.trace.violation


@pytest.mark.parametrize(
    "bug",
    long_unless(lambda bug: not bug.bounds["failures"], EXHAUSTS, ld.series.BUGS),
    ids=lambda bug: bug.name,
)
def test_the_fix_of_a_bug_mends_it(bug):
    assert of_v1_fixed(**bug.bounds).holds


def test_a_bug_is_seen_alone():
    for bug in ld.series.BUGS:
        assert set(ld.series.FIXES) - set(bug.kernel.layers) == {bug.fix}
        assert eval(repr(bug.kernel), {"ld": ld}) == bug.kernel


def test_two_threads_that_race_with_the_exit_leave_a_list_behind():
    verdict = check(ld.series.BUGS[4].kernel, **QUICK)
    assert verdict.trace.violation.startswith("1 page is set aside")
    names = {moment.actor for moment in verdict.trace.moments}
    assert {"clean-up thread", "QEMU exits"} <= names


def test_version_1_breaks():
    assert not check(v1).holds


# What holds


@pytest.mark.parametrize(
    "bounds",
    long_unless(
        lambda bounds: bounds == QUICK,
        EXHAUSTS,
        [
            QUICK,
            {},
            {"failures": (), "host": ("io",), "sharing": False},
            {"failures": (), "host": ("swap",), "sharing": False},
            {"failures": (), "host": ("io", "swap"), "pages": 1},
            {"failures": (), "vcpus": 2, "sharing": False},
            {"failures": (), "low_pages": 1},
            {"failures": (), "features": "misc"},
            {"failures": (), "lazy_destroy": False},
            {"failures": (), "segment_table": "1 MiB"},
            {"failures": (), "pages": 1, "configurations": 3, "resets": 2, "sharing": False},
        ],
    ),
    ids=str,
)
def test_nothing_breaks_version_1_with_its_bugs_mended(bounds):
    verdict = of_v1_fixed(**bounds)
    assert verdict.trace is None, verdict
    assert verdict.exhausted
    assert verdict.states > 100


@pytest.mark.parametrize("number", range(1, 8))
def test_nothing_breaks_a_kernel_that_is_not_lazy_yet(number):
    assert check(v1.upto(number)).holds


# The rule that protects the running guest


def test_if_a_running_guests_pages_could_be_destroyed_its_data_would_be_lost():
    verdict = check(v1_fixed, destroy_needs_no_cpus=False, **QUICK)
    assert "data in page" in verdict.trace.violation and verdict.trace.violation.endswith("are lost")
    assert verdict.trace.without == "rule 1"
    assert verdict.steps == len(verdict.trace.moments) > 0
    assert check(v1_fixed, **QUICK).steps == 0


# Layers that are wrong in other ways


class NoImport:
    """On 0x3E do nothing: the access is tried again."""

    def do_non_secure_storage_access(self, kvm: Kvm, gaddr: int) -> None:
        return None


class Patient:
    """On 0x3F do nothing: the access is tried again, until the clean-up thread has been there."""

    def do_secure_storage_violation(self, kvm: Kvm, gaddr: int) -> None:
        return None


def test_an_access_that_is_tried_for_ever_is_found():
    verdict = check(v1_fixed.plus(NoImport), sharing=False, **QUICK)
    assert not verdict.holds
    assert verdict.trace.violation == "vCPU 0 will never come to an end"
    assert verdict.trace.moments[-1].bad


def test_an_access_that_waits_for_somebody_else_is_not_endless():
    assert check(v1_fixed.without(3).plus(Patient), sharing=False, **QUICK).holds


class DestroyOnly:
    """On 0x3F destroy, and do not fall back to an export."""

    def gmap_destroy_page(self, gmap, gaddr):
        page = self.gmap_page(gmap, gaddr)
        if page is None:
            return 0
        self.get_page(page)
        rc = self.uv_destroy_owned_page(page)
        self.put_page(page)
        return rc


def test_the_fall_back_to_an_export_is_for_two_vcpus_that_meet_on_a_page():
    kernel = v1_fixed.plus(DestroyOnly)
    assert check(kernel, sharing=False, **QUICK).holds
    verdict = check(kernel, vcpus=2, sharing=False, **QUICK)
    assert verdict.trace.violation.startswith("the process is killed: SIGSEGV: 0x3F")
    assert {"vCPU 0", "vCPU 1"} <= {moment.actor for moment in verdict.trace.moments}


class Broken:
    """Not even Python that works."""

    def kvm_s390_clear_2g(self, kvm):
        yield from self.no_such_function(kvm)


def test_an_error_in_a_layer_is_a_finding_not_a_crash():
    verdict = check(v1_fixed.plus(Broken), **QUICK)
    assert "kvm_s390_clear_2g fails with AttributeError" in verdict.trace.violation
    assert verdict.trace.line == "yield from self.no_such_function(kvm)"
    assert verdict.trace.line in str(verdict) and verdict.trace.line in verdict._repr_html_()


class NoClear:
    """The first 2 GiB are left to the thread."""

    def kvm_s390_clear_2g(self, kvm):
        yield from ()


def test_the_first_2_gib_must_be_clean_before_the_new_guest_runs():
    kernel = v1_fixed.plus(NoClear)
    assert check(kernel, sharing=False, **QUICK).holds
    assert "prefix area" in check(kernel, low_pages=1, sharing=False, **QUICK).trace.violation


# The search itself


def fewest_actions(kernel, bounds, steps):
    """How many actions, steps of tasks not counted, break a kernel: all sequences are tried and none remembered."""

    def breaks(path, left):
        world = World(kernel, bounds)
        for action in path:
            world.act(action)
        if world.wrong or len(path) == steps:
            return bool(world.wrong)
        following = ((action, left - (action[0] != "step")) for action in world.actions())
        return any(breaks((*path, action), rest) for action, rest in following if rest >= 0)

    return next(actions for actions in itertools.count(1) if breaks((), actions))


def test_the_trace_is_the_shortest():
    bounds = Bounds(pages=1, failures=(), sharing=False)
    kernel = v1_fixed.without(4)
    verdict = check(kernel, pages=1, failures=(), sharing=False)
    actions = sum(action[0] != "step" for action in verdict.trace.actions)
    assert actions == fewest_actions(kernel, bounds, steps=6)


def test_worlds_with_the_same_key_have_the_same_future():
    bounds = Bounds(pages=1, failures=("kthread",))
    pictures = World(v1, bounds).pictures
    futures = {}

    def future(world):
        """What can happen; tasks by where they stand, since their numbers tell only in which order they were made."""
        picture = world.picture()
        standing = dict(zip(picture.indices, picture.tasks, strict=True))
        actions = [("step", standing[action[1]]) if action[0] == "step" else action for action in world.actions()]
        return sorted(map(str, actions)), world.wrong

    def visit(path, depth):
        world = World(v1, bounds, pictures)
        for action in path:
            world.act(action)
        shown = future(world)
        assert futures.setdefault(world.picture().key, shown) == shown
        if depth and not world.wrong:
            for action in world.actions():
                visit((*path, action), depth - 1)

    visit((), 5)
    assert len(futures) > 20


def test_the_same_search_sees_the_same_states():
    first, second = (check(v1_fixed.without(4)) for _ in range(2))
    assert (first.states, first.transitions, str(first.trace)) == (second.states, second.transitions, str(second.trace))


def test_it_gives_up_where_it_is_told_to():
    verdict = check(v1_fixed, max_states=50)
    assert not verdict.exhausted and not verdict.holds and verdict.trace is None
    assert "there are more" in repr(verdict)


def test_it_says_in_short_what_was_found():
    broken = check(v1.without(3), **QUICK)
    steps = len(broken.trace.moments)
    assert broken.short.startswith(f"ld.series.v1.without(3) breaks in {steps} steps: ")
    assert broken.trace.violation.startswith(broken.short.partition(": ")[2].rstrip("."))
    holds = check(v1.upto(0), **QUICK)
    assert (
        holds.short == f"ld.series.v1.upto(0) holds in every state that the search can reach ({holds.states} states)."
    )
    assert check(v1_fixed, max_states=50).short.startswith("ld.series.v1_fixed didn't break in the first ")
    one = dataclasses.replace(
        broken.trace, moments=broken.trace.moments[:1], violation=" ".join(["word"] * 13) + ", so"
    )
    short = dataclasses.replace(broken, trace=one).short
    assert short == "ld.series.v1.without(3) breaks in 1 step."
    for verdict in (broken, holds):
        assert words_of(verdict.short) <= SENTENCE_WORDS and repr(verdict).startswith(verdict.short.partition(":")[0])


def test_it_tells_how_far_it_is():
    seen = []
    verdict = check(v1.upto(0), progress=seen.append, **QUICK)
    assert seen == sorted(seen) and seen[-1] == verdict.states


# How it is told


def test_a_trace_reads_like_a_bug_report():
    verdict = check(v1_fixed.without(3), **QUICK)
    assert [moment.text for moment in verdict.trace.moments] == [
        "the normal guest touches page 0",
        "the guest goes protected: this is A",
        "A touches page 1: 0x3E, import",
        "A is rebooted",
        "clean-up thread: destroy page 0",
        "the guest goes protected: this is B",
        "B touches page 1: 0x3F",
    ]
    assert [moment.bad for moment in verdict.trace.moments] == [False] * 6 + [True]
    assert verdict.trace.moments[-2].old == {"A"}
    assert verdict.trace.moments[-1].rows[1]["owner"] == "A"
    assert str(verdict.trace) in repr(verdict)
    assert f"{verdict.states:,} states" in repr(verdict)


def test_a_verdict_without_a_trace_has_nothing_to_draw():
    with pytest.raises(ValueError, match="there is no trace"):
        check(v1.upto(0), **QUICK).plot()


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"page": 2}, "there is no such bound; use pages"),
        ({"pages": 0}, "pages=0: use a whole number from 1 to 8"),
        ({"vcpus": True}, "vcpus=True"),
        ({"failures": ("everything",)}, "failures="),
        ({"failures": 5}, "failures=5: use some of"),
        ({"host": "dance"}, "host="),
        ({"sharing": "no"}, "sharing='no': use True or False"),
        ({"pages": 1, "low_pages": 2}, "low_pages=2: the guest has fewer pages"),
        ({"max_states": 0}, "max_states=0"),
        ({"learn": 1}, "learn=1: use True or False"),
        ({"features": "speed"}, "features="),
        ({"segment_table": "1 MB"}, "segment_table"),
        ({"lazy_destroy": "no"}, "lazy_destroy="),
    ],
)
def test_bounds_that_are_not_accepted_are_refused_by_name(bounds, message):
    with pytest.raises(ValueError, match=message):
        check(v1, **bounds)


def test_only_a_kernel_can_be_searched():
    with pytest.raises(ValueError, match="kernel="):
        check(3)


@pytest.mark.parametrize("pages", [1, 2])
def test_without_patches_9_and_10_nothing_goes_wrong_with_one_page_or_with_two(pages):
    """A lesson searches it with one, and says that two give the same answer."""
    assert check(v1_fixed.without(9, 10), pages=pages, **QUICK).holds


@pytest.mark.parametrize("sharing", [False, True])
def test_with_any_one_failure_nothing_goes_wrong_whether_the_guest_shares_pages_or_not(sharing):
    """A lesson searches it without, and says that the answer is the same with it."""
    assert check(v1_fixed, sharing=sharing).holds


# What is learned


@pytest.mark.parametrize(
    ("kernel", "bounds"),
    [
        (v1_fixed.without(4), QUICK),
        (v1_fixed, {"pages": 1, "failures": ("kthread", "DESTROY_SEC_CPU"), "sharing": False}),
        (v1_fixed, {"pages": 1, "host": ("io", "swap"), "sharing": False, **QUICK}),
        (v1.upto(1), {"failures": ("DESTROY_SEC_CONF",)}),
    ],
    ids=str,
)
def test_a_search_that_learns_sees_what_one_sees_that_runs_every_step(kernel, bounds):
    quick, full = same(kernel, **bounds)
    assert full.done == full.transitions
    assert quick.broken or quick.done < quick.transitions / 2


@pytest.mark.long("every step of every state is run, too, which takes seconds")
@pytest.mark.parametrize("bug", ld.series.BUGS, ids=lambda bug: bug.name)
def test_each_bug_is_met_in_the_same_way_whether_steps_are_learned_or_run(bug):
    same(bug.kernel, **bug.bounds)
    same(bug.kernel, pages=1)


@pytest.mark.long("every step of every state is run, too, which takes seconds")
@pytest.mark.parametrize("number", [1, 3, 4, 6, 7])
def test_each_patch_is_missed_in_the_same_way_whether_steps_are_learned_or_run(number):
    same(without(number), **BROKEN[number][0])


@pytest.mark.long("every step of every state is run, too, which takes seconds")
@pytest.mark.parametrize(
    "bounds",
    [
        {"pages": 1},
        {"host": ("io",), "sharing": False, **QUICK},
        {"host": ("swap",), "resets": 0, **QUICK},
        {"vcpus": 2, "sharing": False, **QUICK},
        {"low_pages": 1, **QUICK},
    ],
    ids=str,
)
def test_what_holds_has_the_same_states_whether_steps_are_learned_or_run(bounds):
    same(v1_fixed, **bounds)


@pytest.mark.parametrize("unseen", ["users", "vCPUs"])
def test_if_steps_look_at_what_is_not_noted_the_search_finds_out_and_runs_every_step(unseen, monkeypatch):
    places, blind = learned_module._places, PARTS.index(unseen) if unseen in PARTS else unseen
    monkeypatch.setattr(learned_module, "_places", lambda *noted: places(*noted) - {blind})
    bounds = {"pages": 1, "sharing": False, **QUICK}
    search = Search(v1_fixed, bounds_of(v1_fixed, dict(bounds)))
    for _ in search:
        pass
    assert not search.learn and search.done == search.transitions
    assert len(search.nodes) == check(v1_fixed, learn=False, **bounds).states


@pytest.mark.parametrize(
    "unseen", long_unless(lambda field: field == "state", "runs every step of a search, twice", ["state", "refs"])
)
def test_if_a_step_looks_at_a_field_that_is_not_noted_the_search_finds_out(unseen, monkeypatch):
    note = Touched.note
    monkeypatch.setattr(
        Touched, "note", lambda self, key, read=EVERY, written=EVERY: note(self, key, read & ~BIT[unseen], written)
    )
    monkeypatch.setattr(learned_module, "PRESENT", 0)
    bounds = {"pages": 1, "host": ("io",), "sharing": False, **QUICK}
    search = searched(v1_fixed, dict(bounds))
    assert not search.learn and search.done == search.transitions
    assert len(search.nodes) == check(v1_fixed, learn=False, **bounds).states


def test_how_many_readers_a_lock_has_is_part_of_what_a_step_looks_at():
    """With three pages two tasks read under the mmap lock at once; only the last one to let go lets a writer in."""
    assert searched(v1_fixed, {"pages": 3, "sharing": False, **QUICK}).learn


def test_what_is_learned_of_a_page_holds_for_others_that_look_the_same():
    """Of the records that a search meets, few differ in what one step looks at."""
    search = searched(v1_fixed, {"sharing": False, **QUICK})
    met = sum(isinstance(thing, Record) for thing in search.pictures.things)
    partly = [alike for alike in search.learned._alike.values() if alike.keys() - {-1}]
    assert partly and all(len(set(alike.values())) < met / 2 for alike in partly)
    assert sum(map(len, search.learned._known.values())) > search.done


def test_few_steps_look_at_all_that_the_ultravisor_knows():
    """To clean a page it asks for the configurations; how many it has made so far does not matter to that."""
    search = searched(v1_fixed, {"pages": 1, "sharing": False, "failures": ("DESTROY_SEC_CPU",)})
    noted = [places for rules in search.learned.rules.values() for places in rules]
    parts = map(PARTS.index, ("uv", "made", "faults"))
    uv, made, faults = ({places for places in noted if part in places} for part in parts)
    assert made and len(made & uv) < len(uv) / 2
    assert faults - uv and uv - faults


def test_of_what_is_told_to_fail_a_step_looks_at_its_own_calls_only(monkeypatch):
    bounds = {"pages": 1, "sharing": False, "failures": ("DESTROY_SEC_CONF", "DESTROY_SEC_CPU", "kthread", "list page")}
    by_rows = searched(v1_fixed, bounds)
    monkeypatch.setattr(watch_module, "_ROWS", {})
    monkeypatch.setattr(watch_module, "_NOTING", {})
    by_parts = searched(v1_fixed, bounds)
    assert by_rows.learn and by_rows.done < by_parts.done * 0.9
    assert [(node.moves, node.steps) for node in by_rows.nodes] == [(node.moves, node.steps) for node in by_parts.nodes]
    noted = {place for rules in by_rows.learned.rules.values() for places in rules for place in places}
    assert {(PARTS.index("faults"), UVC.DESTR_SEC_STOR), (PARTS.index("injected"), "kthread")} < noted


@pytest.mark.long("runs every step of a search, twice; of fields make test sees the same")
def test_if_the_rows_that_a_step_looks_at_are_not_noted_the_search_finds_out(monkeypatch):
    note = Touched.note
    monkeypatch.setattr(
        Touched, "note", lambda self, key, *fields: None if isinstance(key, tuple) else note(self, key, *fields)
    )
    bounds = {"pages": 1, "sharing": False, "failures": ("DESTROY_SEC_CONF",)}
    search = searched(v1_fixed, dict(bounds))
    assert not search.learn and search.done == search.transitions
    assert len(search.nodes) == check(v1_fixed, learn=False, **bounds).states


def searched(kernel, bounds, before=None):
    """A search that has come to its end."""
    search = Search(kernel, bounds_of(kernel, bounds), before=before)
    for _ in search:
        pass
    return search


@pytest.mark.parametrize(
    "more", [{"host": ("io",)}, {"resets": 0}, {"image_loaded": False}, {"sharing": True}], ids=str
)
def test_a_search_of_the_same_machine_knows_what_the_one_before_has_learned_and_sees_the_same(more):
    kernel, bounds = v1_fixed.without(7, 11), {"pages": 1, "sharing": False, **QUICK}
    before = searched(kernel, bounds)
    alone, after = (searched(kernel, {**bounds, **more}, teacher) for teacher in (None, before))
    assert after.learned is before.learned and after.done < alone.done
    assert [node.action for node in after.nodes] == [node.action for node in alone.nodes]
    assert [node.steps for node in after.nodes] == [node.steps for node in alone.nodes]
    assert (after.transitions, after.broken, after.stuck) == (alone.transitions, alone.broken, alone.stuck)


@pytest.mark.parametrize(
    "other",
    [
        {"low_pages": 1},
        {"configurations": 1},
        {"vcpus": 2},
        {"destroy_needs_no_cpus": False},
        {"segment_table": "2 GiB"},
    ],
    ids=str,
)
def test_of_another_machine_or_kernel_nothing_is_known(other):
    bounds = {"pages": 1, "sharing": False, **QUICK}
    before = searched(v1_fixed, bounds)
    assert searched(v1_fixed, {**bounds, **other}, before).learned is not before.learned
    assert searched(v1_fixed.without(3), bounds, before).learned is not before.learned


class Remembers:
    """What it has seen it keeps in an attribute of its own, and acts on it."""

    def do_non_secure_storage_access(self, kvm: Kvm, gaddr: int) -> None:
        self.seen = (*getattr(self, "seen", ()), gaddr)
        if len(self.seen) == 3:
            raise RuntimeError("three")
        super().do_non_secure_storage_access(kvm, gaddr)


def test_what_a_layer_keeps_for_itself_is_part_of_the_state():
    verdict = check(v1_fixed.plus(Remembers), pages=3, resets=0, sharing=False, **QUICK)
    assert verdict.holds  # page 0 is in the image, so that two are imported
    verdict = check(v1_fixed.plus(Remembers), pages=4, resets=0, sharing=False, **QUICK)
    assert "RuntimeError: three" in verdict.trace.violation


def test_a_search_can_be_put_aside_and_gone_on_with():
    kernel, bounds = v1_fixed.without(4), bounds_of(v1_fixed.without(4), dict(QUICK))
    whole = Search(kernel, bounds)
    *_, states = whole
    first = Search(kernel, bounds)
    for seen in first:
        if seen > states // 2:
            break
    assert not first.exhausted
    again = Search(kernel, bounds, saved=pickle.loads(pickle.dumps(first.saved)))
    for _ in again:
        pass
    assert again.exhausted and again.broken == whole.broken
    assert (len(again.nodes), again.transitions) == (len(whole.nodes), whole.transitions)


def test_a_search_that_was_interrupted_goes_on_where_it_was():
    kernel = v1.upto(4)
    search = Search(kernel, bounds_of(kernel, dict(QUICK)))
    found = search.pictures.found
    left = iter(range(200))

    def interrupted(*about):
        if next(left, None) == 100:
            raise KeyboardInterrupt
        return found(*about)

    search.pictures.found = interrupted
    with pytest.raises(KeyboardInterrupt):
        for _ in search:
            pass
    for _ in search:
        pass
    verdict = check(kernel, **QUICK)
    assert (len(search.nodes), search.transitions) == (verdict.states, verdict.transitions)


def test_the_verdict_says_how_much_was_run():
    learned, full = (check(v1.upto(0), learn=learn, **QUICK) for learn in (True, False))
    assert (learned.states, learned.transitions) == (full.states, full.transitions)
    assert learned.done < full.done == full.transitions


@pytest.mark.parametrize("usual", [(700, 10, 10), (0, 10, 10), (50_000, 5, 5)], ids=["usual", "off", "rare"])
def test_a_search_leaves_the_collection_of_garbage_as_it_was(usual):
    before, during = gc.get_threshold(), set()
    gc.set_threshold(*usual)
    try:
        check(v1.upto(0), pages=1, max_states=50, progress=lambda states: during.add(gc.get_threshold()), **QUICK)
        after = gc.get_threshold()
    finally:
        gc.set_threshold(*before)
    assert after == usual
    assert during == ({(YOUNG, 10, 10)} if usual == (700, 10, 10) else {usual})


# What the host does


class IgnoresReferences:
    """An import that does not look whether anybody else uses the page."""

    def make_secure_pte(self, page, uvcb):
        page.arch_1 = True
        if not self.uv_call(uvcb):
            return 0
        return -ENXIO if uvcb.header.rc == 0x10A else -EINVAL


def test_a_page_under_io_must_not_be_imported():
    bounds = {"pages": 1, "host": ("io",), "resets": 0, **QUICK}
    assert check(v1_fixed, **bounds).holds
    verdict = check(v1_fixed.plus(IgnoresReferences), **bounds)
    assert verdict.trace.violation.startswith("I/O on page 0 fails: the page has become secure")
    assert check(v1_fixed.plus(IgnoresReferences), pages=1, resets=0, **QUICK).holds


def test_io_that_is_under_way_outlives_the_process():
    world = World(v1_fixed, Bounds(pages=1, failures=(), host=("io",)))
    for action in (("touch", 0), ("protect",), ("io", 0)):
        world.act(action)
    (io,) = (task for task in world.machine.tasks if task.name == "host")
    assert world.machine.rows()[0]["references"] == 2
    assert ("io", 0) not in world.actions()
    world.act(("exit",))
    assert io.alive
    while world.machine.tasks and not world.wrong:
        world.act(world.actions()[0])
    assert not world.wrong


# What fails


class FailsAtTheSecondRefusal:
    """Bears one refused call; the second is too much."""

    def uv_call(self, uvcb):
        answer = super().uv_call(uvcb)
        self.refused = getattr(self, "refused", 0) + (uvcb.header.rc == REFUSED)
        if self.refused == 2:
            raise RuntimeError("refused again")
        return answer


def test_more_than_one_failure_may_happen_in_a_trace():
    kernel = v1_fixed.plus(FailsAtTheSecondRefusal)
    bounds = {"pages": 1, "sharing": False, "failures": "DESTROY_SEC_CONF"}
    assert check(kernel, **bounds).holds
    verdict = check(kernel, most_failures=2, **bounds)
    assert "RuntimeError: refused again" in verdict.trace.violation
    assert [failure_in(action) for action in verdict.trace.actions].count("DESTROY_SEC_CONF") == 2
    assert "up to 2 failures of DESTROY_SEC_CONF" in repr(verdict)


def test_two_failures_have_the_same_states_whether_steps_are_learned_or_run():
    same(v1_fixed, pages=1, sharing=False, most_failures=2, failures=("DESTROY_SEC_CONF", "list page"))


def test_if_no_failure_may_happen_it_is_as_if_there_were_none():
    bounds = {"pages": 1, "sharing": False}
    none, never = check(v1_fixed, failures=(), **bounds), check(v1_fixed, most_failures=0, **bounds)
    assert (none.states, none.transitions) == (never.states, never.transitions)


def test_each_failure_says_why_it_is_tried_or_not():
    assert [failure.name for failure in FAILURES if failure.default] == list(Bounds().failures)
    for failure in FAILURES:
        assert failure.why and failure.words and failure.at, failure.name


def test_all_failures_that_are_named_can_happen():
    failures = tuple(failure.name for failure in FAILURES)
    possible = set()
    for kernel, more in (
        (v1, {}),
        (ld.series.linux_6_2, {"fast": True, "helper": True}),
        (ld.series.linux_6_2, {"fast": True, "userspace": "any"}),
    ):
        world = World(kernel, Bounds(failures=failures, host=("io", "swap"), resets=2, **more))
        for action in (("touch", 0), ("protect",), ("prepare",), None):
            actions = world.actions()
            possible |= {(failure_in(following), following[0]) for following in actions if failure_in(following)}
            if action in actions:
                world.act(action)
    thread = {(failure.name, action) for failure in FAILURES for action in failure.at if failure.design == THREAD}
    only_userspace = {(name, action) for name, action in thread if action not in ("reset", "exit")}
    assert possible == {(failure.name, action) for failure in FAILURES for action in failure.at} - only_userspace


def test_only_one_thing_fails():
    world = World(v1, Bounds())
    for action in (("touch", 0), ("protect",), ("reset", "kthread")):
        world.act(action)
    while world.machine.tasks:
        world.act(world.actions()[0])
    assert not any(map(failure_in, world.actions()))


@pytest.mark.parametrize("name", ["CREATE_SEC_CPU", "SET_SEC_CONF_PARAMS", "CONV_TO_SEC_STOR"])
def test_version_1_with_its_bugs_mended_copes_with_what_is_not_tried_by_default(name):
    assert check(v1_fixed, failures=name, resets=0, sharing=False).holds


def test_no_kernel_copes_with_an_export_that_is_refused():
    assert "still secure" in check(v1.upto(0), failures="CONV_FROM_SEC_STOR").trace.violation
    assert "cannot be made accessible" in check(v1_fixed, failures="CONV_FROM_SEC_STOR").trace.violation


def test_qemu_exits_when_a_reset_is_refused():
    world = World(v1.upto(0), Bounds(failures=("DESTROY_SEC_CONF",)))
    for action in (("touch", 0), ("protect",), ("reset", "DESTROY_SEC_CONF")):
        world.act(action)
    assert not world.machine.alive


def test_a_guest_whose_header_is_refused_goes_on_as_a_normal_one():
    """QEMU ends the configuration again, and the guest may try once more: a count must survive that."""
    bounds = {"failures": ("SET_SEC_CONF_PARAMS",), "resets": 0, "sharing": False}
    assert ld.series.check(v1_fixed, **bounds).holds
    assert ld.series.check(v1.upto(0), **bounds).holds

    class CountedLate:
        def configuration_created(self, mm):
            pass

        def configuration_refused(self, mm):
            pass

        def parameters_set(self, mm):
            mm.context.is_protected += 1

        def configuration_destroyed(self, mm, cc):
            mm.context.is_protected -= 1

    verdict = ld.series.check(v1_fixed.without(6, 10).plus(CountedLate), **bounds)
    assert "the Ultravisor will refuse its header" in verdict.trace.story
    # the count is one too low, so that the next image is not unpacked
    assert verdict.trace.violation.startswith("refused: KVM_PV_UNPACK answers -EINVAL")
