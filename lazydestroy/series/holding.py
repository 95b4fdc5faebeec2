"""What must hold on a small machine: asked of a picture of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from ..kernel.gmap import CRST_PAGES
from ..page import HELD, Content, Holder, Record, State
from ..units import format_count
from .failures import failure_of
from .possible import Possible
from .state import FLAGS, FRAMES, FREED, LOCKS, MARKS, PAGES, SWAP, UV, VM, Flags, Frames, Picture, Standing, Vm
from .story import BUSY

MANY = 100_000
"""States of which it is remembered what is wrong with them: those that were met lately."""

_OF_A_PROCESS = CRST_PAGES + 1
"""Pages that the kernel takes for a VM, beside one for each vCPU: the top-level table and the system control area."""


class Holding(Possible):
    """What is wrong with a picture, if anything is."""

    kernel_pages: int
    _found: dict[Hashable, str]
    _flaws: dict[int, str]

    def found(self, picture: Picture, key: Hashable = None) -> str:
        """What is wrong with a state; empty if nothing is. The `key` of the picture may be given."""
        key = key or picture.key
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= MANY:
                self._found.clear()
            found = self._found[key] = self._look(picture)
        return found

    def _look(self, picture: Picture) -> str:
        things, cells = self.things, picture.cells
        for number in (cells[FRAMES], *cells[PAGES:]):
            if flaw := self._flaw(number):
                return flaw
        if things[cells[MARKS]][0]:
            return "a top-level table is free that the Ultravisor still marks: no other guest can use it"
        tasks: list[Standing] = [things[number] for number in picture.tasks]
        if tasks and all(task.asleep for task in tasks):
            return "nothing goes on: every task waits for another"
        flags: Flags = things[cells[FLAGS]]
        if self.bounds.patience is not None and picture.story.late > self.bounds.patience + 1:
            late = picture.story.late - 1
            held = ", with kvm->lock held" if things[cells[LOCKS]][1][0] else ""
            return f"{late} Ultravisor Calls after QEMU was killed{held}"
        if flags.guest_up and not any(task.role[0] in BUSY for task in tasks):
            return self._guest_is_wrong(picture, flags)
        return "" if flags.alive or tasks else self._left_behind(picture)

    def _flaw(self, number: int) -> str:
        """What is wrong with a page, or with one of all the other frames, whatever else there is."""
        flaw = self._flaws.get(number)
        if flaw is None:
            thing = self.things[number]
            records = [record for record, _ in thing.records] if isinstance(thing, Frames) else [thing]
            flaw = self._flaws[number] = next(filter(None, map(_flaw_of, records)), "")
        return flaw

    def _guest_is_wrong(self, picture: Picture, flags: Flags) -> str:
        records, vm = self.records(picture), self.things[picture.cells[VM]]
        for page, record in enumerate(records[: self.bounds.low_pages]):
            if not record or record.state not in HELD or record.holder != Holder.MAPPED:
                continue
            if record.owner in flags.old and record.owner != vm.handle:
                return f"page {page} may be a CPU's prefix area, and is still the old guest's when the guest runs"
        swap = dict(self.things[picture.cells[SWAP]])
        for page in picture.story.written:
            record = swap.get(page) or records[page]
            kept = record is not None and _holds_data_of(record, vm.handle)
            if not kept and vm.running:
                return f"the running guest's data in page {page} are lost"
            if not kept and self.bounds.keeps_refused:
                return f"PREPARE was refused, and yet the guest's data in page {page} are lost"
        return self._waits_forever(picture, vm)

    def _waits_forever(self, picture: Picture, vm: Vm) -> str:
        """A configuration that no command ends: a leftover, while the VM has none that DISABLE could be called for."""
        number = len(vm.leftovers)
        wait, them = ("leftover waits", "it") if number == 1 else ("leftovers wait", "them")
        if self.bounds.leftovers is None or vm.handle or number <= self.bounds.leftovers:
            return ""
        return f"{number} {wait}, and no command ends {them}"

    def _left_behind(self, picture: Picture) -> str:
        """After the end of everything."""
        used: Counter[Holder] = Counter()
        for record, pages in self.things[picture.cells[FRAMES]].records:
            used[record.holder] += pages
        used.update(record.holder for record in self.records(picture) if record)
        if used[Holder.SET_ASIDE]:
            return f"{_pages(used[Holder.SET_ASIDE])} set aside forever: no thread is left to free what is set aside"
        if used[Holder.MAPPED]:
            return "the process is gone, and its address space is never removed"
        if not self.things[picture.cells[FREED]]:
            return "the process is gone, and its mm is never freed"
        leaked = used[Holder.LEAKED] + used[Holder.DONATED] - self.kernel_pages + _OF_A_PROCESS + self.bounds.vcpus
        if leaked and not any(failure_of(name).leaks for name in picture.story.failed):
            return f"the process is gone, and {_pages(leaked)} leaked that the kernel took for it"
        if self.bounds.leaked is not None and leaked > self.bounds.leaked:
            return f"the process is gone, and {_pages(leaked)} leaked, more than {self.bounds.leaked}"
        if self.things[picture.cells[UV]].left:
            return "the process is gone, and its secure configuration is never destroyed"
        return ""


def _flaw_of(record: Record) -> str:
    if record.holder == Holder.FREE and record.state != State.NON_SECURE:
        return f"a page is free and still {_state(record)}: its next owner cannot use it"
    if record.state == State.NON_SECURE and record.content == Content.PLAINTEXT:
        return "the host can read what a guest has not shared"
    return ""


def _holds_data_of(record: Record, handle: int) -> bool:
    own = record.state in HELD and record.owner == handle
    return own or (record.content, record.content_of) == (Content.CIPHERTEXT, handle)


def _pages(number: int) -> str:
    return "1 page is" if number == 1 else f"{format_count(number)} pages are"


def _state(record: Record) -> str:
    return record.state.name.lower().replace("_", "-")


__all__ = ["Holding"]
