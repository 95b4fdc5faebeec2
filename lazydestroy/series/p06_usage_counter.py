"""Patch 6: usage counter instead of flag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kernel.structs import Mm
from ..layers import Layer

if TYPE_CHECKING:
    from ..kernel import Kernel


class UsageCounter(Layer):
    """Count the secure configurations of an address space, instead of a flag.

    With lazy destroy an address space may belong to several configurations; the end of one must not make the kernel
    believe that there is none left. A configuration that cannot be destroyed counts forever.

    ``KVM_PV_UNPACK`` asks the counter as it asked the flag. But the counter goes up when the configuration is created,
    so the question no longer means "has the header been accepted?".
    """

    number = 6
    title = "usage counter instead of flag"
    files = ("arch/s390/kvm/pv.c",)

    def configuration_created(self: Kernel, mm: Mm) -> None:
        """Up as soon as CREATE_SEC_CONF has been tried."""
        mm.context.is_protected += 1

    def configuration_refused(self: Kernel, mm: Mm) -> None:
        """Down again."""
        mm.context.is_protected -= 1

    def parameters_set(self: Kernel, mm: Mm) -> None:
        """The count has been raised before."""

    def configuration_destroyed(self: Kernel, mm: Mm, cc: int) -> None:
        """Down, if it was destroyed."""
        if not cc:
            mm.context.is_protected -= 1
