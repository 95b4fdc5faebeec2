"""Problems with numbers: one module a subject."""

from . import counts, searching, stories, times
from .several import of_all_pages, of_two_traces

FAMILIES = (
    *times.FAMILIES,
    *counts.FAMILIES,
    *map(of_all_pages, stories.FAMILIES),
    *map(of_two_traces, searching.FAMILIES),
)
"""All of them."""

__all__ = ["FAMILIES"]
