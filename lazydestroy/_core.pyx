# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The machine: page frames, guest page tables, locks, and tasks that run together in virtual time.

What lives here is mechanism. What a kernel function or an Ultravisor call *does* to a page is written in Python, in
`lazydestroy.kernel`, `lazydestroy.series` and `lazydestroy.ultravisor`, and nowhere else. This module

* keeps the record of every page as one byte, its *class* (`Memory`);
* runs loops over pages (`Loop`), one page step at a time, the task furthest behind first (`Engine`);
* learns what a step does to a class of pages by calling the Python function once, on a scratch copy of the page, and
  then repeats it from a table, without the interpreter, until anything the function may depend on changes.

A step that does more than change its own page (allocates elsewhere, kills a process, wakes a thread) is not tabled:
Python runs it, each time. `Engine(tabled=False)` runs every step in Python and must give the same results.

The inner loops hold no references and run without the GIL; what they work on is in the structs below. The rest of the
module is in files that are included at its end, in the order in which they are best read:

* ``_core_memory.pxi``: frames, guest page tables, deferred lists
* ``_core_tasks.pxi``: locks, loops, tasks
* ``_core_steps.pxi``: one page step from the table
* ``_core_windows.pxi``: many steps at once, with the same result
* ``_core_engine.pxi``: who acts next; learning; what Python must do
"""

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from cpython.number cimport PyNumber_Index
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.ref cimport Py_DECREF, PyObject
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

import inspect
from collections import Counter, deque
from collections.abc import Sequence

import numpy as np

from .page import Content, Holder, Page, Record, State

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object number, int *overflow) except? -1

    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT

    PySendResult PyIter_Send(object generator, object value, PyObject **result) except PYGEN_ERROR

cdef extern from *:
    """
    #include <stdint.h>
    #if defined(__linux__)
    #include <sys/mman.h>
    #endif

    /* Have what is at p fetched into the cache. Advice only, which MSVC spells otherwise: it does without. */
    static inline void prefetch(const void *p)
    {
    #if defined(__GNUC__)
        __builtin_prefetch(p);
    #else
        (void) p;
    #endif
    }

    /* Ask for huge pages, as NumPy does for its arrays: with small ones most looks at a page chosen at random miss the
       TLB. Advice only: nothing is lost where it is not taken. */
    static inline void advise_huge_pages(void *p, int64_t n)
    {
    #if defined(__linux__) && defined(MADV_HUGEPAGE)
        const uintptr_t small = 4096;
        uintptr_t first = ((uintptr_t) p + small - 1) & ~(small - 1);
        uintptr_t end = ((uintptr_t) p + (uintptr_t) n) & ~(small - 1);
        if (n >= 1 << 22)
            madvise((void *) first, end - first, MADV_HUGEPAGE);
    #else
        (void) p;
        (void) n;
    #endif
    }

    /* Where the sanitizer looks for what is used after its end, nothing is kept for later. */
    #if defined(__SANITIZE_ADDRESS__)
    enum { LAZYDESTROY_SPARE_MAX = 0 };
    #else
    enum { LAZYDESTROY_SPARE_MAX = 1 << 26 };
    #endif

    /* How many of the n bytes at p equal p[0]. Blocks of 64 are compared without a branch, so that the compiler can
       use vector instructions. */
    static inline int64_t equal_run_up(const uint8_t *p, int64_t n)
    {
        const uint8_t value = p[0];
        int64_t done = 0;
        while (done + 256 <= n) {
            uint8_t differ = 0;
            for (int j = 0; j < 256; j++)
                differ |= (uint8_t)(p[done + j] ^ value);
            if (differ)
                break;
            done += 256;
        }
        while (done < n && p[done] == value)
            done++;
        return done;
    }

    /* The same downwards: how many of p[0], p[-1], ... equal p[0]. */
    static inline int64_t equal_run_down(const uint8_t *p, int64_t n)
    {
        const uint8_t value = p[0];
        int64_t done = 0;
        while (done + 256 <= n) {
            const uint8_t *block = p - done - 255;
            uint8_t differ = 0;
            for (int j = 0; j < 256; j++)
                differ |= (uint8_t)(block[j] ^ value);
            if (differ)
                break;
            done += 256;
        }
        while (done < n && p[-done] == value)
            done++;
        return done;
    }
    """
    int64_t SPARE_MAX "LAZYDESTROY_SPARE_MAX"
    int64_t equal_run_up(const uint8_t *p, int64_t n) nogil
    int64_t equal_run_down(const uint8_t *p, int64_t n) nogil
    void advise_huge_pages(void *p, int64_t n) nogil
    void prefetch(const void *p) nogil


cdef enum:
    CLASSES = 256
    ROWS = 512
    GIFTS = 32              # what tabled steps make of a free frame: list pages, and what gets behind guest pages
    VARIANTS = 6            # what a guarded step may ask: room in the list page (2) x free memory (low, near, plenty)
    NEAR = 16               # free pages this close to the reserve are not tabled: the step itself may cross it
    RECENT = 64             # frames freed last, handed out first
    CHAIN = 16              # steps on one page before it is left
    MOST_GATHERED = 1 << 20     # pages in a batch
    TASKS = 320             # a VM may have 248 vCPUs
    COLUMNS = 8             # of a sample: the six holders, not yet clean, charged
    WINDOW = 1 << 16        # pages that a task may run ahead alone
    SHORT = 64              # fewer pages are not worth a window
    LARGE = 256             # pages of a batch that is gathered and worked off in parts
    AHEAD = 16              # pages of a random walk that are looked up in advance
    MIXED = 1 << 10         # pages to look at where they are not all of one class
    BURST = 1 << 20         # page steps between two looks at signals
    PATIENCE = 1 << 20      # steps in which no page is done, after which it is taken that none ever will be
    LOOK = 1 << 12          # steps that Python runs between two looks at how far all are
    TRACKED = 16            # tasks whose progress is sampled
    WIDTH = 1 + COLUMNS + TRACKED
    SAMPLES = 1 << 13       # at most
    FRAMES = 1 << 8         # of a film, at most

cdef int64_t FOREVER = <int64_t> 0x7fffffffffffffff
cdef int64_t SECOND = 1_000_000_000
cdef int64_t LATEST = <int64_t> 1 << 62         # where time ends: 146 years. Beyond, 64 bits would soon not do.
cdef int64_t LONGEST = 10_000_000_000           # nanoseconds of a tabled step: a loop of them cannot get far beyond
cdef int64_t MOST_APART = <int64_t> 1 << 60     # nanoseconds between two samples

# What is known of a step on a class of pages
cdef enum:
    UNKNOWN = 0
    TABLED = 1
    SLOW = 2

# What a tabled step does beside changing its page
cdef enum:
    NOTHING = 0
    GATHERED = 1            # the page is in the loop's batch
    LISTED = 2              # its frame number is in the list page
    NEW_LIST = 3            # a free frame has become the list page
    MOVED = 4               # the guest page has been given a free frame that is not its home

# Where a loop takes its pages from
cdef enum:
    UPWARDS = 0
    DOWNWARDS = 1
    AT_RANDOM = 2
    FROM_LIST = 3
    FROM_FREE = 4

# What a task does next
cdef enum:
    AWAKE = 0               # resume its generator at its clock
    LOOPING = 1
    ASLEEP = 2
    DONE = 3

# Why the inner loop came back
cdef enum:
    STEPPED = 0
    ASK = 1                 # a step that the table does not have, or that is slow
    FINISHED = 2            # the loop has come to its end
    BLOCKED = 3             # the lock is not to be had
    RELEASED = 4            # a step done, and somebody waits for the lock it let go
    EXHAUSTED = 5           # no free frame for a loop that allocates
    RESUME = 6              # a generator is next
    IDLE = 7                # no task can run
    PAUSE = 8               # time to look at signals and progress
    NO_MEMORY = 9
    BROKEN = 10             # a window met what it had excluded
    SEAM = 11               # the walk goes on in its next table
    TOO_LATE = 12           # time has come to its end


cdef struct Entry:
    int64_t ns
    int32_t go              # the row of the next step on this page, -1: leave the page
    uint8_t kind
    uint8_t after           # class of the page afterwards
    uint8_t effect
    uint8_t locks           # takes the lock for reading
    int8_t freed            # change in the number of free pages
    uint8_t gift            # NEW_LIST, MOVED: what becomes of the free frame, see `EngineState.gifts`


# The state that the inner loops work on; each struct belongs to the class of the same name.
cdef struct MemoryState:
    uint8_t *cls            # class of each page
    int64_t pages
    int64_t count[CLASSES]  # pages of each class
    uint8_t holder[CLASSES]
    uint8_t unclean[CLASSES]
    uint8_t charged[CLASSES]
    int64_t recent[RECENT]
    uint32_t recent_at
    int64_t cursor
    int64_t free
    int64_t generation      # of the numbers of classes: how often some were given away
    bint cleaned            # an old page has been cleaned outside of the table, and when is not noted yet


cdef struct ListState:
    int64_t capacity
    int64_t room
    int64_t nodes, node_space
    int64_t *node           # frame of each list page
    int64_t *node_run       # its first run
    int64_t runs, run_space
    int64_t *run_start
    int64_t *run_length
    # What a loop is emptying: the list pages below `bottom` were there when it began, and `under` of them are left,
    # the one at hand included. The loop takes the newest first; list pages from `bottom` up came later.
    int64_t under, bottom
    int64_t at_run, at_pfn              # where it is in the list page at hand


cdef struct LockState:
    int64_t readers
    bint writer
    bint queued
    int64_t longest_hold
    int64_t taken


cdef struct Chain:
    int n                   # steps until the page is left
    int row[CHAIN]
    int cls[CHAIN]
    int64_t ns
    int64_t lead            # from the first step's beginning to the last one's
    int after
    int effect
    int freed
    bint locks
    bint guarded            # depends on room in the list page, or on how much memory is free
    bint known              # in a cache: filled in
    int64_t uses            # in a cache: how often it was done since the last accounting


cdef struct Actor:
    int64_t clock
    int state
    int index
    int64_t done            # pages done, over all loops
    uint64_t *hits          # how often each tabled step was done: [row][class]
    int last_class
    # the loop at hand
    int source
    int row, row0, row_each, row_last
    int64_t first, n, k, base
    int64_t *moved          # the table's, see there
    int64_t *behind
    int64_t entries
    int64_t pfn             # AT_RANDOM, FROM_FREE: the frame at hand, -1: none yet
    int64_t batch, batch_n, batch_i
    int64_t *pages
    LockState *lock
    ListState *deferred
    bint locked, stop, working
    bint begins             # it is to stop, if at all, after its first batch
    bint more               # the walk has another table behind this one
    bint admitted           # has waited for the lock: the step that asks for it next may go on
    int64_t locked_since
    int64_t pace_start, rate
    uint64_t key0, key1, mask
    int shift
    int64_t ahead[AHEAD]    # AT_RANDOM: the next guest pages
    Chain *cache            # AT_RANDOM: what is known to happen to a page, by class
    Chain *peeked           # what happens to the page at hand, NULL: not known beforehand
    int64_t page_ends       # when it is left


class NotTabled(Exception):
    """Raised inside a step that is being learned when it does more than change its own page."""


class WouldBlock(Exception):
    """Raised by a step that needs ``lock`` for reading while it is not to be had; the step is done again later."""

    def __init__(self, lock):
        super().__init__("the lock is held for writing, or a writer waits")
        self.lock = lock


class TooManyKinds(OverflowError):
    """More pages differ from each other at once than one byte can tell apart."""


class Deadlock(RuntimeError):
    """No task can run, and some are not done."""


include "_core_memory.pxi"
include "_core_tasks.pxi"
include "_core_steps.pxi"
include "_core_windows.pxi"
include "_core_engine.pxi"
