"""How a machine looks: a row for each page of the guest, as text or as a table of a notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from . import units
from .page import HELD, Holder, Record

if TYPE_CHECKING:
    from .machine import Machine

_ROWS = 50
"""Rows that `Machine.show` has at most."""

_LOOKED_AT = 1 << 24
"""Pages that it looks at, at most: those of 64 GiB take a second or two."""

_TINT = {"secure": "rgba(0,114,178,.25)", "shared": "rgba(240,228,66,.25)"}


def rows(machine: Machine) -> list[dict[str, Any]]:
    """The guest's pages, one dict each."""
    return [_row(machine, page, _record_of(machine, page)) for page in range(machine.guest_pages)]


def _record_of(machine: Machine, page: int) -> Record:
    return machine.memory.record(machine.mm.guest.slot(page))


def _row(machine: Machine, page: int | str, record: Record) -> dict[str, Any]:
    present = record.holder in (Holder.MAPPED, Holder.SET_ASIDE) and record.mm == machine.mm.number
    held = record.state in HELD
    return {
        "page": page,
        "state": record.state.name.lower().replace("_", "-") if present else "not present",
        "owner": machine.name(record.owner) if present and held else "",
        "content": machine.describe(record) if present else "",
        "PG_arch_1": int(record.arch_1) if present else "",
        "references": record.refs if present else "",
        "holder": record.holder.name.lower().replace("_", " ") if present else "",
    }


def rows_shown(machine: Machine) -> tuple[list[dict[str, Any]], str]:
    """What `Machine.show` prints: a row a page, or for each run of equal pages of a larger guest; then what is left."""
    found, left = _found(machine)
    if any(row["holder"] for row in found):
        return found, left
    # none of the pages is present: there is nothing else to say of them
    return [{name: row[name] for name in ("page", "state")} for row in found], left


def _found(machine: Machine) -> tuple[list[dict[str, Any]], str]:
    if machine.guest_pages <= _ROWS:
        return rows(machine), ""
    found: list[dict[str, Any]] = []
    first = 0
    while first < min(machine.guest_pages, _LOOKED_AT) and len(found) < _ROWS:
        row = _row(machine, "", _record_of(machine, first))
        end = _end_of_run(machine, first, row)
        found.append({**row, "page": str(first) if end == first + 1 else f"{first}-{end - 1}"})
        first = end
    left = machine.guest_pages - first
    pages = f"page{'s' if left != 1 else ''}"
    return found, f"... and {units.format_count(left)} {pages} more, from page {first} on" if left else ""


def _end_of_run(machine: Machine, first: int, row: dict[str, Any]) -> int:
    """The page after those that look the same in `Machine.show`, from `first` on."""
    table, last = machine.mm.guest, min(machine.guest_pages, _LOOKED_AT)
    end, ahead = first + 1, 1
    while end < last:
        ahead = min(ahead, 1 << 16, last - end)
        frames = list(map(table.slot, range(end, end + ahead)))
        in_a_row = frames == list(range(frames[0], frames[0] + ahead))
        found = machine.memory.records(frames[0], ahead) if in_a_row else {*map(machine.memory.record, frames)}
        if all(_row(machine, "", record) == row for record in found):
            end, ahead = end + ahead, 2 * ahead
        elif ahead == 1:
            break
        else:
            ahead //= 2
    return end


def text(machine: Machine) -> str:
    """The guest's pages as a table of text; equal pages of a guest of more than 50 are one row together."""
    shown, left = rows_shown(machine)
    widths = {name: max(len(name), *(len(str(row[name])) for row in shown)) for name in shown[0]}
    lines = ["  ".join(f"{name:<{width}}" for name, width in widths.items())]
    lines += ["  ".join(f"{row[name]!s:<{width}}" for name, width in widths.items()) for row in shown]
    return "\n".join([*(line.rstrip() for line in lines), *([left] if left else [])])


def html(machine: Machine) -> str:
    """The same as a table for a notebook."""
    shown, left = rows_shown(machine)
    head = "".join(f"<th>{name}</th>" for name in shown[0])
    body = "".join(
        f"<tr style='background:{_TINT.get(row['state'], 'none')}'>"
        + "".join(f"<td>{value}</td>" for value in row.values())
        + "</tr>"
        for row in shown
    )
    below = f"<tr><td colspan='{len(shown[0])}'>{escape(left)}</td></tr>" if left else ""
    return f"<table><tr>{head}</tr>{body}{below}</table>"
