"""A toy beside the model: what you do is done to both, and a table shows what each says."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from ..tables import html_table
from ..units import one_of, shown, whole_number
from .checking import completed
from .guard import Stopped
from .kinds import HOST, ULTRAVISOR, Kind, kind_of
from .played import PAGES, Operation, Outcome, owned
from .ultravisors import GUESTS


@dataclass(frozen=True, slots=True, repr=False)
class Row:
    """What came of one operation.

    Attributes
    ----------
    what : str
        The operation.
    toy, model : str
        What each says, and where they differ, how.
    same : bool
        Whether the two agree.
    """

    what: str
    toy: str
    model: str
    same: bool

    def __repr__(self) -> str:
        return f"{self.what}: {self.toy}" + ("" if self.same else f"   ✘ the model: {self.model}")


class Beside:
    """The toy and the model, and what has been done to both.

    Attributes
    ----------
    rows : list of Row
    """

    def __init__(self, kind: Kind, toy: type, ultravisor: type) -> None:
        self.rows: list[Row] = []
        self._name = kind.what
        self._toy, self._model = kind.toy_side(toy, ultravisor), kind.model_side()

    def _do(self, operation: Operation) -> Row:
        if not self._model.allowed(operation):
            raise ValueError(f"{self._model.words(operation)}: that cannot be done now; {_WHY[operation.verb]}")
        what = self._model.words(operation)
        model = self._model.do(operation)
        try:
            toy = self._toy.do(operation)
        except Stopped as stopped:
            row = Row(what, str(stopped), _said(model, operation), False)
        else:
            same = toy.agrees(model)
            row = Row(what, _said(toy, operation, model), _said(model, operation, toy), same)
        self.rows.append(row)
        return row

    def __repr__(self) -> str:
        head = Row("what you do", f"your {self._name}", "the model", True)
        rows = [head, *self.rows]
        first, second = (max(len(getattr(row, name)) for row in rows) for name in ("what", "toy"))
        return "\n".join(
            f"{row.what:<{first}}  {row.toy:<{second}}  {row.model}{'' if row.same else '  ✘'}" for row in rows
        )

    def _repr_html_(self) -> str:
        head = ("what you do", f"your {escape(self._name)}", "the model", "")
        cells = ((row.what, row.toy, row.model, "✔" if row.same else "✘") for row in self.rows)
        return html_table(head, (map(escape, each) for each in cells))


_WHY = {
    "touch": "that guest has no CPUs any more",
    "import_page": "that guest has no CPUs any more",
    "share_page": "that guest has no CPUs any more",
    "stop": "it has lost them already",
    "share": "only a protected guest shares, and only its own pages",
    "reboot": "a protected guest must run, and no clean-up thread",
    "protect": "it is protected already",
    "clean_up": "there is no clean-up thread: reboot() a protected guest first",
}


def _said(outcome: Outcome, operation: Operation, other: Outcome | None = None) -> str:
    """An outcome in a cell of the table; owners where they are not plain, or not the same on the other side."""
    # what going protected takes is many calls on the machine, and few in a toy: no help if all is well
    calls = () if operation.verb == "protect" and (other is None or outcome.agrees(other)) else outcome.calls
    raised = [call for call in calls if call.startswith("0x")]
    made = [call for call in calls if not call.startswith("0x")]
    parts = [", ".join(raised), ", ".join(made), outcome.said]
    if other is not None and outcome.pages != other.pages:
        pairs = zip(outcome.pages, other.pages, strict=True)
        parts += [f"page {page} {owned(mine)}" for page, (mine, theirs) in enumerate(pairs) if mine != theirs]
    elif operation.page >= 0 and operation.verb not in ("touch", "read"):
        parts.append(f"page {operation.page} {owned(outcome.pages[operation.page])}")
    if other is not None and outcome.guests != other.guests:
        parts.append(f"guests: {', '.join(outcome.guests) or 'none'}")
    return " · ".join(part for part in parts if part)


def _page(page: object) -> int:
    return whole_number(page, "page", 0, PAGES - 1)


def _guest(guest: object, name: str = "guest") -> str:
    return one_of(guest, GUESTS, name)


class UltravisorBeside(Beside):
    """A toy Ultravisor beside the model's. The guests A and B run, and no page belongs to either."""

    def import_page(self, guest: str, page: int) -> Row:
        """The host imports a page for a guest."""
        return self._do(Operation("import_page", _guest(guest), _page(page)))

    def export_page(self, page: int) -> Row:
        """The host exports a page."""
        return self._do(Operation("export_page", "", _page(page)))

    def destroy_page(self, page: int) -> Row:
        """The host destroys a page."""
        return self._do(Operation("destroy_page", "", _page(page)))

    def share_page(self, guest: str, page: int) -> Row:
        """A guest shares a page."""
        return self._do(Operation("share_page", _guest(guest), _page(page)))

    def touch(self, who: str | None, page: int) -> Row:
        """A guest, or None: the host or a normal guest, touches a page."""
        return self._do(Operation("touch", "" if who is None else _guest(who, "who"), _page(page)))

    def stop(self, guest: str) -> Row:
        """A guest loses its CPUs."""
        return self._do(Operation("stop", _guest(guest)))


class HostBeside(Beside):
    """A toy host beside the model's machine. A normal guest runs, and has touched every page."""

    def touch(self, page: int) -> Row:
        """The guest touches a page."""
        return self._do(Operation("touch", "", _page(page)))

    def read(self, page: int) -> Row:
        """The host reads a page."""
        return self._do(Operation("read", "", _page(page)))

    def share(self, page: int) -> Row:
        """The guest, a protected one, shares a page that it owns."""
        return self._do(Operation("share", "", _page(page)))

    def protect(self) -> Row:
        """The guest goes protected; its loader has written the image to page 0."""
        return self._do(Operation("protect"))

    def reboot(self) -> Row:
        """The protected guest is rebooted, and runs as a normal one."""
        return self._do(Operation("reboot"))

    def clean_up(self) -> Row:
        """The clean-up thread does one page."""
        return self._do(Operation("clean_up"))


def beside(toy: type, *, uv: type | None = None) -> UltravisorBeside | HostBeside:
    """Put a toy beside the model, to do the same to both. Methods that are not written are the ready-made toy's.

    Parameters
    ----------
    toy : type
        The class: a toy Ultravisor or a toy host.
    uv : type, optional
        For a host: the toy Ultravisor that it asks. Default: the ready-made one.

    Returns
    -------
    UltravisorBeside or HostBeside
        Its methods do something to both; itself it shows as a table of all that was done.

    Raises
    ------
    ValueError
        If `toy` or `uv` is no toy.

    Examples
    --------
    >>> from lazydestroy.toy import ReadyUltravisor
    >>> both = beside(ReadyUltravisor)
    >>> both.import_page("A", 3)
    the host imports page 3 for A: done · page 3 belongs to A
    """
    kind = kind_of(toy)
    if uv is not None and (kind is not HOST or kind_of(uv) is not ULTRAVISOR):
        raise ValueError(f"uv={shown(uv)}: give a toy Ultravisor, and only for a host")
    ultravisor = ULTRAVISOR.ready if uv is None else completed(ULTRAVISOR, uv)
    make = HostBeside if kind is HOST else UltravisorBeside
    return make(kind, completed(kind, toy), ultravisor)


__all__ = ["Beside", "HostBeside", "Row", "UltravisorBeside", "beside"]
