"""Question 12: what a top-level table can still be used for whose configuration could not be destroyed.

Each use is tried by itself, on a machine of its own, with each of the table's four pages; then the same with a table
whose configuration was destroyed as it should be. What differs is what the mark does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..costs import Costs
from ..kernel.gmap import CRST_PAGES
from ..machine import Machine
from ..page import PAGE_SHIFT, PAGE_SIZE, Content, Holder
from ..rounded import counted
from ..series import Series, v1
from ..ultravisor import ASCE_PRIVATE, DictTable
from ..units import whole_number
from ..uvcb import UVC, uv_cb_cfs, uv_cb_cgc, uv_cb_csc, uv_cb_cts, uv_cb_init, uv_cb_nodata
from .answer import Agreement, Answer, Table, resting_on
from .common import BEFORE, kernel_words, listed
from .pictures import Cell, Grid, Mood
from .question import Question
from .registry import answering

GUEST = 8 * PAGE_SIZE
"""Size of each guest."""

HOST = 64 * GUEST

BAD = 0x111
"""What the Ultravisor answers to the DESTROY_SEC_CONF that fails; which code it is does not matter."""

PAGE = 3
"""The guest page at which a page of the table is tried."""


@dataclass(slots=True)
class Stage:
    """A machine whose first protected guest has gone, and that one's top-level table.

    Attributes
    ----------
    machine : Machine
    table : int
        First frame of the table.
    handle : int
        The configuration that it served.
    spare : int
        First of the frames that nobody has used yet: the machine fills its memory from both ends.
    """

    machine: Machine
    table: int
    handle: int
    spare: int = HOST // 2 >> PAGE_SHIFT

    @property
    def marked(self) -> bool:
        """Whether the Ultravisor's mark is on the table."""
        return self.table << PAGE_SHIFT in self.machine.uv.marked

    def storage(self, pages: int = 1) -> int:
        """Address of pages far from the table that nobody has used."""
        first = self.spare
        self.spare += pages
        self.machine.take(first, pages, Content.HOST)
        return first << PAGE_SHIFT

    def protected_guest(self) -> int:
        """Start another guest, and let it go protected, away from the table; its handle."""
        self.hide()
        machine = self.machine
        machine.start_process()
        machine.boot()
        machine.protect()
        return machine.kvm.pv.handle

    def hide(self) -> None:
        """Keep the table from being handed out: it is to be used for one thing only."""
        memory = self.machine.memory
        memory.change(lambda record: record._replace(holder=Holder.LEAKED), self.table, CRST_PAGES)


def stage(kernel: Series, costs: Costs | None, marked: bool) -> Stage:
    """Let a protected guest go; its DESTROY_SEC_CONF fails for good if the table is to stay marked."""
    machine = Machine(GUEST, kernel=kernel, costs=costs, host_memory=HOST, vcpus=1)
    machine.boot()
    machine.protect()
    table, handle = machine.kvm.gmap.table, machine.kvm.pv.handle
    if marked:
        machine.uv.fail(UVC.DESTROY_SEC_CONF, BAD, handle=handle, times=None)
    machine.exit()
    machine.run()
    return Stage(machine, table, handle)


# The uses. Each takes the machine and one frame of the table, and gives rc of the call that decides.


def _configuration(on: Stage, **fields: int) -> int:
    """CREATE_SEC_CONF with free pages for everything that is not given."""
    machine = on.machine
    given: dict[str, Any] = {
        "guest_asce": on.storage(CRST_PAGES) | ASCE_PRIVATE,
        "conf_base_stor_origin": on.storage(),
        "conf_var_stor_origin": on.storage(),
        "guest_sca": on.storage(),
    }
    block = uv_cb_cgc(guest_stor_len=GUEST, **{**given, **fields})
    machine.uv.call(block)
    return block.header.rc


def _as_table(on: Stage, frame: int) -> int:
    return _configuration(on, guest_asce=frame << PAGE_SHIFT | ASCE_PRIVATE)


def _as_base_storage(on: Stage, frame: int) -> int:
    return _configuration(on, conf_base_stor_origin=frame << PAGE_SHIFT)


def _as_variable_storage(on: Stage, frame: int) -> int:
    return _configuration(on, conf_var_stor_origin=frame << PAGE_SHIFT)


def _as_cpu_storage(on: Stage, frame: int) -> int:
    block = uv_cb_csc(
        guest_handle=on.protected_guest(),
        num=1,
        stor_origin=frame << PAGE_SHIFT,
        state_origin=on.machine.kvm.sca << PAGE_SHIFT,
    )
    on.machine.uv.call(block)
    return block.header.rc


def _as_uv_storage(on: Stage, frame: int) -> int:
    block = uv_cb_init(stor_origin=frame << PAGE_SHIFT, stor_len=on.machine.uv.uv_base_stor_len)
    on.machine.uv.call(block)
    return block.header.rc


def _as_guest_page(on: Stage, frame: int) -> int:
    machine, handle = on.machine, on.protected_guest()
    machine.uv.tables[machine.kvm.gmap.table << PAGE_SHIFT] = DictTable({PAGE: frame})
    block = uv_cb_cts(guest_handle=handle, gaddr=PAGE << PAGE_SHIFT)
    machine.uv.call(block)
    return block.header.rc


def _as_host_memory(on: Stage, frame: int) -> int:
    """A process reads it, lets its normal guest write, and reads again. Gives 1, or what the hardware raises."""
    machine = on.machine
    on.hide()
    machine.start_process()
    machine.boot()
    machine.mm.guest.point(PAGE, frame)
    machine.memory.page(frame).update(holder=Holder.MAPPED, mm=machine.mm.number, refs=1)
    reads, writes = machine.read(PAGE), machine.touch(PAGE)
    again = machine.read(PAGE)
    raised = (*reads.interruptions, *writes.interruptions, *again.interruptions)
    return raised[0] if raised else 1


def _as_own_table(on: Stage, _frame: int) -> int:
    """The host leaves its entries in the table, and has a page imported into the configuration that it served."""
    machine = on.machine
    machine.uv.tables[on.table << PAGE_SHIFT] = DictTable({PAGE: on.storage() >> PAGE_SHIFT})
    block = uv_cb_cts(guest_handle=on.handle, gaddr=PAGE << PAGE_SHIFT)
    machine.uv.call(block)
    return block.header.rc


def _destroyed_again(on: Stage, _frame: int) -> int:
    block = uv_cb_nodata(cmd=UVC.DESTROY_SEC_CONF, handle=on.handle)
    on.machine.uv.call(block)
    return block.header.rc


def _cleared(on: Stage, frame: int) -> int:
    """Destroy the page itself, then try it as storage: so as to see whether the mark has gone."""
    on.machine.uv.call(uv_cb_cfs(cmd=UVC.DESTR_SEC_STOR, paddr=frame << PAGE_SHIFT))
    return _as_base_storage(on, frame)


def _after_a_reset(on: Stage, frame: int) -> int:
    """The machine is reset; the Ultravisor is given its storage, and then the page as base storage."""
    on.machine.uv.reset()
    length = on.machine.uv.uv_base_stor_len
    on.machine.uv.call(uv_cb_init(stor_origin=on.storage(length >> PAGE_SHIFT), stor_len=length))
    return _as_base_storage(on, frame)


RULE_6 = "rule 6 (which rc: assumed)"
ASSUMED = "assumed"
NOT_MODELLED = "not modelled"


@dataclass(frozen=True, slots=True)
class Use:
    """Something that a page of the table may be tried for.

    Attributes
    ----------
    call : str
        The call that decides.
    tried : callable
        The attempt: the stage and a frame of the table, to the rc of that call.
    rests : str
        On what it rests what the model answers for a marked table.
    """

    call: str
    tried: Callable[[Stage, int], int]
    rests: str


TABLE, BASE, VARIABLE, CPU = (
    "another VM's top-level table",
    "base storage",
    "variable storage",
    "CPU storage",
)
UV_STORAGE = "the Ultravisor's own storage"
GUEST_PAGE = "a page of a protected guest"
HOST_MEMORY = "memory of a normal process and its guest"
OWN_TABLE = "its own configuration's table"
DESTROY = "DESTROY_SEC_CONF once more"
CLEAR = "base storage, after DESTR_SEC_STOR of the page"
RESET = "base storage, after a reset of the machine"

USES: dict[str, Use] = {
    TABLE: Use("CREATE_SEC_CONF", _as_table, RULE_6),
    BASE: Use("CREATE_SEC_CONF", _as_base_storage, RULE_6),
    VARIABLE: Use("CREATE_SEC_CONF", _as_variable_storage, RULE_6),
    CPU: Use("CREATE_SEC_CPU", _as_cpu_storage, RULE_6),
    UV_STORAGE: Use("INIT_UV", _as_uv_storage, "INIT_UV: only once"),
    DESTROY: Use("DESTROY_SEC_CONF", _destroyed_again, RULE_6),
    CLEAR: Use("CREATE_SEC_CONF", _cleared, ASSUMED),
    OWN_TABLE: Use("CONV_TO_SEC_STOR", _as_own_table, ASSUMED),
    HOST_MEMORY: Use("read, write, read", _as_host_memory, ASSUMED),
    GUEST_PAGE: Use("CONV_TO_SEC_STOR", _as_guest_page, NOT_MODELLED),
    RESET: Use("CREATE_SEC_CONF", _after_a_reset, ASSUMED),
}
"""What is tried, in the order of the table that is shown."""

FORBIDDEN = (TABLE, BASE, VARIABLE, CPU)
"""What the author says that it cannot be."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of trying all four pages for one thing.

    Attributes
    ----------
    use : str
        A key of `USES`.
    marked : bool
        Whether the configuration could not be destroyed.
    was_marked : bool
        Whether the mark was on the table when it began.
    stays_marked : bool
        Whether it still is.
    rcs : tuple of int
        Answers, one for each page; for the host's own use 1, or the interruption.
    """

    use: str
    marked: bool
    was_marked: bool
    stays_marked: bool
    rcs: tuple[int, ...]

    @property
    def refused(self) -> int:
        """How many pages were refused."""
        return sum(rc != 1 for rc in self.rcs)

    def __str__(self) -> str:
        codes = listed(f"{rc:#x}" for rc in dict.fromkeys(rc for rc in self.rcs if rc != 1)) if self.refused else ""
        done = len(self.rcs) - self.refused
        if not self.refused:
            return "possible"
        return f"refused, rc {codes}" + (f", with {done} of {len(self.rcs)} pages possible" if done else "")


def tried(use: str, marked: bool, kernel: Series = v1, costs: Costs | None = None) -> Tried:
    """Try the four pages of a table for one thing, each on a machine of its own.

    Parameters
    ----------
    use : str
        A key of `USES`.
    marked : bool
        Whether the table's configuration cannot be destroyed.
    kernel, costs
        As for `Machine`.
    """
    rcs, before, after = [], [], []
    for page in range(CRST_PAGES):
        on = stage(kernel, costs, marked)
        before.append(on.marked)
        rcs.append(USES[use].tried(on, on.table + page))
        after.append(on.handle in on.machine.uv.marked.values())
    return Tried(use, marked, all(before), all(after), tuple(rcs))


@dataclass(frozen=True, slots=True)
class Later:
    """What became of the VMs that come after one whose configuration could not be destroyed.

    Attributes
    ----------
    vms : int
        How many came, one after the other.
    refused : int
        How many of them could not go protected.
    given_the_table : int
        How many were given the marked table.
    holder : str
        What the host thinks of the table before they come: "free" or "leaked".
    """

    vms: int
    refused: int
    given_the_table: int
    holder: str


def later(kernel: Series, costs: Costs | None, vms: int) -> Later:
    """Start VMs, one after the other, on a host that has a marked table."""
    on = stage(kernel, costs, marked=True)
    machine, holder = on.machine, on.machine.memory.record(on.table).holder
    refused = given = 0
    for _ in range(vms):
        machine.start_process()
        machine.boot()
        given += machine.kvm.gmap.table == on.table
        try:
            machine.protect()
        except RuntimeError:
            refused += 1
        machine.exit()
        machine.run()
    return Later(vms, refused, given, holder.name.lower())


@answering(12)
def poisoned(question: Question, *, kernel: Series = v1, costs: Costs | None = None, vms: int = 3) -> Answer:
    """Try a marked table for everything that there is, then one that is not marked; and see who is handed it next.

    Parameters
    ----------
    question : Question
    kernel, costs
        As for `Machine`. Which kernel it is decides who is handed the table, not what the Ultravisor lets be done.
    vms : int
        How many VMs come afterwards, 1 to 100.
    """
    vms = whole_number(vms, "vms", 1, 100)
    found = {use: (tried(use, True, kernel, costs), tried(use, False, kernel, costs)) for use in USES}
    after = {kernel_words(each): later(each, costs, vms) for each in (BEFORE, kernel)}
    possible = tuple(use for use, (marked, _) in found.items() if not marked.refused)
    values = {"tried": found, "later": after, "possible": possible}
    claims = _claims(found, after[kernel_words(kernel)])
    return Answer(
        question=question,
        said=_verdict(values),
        claims=claims,
        evidence=_table(found, after),
        agrees=_agrees(claims, possible),
        agreement=_agreement(claims, possible),
        assumptions=resting_on(
            "top-level table that cannot be used",
            "donated storage must be page-aligned",
            "marked table in the host",
            "configuration whose DESTROY_SEC_CONF failed",
            "reset of the machine",
        ),
        pictures=(_grid(found),),
        values=values,
        parameters={},
    )


Found = Mapping[str, tuple[Tried, Tried]]


def _claims(found: Found, after: Later) -> dict[str, bool]:
    def all_refused(*uses: str) -> bool:
        return all(found[use][0].refused == CRST_PAGES for use in uses)

    return {
        "a marked table serves no other configuration as its table": all_refused(TABLE),
        "no page of a marked table backs donated storage": all_refused(BASE, VARIABLE, CPU),
        "the same is possible with a table that is not marked": all(not found[use][1].refused for use in FORBIDDEN),
        "to ask for the configuration's end again, or to clear the page, changes nothing": (
            all_refused(DESTROY, CLEAR) and found[DESTROY][0].stays_marked and found[CLEAR][0].stays_marked
        ),
        "the host itself can still read and write it": not found[HOST_MEMORY][0].refused,
        "the kernel never hands a marked table out again": not after.given_the_table and after.holder != "free",
    }


def _verdict(values: Mapping[str, Any]) -> tuple[str, ...]:
    found: Found = values["tried"]
    refused = [use for use in FORBIDDEN if found[use][0].refused == CRST_PAGES and not found[use][1].refused]
    if refused:
        sentences = [
            f"The mark that stays: with it, {len(refused)} of {len(FORBIDDEN)} uses by another VM are refused.",
            f"None of its {CRST_PAGES} pages can be {_or(refused)}.",
            "Without the mark, each can.",
        ]
    else:
        sentences = ["Nothing that was tried: the mark makes no difference."]
    sentences += [f"The table can still be {use}." for use in values["possible"] if use not in (RESET, GUEST_PAGE)]
    if GUEST_PAGE in values["possible"]:
        sentences.append(f"Whether it can be {GUEST_PAGE}, no public source says; the model lets it pass.")
    if RESET in values["possible"]:
        sentences.append("A reset of the machine takes the mark away.")
    for name, each in values["later"].items():
        sentences += _later_words(name, each)
    return tuple(sentences)


def _or(uses: list[str]) -> str:
    *first, last = uses
    return f"{', '.join(first)} or {last}" if first else last


def _later_words(name: str, each: Later) -> Iterator[str]:
    whose = {"free": "goes back to the allocator", "leaked": "is leaked"}.get(each.holder, f"is {each.holder}")
    vms = counted(each.vms, "later VMs")
    yield f"With {name} the table {whose}."
    yield f"Then {each.refused or 'none'} of {vms} {'is' if each.refused < 2 else 'are'} refused."


def _agrees(claims: Mapping[str, bool], possible: tuple[str, ...]) -> Agreement:
    table, storage, control, *_ = claims.values()
    if not (table and storage and control):
        return "no"
    return "refines" if set(possible) - {OWN_TABLE, RESET} else "yes"


def _agreement(claims: Mapping[str, bool], possible: tuple[str, ...]) -> str:
    table, storage, control, *_ = claims.values()
    if not (table and storage):
        return "Here it is not as he says: the mark does not keep the table from being used."
    if not control:
        return "What is refused is refused without the mark as well, so that nothing is shown about the mark."
    words = "Both are as he says"
    if OWN_TABLE in possible:
        words += ", and its own configuration it serves still"
    words += "."
    if HOST_MEMORY in possible:
        words += " He says what the table cannot be: nothing keeps the host from using it as plain memory."
    if GUEST_PAGE in possible:
        words += " Whether it can be imported is not known, which is one more reason to leak it."
    return words


def _table(found: Found, after: Mapping[str, Later]) -> Table:
    rows = [
        (use, USES[use].call, str(marked), str(unmarked), USES[use].rests) for use, (marked, unmarked) in found.items()
    ]
    rows += [
        (
            f"afterwards, with {name}",
            f"{counted(each.vms, 'VMs')} go protected",
            f"{each.refused} refused, {each.given_the_table} given the table; it is {each.holder}",
            "",
            "rule 6, and the kernel",
        )
        for name, each in after.items()
    ]
    columns = ("tried as", "call", "marked", "not marked", "what it rests on")
    return Table(columns, tuple(rows))


def _grid(found: Found) -> Grid:
    refused = sum(marked.refused == CRST_PAGES > plain.refused for marked, plain in found.values())
    return Grid(
        title=f"Because of the mark, {refused} of {len(found)} uses are refused",
        row_title="tried as",
        column_title="top-level table",
        rows=tuple(found),
        columns=("marked", "not marked"),
        cells=tuple(tuple(Cell(str(each), _mood(each)) for each in pair) for pair in found.values()),
        legend=(
            ("good", "possible"),
            ("mixed", "possible in the model; no public source says"),
            ("bad", "refused"),
        ),
    )


def _mood(each: Tried) -> Mood:
    if each.refused:
        return "bad"
    return "mixed" if each.marked and USES[each.use].rests == NOT_MODELLED else "good"
