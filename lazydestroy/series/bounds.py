"""How large a machine is searched, and what may happen on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..layers import Series
from ..rounded import counted
from ..units import flag, one_of, plain, several, shown, whole_number
from .failures import FAILURES


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a machine is searched, and what may happen on it.

    Attributes
    ----------
    pages : int
        Pages of the guest. The boot image is page 0.
    low_pages : int
        How many of them are "the first 2 GiB", which patch 8 of version 1, and PREPARE, destroy in the foreground.
    vcpus : int
        vCPUs, and so accesses of the guest that may be under way at once.
    configurations : int
        How often a guest may go protected.
    resets : int
        How often it may be reset.
    failures : tuple of str
        Which of `lazydestroy.series.failures.FAILURES` may happen.
    most_failures : int
        How many of them may happen in one trace; a second one may be like the first.
    host : tuple of str
        What the host does with the guest's pages: "io", "swap". One I/O is under way at a time.
    sharing : bool
        Whether a guest shares pages.
    image_loaded : bool
        The boot image is in memory before a guest goes protected: its loader has touched page 0. If not, it is unpacked
        onto whatever is there.
    fast : bool
        The Ultravisor has DESTROY_SEC_CONF_FAST.
    userspace : str
        "QEMU": a reset is what QEMU makes of it. "any": PREPARE, PERFORM, DISABLE and the end of the VM, each by
        itself, in any order; and a thread with PERFORM may get a fatal signal that nobody else gets. It is looked at
        only if the kernel can set a configuration aside.
    helper : bool
        A process that shares the address space outlives QEMU, unless it is killed before.
    keeps_refused : bool
        A cost: a guest whose PREPARE was refused must keep its data. It has no CPUs any more, so it can't use them.
    leaked : int or None
        A cost: so many pages may be lost where something was refused that excuses a leak. None: any number.
    leftovers : int or None
        A cost: so many leftovers may wait in a VM that is not protected, where no command ends them. None: any number.
    patience : int or None
        A cost: QEMU may be killed while it is in an ioctl that ends a configuration, and then has to come out of it
        after so many Ultravisor Calls. None: it is not killed there.
    lazy_destroy, async_destroy, features, segment_table, destroy_needs_no_cpus
        As for `Machine` and `Ultravisor`. By default the guest has more than two levels of page tables.
    """

    pages: int = 2
    low_pages: int = 0
    vcpus: int = 1
    configurations: int = 2
    resets: int = 1
    failures: tuple[str, ...] = tuple(failure.name for failure in FAILURES if failure.default)
    most_failures: int = 1
    host: tuple[str, ...] = ()
    sharing: bool = True
    image_loaded: bool = True
    fast: bool = False
    userspace: str = "QEMU"
    helper: bool = False
    keeps_refused: bool = False
    leaked: int | None = None
    leftovers: int | None = None
    patience: int | None = None
    lazy_destroy: bool | None = None
    async_destroy: bool | None = None
    features: tuple[str, ...] = ()
    segment_table: int | str = 0
    destroy_needs_no_cpus: bool = True


def bounds_of(kernel: Series, given: Mapping[str, Any]) -> Bounds:
    """Bounds from their fields, each checked; the kernel is checked, too.

    Raises
    ------
    ValueError
        If a value is not accepted, there is no such bound, or `kernel` is no kernel.
    """
    if not isinstance(kernel, Series):
        raise ValueError(f"kernel={shown(kernel)}: use a kernel such as ld.series.v1 or ld.series.v1.without(3)")
    for name in given:
        if name not in Bounds.__slots__:
            raise ValueError(f"{name}={shown(given[name])}: there is no such bound; use {', '.join(Bounds.__slots__)}")
    given = {**given}
    for name, least, most in (
        ("pages", 1, 8),
        ("low_pages", 0, 8),
        ("vcpus", 1, 4),
        ("configurations", 0, 8),
        ("resets", 0, 8),
        ("most_failures", 0, 8),
    ):
        given[name] = whole_number(given.get(name, getattr(Bounds(), name)), name, least, most)
    for name in ("leaked", "leftovers", "patience"):
        if given.get(name) is not None:
            given[name] = whole_number(given[name], name, 0, 1000)
    given["userspace"] = one_of(given.get("userspace", "QEMU"), ("QEMU", "any"), "userspace")
    if given["low_pages"] > given["pages"]:
        raise ValueError(f"low_pages={given['low_pages']!r}: the guest has fewer pages; give more with pages=")
    for name in ("sharing", "image_loaded", "fast", "helper", "keeps_refused", "destroy_needs_no_cpus"):
        given[name] = flag(given.get(name, getattr(Bounds(), name)), name)
    for name in ("lazy_destroy", "async_destroy"):
        if given.get(name) is not None:
            given[name] = flag(given[name], name)
    for name, known in (("failures", [failure.name for failure in FAILURES]), ("host", ("io", "swap"))):
        value = plain(given.get(name, getattr(Bounds(), name)), name)
        accepted = f"some of {', '.join(map(repr, known))}, or ()"
        chosen = (value,) if isinstance(value, str) else several(value, name, accepted)
        if not all(isinstance(choice, str) and choice in known for choice in chosen):
            raise ValueError(f"{name}={shown(value)}: use {accepted}")
        given[name] = chosen
    features = given.get("features", ())
    accepted = "bit numbers 0 to 63, or the name 'misc' (bit 0), several in a tuple"
    given["features"] = (features,) if isinstance(features, str) else several(features, "features", accepted)
    return Bounds(**given)


def bounds_in_words(bounds: Bounds) -> str:
    """How large a machine it was."""
    words = [
        counted(bounds.pages, "pages") + (f", {bounds.low_pages} of them low" if bounds.low_pages else ""),
        counted(bounds.vcpus, "vCPUs"),
        counted(bounds.configurations, "configurations"),
        counted(bounds.resets, "reboots"),
        "the guest touches" + (" and shares" if bounds.sharing else ""),
    ]
    if bounds.host:
        words.append("the host does " + " and ".join({"io": "I/O", "swap": "swaps"}[what] for what in bounds.host))
    if bounds.failures:
        most = "one failure" if bounds.most_failures == 1 else f"up to {counted(bounds.most_failures, 'failures')}"
        words.append(f"{most} of " + ", ".join(bounds.failures))
    defaults = Bounds()
    for name in _AS_THEY_ARE:
        if getattr(bounds, name) != getattr(defaults, name):
            words.append(f"{name}={getattr(bounds, name)!r}")
    return "; ".join(words)


_AS_THEY_ARE = (
    "image_loaded",
    *("fast", "userspace", "helper", "keeps_refused", "leaked", "leftovers", "patience"),
    *("lazy_destroy", "async_destroy", "features", "segment_table", "destroy_needs_no_cpus"),
)
"""Bounds that are told by name, where they are not the usual ones."""

__all__ = ["Bounds", "bounds_in_words", "bounds_of"]
