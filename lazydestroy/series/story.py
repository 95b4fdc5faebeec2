"""What has been done on a machine that is searched: actions, who acts, and what no kernel code can see."""

from __future__ import annotations

from typing import Any, NamedTuple

Action = tuple[Any, ...]
"""What happens next: its name, and what it is about. ("step", n) lets task n go on."""

Role = tuple[str, int]
"""What a task is for, and the guest page that it is about (-1: none)."""

KERNEL: Role = ("kernel", -1)
"""Role of a task that the kernel started by itself, and of an exiting QEMU."""

PERFORM: Role = ("PERFORM", -1)
"""Role of a thread that performs a clean-up."""

ENDING = ("reset", "prepare", "disable")
"""Actions, and roles, of a program that ends a configuration and lives on."""

OF_A_TASK = ("step", "kill")
"""Actions that are about a task: they name it."""

BUSY = ("protect", "close", *ENDING)
"""Roles of QEMU during which the guest does not run, and nothing else begins."""


_UNTOLD = ("touch", "share", "io", "swap")
"""Actions that add nothing to a story, unless something is told to fail."""


class Story(NamedTuple):
    """What has happened so far and no kernel code can see; it decides what may still happen, and what must hold.

    What was told to fail is in `failed`, by name, in alphabetical order. The guest pages in `written` hold data of the
    running protected guest. Before QEMU is killed in an ioctl, `late` is 0; then it is one more than the Ultravisor
    Calls that QEMU has made since.
    """

    configurations: int = 0
    resets: int = 0
    failed: tuple[str, ...] = ()
    written: tuple[int, ...] = ()
    late: int = 0

    def after(self, action: Action, ended: list[Role], handle: int, late: int = 0) -> Story:
        """The story once `action` has been done and tasks have ended. `handle`: the configuration that the VM has then.

        `late`: Ultravisor Calls of a program that has been killed.
        """
        if action[0] in _UNTOLD and not (ended or self.late or failure_in(action)):
            return self
        configurations, resets, failed, written = self[:4]
        for name, page in ended:
            if name == "vCPU" and handle and action[0] not in ENDING:
                written = tuple(sorted({*written, page}))
            elif name == "protect" and handle:
                written = (0,)
            elif name == "prepare" and not handle:
                written = ()
        if action[0] == "protect":
            configurations += 1
        if action[0] in ENDING:
            resets += 1
        if action[0] in ("reset", "disable", "close", "exit"):
            written = ()
        late = 1 if action[0] == "kill QEMU" else self.late and self.late + late
        if failure := failure_in(action):
            failed = tuple(sorted((*failed, failure)))
        return Story(configurations, resets, failed, written, late)


def failure_in(action: Action) -> str:
    """What an action tells to fail: its last word, if that is a name. Empty: nothing."""
    return action[-1] if len(action) > 1 and isinstance(action[-1], str) else ""


__all__ = [
    "BUSY",
    "ENDING",
    "KERNEL",
    "OF_A_TASK",
    "PERFORM",
    "Action",
    "Role",
    "Story",
    "failure_in",
]
