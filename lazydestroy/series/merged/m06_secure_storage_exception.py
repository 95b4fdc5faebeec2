"""b108f7f0a29b: handle secure storage exceptions for normal guests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errnos import EFAULT
from ...kernel.structs import Kvm
from ..p04_secure_storage_exception import SecureStorageException

if TYPE_CHECKING:
    from ...kernel import Kernel


class MergedSecureStorageException(SecureStorageException):
    """On 0x3D of a guest, make the page accessible, as for userspace: patch 4 of version 1, and one thing else.

    An address that the guest's tables do not translate is an error now (version 3). Version 1 tried again and hoped for
    another exception.
    """

    number = 6
    commit = "b108f7f0a29b"
    release = "6.0"

    def do_secure_storage_access_gmap(self: Kernel, kvm: Kvm, gaddr: int) -> None:
        """0x3D, guest: an address without memory behind it ends the process."""
        if self.gmap_translate(kvm.gmap, gaddr) == -EFAULT:
            self.machine.signal("SIGSEGV", f"0x3D at {gaddr:#x}, where the guest has no memory", kvm)
            return
        super().do_secure_storage_access_gmap(kvm, gaddr)
