"""292a7d6fca33: fix asynchronous teardown for small VMs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errnos import EINVAL
from ...kernel.gmap import ASCE_TYPE_MASK, ASCE_TYPE_SEGMENT
from ...kernel.structs import Gmap, Kvm
from ...layers import Layer

if TYPE_CHECKING:
    from ...kernel import Kernel


class SmallVms(Layer):
    """Never replace a top-level table that is a segment table: refuse to set such a guest aside.

    Up to 2 GiB the host-to-guest map points into the top-level table itself. Replacing the table leaves the pointers
    behind, and unmapping the guest writes through them into freed memory. Refusing costs nothing: the first 2 GiB are
    destroyed in the foreground anyway.
    """

    number = 19
    title = "fix asynchronous teardown for small VMs"
    commit = "292a7d6fca33"
    release = "6.4"
    files = ("arch/s390/kvm/pv.c", "arch/s390/mm/gmap.c")
    needs = (4, 14)

    def is_segment_table(self: Kernel, gmap: Gmap) -> bool:
        """Whether the guest has two levels of tables."""
        return gmap.asce & ASCE_TYPE_MASK == ASCE_TYPE_SEGMENT

    def s390_replace_asce(self: Kernel, gmap: Gmap) -> int:
        """-EINVAL for a segment table. As always, the old table is off the list afterwards, so it can be leaked."""
        if self.is_segment_table(gmap):
            self.s390_unlist_old_asce(gmap)
            return -EINVAL
        return super().s390_replace_asce(gmap)

    def set_aside_refused(self: Kernel, kvm: Kvm) -> int:
        """-EINVAL for a segment table, too."""
        return super().set_aside_refused(kvm) or (-EINVAL if self.is_segment_table(kvm.gmap) else 0)
