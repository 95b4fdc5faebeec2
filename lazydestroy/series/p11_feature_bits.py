"""Patch 11: add support for UV feature bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..kernel.structs import Mm
from ..uvcb import BIT_UV_FEAT_MISC, uv_cb_qui
from .layer import Layer

if TYPE_CHECKING:
    from ..kernel import Kernel


class FeatureBits(Layer):
    """Read the Ultravisor's feature bits; with "misc" it transfers shared pages by itself, and no export is needed."""

    number = 11
    title = "add support for UV feature bits"
    files = ("arch/s390/boot/uv.c", "arch/s390/include/asm/uv.h", "arch/s390/kernel/uv.c")
    needs = (7,)

    def uv_query_info(self: Kernel) -> uv_cb_qui:
        """Keep the feature bits (``uv_info.uv_feature_indications``)."""
        uvcb = super().uv_query_info()
        self.uv_feature_indications = uvcb.uv_feature_indications
        return uvcb

    def uv_has_feature(self: Kernel, feature: int) -> bool:
        """Whether the Ultravisor has a feature; bit 0 is the leftmost."""
        return bool(self.uv_feature_indications >> (63 - feature) & 1)

    def should_export_before_import(self: Kernel, uvcb: Any, mm: Mm) -> bool:
        """Not needed where the Ultravisor transfers ownership."""
        return not self.uv_has_feature(BIT_UV_FEAT_MISC) and super().should_export_before_import(uvcb, mm)
