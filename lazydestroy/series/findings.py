"""What is wrong with the merged design, as the search finds it by itself.

Without an injected failure, Linux 6.2 has one bug (small guests). All else takes one refused call, one
allocation that fails, or one signal. Some findings break nothing: they are costs, and the bound that states the cost
says so (``patience``, ``leftovers``, ``leaked``, ``keeps_refused``). Each was held against recordings of the kernel's
own code, or read in that code, as `source` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from types import MappingProxyType
from typing import Any

from ..costs import Costs
from ..kernel.gmap import CRST_PAGES
from ..layers import Series
from ..page import PAGE_SIZE
from ..rounded import about_duration, about_size
from ..tables import html_table
from .check import Verdict, check
from .merged import linux_6_2, linux_latest

OF_THE_KERNEL = "recorded from the kernel's own code, compiled for user space"
READ = "read in the kernel's code: a walk that never asks for a signal"
INFERRED = "inferred"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with the merged design, or that it costs.

    Attributes
    ----------
    name : str
    commits : tuple of int
        Where it is: numbers of commits in ``linux_6_2``, or in ``linux_latest``.
    what : str
        What happens.
    costs : str
        What it costs in practice.
    later : str
        Whether later kernels have it: empty if they do, else what fixed it.
    source : str
        How it is known to be the kernel's and not the model's.
    bounds : mapping
        What `check` must be told to find it.
    kernel : Series
        The kernel that has it.
    """

    name: str
    commits: tuple[int, ...]
    what: str
    costs: str
    later: str
    source: str
    bounds: Mapping[str, Any]
    kernel: Series = field(default=linux_6_2)

    def check(self, kernel: Series | None = None) -> Verdict:
        """Search for the shortest way to meet it, in the kernel that has it or in another one."""
        return check(self.kernel if kernel is None else kernel, **self.bounds)


class Findings(tuple[Finding, ...]):
    """Findings, shown as a table in a notebook."""

    __slots__ = ()

    def checked(self) -> Iterator[tuple[Finding, Verdict, Verdict]]:
        """Search for each, in its kernel and in ``linux_latest``. It takes some seconds in all."""
        for finding in self:
            yield finding, finding.check(), finding.check(linux_latest)

    def __repr__(self) -> str:
        return "\n".join(
            f"{number}. {finding.name}: {finding.what} Costs: {finding.costs} {_later(finding)}."
            for number, finding in enumerate(self)
        )

    def _repr_html_(self) -> str:
        rows = (
            (str(number), finding.name, finding.what, finding.costs, _later(finding), finding.source)
            for number, finding in enumerate(self)
        )
        head = ("", "finding", "what happens", "what it costs", "later kernels", "source")
        return html_table(head, (map(escape, row) for row in rows))


def _later(finding: Finding) -> str:
    return f"Fixed: {finding.later}" if finding.later else "Later kernels have it"


_TABLE = about_size(CRST_PAGES * PAGE_SIZE)
_LOW_PAGES = (2 << 30) // PAGE_SIZE
_LARGE_PAGES = (64 << 30) // PAGE_SIZE
_COSTS = Costs()

FINDINGS_6_2 = Findings(
    (
        Finding(
            "a small guest's table is replaced",
            (14,),
            "The host-to-guest map of a guest of up to 2 GiB points into its top-level table. PREPARE replaces the "
            "table, PERFORM frees the old one, and unmapping the guest then writes into freed memory.",
            "Memory corruption at the end of each such guest. Nothing has to fail for it. QEMU no longer sets small "
            "guests aside, but its first versions did.",
            "Linux 6.4, 292a7d6fca33: PREPARE refuses",
            OF_THE_KERNEL,
            MappingProxyType({"failures": (), "segment_table": "1 MiB", "userspace": "any", "pages": 1}),
        ),
        Finding(
            "a top-level table is lost",
            (4, 14),
            "PREPARE takes the old table off the VM's list before it knows whether there is memory for a new one. "
            "If there is none, it answers -ENOMEM, and neither DISABLE nor the exit frees the old table.",
            f"{_TABLE} each time, until the host restarts. Another PREPARE, if it works, repairs it.",
            "Linux 6.14, ef0c8ef8485d: there is no list any more",
            OF_THE_KERNEL,
            MappingProxyType({"failures": ("top-level table",)}),
        ),
        Finding(
            "a page is freed while it is secure",
            (17,),
            "After the fast call, only PERFORM's walk cleans the pages. It ignores a refused destroy and lowers the "
            "count all the same. At a count of 0, the exit takes every page for a normal one and frees it, still "
            "secure.",
            "The next owner of the frame faults on it forever. If the page was shared and the next guest touches "
            "it, its import is refused and QEMU is killed. Without the fast call, DESTROY_SEC_CONF cleans the page.",
            "",
            OF_THE_KERNEL,
            MappingProxyType({"failures": ("DESTR_SEC_STOR",), "fast": True}),
        ),
        Finding(
            "the notifier is not registered",
            (11,),
            "A signal can interrupt the registration, and the kernel doesn't check. Later the VM drops a reference "
            "to the mm that it never took.",
            "The mm is freed too early: at once, if the program closes its VM and lives on. And the CPUs are still "
            "there when the address space goes, so each page costs a refused destroy and an export.",
            "Linux 6.17, 185d903064f8",
            OF_THE_KERNEL,
            MappingProxyType({"failures": ("notifier",)}),
        ),
        Finding(
            "a leftover waits",
            (14,),
            "A fatal signal for PERFORM's thread alone leaves its configuration on a list. Nothing is set aside any "
            "more, so another PERFORM answers -EINVAL. So does DISABLE, until the VM is protected again.",
            "Its storage, its table and all pages that aren't clean yet stay. The count stays up, so each import of "
            "the next guest exports first. QEMU is safe: a fatal signal ends all its threads.",
            "",
            OF_THE_KERNEL,
            MappingProxyType({"failures": (), "userspace": "any", "leftovers": 0, "pages": 1, "sharing": False}),
        ),
        Finding(
            "leftovers pile up",
            (14,),
            "PREPARE doesn't look at that list. A program whose threads die one by one collects leftovers, one more "
            "with each reset.",
            "The same again for each leftover. And each counts against the Ultravisor's limit of configurations.",
            "",
            OF_THE_KERNEL,
            MappingProxyType(
                {
                    "failures": (),
                    "userspace": "any",
                    "leftovers": 1,
                    "pages": 1,
                    "resets": 2,
                    "sharing": False,
                }
            ),
        ),
        Finding(
            "PREPARE is refused, and the guest is lost",
            (14,),
            "PREPARE ends the CPUs before it checks whether another configuration is set aside. It answers -EINVAL, "
            "and the guest that was to stay has no CPUs. Then PERFORM, meant for the other configuration, destroys "
            "this one's pages, too.",
            "A program that would rather keep the guest can't. QEMU calls DISABLE at once, so it loses nothing.",
            "",
            OF_THE_KERNEL,
            MappingProxyType(
                {
                    "failures": (),
                    "userspace": "any",
                    "keeps_refused": True,
                    "pages": 1,
                    "resets": 2,
                    "sharing": False,
                }
            ),
        ),
        Finding(
            "PREPARE cannot be killed",
            (14,),
            "PREPARE destroys the guest's first 2 GiB while it holds kvm->lock, and never looks for a signal.",
            f"At the default prices, a killed QEMU stays for up to {about_duration(_LOW_PAGES * _COSTS.destroy)}. A "
            "PERFORM thread that wants the lock waits as long.",
            "",
            READ,
            MappingProxyType({"failures": (), "patience": 2, "pages": 3, "low_pages": 3, "sharing": False}),
        ),
        Finding(
            "DISABLE cannot be killed",
            (7, 13),
            "DISABLE walks through all of the guest's memory while it holds kvm->lock, and never looks for a "
            "signal. So did the kernel before the series. QEMU still calls DISABLE when PREPARE is refused.",
            "At the default prices, a killed QEMU with a guest of 64 GiB stays for up to "
            f"{about_duration(_LARGE_PAGES * _COSTS.noop)}. And DESTROY_SEC_CONF has already cleaned every page.",
            "",
            READ,
            MappingProxyType({"failures": ("set-aside structure",), "patience": 3, "pages": 3, "sharing": False}),
        ),
        Finding(
            "a page in low memory stays secure",
            (14,),
            "PREPARE's walk makes sure that the next guest finds no old page in its first 2 GiB. It ignores a "
            "refused destroy, and answers 0 all the same.",
            "A CPU whose prefix area is that page can't start until PERFORM is done.",
            "",
            f"{INFERRED}: the code ignores the result; what the walk is for is only hinted at",
            MappingProxyType({"failures": ("DESTR_SEC_STOR",), "low_pages": 1, "sharing": False}),
        ),
        Finding(
            "what is lost grows with each attempt",
            (4,),
            "If DESTROY_SEC_CONF is refused, the VM keeps its handle. At its end the VM tries again, is refused "
            "again, and replaces and loses another table.",
            f"{_TABLE} for each further attempt, on top of what the refused configuration holds.",
            "",
            OF_THE_KERNEL,
            MappingProxyType(
                {
                    "failures": ("DESTROY_SEC_CONF",),
                    "userspace": "any",
                    "leaked": 2 + CRST_PAGES,
                    "pages": 1,
                    "sharing": False,
                }
            ),
        ),
        Finding(
            "a CPU's storage is lost",
            (1,),
            "A CPU that could not be created has no handle, and the kernel thinks that a CPU without a handle has "
            "nothing. So it never frees the CPU's donated storage and its SIDA page.",
            "Both, for each CPU that is refused, until the host restarts.",
            "",
            OF_THE_KERNEL,
            MappingProxyType({"failures": ("CREATE_SEC_CPU",)}),
        ),
        Finding(
            "a marked table is freed",
            (19, 23),
            "Without a list, a table is freed with the VM unless it was replaced, and a small guest's never is. If "
            "DESTROY_SEC_CONF was refused, the Ultravisor still marks it.",
            "No guest can ever start on that table again: CREATE_SEC_CONF is refused.",
            "",
            f"{INFERRED} from the text of ef0c8ef8485d (Linux 6.14)",
            MappingProxyType({"failures": ("DESTROY_SEC_CONF",), "segment_table": "1 MiB"}),
            linux_latest,
        ),
    )
)
"""What the search finds in Linux 6.2, and in one case in what came after."""

__all__ = ["FINDINGS_6_2", "Finding", "Findings"]
