"""The host kernel before the series of May 2021: ``Kernel``, readable in one sitting.

Most functions have the kernel's names. A few are steps of a kernel function, split off and named here, so that a patch
can replace a step: `make_page_secure`, for one, is a part of `gmap_make_secure`.

`uv` calls the Ultravisor on pages, `pv` makes and ends secure configurations, `gmap` walks a guest's memory, `fault`
handles interruptions, `mm` removes address spaces, `kvm` is what userspace and the hardware ask for. `structs` has the
data. The patches in `lazydestroy.series` are layers over this class.

Plain functions happen at one moment. Functions that are generators have waiting points: they yield nanoseconds, a lock
request, or a loop over pages, and are called with ``yield from``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .fault import KernelFault
from .gmap import KernelGmap
from .kvm import KernelKvm
from .mm import KernelMm
from .pv import KernelPv
from .uv import KernelUv

if TYPE_CHECKING:
    from .._core import Task
    from ..machine import Machine
    from .structs import Flow


class Kernel(KernelKvm, KernelPv, KernelGmap, KernelFault, KernelMm, KernelUv):
    """The kernel before the series.

    Parameters
    ----------
    machine : Machine
        What it runs on.
    lazy_destroy, async_destroy : bool or None
        Module parameters: of version 1 (patch 10), and of Linux 6.2. None is the default. A kernel without the patch
        does not know its parameter.
    """

    def __init__(self, machine: Machine, lazy_destroy: bool | None = None, async_destroy: bool | None = None) -> None:
        self.machine = machine
        self.lazy_destroy = lazy_destroy
        self.async_destroy = async_destroy
        self.waits_for_memory: dict[Task, tuple[int, Flow]] = {}

    def start(self) -> None:
        """What the kernel does once, at boot."""
        self.uv_query_info()


__all__ = ["Kernel"]
