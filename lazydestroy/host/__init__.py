"""The host that a kernel runs on: its memory, its firmware, its log, and what it remembers of its guests.

`frames` hands out memory and takes it back, `log` keeps what the kernel says, `configurations` remembers what became of
each protected guest. `sizes` says how large a host must be. What programs do is in `lazydestroy.userspace`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._core import Engine, Memory
from ..costs import Costs
from ..kernel.structs import Gmap
from ..run import Event
from .configurations import HostConfigurations, Life
from .firmware import RememberingUltravisor
from .frames import ALLOCATIONS, HostFrames
from .log import HostLog


class Host(HostFrames, HostLog, HostConfigurations):
    """Frames, an Ultravisor, an engine that lets tasks act, and a log.

    Parameters
    ----------
    frames : int
        Pages of memory.
    costs : Costs
        What each step takes.
    engine : mapping
        Arguments for `Engine`, beside the memory.
    ultravisor : mapping
        Arguments for `Ultravisor`, beside memory, costs and observer.

    Attributes
    ----------
    events : list of Event
        What was logged.
    gmaps : list of Gmap
        The guest address spaces that are there.
    donated_from : int
        Storage to be donated lies at or above this address.
    swap_pages, swap_hand, swapped : int
        Pages of swap space; where reclaim stopped last; how many pages it has written.
    oom_wait_ns : int
        How long page faults have waited for memory.
    lives, names, old : dict, dict, set
        See `HostConfigurations`.
    time_zero : int
        The moment that events are timed from.
    """

    def __init__(self, frames: int, costs: Costs, engine: Mapping[str, Any], ultravisor: Mapping[str, Any]) -> None:
        self.costs = costs
        self.memory = Memory(frames)
        self.engine = Engine(self.memory, **engine)
        self.uv = RememberingUltravisor(memory=self.memory, costs=costs, observer=self._called, **ultravisor)
        self.gmaps: list[Gmap] = []
        self.donated_from = 0
        self.swap_pages, self.swap_hand, self.swapped = 0, -1, 0
        self.oom_wait_ns = 0
        self._injected: dict[str, int] = {}
        self.events: list[Event] = []
        self.time_zero = 0
        self._warned: set[str] = set()
        self._log: list[str] = []
        self.lives: dict[int, Life] = {}
        self.names: dict[int, str] = {}
        self.old: set[int] = set()

    @property
    def now(self) -> int:
        """Nanoseconds since the host was made: the clock of whoever acted last."""
        return self.engine.now


__all__ = ["ALLOCATIONS", "Host", "Life"]
