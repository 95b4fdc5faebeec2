"""What the parameters of a scenario mean: reading them, checking them, and the constants behind their defaults."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from .. import units
from ..costs import Costs
from ..page import PAGE_SHIFT, PAGE_SIZE
from ..ultravisor import Ultravisor

GIB = 1 << 30

LOADER = 64 << 20
"""How much memory a new guest's boot loader touches before it goes protected (assumed)."""

IMAGE = 64 << 20
"""Size of a protected guest's boot image (assumed)."""

IMAGE_AT = 1 << 20
"""Where in the guest it lies (assumed)."""

NEW_GUESTS = ("protected", "normal")
PATTERNS = ("sequential", "reverse", "random", "none")
KILLED_FIRST = "killed first"
ULTRAVISORS = tuple(Ultravisor.presets)
DEMAND_FROM = ("wait", "exit", "start")
HABITS = ("at once", "fill", "share", "exit")

LOOPS = 250
"""Resets in a loop, at most."""

MAX_NUM_SEC_CONF = inspect.signature(Ultravisor).parameters["max_configurations"].default
"""How many secure configurations the Ultravisor can have at a time, unless a scenario says otherwise."""

BYSTANDERS = 16
"""Moments at which a bystander may map memory, at most."""

INJECTED_RC = 0x0FFF
"""What DESTROY_SEC_CONF answers where it was told to fail: a code that this Ultravisor gives in no other case."""

ENGINE_MEMORY = 64 << 20
"""What a run takes beside the records of pages, generously."""

Progress = Callable[[float], object]
Time = int | str

BYSTANDER = "bystander"
SAMPLING = "sampling"
END = "end"

FOR_THE_MACHINE = (
    "lazy_destroy",
    "async_destroy",
    "vcpus",
    "features",
    "process_memory",
    "low_memory",
    "destroy_loop_threshold",
    "list_page_capacity",
    "segment_table",
    "swap",
)
"""Parameters of a scenario that the machine reads, and checks, itself."""

NOT_INPUTS = ("film", "progress", "_engine")
"""Parameters that do not change the result."""


def min_free_pages(host: int) -> int:
    """Pages that Linux keeps for emergencies: ``init_per_zone_wmark_min`` in mm/page_alloc.c of Linux 5.13."""
    kib = int((units.size(host, "host") // 1024 * 16) ** 0.5)
    return min(max(kib, 128), 262144) * 1024 // PAGE_SIZE


def atomic_reserve(host: int) -> int:
    """Pages that an atomic allocation leaves alone: half of `min_free_pages`, as GFP_ATOMIC brings __GFP_HIGH.

    GFP_ATOMIC alone may take more. __GFP_NOMEMALLOC, with which patch 9 asks as well, stops at half. Source:
    ``gfp_to_alloc_flags`` and ``__zone_watermark_ok`` in mm/page_alloc.c of Linux 5.13.
    """
    least = min_free_pages(host)
    return least - least // 2


def read(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a scenario in Python's own types (see `units.plain`), and `progress` checked."""
    units.expect_progress(given.get("progress"), 1, "the share that is done")
    return {name: value if name in NOT_INPUTS[1:] else units.plain(value, name) for name, value in given.items()}


def host_memory_of(value: int | str | None, guest: int, process: int) -> int:
    """Size of the host in bytes; by default an eighth more than the guest, and 4 GiB.

    Raises
    ------
    ValueError
        If it is no size of memory, or smaller than the guest.
    """
    guest, process = units.whole_number(guest, "guest", 1), units.whole_number(process, "process", 0)
    if value is None:
        roomy = guest + process + guest // 8 + 4 * GIB
        return roomy >> PAGE_SHIFT << PAGE_SHIFT
    host = units.size(value, "host_memory", multiple_of=PAGE_SIZE)
    if host < guest:
        raise ValueError(
            f"host_memory={units.shown(value)}: smaller than the guest, which has {units.format_size(guest)}; use "
            "more, or None"
        )
    return host


def costs_of(costs: Costs | None) -> Costs:
    """The costs, or their defaults.

    Raises
    ------
    ValueError
        If these are no `Costs`.
    """
    if costs is None:
        return _usual_costs()
    if not isinstance(costs, Costs):
        raise ValueError(f"costs={units.shown(costs)}: use ld.Costs(...), such as ld.Costs(destroy='1.5 us')")
    return costs


@functools.cache
def _usual_costs() -> Costs:
    return Costs()


def fits_into_time(costs: Costs, pages: int, latest: int) -> None:
    """Virtual time ends after 2^62 nanoseconds, 146 years: the core says so, but only after a long run.

    Raises
    ------
    ValueError
        If the run could take longer.
    """
    units.expect(Costs, costs, "costs", "ld.Costs(...), such as ld.Costs(destroy='1.5 us')")
    pages = units.whole_number(pages, "pages", 0, units.LARGEST)
    latest = units.whole_number(latest, "latest", 0, 8 * units.LARGEST)
    page = sum(ns for name, ns in dataclasses.asdict(costs).items() if name not in ("config", "config_per_gib", "cpu"))
    if 4 * page * pages + latest > 1 << 62:
        raise ValueError(
            f"costs={costs!r}: with {units.format_count(pages)} pages this would take more than the 146 years that the "
            "model can count; use lower costs or less memory"
        )


def part(share: Fraction, pages: int) -> int:
    """A share of some pages, rounded down."""
    return share.numerator * pages // share.denominator


def bystanders_of(value: Any) -> tuple[int, ...]:
    """The moments at which a bystander maps memory.

    Raises
    ------
    ValueError
        If one is no time, or there are too many.
    """
    if value is None:
        return ()
    moments = tuple(value) if isinstance(value, list | tuple) else (value,)
    if len(moments) > BYSTANDERS:
        complaint, accepted = f"names {len(moments)} moments", f"a time such as '1.5 s', or up to {BYSTANDERS} of them"
        raise units.bad_value("bystander", value, complaint, accepted)
    return tuple(units.duration(moment, "bystander", zero=True) for moment in moments)


def exit_of(value: Any) -> int | str | None:
    """When the process is killed: nanoseconds after time 0, `END`, or never.

    Raises
    ------
    ValueError
        If it is neither a time nor `END`.
    """
    if value is None or (isinstance(value, str) and value == END):
        return value
    try:
        return units.duration(value, "exit_at", zero=True)
    except ValueError as error:
        raise ValueError(f"{error} Or {END!r}, or None.") from None


def helper_of(value: Any) -> bool | str:
    """Whether QEMU has a helper process, or had one.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if isinstance(value, bool) or (isinstance(value, str) and value == KILLED_FIRST):
        return value
    raise ValueError(f"helper={units.shown(value)}: use True, False or {KILLED_FIRST!r}")


def demand_of(pace: Any, total: Any, guest: int) -> tuple[int | None, int]:
    """Bytes a second that another process allocates, if it does, and how many.

    Raises
    ------
    ValueError
        If one is not accepted, or `total` comes without a pace.
    """
    if pace is None and total is not None:
        raise ValueError(f"demand_total={units.shown(total)}: say how fast, too: demand='2 GiB/s'")
    if total is not None:
        guest = units.size(total, "demand_total", multiple_of=PAGE_SIZE)
    return None if pace is None else units.rate(pace, "demand"), guest


def call_of(scenario: Callable[..., Any], given: Mapping[str, Any]) -> str:
    """The line of code that runs a scenario again: what differs from the defaults."""
    arguments = [units.code(given["memory"])]
    for name, parameter in inspect.signature(scenario).parameters.items():
        value = given[name]
        if name != "memory" and name not in NOT_INPUTS and value != parameter.default:
            arguments.append(f"{name}={units.code(value)}")
    return f"ld.{scenario.__name__}({', '.join(arguments)})"
