"""What searches have learned, and said, kept for the next one in this process that can use it.

A search that knows what steps do sees the same states, in the same order, and takes less than half of the time. What is
kept holds for one kernel and one machine. A layer that is not this package's is never kept: it could look at a variable
of your notebook that you have changed since. And what is kept no longer counts when the code is another than then, for
instance because you have replaced a function: of the machine, of what must hold, or of a module that these use. What is
not noticed is a list or a dict of the package that was changed in place, and a function of another package.

Two threads never share what is kept: a search takes it off the shelf, and puts it back at its end.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

from ..layers import Layer, Series, function_of
from .bounds import Bounds
from .following import Following
from .learned import Learned
from .picture import Pictures
from .world import World, machine_of

AT_MOST = 4
"""Kernels, each on one machine, of which it is kept what was learned last; and verdicts of each."""

MANY = 20_000
"""Things in pictures: a search that has met more is too large to be kept. One in a lesson meets some hundreds."""


class _Code(dict[Any, Any]):
    """What runs: functions and constants, by where they are. It is the same only if each of them is the same object."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Code) or self.keys() != other.keys():
            return False
        return all(value is other[key] for key, value in self.items())

    __hash__ = None


class _Label(NamedTuple):
    """What must be the same, so that what was learned holds."""

    kernel: Series
    machine: dict[str, Any]
    userspace: str
    code: _Code


class Kept(NamedTuple):
    """What searches of a kernel on a machine have left.

    Attributes
    ----------
    label : tuple
    pictures : Pictures
    learned : Learned
    verdicts : dict
        What the searches said, by the kernel's name, the bounds, and the states after which one is given up.
    """

    label: _Label
    pictures: Pictures
    learned: Learned
    verdicts: dict[Hashable, Any]


class Shelf:
    """Keeps what searches have learned."""

    def __init__(self) -> None:
        self._kept: list[Kept] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, kernel: Series, bounds: Bounds) -> Kept | None:
        """Take what is known of a kernel on a machine; None if nothing is there."""
        if not _ours(kernel):
            return None
        label = _label(kernel, bounds)
        with self._lock:
            kept = next((kept for kept in self._kept if kept.label == label), None)
            if kept is not None:
                self._kept = [other for other in self._kept if other is not kept]
        return kept

    def put(self, search: Following, verdicts: dict[Hashable, Any]) -> None:
        """Keep what a search has learned, and the last of the verdicts. What was put there first goes."""
        if not search.learn or not _ours(search.kernel) or len(search.pictures.things) > MANY:
            return
        search.learned.forget_pictures()
        label = _label(search.kernel, search.bounds)
        last = dict(list(verdicts.items())[-AT_MOST:])
        self.put_back(Kept(label, search.pictures.within(search.bounds), search.learned, last))

    def put_back(self, kept: Kept) -> None:
        """Put something where it was taken from."""
        with self._lock:
            others = [other for other in self._kept if other.label != kept.label]
            self._kept = [*others, kept][-AT_MOST:]

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._kept = []


def _ours(kernel: Series) -> bool:
    """Whether all layers are this package's own."""
    return all(layer.__module__.startswith(f"{__package__}.") for layer in kernel.layers)


def _label(kernel: Series, bounds: Bounds) -> _Label:
    return _Label(kernel, machine_of(bounds), bounds.userspace, _code(World(kernel, bounds)))


def _code(world: World) -> _Code:
    """What runs on a machine and looks at it: its classes, and all of this package that their functions name."""
    machine = world.machine
    mm, kvm = machine.mm, machine.kvm
    parts = machine, machine.kernel, machine.uv, machine.qemu, mm, mm._context, kvm, kvm.gmap, kvm.pv, *kvm.vcpus
    left: list[type | FunctionType] = [kind for each in (world, world.pictures, *parts) for kind in type(each).__mro__]
    code, met = _Code(), set(left)
    while left:
        each = left.pop()
        for where, value in _named(each):
            if code.setdefault(where, value) is value and isinstance(value, type | FunctionType) and value not in met:
                met.add(value)
                if value.__module__.partition(".")[0] == _PACKAGE:
                    left.append(value)
    return code


def _named(each: type | FunctionType) -> Iterator[tuple[Any, Any]]:
    """What is in a class, or what a function names in its module or in a module that it knows; and where that is."""
    if isinstance(each, type):
        if each not in _PLAIN:
            for name, value in vars(each).items():
                yield (each, name), value
                if (function := function_of(each, name)) is not None:
                    yield (each, name, "function"), function
        return
    known, codes = each.__globals__, [each.__code__]
    for code in codes:
        codes.extend(inner for inner in code.co_consts if isinstance(inner, CodeType))
        for name in code.co_names:
            if name in known:
                yield (each.__module__, name), known[name]
                if isinstance(known[name], ModuleType):
                    there = vars(known[name])
                    yield from (((known[name], inside), there[inside]) for inside in code.co_names if inside in there)


_PLAIN = (object, Layer)

_PACKAGE = __package__.partition(".")[0]

SHELF = Shelf()
"""That of this process."""

__all__ = ["SHELF", "Kept", "Shelf"]
