"""Six functions of the series to be written by students: one file a patch, with the mistakes that are usual."""

from . import p03, p04, p06, p07, p08, p09

PATCHES = tuple(module.EXERCISE for module in (p03, p04, p06, p07, p08, p09))
"""The exercises, in the order of the patches."""

__all__ = ["PATCHES"]
