"""5ff92181577a: simplify shutdown and fix race."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...kernel.structs import Mm
from ...layers import Layer

if TYPE_CHECKING:
    from ...kernel import Kernel


class CountFromAboveZero(Layer):
    """Do not raise a count that is 0: a VM that was never protected has nothing to end.

    Raised for a moment, the count told whoever unmapped a page just then that the address space has configurations, and
    so to make calls. On a host without an Ultravisor these do not exist: rare crashes. The model's host has one; the
    calls are only needless here.
    """

    number = 20
    title = "simplify shutdown and fix race"
    commit = "5ff92181577a"
    release = "6.5"
    files = ("arch/s390/kvm/pv.c",)
    needs = (14,)

    def hold_protected_count(self: Kernel, mm: Mm) -> bool:
        """Only from above 0."""
        return bool(mm.context.is_protected) and super().hold_protected_count(mm)
