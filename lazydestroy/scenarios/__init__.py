"""Scenarios: a guest is rebooted, shut down, or rebooted again and again.

Each builds a machine, lets it run to the end, and returns a `Run`.

`stage` is what all of them share: the machine at time 0, the process that wants memory, the result. `machine` has
the machine, whose process can be killed at any moment; `parameters` reads what a caller gives, `result` writes what
came out; `owners` says who paid.
"""

from .looping import HABITS, donated_over_time, reboot_loop, zombies_over_time
from .owners import cpu_time, cpu_time_of_nobody, cpu_time_of_process, unowned_memory
from .parameters import (
    BYSTANDERS,
    DEMAND_FROM,
    ENGINE_MEMORY,
    IMAGE,
    IMAGE_AT,
    INJECTED_RC,
    LOADER,
    NEW_GUESTS,
    PATTERNS,
    Progress,
    Time,
    atomic_reserve,
    fits_into_time,
    host_memory_of,
    min_free_pages,
)
from .rebooting import reboot
from .result import ROWS
from .shutting_down import shutdown

__all__ = [
    "BYSTANDERS",
    "DEMAND_FROM",
    "ENGINE_MEMORY",
    "HABITS",
    "IMAGE",
    "IMAGE_AT",
    "INJECTED_RC",
    "LOADER",
    "NEW_GUESTS",
    "PATTERNS",
    "ROWS",
    "Progress",
    "Time",
    "atomic_reserve",
    "cpu_time",
    "cpu_time_of_nobody",
    "cpu_time_of_process",
    "donated_over_time",
    "fits_into_time",
    "host_memory_of",
    "min_free_pages",
    "reboot",
    "reboot_loop",
    "shutdown",
    "unowned_memory",
    "zombies_over_time",
]
