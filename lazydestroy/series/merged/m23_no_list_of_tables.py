"""ef0c8ef8485d: stop using lists to keep track of used dat tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...kernel.structs import Gmap
from ...layers import Layer

if TYPE_CHECKING:
    from ...kernel import Kernel


class NoListOfTables(Layer):
    """Free what the gmap's tree of tables holds when it goes, instead of what is on a list.

    So a table that could not be replaced is no longer lost: the gmap still has it. But the list also kept a *marked*
    table from being freed if there is no copy. That happens if the configuration cannot be destroyed, and there is no
    memory for a copy, or the table is a segment table. Such a table is freed with the gmap now, marked as it is. That
    is inferred from the text of the commit.
    """

    number = 23
    title = "stop using lists to keep track of used dat tables"
    commit = "ef0c8ef8485d"
    release = "6.14"
    files = ("arch/s390/include/asm/gmap.h", "arch/s390/kvm/pv.c", "arch/s390/mm/gmap.c")
    needs = (4,)

    def s390_unlist_old_asce(self: Kernel, gmap: Gmap) -> None:
        """There is no list. The kernel does not have this function any more."""

    def s390_replace_asce(self: Kernel, gmap: Gmap) -> int:
        """The old table is the gmap's until there is a copy, and not a moment longer."""
        rc = super().s390_replace_asce(gmap)
        if not rc:
            gmap.crst_list = [gmap.table]
        return rc
