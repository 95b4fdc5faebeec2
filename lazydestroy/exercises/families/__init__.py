"""Problems with numbers: one module a subject."""

from . import counts, searching, stories, times

FAMILIES = (*times.FAMILIES, *counts.FAMILIES, *stories.FAMILIES, *searching.FAMILIES)
"""All of them."""

__all__ = ["FAMILIES"]
