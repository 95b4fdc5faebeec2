"""By hand: the single commands of Linux 6.2 that QEMU calls for a reset, its threads, and its helper process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._core import Task
from .actors import HELPER, QEMU
from .kernel.structs import Answer
from .units import shown

if TYPE_CHECKING:
    from .machine import Machine


class AsyncCommands:
    """What `Machine.reboot` and `Machine.exit` are made of, for those who want another order."""

    def prepare(self: Machine) -> Answer:
        """Set the guest's configuration aside: KVM_PV_ASYNC_CLEANUP_PREPARE.

        The guest then starts as a normal one. `perform` cleans up.

        Returns
        -------
        Answer
            What the kernel answers: r (0, or a negative error number), and the Ultravisor's rc and rrc. A kernel that
            does not know the command answers -ENOTTY.

        Raises
        ------
        RuntimeError
            If the process has exited.
        """
        self._need(self.alive, "the process has exited")
        answer: Answer = self._do(self.qemu.preparing(), QEMU)
        return answer

    def perform(self: Machine) -> Task:
        """Start a thread of QEMU that cleans up after what is set aside: KVM_PV_ASYNC_CLEANUP_PERFORM.

        Returns
        -------
        Task
            It has not run yet: `step` or `run` it. Its ``value`` becomes the kernel's answer.

        Raises
        ------
        RuntimeError
            If the process has exited.
        """
        self._need(self.alive, "the process has exited")
        return self.qemu.start_perform()

    def disable(self: Machine) -> Answer:
        """End the guest's configuration, and all that is set aside or left over: KVM_PV_DISABLE.

        For a guest that isn't protected the kernel answers -EINVAL, and ends nothing. `reboot` doesn't ask then.

        Raises
        ------
        RuntimeError
            If the process has exited.
        """
        self._need(self.alive, "the process has exited")
        flow = self.resetting() if self.kvm.pv.handle else self.kernel.kvm_pv_disable(self.kvm)
        answer: Answer = self._do(flow, QEMU)
        return answer

    def kill_thread(self: Machine, task: Task | None = None) -> None:
        """Send a thread with `perform`, and it alone, a fatal signal: it ends when it next looks for signals.

        Linux kills all threads of a process at once. A thread that dies alone belongs to another process, one that
        shares the descriptor and the memory.

        Parameters
        ----------
        task : Task, optional
            What `perform` returned; default: the one that was started last and has not ended.

        Raises
        ------
        ValueError
            If it is no such thread.
        RuntimeError
            If there is none.
        """
        performing = self.qemu.performing
        self._need(performing, "no thread performs a clean-up: perform() first")
        if task is not None and not (isinstance(task, Task) and task in performing):
            raise ValueError(f"task={shown(task)}: use what perform() returned, as long as it runs, or None")
        self.qemu.kill_thread(task or performing[-1])

    def start_helper(self: Machine) -> None:
        """Start QEMU's helper, a process that shares the memory, and removes it when QEMU has exited.

        Raises
        ------
        RuntimeError
            If the process has exited, or has a helper already.
        """
        self._need(self.alive, "the process has exited")
        self._need(not self.qemu.helper, "there is a helper already")
        self.qemu.start_helper()

    def kill_helper(self: Machine) -> None:
        """Kill the helper. If QEMU is still there, nothing happens yet: QEMU removes the memory when it exits.

        Raises
        ------
        RuntimeError
            If there is no helper that could be killed.
        """
        self._need(self.alive and self.qemu.helper, "there is no helper, or it is exiting already")
        self._do(self.qemu.helper_exiting(), HELPER)


__all__ = ["AsyncCommands"]
