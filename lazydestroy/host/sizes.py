"""How large a host is, and what its Ultravisor takes of it: read before anything is made."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from .. import units
from .._core import Memory
from ..kernel.gmap import CRST_PAGES
from ..layers import Series
from ..limits import require_memory
from ..page import PAGE_SHIFT, PAGE_SIZE
from ..ultravisor import Ultravisor
from ..units import exact_size, format_size

LOWCORE_PAGES = 2
"""The host kernel's own memory: frames from address 0 up."""

UV_STORAGE = {"uv_base_stor_len": 1 << 20, "uv_base_stor_align": PAGE_SIZE}
"""The Ultravisor's own storage: less than a real one wants, and at any page, so that a small host has room for it."""

SMALL_STORAGE = {
    "uv_base_stor_len": PAGE_SIZE,
    "conf_base_phys_stor_len": PAGE_SIZE,
    "conf_base_virt_stor_len": PAGE_SIZE,
    "conf_virt_var_stor_len": 0,
    "cpu_stor_len": PAGE_SIZE,
}
"""Donated storage of a machine of a handful of pages: one page each."""

_SURELY_THERE = 4 << 30
"""Hosts up to this size, whose records take a megabyte, are made without a look at this computer's memory."""

_GIVEN = {"host_memory", "features", "memory", "costs", "observer", "donated_from"}
_KNOWN = inspect.signature(Ultravisor).parameters.keys() - _GIVEN
"""Arguments of `Ultravisor` that a machine does not give it itself."""


def features_of(features: Any) -> str | tuple[str | int, ...]:
    """Feature bits, read to the end: an iterator serves one Ultravisor only.

    Raises
    ------
    ValueError
        If one is no bit of the feature word.
    """
    entries = units.plain(features, "features")
    if isinstance(entries, bytes | bytearray | Series) or not isinstance(entries, Iterable):
        entries = (features,)
    bits = (entries,) if isinstance(entries, str) else tuple(entries)
    if not all(bit == "misc" if isinstance(bit, str) else type(bit) is int and 0 <= bit < 64 for bit in bits):
        accepted = "use bit numbers 0 to 63, or the name 'misc' (bit 0), several in a tuple"
        raise ValueError(f"features={units.shown(features)}: {accepted}")
    return bits


def hole_of(hole: Any, pages: int) -> tuple[int, int] | None:
    """Where a guest's memory of so many pages has a hole, and how many pages are missing there.

    Raises
    ------
    ValueError
        If it is no pair of numbers, or not inside the guest's memory.
    """
    if hole is None:
        return None
    if not isinstance(hole, tuple | list) or len(hole) != 2:
        raise ValueError(f"hole={units.shown(hole)}: use (page, missing pages), such as (10, 30), or None")
    return units.whole_number(hole[0], "hole", 1, pages - 1), units.whole_number(hole[1], "hole", 1, 1 << 40)


def ultravisor_of(given: Any, small_storage: bool) -> tuple[dict[str, Any], Ultravisor]:
    """The arguments for a machine's Ultravisor, and one that was made with them: it tells how much storage it wants.

    Raises
    ------
    ValueError
        If there is no such preset or argument, or `Ultravisor` does not accept a value.
    """
    small = SMALL_STORAGE if small_storage else {}
    if given is None:
        given = {}
    elif isinstance(given, str) and given in Ultravisor.presets:
        given = Ultravisor.presets[given]
    elif not isinstance(given, Mapping) or not given.keys() <= _KNOWN:
        presets, names = " or ".join(map(repr, Ultravisor.presets)), ", ".join(sorted(_KNOWN))
        raise ValueError(f"ultravisor={units.shown(given)}: use {presets}, or a dict with some of the names {names}")
    options = {**UV_STORAGE, **small, **{str(name): units.plain(value, str(name)) for name, value in given.items()}}
    numbers = all(isinstance(value, int | str) for value in options.values())
    try:
        return options, (_ultravisor_with if numbers else _ultravisor_with.__wrapped__)(**options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"ultravisor={units.shown(given)}: {error}") from None


@lru_cache(maxsize=16, typed=True)
def _ultravisor_with(**options: Any) -> Ultravisor:
    """Tens of thousands of machines of a search have the same options: check them once."""
    return Ultravisor(memory=Memory(1), **options)


def storage_of(uv: Ultravisor, guest_len: int, vcpus: int) -> int:
    """Bytes that the Ultravisor and a VM take beside the guest's memory."""
    donated = uv.uv_base_stor_len + uv.conf_base_phys_stor_len + vcpus * uv.cpu_stor_len
    kernel_pages = LOWCORE_PAGES + 2 * CRST_PAGES + 1 + vcpus
    return donated + uv.variable_storage(guest_len) + kernel_pages * PAGE_SIZE


def host_of(host_memory: Any, guest_len: int, needed: int) -> int:
    """Bytes of a host; `needed` is what its first process and the Ultravisor take.

    Raises
    ------
    ValueError
        If it is no size of memory, or too little.
    """
    if host_memory is None:
        host_len = 2 * needed
    else:
        host_len = units.size(host_memory, "host_memory", multiple_of=PAGE_SIZE)
        if host_len < needed:
            raise ValueError(
                f"host_memory={format_size(host_len)!r}: too little; a guest of {format_size(guest_len)} "
                f"needs at least {exact_size(needed)} with what the process and the Ultravisor take"
            )
    return host_len


def require_host(host_len: int) -> None:
    """Refuse a host for whose records of pages this computer has no memory."""
    if host_len > _SURELY_THERE:
        require_memory(host_len >> PAGE_SHIFT, f"a machine with a host of {format_size(host_len)}")
