"""afe20eb8df91: avoid export before import if possible. The text of patch 11 of version 1."""

from __future__ import annotations

from ..p11_feature_bits import FeatureBits


class AvoidExport(FeatureBits):
    """With the feature "misc" the Ultravisor transfers shared pages by itself, and no export is needed.

    What patch 11 of version 1 does: names and the order of the tests differ, the outcome does not.
    """

    number = 16
    title = "avoid export before import if possible"
    commit = "afe20eb8df91"
    release = "6.2"
    files = ("arch/s390/kernel/uv.c",)
    needs = (9,)
