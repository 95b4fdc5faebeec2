"""What a search may tell to fail, once in a trace: each failure with how it is told, and why it is searched or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..uvcb import UVC

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
        The Ultravisor Call, or the allocation of the kernel.
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
    """

    name: str
    at: tuple[str, ...]
    words: str
    default: bool
    why: str
    excuses: tuple[str, ...] = ()
    leaks: bool = False
    early: bool = False

    def tell(self, machine: Machine) -> None:
        """Let the next one fail."""
        if self.name in UVC.__members__:
            machine.uv.fail(UVC[self.name], REFUSED, times=1)
        else:
            machine.fail_allocation(self.name)


_ENDS = ("reset", "exit")

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
    ),
    Failure(
        "top-level table",
        _ENDS,
        "there is no memory for a table",
        default=True,
        why="as for deferred_priv",
    ),
    Failure(
        "kthread",
        _ENDS,
        "there is no kernel thread",
        default=True,
        why="as for deferred_priv",
    ),
    Failure(
        "list page",
        _ENDS,
        "there is no memory for a list page",
        default=True,
        why="memory can run out, and patch 9 has a fall-back: it exports the page",
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
        why="the kernel has no plan for it, with the series or without: where an access waits for the page it kills "
        "the process, and where an entry goes away it ignores the result and frees the page, still secure",
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
