"""What a variable adds to the state of a small machine, as plain data.

Two states are one for a search if all that could make a difference later is the same in both. So whatever a layer keeps
is told: numbers, text, containers, and objects through what `pickle` would keep of them. A part of the machine is told
by its kind, as a picture has what is in it. Anything else, such as an open file, is refused (`Hidden`): a search that
looked past it would take different states for one, and could say that a kernel holds which breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from ctypes import Structure
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from itertools import count
from operator import itemgetter
from types import BuiltinFunctionType, CellType, FunctionType, GeneratorType, MappingProxyType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from .._core import DeferredList, Engine, Lock, Memory, Table, Task
from ..costs import Costs
from ..host import Host
from ..kernel import Kernel
from ..kernel.gmap import GuestTable
from ..kernel.structs import Answer, DeferredPriv, PvVmToBeDestroyed, Struct, Vcpu
from ..layers import Series, functions_of
from ..page import Page
from ..ultravisor import Ultravisor
from ..userspace import Process

if TYPE_CHECKING:
    from ..machine import Machine


class Hidden(ValueError):
    """A layer keeps something that the search cannot look into."""


class Where(NamedTuple):
    """Which guest page a frame is; one that is none is told by its record, as frames differ by nothing else."""

    machine: Machine
    places: dict[int, int]

    def frame(self, pfn: int) -> Hashable:
        """The number of the guest page, or the frame's record."""
        place = self.places.get(pfn)
        return self.machine.memory.record(pfn) if place is None else place


_Path = tuple[int, ...]
"""The objects that one is in, by `id`."""

_How = Callable[[Any, Where, _Path], Hashable]


def attributes_of(kernel: Kernel, where: Where) -> Hashable:
    """What the layers of a kernel keep, all together.

    Raises
    ------
    Hidden
        If the search cannot look into something: says which layer keeps it, and where.
    """
    told = []
    for name, value in vars(kernel).items():
        if name != "machine":
            try:
                told.append((name, plain(value, where)))
            except _Opaque as opaque:
                raise _hidden(f"self.{name}", _who_uses(name, type(kernel)), opaque, where) from None
    return frozenset(told)


def frames_of(generator: Any, where: Where, path: _Path = ()) -> tuple[Hashable, ...]:
    """Where a function with waiting points stands, and those that it waits for: their lines and local variables.

    Raises
    ------
    Hidden
        If the search cannot look into a variable: says which one, of which function.
    """
    frames = []
    while generator is not None and (frame := getattr(generator, "gi_frame", None)) is not None:
        waits_for = generator.gi_yieldfrom
        values = []
        # in which order Python tells them depends on when it was asked before
        for name, value in sorted(frame.f_locals.items(), key=_NAME):
            try:
                values.append((name, None if value is waits_for else plain(value, where, path)))
            except _Opaque as opaque:
                raise _hidden(f"the variable {name}", f"function {generator.gi_code.co_name}", opaque, where) from None
        frames.append((generator.gi_code.co_name, frame.f_lasti, tuple(values)))
        generator = waits_for
    return tuple(frames)


_NAME = itemgetter(0)


def plain(value: Any, where: Where, path: _Path = ()) -> Hashable:
    """What a variable adds to the state."""
    kind = type(value)
    how = _HOW.get(kind)
    if how is None:
        how = _HOW[kind] = _how(kind)
    return how(value, where, path)


class _Opaque(Exception):
    """Something that cannot be told; its argument is its type."""


def _hidden(what: str, who: str, opaque: _Opaque, where: Where) -> Hidden:
    kind = opaque.args[0].__name__
    a = "an" if kind[0] in "AEIOUaeiou" else "a"
    return Hidden(
        f"kernel={where.machine.series!r}: {who} keeps {a} {kind} in {what}, and "
        "the search can't look into that; keep numbers, text, lists, dicts, or objects that hold such things"
    )


def _who_uses(name: str, kernel: type) -> str:
    """The topmost layer whose functions have to do with an attribute."""
    for layer in kernel.__mro__:
        if any(name in function.__code__.co_names for _, function in functions_of(layer)):
            return f"layer {layer.__name__}"
    return "a layer"


# How each kind of thing is told


def _itself(value: Any, _where: Where, _path: _Path) -> Hashable:
    return value


def _written(value: Any, _where: Where, _path: _Path) -> Hashable:
    """One that Python writes as it is; 1.0 is another thing than 1."""
    return type(value).__name__, repr(value)


def _part(kind: type) -> _How:
    told = (f"the machine's {kind.__name__}",)
    return lambda _value, _where, _path: told


def a_part(kind: type) -> type:
    """Say of a class that it is a part of the machine."""
    _HOW[kind] = _part(kind)
    return kind


def _sequence(value: Any, where: Where, path: _Path) -> Hashable:
    if not value:
        return ()
    inside = _inside(value, path)
    return inside if isinstance(inside, str) else tuple([plain(item, where, inside) for item in value])


def _set(value: Any, where: Where, path: _Path) -> Hashable:
    return frozenset([plain(item, where, path) for item in value])


def _dict(value: Any, where: Where, path: _Path) -> Hashable:
    """In its order: the first key is found by whoever asks for it."""
    inside = _inside(value, path)
    if isinstance(inside, str):
        return inside
    return "dict", tuple([(plain(key, where, inside), plain(item, where, inside)) for key, item in value.items()])


def _function(value: Any, where: Where, path: _Path) -> Hashable:
    inside = _inside(value, path)
    if isinstance(inside, str):
        return inside
    holds = value.__closure__, value.__defaults__, value.__kwdefaults__, vars(value)
    told = [plain(each, where, inside) for each in holds if each]
    return value.__module__, value.__qualname__, value.__code__.co_firstlineno, *told


def _cell(value: CellType, where: Where, path: _Path) -> Hashable:
    try:
        inside = value.cell_contents
    except ValueError:
        return "nothing yet"
    return plain(inside, where, path)


def _method(value: Any, where: Where, path: _Path) -> Hashable:
    return "method", value.__name__, plain(value.__self__, where, path)


def _generator(value: Any, where: Where, path: _Path) -> Hashable:
    inside = _inside(value, path)
    return inside if isinstance(inside, str) else ("generator", frames_of(value, where, inside))


def _object(value: Any, where: Where, path: _Path) -> Hashable:
    """What `pickle` would keep of it."""
    inside = _inside(value, path)
    if isinstance(inside, str):
        return inside
    try:
        kept = value.__reduce_ex__(4)
    except Exception:
        raise _Opaque(type(value)) from None
    if isinstance(kept, str):
        return type(value).__qualname__, kept
    made, arguments, state, items, pairs = (*kept, None, None, None)[:5]
    several = [tuple(each) if each is not None else None for each in (items, pairs)]
    return tuple([plain(each, where, inside) for each in (made, arguments, state, *several)])


def _inside(value: Any, path: _Path) -> _Path | str:
    """The path to what is in a thing; if the thing is in itself, how far up it is."""
    here = id(value)
    return f"{len(path) - path.index(here)} up" if here in path else (*path, here)


_ATOMS = (float, complex, bytes, bytearray, Fraction, Decimal, range, count, type(...), type(NotImplemented))

_PARTS = (
    *(Struct, Kernel, Host, Process, Ultravisor, GuestTable, Series, Costs),
    *(Engine, Memory, Table, Lock, Task, DeferredList),
)
"""Parts of the machine, and what never changes."""

_HOWS: tuple[tuple[tuple[type, ...], _How], ...] = (
    ((type(None),), _itself),
    ((Vcpu,), lambda vcpu, _where, _path: vcpu.vcpu_id),
    ((DeferredPriv,), lambda priv, _where, _path: (priv.handle, priv.has_mm)),
    ((PvVmToBeDestroyed,), lambda leftover, _where, _path: ("set aside", leftover.handle)),
    ((Answer,), lambda answer, _where, _path: (answer.r, answer.rc, answer.rrc)),
    ((Page,), lambda page, where, _path: where.frame(page.pfn)),
    ((type,), lambda kind, _where, _path: f"{kind.__module__}.{kind.__qualname__}"),
    ((Structure,), lambda block, _where, _path: (type(block).__name__, bytes(block))),
    ((ModuleType,), lambda module, _where, _path: ("module", module.__name__)),
    ((FunctionType,), _function),
    ((CellType,), _cell),
    ((MethodType, BuiltinFunctionType), _method),
    ((super,), lambda above, where, path: ("super", plain(above.__self__, where, path))),
    ((GeneratorType,), _generator),
    ((MappingProxyType,), _dict),
)

_HOW: dict[type, _How] = {
    **dict.fromkeys((bool, int, str), _itself),
    **dict.fromkeys((tuple, list), _sequence),
    **dict.fromkeys((set, frozenset), _set),
    **dict.fromkeys(_ATOMS, _written),
    dict: _dict,
}


def _how(kind: type) -> _How:
    """How things of a type are told that was not met before."""
    for kinds, how in _HOWS:
        if issubclass(kind, kinds):
            return how
    if issubclass(kind, _PARTS):
        return _part(kind)
    if issubclass(kind, Enum):
        return _itself if issubclass(kind, int | str) else lambda value, _where, _path: str(value)
    if not kind.__dictoffset__:  # it has no attributes of its own
        if issubclass(kind, int | str):
            return _itself
        if issubclass(kind, tuple):
            return _sequence
    return _object


__all__ = ["Hidden", "Where", "a_part", "attributes_of", "frames_of", "plain"]
