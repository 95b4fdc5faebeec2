# cython: language_level=3
"""Mistakes that bounds-checked.sh must catch, to prove that its checks are on. Line 1 is replaced by the core's."""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc
from libc.stdlib cimport free as c_free

cdef extern from "assert.h":
    void c_assert "assert" (int condition)

import numpy as np

cdef int64_t *items = <int64_t *> calloc(8, sizeof(int64_t))


def read(int64_t index):
    """One of the eight items; a mistake if there is no such item, or after `free`."""
    return items[index]


def free():
    """Free the items."""
    c_free(items)


def double(int64_t number):
    """Twice a number; a mistake if that is too much."""
    return 2 * number


def view(int64_t index):
    """One of eight items of a typed view."""
    cdef int64_t[:] zeros = np.zeros(8, dtype=np.int64)
    return zeros[index]


def inverse(int64_t number):
    """1 divided by a number."""
    return 1 // number


def holds(int64_t number):
    """Assert, in C, that a number is not 0."""
    c_assert(number != 0)
    return True
