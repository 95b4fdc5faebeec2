"""The machine of a scenario: its process can be killed at any moment, and tells how its end goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..machine import Machine
from ..ultravisor import Interruption
from ..userspace.killable import KillableQemu

RAISED = "raised"
"""Stands for the outcome of a call where an interruption is counted."""


class ScenarioMachine(Machine):
    """A machine with a `KillableQemu`, which counts the interruptions, too.

    Attributes
    ----------
    when : dict of str to callable
        What is called when a process is about to be "killed", begins to exit ("exiting"), or is "gone".
    """

    qemu: KillableQemu

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.when: dict[str, Callable[[], object]] = {}
        super().__init__(*arguments, **options)

    def _require(self, host_len: int) -> None:
        """Nothing more: the stage has asked for this, and for what a run needs besides, and that takes its time."""

    def _start_qemu(self) -> KillableQemu:
        return KillableQemu(self, self._told)

    def _told(self, moment: str) -> None:
        if moment in self.when:
            self.when[moment]()

    def raised(self, interruption: Interruption) -> None:
        """Count what was raised among the calls, so that steps from the table count, too."""
        super().raised(interruption)
        self.engine.called(interruption, RAISED, 0)
