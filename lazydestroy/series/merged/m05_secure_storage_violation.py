"""a52c25848e31: handle secure storage violations for protected guests. The text of patch 3 of version 1."""

from __future__ import annotations

from ..p03_secure_storage_violation import SecureStorageViolation


class MergedSecureStorageViolation(SecureStorageViolation):
    """On 0x3F, clear the page so that it can be used again: patch 3 of version 1.

    In the kernel it looks up the memory area by ``vma_lookup`` (version 5). The guest's memory is one area here, so the
    text is the same.
    """

    number = 5
    commit = "a52c25848e31"
    release = "6.0"
    needs = (3,)
