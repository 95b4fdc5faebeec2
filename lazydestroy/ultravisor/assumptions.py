"""What the Ultravisor here decides and no public source does."""

from __future__ import annotations

from typing import NamedTuple

from ..uvcb import UVC_RC_INV_CHANDLE, UVC_RC_INV_CMD, UVC_RC_INV_GHANDLE
from .codes import (
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
)


class Assumption(NamedTuple):
    """Something that the model fixes and no public source does."""

    what: str
    value: str
    why: str


ASSUMPTIONS: tuple[Assumption, ...] = (
    Assumption(
        "sizes of donated storage",
        "UV base 2 MiB; configuration base 256 KiB, virtual base 64 KiB and 4 KiB for each MiB of guest; CPU 32 KiB",
        "the query tells them to the host. 4 KiB a MiB is 16 bytes a page, about a tag. A real UV base is far larger: "
        "a kernel log in the documentation of Kata Containers has 98 MiB, on a z16 with 16 GiB. 2 MiB is enough for "
        "the outside tests. No figure was found for the others. Constructor parameters",
    ),
    Assumption(
        "limits",
        "8,388,607 configurations, guests up to 128 TiB, CPU numbers up to 248",
        "the first two are in the test data of IBM's s390-tools, and a machine may have others; 248 is what KVM "
        "supports on s390. Constructor parameters",
    ),
    Assumption(
        "configurations set aside count against max_num_sec_conf",
        f"one CREATE_SEC_CONF too many: rc {RC_CONF_LIMIT:#x}",
        "the Ultravisor does not know that the host has set a configuration aside",
    ),
    Assumption(
        "handles",
        "configuration n: n * 0x1000, CPU n: n * 0x1000 + 0x800, never used twice",
        "deterministic, and a handle plus one is never valid",
    ),
    Assumption(
        "wrong CPU handle",
        f"rc {UVC_RC_INV_CHANDLE:#x}",
        "a z15 answers another code, which is not public; the outside tests want this one of later machines",
    ),
    Assumption(
        "donated storage must be page-aligned, non-secure, apart from itself and from marked tables",
        f"CREATE_SEC_CONF base rc {RC_CONF_BASE:#x}, variable {RC_CONF_VARIABLE:#x} (outside memory too); "
        f"CREATE_SEC_CPU {RC_CPU_STORAGE:#x}. INIT_UV, which comes before all that, rounds",
        "the outside tests want some rc from 0x100 up for storage that is already donated",
    ),
    Assumption(
        "variable storage in lowcore",
        "CREATE_SEC_CONF rc 0x10e",
        "the outside tests expected it of a prefix area moved there, until June 2023: the test was dropped, because it "
        "fails on machines. Here the prefix area is at 0",
    ),
    Assumption(
        "contents of donated storage",
        "private data of its owner; comes back cleared from DESTROY_SEC_CONF, DESTROY_SEC_CONF_FAST and "
        "DESTROY_SEC_CPU",
        "seen by the outside tests after a machine reset only",
    ),
    Assumption(
        "CPU storage belongs to the configuration",
        "owner of its pages: the configuration's handle",
        "the CPU cannot outlive the configuration",
    ),
    Assumption(
        "top-level table that cannot be used (in use, marked, secure, or outside memory)",
        f"CREATE_SEC_CONF rc {RC_CONF_TABLE:#x}, no handle",
        "the outside tests want 0x104 or more for a table already in use",
    ),
    Assumption(
        "guest of length 0", f"CREATE_SEC_CONF rc {RC_CONF_EMPTY:#x}", "a configuration without storage is a mistake"
    ),
    Assumption(
        "alignment of a guest's origin and length, and of the SCA and table",
        "not checked",
        "the outside tests pass an odd guest origin and expect the limit to be checked first; no code is known",
    ),
    Assumption(
        "refused though created (bit 0x8000)",
        "only by fault injection of CREATE_SEC_CONF; every call but DESTROY_SEC_CONF and DESTROY_SEC_CONF_FAST "
        "then says rc 0x20",
        "it is not published when a machine does so",
    ),
    Assumption("low 12 bits of the address in a page command", "ignored", "the kernel passes the first byte of a page"),
    Assumption(
        "absolute address outside memory", f"destroy, export, pin: rc {RC_OUTSIDE:#x}", "any code will do: not seen"
    ),
    Assumption(
        "guest address outside the configuration's storage",
        f"import, unpack, unpin: rc {RC_GUEST_ADDRESS:#x}; REMOVE_SHARED_ACCESS: rc {RC_UNSHARE_OUTSIDE:#x}",
        "not 0x10a: mapping it would not help. The outside tests ask only SET_SHARED_ACCESS, and expect 0x101",
    ),
    Assumption(
        "address of UNPIN_PAGE_SHARED where the guest's origin is not 0",
        "origin plus offset, as for an import; unpack and the guest's own calls count from 0 at the origin",
        "it has the block of an import, and the kernel hands over both alike. The outside tests show the rest",
    ),
    Assumption(
        "import or unpack of a page of another configuration, secure or shared",
        f"rc {RC_OTHER_OWNER:#x}",
        "the kernel turns any code but 0x10a into -EINVAL",
    ),
    Assumption(
        "import or unpack with the feature 'misc' of a page shared by another configuration",
        "done as a first import: cleared, secure, own; a pin is lost",
        "patch 11 says only that no export is needed then",
    ),
    Assumption(
        "import of a page that is its own already, secure or shared",
        "done, changes nothing",
        "two CPUs of the guest may fault on the same page; the second import must not fail",
    ),
    Assumption(
        "unpack onto a page that is its own already",
        f"rc {RC_OWN_PAGE:#x}",
        "the host may not replace what the guest has",
    ),
    Assumption(
        "import of an exported page whose content is not what was exported",
        f"rc {RC_NOT_GENUINE:#x}, nothing changed",
        "the failure is documented, the code is not",
    ),
    Assumption(
        "what was exported is remembered by guest address",
        "in the record of the page that backs it",
        "a swapped page comes back in another frame. So a host that exchanges two exported pages of a guest, or maps a "
        "new page instead of one, is not found out here; the kernel never does",
    ),
    Assumption(
        "unpack onto a page that was exported",
        "not verified: the image replaces it",
        "the image is verified as a whole by VERIFY_IMG",
    ),
    Assumption(
        "import or unpack before SET_SEC_CONF_PARAMS has succeeded",
        f"rc {RC_PHASE:#x}",
        "the refusal is documented (commit message of 20201116122033.382372-2), the code is not",
    ),
    Assumption(
        "import between SET_SEC_CONF_PARAMS and VERIFY_IMG",
        "allowed",
        "no public source forbids it, and nothing in the story depends on it",
    ),
    Assumption(
        "destroy of a page whose owner has CPUs", f"rc {RC_HAS_CPUS:#x}", "the refusal is documented, the code is not"
    ),
    Assumption(
        "destroy of a page whose owner has CPUs, if rule 1 is turned off (`destroy_needs_no_cpus`)",
        "cleared, non-secure; the owner's next access raises 0x3E, and a first import clears the page: the guest reads "
        "zeros, and is not told",
        "only what was exported is remembered (rule 5). An Ultravisor that allowed this might refuse the import; the "
        "data are lost either way",
    ),
    Assumption(
        "destroy, export, pin, import or unpack of a donated page",
        f"rc {RC_DONATED:#x}",
        "it belongs to the Ultravisor until given back",
    ),
    Assumption(
        "export of a shared page",
        "like that of a secure one: encrypted, measured, non-secure; a pin is lost",
        "patch 7 exports pages that another configuration shared",
    ),
    Assumption(
        "destroy of a shared page",
        "like that of a secure one: cleared, non-secure; a pin is lost",
        "the same pages. If it holds, a clean-up also clears a shared page that a normal guest uses by then",
    ),
    Assumption(
        "pin of a page that is not shared, unpin of one that is not pinned by its own configuration",
        f"rc {RC_NOT_SHARED:#x}; pin of a pinned page: done, changes nothing",
        "the kernel needs the first to fail: it then exports",
    ),
    Assumption(
        "guest shares or unshares a page that is not its own",
        f"rc {RC_OTHER_OWNER:#x} (not mapped: {RC_UNMAPPED:#x}); asking for what is so already: done",
        "a real guest is intercepted and the host asked to bring the page in",
    ),
    Assumption(
        "guest unshares a pinned page",
        "cc 2, nothing changed: the guest executes again once the host has unpinned it",
        "the kernel unpins when told of the guest's call, and the guest repeats it",
    ),
    Assumption(
        "unsharing a page", "secure again, content is the guest's plaintext", "whatever is there now is private"
    ),
    Assumption("SET_UNSHARE_ALL", "unshares pinned pages, too", "it serves a reset, when no I/O is under way"),
    Assumption(
        "PREPARE_RESET, CPU resets",
        "no effect but the answer; the resets stop the CPU",
        "registers are not in the model",
    ),
    Assumption("CPU_SET_STATE with an unknown state", f"rc {RC_CPU_STATE:#x}", "states 1, 2, 3 and 5 are known"),
    Assumption(
        "order of SET_SEC_CONF_PARAMS, UNPACK_IMG, VERIFY_IMG",
        f"each in its turn, parameters and verification once; else rc {RC_PHASE:#x}",
        "an image is loaded once; nothing unpacked cannot be verified",
    ),
    Assumption(
        "DESTROY_SEC_CONF while it has CPUs",
        f"rc {RC_HAS_CPUS:#x}; not a failure that sticks",
        "only the need to destroy the CPUs first is documented",
    ),
    Assumption(
        "DESTROY_SEC_CONF cleans pages still secure or shared",
        "cleared, non-secure; each at 0.3 of the price of a destroy, rounded down",
        "v10 of the series, patch 13, says that the call cleans them, and much faster than one call for each page; it "
        "gives no figure",
    ),
    Assumption(
        "DESTROY_SEC_CONF_FAST",
        f"only if asked for (`calls`, or the preset 'as of 2022'); else rc {UVC_RC_INV_CMD:#x}, and its bit in the "
        "query is off",
        "which machines have it is not published; version 1 of the series does not use it",
    ),
    Assumption(
        "when DESTROY_SEC_CONF_FAST is refused",
        f"as DESTROY_SEC_CONF is: CPUs left, rc {RC_HAS_CPUS:#x}; wrong handle, rc {UVC_RC_INV_GHANDLE:#x}; after a "
        "DESTROY_SEC_CONF that failed, its rc",
        "the kernel destroys the CPUs first; no code is known",
    ),
    Assumption(
        "a DESTROY_SEC_CONF_FAST that failed",
        "changed nothing: DESTROY_SEC_CONF may still succeed, and so may another DESTROY_SEC_CONF_FAST",
        "the kernel keeps the handle and falls back on the ordinary call",
    ),
    Assumption(
        "pages of a configuration ended by DESTROY_SEC_CONF_FAST",
        "stay secure or shared, and the ended configuration owns them. The host destroys, exports and pins them as "
        f"before; unpinning needs the handle. Another configuration's import: rc {RC_OTHER_OWNER:#x}; its access to a "
        "secure one raises 0x3F",
        "the kernel's commit says only that the pages are left to be cleaned one by one. Until then the host must not "
        "read them",
    ),
    Assumption(
        "price of DESTROY_SEC_CONF_FAST",
        "`config`, whatever the size of the guest; nothing for its pages",
        "it leaves the pages alone: that is what is fast about it. No figure was found",
    ),
    Assumption(
        "protected guest on a donated page",
        "0x3F (secure storage violation)",
        "it looks like a secure page of another owner; the other candidate is 0x3D",
    ),
    Assumption(
        "CREATE_SEC_CPU for a configuration whose CPUs were destroyed",
        "done, as the first time",
        "no public source forbids it. Version 1 of the series never asks: it forgets the handle",
    ),
    Assumption(
        "configuration whose DESTROY_SEC_CONF failed",
        "answers every other call as before",
        "only the failure itself is documented, and that the mark on its table stays",
    ),
    Assumption(
        "marked table in the host's own use",
        "read and written like any memory; to destroy or export its pages changes nothing, and the mark stays",
        "its pages are not secure, and the mark is documented for tables and donated storage only",
    ),
    Assumption(
        "reset of the machine",
        "secure, shared and donated pages cleared; marks, configurations and CPUs gone",
        "seen by the outside tests for donated memory",
    ),
)
"""Every decision of this module that no public source fixes. What a call costs is assumed in `lazydestroy.costs`."""
