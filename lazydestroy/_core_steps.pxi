# One page step from the table, and what a task does between two of them. Included by _core.pyx.

cdef struct EngineState:
    MemoryState *m
    Entry *table            # [row][class]
    int variant[ROWS]       # first of the six rows of a guarded step, -1: not guarded
    Actor *ring[TASKS]      # tasks that are not done, in the order of creation
    int ring_n
    int64_t reserve
    int64_t spare           # a frame found but not yet used, -1: none
    int gifts_n
    int gifts[GIFTS][CLASSES]       # class of a free frame -> its class afterwards, -1: not known
    # what the inner loop came back with
    Actor *who
    int ask_row, ask_class
    int64_t ask_pfn
    # samples: time, COLUMNS counts, pages done by each of the first TRACKED tasks
    int64_t *samples
    int64_t sample_n, sample_every, sample_next
    # a film: the classes of the watched pages, over and over
    int64_t *watched        # frame numbers
    int64_t watched_n
    uint8_t *film           # [frame of the film][watched page]
    int64_t film_time[FRAMES]
    int64_t film_generation[FRAMES]
    int64_t film_n, film_every, film_next
    int64_t steps
    int64_t cleaned_at      # when an old page was cleaned last, -1: none has been
    # `give_frame`, behind a pointer so that the compiler leaves it out of the loop: seldom needed, it slows the others
    bint (*give_frame)(EngineState *, Actor *, int64_t, Entry *) noexcept nogil


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


cdef void film(EngineState *e, int64_t time) noexcept nogil:
    """Note of what class each watched page is at `time`."""
    cdef uint8_t *frame
    cdef int64_t i
    if e.film_n and e.film_time[e.film_n - 1] == time:
        e.film_n -= 1
    if e.film_n == FRAMES:
        # as for samples; the first one stays
        e.film_n //= 2
        for i in range(1, e.film_n):
            memcpy(e.film + i * e.watched_n, e.film + 2 * i * e.watched_n, e.watched_n)
            e.film_time[i] = e.film_time[2 * i]
            e.film_generation[i] = e.film_generation[2 * i]
        e.film_every *= 2
    frame = e.film + e.film_n * e.watched_n
    for i in range(e.watched_n):
        frame[i] = e.m.cls[e.watched[i]]
    e.film_time[e.film_n] = time
    e.film_generation[e.film_n] = e.m.generation
    e.film_n += 1
    e.film_next = time + e.film_every


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
        return list_page_at_hand(d) if list_page_done(d) else d.run_start[d.at_run] + d.at_pfn
    else:
        if t.pfn < 0:
            t.pfn = find_free(e.m)
        return t.pfn
    return t.base + g if t.moved == NULL else t.moved[g]


cdef inline int64_t guest_page(Actor *t, int64_t pfn) noexcept nogil:
    """The guest page at hand, in a loop over guest pages."""
    if t.moved == NULL:
        return pfn - t.base
    if t.source == UPWARDS:
        return t.first + t.k
    if t.source == DOWNWARDS:
        return t.first + t.n - 1 - t.k
    return t.first + permuted(t, t.k)


cdef bint give_frame(EngineState *e, Actor *t, int64_t pfn, Entry *x) noexcept nogil:
    """Let the entry of the guest page at hand, which points to `pfn`, have the next free frame: `Table.point`.

    False: Python must do it, since there is none, or the entries have all pointed home so far; or it must be learned
    what becomes of a frame of this class.
    """
    cdef int64_t fresh = peek_free(e.m), g, h
    cdef Actor *other
    cdef int i
    if fresh < 0 or t.moved == NULL or e.gifts[x.gift][e.m.cls[fresh]] < 0:
        return False
    find_free(e.m)
    g = guest_page(t, pfn)
    h = entry_behind(t.moved, t.behind, t.base, t.entries, fresh)
    repoint(t.moved, t.behind, t.base, g, fresh)
    if h >= 0:
        repoint(t.moved, t.behind, t.base, h, pfn)
    for i in range(e.ring_n):
        other = e.ring[i]
        if other.source == AT_RANDOM and other.moved == t.moved:
            # what it has looked up: the frame of one of the two
            if other.pfn == pfn:
                other.pfn = fresh
            elif other.pfn == fresh:
                other.pfn = pfn
    put(e.m, fresh, e.gifts[x.gift][e.m.cls[fresh]])
    return True


cdef inline bint batch_complete(Actor *t) noexcept nogil:
    """Begin to work off the batch; True if somebody waits for the lock that was let go."""
    t.working = True
    t.begins = False
    t.batch_i = 0
    t.row = t.row_each
    if t.locked:
        t.locked = False
        let_go(t.lock, t.clock - t.locked_since)
        return t.lock.queued
    return False


cdef int64_t time_at_rate(uint64_t amount, uint64_t rate) noexcept nogil:
    """Nanoseconds in which `rate` a second make `amount`, rounded down; more than LATEST if it takes longer.

    Both are below 2**63. The nanoseconds of a part of a second may pass through a product of more than 64 bits, which
    not every compiler has: then it is divided as on paper, bit by bit.
    """
    cdef uint64_t seconds = amount // rate, rest = amount % rate
    cdef uint64_t ns = 0, left = 0
    cdef int bit
    if seconds > <uint64_t> (LATEST // SECOND):
        return LATEST + 1
    if rest <= <uint64_t> -1 // <uint64_t> SECOND:
        return seconds * SECOND + rest * <uint64_t> SECOND // rate
    for bit in range(29, -1, -1):       # a second has 30 bits of nanoseconds
        ns *= 2
        left *= 2
        if left >= rate:
            left -= rate
            ns += 1
        if SECOND >> bit & 1:
            left += rest
            if left >= rate:
                left -= rate
                ns += 1
    return seconds * SECOND + ns


cdef inline int leave_page(Actor *t, int64_t pfn, int effect) noexcept nogil:
    """Go on to the next page."""
    if t.working:
        t.batch_i += 1
        t.row = t.row_each
        if t.batch_i == t.batch_n:
            t.working = False
            t.batch_n = 0
            t.row = t.row0
        return STEPPED
    t.k += 1
    t.done += 1
    t.row = t.row0
    if t.source == FROM_LIST:
        take_at_hand(t.deferred)
        if t.deferred.under and list_page_done(t.deferred):
            t.row = t.row_last
    elif t.source == FROM_FREE:
        t.pfn = -1
        t.clock = max(t.clock, t.pace_start + min(time_at_rate(t.k * 4096, t.rate), LATEST + 1 - t.pace_start))
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
    if t.stop and not t.begins and not t.locked and t.batch_n == 0:
        return FINISHED
    if t.k >= t.n:
        if t.more:
            return SEAM
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
    if x.locks and t.lock != NULL and (t.lock.writer or t.lock.queued) and not t.admitted:
        return BLOCKED
    t.admitted = False
    if x.effect >= LISTED:
        if x.effect == LISTED:
            if push_run(t.deferred, pfn, 1) != 0:
                return NO_MEMORY
        elif x.effect == MOVED:
            if not e.give_frame(e, t, pfn, x):
                return ask(e, t, row, cls, pfn)
        else:
            spare = e.spare if e.spare >= 0 and e.m.holder[e.m.cls[e.spare]] == 0 else find_free(e.m)
            e.spare = spare
            if spare < 0 or e.gifts[x.gift][e.m.cls[spare]] < 0:
                return ask(e, t, row, cls, pfn)
            if open_list_page(t.deferred, spare) != 0:
                return NO_MEMORY
            put(e.m, spare, e.gifts[x.gift][e.m.cls[spare]])
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
    if e.m.unclean[cls] and not e.m.unclean[x.after]:
        e.cleaned_at = max(e.cleaned_at, t.clock)
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
    c.guarded = False
    while c.n < CHAIN:
        if e.variant[row] >= 0:
            row = e.variant[row] + variant_of(e, t)
            c.guarded = True
        x = &e.table[row * CLASSES + cls]
        if x.kind == UNKNOWN:
            return ask(e, t, row, cls, pfn)
        if x.kind == SLOW or x.effect == MOVED or (x.effect != NOTHING and c.effect != NOTHING):
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
