"""b1e428615f15: relax WARN_ONCE condition for destroy fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...layers import Layer

if TYPE_CHECKING:
    from ...kernel import Kernel

AP_QUEUES_BOUND = 0x104
"""What DESTROY_SEC_CONF_FAST answers if crypto queues are bound to the guest."""


class RelaxWarning(Layer):
    """Do not warn if DESTROY_SEC_CONF_FAST is refused with rc 0x104.

    The Ultravisor answers that while crypto queues are bound to the guest, and the ordinary call at the end works. The
    model has no crypto queues; an injected failure stands for them.
    """

    number = 21
    title = "relax WARN_ONCE condition for destroy fast"
    commit = "b1e428615f15"
    release = "6.6"
    files = ("arch/s390/kvm/pv.c",)
    needs = (17,)

    def fast_refusal_is_worth_a_warning(self: Kernel, rc: int) -> bool:
        """Any other refusal is."""
        return rc != AP_QUEUES_BOUND
