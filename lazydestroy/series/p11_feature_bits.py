"""Patch 11: add support for UV feature bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..kernel.structs import Mm
from ..layers import Layer
from ..uvcb import BIT_UVC_FEAT_MISC_0, uv_cb_qui

if TYPE_CHECKING:
    from ..kernel import Kernel


class FeatureBits(Layer):
    """Read the Ultravisor's feature bits; with "misc" it transfers shared pages by itself, and no export is needed."""

    number = 11
    title = "add support for UV feature bits"
    files: ClassVar[tuple[str, ...]] = ("arch/s390/boot/uv.c", "arch/s390/include/asm/uv.h", "arch/s390/kernel/uv.c")
    needs = (7,)

    def uv_query_info(self: Kernel) -> uv_cb_qui:
        """Keep the feature bits (``uv_info.feature_bits``)."""
        uvcb = super().uv_query_info()
        self.feature_bits = uvcb.uv_feature_bits
        return uvcb

    def test_bit_inv(self: Kernel, nr: int, bits: int) -> bool:
        """Whether a bit of a 64-bit word is set; bit 0 is the leftmost (``arch/s390/include/asm/bitops.h``)."""
        return bool(bits >> (63 - nr) & 1)

    def should_export_before_import(self: Kernel, uvcb: Any, mm: Mm) -> bool:
        """Not needed where the Ultravisor transfers ownership."""
        if self.test_bit_inv(BIT_UVC_FEAT_MISC_0, self.feature_bits):
            return False
        return super().should_export_before_import(uvcb, mm)
