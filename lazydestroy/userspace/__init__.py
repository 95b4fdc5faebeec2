"""The programs that run on a machine: what they ask of the kernel, in which order, and how they end.

A program is a `Process`: an address space, and flows that the machine's engine steps. `qemu` has `Qemu`, which every
machine runs; `async_cleanup` its threads, and how they end; `killable` the QEMU of the scenarios, which may be killed
in the middle of an ioctl. `starting` maps their memory and creates their VM. What the kernel does for them is in
`lazydestroy.kernel` and `lazydestroy.series`.
"""

from .process import Process
from .qemu import Qemu

__all__ = ["Process", "Qemu"]
