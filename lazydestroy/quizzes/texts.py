"""Texts that may be marked: nothing but a few marks in them is HTML."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from html import escape, unescape
from typing import Any

from ..units import shown

TAGS = ("b", "code", "i")
"""The marks."""


def marked(where: str, text: Any) -> str:
    """Turn a text with marks into HTML. `where` says in errors what the text belongs to.

    Raises
    ------
    ValueError
        If it is no text, or empty.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{where}: {shown(text)}: use a text that says something")
    escaped = escape(unescape(text), quote=False)
    return re.sub(rf"&lt;(/?(?:{'|'.join(TAGS)}))&gt;", r"<\1>", escaped)


def plain(html: str) -> str:
    """Turn a marked text into plain text."""
    return unescape(re.sub(r"</?\w+>", "", html))


def unfolding(answers: Iterable[tuple[str, str]]) -> str:
    """Write answers as a list in which each unfolds to what is said to it. Both are HTML."""
    lines = "".join(f"<li><details><summary>{answer}</summary>{said}</details></li>\n" for answer, said in answers)
    return f"<ul>\n{lines}</ul>\n"


def word(where: str, given: Any) -> str:
    """See that a name is there.

    Raises
    ------
    ValueError
        If it is no text, or empty.
    """
    if not isinstance(given, str) or not given.strip():
        raise ValueError(f"{where}: {shown(given)}: use a word")
    return given


def table(where: str, given: Any, required: Collection[str], optional: Collection[str] = ()) -> Mapping[str, Any]:
    """See that a table has the keys it needs, and no others.

    Raises
    ------
    ValueError
        If it is no table, lacks a key, or has another one.
    """
    if not isinstance(given, Mapping) or not set(required) <= set(given) <= {*required, *optional}:
        more = f"; there may also be {_listed(optional)}" if optional else ""
        raise ValueError(f"{where}: use a table with {_listed(required)}{more}")
    return given


def _listed(keys: Collection[str]) -> str:
    return ", ".join(map(repr, keys))


__all__ = ["TAGS", "marked", "plain", "table", "unfolding", "word"]
