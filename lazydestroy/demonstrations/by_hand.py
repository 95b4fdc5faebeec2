"""Experiments that no scenario has: a machine whose guest has used all of its memory, driven by hand."""

from __future__ import annotations

from typing import Any

from ..costs import Costs
from ..kernel.structs import Answer, Flow
from ..machine import Machine
from ..page import PAGE_SIZE, Holder
from ..scenarios.stage import use_memory
from ..series import Series
from ..units import shown, size
from ..uvcb import UVC

REFUSED = 0x111
"""What the Ultravisor answers to a call that is told to fail; which code it is does not matter."""


def booted(kernel: Series, memory: int | str, costs: Costs | None, **options: Any) -> Machine:
    """A machine whose guest runs, and is not protected.

    Raises
    ------
    ValueError
        If a value is not accepted, or the guest does not fit into the host.
    """
    if costs is not None and not isinstance(costs, Costs):
        raise ValueError(f"costs={shown(costs)}: use ld.Costs(...), such as ld.Costs(destroy='1.5 us')")
    memory = size(memory, "memory", multiple_of=PAGE_SIZE)
    machine = Machine(memory, kernel=kernel, costs=costs, small_storage=False, **options)
    machine.boot()
    return machine


def protected(
    kernel: Series, memory: int | str, costs: Costs | None, failing: str | None = None, **options: Any
) -> Machine:
    """A machine with a protected guest, all of whose pages are secure; `failing` is an allocation that fails once."""
    machine = booted(kernel, memory, costs, **options)
    if failing is not None:
        machine.fail_allocation(failing)
    machine.protect()
    use_memory(machine, machine.guest_pages)
    return machine


def done(machine: Machine, flow: Flow) -> Answer:
    """What the kernel answers to QEMU's main thread. Other tasks go on meanwhile."""
    task = machine.engine.spawn(flow, "QEMU", machine.now)
    machine.run()
    answer: Answer = task.value
    return answer


def ended(machine: Machine) -> None:
    """Kill the process, and let all that comes of it happen."""
    machine.kill()
    machine.run()


def calls(machine: Machine, command: UVC, *outcomes: str) -> int:
    """How many calls of a command the host has made, of all outcomes or of some."""
    made = machine.engine.calls().items()
    return sum(number for (each, outcome), number in made if each == command and (not outcomes or outcome in outcomes))


def held(machine: Machine, holder: Holder) -> int:
    """How many pages of the host somebody holds."""
    return sum(pages for record, pages in machine.memory.records().items() if record.holder == holder)


def told(machine: Machine, kind: str, words: str = "") -> int:
    """How many events of a kind there were, with these words in their text."""
    return sum(event.kind == kind and words in event.text for event in machine.events)
