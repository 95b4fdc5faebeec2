# Page frames, guest page tables, deferred lists. Included by _core.pyx.

from weakref import WeakSet


cdef refused(str name, value, str accepted):
    """The error for a parameter's value, in the words of `lazydestroy.units`."""
    from .units import shown
    return ValueError(f"{name}={shown(value)}: use {accepted}")


cdef outside(str name, value, str why):
    """The error for the number of a page that is not there."""
    from .units import shown
    return IndexError(f"{name}={shown(value)}: {why}")


cdef int64_t whole(value, str name, str accepted) except? -1:
    """The whole number that a value is. Neither text nor a float is one."""
    cdef int too_long = 0
    cdef int64_t number
    if type(value) is int:
        number = PyLong_AsLongLongAndOverflow(value, &too_long)
        return too_long * (LATEST + 1) if too_long else number      # more than there is of anything here
    return whole_of_another_kind(value, name, accepted)


cdef int64_t whole_of_another_kind(value, str name, str accepted) except? -1:
    try:
        return PyNumber_Index(value)
    except Exception:   # its __index__ may be somebody's own
        raise refused(name, value, accepted) from None


cdef dict FEW = {
    **{name: frozenset(kind) for name, kind in (("state", State), ("content", Content), ("holder", Holder))},
    **{name: frozenset((False, True)) for name in ("pinned", "arch_1", "charged")},
}
"""Fields of a record that have a few values only."""


cdef object RECORD = Record     # found sooner than the name


cdef int expect_record(record) except -1:
    if not isinstance(record, RECORD):
        raise refused("record", record, "a Record, such as memory.record(pfn)._replace(refs=1)")
    return 0


cdef expect_fields(record):
    """Refuse a record that no page can have: it would be counted where nothing is."""
    expect_record(record)
    for name, values in FEW.items():
        if getattr(record, name) not in values:
            raise refused(name, getattr(record, name), " or ".join(map(str, sorted(values))))


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
    m.cleaned = m.cleaned or (m.unclean[before] and not m.unclean[cls])
    if m.holder[cls] == 0 and m.holder[before] != 0:
        m.free += 1
        freed(m, pfn)
    elif m.holder[cls] != 0 and m.holder[before] == 0:
        m.free -= 1


cdef int64_t repaint_range(
    MemoryState *m, int64_t first, int64_t last, const int *becomes, bint alike
) noexcept nogil:
    """Give all frames from `first` up to `last` the class that `becomes` has for theirs; how many have another one.

    If it is known that they are `alike`, they are not looked through.
    """
    cdef int64_t pfn = first, changed = 0, run
    cdef int before, after
    while pfn < last:
        before = m.cls[pfn]
        after = becomes[before]
        run = last - pfn if alike else equal_run_up(m.cls + pfn, last - pfn)
        if after != before:
            memset(m.cls + pfn, after, run)
            m.count[before] -= run
            m.count[after] += run
            if m.holder[before] != 0 and m.holder[after] == 0:
                m.free += run
            elif m.holder[before] == 0 and m.holder[after] != 0:
                m.free -= run
            changed += run
        pfn += run
    return changed


cdef int64_t next_free(MemoryState *m, uint32_t *recent_at, int64_t *cursor) noexcept nogil:
    """A free frame: one of those freed last, else the next one upwards. -1 if there is none.

    `recent_at` and `cursor` become where the next search shall begin.
    """
    cdef int64_t pfn
    cdef int _i
    if m.free <= 0:
        return -1
    for _i in range(RECENT):
        pfn = m.recent[(recent_at[0] - 1) % RECENT]
        if pfn < 0:
            break
        recent_at[0] -= 1
        if m.holder[m.cls[pfn]] == 0:
            return pfn
    while True:
        if cursor[0] >= m.pages:
            cursor[0] = 0
        if m.holder[m.cls[cursor[0]]] == 0:
            cursor[0] += 1
            return cursor[0] - 1
        cursor[0] += equal_run_up(m.cls + cursor[0], m.pages - cursor[0])


cdef int64_t find_free(MemoryState *m) noexcept nogil:
    """Find the free frame that is handed out next. -1 if there is none."""
    cdef uint32_t recent_at = m.recent_at
    cdef int64_t pfn = next_free(m, &recent_at, &m.cursor)
    while m.recent_at != recent_at:
        m.recent_at -= 1
        m.recent[m.recent_at % RECENT] = -1
    return pfn


cdef int64_t peek_free(MemoryState *m) noexcept nogil:
    """The frame that `find_free` will give next. -1 if there is none."""
    cdef uint32_t recent_at = m.recent_at
    cdef int64_t cursor = m.cursor
    return next_free(m, &recent_at, &cursor)


# What the last memory kept its records in, for the next one: to get as much from the operating system takes longer than
# a run does. 64 MiB at most.
cdef uint8_t *spare_records = NULL
cdef int64_t spare_pages = 0


cdef uint8_t *records_for(int64_t pages):
    """Records of free pages full of zeros; NULL if there is no memory for them."""
    global spare_records, spare_pages
    cdef uint8_t *records = spare_records
    if records != NULL and pages <= spare_pages <= 4 * pages:
        spare_records = NULL
        memset(records, 0, pages)
        return records
    if spare_pages < pages:
        free(spare_records)
        spare_records = NULL
    records = <uint8_t *> calloc(pages, 1)
    if records != NULL:
        advise_huge_pages(records, pages)
    return records


cdef void give_back(uint8_t *records, int64_t pages):
    """Keep them for the next memory, or give them back to the operating system."""
    global spare_records, spare_pages
    if records == NULL:
        return
    if pages > SPARE_MAX or (spare_records != NULL and spare_pages >= pages):
        free(records)
        return
    free(spare_records)
    spare_records, spare_pages = records, pages


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

    The loops over pages run without the GIL. So while a thread is in one of them, or in a step that an engine runs, all
    others are refused with a RuntimeError: here, and by the tables, lists, engines and tasks of this memory.

    Attributes
    ----------
    touched : object or None
        Is told of every record that Python reads or writes: ``look(pfn, record)`` returns what the reader gets,
        ``put(pfn, record)`` what is written, and ``whole(those)`` is given the numbers of several frames; or the
        function, if all frames are changed by one (see `change`). Such an object is `series.fields.Touched`.
    """

    cdef MemoryState s
    cdef readonly int64_t pages
    cdef list records_
    cdef list generations       # what the numbers of classes stood for, each time before some were given away
    cdef dict classes
    cdef dict scratch
    cdef int64_t scratch_free
    cdef _Recording recording
    cdef set wanted             # classes that are about to get pages
    cdef readonly int64_t context
    cdef public object touched
    cdef int64_t moves          # how often an entry of a table was changed
    cdef frozenset old_
    cdef object tables          # those that have entries here, as long as somebody keeps them
    cdef int inside             # how many of the functions that must not be disturbed are under way
    cdef unsigned long thread   # which is in them

    def __cinit__(self, int64_t pages):
        if pages < 1:
            raise ValueError(f"pages={pages}: a memory needs at least one page")
        self.s.cls = records_for(pages)
        if self.s.cls == NULL:
            raise MemoryError(f"no memory for the records of {pages} pages")
        self.pages = pages
        self.s.pages = pages
        self.records_ = [None] * CLASSES
        self.generations = []
        self.classes = {}
        self.old_ = frozenset()
        self.wanted = set()
        self.tables = WeakSet()
        self.s.cursor = 0
        self.class_of(Record())
        self.s.count[0] = pages
        self.s.free = pages
        for i in range(RECENT):
            self.s.recent[i] = -1

    def __dealloc__(self):
        give_back(self.s.cls, self.pages)

    def __len__(self):
        return self.pages

    cdef int mine(self) except -1:
        """Refuse every thread but the one that is inside."""
        if self.inside and self.thread != PyThread_get_thread_ident():
            raise RuntimeError(
                "another thread is running this machine: wait for it, or give each thread its own machine")
        return 0

    cdef int enter(self) except -1:
        """Begin something that no other thread may disturb; `leave` must follow."""
        self.mine()
        if self.s.cls == NULL:
            raise RuntimeError("this memory has been closed: make a new machine")
        self.thread = PyThread_get_thread_ident()
        self.inside += 1
        return 0

    cdef void leave(self) noexcept:
        self.inside -= 1

    def close(self):
        """Give the memory of the records back at once; there are no pages any more.

        Raises
        ------
        RuntimeError
            If it is in use: by a run that is under way, in this thread or another one.
        """
        self.mine()
        if self.inside:
            raise RuntimeError("this memory is in use: close it when the run has come to its end")
        give_back(self.s.cls, self.pages)
        self.s.cls = NULL
        self.pages = self.s.pages = self.s.free = 0
        memset(self.s.count, 0, sizeof(self.s.count))

    @property
    def free(self):
        """Number of free pages."""
        self.mine()
        self.needs_guard()
        return self.s.free

    @property
    def old(self):
        """Handles of the configurations whose pages count as not yet clean."""
        return self.old_

    @old.setter
    def old(self, handles):
        self.mine()
        self.old_ = frozenset(handles)
        for record, cls in self.classes.items():
            self.classify(record, cls)

    cdef classify(self, record, int cls):
        self.s.holder[cls] = record.holder
        self.s.charged[cls] = record.charged
        held = record.state in (State.SECURE, State.SHARED)
        in_use = record.holder in (Holder.MAPPED, Holder.SET_ASIDE)
        self.s.unclean[cls] = record.owner in self.old_ and held and in_use

    cdef int class_of(self, record) except -1:
        found = self.classes.get(record)
        if found is not None:
            return found
        expect_fields(record)
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
        self.generations.append(self.records_[:])
        self.s.generation += 1
        for cls in range(1, CLASSES):
            if self.s.count[cls] == 0 and self.records_[cls] is not None and cls not in self.wanted:
                del self.classes[self.records_[cls]]
                self.records_[cls] = None
                found = cls
        if found < 0:
            raise TooManyKinds(f"more than {CLASSES} different kinds of page at once")
        self.context += 1
        return found

    cdef int bounds(self, start, count, int64_t *first, int64_t *last) except -1:
        """Find the first frame of a range, and the one behind its last: `count` frames from `start` on, None: all."""
        first[0] = whole(start, "start", "the number of a frame")
        cdef int64_t pages = self.pages - first[0]
        if count is not None:
            pages = whole(count, "count", "a number of pages, or None")
        if first[0] < 0 or pages < 0 or pages > self.pages - first[0]:
            raise outside("start", start, f"with a count of {pages} not in a memory of {self.pages} pages")
        last[0] = first[0] + pages
        return 0

    cdef int64_t check(self, pfn) except -1:
        """The number of a frame that there is."""
        cdef int64_t number = whole(pfn, "pfn", "the number of a frame")
        if not 0 <= number < self.pages:
            raise outside("pfn", pfn, f"frame {number} is outside a memory of {self.pages} pages")
        return number

    def page(self, pfn):
        """The page with frame number `pfn`, as a `Page`."""
        return Page(self, self.check(pfn))

    def record(self, pfn):
        """The `Record` of frame `pfn`."""
        self.mine()
        if self.scratch is not None:
            if pfn not in self.scratch:
                raise NotTabled("a step that looks at another page")
            return self.scratch[pfn]
        found = self.records_[self.s.cls[self.check(pfn)]]
        return found if self.touched is None else self.touched.look(pfn, found)

    def set_record(self, pfn, record):
        """Replace the record of frame `pfn`."""
        self.mine()
        cdef int64_t number = self.check(pfn)
        expect_record(record)
        if self.scratch is not None:
            before = self.record(pfn)
            self.scratch_free += (record.holder == Holder.FREE) - (before.holder == Holder.FREE)
            self.scratch[pfn] = record
            return
        if self.touched is not None:
            record = self.touched.put(pfn, record)
        put(&self.s, number, self.class_of(record))

    def change(self, function, start=0, count=None):
        """Apply ``function(record) -> record`` to a range of pages; called once for each different record.

        Returns
        -------
        int
            How many pages' records changed.
        """
        cdef int64_t first, last
        cdef int before, after
        cdef int64_t changed = 0
        cdef bint alike, any_change = False
        cdef int map_[CLASSES]
        self.mine()
        if not callable(function):
            raise refused("function", function, "a function of a Record that returns a Record")
        self.bounds(start, count, &first, &last)
        if first == last:
            return 0
        if self.scratch is not None:
            if last - first > 1:
                raise NotTabled("a step that changes a range of pages")
            record = self.record(start)
            self.set_record(start, function(record))
            return int(self.record(start) != record)
        if self.touched is not None:
            self.touched.whole((function,) if last - first == self.pages else range(first, last))
        self.enter()
        try:
            present = self.present(first, last)
            for before in range(CLASSES):
                map_[before] = before
            for before in present:
                record = function(self.records_[before])
                if not isinstance(record, Record):
                    raise refused("function", function, "a function of a Record that returns a Record")
                after = self.class_of(record)
                map_[before] = after
                self.wanted.add(after)
                any_change = any_change or after != before
            if any_change:
                alike = len(present) == 1
                with nogil:
                    changed = repaint_range(&self.s, first, last, map_, alike)
        finally:
            self.wanted.clear()
            self.leave()
        return changed

    cdef list present(self, int64_t first, int64_t last):
        """The classes of a range. For the whole memory the counts know them."""
        cdef int cls
        cdef int64_t pfn = first
        cdef uint8_t seen[CLASSES]
        if first == 0 and last == self.pages:
            return [cls for cls in range(CLASSES) if self.s.count[cls]]
        memset(seen, 0, CLASSES)
        with nogil:
            while pfn < last:
                seen[self.s.cls[pfn]] = 1
                pfn += equal_run_up(self.s.cls + pfn, last - pfn)
        return [cls for cls in range(CLASSES) if seen[cls]]

    def records(self, start=0, count=None):
        """How many pages of a range have which record, as a dict."""
        cdef int64_t first, last, pfn, run
        self.mine()
        self.bounds(start, count, &first, &last)
        if self.scratch is not None:
            if last - first == 1:
                return {self.record(start): 1}
            raise NotTabled("a step that looks at a range of pages")
        if self.touched is not None:
            self.touched.whole(range(first, last))
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
        cdef int64_t first, last
        self.mine()
        self.bounds(start, count, &first, &last)
        if self.scratch is not None:
            raise NotTabled("a step that looks at a range of pages")
        if first == last:
            return np.zeros(0, np.uint8), {}
        if self.touched is not None:
            self.touched.whole(range(first, last))
        array = np.asarray(<uint8_t[:last - first]> (self.s.cls + first)).copy()
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
        self.mine()
        if self.scratch is not None:
            raise NotTabled("a step that changes more than its page")
        self.context += 1

    def low(self, reserve):
        """Whether no page may be taken without going below `reserve` free pages."""
        self.mine()
        cdef int64_t least = whole(reserve, "reserve", "a number of pages")
        if self.scratch is None:
            return self.s.free <= least
        if least != self.recording.reserve:
            raise NotTabled("a step that compares free memory with another number than its engine's reserve")
        self.recording.guarded = True
        if self.s.free - least <= NEAR and least - self.s.free <= NEAR:
            raise NotTabled("free memory is close to the reserve")
        return self.s.free + self.scratch_free <= least

    cdef needs_guard(self):
        if self.scratch is not None:
            raise NotTabled("a step that asks how much memory is free, or how long a list is")

    def allocate(self, prefer=None):
        """Find a free frame and return its number, or None. The caller takes it by setting its record.

        `prefer` is returned if it is free.
        """
        self.mine()
        cdef int64_t pfn
        if prefer is not None:
            pfn = whole(prefer, "prefer", "the number of a frame, or None")
            if not 0 <= pfn < self.pages:
                raise outside("prefer", prefer, f"frame {pfn} is outside a memory of {self.pages} pages")
            if self.record(pfn).holder == Holder.FREE:
                return pfn
        if self.scratch is None:
            pfn = find_free(&self.s)
            return None if pfn < 0 else pfn
        # learned is what becomes of a frame like the one that will be given; it must get behind the guest page at hand
        pfn = peek_free(&self.s)
        if self.recording.table is None or self.recording.fresh >= 0 or pfn < 0 or pfn in self.scratch:
            self.needs_guard()
        self.scratch[pfn] = self.records_[self.s.cls[pfn]]
        self.recording.fresh = pfn
        return pfn

    def find_run(self, pages, align=1, lowest=0):
        """First frame of `pages` contiguous free ones, as high as possible, a multiple of `align`; None if none.

        ``lowest`` is the lowest frame that is acceptable.
        """
        cdef int64_t n = whole(pages, "pages", "a number of pages")
        cdef int64_t step = whole(align, "align", "a number of pages")
        cdef int64_t lower = whole(lowest, "lowest", "the number of a frame")
        cdef int64_t start, pfn
        self.mine()
        if n < 0 or step < 1:
            raise ValueError(f"pages={pages}, align={align}: use at least 0 pages, and align=1 for any frame")
        self.needs_guard()
        if n > self.pages:
            return None
        start = (self.pages - n) // step * step
        while start >= lower and start >= 0:
            pfn = start + n - 1
            while pfn >= start:
                if self.s.holder[self.s.cls[pfn]] != 0:
                    break
                pfn -= equal_run_down(self.s.cls + pfn, pfn - start + 1)
            else:
                return start
            pfn -= equal_run_down(self.s.cls + pfn, pfn + 1) - 1
            if pfn < n:
                break
            start = (pfn - n) // step * step
        return None


cdef inline int64_t entry_behind(
        const int64_t *moved, const int64_t *behind, int64_t base, int64_t entries, int64_t pfn) noexcept nogil:
    """The guest page whose entry points to frame `pfn`; -1: none does."""
    cdef int64_t g = pfn - base
    if moved == NULL:
        return g if 0 <= g < entries else -1
    if behind[pfn]:
        return behind[pfn] - 1
    return g if 0 <= g < entries and moved[g] == pfn else -1


cdef inline void repoint(int64_t *moved, int64_t *behind, int64_t base, int64_t g, int64_t pfn) noexcept nogil:
    """Change one entry. Another that changes places with it may have the old frame, or be about to."""
    if behind[moved[g]] == g + 1:
        behind[moved[g]] = 0
    moved[g] = pfn
    if pfn != base + g:
        behind[pfn] = g + 1


cdef class Table:
    """A guest's page table: which frame backs which guest page.

    Guest page *g* has a home, frame ``base + g``. It is present if the frame it points to is held by the address
    space `mm`. A page that comes back elsewhere (swap) is remembered, eight bytes a guest page, from then on.

    No two entries of an address space ever point to the same frame, whether they are in one of its tables or in two:
    or else a page that is not present would seem to be, once another has been given the frame that was its own.

    Parameters
    ----------
    memory : Memory
    mm : int
        Number of the address space.
    base, pages : int
        Home frame of guest page 0; size of the guest in pages. Tables of one address space have no home in common, and
        are made before an entry of it moves.
    """

    cdef object __weakref__
    cdef readonly Memory memory
    cdef readonly int mm
    cdef readonly int64_t base
    cdef readonly int64_t pages
    cdef int64_t *moved         # where each entry points to; NULL: all point home
    cdef int64_t *behind        # by frame: 1 + the guest page whose entry points there, if it is not its home

    def __cinit__(self, Memory memory not None, int mm, int64_t base, int64_t pages):
        memory.context_changed()
        if base < 0 or pages < 0 or base > memory.pages or pages > memory.pages - base:
            end = (<object> base) + pages       # may be more than 64 bits have room for
            raise ValueError(f"guest pages {base} to {end} are outside a memory of {memory.pages} pages")
        self.memory, self.mm, self.base, self.pages = memory, mm, base, pages
        memory.tables.add(self)

    def __dealloc__(self):
        free(self.moved)
        free(self.behind)

    cdef inline int64_t at(self, int64_t g) noexcept nogil:
        return self.base + g if self.moved == NULL else self.moved[g]

    def slot(self, g):
        """The frame that the entry of guest page `g` points to, present or not."""
        self.memory.mine()
        cdef int64_t number = whole(g, "g", "the number of a guest page")
        if not 0 <= number < self.pages:
            raise outside("g", g, f"guest page {number} is outside a guest of {self.pages} pages")
        self.own_entry(number)
        return self.at(number)

    cdef own_entry(self, int64_t g):
        """While a step is learned: it may look at the entry of its own page, as it was when the step began."""
        cdef Memory memory = self.memory
        if memory.scratch is not None and (self is not memory.recording.table or (
                self.at(g) != memory.recording.pfn or memory.recording.effect == MOVED)):
            raise NotTabled("a step that looks at another entry")

    def frame(self, page_number):
        """The frame that backs a guest page, or None."""
        self.memory.mine()
        cdef int64_t number = whole(page_number, "page_number", "the number of a guest page")
        if not 0 <= number < self.pages:
            return None
        self.own_entry(number)
        pfn = self.at(number)
        record = self.memory.record(pfn)
        return pfn if record.holder == Holder.MAPPED and record.mm == self.mm else None

    def point(self, g, pfn):
        """Let the entry of guest page `g` point to frame `pfn`.

        An entry of the address space that pointed there, for a page that is not present, gets the frame that `g`
        pointed to. Two entries change places, and no frame is ever behind two.

        Raises
        ------
        IndexError
            If there is no such guest page, or no such frame.
        ValueError
            If guest page `g` is present: it must be unmapped first; or if frame `pfn` is mapped here already.
        """
        cdef Table other = None
        cdef int64_t before = self.slot(g)
        cdef int64_t h = -1
        cdef int64_t there = whole(pfn, "pfn", "the number of a frame")
        if before == there:
            return
        self.memory.check(there)
        if self.memory.scratch is not None:
            self.learn_move(g, pfn)
            return
        self.memory.moves += 1
        for table in self.memory.tables:
            if table.mm == self.mm:
                other, h = table, (<Table> table).entry_at(pfn)
                if h >= 0:
                    break
        if self.frame(g) is not None:
            raise ValueError(f"guest page {g} is present, in frame {before}")
        if h >= 0 and other.frame(h) is not None:
            raise ValueError(f"frame {pfn} is mapped by this address space already")
        self.may_move()
        if h >= 0:
            other.may_move()
        self.move(g, pfn)
        if h >= 0:
            other.move(h, before)

    cdef learn_move(self, int64_t g, int64_t pfn):
        """A step that is learned gives its guest page the frame that it has just been given."""
        cdef _Recording recording = self.memory.recording
        if recording.table is not self or recording.g != g or recording.fresh != pfn or recording.effect != NOTHING:
            raise NotTabled("a step that moves another entry")
        if self.frame(g) is not None or any(
                table is not self and table.mm == self.mm and table.pages for table in self.memory.tables):
            raise NotTabled("a step that moves an entry of an address space with two tables, or one that is present")
        recording.effect = MOVED

    cdef int64_t entry_at(self, int64_t pfn) noexcept:
        """The guest page whose entry points to frame `pfn`, present or not; -1: none does."""
        return entry_behind(self.moved, self.behind, self.base, self.pages, pfn)

    cdef may_move(self):
        """Have room for entries that do not point home."""
        cdef int64_t i
        if self.moved != NULL:
            return
        # few frames of the host are behind entries that moved: of what is full of zeros the rest takes no memory
        self.behind = <int64_t *> calloc(self.memory.pages, sizeof(int64_t))
        self.moved = <int64_t *> malloc(self.pages * sizeof(int64_t))
        if self.moved == NULL or self.behind == NULL:
            free(self.moved)
            free(self.behind)
            self.moved = self.behind = NULL
            raise MemoryError("no memory for the page table")
        for i in range(self.pages):
            self.moved[i] = self.base + i

    cdef move(self, int64_t g, int64_t pfn):
        repoint(self.moved, self.behind, self.base, g, pfn)


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


cdef inline int64_t end_of_list_page(ListState *d, int64_t node) noexcept nogil:
    """The run behind the last one of a list page."""
    return d.node_run[node + 1] if node + 1 < d.nodes else d.runs


cdef inline int64_t list_page_at_hand(ListState *d) noexcept nogil:
    return d.node[d.under - 1]


cdef inline bint list_page_done(ListState *d) noexcept nogil:
    """Whether all frame numbers of the list page at hand have been taken."""
    return d.at_run >= end_of_list_page(d, d.under - 1)


cdef inline void take_from_list(ListState *d, int64_t length) noexcept nogil:
    d.at_pfn += length
    if d.at_pfn == d.run_length[d.at_run]:
        d.at_run += 1
        d.at_pfn = 0


cdef inline void turn_to_list_page(ListState *d) noexcept nogil:
    """Begin with the newest of the list pages that are left to the loop."""
    d.at_run = d.node_run[d.under - 1] if d.under else 0
    d.at_pfn = 0


cdef int64_t begin_emptying(ListState *d) noexcept nogil:
    """Take over all that is on the list, for a loop; no other may be at it. Returns how many numbers and list pages.

    The list page that had room now belongs to the loop: whatever comes next needs a new one.
    """
    cdef int64_t i, total = d.nodes
    for i in range(d.runs):
        total += d.run_length[i]
    d.under = d.bottom = d.nodes
    d.room = 0
    turn_to_list_page(d)
    return total


cdef void end_emptying(ListState *d) noexcept nogil:
    """The loop is over: what it has not taken stays on the list, and what came meanwhile comes behind that."""
    cdef int64_t i, nodes = d.under, runs = 0, first_run = d.runs
    if d.under:
        # the part of the list page at hand that is left
        runs = d.node_run[d.under - 1]
        for i in range(d.at_run, end_of_list_page(d, d.under - 1)):
            d.run_start[runs], d.run_length[runs] = d.run_start[i] + d.at_pfn, d.run_length[i] - d.at_pfn
            d.at_pfn = 0
            runs += 1
    if d.bottom < d.nodes:
        first_run = d.node_run[d.bottom]
    for i in range(d.bottom, d.nodes):
        d.node[nodes], d.node_run[nodes] = d.node[i], d.node_run[i] - first_run + runs
        nodes += 1
    for i in range(first_run, d.runs):
        d.run_start[runs], d.run_length[runs] = d.run_start[i], d.run_length[i]
        runs += 1
    d.nodes, d.runs = nodes, runs
    d.under = d.bottom = d.at_run = d.at_pfn = 0


cdef void list_page_emptied(ListState *d) noexcept nogil:
    """The list page at hand is done."""
    d.under -= 1
    if d.under == 0:
        end_emptying(d)
    turn_to_list_page(d)


cdef inline void take_at_hand(ListState *d) noexcept nogil:
    """The frame number at hand, or the list page when all of its numbers are taken, is no longer on the list."""
    if list_page_done(d):
        list_page_emptied(d)
    else:
        take_from_list(d, 1)


cdef class DeferredList:
    """Frame numbers set aside, in list pages of `capacity` numbers each (``mm->context.deferred_list``).

    Neighbouring numbers are kept as runs, so that a terabyte of them takes little memory.
    """

    cdef Memory memory
    cdef ListState s

    def __cinit__(self, Memory memory not None, int64_t capacity):
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
        self.memory.mine()
        self.memory.needs_guard()
        cdef int64_t total = 0
        cdef int64_t i, newer = self.s.runs
        if self.s.bottom < self.s.nodes:
            newer = self.s.node_run[self.s.bottom]
        for i in range(newer, self.s.runs):
            total += self.s.run_length[i]
        if self.s.under:
            for i in range(self.s.node_run[self.s.under - 1]):
                total += self.s.run_length[i]
            for i in range(self.s.at_run, end_of_list_page(&self.s, self.s.under - 1)):
                total += self.s.run_length[i]
            total -= self.s.at_pfn
        return total

    @property
    def list_pages(self):
        """Number of list pages not yet emptied."""
        self.memory.mine()
        self.memory.needs_guard()
        return self.s.under + self.s.nodes - self.s.bottom

    @property
    def pages_listed(self):
        """Pages on the list, list pages included; of a list page that is being emptied still all."""
        self.memory.mine()
        self.memory.needs_guard()
        cdef ListState *d = &self.s
        cdef int64_t i, total = d.under + d.nodes - d.bottom
        for i in range(end_of_list_page(d, d.under - 1) if d.under else 0):
            total += d.run_length[i]
        for i in range(d.node_run[d.bottom] if d.bottom < d.nodes else d.runs, d.runs):
            total += d.run_length[i]
        return total

    @property
    def frames(self):
        """Frame numbers that are on the list: those left to the loop that empties it, in its order; then the others."""
        self.memory.mine()
        self.memory.needs_guard()
        cdef int64_t node, i, skipped = self.s.at_pfn
        found = []
        for node in [*reversed(range(self.s.under)), *reversed(range(self.s.bottom, self.s.nodes))]:
            at_hand = node == self.s.under - 1
            for i in range(self.s.at_run if at_hand else self.s.node_run[node], end_of_list_page(&self.s, node)):
                found += range(self.s.run_start[i] + (skipped if at_hand else 0),
                               self.s.run_start[i] + self.s.run_length[i])
                skipped = 0
        return found

    @property
    def room(self):
        """How many frame numbers the newest list page still takes."""
        self.memory.mine()
        if self.memory.scratch is not None:
            self.of_loop()
            self.memory.recording.guarded = True
        return self.s.room

    cdef of_loop(self):
        """While a step is learned: what it does to the list of its loop goes into the table, to no other."""
        if self.memory.recording.deferred is not self:
            raise NotTabled("a step that works on another list than that of its loop")

    @property
    def capacity(self):
        """How many frame numbers a list page takes."""
        return self.s.capacity

    def append(self, page):
        """Put a page's frame number into the newest list page."""
        self.memory.mine()
        if self.s.room < 1:
            raise ValueError("the list page is full")
        if self.memory.scratch is not None:
            self.of_loop()
            self.memory.recording.guarded = True
            self.memory.recording.note(LISTED, page.pfn)
            return
        self.memory.check(page.pfn)
        if push_run(&self.s, page.pfn, 1) != 0:
            raise MemoryError("no memory for the deferred list")

    def add_list_page(self, page):
        """Add an empty list page: it is the newest from now on."""
        self.memory.mine()
        if self.memory.scratch is not None:
            self.of_loop()
            self.memory.recording.note(NEW_LIST, page.pfn)
            return
        self.memory.check(page.pfn)
        if open_list_page(&self.s, page.pfn) != 0:
            raise MemoryError("no memory for the deferred list")
