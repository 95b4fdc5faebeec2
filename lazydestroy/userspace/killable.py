"""The QEMU of the scenarios: it has more threads than its vCPUs, and can be killed while it is in the kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .._core import Task
from ..kernel.structs import Flow
from .qemu import Qemu

if TYPE_CHECKING:
    from ..machine import Machine


class KillableQemu(Qemu):
    """A QEMU that may be killed at any moment, and says how its end goes on.

    Parameters
    ----------
    machine : Machine
        What it runs on.
    tell : callable
        Called with "killed" just before the process is killed, with "exiting" when it begins to exit, and with "gone"
        when ``wait()`` returns.

    Attributes
    ----------
    threads : list of Task
        They end with the process, like the vCPUs.
    in_kernel : bool
        QEMU is in an ioctl.
    doomed : bool
        It was killed meanwhile, and exits when the ioctl is over.
    killed_at : int
        When it was killed, or exited by itself.
    """

    def __init__(self, machine: Machine, tell: Callable[[str], object]) -> None:
        super().__init__(machine)
        self.tell = tell
        self.threads: list[Task] = []
        self.in_kernel = self.doomed = False
        self.killed_at = 0

    def kill(self) -> None:
        """End the process, its other threads first."""
        if self.alive:
            self.killed_at = self.machine.now
            self.tell("killed")
            self.stop_other_threads()
        super().kill()

    def stop_other_threads(self) -> None:
        """End all other threads, even one that has not acted yet; one that holds a lock goes on until it lets go."""
        for task in self.threads:
            if not task.holds_lock:
                self.machine.engine.kill(task)

    def killed_from_outside(self) -> None:
        """SIGKILL. Whoever is in an ioctl comes to its end first."""
        if self.alive and self.in_kernel:
            self.doomed = True
            self.stop_other_threads()
        else:
            self.kill()

    def ioctl(self, flow: Flow) -> Flow:
        """Have the kernel do something. `alive` says whether QEMU comes back from there."""
        self.in_kernel = True
        answer = yield from flow
        yield  # what it did last takes its time
        self.in_kernel = False
        if self.doomed:
            self.kill()
        return answer

    def asking(self, flow: Flow) -> Flow:
        """One ioctl: a process that ends in it goes no further, as if it had failed."""
        answer = yield from self.ioctl(flow)
        return answer or not self.alive

    def exiting(self) -> Flow:
        """As for any QEMU."""
        self.tell("exiting")
        yield from super().exiting()

    def gone(self) -> None:
        """``wait()`` returns."""
        self.tell("gone")
