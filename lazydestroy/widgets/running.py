"""From what controls say to a run."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .. import scenarios
from ..costs import Costs
from ..run import Run
from ..series import Series, v1
from ..units import exact_duration, exact_size
from .controls import GIB

USUAL: Mapping[str, Any] = MappingProxyType(
    {
        "scenario": "reboot",
        "memory": 64 * GIB,
        "used": 1.0,
        "kernel": v1,
        "destroy": Costs().destroy,
        "export": Costs().export,
        "import_clear": Costs().import_clear,
        "new_guest": "protected",
        "touch": "sequential",
        "host": 0,
        "demand": "",
        "resets": 6,
    }
)
"""What holds where no control says otherwise."""


def simulate(**said: Any) -> Run:
    """Run what controls say. What differs from the defaults is spelled as people write it: `Run.reproduce` is short."""
    return _simulate(**{**USUAL, **said})


def _simulate(
    *,
    scenario: str,
    memory: int,
    used: float,
    kernel: Series,
    destroy: int,
    export: int,
    import_clear: int,
    new_guest: str,
    touch: str,
    host: int,
    demand: str,
    resets: int,
    film: bool = False,
    progress: Any = None,
) -> Run:
    size = exact_size(memory)
    given: dict[str, Any] = {
        "used": used,
        "kernel": kernel,
        "costs": changed_costs(destroy=destroy, export=export, import_clear=import_clear),
        "host_memory": exact_size(memory + host * GIB) if host else None,
        "film": film,
        "progress": progress,
    }
    if scenario == "reboot_loop":
        return scenarios.reboot_loop(size, times=resets, **given)
    given["demand"] = demand or None
    if scenario == "shutdown":
        return scenarios.shutdown(size, **given)
    given["demand_from"] = "start" if demand else "wait"
    return scenarios.reboot(size, new_guest=new_guest, touch=touch, **given)


def changed_costs(**costs: int) -> Costs | None:
    """Costs that differ from the defaults in those given; None if none differs."""
    changed = Costs(**{name: exact_duration(ns) for name, ns in costs.items()})
    return None if changed == Costs() else changed
