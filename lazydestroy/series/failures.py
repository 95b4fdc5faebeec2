"""What a search may tell to fail, once in a trace: each failure with how it is told, and why it is searched or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..uvcb import UVC, UVC_RC_NEED_DESTROY

if TYPE_CHECKING:
    from ..machine import Machine

REFUSED = 0x111
"""What a call answers that is told to fail: no code of the architecture's, as the kernel only looks for a few."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that can be told to fail.

    Attributes
    ----------
    name : str
        The Ultravisor Call, perhaps with words behind it, or the allocation of the kernel.
    at : tuple of str
        Actions with which it may be told; the next such call or allocation then fails.
    words : str
        How a trace says so.
    default : bool
        Whether `check` tries it unless told otherwise.
    why : str
        The reason for that.
    excuses : tuple of str
        Kinds of events that are then to be expected. A leak always is: what is leaked is counted at the end.
    leaks : bool
        Whether the kernel may, at the end, keep pages on purpose.
    early : bool
        Whether it may be told before there is a secure configuration.
    design : str
        Only kernels of this design can meet it: `SET_ASIDE` or `THREAD`. Empty: any kernel.
    fast : bool
        Only where the Ultravisor has DESTROY_SEC_CONF_FAST.
    rc : int
        What the call answers.
    """

    name: str
    at: tuple[str, ...]
    words: str
    default: bool
    why: str
    excuses: tuple[str, ...] = ()
    leaks: bool = False
    early: bool = False
    design: str = ""
    fast: bool = False
    rc: int = REFUSED

    def concerns(self, sets_aside: bool, fast: bool) -> bool:
        """Whether a kernel can meet it: one that can set a configuration aside or not, with a fast call or without."""
        return (not self.design or (self.design == SET_ASIDE) == sets_aside) and (fast or not self.fast)

    def tell(self, machine: Machine) -> None:
        """Let the next one fail."""
        command = self.name.partition(" ")[0]
        if command in UVC.__members__:
            machine.uv.fail(UVC[command], self.rc, times=1)
        else:
            machine.fail_allocation(self.name)


THREAD, SET_ASIDE = "clean-up thread", "set aside by userspace"
"""Designs: version 1's, where the kernel has a thread; and that of Linux 6.2, where userspace has one."""

_ENDS = ("reset", "exit", "prepare", "perform", "disable", "close", "helper")
"""What ends a configuration, in some program."""

FAILURES = (
    Failure(
        "DESTROY_SEC_CONF",
        _ENDS,
        "the Ultravisor will refuse DESTROY_SEC_CONF",
        default=True,
        why="the kernel has a plan for it: the configuration counts forever, and what was donated to it is leaked. "
        "After a reset that is refused so, QEMU exits (s390_pv_cmd_exit in hw/s390x/pv.c)",
        excuses=("warning",),
        leaks=True,
    ),
    Failure(
        "DESTROY_SEC_CPU",
        _ENDS,
        "the Ultravisor will refuse DESTROY_SEC_CPU",
        default=True,
        why="the kernel has a plan for it: an exit goes on without looking at the result, and KVM_PV_DISABLE answers "
        "with an error, after which QEMU exits. The configuration still has a CPU then, so it can't be destroyed",
        excuses=("warning",),
        leaks=True,
    ),
    Failure(
        "deferred_priv",
        _ENDS,
        "there is no memory for the record",
        default=True,
        why="memory can run out, and the series has a fall-back: it ends the configuration at once",
        design=THREAD,
    ),
    Failure(
        "top-level table",
        _ENDS,
        "there is no memory for a table",
        default=True,
        why="memory can run out, and each design has a fall-back: it ends the configuration at once",
    ),
    Failure(
        "kthread",
        _ENDS,
        "there is no kernel thread",
        default=True,
        why="as for deferred_priv",
        design=THREAD,
    ),
    Failure(
        "list page",
        _ENDS,
        "there is no memory for a list page",
        default=True,
        why="memory can run out, and patch 9 has a fall-back: it exports the page",
        design=THREAD,
    ),
    Failure(
        "set-aside structure",
        _ENDS,
        "there is no memory for the record",
        default=True,
        why="memory can run out, and userspace has a fall-back: KVM_PV_DISABLE",
        design=SET_ASIDE,
    ),
    Failure(
        "DESTROY_SEC_CONF_FAST",
        _ENDS,
        "the Ultravisor will refuse DESTROY_SEC_CONF_FAST",
        default=True,
        why="the kernel has a plan for it: nothing is freed, and the configuration can be ended in the ordinary way",
        excuses=("warning",),
        design=SET_ASIDE,
        fast=True,
    ),
    Failure(
        "notifier",
        ("protect",),
        "a signal will interrupt the registration of the notifier",
        default=True,
        why="any signal that arrives at that moment does it, and signals are nothing special",
        early=True,
        design=SET_ASIDE,
    ),
    Failure(
        "donated storage",
        ("protect",),
        "there is no memory to donate",
        default=False,
        why="as for CREATE_SEC_CPU",
        early=True,
    ),
    Failure(
        "SET_SEC_CONF_PARAMS",
        ("protect",),
        "the Ultravisor will refuse its header",
        default=False,
        why="a wrong header is the guest's own fault, and most questions are about the end of a guest, not its start. "
        "QEMU ends the configuration again (s390_machine_protect in hw/s390x/s390-virtio-ccw.c), and the guest goes "
        "on as a normal one",
        early=True,
    ),
    Failure(
        "CREATE_SEC_CONF",
        ("protect",),
        "the Ultravisor will refuse CREATE_SEC_CONF",
        default=False,
        why="as for CREATE_SEC_CPU",
        excuses=("refused",),
        early=True,
    ),
    Failure(
        "CREATE_SEC_CONF in part",
        ("protect",),
        "the Ultravisor will refuse CREATE_SEC_CONF, but begin a configuration",
        default=False,
        why="as for CREATE_SEC_CPU; the kernel has to destroy what was begun",
        excuses=("refused",),
        early=True,
        rc=UVC_RC_NEED_DESTROY | REFUSED,
    ),
    Failure(
        "CREATE_SEC_CPU",
        ("protect",),
        "the Ultravisor will refuse CREATE_SEC_CPU",
        default=False,
        why="like SET_SEC_CONF_PARAMS it is about the start of a guest: KVM_PV_ENABLE fails, ends the configuration "
        "again, and the guest goes on as a normal one",
        early=True,
    ),
    Failure(
        "CONV_TO_SEC_STOR",
        ("touch",),
        "the Ultravisor will refuse an import",
        default=False,
        why="no kernel can give the guest its page then: the process is killed, and rightly so. What is searched is "
        "whether it leaves anything behind",
        excuses=("signal",),
    ),
    Failure(
        "CONV_FROM_SEC_STOR",
        ("touch", "io", "swap", *_ENDS),
        "the Ultravisor will refuse an export",
        default=False,
        why=(
            "the kernel has no plan for it, with the series or without. Where an access waits for the page, it "
            "kills the process. Where an entry goes away, it ignores the result and frees the page, still secure"
        ),
        excuses=("warning",),
        leaks=True,
    ),
    Failure(
        "DESTR_SEC_STOR",
        ("touch", *_ENDS),
        "the Ultravisor will refuse to destroy a page",
        default=False,
        why="the architecture lets it happen only to a page whose configuration has CPUs, and the search meets that "
        "case without it, as the model's Ultravisor keeps that rule",
        excuses=("warning",),
        leaks=True,
    ),
)
"""All failures that the model can inject into a search."""

_BY_NAME = {failure.name: failure for failure in FAILURES}


def failure_of(name: str) -> Failure:
    """The failure of that name."""
    return _BY_NAME[name]


__all__ = ["FAILURES", "Failure", "failure_of"]
