# Many steps at once, with the same result: runs of equal pages, and tasks that cannot meet. Included by _core.pyx.

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


cdef inline void note_cleaned(EngineState *e, Chain *c, int64_t end) noexcept nogil:
    """A chain that ended at `end` may have cleaned an old page: note at which of its steps."""
    cdef int64_t moment = end - c.ns
    cdef int i
    if not e.m.unclean[c.cls[0]] or e.m.unclean[c.after]:
        return
    for i in range(c.n):
        moment += e.table[c.row[i] * CLASSES + c.cls[i]].ns
        if e.m.unclean[c.cls[i]] and not e.m.unclean[c.cls[i + 1] if i + 1 < c.n else c.after]:
            e.cleaned_at = max(e.cleaned_at, moment)


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


cdef int64_t bulk_of_batch(EngineState *e, Actor *t, int64_t limit) noexcept nogil:
    """The same for the pages of a large batch that is being worked off. Its last one is left to a single step."""
    cdef Chain b
    cdef int64_t pfn, n, most = t.batch_n - 1 - t.batch_i
    cdef int cls
    if most < SHORT or t.row != t.row_each:
        return 0
    pfn = t.pages[t.batch_i]
    cls = e.m.cls[pfn]
    if chain(e, t, t.row_each, cls, pfn, &b) != STEPPED or b.effect != NOTHING or b.locks or b.guarded:
        return 0
    most = min(most, that_begin_before(limit, t.clock, b.lead, b.ns), e.m.pages - pfn)
    if most < SHORT:
        return 0
    most = equal_run_up(e.m.cls + pfn, most)
    n = 1
    while n < most and t.pages[t.batch_i + n] == pfn + n:
        n += 1
    if n < SHORT:
        return 0
    count_chain(e, t, &b, n)
    repaint(e, pfn, n, False, cls, b.after)
    t.clock += n * b.ns
    note_cleaned(e, &b, t.clock)
    t.batch_i += n
    return n


cdef int64_t bulk(EngineState *e, Actor *t, int64_t limit, int64_t most) noexcept nogil:
    """Do the steps of up to `most` equal pages at once: only steps that begin before `limit`.

    Returns how many pages were done. 0: do a single step.
    """
    cdef Chain a, b
    cdef int64_t pfn, run, m
    cdef int cls
    cdef bint down = t.source == DOWNWARDS
    if t.working:
        return bulk_of_batch(e, t, limit) if t.batch > LARGE else 0
    if t.k >= t.n or t.row != t.row0 or t.moved != NULL or t.source == AT_RANDOM or t.source == FROM_FREE:
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
    if a.effect == GATHERED and t.batch > LARGE:
        # a part of the batch; the single step that completes it lets the lock go
        m = min(that_begin_before(limit, t.clock, a.lead, a.ns), most, t.batch - 1 - t.batch_n)
        if m < SHORT or a.guarded or a.freed or down:
            return 0
        run = equal_run_up(e.m.cls + pfn, m)
        if run < SHORT:
            return 0
        for m in range(run):
            t.pages[t.batch_n + m] = pfn + m
        t.batch_n += run
        count_chain(e, t, &a, run)
        repaint(e, pfn, run, down, cls, a.after)
        t.clock += run * a.ns
    elif a.effect == GATHERED:
        # whole batches only: gather, let the lock go, work the batch off
        if a.guarded or t.batch_n or most < t.batch:
            return 0
        if chain(e, t, t.row_each, a.after, pfn, &b) != STEPPED or b.effect or b.guarded:
            return 0            # a guarded step may find another situation where the batch is worked off
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
        t.begins = False
        count_chain(e, t, &a, run)
        count_chain(e, t, &b, run)
        repaint(e, pfn, run, down, cls, b.after)
        if t.lock != NULL:
            # the first batch may have begun before, over a hole
            t.locked = False
            let_go(t.lock, t.clock - t.locked_since + t.batch * a.ns)
            t.lock.taken += m - 1
        t.clock += run * (a.ns + b.ns)
        note_cleaned(e, &b, t.clock)
    else:
        m = min(that_begin_before(limit, t.clock, a.lead, a.ns), most)
        if a.effect == LISTED:
            m = min(m, t.deferred.room)
        if a.guarded and a.freed:
            # free memory must not come close to the reserve on the way
            m = min(m, (max(e.m.free - e.reserve, e.reserve - e.m.free) - NEAR) // max(a.freed, -a.freed))
        if m <= 0:
            return 0
        run = equal_run_down(e.m.cls + pfn, m) if down else equal_run_up(e.m.cls + pfn, m)
        if a.effect == LISTED and push_run(t.deferred, pfn, run) != 0:
            return 0            # the single step will say so
        count_chain(e, t, &a, run)
        repaint(e, pfn, run, down, cls, a.after)
        t.clock += run * a.ns
        note_cleaned(e, &a, t.clock)
    t.k += run
    t.done += run
    t.admitted = False
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
    bint equal              # they are all of one class, but for the first `lead`
    int64_t lead            # 1: the page at hand is of another class, since its step is being done again
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
    for i in range(t.batch_i if t.working else 0, t.batch_n):
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


cdef inline int chain_alone(EngineState *e, Actor *t, int row, int cls, int64_t pfn, Chain *c) noexcept nogil:
    """As `chain`, for a page that a task works on while others do not act: BLOCKED, too, if they would notice."""
    cdef int code = chain(e, t, row, cls, pfn, c)
    return BLOCKED if code == STEPPED and (c.guarded or c.effect > GATHERED) else code


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
    r.lead = 0
    if run == 1 and r.length > SHORT:
        pfn = r.begin - 1 if down else r.begin + 1
        i = equal_run_down(e.m.cls + pfn, r.length - 1) if down else equal_run_up(e.m.cls + pfn, r.length - 1)
        if i >= SHORT:
            r.lead, run = 1, i + 1
    r.equal = run >= SHORT
    r.length = run if r.equal else min(r.length, <int64_t> MIXED)
    if not r.equal:
        memset(gather_ns, 0xff, sizeof(gather_ns))
    i = 0
    while i < r.length:
        pfn = r.begin - i if down else r.begin + i
        cls = e.m.cls[pfn]
        if r.equal or gather_ns[cls] < 0:
            code = chain_alone(e, t, t.row0, cls, pfn, &a)
            if code != STEPPED:
                return code
            each_ns[cls] = 0
            if a.effect == GATHERED:
                code = chain_alone(e, t, t.row_each, a.after, pfn, &b)
                if code != STEPPED:
                    return code
                each_ns[cls] = b.ns
                most = max(most, b.ns)
            gather_ns[cls] = a.ns
        run = 1 if not r.equal or i < r.lead else r.length - i
        ns += run * gather_ns[cls]
        each += run * each_ns[cls]
        i += run
    # the last batch need not have been worked off, when the walk gets to the end
    r.ends = t.clock + ns + max(<int64_t> 0, each - t.batch * most)
    if t.batch_n:
        memset(each_ns, 0xff, sizeof(each_ns))
    for i in range(t.batch_i if t.working else 0, t.batch_n):
        pfn = t.pages[i]
        cls = e.m.cls[pfn]
        if t.working and i == t.batch_i and t.row != t.row_each:
            code = chain_alone(e, t, t.row, cls, pfn, &b)
            if code != STEPPED:
                return code
            continue
        if each_ns[cls] < 0:
            code = chain_alone(e, t, t.row_each, cls, pfn, &b)
            if code != STEPPED:
                return code
            each_ns[cls] = b.ns
        if t.working:
            r.ends += each_ns[cls]      # before it gathers any other
    if not t.working and t.row != t.row0:
        pfn = position(e, t)
        code = chain_alone(e, t, t.row, e.m.cls[pfn], pfn, &b)
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
        if code != STEPPED or c.effect != NOTHING or c.guarded or c.lead == c.ns:
            # (a last step that takes no time happens when the page ends: then the order of creation counts)
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
    note_cleaned(e, c, t.clock)
    t.admitted = False
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
    cdef bint together
    cdef int64_t moment = limit, steps = e.steps, pfn
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
            t = regions[i].actor
            pfn = regions[i].begin + (-regions[i].lead if t.source == DOWNWARDS else regions[i].lead)
            note_slope(e, t, e.m.cls[pfn])
    if roaming_n:
        code = roam(e, roaming, roaming_n, regions, n, &moment)
        if code != STEPPED:
            return code
    for i in range(n):
        t = regions[i].actor
        while t.clock < moment:
            together = t.batch > LARGE if t.working else regions[i].equal
            if (not together or bulk(e, t, moment, FOREVER) == 0) and one_step(e, t) != STEPPED:
                return BROKEN       # all that it may meet was looked up above
    return STEPPED if e.steps != steps else BLOCKED
