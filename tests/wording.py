"""How long sentences and titles that code makes may be, and how their words are counted."""

from __future__ import annotations

import re

TITLE_WORDS = 12
SENTENCE_WORDS = 20

UNITS = "ns|µs|ms|s|bytes|KiB|MiB|GiB|TiB|KiB/s|MiB/s|GiB/s|TiB/s|million|%"


def words_of(text: str) -> int:
    """Count words. A number and its unit are one, and so is a line of code."""
    text = re.sub(rf"(\d[\d.,]*) (?:{UNITS})(?![\w/])", r"\1", text)
    return sum(bool(re.search(r"\w", word)) for word in text.split())
