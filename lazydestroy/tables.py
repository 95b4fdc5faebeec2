"""Tables of text as HTML, for objects that a notebook shows. Everything else about looks is in `lazydestroy.plots`."""

from __future__ import annotations

from collections.abc import Iterable


def html_table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table with its text to the left. `head` and the cells are HTML; if `head` is empty, there is none."""
    left = ' style="text-align: left; vertical-align: top"'
    top = "".join(f"<th{left}>{name}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td{left}>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    above = f"<thead><tr>{top}</tr></thead>" if top else ""
    return f"<table>{above}<tbody>{body}</tbody></table>"


__all__ = ["html_table"]
