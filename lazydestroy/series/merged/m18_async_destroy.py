"""cc726886079f: module parameter to fence asynchronous destroy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...layers import Layer

if TYPE_CHECKING:
    from ...kernel import Kernel


class AsyncDestroyParameter(Layer):
    """``async_destroy``, a module parameter that cannot be changed at run time: 0 turns the two commands off.

    It is 1 by default. That is safe, because userspace has to ask for the commands anyway.
    """

    number = 18
    title = "module parameter to fence asynchronous destroy"
    commit = "cc726886079f"
    release = "6.2"
    files = ("arch/s390/kvm/kvm-s390.c",)
    needs = (14,)
    parameter = "async_destroy"

    def asynchronous_destroy_is_on(self: Kernel) -> bool:
        """With 0 both commands answer -EINVAL, and the capability is not there."""
        return self.async_destroy is not False
