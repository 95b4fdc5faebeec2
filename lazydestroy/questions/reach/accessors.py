"""Who goes for the page, what each of them needs first, and how he goes for it."""

from __future__ import annotations

from collections.abc import Callable

from ...kernel.structs import Flow
from ...machine import Machine
from ...page import PAGE_SHIFT, Page
from ...ultravisor import DictTable
from ...uvcb import UVC_CC_OK, uv_cb_csc, uv_cb_cts
from .attempt import ADDRESS, PAGE, Accessor, Attempt


def _no_preparation(attempt: Attempt) -> None:
    """He is there already."""


def _a_process(attempt: Attempt) -> None:
    """A process that has the guest's address: in a reboot QEMU is still there, at shutdown a new one starts."""
    if attempt.scenario == "shutdown":
        attempt.machine.start_process()


def _normal_guest(attempt: Attempt) -> None:
    _a_process(attempt)
    attempt.machine.boot()


def _protected_guest(attempt: Attempt) -> None:
    _normal_guest(attempt)
    attempt.machine.protect()


def _another_vm(attempt: Attempt) -> None:
    """Another VM, which was there before the old guest ended."""
    assert attempt.beside is not None
    attempt.machine.turn_to(attempt.beside)
    attempt.machine.boot()


def _another_protected_vm(attempt: Attempt) -> None:
    _another_vm(attempt)
    attempt.machine.protect()


def _by_address(as_: str) -> Callable[[Attempt], Flow]:
    """Somebody who has only the guest's address in an address space: a page fault first, if nothing is mapped there."""

    def flow(attempt: Attempt) -> Flow:
        machine = attempt.machine
        if not _page_at(machine):
            machine.kernel.handle_mm_fault(machine.mm, machine.mm.guest, ADDRESS)
            yield
        page = _page_at(machine)
        if page is None:
            return ""
        attempt.sees = page.pfn
        return (yield from machine.reading(page, as_))

    return flow


def _page_at(machine: Machine) -> Page | None:
    return machine.kernel.gmap_page(machine.kvm.gmap, ADDRESS)


def _by_frame(attempt: Attempt) -> Flow:
    """The host kernel: all of memory is in its identity mapping."""
    attempt.sees = attempt.pfn
    return (yield from attempt.machine.reading(attempt.machine.memory.page(attempt.pfn), "kernel"))


def _to_swap(attempt: Attempt) -> Flow:
    """Swap-out looks for a present entry in the old guest's address space; what it writes is what it reads."""
    kernel, mm = attempt.machine.kernel, attempt.old_mm
    if not kernel.swap_out(mm, ADDRESS):
        attempt.note = "nothing mapped there"
        return ""
    attempt.sees, attempt.swapped = attempt.pfn, True
    return attempt.machine.describe(mm.swap[PAGE])
    yield


def _as_guest(attempt: Attempt) -> Flow:
    """The guest that runs now touches the address."""
    machine = attempt.machine
    attempt.sees = machine.mm.guest.slot(PAGE) if _page_at(machine) else None
    saw = yield from machine._visiting(PAGE)
    attempt.sees = machine.mm.guest.slot(PAGE)
    return saw


def _given_the_frame(attempt: Attempt) -> Flow:
    """The host maps the frame to another configuration, and asks the Ultravisor to import it there. No handler runs."""
    machine = attempt.machine
    attempt.sees = attempt.pfn
    machine.uv.tables[machine.kvm.gmap.table << PAGE_SHIFT] = DictTable({PAGE: attempt.pfn})
    handle = machine.running_handle(machine.kvm)
    if not _may(attempt, handle):
        uvcb = uv_cb_cts(guest_handle=handle, gaddr=ADDRESS)
        if machine.kernel.uv_call(uvcb) != UVC_CC_OK:
            attempt.note = f"import refused, rc {uvcb.header.rc:#x}"
            return ""
    return machine.describe(attempt.frame)
    yield


def _may(attempt: Attempt, handle: int) -> bool:
    """Whether a CPU of that configuration may touch the page; if not, the interruption is taken down."""
    machine = attempt.machine
    interruption = machine.uv.access(attempt.frame, handle)
    if interruption is None:
        machine.engine.charge(machine.costs.touch)
        return True
    machine.raised(interruption)
    machine.engine.charge(machine.costs.exception)
    return False


def _as_zombie(attempt: Attempt) -> Flow:
    """The old configuration itself, with the CPUs that the Ultravisor has for it."""
    configuration = attempt.machine.uv.configurations.get(attempt.handle)
    if configuration is None:
        attempt.note = "is destroyed"
    elif not configuration.cpus:
        attempt.note = "has no CPU"
    else:
        attempt.sees = attempt.pfn
        return attempt.machine.describe(attempt.frame) if _may(attempt, attempt.handle) else ""
    return ""
    yield


def _as_revived_zombie(attempt: Attempt) -> Flow:
    """The host kernel creates a CPU for the old configuration: version 1 forgets the handle, another host might not."""
    machine = attempt.machine
    storage = machine.allocate_donation(machine.uv.cpu_stor_len)
    assert storage is not None
    uvcb = uv_cb_csc(
        guest_handle=attempt.handle,
        num=0,
        state_origin=machine.kvm.sca << PAGE_SHIFT,
        stor_origin=storage[0] << PAGE_SHIFT,
    )
    if machine.kernel.uv_call(uvcb) != UVC_CC_OK:
        attempt.note = f"no CPU to be had, rc {uvcb.header.rc:#x}"
        return ""
    attempt.sees = attempt.pfn
    if _may(attempt, attempt.handle):
        return machine.describe(attempt.frame)
    attempt.note = "page has to be imported first"
    return ""
    yield


ZOMBIE = "the zombie"

ACCESSORS: dict[str, Accessor] = {
    "host userspace": Accessor(_a_process, _by_address("host")),
    "host kernel": Accessor(_no_preparation, _by_frame),
    "I/O": Accessor(_a_process, _by_address("io")),
    "swap-out": Accessor(_no_preparation, _to_swap),
    "normal new guest": Accessor(_normal_guest, _as_guest),
    "protected new guest": Accessor(_protected_guest, _as_guest),
    "another VM": Accessor(_another_vm, _as_guest),
    "another protected VM": Accessor(_another_protected_vm, _as_guest),
    "another protected VM, given the frame": Accessor(_another_protected_vm, _given_the_frame, by_hand=True),
    ZOMBIE: Accessor(_no_preparation, _as_zombie),
    f"{ZOMBIE}, given a CPU": Accessor(_no_preparation, _as_revived_zombie, by_hand=True),
}
"""Who goes for the page. Two of them only if the host, which is not trusted, means them to."""


NEW_GUESTS = ("normal new guest", "protected new guest")
