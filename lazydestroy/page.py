"""What the model knows of one 4 KiB page of host memory.

`Record` is the whole truth about a page, as a value: two pages with equal records are interchangeable, and that
is what lets `lazydestroy._core` keep one byte a page and learn what a step does to *all* pages like this one.
`Page` is a view on one page in a memory: reading an attribute reads the record, setting it replaces the record.

Who may look at what: ``state``, ``owner``, ``pinned`` and ``measured`` are the Ultravisor's; the kernel's code
never reads them (it cannot, on a real machine) and works with ``arch_1``, ``refs``, ``holder``, ``mm`` and
``charged`` only. ``content`` says what a reader of the page would see.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple, Protocol

from .units import shown

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT


class State(IntEnum):
    """What the Ultravisor has made of a page (its own table, out of the host's reach)."""

    NON_SECURE = 0
    SECURE = 1
    SHARED = 2
    DONATED = 3


HELD = (State.SECURE, State.SHARED)
"""States of a page that belongs to a secure configuration. A shared one is open to the host, and still the guest's."""


class Content(IntEnum):
    """What kind of bytes a page holds. ``Record.content_of`` says whose."""

    ZERO = 0
    HOST = 1
    PLAINTEXT = 2
    CIPHERTEXT = 3


class Holder(IntEnum):
    """What the host uses a page for. Every page has exactly one holder: that is how memory is conserved."""

    FREE = 0
    MAPPED = 1
    SET_ASIDE = 2
    DONATED = 3
    OTHER = 4
    LEAKED = 5


class _Fields(NamedTuple):
    """The fields of a `Record`."""

    state: State = State.NON_SECURE
    owner: int = 0
    pinned: bool = False
    content: Content = Content.ZERO
    content_of: int = 0
    measured: int = 0
    arch_1: bool = False
    refs: int = 0
    holder: Holder = Holder.FREE
    mm: int = 0
    charged: bool = False


_PLACES = {name: place for place, name in enumerate(_Fields._fields)}


class Record(_Fields):
    """The record of one page. All defaults together are a free page full of zeros.

    Attributes
    ----------
    state : State
        The Ultravisor's view.
    owner : int
        Handle of the secure configuration that owns the page (secure, shared, donated), else 0.
    pinned : bool
        Shared and pinned shared (PIN_PAGE_SHARED).
    content : Content
        What the page holds.
    content_of : int
        Handle of the configuration whose plaintext or ciphertext it is, else 0.
    measured : int
        Handle of the configuration that exported the guest address which this page backs, and has not imported
        it since: the next import must verify. 0 if there is none. Kept by guest address: it moves with the
        mapping, not with the frame.
    arch_1 : bool
        The kernel's page flag ``PG_arch_1``: "this page may be secure".
    refs : int
        The kernel's reference count. 0 for a free page.
    holder : Holder
        What the host uses the page for.
    mm : int
        Number of the address space that maps it, or mapped it before it was set aside; else 0.
    charged : bool
        Still charged to the memory cgroup of the process it was allocated for.
    """

    __slots__ = ()

    def _replace(self, **fields: Any) -> Record:
        """The same with some fields replaced, five times as fast as a named tuple does it: a search lives on it."""
        values: list[Any] = list(self)
        try:
            for name, value in fields.items():
                values[_PLACES[name]] = value
        except KeyError:
            raise ValueError(f"{name}={shown(value)}: a page has no such field; use {', '.join(_PLACES)}") from None
        return tuple.__new__(Record, values)


class _Records(Protocol):
    def record(self, pfn: int) -> Record: ...
    def set_record(self, pfn: int, record: Record) -> None: ...


class Page:
    """A view on the page with frame number ``pfn``.

    Every field of `Record` is an attribute. Setting one writes through at once; `update` sets several in one go.
    """

    __slots__ = ("_memory", "pfn")

    def __init__(self, memory: _Records, pfn: int) -> None:
        object.__setattr__(self, "_memory", memory)
        object.__setattr__(self, "pfn", pfn)

    @property
    def paddr(self) -> int:
        """Absolute address of the page's first byte."""
        return self.pfn << PAGE_SHIFT

    @property
    def record(self) -> Record:
        """The record as it is now."""
        return self._memory.record(self.pfn)

    def update(self, **fields: Any) -> None:
        """Replace several fields of the record at once."""
        self._memory.set_record(self.pfn, self._memory.record(self.pfn)._replace(**fields))

    def __getattr__(self, name: str) -> Any:
        if name in Record._fields:
            return getattr(self._memory.record(self.pfn), name)
        raise AttributeError(f"a page has no {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in Record._fields:
            raise AttributeError(f"a page has no {name!r} to set")
        if not isinstance(value, int):
            raise ValueError(f"{name}={shown(value)}: use a whole number")
        self.update(**{name: value})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Page) and other._memory is self._memory and other.pfn == self.pfn

    def __hash__(self) -> int:
        return hash((id(self._memory), self.pfn))

    def __repr__(self) -> str:
        return f"<Page {self.pfn:#x} {self.record}>"
