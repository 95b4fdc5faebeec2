"""What every program of a machine is: an address space, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..kernel.structs import Flow, Mm

if TYPE_CHECKING:
    from ..machine import Machine


class Process:
    """An address space and the program that runs in it.

    Parameters
    ----------
    machine : Machine
        What it runs on.
    mm : Mm
        Its address space.

    Attributes
    ----------
    alive : bool
        It has not begun to exit.
    """

    name: ClassVar[str] = "process"

    def __init__(self, machine: Machine, mm: Mm) -> None:
        self.machine = machine
        self.memory = machine.memory
        self.mm = mm
        self.alive = True

    def kill(self) -> None:
        """End the process: its threads stop, and it exits as a task of its own."""
        if not self.alive:
            return
        machine = self.machine
        self.memory.context_changed()
        self.alive = False
        now = machine.engine.now
        self.stop_threads()
        machine.stop_current()
        machine.engine.spawn(self.exiting(), f"{self.name} exits", now)

    def stop_threads(self) -> None:
        """Let none of its threads act any more. A plain process has none but the one that acts."""

    def exiting(self) -> Flow:
        """The process ends, and with it its use of the address space."""
        self.alive = False
        yield from self.machine.kernel.mmput(self.mm)
