"""The Ultravisor: what each call checks, what it does to pages, and what it answers.

This is the only description of the Ultravisor in the package, in plain Python. `lazydestroy._core` makes loops over
many pages fast by running these very functions once on a scratch page and repeating what they did. For that to be
right, a *page command* (import, export, destroy, unpack, pin, unpin) looks at the page's `Record` and at the
Ultravisor's own context, never at the frame number except for bounds; and whatever changes that context says so
first, with ``memory.context_changed()``.

The rules that the patch series relies on, by the numbers that comments and tests use:

1. A page is destroyed only while its owner has no CPUs; it can be exported at any time.
2. Destroying or exporting a non-secure page does nothing and succeeds (destroying: on newer firmware).
3. A page that is secure for one configuration is not imported into another before an export or a destroy.
4. Nor is a page that another configuration shared, unless the Ultravisor has the feature "misc".
5. A first import clears the page; an import after an export decrypts it, and fails if it is not what was exported.
5a. Imports and unpacks need a successful SET_SEC_CONF_PARAMS.
6. The top-level table of a configuration is marked: nobody else can use it until DESTROY_SEC_CONF succeeds, and
   where that has failed it always will.
7. DESTROY_SEC_CONF wants all CPUs gone, and cleans whatever pages are still secure.
7a. DESTROY_SEC_CONF_FAST, a call of later machines, wants the same and ends the configuration as well, but leaves its
   pages as they are: the host destroys or exports them one by one.
8. An import of an address that the guest's tables do not map answers 0x10a.
9. Donated storage is out of the host's reach, and comes back cleared.
10. Configurations of one VM name the same SCA; one that is set aside counts as any other against the limit.

Not modelled: checks of the instruction itself (privileged state, format, translation of the block's address),
attestation, prefix areas of host CPUs other than the one at address 0, and an import onto a marked table. Variable
storage is contiguous in absolute memory here; on a real host it is contiguous only in the kernel's virtual memory.

No public source fixes every answer. What is assumed is in `ASSUMPTIONS`, and nowhere else.

Each kind of call has a room: `query` (what the Ultravisor can do, and its own storage), `configurations`, `cpus`,
`pages`, `guest` (what a protected guest asks for). They rest on `access` (who may touch a frame), `faults` (failures
to come) and `state` (what the Ultravisor remembers from one call to the next). `Ultravisor` is all of them in one: it
takes a call, checks the header, and hands the block on.
"""

from __future__ import annotations

from .assumptions import ASSUMPTIONS, Assumption
from .codes import (
    ASCE_ORIGIN,
    ASCE_PRIVATE,
    ASCE_RESERVED,
    DONE,
    GIB,
    HARMFUL,
    LOWCORE_LEN,
    MIB,
    NOOP,
    QUERY_MIN_LEN,
    RC_CONF_BASE,
    RC_CONF_EMPTY,
    RC_CONF_LIMIT,
    RC_CONF_TABLE,
    RC_CONF_VARIABLE,
    RC_CPU_STATE,
    RC_CPU_STORAGE,
    RC_DONATED,
    RC_GUEST_ADDRESS,
    RC_HAS_CPUS,
    RC_NOT_GENUINE,
    RC_NOT_SHARED,
    RC_OTHER_OWNER,
    RC_OUTSIDE,
    RC_OWN_PAGE,
    RC_PHASE,
    RC_UNMAPPED,
    RC_UNSHARE_OUTSIDE,
    REFUSED,
    TABLE_LEN,
    UV_HANDLE,
    Interruption,
    Phase,
)
from .firmware import Ultravisor
from .structs import Configuration, DictTable, Fault, GuestTable, HostMemory, SecureCpu, Storage

__all__ = [
    "ASCE_ORIGIN",
    "ASCE_PRIVATE",
    "ASCE_RESERVED",
    "ASSUMPTIONS",
    "DONE",
    "GIB",
    "HARMFUL",
    "LOWCORE_LEN",
    "MIB",
    "NOOP",
    "QUERY_MIN_LEN",
    "RC_CONF_BASE",
    "RC_CONF_EMPTY",
    "RC_CONF_LIMIT",
    "RC_CONF_TABLE",
    "RC_CONF_VARIABLE",
    "RC_CPU_STATE",
    "RC_CPU_STORAGE",
    "RC_DONATED",
    "RC_GUEST_ADDRESS",
    "RC_HAS_CPUS",
    "RC_NOT_GENUINE",
    "RC_NOT_SHARED",
    "RC_OTHER_OWNER",
    "RC_OUTSIDE",
    "RC_OWN_PAGE",
    "RC_PHASE",
    "RC_UNMAPPED",
    "RC_UNSHARE_OUTSIDE",
    "REFUSED",
    "TABLE_LEN",
    "UV_HANDLE",
    "Assumption",
    "Configuration",
    "DictTable",
    "Fault",
    "GuestTable",
    "HostMemory",
    "Interruption",
    "Phase",
    "SecureCpu",
    "Storage",
    "Ultravisor",
]
