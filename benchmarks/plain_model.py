"""The reboot in plain Python: one byte a page, a generator for each actor, and a heap that says who acts next.

Written to be quick, as plain Python goes: a step is one `next`, calls are counted in local variables, and the heap is
touched only when it is another actor's turn. ``mmap_lock`` is left out: in a reboot nobody takes it for writing.

It gives what `lazydestroy.reboot` gives, to the nanosecond and to the last call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from heapq import heappop, heappush

from .case import Outcome, Reboot

OLD, CLEAN, OWN = range(3)
"""A page is the old guest's, nobody's, or the new guest's."""

Actor = Generator[int, None, None]
"""Yields how long each of its steps takes, in nanoseconds. A step happens at the moment at which it begins."""


class PlainModel:
    """A reboot, to be played once.

    Parameters
    ----------
    case : Reboot
    """

    def __init__(self, case: Reboot) -> None:
        self.case = case
        self.state = bytearray(case.pages)  # OLD
        self.referenced = bytearray(case.pages)
        self.configurations = 1
        self.now = self.downtime = self.cleanup = 0
        self.uvcs: Counter[tuple[str, str]] = Counter()
        self.noop: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._heap: list[tuple[int, int, Actor]] = []
        self._started = 0

    def run(self) -> Outcome:
        """Play it: the actor furthest behind acts next, of equals the one that was started first."""
        self._start(self.qemu())
        heap = self._heap
        while heap:
            clock, number, actor = heappop(heap)
            try:
                while not heap or (clock, number) < heap[0]:
                    self.now = clock
                    clock += next(actor)
            except StopIteration:
                continue
            heappush(heap, (clock, number, actor))
        return Outcome(self.uvcs, self.noop, self.refused, self.downtime, self.cleanup, self.now)

    def _start(self, actor: Actor) -> None:
        heappush(self._heap, (self.now, self._started, actor))
        self._started += 1

    def qemu(self) -> Actor:
        """The reset, then the new guest up to where its vCPUs use its memory."""
        case, costs = self.case, self.case.costs
        for _ in range(case.vcpus):
            self.uvcs["QEMU", "DESTROY_SEC_CPU"] += 1
            yield costs.cpu
        yield from self.destroy(case.low, "QEMU")
        self._start(self.clean_up())
        self.downtime = self.now
        for _ in range(case.loader):
            yield costs.touch
        self.configurations += 1
        self.uvcs["QEMU", "CREATE_SEC_CONF"] += 1
        yield case.configuration_ns
        for _ in range(case.vcpus):
            self.uvcs["QEMU", "CREATE_SEC_CPU"] += 1
            yield costs.cpu
        self.uvcs["QEMU", "SET_SEC_CONF_PARAMS"] += 1
        yield costs.noop
        yield from self.unpack()
        self.uvcs["QEMU", "VERIFY_IMG"] += 1
        yield costs.noop
        for part in range(case.vcpus):
            self._start(self.vcpu(part))

    def clean_up(self) -> Actor:
        """The kernel thread."""
        yield from self.destroy(self.case.pages, "clean-up thread")
        self.configurations -= 1
        self.uvcs["clean-up thread", "DESTROY_SEC_CONF"] += 1
        self.cleanup = self.now + self.case.configuration_ns
        yield self.case.configuration_ns

    def destroy(self, pages: int, actor: str) -> Actor:
        """Walk the guest's first pages: take references to a few, then destroy those."""
        state, referenced, costs, batch = self.state, self.referenced, self.case.costs, self.case.batch
        noops = refused = 0
        for first in range(0, pages, batch):
            together = range(first, min(first + batch, pages))
            for page in together:
                referenced[page] = 1
                yield costs.walk
            for page in together:
                referenced[page] = 0
                if state[page] == OLD:
                    state[page] = CLEAN
                    yield costs.destroy
                elif state[page] == CLEAN:
                    noops += 1
                    yield costs.noop
                else:
                    refused += 1
                    yield costs.refused
        self.uvcs[actor, "DESTR_SEC_STOR"] += pages
        self._count("DESTR_SEC_STOR", noops, refused)

    def unpack(self) -> Actor:
        """Import the boot image. A page that the clean-up thread holds is busy."""
        state, referenced, costs = self.state, self.referenced, self.case.costs
        exports = 0
        for page in range(self.case.image_at, self.case.image_at + self.case.image):
            while state[page] != OWN:
                tries = (1 + referenced[page]) * (self.configurations > 1)  # a busy page is tried twice
                export = tries * costs.noop
                exports += tries
                if referenced[page]:
                    yield export + costs.retry
                else:
                    state[page] = OWN
                    yield export + costs.import_decrypt
        self.uvcs["QEMU", "UNPACK_IMG"] += self.case.image
        self.uvcs["QEMU", "CONV_FROM_SEC_STOR"] += exports
        self._count("CONV_FROM_SEC_STOR", exports)

    def vcpu(self, part: int) -> Actor:
        """Touch a part of the memory. Each access that raises an exception is tried again after its handler."""
        state, referenced, costs = self.state, self.referenced, self.case.costs
        destroys = noops = exports = imports = 0
        for page in self.case.bounds(part):
            while (found := state[page]) != OWN:
                yield costs.exception
                if found == OLD:
                    destroys += 1
                    if state[page] == OLD:
                        state[page] = CLEAN
                        yield costs.destroy
                    else:
                        noops += 1
                        yield costs.noop
                    continue
                tries = (1 + referenced[page]) * (self.configurations > 1)  # a busy page is tried twice
                export = tries * costs.noop
                exports += tries
                if referenced[page]:
                    yield export + costs.retry
                else:
                    imports += 1
                    state[page] = OWN
                    yield export + costs.import_clear
            yield costs.touch
        calls = {"DESTR_SEC_STOR": destroys, "CONV_FROM_SEC_STOR": exports, "CONV_TO_SEC_STOR": imports}
        self.uvcs.update({(f"vCPU {part}", command): number for command, number in calls.items()})
        self._count("DESTR_SEC_STOR", noops)
        self._count("CONV_FROM_SEC_STOR", exports)

    def _count(self, command: str, noops: int, refused: int = 0) -> None:
        self.noop[command] += noops
        self.refused[command] += refused
