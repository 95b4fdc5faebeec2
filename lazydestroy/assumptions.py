"""Everything that the model assumes, in one place: what no public source fixes, and what is left out.

The figures are read from the code that uses them whenever `assumptions` is called, so the list cannot disagree with
what runs. What an Ultravisor answers is decided in `lazydestroy.ultravisor`, what a step costs in `lazydestroy.costs`;
both say there what is assumed, and are collected here. ``notebooks/reference/assumptions.ipynb`` shows it all.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from . import machine, scenarios, ultravisor
from .costs import Costs
from .host import sizes
from .kernel import gmap, mm, uv
from .page import PAGE_SHIFT, PAGE_SIZE
from .series.ranges import costs_in_a_range
from .tables import html_table
from .units import format_count, format_duration, format_size, one_of
from .uvcb import UVC_RC_INV_CMD

__all__ = ["NOT_MODELLED", "TOPICS", "Assumption", "Assumptions", "Omission", "Omissions", "assumptions"]

COSTS = "What a step costs"
TIME = "Time and order"
MEMORY = "Where memory lies"
SHORTAGE = "When memory is short"
KERNEL = "The kernel around the series"
SCENARIOS = "Reboot and shutdown"
CONFIGURATIONS = "The Ultravisor: storage, configurations, CPUs"
PAGES = "The Ultravisor: pages"

TOPICS = (COSTS, TIME, MEMORY, SHORTAGE, KERNEL, SCENARIOS, CONFIGURATIONS, PAGES)
"""The topics, in the order in which a reader meets them."""

_EXAMPLE = 64 << 30
"""A guest to give figures for that depend on its size."""


@dataclass(frozen=True, slots=True)
class Assumption:
    """Something that the model fixes and no public source does.

    Attributes
    ----------
    topic : str
        One of `TOPICS`.
    what : str
        What is assumed something about.
    value : str
        What is assumed. Figures are those of the code.
    why : str
        What speaks for it, or where it comes from.
    where : str
        The code that decides it, below ``lazydestroy``.
    """

    topic: str
    what: str
    value: str
    why: str
    where: str


@dataclass(frozen=True, slots=True)
class Omission:
    """Something that a real machine has and the model has not.

    Attributes
    ----------
    what : str
    means : str
        What that means for the results.
    """

    what: str
    means: str


class Assumptions(tuple[Assumption, ...]):
    """Assumptions, shown as a table in a notebook."""

    __slots__ = ()

    def about(self, topic: str) -> Assumptions:
        """Those of one topic.

        Raises
        ------
        ValueError
            If there is no such topic.
        """
        wanted = one_of(topic, TOPICS, "topic")
        return Assumptions(each for each in self if each.topic == wanted)

    def __repr__(self) -> str:
        return "\n".join(f"{each.what}: {each.value} [{each.where}]" for each in self)

    def _repr_html_(self) -> str:
        rows = (
            (_marked_up(each.what), _marked_up(each.value), _marked_up(each.why), _path(each.where)) for each in self
        )
        return html_table(("what", "assumed", "why", "where"), rows)


class Omissions(tuple[Omission, ...]):
    """What is left out, shown as a table in a notebook."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "\n".join(f"{each.what}: {each.means}" for each in self)

    def _repr_html_(self) -> str:
        rows = ((_marked_up(each.what), _marked_up(each.means)) for each in self)
        return html_table(("left out", "what that means"), rows)


def _marked_up(text: str) -> str:
    """Text as HTML; what is between backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def _path(name: str) -> str:
    """The name of a piece of code as HTML, which may be broken behind a dot: some are longer than a column."""
    return f'<code style="white-space: normal">{escape(name).replace(".", ".<wbr>")}</code>'


def assumptions() -> Assumptions:
    """Every assumption of the model, by topic.

    Returns
    -------
    Assumptions
        A tuple of `Assumption`, in the order of `TOPICS`.
    """
    found = [*_of_costs(), *_of_time(), *_of_memory(), *_of_shortage(), *_of_kernel(), *_of_scenarios()]
    found += sorted(_of_ultravisor(), key=lambda each: TOPICS.index(each.topic))
    return Assumptions(found)


def _of_costs() -> Iterator[Assumption]:
    """Each cost: what it is for is said in the docstring of `Costs`."""
    costs = Costs()
    for name, source in costs.sources.items():
        if source.assumed:
            explained = re.search(rf"^{name} : int\n +(.+)$", inspect.getdoc(Costs) or "", re.MULTILINE)
            what = f"`{name}`: {explained[1].rstrip('.')}" if explained else f"`{name}`"
            why = f"{source.text} {source.reference}".strip()
            yield Assumption(COSTS, what, format_duration(getattr(costs, name)), why, f"costs.Costs.{name}")
    inside = costs_in_a_range(costs)
    yield Assumption(
        COSTS,
        "a call for a range of pages (a layer of this package, `range_call`)",
        f"the call {format_duration(inside.noop)}, each page in it {format_duration(inside.destroy)}",
        "the call by itself like one that changes nothing, and the rest of a destroy for the page, so that a range of "
        "one page costs what a page costs today",
        "series.ranges.costs_in_a_range",
    )


def _of_time() -> Iterator[Assumption]:
    def assume(what: str, value: str, why: str, where: str) -> Assumption:
        return Assumption(TIME, what, value, why, where)

    yield assume(
        "when a step takes effect",
        "when it begins; the time that it takes passes afterwards",
        "one task must come first, and a step is short: at most a few Ultravisor Calls on one page",
        "_core.Engine",
    )
    yield assume(
        "who acts next",
        "the task whose clock is furthest behind, one page step at a time; with equal clocks the one created first",
        "the same inputs then give the same result on every computer",
        "_core.Engine",
    )
    yield assume(
        "processors of the host",
        "one for every vCPU, thread and process; none is slowed down by another, and calls from several of them run "
        "side by side",
        "how an Ultravisor serves several processors is not published",
        "_core.Task",
    )
    yield assume(
        "cost of a step",
        "always the same: no caches, no memory bandwidth, no luck",
        "the counts do not depend on it",
        "costs.Costs",
    )
    yield assume(
        "what takes no time",
        "taking and dropping a lock or a reference, starting a thread, being rescheduled, an ioctl, what QEMU does "
        "by itself in a reset, and the guest's own calls to share and unshare",
        "short beside a walk over gigabytes",
        "machine.Machine",
    )
    yield assume(
        "calls that are not about a single page",
        "creating and destroying have prices of their own; all others, VERIFY_IMG too, take `noop`; each unpacked "
        "page takes `import_decrypt`",
        "their work is not modelled, and there is one of them, not one for each page",
        "ultravisor.Ultravisor",
    )
    yield assume(
        "`mmap_lock`",
        "fair: who asks first is served first, and a reader queues behind a writer who waits. The locks of the page "
        "tables below it are not modelled",
        "a kernel's semaphore lets some overtake; who waits for it in the experiments waits behind one holder",
        "_core.Lock",
    )


def _of_memory() -> Iterator[Assumption]:
    def assume(what: str, value: str, why: str, where: str) -> Assumption:
        return Assumption(MEMORY, what, value, why, where)

    storage = {name: format_size(length) for name, length in sizes.SMALL_STORAGE.items() if length}
    yield assume(
        "the guest's memory when it starts",
        f"contiguous: guest page g at home in frame {sizes.LOWCORE_PAGES} + g, QEMU's own memory behind it",
        "which frame backs a page changes nothing that is counted",
        "userspace.starting.address_space",
    )
    yield assume(
        "frame for a page fault",
        "the page's home frame if that is free",
        "keeps a guest whole, and pages that are worked on in order stay in order",
        "kernel.mm.KernelMm.handle_mm_fault",
    )
    yield assume(
        "frame for anything else",
        "of the frames freed lately the one freed last, otherwise the next free one upwards",
        "Linux's lists for each CPU also hand out first what was freed last",
        "_core.Memory.allocate",
    )
    yield assume(
        "donated storage and top-level tables",
        f"contiguous, as high in memory as possible; a top-level table is {gmap.CRST_PAGES} pages",
        "variable storage of a real host is contiguous only in the kernel's virtual memory",
        "_core.Memory.find_run",
    )
    yield assume(
        "lowest address of donated storage",
        f"{format_size(machine.LOW_MEMORY)}, or half of a host that has less than twice that; lower for want of room",
        "an Ultravisor accepts none below; small hosts are for small experiments",
        "scenarios.stage.Stage",
    )
    yield assume(
        "header of the boot image",
        "in the page of the SCA",
        "the host must be able to read it; nothing else about it matters here",
        "userspace.qemu.Qemu.protecting",
    )
    yield assume(
        "tables below the top-level table",
        "not modelled: they take no memory, and filling them no time",
        f"eight bytes for each page of {format_size(PAGE_SIZE)}",
        "_core.Table",
    )
    yield assume(
        "the host kernel's own memory",
        f"{sizes.LOWCORE_PAGES} pages, and what a VM needs: the SCA, a state description for each vCPU, and "
        "top-level tables",
        "everything else is the same with and without the series",
        "host.sizes.LOWCORE_PAGES",
    )
    yield assume(
        "donated storage of a `Machine` driven by hand",
        ", ".join(f"{name} {length}" for name, length in storage.items()),
        "so that a handful of pages fits on a screen; `reboot` and `shutdown` take the Ultravisor's defaults, but for "
        "its own storage",
        "host.sizes.SMALL_STORAGE",
    )
    yield assume(
        "the Ultravisor's own storage on the host of `reboot` and `shutdown`",
        f"{format_size(sizes.UV_STORAGE['uv_base_stor_len'])}, at any page",
        "so that a host hardly larger than its guest will do; a real Ultravisor wants far more, at a whole MiB",
        "host.sizes.UV_STORAGE",
    )
    yield assume(
        "content of a page",
        "one kind for the whole page: zeros, host data, or a guest's plaintext or ciphertext",
        "enough to say what a reader would see",
        "page.Content",
    )


def _of_shortage() -> Iterator[Assumption]:
    def assume(what: str, value: str, why: str, where: str) -> Assumption:
        return Assumption(SHORTAGE, what, value, why, where)

    host = scenarios.host_memory_of(None, _EXAMPLE, 0)
    reserve, half = scenarios.min_free_pages(host), scenarios.atomic_reserve(host)
    yield assume(
        "reserve that an atomic allocation leaves alone",
        f"{format_count(half)} pages ({format_size(half << PAGE_SHIFT)}) of {format_size(host)}: half of the minimum "
        f"watermark, {format_count(reserve)} pages",
        "min_free_kbytes by the formula in Linux's mm/page_alloc.c. GFP_ATOMIC alone may take more than half of it; "
        "__GFP_NOMEMALLOC, with which patch 9 asks as well, stops at half (gfp_to_alloc_flags of Linux 5.13). The "
        "author's words are that the reserves are not touched. Watermarks above it are not modelled",
        "scenarios.atomic_reserve",
    )
    yield assume(
        "who must leave the reserve alone",
        "only a list page of patch 9; page faults and other processes take the last page",
        "a real kernel begins to look for memory before",
        "_core.Engine.allocate_list_page",
    )
    yield assume(
        "swapping",
        "only into the space that the parameter `swap` gives, none by default, and only when nothing is free at all: "
        f"{mm.SWAP_CLUSTER_MAX} of the guest's mapped pages at a time, upwards and round again. A page swapped out by "
        "hand needs no space. The device takes no time",
        "which pages Linux prefers depends on their history; what is in no address space it cannot find",
        "kernel.mm.KernelMm.try_to_free_pages",
    )
    yield assume(
        "dropping of caches, compaction",
        "none",
        "so an OOM comes sooner here than on a host that has something else to give up",
        "kernel.mm.KernelMm.out_of_memory",
    )
    yield assume(
        "who asks an OOM notifier (of version 2)",
        "another process that finds no free page, and a page fault of the guest that finds none. mmap_lock is not held "
        "while a fault waits",
        "in Linux every allocation that may sleep asks; a real fault waits inside the allocator, with the lock held",
        "kernel.mm.KernelMm.memory_was_freed",
    )
    yield assume(
        "another process finds no free page",
        "it is killed, and its pages are free at once",
        "Linux does not always kill the process that asks",
        "scenarios.shutdown",
    )
    yield assume(
        "a page fault of the guest finds no free page",
        "the guest's process is killed",
        "the same",
        "machine.Machine.out_of_memory",
    )
    yield assume(
        "pages of a process that is killed for lack of memory",
        "removed as at any exit, set aside too",
        "patch 9 leaves the OOM killer's own way of freeing memory as it was; that way is not modelled",
        "userspace.process.Process.kill",
    )


def _of_kernel() -> Iterator[Assumption]:
    def assume(what: str, value: str, why: str, where: str) -> Assumption:
        return Assumption(KERNEL, what, value, why, where)

    yield assume(
        "users of an address space",
        "one for the process, however many vCPUs it has; one for each clean-up thread, the kernel's or QEMU's "
        "with PERFORM; one for a helper process",
        "in Linux each thread is a user; QEMU's others all end together, so that one stands for them",
        "userspace.starting.address_space",
    )
    yield assume(
        "what a VM waits for before it goes",
        "the last descriptor, and with a helper process the end of the address space as well",
        "each vCPU's run area is mapped, and a mapping holds its file. It is reasoned from KVM's code, and read in no "
        "mail. Version 1's clean-up threads are taken not to hold the VM so",
        "userspace.async_cleanup.ThreadedProcess.leaving",
    )
    yield assume(
        "where a task may be interrupted in a call on a configuration or CPU",
        "Linux 6.2: between the answer and the kernel's note of it. Before the series, and in version 1: nowhere",
        "the kernel may be rescheduled there (`uv_call_sched`), and could before",
        "kernel.uv.KernelUv.uv_call_sched",
    )
    yield assume(
        "a notifier that is not registered",
        "only by fault injection",
        "registering takes every lock of the address space, and a signal at that moment interrupts it: rare",
        "host.frames.HostFrames.fail_allocation",
    )
    yield assume(
        "the top-level table of a gmap that is freed, since Linux 6.14",
        "freed with the gmap, even marked, if there is no copy of it",
        "the list that kept it from being freed has gone (ef0c8ef8485d); inferred from the commit's text",
        "series.merged.m23_no_list_of_tables.NoListOfTables",
    )
    yield assume(
        "SIDA pages",
        "one for each secure CPU from Linux 5.16 on; not modelled before",
        "only then does it matter: a CPU that is not created leaks its page (d4074324b07a)",
        "series.merged.m01_sida.NoDoubleFreeOfSida",
    )
    yield assume(
        "references to a page",
        "one for its mapping; more only from a clean-up batch, the deferred list, or a handler at work",
        "on a real host also I/O under way",
        "kernel.mm.KernelMm.get_page",
    )
    yield assume(
        "when a page is charged to the memory cgroup",
        "from the page fault that maps it until it is freed, set aside or not",
        "version 2's cover letter says that it was tried: memory of a destroyed guest counts until it is freed",
        "kernel.mm.KernelMm.put_page",
    )
    yield assume(
        "order of a walk",
        "upwards, the guest's memory first and the process's own behind it",
        "an address space is removed from its lowest address up",
        "kernel.mm.KernelMm.exit_mmap",
    )
    yield assume(
        "a list page that is being emptied while others are added",
        "what is added stays on the list until something else empties it",
        "version 1's list has no lock; a loop that has begun does not see what is put in front of it",
        "_core.empty_list",
    )
    yield assume(
        "`printk` of a storage violation",
        "logged each time",
        "the kernel prints at most ten in five seconds; each goes with a signal that ends a process",
        "kernel.fault.KernelFault.do_secure_storage_violation",
    )
    yield assume(
        "a busy page, after the second try of an import",
        "still busy, since it is held by a reference that draining pagevecs does not drop",
        "pagevecs are not modelled: references come from batches, the list, handlers and I/O",
        "kernel.uv.KernelUv.gmap_make_secure",
    )
    yield assume(
        "the boot image",
        "unpacked with one KVM_PV_UNPACK",
        "QEMU calls it once for each component of the image; the kernel asks its question at each call",
        "kernel.kvm.KernelKvm.kvm_pv_unpack",
    )
    yield assume(
        "the kernel's own write to a frame that was freed while secure",
        "told as an endless fault; a step on a page goes no further, a longer path goes on as if it had been written",
        "only a kernel with a bug gets there: without patch 6, or with version 1's own",
        "host.frames.HostFrames.take",
    )
    yield assume(
        "an interruption, its handler, and the next try",
        "separate steps: others may act between them",
        "the race that patch 3 guards against lives there",
        "kernel.kvm.KernelKvm.guest_fault",
    )
    yield assume(
        "a signal that ends the process",
        "its vCPUs stop at once, and it exits as at a kill",
        "what they were doing no longer counts",
        "userspace.process.Process.kill",
    )
    yield assume(
        "an addressing exception in the guest",
        "the guest stops, and its process stays",
        "a boot loader has no handler for it",
        "machine.Machine.addressing_exception",
    )
    yield assume(
        "an access that no handler can resolve",
        "reported once as an endless fault; the task that made it goes no further",
        "a real host would try it again forever",
        "host.log.HostLog.endless_fault",
    )
    yield assume(
        "a call that answers busy",
        f"executed again at once, up to {format_count(uv.MAX_BUSY)} times",
        "the kernel never gives up; a limit turns an endless loop into an error",
        "kernel.uv.KernelUv.uv_call",
    )


def _of_scenarios() -> Iterator[Assumption]:
    def assume(what: str, value: str, why: str, where: str) -> Assumption:
        return Assumption(SCENARIOS, what, value, why, where)

    by_hand = inspect.signature(machine.Machine.protect).parameters["image"].default
    defaults = {name: each.default for name, each in inspect.signature(scenarios.reboot).parameters.items()}
    fault, touch = format_duration(Costs().fault), format_duration(Costs().touch)
    yield assume(
        "the old guest at time 0",
        "pages in use are secure and mapped, from address 0 up; none is exported or swapped out; pages not in use are "
        "not present",
        "the case that the series is for; the parameter `used` says how many",
        "scenarios.stage.Stage._old_guest_has_run",
    )
    yield assume(
        "pages that the old guest shared",
        "the highest of those in use, as many as the parameter `shared` says, with the guest's plaintext still in "
        "them; never page 0, where its image is. They are not unshared before the reset",
        "a real guest shares what it needs for I/O, wherever that lies",
        "scenarios.stage.Stage._old_guest_has_run",
    )
    yield assume(
        "boot loader of the new guest",
        f"touches {format_size(scenarios.LOADER)} from address 0 up, on one vCPU, as a normal guest",
        "it has to hold a kernel and an initial file system",
        "scenarios.LOADER",
    )
    yield assume(
        "boot image of a protected guest",
        f"{format_size(scenarios.IMAGE)} at address {format_size(scenarios.IMAGE_AT)}; a `Machine` driven by hand: "
        f"{by_hand} page at 0",
        "kernel, parameters and initial file system, above the lowest addresses that hardware uses",
        "scenarios.IMAGE",
    )
    yield assume(
        "how the new guest uses its memory",
        "each vCPU has an equal contiguous part, touches each page of it once, and writes",
        "the pattern is a parameter: the order decides which tasks meet",
        "scenarios.reboot",
    )
    yield assume(
        '"random"',
        "a permutation of each part, of the package's own making, from the parameter `seed`",
        "the result must not change with a library",
        "scenarios.PATTERNS",
    )
    yield assume(
        "vCPUs",
        f"{defaults['vcpus']}, unless the parameter says otherwise",
        "the fewest that can get in each other's way",
        "scenarios.reboot",
    )
    yield assume(
        "features of the Ultravisor",
        f'{", ".join(map(str, defaults["features"])) or "none"}; "misc" must be asked for',
        "which machines of 2021 had it is not published",
        "scenarios.reboot",
    )
    yield assume(
        "memory of the host",
        f"{format_size(scenarios.host_memory_of(None, _EXAMPLE, 0))} for a guest of {format_size(_EXAMPLE)}",
        "comfortably more than the guest, so that memory is short only when asked for",
        "scenarios.host_memory_of",
    )
    yield assume(
        "memory of QEMU itself",
        f"{format_size(defaults['process_memory'])}; what the parameter `process_memory` gives it is all present",
        "each of its pages adds a call without effect, before the series and with it",
        "scenarios.reboot",
    )
    yield assume(
        "another process that wants memory",
        "starts when `wait()` returns, goes on at an even pace, and stops at the guest's size; after a reboot it may "
        "be told to start when the process begins to exit",
        "right after a large guest has ended is the worst moment",
        "scenarios.stage.Stage.other_process",
    )
    yield assume(
        "a bystander: another thread of QEMU that maps memory",
        f"takes `mmap_lock` for writing, has it for as long as a page fault takes (`fault`, {fault}), and does nothing "
        f"else; every moment has a thread of its own, {scenarios.BYSTANDERS} at most",
        "what it waits for is who has the lock; what it maps does not matter here",
        "scenarios.rebooting.Rebooting.maps_memory",
    )
    yield assume(
        "killing the process",
        "vCPUs and I/O stop where they are, a task that waits for `mmap_lock` gives up, and its holder lets it go "
        "in its own time. KVM_PV_DISABLE, KVM_PV_ENABLE and KVM_PV_UNPACK are finished first; the others take next "
        "to no time",
        "the kernel looks for a fatal signal on the way back to userspace, and while it waits for that lock",
        "userspace.killable.KillableQemu.killed_from_outside",
    )
    yield assume(
        'killing it at the "end"',
        "as soon as the new guest has done all that it was to do, I/O on its memory included, and no clean-up thread "
        "is left",
        "the earliest moment at which nothing of the old guest is in the way",
        "scenarios.rebooting.Rebooting.qemu",
    )
    yield assume(
        "I/O after a reboot",
        "one thread of the host, from address 0 up, each page once, after the new guest has done all that it was to "
        f"do; pages that are not present are left out. Each takes as long as a touch (`touch`, {touch})",
        "what matters is which calls make a page accessible; the transfer of data is not modelled",
        "scenarios.rebooting.Rebooting.io_on_page",
    )
    yield assume(
        "a DESTROY_SEC_CONF that was told to fail",
        f"rc {scenarios.INJECTED_RC:#x}, only for the old configuration, and again whenever it is asked for",
        "a code that no other case has, so that you can tell it was injected",
        "scenarios.INJECTED_RC",
    )
    yield assume(
        "QEMU after a KVM_PV_DISABLE or a PERFORM that failed",
        "exits, as hw/s390x/pv.c has it; a `Machine` driven by hand goes on, to show what the kernel would do next",
        "only an injected failure gets there",
        "scenarios.rebooting.Rebooting.qemu",
    )
    yield assume(
        "QEMU's way to reset a guest",
        "that of QEMU 7.2 and later, on every kernel: it asks for the capability, leaves guests of up to "
        f"{format_size(machine.SEGMENT_TABLE)} to KVM_PV_DISABLE, and starts PERFORM as soon as PREPARE has returned",
        "target/s390x/kvm/pv.c, commit c3a073c610; the limit is that of the segment table, for which it was introduced "
        "(`segment_table` changes both)",
        "userspace.qemu.Qemu.unprotecting",
    )
    yield assume(
        "a helper process at a shutdown",
        "takes no memory and no time of its own until QEMU has gone; then it exits at once. QEMU's exit takes no time",
        "the real one is told by a signal when its parent ends, and looks once a second whether that is gone "
        "altogether (util/async-teardown.c, commit c891c24b1a)",
        "userspace.async_cleanup.ThreadedProcess.start_helper",
    )
    yield assume(
        "what keeps a VM with a helper",
        "the mapped run area of a vCPU: the VM goes with the address space, when the helper has removed it",
        "follows from generic KVM; no mail says so",
        "userspace.async_cleanup.ThreadedProcess.start_helper",
    )
    yield assume(
        "a reboot loop",
        "the guest asks for the next reset as soon as it has done what its habit is. After an exit another process "
        "is started at once, as a management tool would do. Sharing a page takes no time",
        "nothing is known that would slow it down, and the fastest loop is the worst",
        "scenarios.reboot_loop",
    )
    yield assume(
        "next instruction",
        "the new guest runs as soon as KVM_PV_DISABLE, or PREPARE, has returned; `wait()` returns as soon as the VM is "
        "gone",
        "what userspace does then is the same with and without the series",
        "scenarios.stage.Stage.downtime_ends",
    )


_ABOUT_PAGES = re.compile(r"\b(pages?|import|unpack|exported|address outside)\b(?!-)|unshar", re.IGNORECASE)


def _of_ultravisor() -> Iterator[Assumption]:
    for each in ultravisor.ASSUMPTIONS:
        topic = PAGES if _ABOUT_PAGES.search(each.what) else CONFIGURATIONS
        yield Assumption(topic, each.what, each.value, each.why, "ultravisor.ASSUMPTIONS")


NOT_MODELLED = Omissions(
    (
        Omission(
            "checks of the Ultravisor Call instruction itself: privileged state, instruction format, page translation "
            "of the control block's address",
            "a call begins with the control block; outside test-suites check these three, too",
        ),
        Omission("attestation", f"answers rc {UVC_RC_INV_CMD:#06x} to the host: nothing is torn down by it"),
        Omission(
            "keys, the header of the image, what VERIFY_IMG computes",
            "an image is right unless fault injection says otherwise",
        ),
        Omission(
            "what is in a page, byte by byte", "a page has a kind of content: that answers what a reader would see"
        ),
        Omission("registers and instructions of CPUs", "a guest is a pattern of accesses to its pages"),
        Omission("prefix areas of host CPUs other than the one at address 0", "storage in them is not refused"),
        Omission("import onto a page of a marked table", "not refused: the series never does it"),
        Omission("pages larger than 4 KiB", "the series works on 4 KiB pages"),
        Omission(
            "a guest's page tables below the top-level one",
            "v1's bug with guests up to 2 GiB, whose top-level table is the segment table, is told as an event: what a "
            "write to a freed table destroys is not modelled",
        ),
        Omission(
            "processes competing for processors, caches and memory bandwidth",
            "a clean-up thread slows others down only through locks and pages",
        ),
        Omission("disks and networks", "I/O uses a page when told to, and takes as long as a touch"),
        Omission("limits of memory cgroups", "what stays charged is counted; no process is killed for it"),
        Omission(
            "most of the sixteen versions of the series, and Linux's guest memory since 7.0",
            "there are versions 1, 4 and 8, what was merged (`linux_6_2`), and what was fixed since (`linux_latest`); "
            "of version 2, the OOM notifier",
        ),
    )
)
"""What is left out, and what that means for the results."""
