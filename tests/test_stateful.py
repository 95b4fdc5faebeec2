"""A machine driven by hand, at random, against the plain second model driven the same way.

At the end, by hand indeed: what that did not find for a long time, and what one process alone cannot show.
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from test_oracle import plain

import lazydestroy as ld
from lazydestroy import machine
from lazydestroy.page import Content, Holder, Record, State
from lazydestroy.uvcb import uv_cb_destroy_fast
from tests import oracle

PAGE = 4096
PATIENCE = 400
"""Turns after which an access is taken to be endless: more than any that ends takes here."""


class ByHand(RuleBasedStateMachine):
    """The same rule on both, then everything that can be seen is compared."""

    @initialize(
        pages=st.integers(2, 10),
        v1=st.sampled_from([True, True, True, False]),
        lazy_destroy=st.sampled_from([None, None, None, True, False]),
        vcpus=st.integers(1, 2),
        process=st.integers(0, 3),
        low_memory=st.sampled_from([0, 0, 3, 10]),
        threshold=st.integers(1, 4),
        capacity=st.integers(1, 4),
        spare=st.one_of(st.integers(0, 12), st.just(40)),
        reserve=st.integers(0, 3),
        misc=st.booleans(),
        tabled=st.booleans(),
        protected=st.booleans(),
        reboots=st.integers(0, 1),
        fast=st.booleans(),
        touched=st.integers(0, 10),
        left=st.one_of(st.none(), st.integers(0, 2)),
    )
    def begin(
        self,
        pages,
        v1,
        lazy_destroy,
        vcpus,
        process,
        spare,
        low_memory,
        misc,
        tabled,
        protected,
        reboots,
        fast,
        touched,
        left,
        **parameters,
    ):
        lazy_destroy = lazy_destroy if v1 else None
        host = pages + process + oracle.needed(oracle.SMALL, pages, vcpus) + spare
        self.pages, self.process = pages, process
        self.world = oracle.World(
            pages,
            host,
            ld.Costs(),
            v1=v1,
            lazy_destroy=lazy_destroy,
            vcpus=vcpus,
            process=process,
            low_memory=low_memory,
            misc=misc,
            **parameters,
        )
        self.machine = ld.Machine(
            pages * PAGE,
            kernel=ld.series.v1 if v1 else ld.series.v1.upto(0),
            host_memory=host * PAGE,
            lazy_destroy=lazy_destroy,
            vcpus=vcpus,
            process_memory=process * PAGE,
            low_memory=low_memory * PAGE,
            features=("misc",) if misc else (),
            destroy_loop_threshold=parameters["threshold"],
            list_page_capacity=parameters["capacity"],
            reserve=parameters["reserve"],
            tabled=tabled,
            ultravisor=ld.Ultravisor.presets["as of 2022"],
        )
        self.began = self.machine.now
        self.machine.boot()
        self.world.guest_up = True
        # most of what can go wrong needs a guest that has come this far
        if protected:
            self.protect(1)
        for page in range(min(touched, pages)):
            self.touch(page)
        if protected and reboots:
            self.reboot()
            self.protect(1)
            if fast and self.world.zombies:
                self.end_a_configuration_fast(0)
        if left is not None:
            self.another_process_takes_nearly_all_that_is_free(left)

    def page(self, number):
        return number % self.pages

    def present(self, page):
        return self.world.present(self.world.guest, page) is not None

    def by_hand(self, flow, name):
        return self.world.by_hand(flow, name, PATIENCE)

    # What can be done

    @precondition(lambda self: self.world.guest_up and not self.world.handle)
    @rule(image=st.integers(1, 3))
    def protect(self, image):
        if self.by_hand(self.world.go_protected(0, min(image, self.pages)), "QEMU"):
            assert self.machine.protect(image) == self.world.names[self.world.handle]
        else:
            with pytest.raises(RuntimeError, match="could not be made protected"):
                self.machine.protect(image)

    @precondition(lambda self: self.world.guest_up)
    @rule(number=st.integers(0, 9))
    def touch(self, number):
        page = self.page(number)
        self.accessed(self.machine.touch, page, self.world.touch_by_hand(page), "vCPU")

    @rule(number=st.integers(0, 9), as_=st.sampled_from(["host", "kernel", "io"]))
    def read(self, number, as_):
        page = self.page(number)
        if self.present(page):
            self.accessed(lambda page: self.machine.read(page, as_), page, self.world.read(page, as_), as_)
        else:
            with pytest.raises(ValueError, match=f"page={page}"):
                self.machine.read(page, as_)

    def accessed(self, function, page, flow, name):
        """An access finds the same, raises the same, costs the same."""
        world = self.world
        world.log, world.raised, before, logged = [], [], world.now, len(world.events)
        saw = self.by_hand(flow, name)
        access = function(page)
        assert access.saw == (saw or "")
        if any(kind == "endless fault" for _, kind in world.events[logged:]):
            assert access.events[-1].kind == "endless fault"
            world.spend(self.machine.now - self.began - world.now)  # how long it was tried does not matter
            return
        assert list(access.interruptions) == world.raised
        assert list(access.uvcs) == world.log
        assert access.ns == world.now - before
        assert [event.kind for event in access.events] == [kind for _, kind in world.events[logged:]]

    @precondition(lambda self: self.world.running and self.world.guest_up)
    @rule(number=st.integers(0, 9), opened=st.booleans())
    def share_or_unshare(self, number, opened):
        page = self.page(number)
        there = self.present(page)
        done = self.world.share(page) if opened else self.world.unshare(page)
        function = self.machine.share if opened else self.machine.unshare
        if done:
            function(page)
        else:
            with pytest.raises(RuntimeError if there else ValueError, match=rf"page[ =]{page}\b"):
                function(page)

    @rule(number=st.integers(0, 9))
    def swap_out(self, number):
        page = self.page(number)
        if self.present(page):
            assert self.machine.swap_out(page) == self.world.swap_out(page)
        else:
            with pytest.raises(ValueError, match=f"page={page}"):
                self.machine.swap_out(page)

    @precondition(lambda self: self.world.guest_up)
    @rule(number=st.integers(0, 9), other=st.integers(0, 9))
    def swap_out_and_touch_another(self, number, other):
        self.swap_out(number)
        self.touch(other)

    @rule(left=st.sampled_from([0, 0, 1, 2, 4]))
    def another_process_takes_nearly_all_that_is_free(self, left):
        while self.world.free > left:
            pfn = self.machine.memory.allocate()
            assert pfn == self.world.other_takes_a_page()
            self.machine.memory.page(pfn).update(content=Content.HOST, content_of=0, refs=1, holder=Holder.OTHER)

    @precondition(lambda self: any(frame.holder == oracle.OTHER for frame in self.world.frames))
    @rule()
    def another_process_ends(self):
        self.world.other_ends()
        self.machine.memory.change(lambda record: Record() if record.holder == Holder.OTHER else record)

    @precondition(lambda self: self.world.guest_up)
    @rule()
    def reboot(self):
        self.by_hand(self.world.reset(), "QEMU")
        self.machine.reboot()

    @precondition(lambda self: self.world.zombies)
    @rule(number=st.integers(0, 2), other=st.sampled_from([None, None, None, 0, 1, 2, 3]))
    def end_a_configuration_fast(self, number, other=None):
        """A zombie; now and then one that runs, has been ended, or never was."""
        there = sorted(self.world.zombies)
        handle = there[number % len(there)] if other is None else other << 12
        done = self.by_hand(self.world.end_fast_by_hand(handle), "host")
        assert self.machine._do(self.end_fast(handle), "host") == done

    def end_fast(self, handle):
        yield
        return not self.machine.kernel.uv_call(uv_cb_destroy_fast(handle=handle))

    @precondition(lambda self: self.world.alive)
    @rule(sure=st.sampled_from([False, False, True]))
    def exit(self, sure):
        # after it there is little left to do
        if not sure:
            return
        self.world.guest_up = False
        self.by_hand(self.world.exit(), "QEMU")
        self.machine.exit()

    @precondition(lambda self: self.world.next_task())
    @rule(times=st.integers(1, 8))
    def step(self, times):
        for _ in range(times):
            task = self.world.next_task()
            if task is None:
                assert self.machine.step() == "nothing left to do"
                return
            self.world.log = []
            before = self.machine.now
            self.world.act(task)
            name, said = self.machine.step().split(": ")
            assert name.partition(",")[0] == task.name
            assert said == (", ".join(self.world.log) or "walks on")
            if self.machine.now == before:
                # to end a loop is not to act, in the package: its clock stays with whoever acted before
                self.world.moment = before - self.began

    @precondition(lambda self: self.world.next_task())
    @rule()
    def run(self):
        self.world.run()
        self.machine.run()

    # What must hold

    @invariant()
    def every_page_is_as_in_the_oracle(self):
        memory = self.machine.memory
        assert [plain(memory.record(pfn)) for pfn in range(memory.pages)] == [
            oracle.astuple(frame) for frame in self.world.frames
        ]
        assert [self.machine.mm.guest.frame(page) for page in range(self.pages)] == self.world.guest
        assert [self.machine.mm.guest.slot(page) for page in range(self.pages)] == self.world.preferred
        assert [self.machine.mm.process.frame(page) for page in range(self.process)] == self.world.process

    @invariant()
    def so_is_all_else(self):
        mm, world = self.machine.mm, self.world
        assert (mm.mm_users, mm.mm_count) == (world.users, world.count)
        assert mm._context.is_protected == world.is_protected
        assert [task.name for task in self.machine.tasks] == [task.name for task in world.tasks if task.alive]
        assert [event.kind for event in self.machine.events] == [kind for _, kind in world.events]
        calls = {(command.name, outcome): n for (command, outcome), n in self.machine.engine.calls().items()}
        assert calls == world.calls
        assert self.machine.now - self.began == world.now

    @invariant()
    def no_two_entries_point_to_the_same_frame(self):
        tables = self.machine.mm.tables
        slots = [table.slot(entry) for table in tables for entry in range(table.pages)]
        assert len(set(slots)) == len(slots)

    @invariant()
    def a_frame_is_mapped_by_one_entry_or_not_mapped(self):
        memory, mm = self.machine.memory, self.machine.mm
        frames = [table.frame(entry) for table in mm.tables for entry in range(table.pages)]
        mapped = [pfn for pfn in range(memory.pages) if memory.record(pfn).holder == Holder.MAPPED]
        assert sorted(pfn for pfn in frames if pfn is not None) == mapped

    @invariant()
    def no_page_is_lost(self):
        records = self.machine.memory.records()
        assert sum(records.values()) == len(self.world.frames)
        free = sum(pages for record, pages in records.items() if record.holder == Holder.FREE)
        assert self.machine.memory.free == free

    @invariant()
    def only_its_owner_reads_a_page_unless_it_was_exported_destroyed_or_shared(self):
        for record in self.machine.memory.records():
            if record.content == Content.PLAINTEXT:
                assert record.owner == record.content_of
                assert record.state == State.SHARED or self.machine.uv.access(record) is not None

    @invariant()
    def nothing_is_free_while_it_is_secure(self):
        for record in self.machine.memory.records():
            if record.holder == Holder.FREE:
                assert record.state == State.NON_SECURE and not record.arch_1 and not record.refs


class ByHandWithLittlePatience(ByHand):
    """Hypothesis makes many of these: what never ends must be noticed soon."""

    def __init__(self):
        super().__init__()
        self.patience = machine._PATIENCE, machine._PATIENCE_A_PAGE
        machine._PATIENCE, machine._PATIENCE_A_PAGE = PATIENCE, 0

    def teardown(self):
        machine._PATIENCE, machine._PATIENCE_A_PAGE = self.patience


class AtLength(ByHandWithLittlePatience):
    pass


TestByHand = ByHandWithLittlePatience.TestCase
TestByHand.settings = settings(max_examples=40, stateful_step_count=40)

TestByHandAtLength = pytest.mark.long("150 machines take a minute, and 40 find most")(AtLength.TestCase)
TestByHandAtLength.settings = settings(max_examples=150, stateful_step_count=40)


# By hand, what should never have been: two pages in one frame


def two_guests(**given):
    """A guest, and another whose pages have the same frames for their home. The second one is at hand."""
    host = ld.Machine(4 * PAGE, host_memory=64 * PAGE, **given)
    host.boot()
    host.touch(1)
    host.start_another()
    host.boot()
    return host


@pytest.mark.parametrize("tabled", [True, False])
def test_a_page_in_swap_is_not_present_when_another_page_of_the_guest_has_its_frame(tabled):
    host = two_guests(tabled=tabled)
    host.touch(0)
    was_in = host.mm.guest.frame(0)
    host.swap_out(0)
    assert host.touch(1).saw == "zeros"
    assert host.mm.guest.frame(1) == was_in
    with pytest.raises(ValueError, match="page=0: not present"):
        host.read(0)
    assert host.touch(0).saw == "host data"
    assert host.mm.guest.frame(0) != host.mm.guest.frame(1)


def test_a_protected_guest_gets_its_own_page_back_from_swap_not_the_one_that_has_its_frame():
    host = two_guests()
    host.protect()
    host.touch(2)
    host.swap_out(2)
    host.touch(1)
    assert host.mm.guest.frame(2) is None
    assert host.touch(2).saw == host.touch(1).saw == "plaintext of A"
    assert host.mm.guest.frame(2) != host.mm.guest.frame(1)


def test_a_page_of_qemu_is_not_one_of_the_guests_where_it_lies_in_the_guests_frames():
    host = two_guests(process_memory=3 * PAGE)
    inside = [pfn for pfn in map(host.mm.process.frame, range(3)) if 0 <= pfn - host.mm.guest.base < 4]
    assert inside
    assert [host.mm.guest.frame(page) for page in range(4)] == [None] * 4
    assert host.touch(inside[0] - host.mm.guest.base).saw == "zeros"


# By hand, what the random rules seldom get to: a zombie with pages is ended fast


@pytest.mark.parametrize("misc", [False, True])
@pytest.mark.parametrize("exits", [False, True])
@pytest.mark.parametrize("pages_cleaned", [0, 1, 3])
def test_what_a_zombie_leaves_when_it_is_ended_fast_is_cleaned_one_by_one(misc, exits, pages_cleaned):
    both = ByHandWithLittlePatience()
    try:
        both.begin(
            pages=6,
            v1=True,
            lazy_destroy=None,
            vcpus=1,
            process=0,
            low_memory=1,
            threshold=1,
            capacity=4,
            spare=40,
            reserve=0,
            misc=misc,
            tabled=True,
            protected=True,
            reboots=0,
            fast=False,
            touched=6,
            left=None,
        )
        both.share_or_unshare(2, opened=True)
        both.reboot()
        both.protect(1)
        old = both.world.running - (1 << 12)
        owned = lambda: sum(frame.owner == old and frame.state != "DONATED" for frame in both.world.frames)  # noqa: E731
        before = owned()
        while before - owned() < pages_cleaned:
            both.step(1)
        left = owned()
        both.end_a_configuration_fast(0)
        agree(both)
        assert owned() == left > 0
        for page in (2, 3):
            both.touch(page)
            agree(both)
        if exits:
            both.exit(sure=True)
            agree(both)
        both.run()
        agree(both)
        assert owned() == 0
    finally:
        both.teardown()


def agree(both):
    """Whoever drives them by hand asks for what Hypothesis checks after each rule."""
    both.every_page_is_as_in_the_oracle()
    both.so_is_all_else()
    both.only_its_owner_reads_a_page_unless_it_was_exported_destroyed_or_shared()
    both.nothing_is_free_while_it_is_secure()
