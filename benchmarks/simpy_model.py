"""The reboot as one would write it with SimPy: a process for each actor, a timeout for each step.

A step happens at the moment at which it begins, then its time passes. ``mmap_lock`` is left out: in a reboot nobody
takes it for writing, and a `simpy.Resource` would only make SimPy slower.

It gives what `lazydestroy.reboot` gives, to the nanosecond and to the last call. (At equal times SimPy lets go first
whose timeout was made first, and lazydestroy whose task was made first. Here those who act at the same time are at
different pages, so that the order makes no difference.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from typing import Any

import simpy

from .case import Outcome, Reboot

OLD, CLEAN, OWN = range(3)
"""A page is the old guest's, nobody's, or the new guest's."""

Process = Generator[simpy.Event, Any, None]


class Guest:
    """The memory of a guest, and those who work on it.

    Parameters
    ----------
    env : simpy.Environment
    case : Reboot
    """

    def __init__(self, env: simpy.Environment, case: Reboot) -> None:
        self.env = env
        self.case = case
        self.state = [OLD] * case.pages
        self.referenced = [False] * case.pages
        self.configurations = 1
        self.uvcs: Counter[tuple[str, str]] = Counter()
        self.noop: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.downtime = self.cleanup = 0.0  # as SimPy counts; whole nanoseconds

    def call(self, actor: str, command: str) -> None:
        """Count an Ultravisor Call."""
        self.uvcs[actor, command] += 1

    def qemu(self) -> Process:
        """The reset, then the new guest up to where its vCPUs use its memory."""
        env, case, costs = self.env, self.case, self.case.costs
        for _ in range(case.vcpus):
            self.call("QEMU", "DESTROY_SEC_CPU")
            yield env.timeout(costs.cpu)
        yield from self.destroy(case.low, "QEMU")
        env.process(self.clean_up())
        self.downtime = env.now
        for _ in range(case.loader):
            yield env.timeout(costs.touch)
        self.configurations += 1
        self.call("QEMU", "CREATE_SEC_CONF")
        yield env.timeout(case.configuration_ns)
        for _ in range(case.vcpus):
            self.call("QEMU", "CREATE_SEC_CPU")
            yield env.timeout(costs.cpu)
        self.call("QEMU", "SET_SEC_CONF_PARAMS")
        yield env.timeout(costs.noop)
        yield from self.unpack()
        self.call("QEMU", "VERIFY_IMG")
        yield env.timeout(costs.noop)
        yield env.all_of([env.process(self.vcpu(part)) for part in range(case.vcpus)])

    def clean_up(self) -> Process:
        """The kernel thread."""
        yield from self.destroy(self.case.pages, "clean-up thread")
        self.configurations -= 1
        self.call("clean-up thread", "DESTROY_SEC_CONF")
        yield self.env.timeout(self.case.configuration_ns)
        self.cleanup = self.env.now

    def destroy(self, pages: int, actor: str) -> Process:
        """Walk the guest's first pages: take references to a few, then destroy those."""
        timeout, costs, batch = self.env.timeout, self.case.costs, self.case.batch
        for first in range(0, pages, batch):
            together = range(first, min(first + batch, pages))
            for page in together:
                self.referenced[page] = True
                yield timeout(costs.walk)
            for page in together:
                self.referenced[page] = False
                yield timeout(self.destroy_page(page, actor))

    def destroy_page(self, page: int, actor: str) -> int:
        """One call; returns how long it takes."""
        self.call(actor, "DESTR_SEC_STOR")
        if self.state[page] == OLD:
            self.state[page] = CLEAN
            return self.case.costs.destroy
        if self.state[page] == CLEAN:
            self.noop["DESTR_SEC_STOR"] += 1
            return self.case.costs.noop
        self.refused["DESTR_SEC_STOR"] += 1
        return self.case.costs.refused

    def import_page(self, page: int, actor: str, command: str, cost: int) -> int:
        """Import a page, exported first while there are two configurations; returns how long it takes.

        A busy page is tried twice, and exported before each try.
        """
        ns = 0
        for _ in range(1 + self.referenced[page] if self.configurations > 1 else 0):
            self.call(actor, "CONV_FROM_SEC_STOR")
            self.noop["CONV_FROM_SEC_STOR"] += 1
            ns += self.case.costs.noop
        if self.referenced[page]:
            return ns + self.case.costs.retry
        self.call(actor, command)
        self.state[page] = OWN
        return ns + cost

    def unpack(self) -> Process:
        """Import the boot image. A page that the clean-up thread holds is busy."""
        case = self.case
        for page in range(case.image_at, case.image_at + case.image):
            while self.state[page] != OWN:
                yield self.env.timeout(self.import_page(page, "QEMU", "UNPACK_IMG", case.costs.import_decrypt))

    def vcpu(self, part: int) -> Process:
        """Touch a part of the memory. Each access that raises an exception is tried again after its handler."""
        timeout, costs, state, actor = self.env.timeout, self.case.costs, self.state, f"vCPU {part}"
        for page in self.case.bounds(part):
            while state[page] != OWN:
                violation = state[page] == OLD
                yield timeout(costs.exception)
                if violation:
                    yield timeout(self.destroy_page(page, actor))
                else:
                    yield timeout(self.import_page(page, actor, "CONV_TO_SEC_STOR", costs.import_clear))
            yield timeout(costs.touch)


def play(case: Reboot) -> Outcome:
    """Let SimPy play a reboot."""
    env = simpy.Environment()
    guest = Guest(env, case)
    env.process(guest.qemu())
    env.run()
    return Outcome(guest.uvcs, guest.noop, guest.refused, int(guest.downtime), int(guest.cleanup), int(env.now))
