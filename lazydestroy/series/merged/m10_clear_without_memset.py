"""e40df9efd68a: clear the state without memset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...kernel.structs import NO_STORAGE, Kvm
from ...layers import Layer

if TYPE_CHECKING:
    from ...kernel import Kernel


class ClearWithoutMemset(Layer):
    """Clear field by field what a VM knows of its configuration.

    By itself it changes nothing. But later commits put into the same structure what must outlive a configuration: the
    notifier, the one that is set aside, the leftovers.
    """

    number = 10
    title = "clear the state without memset"
    commit = "e40df9efd68a"
    release = "6.0"
    files = ("arch/s390/kvm/pv.c",)

    def kvm_s390_clear_pv_state(self: Kernel, kvm: Kvm) -> None:
        """The VM has no configuration any more; what else it has, it keeps."""
        kvm.pv.handle = kvm.pv.guest_len = 0
        kvm.pv.stor_base = kvm.pv.stor_var = NO_STORAGE
