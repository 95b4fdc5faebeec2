"""What QEMU does with the two commands of Linux 6.2, and how a process of several threads ends.

A reset calls KVM_PV_ASYNC_CLEANUP_PREPARE and starts a thread for KVM_PV_ASYNC_CLEANUP_PERFORM (`preparing`,
`start_perform`). If that cannot be, KVM_PV_DISABLE is left (`Qemu.unprotecting`). Source: target/s390x/kvm/pv.c of
QEMU, commit c3a073c610. A helper process (`start_helper`) may share the address space, so that the end of QEMU is not
the end of its memory: ``-run-with async-teardown=on``, commit c891c24b1a.

Who holds what decides when things end. Each thread holds the address space and the table of open files. When the last
thread has let go of the files, QEMU's descriptors are closed. But the run area of each vCPU is mapped, and a mapping
holds its file, and so the VM: with a helper, the VM goes only when the address space has gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..actors import ASYNC_CLEANUP, HELPER, QEMU_EXITS, numbered
from ..errnos import EBADF, ENOTTY, errorcode
from ..kernel.structs import Answer, Flow, Kvm, Mm
from .process import Process

if TYPE_CHECKING:
    from .._core import Task
    from ..machine import Machine


class ThreadedProcess(Process):
    """A process with a VM, with threads that perform clean-ups, and perhaps with a helper.

    Attributes
    ----------
    kvm : Kvm
        Its VM.
    performing : list of Task
        Threads with PERFORM that have not ended.
    performed : int
        How many such threads there have ever been.
    answers : dict of Task to Answer
        What PERFORM answered to each.
    sharing_files : int
        Threads that share the table of open files, the main one among them.
    descriptors : bool
        Whether the VM's descriptors are open.
    ioctls : int
        PERFORMs that have entered the kernel and not come back: each holds the descriptor that it was given.
    mapped : bool
        Whether a vCPU's run area is mapped, and counts. Only with a helper does that make a difference.
    helper, helper_follows : bool
        Whether a helper process shares the address space; whether it exits by itself when QEMU is gone.
    has_vm : bool
        Whether the VM is still there.
    """

    kvm: Kvm

    def __init__(self, machine: Machine, mm: Mm) -> None:
        super().__init__(machine, mm)
        self.performing: list[Task] = []
        self.performed = 0
        self.answers: dict[Task, Answer] = {}
        self.sharing_files = 1
        self.descriptors = self.has_vm = self.helper_follows = True
        self.ioctls = 0
        self.mapped = self.helper = False

    # What a reset and a clean-up ask of the kernel

    def preparing(self) -> Flow:
        """Set the guest's configuration aside: KVM_PV_ASYNC_CLEANUP_PREPARE. Returns the kernel's `Answer`."""
        self.set_aside_running()
        answer: Answer = yield from self._command("kvm_pv_async_cleanup_prepare")
        self._let_go()
        return answer

    def _command(self, name: str) -> Flow:
        """One command of KVM_S390_PV_COMMAND; a kernel that does not know it answers -ENOTTY."""
        command = getattr(self.machine.kernel, name, None)
        return Answer(-ENOTTY) if command is None else (yield from command(self.kvm))

    def set_aside_running(self) -> None:
        """From now on the running configuration's pages count as old, as not yet clean."""
        pv = self.kvm.pv
        if pv.handle:
            self.machine.configuration_ended(pv.handle, pv.stor_base[1] + pv.stor_var[1])

    def _let_go(self) -> None:
        """The VM is done with its old configurations."""
        self.machine.configurations_set_aside(self.kvm.pv.handle)

    def start_perform(self, exits_on_error: bool = False) -> Task:
        """Start a thread that cleans up after what is set aside: KVM_PV_ASYNC_CLEANUP_PERFORM.

        It has not run yet. The value of the task is the `Answer` that it got. `exits_on_error`: whether the process
        ends if that is an error, as QEMU does.
        """
        self.machine.kernel.mmget(self.mm)
        self.sharing_files += 1
        self.performed += 1
        name = numbered(ASYNC_CLEANUP, self.performed)
        task = self.machine.engine.spawn(self._perform(exits_on_error), name, self.machine.now)
        self.performing.append(task)
        return task

    def _perform(self, exits_on_error: bool) -> Flow:
        """The thread's life: the command, then its own end."""
        task = self.machine.engine.current
        assert task is not None, "the thread itself acts"
        answer = Answer(-EBADF)
        if self.descriptors:
            self.ioctls += 1
            answer = yield from self._command("kvm_pv_async_cleanup_perform")
            self.ioctls -= 1
            yield from self._destroy_vm_if_unused()
        self.answers[task] = answer
        self.performing.remove(task)
        if answer.r and exits_on_error and self.alive:
            name = errorcode[-answer.r]
            self.machine.event("userspace", f"KVM_PV_ASYNC_CLEANUP_PERFORM answers -{name}: {QEMU_EXITS}")
            self.kill()
        yield from self.leaving()
        return answer

    def kill_thread(self, task: Task) -> None:
        """Send one thread, and it alone, a signal that ends it: it acts on that when it next looks for signals."""
        self.memory.context_changed()
        self.machine.fatal_signals |= {task}

    # How it ends

    def exiting(self) -> Flow:
        """The process is killed: all its threads get the signal. The main one goes at once, the others when they look.

        Its address space goes with the last of them, and then the file descriptors, the VM's among them.
        """
        self.alive = False
        self.set_aside_running()
        if self.sharing_files > 1:
            for task in self.performing:
                self.kill_thread(task)
        yield from self.leaving()
        self._let_go()

    def leaving(self) -> Flow:
        """A thread ends: it lets go of the address space, then of the files. With the last one the process is gone."""
        yield from self.machine.kernel.mmput(self.mm)
        self.sharing_files -= 1
        if self.sharing_files:
            return
        self.descriptors = False
        yield from self._destroy_vm_if_unused()
        if self.helper and self.helper_follows:
            self.machine.engine.spawn(self.helper_exiting(), HELPER)
        self.gone()

    def gone(self) -> None:
        """The last thread has ended: ``wait()`` returns."""

    def _destroy_vm_if_unused(self) -> Flow:
        """The VM goes with the last of what holds it: descriptors, commands in progress, mappings."""
        held = self.descriptors or self.ioctls or (self.mapped and self.mm.mm_users)
        if self.has_vm and not held:
            self.has_vm = False
            yield from self.machine.kernel.kvm_arch_destroy_vm(self.kvm)

    def closing(self) -> Flow:
        """QEMU closes its VM, unmaps the vCPUs' run areas, and lives on."""
        self.set_aside_running()
        self.descriptors = self.mapped = False
        yield from self._destroy_vm_if_unused()
        self._let_go()

    def start_helper(self, mapped: bool = True, follows: bool = True) -> None:
        """Start a process that shares the address space (clone with CLONE_VM), but not the files.

        `mapped`: whether a vCPU's run area is mapped, and so holds the VM. `follows`: whether the helper exits by
        itself when QEMU is gone, as QEMU's does; else run `helper_exiting`.
        """
        self.machine.kernel.mmget(self.mm)
        self.helper, self.mapped, self.helper_follows = True, mapped, follows

    def helper_exiting(self) -> Flow:
        """The helper ends. If nobody else uses the address space, it is removed in the helper's time."""
        self.helper = False
        yield from self.machine.kernel.mmput(self.mm)
        yield from self._destroy_vm_if_unused()


__all__ = ["ThreadedProcess"]
