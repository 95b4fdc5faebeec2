"""How a program starts: where its memory lies, and what a VM takes of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._core import DeferredList, Lock, Table
from ..host.sizes import LOWCORE_PAGES
from ..kernel.structs import NO_STORAGE, Kvm, Memslot, Mm, MmContext, Pv, Vcpu
from ..page import PAGE_SHIFT, Content, Holder, Record

if TYPE_CHECKING:
    from ..machine import Machine

_NO_ROOM = "the host has no memory left for another "


def address_space(machine: Machine) -> Mm:
    """An address space whose guest memory begins at a fixed frame; the program's own memory lies behind it.

    Raises
    ------
    RuntimeError
        If the host has no memory for it.
    """
    memory = machine.memory
    machine.processes += 1
    number = machine.processes
    mm = Mm(
        memory,
        number=number,
        mm_users=1,
        mm_count=2,
        mmap_lock=Lock("mmap_lock"),
        guest=Table(memory, number, LOWCORE_PAGES, machine.guest_pages),
        process=Table(memory, number, LOWCORE_PAGES + machine.guest_pages, machine.process_pages),
        swap={},
        notifier_subscriptions=(),
        freed=False,
        on_use=lambda what: machine.event("use after free", f"{what} of a freed mm"),
        _context=MmContext(
            memory, is_protected=0, pv_sync_destroy=0, deferred_list=DeferredList(memory, machine.list_page_capacity)
        ),
    )
    if mm.process.pages:
        _map_own_memory(machine, mm)
    return mm


def _map_own_memory(machine: Machine, mm: Mm) -> None:
    """The program's own pages, at their home frames; elsewhere where these are not free."""
    memory, table = machine.memory, mm.process
    used = Record(content=Content.HOST, refs=1, holder=Holder.MAPPED, mm=mm.number, charged=True)
    if all(record.holder == Holder.FREE for record in memory.records(table.base, table.pages)):
        memory.change(lambda record: used._replace(state=record.state, owner=record.owner), table.base, table.pages)
        return
    for entry in range(table.pages):
        pfn = memory.allocate(prefer=table.slot(entry))
        if pfn is None:
            raise RuntimeError(_NO_ROOM + "process")
        table.point(entry, pfn)
        memory.set_record(pfn, used)


def create_vm(machine: Machine, mm: Mm) -> Kvm:
    """A VM with its vCPUs: a gmap, the system control area, and a state description for each vCPU.

    Raises
    ------
    RuntimeError
        If the host has no memory for it.
    """
    memory, memslots = machine.memory, _memslots(machine)
    gmap = machine.kernel.gmap_create(mm, memslots)
    if gmap is None:
        raise RuntimeError(_NO_ROOM + "VM")
    kvm = Kvm(
        memory,
        mm=mm,
        gmap=gmap,
        pv=Pv(memory),
        vcpus=[],
        lock=Lock("kvm->lock"),
        memslots=memslots,
        sca=_page_of_a_vm(machine),
        guest_len=memslots[-1].base_gfn + memslots[-1].npages << PAGE_SHIFT,
    )
    for number in range(machine.vcpus):
        block = _page_of_a_vm(machine)
        kvm.vcpus.append(Vcpu(memory, vcpu_id=number, kvm=kvm, handle=0, stor_base=NO_STORAGE, sie_block=block, sida=0))
    return kvm


def _memslots(machine: Machine) -> tuple[Memslot, ...]:
    """The guest's memory: one slot, or two with a hole between them."""
    if machine.hole is None:
        return (Memslot(0, machine.guest_pages, 0),)
    at, missing = machine.hole
    return Memslot(0, at, 0), Memslot(at + missing, machine.guest_pages - at, at)


def _page_of_a_vm(machine: Machine) -> int:
    """One page that the kernel takes for a VM."""
    pfn = machine.memory.find_run(1)
    if pfn is None:
        raise RuntimeError(_NO_ROOM + "VM")
    machine.take(pfn, 1, Content.HOST)
    return pfn
