"""5ff92181577a: simplify shutdown and fix race."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...kernel.structs import Mm
from ...layers import Layer

if TYPE_CHECKING:
    from ...kernel import Kernel


class CountFromAboveZero(Layer):
    """Do not raise a count that is 0: a VM that was never protected has nothing to end.

    Before, the count was 1 for a moment. A CPU that unmapped a page just then made an Ultravisor Call for it. On a host
    without an Ultravisor that call does not exist, and the kernel crashed, if rarely. The model's host has an
    Ultravisor, so here the call is only needless.
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
