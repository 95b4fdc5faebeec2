"""A machine whose process is more than its vCPUs, and can be killed while it is in the kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._core import Task
from ..kernel.structs import Flow
from ..machine import Machine
from ..page import PAGE_SHIFT, PAGE_SIZE
from ..ultravisor import Interruption

RAISED = "raised"
"""Stands for the outcome of a call where an interruption is counted."""


def at_once(function: Callable[..., Any], *arguments: Any) -> Flow:
    """A flow of a function that has no waiting point."""
    return function(*arguments)
    yield


class Host(Machine):
    """A machine whose process is more than its vCPUs, and can be killed while it is in the kernel.

    Attributes
    ----------
    threads_of_process : list of Task
        They end with the process, like the vCPUs.
    in_kernel : bool
        QEMU is in an ioctl.
    doomed : bool
        It was killed meanwhile, and exits when the ioctl is over.
    killed_at : int
        When it was killed, or exited by itself.
    when_killed, when_exiting, when_gone : callable
        Called just before the process is killed; when it begins to exit; when ``wait()`` returns.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.threads_of_process: list[Task] = []
        self.in_kernel = self.doomed = False
        self.killed_at = 0
        self.when_killed: Callable[[], object] = lambda: None
        self.when_exiting: Callable[[], object] = lambda: None
        self.when_gone: Callable[[], object] = lambda: None
        super().__init__(*arguments, **options)

    def kill(self) -> None:
        """End the process, its other threads first."""
        if self.alive:
            self.killed_at = self.now
            self.when_killed()
            self.stop_threads()
        super().kill()

    def stop_threads(self) -> None:
        """End all other threads, even one that has not acted yet; one that holds a lock goes on until it lets go."""
        for task in self.threads_of_process:
            if not task.holds_lock:
                self.engine.kill(task)

    def killed_from_outside(self) -> None:
        """SIGKILL. Whoever is in an ioctl comes to its end first."""
        if self.alive and self.in_kernel:
            self.doomed = True
            self.stop_threads()
        else:
            self.kill()

    def ioctl(self, flow: Flow) -> Flow:
        """QEMU has the kernel do something. `alive` says whether it comes back from there."""
        self.in_kernel = True
        answer = yield from flow
        yield  # what it did last takes its time
        self.in_kernel = False
        if self.doomed:
            self.kill()
        return answer

    def protecting(self, first: int, pages: int) -> Flow:
        """As for any machine, one ioctl after the other: the process may end after each."""
        kernel, kvm = self.kernel, self.kvm
        self.engine.doing("makes the guest protected")
        failed = yield from self.ioctl(kernel.kvm_pv_enable(kvm))
        if failed or not self.alive:
            return False
        failed = yield from self.ioctl(kernel.kvm_pv_set_sec_parms(kvm, kvm.sca << PAGE_SHIFT, PAGE_SIZE))
        if failed or not self.alive:
            return False
        self.engine.doing("unpacks the image")
        failed = yield from self.ioctl(kernel.kvm_pv_unpack(kvm, first, pages))
        if failed or not self.alive:
            return False
        failed = yield from self.ioctl(kernel.kvm_pv_verify(kvm))
        return not failed and self.alive

    def exiting(self) -> Flow:
        """As for any machine; then ``wait()`` returns."""
        self.when_exiting()
        yield from super().exiting()
        self.when_gone()

    def raised(self, interruption: Interruption) -> None:
        """Count what was raised among the calls, so that steps from the table count, too."""
        super().raised(interruption)
        self.engine.called(interruption, RAISED, 0)
