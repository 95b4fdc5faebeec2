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

The inner loops hold no references and run without the GIL.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from collections import Counter, deque

import numpy as np

from .page import Content, Holder, Page, Record, State

cdef extern from *:
    """
    typedef __int128 lazydestroy_int128;

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
    ctypedef long long int128 "lazydestroy_int128"
    int64_t equal_run_up(const uint8_t *p, int64_t n) nogil
    int64_t equal_run_down(const uint8_t *p, int64_t n) nogil
    void prefetch "__builtin_prefetch" (const void *p) nogil


cdef enum:
    CLASSES = 256
    ROWS = 512
    VARIANTS = 6            # what a guarded step may ask: room in the list page (2) x free memory (low, near, plenty)
    NEAR = 16               # free pages this close to the reserve are not tabled: the step itself may cross it
    RECENT = 64             # frames freed last, handed out first
    CHAIN = 16              # steps on one page before it is left
    TASKS = 320             # a VM may have 248 vCPUs
    COLUMNS = 8             # of a sample: the six holders, not yet clean, charged
    WINDOW = 1 << 16        # pages that a task may run ahead alone
    SHORT = 64              # fewer pages are not worth a window
    AHEAD = 16              # pages of a random walk that are looked up in advance
    MIXED = 1 << 10         # pages to look at where they are not all of one class
    BURST = 1 << 20         # page steps between two looks at signals
    TRACKED = 16            # tasks whose progress is sampled
    WIDTH = 1 + COLUMNS + TRACKED
    SAMPLES = 1 << 13       # at most

cdef int64_t FOREVER = <int64_t> 0x7fffffffffffffff

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


cdef struct Entry:
    int64_t ns
    int32_t go              # the row of the next step on this page, -1: leave the page
    uint8_t kind
    uint8_t after           # class of the page afterwards
    uint8_t effect
    uint8_t locks           # takes the lock for reading
    int8_t freed            # change in the number of free pages


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


cdef struct ListState:
    int64_t capacity
    int64_t room
    int64_t nodes, node_space
    int64_t *node           # frame of each list page
    int64_t *node_run       # its first run
    int64_t runs, run_space
    int64_t *run_start
    int64_t *run_length
    int64_t at_node, at_run, at_pfn     # the emptying loop's place


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
    int64_t *moved
    int64_t pfn             # AT_RANDOM, FROM_FREE: the frame at hand, -1: none yet
    int64_t batch, batch_n, batch_i
    int64_t *pages
    LockState *lock
    ListState *deferred
    bint locked, stop, working
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


class Deadlock(RuntimeError):
    """No task can run, and some are not done."""


cdef inline void freed(MemoryState *m, int64_t pfn) noexcept nogil:
    """Note that frame `pfn` has just become free: it will be handed out again first."""
    m.recent[m.recent_at % RECENT] = pfn
    m.recent_at += 1


cdef void put(MemoryState *m, int64_t pfn, int cls) noexcept nogil:
    """Give frame `pfn` another class."""
    cdef int before = m.cls[pfn]
    m.count[before] -= 1
    m.count[cls] += 1
    m.cls[pfn] = cls
    if m.holder[cls] == 0 and m.holder[before] != 0:
        m.free += 1
        freed(m, pfn)
    elif m.holder[cls] != 0 and m.holder[before] == 0:
        m.free -= 1


cdef int64_t find_free(MemoryState *m) noexcept nogil:
    """A free frame: one of those freed last, else the next one upwards. -1 if there is none."""
    cdef int64_t pfn
    cdef int i
    if m.free <= 0:
        return -1
    for i in range(RECENT):
        pfn = m.recent[(m.recent_at - 1) % RECENT]
        if pfn < 0:
            break
        m.recent_at -= 1
        m.recent[m.recent_at % RECENT] = -1
        if m.holder[m.cls[pfn]] == 0:
            return pfn
    while True:
        if m.cursor >= m.pages:
            m.cursor = 0
        if m.holder[m.cls[m.cursor]] == 0:
            m.cursor += 1
            return m.cursor - 1
        m.cursor += equal_run_up(m.cls + m.cursor, m.pages - m.cursor)


cdef class Memory:
    """All page frames of a host: one byte each.

    Parameters
    ----------
    pages : int
        Number of 4 KiB frames. All start free, non-secure, full of zeros.

    Notes
    -----
    A class is a number for a `Record`; classes that no page has any more are given away again. While a step is
    learned, reads and writes go to scratch copies and the frames stay as they are.
    """

    cdef MemoryState s
    cdef readonly int64_t pages
    cdef list records_
    cdef dict classes
    cdef dict scratch
    cdef int64_t scratch_free
    cdef Recording recording
    cdef set wanted             # classes that are about to get pages
    cdef readonly int64_t context
    cdef frozenset old_

    def __cinit__(self, int64_t pages):
        if pages < 1:
            raise ValueError(f"pages={pages}: a memory needs at least one page")
        self.s.cls = <uint8_t *> calloc(pages, 1)
        if self.s.cls == NULL:
            raise MemoryError(f"no memory for the records of {pages} pages")
        self.pages = pages
        self.s.pages = pages
        self.records_ = [None] * CLASSES
        self.classes = {}
        self.old_ = frozenset()
        self.wanted = set()
        self.s.cursor = 0
        self.class_of(Record())
        self.s.count[0] = pages
        self.s.free = pages
        for i in range(RECENT):
            self.s.recent[i] = -1

    def __dealloc__(self):
        free(self.s.cls)

    def __len__(self):
        return self.pages

    def close(self):
        """Give the memory of the records back at once; there are no pages any more."""
        free(self.s.cls)
        self.s.cls = NULL
        self.pages = self.s.pages = self.s.free = 0
        memset(self.s.count, 0, sizeof(self.s.count))

    @property
    def free(self):
        """Number of free pages."""
        self.needs_guard()
        return self.s.free

    @property
    def old(self):
        """Handles of the configurations whose pages count as not yet clean."""
        return self.old_

    @old.setter
    def old(self, handles):
        self.old_ = frozenset(handles)
        for record, cls in self.classes.items():
            self.classify(record, cls)

    cdef classify(self, record, int cls):
        self.s.holder[cls] = record.holder
        self.s.charged[cls] = record.charged
        self.s.unclean[cls] = (record.owner in self.old_ and record.state in (State.SECURE, State.SHARED)
                             and record.holder in (Holder.MAPPED, Holder.SET_ASIDE))

    cdef int class_of(self, record) except -1:
        found = self.classes.get(record)
        if found is not None:
            return found
        cdef int cls
        for cls in range(CLASSES):
            if self.records_[cls] is None:
                break
        else:
            cls = self.reclaim()
        record = Record(*record)
        self.records_[cls] = record
        self.classes[record] = cls
        self.classify(record, cls)
        return cls

    cdef int reclaim(self) except -1:
        """Give away the numbers of classes that no page has."""
        cdef int cls
        cdef int found = -1
        for cls in range(1, CLASSES):
            if self.s.count[cls] == 0 and self.records_[cls] is not None and cls not in self.wanted:
                del self.classes[self.records_[cls]]
                self.records_[cls] = None
                found = cls
        if found < 0:
            raise OverflowError(f"more than {CLASSES} different kinds of page at once")
        self.context += 1
        return found

    cdef check(self, pfn):
        if not 0 <= pfn < self.pages:
            raise IndexError(f"frame {pfn} is outside a memory of {self.pages} pages")

    def page(self, pfn):
        """The page with frame number `pfn`, as a `Page`."""
        self.check(pfn)
        return Page(self, pfn)

    def record(self, pfn):
        """The `Record` of frame `pfn`."""
        if self.scratch is not None:
            if pfn not in self.scratch:
                raise NotTabled("a step that looks at another page")
            return self.scratch[pfn]
        self.check(pfn)
        return self.records_[self.s.cls[<int64_t> pfn]]

    def set_record(self, pfn, record):
        """Replace the record of frame `pfn`."""
        self.check(pfn)
        if self.scratch is not None:
            before = self.record(pfn)
            self.scratch_free += (record.holder == Holder.FREE) - (before.holder == Holder.FREE)
            self.scratch[pfn] = record
            return
        put(&self.s, pfn, self.class_of(record))

    def change(self, function, start=0, count=None):
        """Apply ``function(record) -> record`` to a range of pages; called once for each different record.

        Returns
        -------
        int
            How many pages' records changed.
        """
        cdef int64_t first = start
        cdef int64_t last = self.pages if count is None else start + count
        cdef int64_t pfn
        cdef int before, after
        cdef int64_t changed = 0
        cdef int map_[CLASSES]
        if first < 0 or last > self.pages or first > last:
            raise IndexError(f"frames {first} to {last} are not in a memory of {self.pages} pages")
        if first == last:
            return 0
        if self.scratch is not None:
            if last - first > 1:
                raise NotTabled("a step that changes a range of pages")
            record = self.record(start)
            self.set_record(start, function(record))
            return int(self.record(start) != record)
        present = self.present(first, last)
        for before in range(CLASSES):
            map_[before] = before
        for before in present:
            after = self.class_of(function(self.records_[before]))
            map_[before] = after
            self.wanted.add(after)
        self.wanted.clear()
        cdef bint any_change = False
        for before in present:
            any_change = any_change or map_[before] != before
        if not any_change:
            return 0
        pfn = first
        cdef int64_t run
        while pfn < last:
            before = self.s.cls[pfn]
            run = equal_run_up(self.s.cls + pfn, last - pfn)
            after = map_[before]
            if after != before:
                memset(self.s.cls + pfn, after, run)
                self.s.count[before] -= run
                self.s.count[after] += run
                if self.s.holder[before] != 0 and self.s.holder[after] == 0:
                    self.s.free += run
                elif self.s.holder[before] == 0 and self.s.holder[after] != 0:
                    self.s.free -= run
                changed += run
            pfn += run
        return changed

    cdef list present(self, int64_t first, int64_t last):
        """The classes of a range. For the whole memory the counts know them."""
        cdef int cls
        cdef int64_t pfn = first
        cdef uint8_t seen[CLASSES]
        if first == 0 and last == self.pages:
            return [cls for cls in range(CLASSES) if self.s.count[cls]]
        memset(seen, 0, CLASSES)
        while pfn < last:
            seen[self.s.cls[pfn]] = 1
            pfn += equal_run_up(self.s.cls + pfn, last - pfn)
        return [cls for cls in range(CLASSES) if seen[cls]]

    def records(self, start=0, count=None):
        """How many pages of a range have which record, as a dict."""
        cdef int64_t first = start
        cdef int64_t last = self.pages if count is None else start + count
        cdef int64_t pfn, run
        if first < 0 or last > self.pages or first > last:
            raise IndexError(f"frames {first} to {last} are not in a memory of {self.pages} pages")
        if self.scratch is not None:
            if last - first == 1:
                return {self.record(start): 1}
            raise NotTabled("a step that looks at a range of pages")
        if first == 0 and last == self.pages:
            return {self.records_[cls]: self.s.count[cls] for cls in range(CLASSES) if self.s.count[cls]}
        found = Counter()
        pfn = first
        while pfn < last:
            run = equal_run_up(self.s.cls + pfn, last - pfn)
            found[self.records_[self.s.cls[pfn]]] += run
            pfn += run
        return dict(found)

    def classes_of(self, start=0, count=None):
        """A copy of the class numbers of a range, and the records that they stand for.

        Returns
        -------
        numpy.ndarray of uint8, shape (count,)
        dict of int to Record
        """
        cdef int64_t first = start
        cdef int64_t n = self.pages - start if count is None else count
        if first < 0 or n < 0 or first + n > self.pages:
            raise IndexError(f"frames {first} to {first + n} are not in a memory of {self.pages} pages")
        if n == 0:
            return np.zeros(0, np.uint8), {}
        array = np.asarray(<uint8_t[:n]> (self.s.cls + first)).copy()
        return array, {cls: self.records_[cls] for cls in np.unique(array).tolist()}

    @property
    def learning(self):
        """Whether a step is being learned, on a scratch copy."""
        return self.scratch is not None

    def context_changed(self):
        """Something that steps may depend on, beside their page, is about to change.

        Raises
        ------
        NotTabled
            If a step is being learned: then it must be run in Python each time.
        """
        if self.scratch is not None:
            raise NotTabled("a step that changes more than its page")
        self.context += 1

    def low(self, reserve):
        """Whether no page may be taken without going below `reserve` free pages."""
        if self.scratch is None:
            return self.s.free <= reserve
        self.recording.guarded = True
        if self.s.free - reserve <= NEAR and reserve - self.s.free <= NEAR:
            raise NotTabled("free memory is close to the reserve")
        return self.s.free + self.scratch_free <= reserve

    cdef needs_guard(self):
        if self.scratch is not None:
            raise NotTabled("a step that asks how much memory is free")

    def allocate(self, prefer=None):
        """Find a free frame and return its number, or None. The caller takes it by setting its record.

        `prefer` is returned if it is free.
        """
        if prefer is not None and self.record(prefer).holder == Holder.FREE:
            return prefer
        self.needs_guard()
        cdef int64_t pfn = find_free(&self.s)
        return None if pfn < 0 else pfn

    def find_run(self, pages, align=1, lowest=0):
        """First frame of `pages` contiguous free ones, as high as possible, a multiple of `align`; None if none.

        ``lowest`` is the lowest frame that is acceptable.
        """
        cdef int64_t n = pages
        cdef int64_t step = align
        cdef int64_t start = (self.pages - n) // step * step
        cdef int64_t pfn
        self.needs_guard()
        if n > self.pages:
            return None
        while start >= <int64_t> lowest and start >= 0:
            pfn = start + n - 1
            while pfn >= start:
                if self.s.holder[self.s.cls[pfn]] != 0:
                    break
                pfn -= equal_run_down(self.s.cls + pfn, pfn - start + 1)
            else:
                return start
            pfn -= equal_run_down(self.s.cls + pfn, pfn + 1) - 1
            start = (pfn - n) // step * step
        return None


cdef class Table:
    """A guest's page table: which frame backs which guest page.

    Guest page *g* has a home, frame ``base + g``. It is present if the frame it points to is held by the address
    space `mm`. A page that comes back elsewhere (swap) is remembered, eight bytes a guest page, from then on.

    Parameters
    ----------
    memory : Memory
    mm : int
        Number of the address space.
    base, pages : int
        Home frame of guest page 0; size of the guest in pages.
    """

    cdef readonly Memory memory
    cdef readonly int mm
    cdef readonly int64_t base
    cdef readonly int64_t pages
    cdef int64_t *moved
    cdef readonly dict away

    def __cinit__(self, Memory memory, int mm, int64_t base, int64_t pages):
        if base < 0 or pages < 0 or base + pages > memory.pages:
            raise ValueError(f"guest pages {base} to {base + pages} are outside a memory of {memory.pages} pages")
        self.memory, self.mm, self.base, self.pages = memory, mm, base, pages
        self.away = {}

    def __dealloc__(self):
        free(self.moved)

    cdef inline int64_t at(self, int64_t g) noexcept nogil:
        return self.base + g if self.moved == NULL else self.moved[g]

    def slot(self, g):
        """The frame that the entry of guest page `g` points to, present or not."""
        if not 0 <= g < self.pages:
            raise IndexError(f"guest page {g} is outside a guest of {self.pages} pages")
        return self.at(g)

    def frame(self, g):
        """The frame that backs guest page `g`, or None."""
        if not 0 <= g < self.pages:
            return None
        pfn = self.at(g)
        record = self.memory.record(pfn)
        return pfn if record.holder == Holder.MAPPED and record.mm == self.mm else None

    def point(self, g, pfn):
        """Let the entry of guest page `g` point to frame `pfn`."""
        cdef int64_t i
        if self.slot(g) == pfn:
            return
        self.memory.context_changed()
        if self.moved == NULL:
            self.moved = <int64_t *> malloc(self.pages * sizeof(int64_t))
            if self.moved == NULL:
                raise MemoryError("no memory for the page table")
            for i in range(self.pages):
                self.moved[i] = self.base + i
        self.moved[g] = pfn


cdef int64_t *grown(int64_t *array, int64_t used, int64_t *space) noexcept nogil:
    """`array` with room for one more; NULL, and `array` as it was, if there is no memory."""
    cdef int64_t wanted = 2 * space[0] + 64
    cdef int64_t *larger
    if used < space[0]:
        return array
    larger = <int64_t *> malloc(wanted * sizeof(int64_t))
    if larger == NULL:
        return NULL
    if used:
        memcpy(larger, array, used * sizeof(int64_t))
    free(array)
    space[0] = wanted
    return larger


cdef int open_list_page(ListState *d, int64_t pfn) noexcept nogil:
    """Begin a list page. -1: no memory."""
    cdef int64_t space = d.node_space
    cdef int64_t *array = grown(d.node, d.nodes, &space)
    if array == NULL:
        return -1
    d.node = array
    array = grown(d.node_run, d.nodes, &d.node_space)
    if array == NULL:
        return -1
    d.node_run = array
    d.node[d.nodes] = pfn
    d.node_run[d.nodes] = d.runs
    d.nodes += 1
    d.room = d.capacity
    return 0


cdef int push_run(ListState *d, int64_t pfn, int64_t length) noexcept nogil:
    """Put `length` neighbouring frames into the newest list page. -1: no memory."""
    cdef int64_t last = d.runs - 1
    cdef int64_t space = d.run_space
    cdef int64_t *array
    if last >= d.node_run[d.nodes - 1] and d.run_start[last] + d.run_length[last] == pfn:
        d.run_length[last] += length
        d.room -= length
        return 0
    array = grown(d.run_start, d.runs, &space)
    if array == NULL:
        return -1
    d.run_start = array
    array = grown(d.run_length, d.runs, &d.run_space)
    if array == NULL:
        return -1
    d.run_length = array
    d.run_start[d.runs] = pfn
    d.run_length[d.runs] = length
    d.runs += 1
    d.room -= length
    return 0


cdef inline bint list_page_done(ListState *d) noexcept nogil:
    """Whether all frame numbers of the list page at hand have been taken."""
    if d.at_node + 1 < d.nodes:
        return d.at_run >= d.node_run[d.at_node + 1]
    return d.at_run >= d.runs


cdef inline void take_from_list(ListState *d, int64_t length) noexcept nogil:
    d.at_pfn += length
    if d.at_pfn == d.run_length[d.at_run]:
        d.at_run += 1
        d.at_pfn = 0


cdef class DeferredList:
    """Frame numbers set aside, in list pages of `capacity` numbers each (``mm->context.deferred_list``).

    Neighbouring numbers are kept as runs, so that a terabyte of them takes little memory.
    """

    cdef Memory memory
    cdef ListState s

    def __cinit__(self, Memory memory, int64_t capacity):
        if capacity < 1:
            raise ValueError(f"capacity={capacity}: a list page holds at least one frame number")
        self.memory = memory
        self.s.capacity = capacity

    def __dealloc__(self):
        free(self.s.node)
        free(self.s.node_run)
        free(self.s.run_start)
        free(self.s.run_length)

    def __len__(self):
        cdef int64_t total = 0
        cdef int64_t i
        for i in range(self.s.at_run, self.s.runs):
            total += self.s.run_length[i]
        return total - self.s.at_pfn

    @property
    def list_pages(self):
        """Number of list pages not yet emptied."""
        return self.s.nodes - self.s.at_node

    @property
    def room(self):
        """How many frame numbers the newest list page still takes."""
        if self.memory.scratch is not None:
            self.memory.recording.guarded = True
        return self.s.room

    @property
    def capacity(self):
        """How many frame numbers a list page takes."""
        return self.s.capacity

    def append(self, page):
        """Put a page's frame number into the newest list page."""
        if self.s.room < 1:
            raise ValueError("the list page is full")
        if self.memory.scratch is not None:
            self.memory.recording.note(LISTED, page.pfn)
            return
        if push_run(&self.s, page.pfn, 1) != 0:
            raise MemoryError("no memory for the deferred list")

    def add_list_page(self, page):
        """Add an empty list page: it is the newest from now on."""
        if self.memory.scratch is not None:
            self.memory.recording.note(NEW_LIST, page.pfn)
            return
        if open_list_page(&self.s, page.pfn) != 0:
            raise MemoryError("no memory for the deferred list")

cdef class Lock:
    """A read-write semaphore, first come first served: a reader queues behind a writer who waits.

    Attributes
    ----------
    longest_hold, longest_wait : int
        Nanoseconds.
    taken : int
        How often it was taken.
    """

    cdef LockState s
    cdef readonly str name
    cdef object queue           # of (Task, write)
    cdef readonly int64_t longest_wait

    def __init__(self, name="lock"):
        self.name = name
        self.queue = deque()

    @property
    def held(self):
        """"read", "write" or None."""
        return "write" if self.s.writer else "read" if self.s.readers else None

    @property
    def longest_hold(self):
        """Longest time that it was held at a stretch by one task, in nanoseconds."""
        return self.s.longest_hold

    @property
    def taken(self):
        """How often it was taken."""
        return self.s.taken

    @property
    def waiting(self):
        """Names of the tasks that wait for it, in order."""
        return [task.name for task, _ in self.queue]

    def read(self):
        """To be yielded by a task that wants the lock for reading."""
        return (self, False)

    def write(self):
        """To be yielded by a task that wants the lock for writing."""
        return (self, True)

    cdef bint take(self, bint write):
        if self.s.writer or (write and self.s.readers):
            return False
        if write:
            self.s.writer = True
        else:
            self.s.readers += 1
        self.s.taken += 1
        return True


cdef inline void let_go(LockState *lock, int64_t ns) noexcept nogil:
    """A reader lets go after holding the lock for `ns`."""
    lock.readers -= 1
    if ns > lock.longest_hold:
        lock.longest_hold = ns


cdef class Loop:
    """Page steps to be done one after the other: what a task yields to have pages walked.

    Made by `walk`, `visit`, `empty_list` and `take_free`. A step is a function of a page (and of its guest address,
    for loops over a guest): it changes the page's record, charges time, and returns None to leave the page, or the
    next step to be done on it.
    """

    cdef int source
    cdef Table table
    cdef DeferredList deferred
    cdef Lock lock
    cdef object step, each, last, stop
    cdef int64_t first, n, batch, rate
    cdef uint64_t seed

    def __repr__(self):
        return f"<Loop over {self.n} pages>"


Step = tuple
"""What `step` makes: a function and its leading arguments."""


def step(function, *arguments):
    """A page step: `function` with leading `arguments`. Equal steps share what has been learned of them."""
    return (function, arguments)


def _as_step(function):
    return function if isinstance(function, tuple) else (function, ())


def visit(Table table, first, pages, function, order="sequential", seed=0, Lock lock=None):
    """A loop over guest pages, each done when its steps are done.

    Parameters
    ----------
    table : Table
    first, pages : int
        Guest pages ``first`` to ``first + pages``.
    function : callable or step
        ``function(page, gaddr)``.
    order : {"sequential", "reverse", "random"}
    seed : int
        Key of the permutation, for "random".
    lock : Lock, optional
        What a step means when it asks for the lock (see `Engine.read_lock`).
    """
    cdef Loop loop = Loop()
    orders = {"sequential": UPWARDS, "reverse": DOWNWARDS, "random": AT_RANDOM}
    if order not in orders:
        raise ValueError(f"order={order!r}: use one of {', '.join(map(repr, orders))}")
    if first < 0 or pages < 0 or first + pages > table.pages:
        raise IndexError(f"guest pages {first} to {first + pages} are outside a guest of {table.pages} pages")
    loop.source = orders[order]
    loop.table, loop.first, loop.n = table, first, pages
    loop.step, loop.seed, loop.lock = _as_step(function), seed & 0xffffffffffffffff, lock
    return loop


def walk(Table table, first, pages, function, each=None, batch=0, Lock lock=None, stop=None,
         DeferredList deferred=None):
    """A walk of page-table entries, present or not, upwards.

    Parameters
    ----------
    function : callable or step
        ``function(page, gaddr)``, for every entry.
    each : callable or step, optional
        ``each(page)``, for every page that `function` put into the batch with `Engine.gather`, when `batch` pages
        are together or the walk has ended.
    batch : int
        Pages in a batch.
    lock : Lock, optional
        Held for reading while a batch is gathered, let go while it is worked off.
    stop : callable, optional
        Asked after every batch; the walk ends when it says True.
    deferred : DeferredList, optional
        The list that `function` may put pages on.
    """
    cdef Loop loop = visit(table, first, pages, function, "sequential", 0, lock)
    if each is not None:
        if batch < 1:
            raise ValueError(f"batch={batch}: a batch has at least one page")
        loop.each, loop.batch = _as_step(each), batch
    loop.stop = stop
    loop.deferred = deferred
    return loop


def empty_list(DeferredList deferred, function, last):
    """A loop that empties a list: ``function(page)`` for each page on it, ``last(page)`` for each list page done."""
    cdef Loop loop = Loop()
    loop.source = FROM_LIST
    loop.deferred = deferred
    loop.step, loop.last = _as_step(function), _as_step(last)
    loop.n = len(deferred) + deferred.list_pages
    return loop


def take_free(pages, function, rate):
    """A loop that takes one free page after the other, `rate` bytes a second: ``function(page)`` for each."""
    cdef Loop loop = Loop()
    loop.source = FROM_FREE
    loop.step, loop.n, loop.rate = _as_step(function), pages, rate
    return loop


cdef class Task:
    """Something that acts in virtual time: a generator, its clock, and the loop that it is in.

    Attributes
    ----------
    name : str
    calls : Counter
        Ultravisor calls made, by (command, outcome).
    value
        What the generator returned.
    history : list of (int, str, int)
        Clock, activity that began, pages done so far.
    """

    cdef Actor a
    cdef readonly str name
    cdef object generator, send
    cdef readonly object calls
    cdef readonly object value
    cdef readonly list history
    cdef object wants           # (Lock, write) while asleep for it
    cdef dict holds             # Lock -> clock at which it was taken
    cdef int64_t asleep_since
    cdef bint retry             # asleep in the middle of a loop
    cdef readonly Signal finished
    cdef Loop loop

    def __cinit__(self):
        self.a.hits = <uint64_t *> calloc(ROWS * CLASSES, sizeof(uint64_t))
        if self.a.hits == NULL:
            raise MemoryError("no memory for a task")
        self.a.last_class = -1

    def __dealloc__(self):
        free(self.a.hits)
        free(self.a.pages)
        free(self.a.cache)

    @property
    def clock(self):
        """The task's time, in nanoseconds."""
        return self.a.clock

    @property
    def index(self):
        """Its place in the order of creation."""
        return self.a.index

    @property
    def done(self):
        """Pages done, over all loops."""
        return self.a.done

    @property
    def alive(self):
        """Whether the task is not done."""
        return self.a.state != DONE

    @property
    def asleep(self):
        """Whether it waits for a lock or a signal."""
        return self.a.state == ASLEEP

    @property
    def progress(self):
        """(pages done, pages in all) of the loop at hand, or None."""
        return (self.a.k, self.a.n) if self.a.state == LOOPING else None

    def __repr__(self):
        return f"<Task {self.name} at {self.a.clock} ns>"


cdef class Signal:
    """Something to wait for: a task that yields it sleeps until `set` is called."""

    cdef readonly bint is_set
    cdef list waiting

    def __init__(self):
        self.waiting = []


cdef uint64_t mix(uint64_t x) noexcept nogil:
    """A finaliser of 64 bits (the constants of SplitMix64), for keys."""
    x += <uint64_t> 0x9e3779b97f4a7c15
    x = (x ^ (x >> 30)) * <uint64_t> 0xbf58476d1ce4e5b9
    x = (x ^ (x >> 27)) * <uint64_t> 0x94d049bb133111eb
    return x ^ (x >> 31)


cdef inline int64_t permuted(Actor *t, int64_t k) noexcept nogil:
    """A keyed bijection of 0 ... n-1: odd multipliers and shifts modulo a power of two, again while outside."""
    cdef uint64_t x = <uint64_t> k
    while True:
        x = (x * <uint64_t> 0x9e3779b97f4a7c15 + t.key0) & t.mask
        x ^= x >> t.shift
        x = (x * <uint64_t> 0xbf58476d1ce4e5b9 + t.key1) & t.mask
        x ^= x >> t.shift
        x = (x * <uint64_t> 0x94d049bb133111eb + t.key0) & t.mask
        if x < <uint64_t> t.n:
            return <int64_t> x


cdef class Recording:
    """What a step did while it was learned."""

    cdef int64_t ns
    cdef object calls
    cdef int effect
    cdef int64_t pfn
    cdef bint guarded           # asked for room or memory
    cdef bint locks             # took the lock for reading
    cdef dict list_page         # fields of the list page that it allocated

    def __init__(self, pfn):
        self.calls = Counter()
        self.pfn = pfn

    cdef note(self, int effect, pfn):
        if self.effect != NOTHING or (effect == NEW_LIST) != (self.list_page is not None):
            raise NotTabled("a step that does more than one thing")
        if effect != NEW_LIST and pfn != self.pfn:
            raise NotTabled("a step that does something with another page")
        self.effect = effect


class _ListPage:
    """Stands for the frame that the allocator will give while a step is learned."""

    pfn = -1


cdef struct EngineState:
    MemoryState *m
    Entry *table            # [row][class]
    int variant[ROWS]       # first of the six rows of a guarded step, -1: not guarded
    Actor *ring[TASKS]      # tasks that are not done, in the order of creation
    int ring_n
    int64_t reserve
    int list_page_class[CLASSES]    # class of a free frame -> class of a list page, -1: not known
    int64_t spare           # a frame found but not yet used, -1: none
    # what the inner loop came back with
    Actor *who
    int ask_row, ask_class
    int64_t ask_pfn
    # samples: time, COLUMNS counts, pages done by each of the first TRACKED tasks
    int64_t *samples
    int64_t sample_n, sample_every, sample_next
    int64_t steps


cdef inline int64_t now_of(EngineState *e) noexcept nogil:
    """The clock of the task that acts next."""
    cdef int64_t now = FOREVER
    cdef int i
    for i in range(e.ring_n):
        if e.ring[i].state != ASLEEP and e.ring[i].clock < now:
            now = e.ring[i].clock
    return now


cdef void sample(EngineState *e, int64_t time) noexcept nogil:
    """Note how much memory is used for what at `time`, and how far each task is."""
    cdef int64_t *row
    cdef int cls, i
    if e.sample_n and e.samples[(e.sample_n - 1) * WIDTH] == time:
        e.sample_n -= 1
    if e.sample_n == SAMPLES:
        # enough: keep every other one, and go on at half the rate
        e.sample_n //= 2
        for i in range(1, e.sample_n):
            memcpy(e.samples + i * WIDTH, e.samples + 2 * i * WIDTH, WIDTH * sizeof(int64_t))
        e.sample_every *= 2
    row = e.samples + e.sample_n * WIDTH
    memset(row, 0, WIDTH * sizeof(int64_t))
    row[0] = time
    for cls in range(CLASSES):
        row[1 + e.m.holder[cls]] += e.m.count[cls]
        if e.m.unclean[cls]:
            row[7] += e.m.count[cls]
        if e.m.charged[cls]:
            row[8] += e.m.count[cls]
    for i in range(e.ring_n):
        if e.ring[i].index < TRACKED:
            row[1 + COLUMNS + e.ring[i].index] = e.ring[i].done
    e.sample_n += 1


cdef inline int variant_of(EngineState *e, Actor *t) noexcept nogil:
    """Which of the six situations a guarded step is in."""
    cdef int64_t spare = e.m.free - e.reserve
    cdef int memory = 1 if -NEAR <= spare <= NEAR else 0 if spare < 0 else 2
    cdef int room = 1 if t.deferred != NULL and t.deferred.room > 0 else 0
    return 2 * memory + room


cdef inline void look_ahead(MemoryState *m, Actor *t, int64_t k) noexcept nogil:
    """Find out which page comes `k`-th, and have its record fetched: waiting for memory is most of a random walk."""
    cdef int64_t g
    if k < t.n:
        g = t.first + permuted(t, k)
        t.ahead[k % AHEAD] = g
        prefetch(&m.cls[t.base + g if t.moved == NULL else t.moved[g]])


cdef inline int64_t position(EngineState *e, Actor *t) noexcept nogil:
    """The frame of the page at hand; -1: no frame is free."""
    cdef ListState *d
    cdef int64_t g
    if t.working:
        return t.pages[t.batch_i]
    if t.source == UPWARDS:
        g = t.first + t.k
    elif t.source == DOWNWARDS:
        g = t.first + t.n - 1 - t.k
    elif t.source == AT_RANDOM:
        if t.pfn >= 0:
            return t.pfn
        g = t.ahead[t.k % AHEAD]
        t.pfn = t.base + g if t.moved == NULL else t.moved[g]
        look_ahead(e.m, t, t.k + AHEAD)
        return t.pfn
    elif t.source == FROM_LIST:
        d = t.deferred
        return d.node[d.at_node] if list_page_done(d) else d.run_start[d.at_run] + d.at_pfn
    else:
        if t.pfn < 0:
            t.pfn = find_free(e.m)
        return t.pfn
    return t.base + g if t.moved == NULL else t.moved[g]


cdef inline bint batch_complete(Actor *t) noexcept nogil:
    """Begin to work off the batch; True if somebody waits for the lock that was let go."""
    t.working = True
    t.batch_i = 0
    t.row = t.row_each
    if t.locked:
        t.locked = False
        let_go(t.lock, t.clock - t.locked_since)
        return t.lock.queued
    return False


cdef inline int leave_page(Actor *t, int64_t pfn, int effect) noexcept nogil:
    """Go on to the next page."""
    if t.working:
        t.batch_i += 1
        t.row = t.row_each
        if t.batch_i == t.batch_n:
            t.working = False
            t.batch_n = 0
            t.row = t.row0
            if t.stop:
                t.n = t.k
        return STEPPED
    t.k += 1
    t.done += 1
    t.row = t.row0
    if t.source == FROM_LIST:
        if list_page_done(t.deferred):
            t.deferred.at_node += 1
        else:
            take_from_list(t.deferred, 1)
        if t.deferred.at_node < t.deferred.nodes and list_page_done(t.deferred):
            t.row = t.row_last
    elif t.source == FROM_FREE:
        t.pfn = -1
        t.clock = max(t.clock, t.pace_start + <int64_t> (<int128> t.k * 4096 * 1000000000 // t.rate))
    elif t.source == AT_RANDOM:
        t.pfn = -1
    if effect == GATHERED:
        t.pages[t.batch_n] = pfn
        t.batch_n += 1
        if t.batch_n == t.batch and batch_complete(t):
            return RELEASED
    return STEPPED


cdef inline int ask(EngineState *e, Actor *t, int row, int cls, int64_t pfn) noexcept nogil:
    e.who = t
    e.ask_row = row
    e.ask_class = cls
    e.ask_pfn = pfn
    return ASK


cdef int begin_page(Actor *t) noexcept nogil:
    """Whether the task may do a step on its next page."""
    if t.working:
        return STEPPED
    if t.k >= t.n:
        if t.batch_n == 0:
            return FINISHED
        return RELEASED if batch_complete(t) else STEPPED
    if t.lock != NULL and t.batch and not t.locked:
        if t.lock.writer or t.lock.queued:
            return BLOCKED
        t.lock.readers += 1
        t.lock.taken += 1
        t.locked = True
        t.locked_since = t.clock
    return STEPPED


cdef int one_step(EngineState *e, Actor *t) noexcept nogil:
    """One page step of a task, from the table."""
    cdef Entry *x
    cdef int row, cls, code
    cdef int64_t pfn, spare
    code = begin_page(t)
    if code != STEPPED:
        return code
    pfn = position(e, t)
    if pfn < 0:
        return EXHAUSTED
    row = t.row
    if e.variant[row] >= 0:
        row = e.variant[row] + variant_of(e, t)
    cls = e.m.cls[pfn]
    x = &e.table[row * CLASSES + cls]
    if x.kind != TABLED:
        return ask(e, t, row, cls, pfn)
    if x.locks and t.lock != NULL and (t.lock.writer or t.lock.queued):
        return BLOCKED
    if x.effect >= LISTED:
        if x.effect == LISTED:
            if push_run(t.deferred, pfn, 1) != 0:
                return NO_MEMORY
        else:
            spare = e.spare if e.spare >= 0 and e.m.holder[e.m.cls[e.spare]] == 0 else find_free(e.m)
            e.spare = spare
            if spare < 0 or e.list_page_class[e.m.cls[spare]] < 0:
                return ask(e, t, row, cls, pfn)
            if open_list_page(t.deferred, spare) != 0:
                return NO_MEMORY
            put(e.m, spare, e.list_page_class[e.m.cls[spare]])
            e.spare = -1
    if x.after != cls:
        e.m.count[cls] -= 1
        e.m.count[x.after] += 1
        e.m.cls[pfn] = x.after
        if x.freed:
            e.m.free += x.freed
            if x.freed > 0:
                freed(e.m, pfn)
    t.clock += x.ns
    t.hits[row * CLASSES + cls] += 1
    e.steps += 1
    if x.go >= 0:
        t.row = x.go
        return STEPPED
    return leave_page(t, pfn, x.effect)


cdef int chain(EngineState *e, Actor *t, int row, int cls, int64_t pfn, Chain *c) noexcept nogil:
    """What the steps from `row` on do to a page of class `cls` until it is left.

    STEPPED: they are all in the table; ASK: one is not known yet; BLOCKED: one cannot be tabled.
    """
    cdef Entry *x
    c.n = 0
    c.ns = 0
    c.effect = NOTHING
    c.freed = 0
    c.locks = False
    while c.n < CHAIN:
        if e.variant[row] >= 0:
            row = e.variant[row] + variant_of(e, t)
        x = &e.table[row * CLASSES + cls]
        if x.kind == UNKNOWN:
            return ask(e, t, row, cls, pfn)
        if x.kind == SLOW or (x.effect != NOTHING and c.effect != NOTHING):
            return BLOCKED
        c.row[c.n] = row
        c.cls[c.n] = cls
        c.n += 1
        c.lead = c.ns
        c.ns += x.ns
        c.freed += x.freed
        c.effect = c.effect or x.effect
        c.locks = c.locks or x.locks
        cls = x.after
        if x.go < 0:
            c.after = cls
            return STEPPED
        row = x.go
    return BLOCKED


cdef void settle(Actor *t) noexcept nogil:
    """Account for the chains done from the cache."""
    cdef Chain *c
    cdef int cls, i
    if t.cache == NULL:
        return
    for cls in range(CLASSES):
        c = &t.cache[cls]
        if c.known and c.uses:
            for i in range(c.n):
                t.hits[c.row[i] * CLASSES + c.cls[i]] += c.uses
            c.uses = 0


cdef void forget_chains(Actor *t) noexcept nogil:
    cdef int cls
    if t.cache != NULL:
        for cls in range(CLASSES + 1):
            t.cache[cls].known = False
            t.cache[cls].uses = 0


cdef inline void count_chain(EngineState *e, Actor *t, Chain *c, int64_t pages) noexcept nogil:
    """Account for a chain done on `pages` pages."""
    cdef int i
    for i in range(c.n):
        t.hits[c.row[i] * CLASSES + c.cls[i]] += pages
    e.m.count[c.cls[0]] -= pages
    e.m.count[c.after] += pages
    e.m.free += c.freed * pages
    e.steps += c.n * pages


cdef inline void repaint(EngineState *e, int64_t pfn, int64_t pages, bint down, int before, int after) noexcept nogil:
    """Give a run of pages, beginning at `pfn`, their new class; note the last ones freed."""
    cdef int64_t i
    if before == after:
        return
    memset(e.m.cls + (pfn - pages + 1 if down else pfn), after, pages)
    if e.m.holder[after] == 0 and e.m.holder[before] != 0:
        for i in range(max(0, pages - RECENT), pages):
            freed(e.m, pfn - i if down else pfn + i)


cdef inline int64_t that_begin_before(int64_t limit, int64_t clock, int64_t lead, int64_t ns) noexcept nogil:
    """How many repetitions of `ns` have their last step, `lead` after their beginning, begin before `limit`."""
    if clock + lead >= limit:
        return 0
    return FOREVER if ns == 0 else (limit - 1 - clock - lead) // ns + 1


cdef int64_t bulk(EngineState *e, Actor *t, int64_t limit, int64_t most) noexcept nogil:
    """Do the steps of up to `most` equal pages at once: only steps that begin before `limit`.

    Returns how many pages were done. 0: do a single step.
    """
    cdef Chain a, b
    cdef int64_t pfn, run, m, i
    cdef int cls
    cdef bint down = t.source == DOWNWARDS
    if t.working or t.k >= t.n or t.row != t.row0 or t.moved != NULL or t.source == AT_RANDOM or t.source == FROM_FREE:
        return 0
    if t.source == FROM_LIST:
        if list_page_done(t.deferred):
            return 0
        most = min(most, t.deferred.run_length[t.deferred.at_run] - t.deferred.at_pfn)
    if begin_page(t) != STEPPED:
        return 0
    most = min(most, t.n - t.k)
    pfn = position(e, t)
    cls = e.m.cls[pfn]
    if chain(e, t, t.row0, cls, pfn, &a) != STEPPED or a.effect == NEW_LIST:
        return 0
    if a.locks and t.lock != NULL and (t.lock.writer or t.lock.queued):
        return 0
    if a.effect == GATHERED:
        # whole batches only: gather, let the lock go, work the batch off
        if t.batch_n or most < t.batch or chain(e, t, t.row_each, a.after, pfn, &b) != STEPPED or b.effect:
            return 0
        m = that_begin_before(limit, t.clock, t.batch * a.ns + (t.batch - 1) * b.ns + b.lead, t.batch * (a.ns + b.ns))
        m = min(m, most // t.batch)
        if t.stop:
            m = min(m, 1)
        if m <= 0 or (t.lock != NULL and t.lock.queued):
            return 0
        run = (equal_run_down(e.m.cls + pfn, m * t.batch) if down else equal_run_up(e.m.cls + pfn, m * t.batch))
        m = run // t.batch
        if m == 0:
            return 0
        run = m * t.batch
        count_chain(e, t, &a, run)
        count_chain(e, t, &b, run)
        repaint(e, pfn, run, down, cls, b.after)
        t.clock += run * (a.ns + b.ns)
        if t.lock != NULL:
            t.locked = False
            let_go(t.lock, t.batch * a.ns)
            t.lock.taken += m - 1
        if t.stop:
            t.n = t.k + run
    else:
        m = min(that_begin_before(limit, t.clock, a.lead, a.ns), most)
        if a.effect == LISTED:
            m = min(m, t.deferred.room)
        if m <= 0:
            return 0
        run = equal_run_down(e.m.cls + pfn, m) if down else equal_run_up(e.m.cls + pfn, m)
        if a.effect == LISTED and push_run(t.deferred, pfn, run) != 0:
            return 0            # the single step will say so
        count_chain(e, t, &a, run)
        repaint(e, pfn, run, down, cls, a.after)
        t.clock += run * a.ns
    t.k += run
    t.done += run
    if t.source == FROM_LIST:
        take_from_list(t.deferred, run)
        if list_page_done(t.deferred):
            t.row = t.row_last
    return run


cdef inline void note_slope(EngineState *e, Actor *t, int cls) noexcept nogil:
    """The class that a task works on decides how fast everything changes: sample where it becomes another."""
    if cls != t.last_class:
        t.last_class = cls
        if e.sample_every != FOREVER:
            sample(e, now_of(e))


cdef int alone(EngineState *e, Actor *t, int64_t limit) noexcept nogil:
    """Run the only task in a loop until `limit`, as long as it meets runs of equal pages.

    BLOCKED: it met none. Else what the last step came back with.
    """
    cdef int64_t pfn, advanced, total = 0
    cdef int code = BLOCKED
    while t.clock < limit and total < BURST * 64:
        if not t.working and t.k + RECENT <= t.n and (t.source == UPWARDS or t.source == FROM_LIST):
            pfn = position(e, t)
            if pfn + RECENT <= e.m.pages and equal_run_up(e.m.cls + pfn, RECENT) == RECENT:
                note_slope(e, t, e.m.cls[pfn])
        advanced = bulk(e, t, limit, FOREVER)
        if advanced == 0:
            if not (t.batch_n or t.row != t.row0):
                break
            # in the middle of a page or a batch: to its end by single steps
            code = one_step(e, t)
            if code != STEPPED:
                return code
            advanced = 1
        code = STEPPED
        total += advanced
    return code


cdef struct Region:
    Actor *actor
    int64_t low, high       # the frames that it may touch, inclusive
    int64_t begin, length   # the entries that it may get to
    bint equal              # they are all of one class
    int64_t ends            # it gets to no other before


cdef int begin_region(Actor *t, Region *r) noexcept nogil:
    """The pages before a task that goes up or down; those of its batch, and the one at hand, are touched as well."""
    cdef int64_t i, k = t.k
    # the page at hand may be half done: then it is not one of those to come
    if not t.working and t.row != t.row0:
        k += 1
    r.actor = t
    r.length = min(<int64_t> WINDOW, t.n - k)
    r.begin = t.base + t.first + (t.n - 1 - k if t.source == DOWNWARDS else k)
    r.low = r.high = r.begin
    if k != t.k:
        i = r.begin + (1 if t.source == DOWNWARDS else -1)
        r.low, r.high = min(r.low, i), max(r.high, i)
    for i in range(t.batch_n):
        r.low = min(r.low, t.pages[i])
        r.high = max(r.high, t.pages[i])
    return STEPPED if r.length >= SHORT else BLOCKED


cdef void keep_apart(Region *a, Region *b) noexcept nogil:
    """Shorten the way before `a` so that it does not lead into `b`; both, if they go towards each other."""
    cdef int64_t gap
    cdef bint b_goes_down = b.actor.source == DOWNWARDS
    if a.actor.source == UPWARDS and a.low <= b.high and a.begin + a.length - 1 >= (
            b.begin - b.length + 1 if b_goes_down else b.low):
        gap = (b.begin - a.begin) // 2 if b_goes_down else b.low - a.begin
        a.length = min(a.length, gap)
        if b_goes_down:
            b.length = min(b.length, gap)
    elif a.actor.source == DOWNWARDS and b_goes_down and a.high >= b.low and a.begin - a.length + 1 <= b.high:
        a.length = min(a.length, a.begin - b.high)


cdef int time_region(EngineState *e, Region *r) noexcept nogil:
    """Make sure that all steps in a region are in the table, and find out how long it lasts at least."""
    cdef Actor *t = r.actor
    cdef Chain a, b
    cdef int64_t pfn, i, run, ns = 0, each = 0, most = 0
    cdef int64_t gather_ns[CLASSES]
    cdef int64_t each_ns[CLASSES]
    cdef int cls, code
    cdef bint down = t.source == DOWNWARDS
    run = equal_run_down(e.m.cls + r.begin, r.length) if down else equal_run_up(e.m.cls + r.begin, r.length)
    r.equal = run >= SHORT
    r.length = run if r.equal else min(r.length, <int64_t> MIXED)
    if not r.equal:
        memset(gather_ns, 0xff, sizeof(gather_ns))
    i = 0
    while i < r.length:
        pfn = r.begin - i if down else r.begin + i
        cls = e.m.cls[pfn]
        if r.equal or gather_ns[cls] < 0:
            code = chain(e, t, t.row0, cls, pfn, &a)
            if code != STEPPED:
                return code
            each_ns[cls] = 0
            if a.effect == GATHERED:
                code = chain(e, t, t.row_each, a.after, pfn, &b)
                if code != STEPPED:
                    return code
                each_ns[cls] = b.ns
                most = max(most, b.ns)
            elif a.effect != NOTHING:
                return BLOCKED
            gather_ns[cls] = a.ns
        if r.equal:
            ns, each = r.length * gather_ns[cls], r.length * each_ns[cls]
            break
        ns += gather_ns[cls]
        each += each_ns[cls]
        i += 1
    # the last batch need not have been worked off, when the walk gets to the end
    r.ends = t.clock + ns + max(<int64_t> 0, each - t.batch * most)
    for i in range(t.batch_i if t.working else 0, t.batch_n):
        pfn = t.pages[i]
        code = chain(e, t, t.row if t.working and i == t.batch_i else t.row_each, e.m.cls[pfn], pfn, &b)
        if code != STEPPED:
            return code
    if not t.working and t.row != t.row0:
        pfn = position(e, t)
        code = chain(e, t, t.row, e.m.cls[pfn], pfn, &b)
        if code != STEPPED:
            return code
    pfn = r.begin - r.length + 1 if down else r.begin + r.length - 1
    r.low, r.high = min(r.low, pfn), max(r.high, pfn)
    return STEPPED


cdef int peek(EngineState *e, Actor *t, Region *regions, int n) noexcept nogil:
    """Look at the page at hand of a task that goes about at random: is it known what happens there, and until when?"""
    cdef Chain *c
    cdef int64_t pfn
    cdef int cls, i, code
    t.peeked = NULL
    if t.k >= t.n:
        return STEPPED
    pfn = position(e, t)
    for i in range(n):
        if regions[i].low <= pfn <= regions[i].high:
            return STEPPED
    cls = e.m.cls[pfn]
    c = &t.cache[cls]
    if t.row != t.row0:
        c = &t.cache[CLASSES]
        c.known = False
    if not c.known:
        code = chain(e, t, t.row, cls, pfn, c)
        if code == ASK:
            return ASK
        if code != STEPPED or c.effect != NOTHING:
            return STEPPED
        c.known = t.row == t.row0
    t.peeked = c
    t.page_ends = t.clock + c.ns
    return STEPPED


cdef int do_page(EngineState *e, Actor *t) noexcept nogil:
    """Do the page that was peeked at."""
    cdef Chain *c = t.peeked
    cdef int cls
    if t.row != t.row0:
        while t.row != t.row0:
            if one_step(e, t) != STEPPED:
                return BROKEN
        return STEPPED
    c.uses += 1
    cls = c.cls[0]
    if c.after != cls:
        e.m.cls[t.pfn] = c.after
        e.m.count[cls] -= 1
        e.m.count[c.after] += 1
        if c.freed:
            e.m.free += c.freed
            if c.freed > 0:
                freed(e.m, t.pfn)
    e.steps += c.n
    t.clock += c.ns
    t.k += 1
    t.done += 1
    t.pfn = -1
    return STEPPED


cdef int roam(EngineState *e, Actor **actors, int n, Region *regions, int regions_n, int64_t *moment) noexcept nogil:
    """Let tasks that go about at random do whole pages, as long as nothing can happen before they are done.

    The page that ends first is done first: until then no other task leaves a page of which it is known what happens
    there, so none can do anything that another would notice. `moment` becomes the time until which that holds.
    """
    cdef Actor *first
    cdef int i, code
    cdef int64_t pages = 0
    for i in range(n):
        code = peek(e, actors[i], regions, regions_n)
        if code != STEPPED:
            return code
    while True:
        first = NULL
        for i in range(n):
            if actors[i].peeked == NULL:
                moment[0] = min(moment[0], actors[i].clock)
            elif first == NULL or actors[i].page_ends < first.page_ends:
                first = actors[i]
        if first == NULL or first.page_ends > moment[0]:
            return STEPPED
        if pages == BURST // 16:
            moment[0] = first.page_ends
            return STEPPED
        code = do_page(e, first)
        if code == STEPPED:
            code = peek(e, first, regions, regions_n)
        if code != STEPPED:
            return code
        pages += 1


cdef int window(EngineState *e, int64_t limit) noexcept nogil:
    """Let tasks that cannot meet run ahead one after the other, none beyond a common moment.

    No two may reach the same page before that moment, and nothing but known steps may happen until then: then their
    steps commute, and running them task by task gives what running them by the clock would give.
    Returns STEPPED (they ran), ASK (a step must be learned first) or BLOCKED (not possible here).
    """
    cdef Region regions[TASKS]
    cdef Actor *roaming[TASKS]
    cdef Actor *t
    cdef int n = 0, roaming_n = 0, i, j, code
    cdef int64_t moment = limit, steps = e.steps
    for i in range(e.ring_n):
        t = e.ring[i]
        if t.state != LOOPING:
            continue
        if (t.moved != NULL or t.source > AT_RANDOM or e.variant[t.row0] >= 0 or t.stop or t.clock >= limit
                or (t.lock != NULL and (t.lock.writer or t.lock.queued))):
            return BLOCKED
        if t.source == AT_RANDOM:
            for j in range(roaming_n):
                if t.base + t.first < roaming[j].base + roaming[j].first + roaming[j].n and (
                        roaming[j].base + roaming[j].first < t.base + t.first + t.n):
                    return BLOCKED
            roaming[roaming_n] = t
            roaming_n += 1
        else:
            if begin_region(t, &regions[n]) != STEPPED:
                return BLOCKED
            n += 1
    for i in range(n):
        for j in range(n):
            if i != j:
                keep_apart(&regions[i], &regions[j])
    for i in range(n):
        if regions[i].length < SHORT:
            return BLOCKED
        code = time_region(e, &regions[i])
        if code != STEPPED:
            return code
        moment = min(moment, regions[i].ends)
    for i in range(n):
        for j in range(i):
            if regions[i].low <= regions[j].high and regions[j].low <= regions[i].high:
                return BLOCKED
    for i in range(n):
        if regions[i].equal:
            note_slope(e, regions[i].actor, e.m.cls[regions[i].begin])
    if roaming_n:
        code = roam(e, roaming, roaming_n, regions, n, &moment)
        if code != STEPPED:
            return code
    for i in range(n):
        t = regions[i].actor
        while t.clock < moment:
            if (not regions[i].equal or bulk(e, t, moment, FOREVER) == 0) and one_step(e, t) != STEPPED:
                return BROKEN       # all that it may meet was looked up above
    return STEPPED if e.steps != steps else BLOCKED


cdef int burst(EngineState *e, bint windows) noexcept nogil:
    """Run until Python is needed, or for a while."""
    cdef Actor *t
    cdef Actor *best
    cdef int64_t limit, left = BURST, patience = 0, tries = 256, awake
    cdef int limit_index, i, code, looping
    while left > 0:
        best = NULL
        limit = awake = FOREVER
        limit_index = TASKS * 2
        looping = 0
        for i in range(e.ring_n):
            t = e.ring[i]
            if t.state == ASLEEP:
                continue
            if t.state == LOOPING:
                looping += 1
            elif t.clock < awake:
                awake = t.clock
            if best == NULL or t.clock < best.clock:
                if best != NULL:
                    limit = best.clock
                    limit_index = best.index
                best = t
            elif t.clock < limit:
                limit = t.clock
                limit_index = t.index
        if best == NULL:
            return IDLE
        e.who = best
        if best.clock >= e.sample_next:
            sample(e, best.clock)
            e.sample_next = best.clock + e.sample_every
        if best.state == AWAKE:
            return RESUME
        if windows and patience <= 0:
            code = alone(e, best, awake) if looping == 1 and best.source != AT_RANDOM else window(e, awake)
            if code == STEPPED:
                left -= BURST // 64
                tries = 256
                continue
            if code != BLOCKED:
                return code
            patience = tries
            tries = min(2 * tries, 1 << 14)
        while True:
            code = one_step(e, best)
            left -= 1
            patience -= 1
            if code != STEPPED:
                return code
            if best.clock > limit or (best.clock == limit and best.index > limit_index) or left <= 0:
                break
            if best.clock >= e.sample_next or (looping == 1 and patience <= 0):
                break
    return PAUSE


cdef class Engine:
    """Runs tasks in virtual time over one memory.

    Parameters
    ----------
    memory : Memory
    tabled : bool
        Learn steps and repeat them from the table. False: run each in Python.
    windows : bool
        Step runs of equal pages together, and let tasks that cannot meet run ahead one after the other. False: always
        one page step at a time, in the order of the clocks. The results are the same.
    reserve : int
        Free pages that an atomic allocation may not touch.

    Notes
    -----
    The task whose clock is furthest behind acts next, of equals the one created first. A step happens at the
    moment it begins; its time passes afterwards.
    """

    cdef EngineState s
    cdef readonly Memory memory
    cdef readonly bint tabled
    cdef readonly bint windows
    cdef readonly list tasks
    cdef list live
    cdef list steps             # row -> step
    cdef dict rows              # step -> row
    cdef dict entry_calls       # row * CLASSES + class -> ((command, outcome), times), ...
    cdef int64_t context
    cdef readonly Task current
    cdef int64_t pending
    cdef dict list_page_fields
    cdef object gathered
    cdef bint leaving
    cdef int64_t left_at
    cdef public object progress

    def __cinit__(self, Memory memory, bint tabled=True, bint windows=True, int64_t reserve=0):
        self.memory = memory
        self.tabled, self.windows = tabled, windows
        self.tasks, self.live, self.steps = [], [], []
        self.rows, self.entry_calls = {}, {}
        self.context = memory.context
        self.s.m = &memory.s
        self.s.reserve = reserve
        self.s.spare = -1
        self.s.sample_every = self.s.sample_next = FOREVER
        memset(self.s.variant, 0xff, sizeof(self.s.variant))
        memset(self.s.list_page_class, 0xff, sizeof(self.s.list_page_class))
        self.s.table = <Entry *> calloc(ROWS * CLASSES, sizeof(Entry))
        if self.s.table == NULL:
            raise MemoryError("no memory for the table of steps")

    def __dealloc__(self):
        free(self.s.table)
        free(self.s.samples)

    # -- what steps and generators call -------------------------------------------------------------------------

    @property
    def now(self):
        """Nanoseconds of virtual time, as the task that acts sees it."""
        if self.memory.scratch is not None:
            raise NotTabled("a step that looks at the clock")
        return (self.current.a.clock if self.current is not None else self.left_at) + self.pending

    def charge(self, ns):
        """Let `ns` nanoseconds pass for the task that acts."""
        if ns < 0:
            raise ValueError(f"ns={ns}: time does not run backwards")
        if self.memory.scratch is not None:
            self.memory.recording.ns += ns
        else:
            self.pending += ns

    def called(self, command, outcome, ns):
        """Account for an Ultravisor call of the task that acts (an `Ultravisor` observer)."""
        self.charge(ns)
        if self.memory.scratch is not None:
            self.memory.recording.calls[command, outcome] += 1
        elif self.current is not None:
            self.current.calls[command, outcome] += 1

    def gather(self, page):
        """Put a page into the batch of the walk that acts."""
        if self.memory.scratch is not None:
            self.memory.recording.note(GATHERED, page.pfn)
        else:
            self.gathered = page

    def read_lock(self, Lock lock):
        """Take and let go `lock` for reading within a page step, which must call this before it does anything.

        Raises
        ------
        WouldBlock
            If it is not to be had: the engine has the task wait, and does the step again.
        """
        if self.memory.scratch is not None:
            self.memory.recording.locks = True
        elif lock.s.writer or lock.s.queued:
            raise WouldBlock(lock)

    def allocate_list_page(self, **fields):
        """Take a free frame, unless that would go below the reserve: a page with `fields` set, or None."""
        memory = self.memory
        if memory.low(self.s.reserve):
            return None
        if memory.scratch is not None:
            if memory.scratch_free > 0:
                raise NotTabled("a step that frees a page and allocates one")
            memory.recording.list_page = fields
            return _ListPage()
        pfn = self.s.spare if self.s.spare >= 0 and memory.s.holder[memory.s.cls[self.s.spare]] == 0 else (
            find_free(&memory.s))
        self.s.spare = -1
        page = memory.page(pfn)
        page.update(**fields)
        return page

    def leave_loop(self):
        """End the loop of the task that acts after this page; its generator is sent None."""
        if self.memory.scratch is not None:
            raise NotTabled("a step that ends its loop")
        self.leaving = True

    @property
    def reserve(self):
        """Free pages that an atomic allocation may not touch."""
        return self.s.reserve

    # -- tasks -------------------------------------------------------------------------------------------------

    def spawn(self, generator, name, clock=None):
        """Start a task. Its clock starts at that of the task that acts, or at `clock`."""
        if self.memory.scratch is not None:
            raise NotTabled("a step that starts a task")
        self.prune()
        if len(self.live) >= TASKS:
            raise OverflowError(f"more than {TASKS} tasks at once")
        cdef Task task = Task()
        task.name = name
        task.generator = generator
        task.calls = Counter()
        task.history = []
        task.holds = {}
        task.finished = Signal()
        task.a.clock = self.now if clock is None else clock
        task.a.index = len(self.tasks)
        task.a.state = AWAKE
        self.tasks.append(task)
        self.live.append(task)
        self.make_ring()
        return task

    cdef prune(self):
        self.live = [task for task in self.live if (<Task> task).a.state != DONE]

    cdef make_ring(self):
        cdef int i
        for i, task in enumerate(self.live):
            self.s.ring[i] = &(<Task> task).a
        self.s.ring_n = len(self.live)

    def doing(self, activity):
        """Note what the task that acts does from now on."""
        self.current.history.append((self.now, activity, self.current.a.done))

    def set(self, Signal signal):
        """Wake all tasks that wait for `signal`; who yields it later does not wait."""
        if self.memory.scratch is not None:
            raise NotTabled("a step that wakes a task")
        signal.is_set = True
        for task in signal.waiting:
            self.wake(task, self.now)
        signal.waiting.clear()

    cdef wake(self, Task task, int64_t clock):
        task.a.state = LOOPING if task.retry else AWAKE
        task.retry = False
        task.a.clock = max(task.a.clock, clock)

    def release(self, Lock lock):
        """The task that acts lets go of a lock that it took by yielding a request."""
        since = self.current.holds.pop(lock)
        if lock.s.writer:
            lock.s.writer = False
            if self.now - since > lock.s.longest_hold:
                lock.s.longest_hold = self.now - since
        else:
            let_go(&lock.s, self.now - since)
        self.hand_over(lock, self.now)

    cdef hand_over(self, Lock lock, int64_t clock):
        """Give a lock to those who wait for it, in order."""
        cdef Task task
        while lock.queue:
            task, write = lock.queue[0]
            if task.retry:
                # it will take the lock itself, at its next step
                if lock.s.writer:
                    break
            elif not lock.take(write):
                break
            lock.queue.popleft()
            if not task.retry:
                task.holds[lock] = clock
            lock.longest_wait = max(lock.longest_wait, clock - task.asleep_since)
            task.history.append((clock, None, task.a.done))
            self.wake(task, clock)
            if write:
                break
        lock.s.queued = len(lock.queue) > 0

    cdef sleep_for(self, Task task, Lock lock, bint write, bint retry):
        task.a.state = ASLEEP
        task.retry = retry
        task.asleep_since = task.a.clock
        task.history.append((task.a.clock, f"waits for {lock.name}", task.a.done))
        lock.queue.append((task, write))
        lock.s.queued = True

    # -- learning ----------------------------------------------------------------------------------------------

    cdef int row_of(self, function, bint guest=True) except -1:
        """The row of a step; a new one if it was not seen before. `guest`: it takes the guest address, too."""
        function = (*_as_step(function), guest)
        found = self.rows.get(function)
        if found is not None:
            return found
        if len(self.steps) >= ROWS - VARIANTS:
            raise OverflowError("too many different page steps at once")
        row = len(self.steps)
        self.steps.append(function)
        self.rows[function] = row
        return row

    cdef collect(self):
        """Turn counted table steps into counted calls."""
        cdef int i
        cdef Task task
        for task in self.live:
            settle(&task.a)
            for key, calls in self.entry_calls.items():
                i = key
                if task.a.hits[i]:
                    for call, times in calls:
                        task.calls[call] += times * <int64_t> task.a.hits[i]
                    task.a.hits[i] = 0

    cdef forget(self):
        """Drop the table: something that steps may depend on has changed."""
        cdef Task task
        self.collect()
        memset(self.s.table, 0, len(self.steps) * CLASSES * sizeof(Entry))
        for task in self.live:
            memset(task.a.hits, 0, len(self.steps) * CLASSES * sizeof(uint64_t))
            task.a.last_class = -1
            forget_chains(&task.a)
        self.entry_calls.clear()
        memset(self.s.list_page_class, 0xff, sizeof(self.s.list_page_class))
        self.context = self.memory.context
        if len(self.steps) > ROWS // 2:
            self.renumber()
        for task in self.live:
            if task.loop is not None and task.loop.stop is not None:
                task.a.stop = bool(task.loop.stop())

    cdef renumber(self):
        """Give away the rows of steps that no loop is in."""
        cdef Task task
        old = self.steps
        memset(self.s.variant, 0xff, sizeof(self.s.variant))
        self.steps, self.rows = [], {}
        for task in self.live:
            if task.loop is not None:
                task.a.row = self.row_of(old[task.a.row][:2], old[task.a.row][2])
                task.a.row0 = self.row_of(old[task.a.row0][:2], old[task.a.row0][2])
                task.a.row_each = self.row_of(old[task.a.row_each][:2], old[task.a.row_each][2])
                task.a.row_last = self.row_of(old[task.a.row_last][:2], old[task.a.row_last][2])

    cdef call_step(self, int row, int64_t pfn, Task task):
        """Run a step's function in Python."""
        cdef int64_t g
        function, arguments, guest = self.steps[row]
        page = Page(self.memory, pfn)
        if not guest:
            return function(*arguments, page)
        if task.a.moved == NULL:
            g = pfn - task.a.base
        elif task.a.source == UPWARDS:
            g = task.a.first + task.a.k
        elif task.a.source == DOWNWARDS:
            g = task.a.first + task.a.n - 1 - task.a.k
        else:
            g = task.a.first + permuted(&task.a, task.a.k)
        return function(*arguments, page, g << 12)

    cdef bint takes_guest_address(self, int row):
        return self.steps[row][2]

    cdef learn(self, int row, int cls, int64_t pfn, Task task):
        """Run a step on a scratch copy of a page of class `cls`, and table what it did."""
        cdef Memory memory = self.memory
        cdef Entry *x
        cdef Recording recording = Recording(pfn)
        cdef int base = row
        before = memory.records_[cls]
        memory.scratch = {pfn: before}
        memory.scratch_free = 0
        memory.recording = recording
        following = None
        try:
            following = self.call_step(row, pfn, task)
            slow = False
        except Exception:
            # whatever it is, it happens again where it belongs: on the real page
            slow = True
        finally:
            after = memory.scratch[pfn]
            change = memory.scratch_free
            memory.scratch = None
            memory.recording = None
        if recording.guarded and self.s.variant[row] < 0 and row not in self.variant_rows():
            self.s.variant[row] = len(self.steps)
            for _ in range(VARIANTS):
                self.steps.append(self.steps[row])
            return
        x = &self.s.table[row * CLASSES + cls]
        if slow:
            x.kind = SLOW
            return
        x.kind = TABLED
        x.ns = recording.ns
        x.after = memory.class_of(after)
        x.go = -1 if following is None else self.row_of(following, self.takes_guest_address(row))
        x.effect = recording.effect
        x.freed = change
        x.locks = recording.locks
        if recording.list_page is not None:
            self.list_page_fields = recording.list_page
        if recording.calls:
            self.entry_calls[row * CLASSES + cls] = tuple(recording.calls.items())

    cdef variant_rows(self):
        cdef int row, i
        return {self.s.variant[row] + i for row in range(len(self.steps)) if self.s.variant[row] >= 0
                for i in range(VARIANTS)}

    cdef answer(self):
        """The inner loop met a step that the table does not have: learn it, or run it in Python."""
        cdef Task task = self.task_of(self.s.who)
        cdef Entry *x = &self.s.table[self.s.ask_row * CLASSES + self.s.ask_class]
        cdef int64_t spare = self.s.spare
        cdef int cls
        if x.kind == UNKNOWN and self.tabled:
            self.learn(self.s.ask_row, self.s.ask_class, self.s.ask_pfn, task)
        elif x.kind == TABLED and spare >= 0 and self.s.list_page_class[self.memory.s.cls[spare]] < 0:
            cls = self.memory.s.cls[spare]
            record = self.memory.records_[cls]
            self.s.list_page_class[cls] = self.memory.class_of(record._replace(**self.list_page_fields))
        else:
            self.run_step(task)

    cdef Task task_of(self, Actor *actor):
        return self.tasks[actor.index]

    cdef run_step(self, Task task):
        """One page step in Python."""
        cdef int64_t pfn = position(&self.s, &task.a)
        cdef int effect = NOTHING
        self.current = task
        self.pending = 0
        self.gathered = None
        self.leaving = False
        try:
            following = self.call_step(task.a.row, pfn, task)
        except WouldBlock as block:
            self.sleep_for(task, block.lock, False, True)
            return
        finally:
            task.a.clock += self.pending
            self.left_at = task.a.clock
            self.pending = 0
            self.current = None
        self.s.steps += 1
        if task.a.state == DONE:
            return
        if self.leaving:
            self.finish_loop(task, True)
            return
        if following is not None:
            task.a.row = self.row_of(following, self.takes_guest_address(task.a.row))
            return
        if self.gathered is not None:
            effect = GATHERED
        if leave_page(&task.a, pfn, effect) == RELEASED:
            self.hand_over(task.loop.lock, task.a.clock)

    # -- running -----------------------------------------------------------------------------------------------

    cdef enter(self, Task task, Loop loop):
        """Begin a loop."""
        cdef Actor *a = &task.a
        cdef int i
        task.loop = loop
        settle(a)
        forget_chains(a)
        a.state = LOOPING
        a.source, a.first, a.n, a.k = loop.source, loop.first, loop.n, 0
        a.row0 = a.row = a.row_each = a.row_last = self.row_of(loop.step, loop.table is not None)
        a.batch, a.batch_n, a.batch_i = loop.batch, 0, 0
        a.locked = a.working = a.stop = False
        a.pfn = -1
        a.last_class = -1
        a.lock = &loop.lock.s if loop.lock is not None else NULL
        a.deferred = &loop.deferred.s if loop.deferred is not None else NULL
        if loop.table is not None:
            a.base, a.moved = loop.table.base, loop.table.moved
        else:
            a.moved = NULL
        if loop.each is not None:
            a.row_each = self.row_of(loop.each, False)
            free(a.pages)
            a.pages = <int64_t *> malloc(loop.batch * sizeof(int64_t))
            if a.pages == NULL:
                raise MemoryError("no memory for a batch")
        if loop.stop is not None:
            a.stop = bool(loop.stop())
        if loop.source == FROM_LIST:
            a.row_last = self.row_of(loop.last, False)
            if a.n and list_page_done(a.deferred):
                a.row = a.row_last
        elif loop.source == FROM_FREE:
            a.pace_start, a.rate = a.clock, loop.rate
        elif loop.source == AT_RANDOM:
            a.key0, a.key1 = mix(loop.seed), mix(loop.seed + 1)
            a.mask = 1
            while a.mask + 1 < <uint64_t> a.n:
                a.mask = 2 * a.mask + 1
            a.shift = max(1, int(a.mask).bit_length() // 2)
            for i in range(AHEAD):
                look_ahead(&self.memory.s, a, i)
            if a.cache == NULL:
                a.cache = <Chain *> calloc(CLASSES + 1, sizeof(Chain))
                if a.cache == NULL:
                    raise MemoryError("no memory for a loop")

    cdef finish_loop(self, Task task, bint exhausted=False):
        """A loop has come to its end: the generator is resumed with the number of pages done."""
        cdef Loop loop = task.loop
        task.send = None if exhausted else task.a.k
        task.a.state = AWAKE
        task.loop = None
        if task.a.locked:
            task.a.locked = False
            let_go(task.a.lock, task.a.clock - task.a.locked_since)
            self.hand_over(loop.lock, task.a.clock)

    cdef resume(self, Task task):
        """Let a generator run to its next waiting point."""
        cdef Signal signal
        cdef Lock lock
        self.current = task
        self.pending = 0
        send, task.send = task.send, None
        try:
            request = task.generator.send(send)
        except StopIteration as stop:
            task.value = stop.value
            task.a.clock += self.pending
            self.pending = 0
            task.history.append((task.a.clock, None, task.a.done))
            self.end(task)
            return
        finally:
            task.a.clock += self.pending
            self.pending = 0
            self.left_at = task.a.clock
            self.current = None
        if task.a.state == DONE:
            return
        if request is None:
            pass
        elif isinstance(request, Loop):
            self.enter(task, request)
        elif isinstance(request, int):
            if request < 0:
                raise ValueError(f"{task.name} yielded {request}: time does not run backwards")
            task.a.clock += request
        elif isinstance(request, Signal):
            signal = request
            if not signal.is_set:
                task.a.state = ASLEEP
                signal.waiting.append(task)
        elif isinstance(request, tuple):
            lock, write = request
            if not lock.queue and lock.take(write):
                task.holds[lock] = task.a.clock
            else:
                self.sleep_for(task, lock, write, False)
        else:
            raise TypeError(f"{task.name} yielded {request!r}: a loop, nanoseconds, a lock request or a signal")

    cdef end(self, Task task):
        self.collect()
        task.a.state = DONE
        task.loop = None
        free(task.a.hits)
        task.a.hits = NULL
        self.current = task
        self.set(task.finished)
        self.current = None
        self.prune()
        self.make_ring()

    def kill(self, Task task):
        """End a task where it stands. It lets go of its locks."""
        if self.memory.scratch is not None:
            raise NotTabled("a step that ends a task")
        cdef Lock lock
        if task.a.state == DONE:
            return
        if task.a.locked:
            task.a.locked = False
            let_go(task.a.lock, task.a.clock - task.a.locked_since)
            self.hand_over(task.loop.lock, task.a.clock)
        for lock, since in list(task.holds.items()):
            if lock.s.writer:
                lock.s.writer = False
            else:
                let_go(&lock.s, task.a.clock - since)
            self.hand_over(lock, task.a.clock)
        task.holds.clear()
        saved, pending = self.current, self.pending
        task.generator.close()
        task.history.append((max(task.a.clock, self.now), None, task.a.done))
        self.end(task)
        self.current, self.pending = saved, pending

    cdef handle(self, int code):
        """Do what the inner loop could not."""
        cdef Task task = self.task_of(self.s.who)
        if code == RESUME:
            self.resume(task)
        elif code == NO_MEMORY:
            raise MemoryError("no memory for the deferred list")
        elif code == BROKEN:
            raise RuntimeError("tasks that were thought apart have met: please report this, with the line that made it")
        elif code == ASK:
            self.answer()
        elif code == FINISHED:
            self.finish_loop(task)
        elif code == EXHAUSTED:
            self.finish_loop(task, True)
        elif code == BLOCKED:
            self.sleep_for(task, task.loop.lock, False, True)
        elif code == RELEASED:
            self.hand_over(task.loop.lock, task.a.clock)
        if self.memory.context != self.context:
            self.forget()

    def run(self, until=None):
        """Run until no task is left, or until ``until()`` is true; it is asked between page loops.

        Raises
        ------
        Deadlock
            If tasks are left and none can run.
        """
        cdef int code
        if self.memory.context != self.context:
            self.forget()
        self.make_ring()
        while until is None or not until():
            with nogil:
                code = burst(&self.s, self.windows)
            if code == IDLE:
                if self.live:
                    raise Deadlock("nothing can run: " + ", ".join(
                        f"{task.name} waits" for task in self.live))
                break
            if code == PAUSE:
                PyErr_CheckSignals()
                if self.progress is not None:
                    self.progress(self)
            else:
                self.handle(code)
        self.collect()

    def step(self, Task task=None):
        """Let `task`, or the one furthest behind, do one step: resume it, or one page step. Returns the task.

        A page step is run in Python, so that nothing is hidden in a table.
        """
        cdef Actor *a = NULL
        cdef int i, code
        if self.memory.context != self.context:
            self.forget()
        self.make_ring()
        if task is None:
            for i in range(self.s.ring_n):
                if self.s.ring[i].state != ASLEEP and (a == NULL or self.s.ring[i].clock < a.clock):
                    a = self.s.ring[i]
            if a == NULL:
                return None
            task = self.task_of(a)
        if task.a.state == ASLEEP or task.a.state == DONE:
            raise ValueError(f"{task.name} cannot act: it {'waits' if task.asleep else 'is done'}")
        self.s.who = &task.a
        if task.a.state == AWAKE:
            self.handle(RESUME)
            return task
        code = begin_page(&task.a)
        if code == STEPPED and position(&self.s, &task.a) < 0:
            code = EXHAUSTED
        if code == STEPPED:
            self.run_step(task)
        else:
            self.handle(code)
        if self.memory.context != self.context:
            self.forget()
        return task

    # -- what is known afterwards ------------------------------------------------------------------------------

    def calls(self):
        """All Ultravisor calls made so far, by (command, outcome)."""
        self.collect()
        total = Counter()
        for task in self.tasks:
            total += task.calls
        return total

    @property
    def steps_done(self):
        """How many page steps have been done."""
        return self.s.steps

    def sample_every(self, ns):
        """Begin to note memory and progress, at least every `ns` nanoseconds where things change page by page."""
        if ns < 1:
            raise ValueError(f"ns={ns}: samples are at least one nanosecond apart")
        if self.s.samples == NULL:
            self.s.samples = <int64_t *> malloc(SAMPLES * WIDTH * sizeof(int64_t))
            if self.s.samples == NULL:
                raise MemoryError("no memory for the samples")
        self.s.sample_every = ns
        self.s.sample_next = self.now

    def sample_now(self):
        """Note memory and progress at the present moment; once no task is left, at the end of the last one."""
        if self.s.sample_every != FOREVER:
            sample(&self.s, self.now if self.live else max(task.clock for task in self.tasks))

    def samples(self):
        """What was noted: int64, one row a sample.

        Columns: time, pages by holder (six), not yet clean, charged, then pages done by the first tasks.
        """
        if self.s.sample_n == 0:
            return np.zeros((0, WIDTH), np.int64)
        return np.asarray(<int64_t[:self.s.sample_n, :WIDTH]> self.s.samples).copy()
