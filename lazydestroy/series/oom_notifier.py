"""What version 2 added for the reviewers: an OOM notifier. No patch of version 1; a layer to put on top of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._core import DeferredList
from ..kernel.structs import Flow, Mm
from ..layers import Layer

if TYPE_CHECKING:
    from ..kernel import Kernel

ENOUGH = 1024
"""Pages: if more have been freed already in this out-of-memory situation, a notifier does not wait."""

OOM_WAIT = 20_000_000
"""Nanoseconds that a notifier waits, as its code has it; the text of the mail says 10 ms."""


class OomNotifier(Layer):
    """Let an out-of-memory situation wait a little while a clean-up thread is freeing pages that were set aside.

    As long as a thread empties a list, it has a notifier registered. When asked, the notifier waits, and reports what
    the thread has freed meanwhile, in whole list pages. Then the allocation is tried again, and no process is killed.
    Source:
    20210804154046.88552-14-imbrenda@linux.ibm.com (version 3, the same code as in version 2 of 28 July 2021).
    """

    title = "add OOM notifier for lazy destroy"
    files = ("arch/s390/kvm/pv.c",)
    needs = (9,)

    def __init__(self: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.oom_notify_list: list[DeferredList] = []

    def empty_deferred_list(self: Any, mm: Mm) -> Flow:
        """A notifier is registered meanwhile."""
        deferred_list = mm.context.deferred_list
        self.oom_notify_list.append(deferred_list)
        yield from super().empty_deferred_list(mm)
        self.oom_notify_list.remove(deferred_list)

    def out_of_memory(self: Any) -> Flow:
        """Ask each notifier in turn."""
        freed = yield from super().out_of_memory()
        for deferred_list in tuple(self.oom_notify_list):
            freed = yield from self.kvm_s390_pv_oom_notify(deferred_list, freed)
        return freed

    def kvm_s390_pv_oom_notify(self: Kernel, deferred_list: DeferredList, freed: int) -> Flow:
        """Wait, and say how many pages are freed by then."""
        if freed > ENOUGH:
            return freed
        before = deferred_list.pages_listed
        yield OOM_WAIT
        return freed + before - deferred_list.pages_listed
