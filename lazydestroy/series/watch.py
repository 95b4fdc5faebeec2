"""What a step looks at, while it runs on a small machine: the frames, and the parts of what all tasks share.

All that the kernel's code reads is an attribute of one of these structures or a page's record. So the structures'
classes are exchanged, while a step runs, for ones that note what is read; `Memory.touched` notes the frames, and which
fields of their records (`lazydestroy.series.fields`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import TYPE_CHECKING, Any

from ..kernel.structs import Gmap, Kvm, Mm, MmContext, Pv, Struct, Vcpu
from ..ultravisor import Ultravisor
from ..userspace import Qemu
from .fields import Touched, unnoted
from .state import Process

if TYPE_CHECKING:
    from ..machine import Machine

ALWAYS = ("locks", "listed", "layers")
"""Parts that a step is taken to look at in any case: the engine does so by itself, and a layer's own attributes differ
from layer to layer."""

TASKS, VCPUS = "tasks", "vCPUs"
"""Noted if a step looks at all the other tasks, or at those of vCPUs."""

_UV = {
    **dict.fromkeys(("configurations", "cpus", "tables"), "uv"),
    "marked": "marks",
    **dict.fromkeys(("_configurations_made", "_cpus_made"), "made"),
    "faults": "faults",
}
_PARTS: dict[type, dict[str, str]] = {
    Mm: {
        "mm_users": "users",
        "mm_count": "count",
        "freed": "freed",
        "swap": "swap",
        "notifier_subscriptions": "notified",
    },
    MmContext: {"is_protected": "protected", "pv_sync_destroy": "sync"},
    Kvm: {"pv": "vm"},
    Gmap: dict.fromkeys(("asce", "crst_list", "dangling", "guest_handle", "host_to_guest", "table"), "vm"),
    Pv: dict.fromkeys(Pv.__slots__, "vm"),
    Vcpu: dict.fromkeys(("handle", "sida", "stor_base"), "vm"),
    Ultravisor: _UV,
    Qemu: {
        "alive": "flags",
        "guest_up": "flags",
        "vcpu_tasks": VCPUS,
        "performing": TASKS,
        "main": TASKS,
        **dict.fromkeys(Process._fields, "process"),
    },
}
"""The part of what all share that an attribute belongs to. Other attributes never change."""

_OF_A_MACHINE = {
    "old": "flags",
    "gmaps": "vm",
    "_injected": "injected",
    "tasks": TASKS,
}


_ROWS = {"_there": "uv", "_coming": "faults", "injected": "injected"}
"""Functions that look at the rows of their first argument only, in a part (`lazydestroy.series.state.IN_ROWS`)."""


def _noting(kind: type[Any]) -> type[Any]:
    """A class like `kind` whose objects note what is read of them, in the `touched` of their memory."""
    parts = next((_PARTS[base] for base in kind.__mro__ if base in _PARTS), _OF_A_MACHINE)
    memory = "_memory" if issubclass(kind, Struct) else "memory"
    get = object.__getattribute__

    def look(self: object, name: str) -> Any:
        part = parts.get(name)
        if part is not None:
            get(self, memory).touched.note(part)
        return get(self, name)

    rows = {name: _noting_rows(getattr(kind, name), part) for name, part in _ROWS.items() if hasattr(kind, name)}
    own = {"__slots__": (), "__getattribute__": look, "__module__": kind.__module__}
    return type(kind.__name__, (kind,), {**own, **rows})


def _noting_rows(function: Callable[..., Any], part: str) -> Callable[..., Any]:
    """A function that notes the rows that it looks at, instead of the whole part."""

    def look(self: Any, whose: Any, *more: Any) -> Any:
        memory = object.__getattribute__(self, "memory")
        touched = memory.touched
        touched.note((part, whose))
        memory.touched = Touched()
        try:
            return function(self, whose, *more)
        finally:
            memory.touched = touched

    return look


_NOTING: dict[type[Any], type[Any]] = {}


@contextmanager
def watching(machine: Machine) -> Iterator[Touched]:
    """Note what is looked at or changed meanwhile, in order.

    These are numbers of frames, names of parts, and functions that were applied to every frame by itself
    (`Memory.change`). If only rows of a part were read, it is a pair: the part's name, and whose rows. A change of a
    part is not noted if nothing was read of it.

    Yields
    ------
    Touched
        With both sets of fields full for a part, and for a frame whose record was put aside as a whole.
    """
    kvm, memory = machine.kvm, machine.memory
    mm, vm = machine.mm, (kvm, kvm.gmap, kvm.pv, *kvm.vcpus)
    watched: list[object] = [machine, machine.uv, machine.qemu, mm, mm._context, *vm]
    kinds: list[type[Any]] = [type(each) for each in watched]
    for kind in kinds:
        if kind not in _NOTING:
            _NOTING[kind] = _noting(kind)
    memory.touched = touched = Touched()
    touched.whole(ALWAYS)
    # what a walk knows of when it is to stop, it asks again: else it would not be seen what it asked
    memory.context_changed()
    for each, kind in zip(watched, kinds, strict=True):
        object.__setattr__(each, "__class__", _NOTING[kind])
    try:
        yield touched
    finally:
        memory.touched = None
        for each, kind in zip(watched, kinds, strict=True):
            object.__setattr__(each, "__class__", kind)
        mm.swap.update({entry: unnoted(record) for entry, record in mm.swap.items()})


def sweep_of(functions: list[Any]) -> Hashable | None:
    """What functions that were applied to every frame do, as plain data. None: it cannot be told."""
    told = []
    for function in functions:
        if not isinstance(function, FunctionType) or function.__defaults__ or function.__kwdefaults__:
            return None
        values = tuple(cell.cell_contents for cell in function.__closure__ or ())
        if not all(value is None or isinstance(value, bool | int | str) for value in values):
            return None
        told.append((function.__module__, function.__qualname__, function.__code__.co_firstlineno, values))
    return tuple(told)


__all__ = ["TASKS", "VCPUS", "sweep_of", "watching"]
