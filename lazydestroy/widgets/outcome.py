"""What a piece of code prints and returns, as HTML: text, tables, pictures with their words."""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Callable
from html import escape
from typing import Any

from ..plots import Picture


def ran(code: Callable[[], Any]) -> tuple[Any, str]:
    """Run a piece of code.

    Returns
    -------
    value
        What it returned.
    html : str
        What it printed, and then what it returned.
    """
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        value = code()
    return value, _lines(printed.getvalue()) + as_html(value)


def as_html(value: Any) -> str:
    """Write a value as a notebook shows it; several in a plain tuple or list, one after the other."""
    if value is None:
        return ""
    if isinstance(value, Picture):
        image = base64.b64encode(value.png()).decode("ascii")
        return f'<img src="data:image/png;base64,{image}" alt="{escape(value.words)}" style="max-width: 100%">'
    if hasattr(value, "_repr_html_"):
        return str(value._repr_html_())
    if isinstance(value, tuple | list):
        return "".join(map(as_html, value))
    return _lines(str(value))


def _lines(text: str) -> str:
    return f"<pre>{escape(text.rstrip())}</pre>" if text.strip() else ""


__all__ = ["as_html", "ran"]
