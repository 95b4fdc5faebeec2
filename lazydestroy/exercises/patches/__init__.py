"""Functions of the series to be written by students: one file a patch, with the mistakes that are usual.

Six are of version 1, and one is of what was merged.
"""

from . import m17, p03, p04, p06, p07, p08, p09

PATCHES = tuple(module.EXERCISE for module in (p03, p04, p06, p07, p08, p09, m17))
"""The exercises, in the order of the patches."""

__all__ = ["PATCHES"]
