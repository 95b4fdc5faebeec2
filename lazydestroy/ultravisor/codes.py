"""Numbers and words of the Ultravisor: lengths, response codes, interruptions, what an observer hears."""

from __future__ import annotations

from enum import IntEnum

from ..page import PAGE_SIZE

UV_HANDLE = -1
"""Owner of the Ultravisor's own base storage."""

ASCE_ORIGIN = ~0xFFF
ASCE_PRIVATE = 0x100
ASCE_RESERVED = 0x20
TABLE_LEN = 4 * PAGE_SIZE
"""A top-level page table: four contiguous pages (``CRST_ALLOC_ORDER`` 2)."""
LOWCORE_LEN = 0x2000
"""The prefix area of the CPU that the host runs on, at address 0."""
QUERY_MIN_LEN = 0xA8
MIB = 1 << 20
GIB = 1 << 30

RC_UNMAPPED = 0x10A
"""The guest's tables do not map the address (the kernel turns it into -ENXIO)."""

# Response codes that no public source fixes: see ASSUMPTIONS.
RC_CONF_EMPTY = 0x103
RC_CONF_TABLE = 0x106
RC_CONF_BASE = 0x10A
RC_CONF_VARIABLE = 0x10B
RC_CONF_LIMIT = 0x10F
RC_CPU_STORAGE = 0x108
RC_CPU_STATE = 0x102
RC_OUTSIDE = 0x101
RC_UNSHARE_OUTSIDE = 0x101
RC_NOT_SHARED = 0x102
RC_GUEST_ADDRESS = 0x103
RC_OTHER_OWNER = 0x104
RC_NOT_GENUINE = 0x105
RC_DONATED = 0x106
RC_HAS_CPUS = 0x108
RC_PHASE = 0x109
RC_OWN_PAGE = 0x10B

# What an observer hears
DONE = "done"
NOOP = "noop"
REFUSED = "refused"
HARMFUL = "harmful"
"""A page of a running guest was destroyed, and its data are lost: only where rule 1 is turned off."""


class Interruption(IntEnum):
    """Program interruptions that the hardware raises on an access that the Ultravisor does not allow."""

    SECURE_STORAGE_ACCESS = 0x3D
    NON_SECURE_STORAGE_ACCESS = 0x3E
    SECURE_STORAGE_VIOLATION = 0x3F


class Phase(IntEnum):
    """How far a configuration has come."""

    CREATED = 0
    PARAMETERS_SET = 1
    UNPACKED = 2
    VERIFIED = 3
    NEEDS_DESTROY = 4
