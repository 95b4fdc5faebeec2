"""What a piece of code prints and returns, as HTML: text, tables, pictures with their words."""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import numpy as np

from ..plots import Picture
from ..tables import html_table


def ran(code: Callable[[], Any]) -> tuple[Any, str]:
    """Run a piece of code.

    Returns
    -------
    value
        What it returned.
    html : str
        What it printed.
    """
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        value = code()
    return value, _lines(printed.getvalue())


def as_html(value: Any) -> str:
    """Write a value as a notebook shows it; several in a plain tuple or list, one after the other; a dict as a table.

    Numbers and truth values are Python's own, also where NumPy has computed them.
    """
    if value is None:
        return ""
    if isinstance(value, Picture):
        image = base64.b64encode(value.png()).decode("ascii")
        return f'<img src="data:image/png;base64,{image}" alt="{escape(value.words)}" style="max-width: 100%">'
    if hasattr(value, "_repr_html_"):
        return str(value._repr_html_())
    if isinstance(value, tuple | list):
        return "".join(map(as_html, value))
    if isinstance(value, Mapping) and value:
        return _table(value)
    return _lines(str(_own(value)))


def _table(found: Mapping[Any, Any]) -> str:
    """A dict: its keys beside its values; if these are dicts themselves, a column for each of their keys."""
    inner = [each for each in found.values() if isinstance(each, Mapping) and each]
    if len(inner) < len(found):
        return html_table((), ([f"<b>{escape(str(key))}</b>", _cell(each)] for key, each in found.items()))
    columns = list(dict.fromkeys(column for each in inner for column in each))
    rows = (
        [f"<b>{escape(str(key))}</b>", *(_cell(each.get(column, "")) for column in columns)]
        for key, each in found.items()
    )
    return html_table(["", *(escape(str(column)) for column in columns)], rows)


def _cell(value: Any) -> str:
    return escape(str(_own(value)))


def _own(value: Any) -> Any:
    """The same as numbers and truth values of Python; NumPy's own say their type when they are printed in a list."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) is dict:
        return {_own(key): _own(each) for key, each in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(map(_own, value))
    return value


def _lines(text: str) -> str:
    return f"<pre>{escape(text.rstrip())}</pre>" if text.strip() else ""


__all__ = ["as_html", "ran"]
