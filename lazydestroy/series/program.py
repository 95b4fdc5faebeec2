"""What userspace does on the machine of a search: as QEMU does, or in any order that the kernel allows.

`Qemu` knows how QEMU resets a guest. What is added here is what only a search needs: the program may be killed while it
is in an ioctl; it may be another than QEMU, that gives each command by itself; and it tells what the kernel answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errnos import errorcode
from ..kernel.kvm import KVM_CAP_S390_PROTECTED_ASYNC_DISABLE
from ..kernel.structs import Answer, Flow
from ..machine import Machine
from ..userspace import Qemu

if TYPE_CHECKING:
    from .._core import Task


class Program(Qemu):
    """A program with a VM, which may be killed while it is in an ioctl.

    Attributes
    ----------
    in_kernel : bool
        Its main thread is in an ioctl.
    doomed : bool
        It has been killed meanwhile, and exits when the ioctl is over.
    main : Task or None
        What its main thread does, or did last.
    said : list of str
        What the kernel has answered since somebody last looked: refusals, and what came of the command after one.
    """

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.in_kernel = self.doomed = False
        self.main: Task | None = None
        self.said: list[str] = []

    @property
    def sets_aside(self) -> bool:
        """Whether the kernel can set a configuration aside."""
        return bool(self.machine.kernel.kvm_vm_ioctl_check_extension(KVM_CAP_S390_PROTECTED_ASYNC_DISABLE))

    # What it asks of the kernel

    def asking(self, flow: Flow) -> Flow:
        """One ioctl: a program that ends in it goes no further, as if it had failed."""
        self.in_kernel = True
        answer = yield from flow
        self.in_kernel = False
        if self.doomed:
            self.doomed = False
            self.kill()
        return answer or not self.alive

    def preparing(self) -> Flow:
        """PREPARE, and what it answers."""
        return (yield from self._telling("PREPARE", super().preparing()))

    def resetting(self) -> Flow:
        """DISABLE, and what it answers."""
        return (yield from self._telling("DISABLE", super().resetting()))

    def _telling(self, command: str, flow: Flow) -> Flow:
        answer: Answer = yield from flow
        if self.sets_aside and (answer.r or self.said):
            self.said.append(f"{command} answers {in_words(answer)}")
        return answer

    # What it does

    def protects(self, may_fail: bool) -> Flow:
        """The guest goes protected. If that may fail and does, it goes on as a normal one. Returns whether all is well.

        Source: s390_machine_protect in hw/s390x/s390-virtio-ccw.c of QEMU.
        """
        if (yield from self.protecting(0, 1)) or not self.alive:
            return True
        if may_fail:
            yield from self.resets()
        return may_fail

    def resets(self) -> Flow:
        """The guest is reset as QEMU does it. If even DISABLE is refused, QEMU exits.

        Source: s390_pv_cmd_exit in target/s390x/kvm/pv.c of QEMU.
        """
        answer: Answer = yield from self.unprotecting()
        if answer.r and self.alive:
            self.machine.kill()

    # How it ends

    def kill(self) -> None:
        """End the process; if it is in an ioctl, its main thread ends when that is over, the others when they look."""
        if not self.in_kernel:
            super().kill()
            return
        self.doomed = True
        for task in self.performing:
            self.kill_thread(task)

    def stop_threads(self) -> None:
        """The main thread goes, too, if another one has ended the process."""
        super().stop_threads()
        if self.sharing_files > 1 and self.main is not None and self.main is not self.machine.engine.current:
            self.machine.engine.kill(self.main)


class SearchedMachine(Machine):
    """A machine on which a `Program` runs."""

    qemu: Program

    def _start_qemu(self) -> Program:
        return Program(self)


def in_words(answer: Answer) -> str:
    """What userspace hears."""
    return f"-{errorcode[-answer.r]}" if answer.r else "0"


__all__ = ["Program", "SearchedMachine", "in_words"]
