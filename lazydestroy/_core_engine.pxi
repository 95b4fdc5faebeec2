# The engine: who acts next, what is learned, what Python must do. Included by _core.pyx.

cdef int burst(EngineState *e, bint windows) noexcept nogil:
    """Run until Python is needed, or for a while."""
    cdef Actor *t
    cdef Actor *best
    cdef int64_t limit, left = BURST, patience = 0, tries = 256, awake
    cdef int limit_index, i, code, looping
    while left > 0:
        best = NULL
        limit = awake = LATEST
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
        if best.clock > LATEST:
            return TOO_LATE
        if best.clock >= e.sample_next:
            sample(e, best.clock)
            e.sample_next = best.clock + e.sample_every
        if best.clock >= e.film_next:
            film(e, best.clock)
        awake = min(awake, e.film_next)
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
            if best.clock >= e.sample_next or best.clock >= e.film_next or (looping == 1 and patience <= 0):
                break
    return PAUSE


# How far all tasks were when they were last seen to get on
cdef struct Standing:
    int64_t pages, gathered, tasks, alive
    int64_t acts            # steps and turns until then
    int64_t moment          # clock of the task that was to act next
    int64_t horizon         # clock of the one furthest ahead


cdef int64_t apart_of(ns) except? -1:
    """How far samples, or frames of a film, are apart."""
    cdef str accepted = f"nanoseconds from 1 to {MOST_APART}"
    cdef int64_t apart = whole(ns, "ns", accepted)
    if not 1 <= apart <= MOST_APART:
        raise refused("ns", ns, accepted)
    return apart


cdef class Engine:
    """Runs tasks in virtual time over one memory.

    Parameters
    ----------
    memory : Memory
    tabled : bool
        Learn steps and repeat them from the table. False: run each in Python.
    windows : bool
        Step runs of equal pages together, and let tasks that cannot meet run ahead one after the other. False: always
        one page step at a time, in the order of the clocks; so it is, too, without a table. The results are the same.
    reserve : int
        Free pages that an atomic allocation may not touch.

    Attributes
    ----------
    at_frame : int or None
        Frame that the last call of `step` worked on; None if it was no page step.

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
    cdef int64_t context, moves
    cdef readonly Task current
    cdef bint running           # a run, or a step, is under way
    cdef bint amidst            # what is under way changes things, and has not come to its end
    cdef str broken             # how it failed to, once
    cdef int64_t turns          # how often a generator was resumed, or a step asked for
    cdef Standing standing
    cdef int64_t pending
    cdef dict list_pages        # number of a gift that is a list page -> the fields that are set
    cdef object gathered
    cdef bint leaving
    cdef int64_t left_at
    cdef readonly object at_frame
    cdef public object progress

    def __cinit__(self, Memory memory not None, bint tabled=True, bint windows=True, int64_t reserve=0):
        if reserve < 0:
            raise ValueError(f"reserve={reserve}: use a number of pages, 0 or more")
        self.memory = memory
        self.tabled, self.windows = tabled, windows and tabled
        self.tasks, self.live, self.steps = [], [], []
        self.rows, self.entry_calls, self.list_pages = {}, {}, {}
        self.context, self.moves = memory.context, memory.moves
        self.s.m = &memory.s
        self.s.reserve = reserve
        self.s.spare = self.s.cleaned_at = -1
        self.s.give_frame = give_frame
        self.s.sample_every = self.s.sample_next = self.s.film_next = FOREVER
        memset(self.s.variant, 0xff, sizeof(self.s.variant))

    def __dealloc__(self):
        free(self.s.table)
        free(self.s.samples)
        free(self.s.watched)
        free(self.s.film)

    # -- what steps and generators call -------------------------------------------------------------------------

    @property
    def now(self):
        """Nanoseconds of virtual time, as the task that acts sees it."""
        self.memory.mine()
        if self.memory.scratch is not None:
            raise NotTabled("a step that looks at the clock")
        return (self.current.a.clock if self.current is not None else self.left_at) + self.pending

    def charge(self, ns):
        """Let `ns` nanoseconds pass for the task that acts.

        Raises
        ------
        ValueError, TypeError
            If it is less than nothing, or no whole number.
        OverflowError
            If time would come to its end, 146 years after the machine was made.
        """
        self.memory.mine()
        if not isinstance(ns, int) and hasattr(ns, "__index__"):
            ns = int(ns)
        if self.memory.scratch is not None:
            if not isinstance(ns, int) or not 0 <= ns <= LONGEST - self.memory.recording.ns:
                raise NotTabled("a step that takes very long")
            self.memory.recording.ns += ns
        else:
            self.pending += self.passing(ns, "charged")

    cdef int64_t passing(self, ns, str verb) except -1:
        """Nanoseconds that are about to pass for the task that acts, if it can be so many."""
        cdef int64_t left = LATEST - self.pending - (self.current.a.clock if self.current is not None else self.left_at)
        if isinstance(ns, int) and 0 <= ns <= left:
            return ns
        task = self.current
        where = self.function_of(task) if task is not None else None
        if verb == "charged" and (task is None or task.loop is None):
            where = running_generator() or where
        who = f"{'by hand' if task is None else task.name} {verb} {ns!r} ns" + (f" in {where}" if where else "")
        if not isinstance(ns, int):
            raise TypeError(f"{who}: use a whole number of nanoseconds, not {ns!r}")
        if ns < 0:
            raise ValueError(f"{who}: ns={ns}, but time does not run backwards")
        raise OverflowError(f"{who}: time ends 146 years after the machine was made, at {LATEST} ns")

    def function_of(self, Task task not None):
        """Name of the function that a task is in: its page step, or the innermost of its generators."""
        self.check(task)
        return name_of(self.steps[task.a.row] if task.loop is not None else task.generator)

    def called(self, command, outcome, ns):
        """Account for an Ultravisor call of the task that acts (an `Ultravisor` observer)."""
        self.charge(ns)
        if self.memory.scratch is not None:
            self.memory.recording.calls[command, outcome] += 1
        elif self.current is not None:
            self.current.calls[command, outcome] += 1

    def gather(self, page):
        """Put a page into the batch of the walk that acts.

        Raises
        ------
        RuntimeError
            If the loop that acts gathers nothing: `walk` was given no ``each``.
        """
        self.memory.mine()
        if self.memory.scratch is not None:
            self.memory.recording.note(GATHERED, page.pfn)
            return
        if self.current is None or self.current.loop is None or self.current.loop.each is None:
            raise RuntimeError("gather() outside of a walk that gathers: give walk() a batch, and a step for each page")
        self.gathered = page

    cdef Task acting(self):
        """The task that acts."""
        self.memory.mine()
        if self.current is None:
            raise RuntimeError("no task acts: only a step, or the generator of a task, can do this")
        return self.current

    def read_lock(self, Lock lock not None):
        """Take and let go `lock` for reading within a page step, which must call this before it does anything.

        Raises
        ------
        WouldBlock
            If it is not to be had: the engine has the task wait, and does the step again.
        """
        if self.memory.scratch is not None:
            if lock is not self.memory.recording.lock:
                raise NotTabled("a step that takes another lock than that of its loop")
            self.memory.recording.locks = True
        elif (lock.s.writer or lock.s.queued) and not self.acting().a.admitted:
            raise WouldBlock(lock)

    def allocate_list_page(self, **fields):
        """Take a free frame, unless that would go below the reserve: a page with `fields` set, or None."""
        cdef Memory memory = self.memory
        if memory.low(self.s.reserve):
            return None
        if memory.scratch is not None:
            if memory.scratch_free > 0 or memory.recording.list_page is not None:
                raise NotTabled("a step that frees a page and allocates one, or allocates two")
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
        self.memory.mine()
        if self.memory.scratch is not None:
            raise NotTabled("a step that ends its loop")
        self.acting()
        self.leaving = True

    @property
    def reserve(self):
        """Free pages that an atomic allocation may not touch."""
        return self.s.reserve

    # -- tasks -------------------------------------------------------------------------------------------------

    def spawn(self, generator, name, clock=None):
        """Start a task. Its clock starts at that of the task that acts, or at `clock`."""
        self.usable()
        if self.memory.scratch is not None:
            raise NotTabled("a step that starts a task")
        if not hasattr(generator, "send"):
            raise refused("generator", generator, "a generator, such as m.resetting()")
        if not isinstance(name, str):
            raise refused("name", name, "what the task is called, a text")
        cdef int64_t begins = self.now if clock is None else whole(clock, "clock", "a number of nanoseconds, or None")
        if not 0 <= begins <= LATEST:
            raise refused("clock", clock, f"nanoseconds from 0 to {LATEST}, 146 years")
        self.prune()
        if len(self.live) >= TASKS:
            raise OverflowError(f"more than {TASKS} tasks at once")
        cdef Task task = Task()
        task.memory = self.memory
        task.name = str.__str__(name)
        task.generator = generator
        task.calls = Counter()
        task.history = []
        task.holds = {}
        task.finished = Signal()
        task.a.clock = begins
        if self.tabled:
            task.a.hits = <uint64_t *> calloc(ROWS * CLASSES, sizeof(uint64_t))
            if task.a.hits == NULL:
                raise MemoryError("no memory for a task")
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
        cdef Task task = self.acting()
        task.history.append((self.now, activity, task.a.done))

    def set(self, Signal signal not None):
        """Wake all tasks that wait for `signal`; who yields it later does not wait."""
        self.memory.mine()
        if self.memory.scratch is not None:
            raise NotTabled("a step that wakes a task")
        signal.is_set = True
        for task in signal.waiting:
            if task.alive:
                self.wake(task, self.now)
        signal.waiting.clear()

    cdef wake(self, Task task, int64_t clock):
        task.a.state = LOOPING if task.retry else AWAKE
        task.retry = False
        task.wants = None
        task.a.clock = max(task.a.clock, clock)

    def release(self, Lock lock not None):
        """The task that acts lets go of a lock that it took by yielding a request."""
        cdef Task task = self.acting()
        if lock not in task.holds:
            raise RuntimeError(f"{task.name} releases {lock.name}, which it does not hold")
        self.give_up(lock, task.holds.pop(lock), self.now)

    cdef give_up(self, Lock lock, int64_t since, int64_t clock):
        """A task that has held a lock since then lets go of it."""
        let_go(&lock.s, clock - since)
        self.hand_over(lock, clock)

    cdef hand_over(self, Lock lock, int64_t clock):
        """Give a lock to those who wait for it, in order."""
        cdef Task task
        while lock.queue:
            task, write = lock.queue[0]
            if not lock.take(write):
                break
            lock.queue.popleft()
            if not task.retry:
                task.holds[lock] = clock
            elif task.a.batch and not task.a.working and not task.a.locked and lock is task.loop.lock:
                task.a.locked, task.a.locked_since = True, clock
            else:
                # a page step holds the lock only at its beginning, which is now
                let_go(&lock.s, 0)
                task.a.admitted = True
            lock.longest_wait = max(lock.longest_wait, clock - task.asleep_since)
            task.history.append((clock, None, task.a.done))
            self.wake(task, clock)
            if write:
                break
        lock.s.queued = len(lock.queue) > 0

    cdef sleep_for(self, Task task, Lock lock, bint write, bint retry):
        task.a.state = ASLEEP
        task.retry = retry
        task.wants = lock
        task.asleep_since = task.a.clock
        task.history.append((task.a.clock, f"waits for {lock.name}", task.a.done))
        lock.queue.append((task, write))
        lock.s.queued = True

    cdef int check(self, Task task) except -1:
        """Refuse another thread, and the task of another engine."""
        self.memory.mine()
        if task.a.index >= len(self.tasks) or self.tasks[task.a.index] is not task:
            raise ValueError(f"{task!r} is no task of this engine")
        return 0

    def next_step(self, Task task not None):
        """The page step that a task does next: function and leading arguments. None if it is in no loop."""
        self.check(task)
        return None if task.loop is None else self.steps[task.a.row][:2]

    # -- learning ----------------------------------------------------------------------------------------------

    cdef int row_of(self, function, tuple of_loop) except -1:
        """The row of a step; a new one if it was not seen before.

        `of_loop`: the table whose guest addresses the step takes, None if it takes none; whether its loop has a batch;
        the loop's list, and lock. What is learned of a step in one loop is never used where one of these differs.
        """
        key = (*_as_step(function), *of_loop)
        found = self.rows.get(key)
        if found is not None:
            return found
        if len(self.steps) >= ROWS:
            raise OverflowError(f"more than {ROWS} different page steps at once; the last one is {name_of(function)}")
        row = len(self.steps)
        self.steps.append(key)
        self.rows[key] = row
        return row

    cdef int following_row(self, following, int row) except -1:
        """The row of the step that the one in `row` returned, in the same loop."""
        try:
            return self.row_of(following, self.steps[row][2:])
        except TypeError:
            raise TypeError(
                f"{name_of(self.steps[row])} returned {following!r}: a page step returns None to leave the page, or "
                "the next step to be done on it") from None

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
        if self.s.table != NULL:
            memset(self.s.table, 0, len(self.steps) * CLASSES * sizeof(Entry))
        for task in self.live:
            if task.a.hits != NULL:
                memset(task.a.hits, 0, len(self.steps) * CLASSES * sizeof(uint64_t))
            task.a.last_class = -1
            forget_chains(&task.a)
        self.entry_calls.clear()
        self.s.gifts_n = 0
        self.list_pages.clear()
        self.context = self.memory.context
        if len(self.steps) > ROWS // 2:
            self.renumber()
        self.follow()
        for task in self.live:
            if task.loop is not None and task.loop.stop is not None:
                task.a.stop = bool(task.loop.stop())

    cdef keep_up(self):
        """Notice what has changed."""
        if self.memory.context != self.context:
            self.forget()
        elif self.memory.moves != self.moves:
            self.follow()

    cdef follow(self):
        """Entries of a table have changed: the loops go by what they point to now."""
        cdef Task task
        self.moves = self.memory.moves
        for task in self.live:
            if task.loop is not None:
                self.look_up(task)
                if task.a.source == AT_RANDOM and task.a.pfn >= 0:
                    task.a.pfn = task.table.at(task.a.first + permuted(&task.a, task.a.k))

    cdef look_up(self, Task task):
        """Note what the entries of the table that a loop is in point to, if it is over guest pages."""
        cdef Actor *a = &task.a
        cdef Table table = task.table
        if table is None:
            a.moved = a.behind = NULL
        else:
            a.base, a.moved, a.behind, a.entries = table.base, table.moved, table.behind, table.pages

    cdef renumber(self):
        """Give away the rows of steps that no loop is in."""
        cdef Task task
        old = self.steps
        memset(self.s.variant, 0xff, sizeof(self.s.variant))
        self.steps, self.rows = [], {}
        for task in self.live:
            if task.loop is not None:
                task.a.row = self.kept(old[task.a.row])
                task.a.row0 = self.kept(old[task.a.row0])
                task.a.row_each = self.kept(old[task.a.row_each])
                task.a.row_last = self.kept(old[task.a.row_last])

    cdef int kept(self, key) except -1:
        """The new row of a step that had another one."""
        return self.row_of(key[:2], key[2:])

    cdef call_step(self, int row, int64_t pfn, Task task):
        """Run a step's function in Python."""
        function, arguments, table, *_ = self.steps[row]
        page = Page(self.memory, pfn)
        if table is None:
            return function(*arguments, page)
        return function(*arguments, page, guest_page(&task.a, pfn) << 12)

    cdef learn(self, int row, int cls, int64_t pfn, Task task):
        """Run a step on a scratch copy of a page of class `cls`, and table what it did."""
        cdef Memory memory = self.memory
        cdef Entry *x
        cdef int go = -1, gift
        cdef _Recording recording = _Recording(pfn, self.s.reserve)
        _, _, recording.table, recording.gathers, recording.deferred, recording.lock = self.steps[row]
        if recording.table is not None:
            recording.g = guest_page(&task.a, pfn)
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
            fresh_after = memory.scratch.get(recording.fresh)
            change = memory.scratch_free
            memory.scratch = None
            memory.recording = None
        x = &self.s.table[row * CLASSES + cls]
        if recording.guarded and self.s.variant[row] < 0 and row not in self.variant_rows():
            if len(self.steps) + VARIANTS <= ROWS:
                self.s.variant[row] = len(self.steps)
                for _ in range(VARIANTS):
                    self.steps.append(self.steps[row])
                return
            slow = True         # there is no room for what it may depend on
        if recording.fresh >= 0:
            # one free frame less, which got behind the guest page; the frame that was there is as free as before
            slow = slow or recording.effect != MOVED or change != -1 or (
                (after.holder == Holder.FREE) != (before.holder == Holder.FREE))
            change = 0
        slow = slow or (recording.list_page is not None) != (recording.effect == NEW_LIST)
        if following is not None and not slow:
            try:
                go = self.following_row(following, row)
            except Exception:
                slow = True
        calls = tuple(recording.calls.items())
        if x.kind == TABLED:
            # it is known but for frames of this class: they may make no difference to anything else
            slow = slow or recording.effect != MOVED or (x.ns, x.go, x.locks, x.after) != (
                recording.ns, go, recording.locks, memory.class_of(after)) or (
                dict(self.entry_calls.get(row * CLASSES + cls, ())) != recording.calls)
        elif recording.effect >= NEW_LIST and not slow:
            gift = self.gift_of(recording.list_page)
            slow = gift < 0
            if not slow:
                x.gift = gift
        if slow:
            x.kind = SLOW
            return
        x.kind = TABLED
        x.ns = recording.ns
        x.after = memory.class_of(after)
        x.go = go
        x.effect = recording.effect
        if x.effect == MOVED:
            memory.wanted.add(int(x.after))
            self.s.gifts[x.gift][memory.s.cls[recording.fresh]] = memory.class_of(fresh_after)
            memory.wanted.clear()
        x.freed = change
        x.locks = recording.locks
        if calls:
            self.entry_calls[row * CLASSES + cls] = calls

    cdef int gift_of(self, list_page) except -2:
        """A number for what becomes of free frames, -1: there is none left. Equal list pages share one."""
        cdef int gift
        if list_page is not None:
            for gift, fields in self.list_pages.items():
                if fields == list_page:
                    return gift
        gift = self.s.gifts_n
        if gift == GIFTS:
            return -1
        self.s.gifts_n += 1
        memset(self.s.gifts[gift], 0xff, sizeof(self.s.gifts[0]))
        if list_page is not None:
            self.list_pages[gift] = list_page
        return gift

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
        cdef int64_t fresh = peek_free(&self.memory.s) if x.kind == TABLED and x.effect == MOVED else -1
        if (x.kind == UNKNOWN and self.tabled) or (
                fresh >= 0 and task.a.moved != NULL and self.s.gifts[x.gift][self.memory.s.cls[fresh]] < 0):
            self.learn(self.s.ask_row, self.s.ask_class, self.s.ask_pfn, task)
        elif (x.kind == TABLED and x.effect == NEW_LIST and spare >= 0
                and self.s.gifts[x.gift][self.memory.s.cls[spare]] < 0
                and not self.memory.records_[self.memory.s.cls[spare]].state):
            cls = self.memory.s.cls[spare]
            record = self.memory.records_[cls]
            self.s.gifts[x.gift][cls] = self.memory.class_of(record._replace(**self.list_pages[x.gift]))
        else:
            self.run_step(task)

    @cython.boundscheck(True)
    cdef Task task_of(self, Actor *actor):
        return self.tasks[actor.index]

    cdef run_step(self, Task task):
        """One page step in Python."""
        cdef int64_t pfn = position(&self.s, &task.a)
        cdef int effect = NOTHING
        self.at_frame = pfn
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
            self.note_cleaned(task)
        self.s.steps += 1
        task.a.admitted = False
        if task.a.state == DONE:
            return
        if self.leaving:
            if task.a.source == FROM_LIST:
                take_at_hand(task.a.deferred)
            self.finish_loop(task, True)
            return
        if following is not None:
            if len(self.steps) == ROWS:
                self.forget()
            task.a.row = self.following_row(following, task.a.row)
            return
        if self.gathered is not None:
            effect = GATHERED
        if leave_page(&task.a, pfn, effect) == RELEASED:
            self.hand_over(task.loop.lock, task.a.clock)

    # -- running -----------------------------------------------------------------------------------------------

    cdef enter(self, Task task, Loop loop):
        """Begin a loop."""
        cdef Actor *a = &task.a
        cdef Table table
        cdef int i
        foreign = loop.deferred is not None and loop.deferred.memory is not self.memory
        for table in (loop.table, *loop.beyond):
            foreign = foreign or (table is not None and table.memory is not self.memory)
        if foreign:
            raise ValueError(f"{task.name} yielded a loop over pages of another memory")
        if loop.source == FROM_LIST and loop.deferred.s.under:
            raise RuntimeError(f"{task.name} tries to empty a list that another task is emptying")
        if len(self.steps) + 3 > ROWS:
            self.forget()
        task.loop, task.table, task.beyond = loop, loop.table, loop.beyond
        settle(a)
        forget_chains(a)
        a.state = LOOPING
        a.source, a.first, a.n, a.k = loop.source, loop.first, loop.n, 0
        of_loop = (loop.each is not None, loop.deferred, loop.lock)
        a.row0 = a.row = a.row_each = a.row_last = self.row_of(loop.step, (loop.table, *of_loop))
        a.batch, a.batch_n, a.batch_i = loop.batch, 0, 0
        a.locked = a.working = a.stop = a.admitted = False
        a.begins = loop.after
        a.more = bool(loop.beyond)
        a.pfn = -1
        a.last_class = -1
        a.lock = &loop.lock.s if loop.lock is not None else NULL
        a.deferred = &loop.deferred.s if loop.deferred is not None else NULL
        self.look_up(task)
        if loop.each is not None:
            a.row_each = self.row_of(loop.each, (None, *of_loop))
            free(a.pages)
            a.pages = <int64_t *> malloc(loop.batch * sizeof(int64_t))
            if a.pages == NULL:
                raise MemoryError("no memory for a batch")
        if loop.stop is not None:
            a.stop = bool(loop.stop())
        if loop.source == FROM_LIST:
            a.row_last = self.row_of(loop.last, (None, *of_loop))
            a.n = begin_emptying(a.deferred)
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

    cdef cross_seam(self, Task task):
        """Go on in the next table of a walk; the batch and the lock stay as they are."""
        task.table, task.beyond = task.beyond[0], task.beyond[1:]
        task.a.more = bool(task.beyond)
        self.look_up(task)
        if len(self.steps) == ROWS:
            self.forget()
        task.a.row0 = task.a.row = self.row_of(task.loop.step, (task.table, *self.steps[task.a.row0][3:]))
        task.a.first, task.a.k, task.a.n = 0, 0, task.table.pages

    cdef finish_loop(self, Task task, bint exhausted=False):
        """A loop has come to its end: the generator is resumed with the number of pages done."""
        task.send = None if exhausted else task.a.k
        task.a.state = AWAKE
        self.abandon(task, task.a.clock)
        task.loop = None

    cdef abandon(self, Task task, int64_t clock):
        """Give back at `clock` what a loop has taken for itself: the lock, and the rest of the list."""
        if task.a.locked:
            task.a.locked = False
            self.give_up(task.loop.lock, task.a.locked_since, clock)
        if task.loop.source == FROM_LIST:
            end_emptying(task.a.deferred)

    cdef resume(self, Task task):
        """Let a generator run to its next waiting point."""
        cdef Signal signal
        cdef Lock lock
        self.current = task
        self.pending = 0
        cdef PyObject *given = NULL
        send, task.send = task.send, None
        try:
            # `send` would end in a StopIteration, for which Cython runs Python code: an interrupt that came right then
            # was lost, and ended Python
            ended = PyIter_Send(task.generator, send, &given) == PYGEN_RETURN
            request = <object> given
            Py_DECREF(request)
            if ended:
                if task.a.state == DONE:
                    return
                task.value = request
                task.a.clock += self.pending
                self.pending = 0
                task.history.append((task.a.clock, None, task.a.done))
                self.end(task)
                return
        except BaseException:
            # its generator is spent: a task that raised an error has ended
            if task.a.state != DONE:
                self.end(task)
            raise
        finally:
            task.a.clock += self.pending
            self.pending = 0
            self.left_at = task.a.clock
            self.current = None
            self.note_cleaned(task)
        if task.a.state == DONE:
            # it has ended itself, and went on to here
            task.generator.close()
            return
        if request is None:
            pass
        elif isinstance(request, Loop):
            self.enter(task, request)
        elif isinstance(request, int):
            self.current = task
            try:
                task.a.clock += self.passing(request, "yielded")
            finally:
                self.current = None
        elif isinstance(request, Signal):
            signal = request
            if not signal.is_set:
                task.a.state = ASLEEP
                signal.waiting.append(task)
        elif isinstance(request, tuple) and len(request) == 2 and isinstance(request[0], Lock):
            lock, write = request
            if not lock.queue and lock.take(write):
                task.holds[lock] = task.a.clock
            else:
                self.sleep_for(task, lock, write, False)
        else:
            raise TypeError(
                f"{task.name} yielded {request!r} in {self.function_of(task)}: use a loop, nanoseconds, a lock "
                "request, a signal or None")

    cdef void note_cleaned(self, Task task) noexcept:
        """What has acted in Python may have cleaned an old page, up to now."""
        if self.memory.s.cleaned:
            self.memory.s.cleaned = False
            self.s.cleaned_at = max(self.s.cleaned_at, task.a.clock)

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

    def kill(self, Task task not None):
        """End a task where it stands. It lets go of its locks."""
        self.check(task)
        if self.memory.scratch is not None:
            raise NotTabled("a step that ends a task")
        cdef Lock lock
        if task.a.state == DONE:
            return
        # it was there until now: who waits for it must not be woken in the past
        cdef int64_t clock = max(task.a.clock, self.now)
        if task.a.state == ASLEEP:
            task.a.clock = clock
        if task.loop is not None:
            self.abandon(task, clock)
        if task.wants is not None:
            lock = task.wants
            lock.queue = deque(entry for entry in lock.queue if entry[0] is not task)
            self.hand_over(lock, self.now)
        for lock, since in list(task.holds.items()):
            self.give_up(lock, since, clock)
        task.holds.clear()
        saved, pending = self.current, self.pending
        if task is not self.current or task.a.state == LOOPING:
            task.generator.close()
        task.history.append((clock, None, task.a.done))
        if task is not saved:
            self.pending = 0        # what the acting task has spent is no time of this one
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
        elif code == TOO_LATE:
            raise OverflowError(
                f"{task.name} is in {self.function_of(task)} 146 years after the machine was made, where time ends")
        elif code == ASK:
            self.answer()
        elif code == FINISHED:
            self.finish_loop(task)
        elif code == SEAM:
            self.cross_seam(task)
        elif code == EXHAUSTED:
            self.finish_loop(task, True)
        elif code == BLOCKED:
            self.sleep_for(task, task.loop.lock, False, True)
        elif code == RELEASED:
            self.hand_over(task.loop.lock, task.a.clock)
        self.keep_up()

    def run(self):
        """Run until no task is left.

        Raises
        ------
        Deadlock
            If tasks are left and none can run.
        RuntimeError
            If the tasks do not get on: a million steps, and no page done; says in which function. If a run or a step is
            under way; or if an earlier one was stopped in the middle of a step, by an interrupt or
            by an error: what the step was doing is half done, and this engine acts no more.
        """
        self.begin()
        try:
            self.go_on()
        except BaseException as error:
            self.stopped_by(error)
            raise
        finally:
            self.leave()

    cdef int begin(self) except -1:
        """Refuse to run while a run, or a step, is under way, and after one that was not brought to its end."""
        self.usable()
        self.memory.enter()
        if self.running:
            self.memory.leave()
            raise RuntimeError("this machine is running: a step, or a task, cannot let it run or step")
        self.running = True
        return 0

    cdef void leave(self) noexcept:
        self.running = self.amidst = False
        self.memory.leave()

    cdef int usable(self) except -1:
        self.memory.mine()
        if self.broken is not None:
            raise RuntimeError(f"{self.broken} in the middle of a step; make a new machine")
        return 0

    cdef stopped_by(self, error):
        """Remember an error that came in the middle of a step: a page may be half done, no one can tell which."""
        if self.amidst:
            self.broken = f"stopped by {type(error).__name__}" if isinstance(error, Exception) else "interrupted"

    cdef go_on(self):
        """Run, as `run` says."""
        cdef int code
        if self.s.table == NULL:
            # machines of a few pages, stepped by hand, are made by the thousand, and never look into a table
            self.s.table = <Entry *> calloc(ROWS * CLASSES, sizeof(Entry))
            if self.s.table == NULL:
                raise MemoryError("no memory for the table of steps")
        self.amidst = True
        self.keep_up()
        self.make_ring()
        self.amidst = False
        while True:
            with nogil:
                code = burst(&self.s, self.windows)
            if code == IDLE:
                if self.live:
                    raise Deadlock("nothing can run: " + ", ".join(
                        f"{task.name} waits" for task in self.live))
                break
            if code == PAUSE:
                PyErr_CheckSignals()
                self.get_on()
                if self.progress is not None:
                    self.progress(self)
            else:
                self.amidst = True
                self.handle(code)
                self.amidst = False
                self.took_turn()
        self.collect()

    def step(self, Task task=None):
        """Let `task`, or the one furthest behind, do one step: resume it, or one page step. Returns the task.

        A page step is run in Python, so that nothing is hidden in a table.
        """
        if task is not None:
            self.check(task)
        self.begin()
        try:
            return self.one(task)
        except BaseException as error:
            self.stopped_by(error)
            raise
        finally:
            self.leave()

    cdef took_turn(self):
        self.turns += 1
        if self.turns % LOOK == 0:
            self.get_on()

    cdef get_on(self):
        """Say so if the tasks do not get on.

        Whoever waits, trying again and again, waits for one that is further ahead: so it counts only once time is
        beyond where they all were, or stands still.
        """
        cdef Standing now
        cdef Actor *t
        cdef int i
        memset(&now, 0, sizeof(now))
        now.tasks, now.alive = len(self.tasks), self.s.ring_n
        now.acts = self.s.steps + self.turns
        now.moment = now_of(&self.s)
        for i in range(self.s.ring_n):
            t = self.s.ring[i]
            now.pages += t.done
            if t.working:
                now.gathered += t.batch_i
            if t.state != ASLEEP:
                now.horizon = max(now.horizon, t.clock)
        if (now.pages != self.standing.pages or now.gathered != self.standing.gathered
                or now.tasks != self.standing.tasks or now.alive != self.standing.alive):
            self.standing = now
        elif now.acts - self.standing.acts >= PATIENCE and (
                now.moment == self.standing.moment or now.moment > self.standing.horizon):
            task = self.task_of(self.s.who)
            self.standing = now
            raise RuntimeError(
                f"{task.name} does not come to an end: no page was done in {PATIENCE} steps, and it is still in "
                f"{self.function_of(task)}")

    cdef Task one(self, Task task):
        """One step, as `step` says."""
        cdef Actor *a = NULL
        cdef int i, code
        self.amidst = True
        self.keep_up()
        self.make_ring()
        if task is None:
            for i in range(self.s.ring_n):
                if self.s.ring[i].state != ASLEEP and (a == NULL or self.s.ring[i].clock < a.clock):
                    a = self.s.ring[i]
            if a == NULL:
                return None
            task = self.task_of(a)
        if task.a.state == ASLEEP or task.a.state == DONE:
            self.amidst = False
            raise ValueError(f"{task.name} cannot act: it {'waits' if task.asleep else 'is done'}")
        self.s.who = &task.a
        self.at_frame = None
        if task.a.state == AWAKE:
            self.handle(RESUME)
            self.amidst = False
            self.took_turn()
            return task
        code = begin_page(&task.a)
        if code == STEPPED and position(&self.s, &task.a) < 0:
            code = EXHAUSTED
        if code == STEPPED:
            self.run_step(task)
        else:
            self.handle(code)
        self.keep_up()
        self.amidst = False
        self.took_turn()
        return task

    # -- what is known afterwards ------------------------------------------------------------------------------

    def calls(self):
        """All Ultravisor calls made so far, by (command, outcome)."""
        self.memory.mine()
        self.collect()
        total = Counter()
        for task in self.tasks:
            total += task.calls
        return total

    @property
    def cleaned_at(self):
        """When a page of an old configuration (`Memory.old`) was cleaned last, in nanoseconds; -1: none has been.

        Not counted is what the Ultravisor cleans of many pages at once.
        """
        return self.s.cleaned_at

    @property
    def steps_done(self):
        """How many page steps have been done."""
        return self.s.steps

    def sample_every(self, ns):
        """Begin to note memory and progress, at least every `ns` nanoseconds where things change page by page."""
        self.memory.mine()
        cdef int64_t apart = apart_of(ns)
        if self.s.samples == NULL:
            self.s.samples = <int64_t *> malloc(SAMPLES * WIDTH * sizeof(int64_t))
            if self.s.samples == NULL:
                raise MemoryError("no memory for the samples")
        self.s.sample_every = apart
        self.s.sample_next = self.now

    def sample_now(self):
        """Note memory and progress at the present moment; once no task is left, at the end of the last one."""
        self.memory.mine()
        if self.s.m.cls == NULL:
            raise RuntimeError("this memory has been closed: there is nothing to note any more")
        if self.s.sample_every == FOREVER:
            return
        now = self.now if self.live else max((task.clock for task in self.tasks), default=self.left_at)
        sample(&self.s, now)
        if self.s.watched_n:
            film(&self.s, now)

    def watch(self, pages, ns):
        """Film these pages from now on, every `ns` nanoseconds; more rarely as the film gets longer than 256 frames.

        Parameters
        ----------
        pages : sequence of int
            Frame numbers.
        ns : int
        """
        cdef int64_t i, n
        cdef int64_t apart = apart_of(ns)
        cdef str accepted = f"frame numbers from 0 to {self.s.m.pages - 1}, at least one"
        self.memory.mine()
        if not isinstance(pages, Sequence) and not (isinstance(pages, np.ndarray) and pages.ndim):
            raise refused("pages", pages, accepted)
        numbers = [whole(pfn, "pages", accepted) for pfn in pages]
        n = len(numbers)
        if n < 1 or min(numbers) < 0 or max(numbers) >= self.s.m.pages:
            raise refused("pages", pages, accepted)
        if self.s.watched != NULL:
            raise RuntimeError("pages are watched already")
        self.s.watched = <int64_t *> malloc(n * sizeof(int64_t))
        self.s.film = <uint8_t *> malloc(FRAMES * n)
        if self.s.watched == NULL or self.s.film == NULL:
            raise MemoryError("no memory for the film")
        for i in range(n):
            self.s.watched[i] = numbers[i]
        self.s.watched_n = n
        self.s.film_every = apart
        self.s.film_next = self.now

    def film(self):
        """What was filmed.

        Returns
        -------
        times : numpy.ndarray of int64, shape (frames,)
        classes : numpy.ndarray of uint8, shape (frames, pages watched)
        records : list of list of Record
            For each frame of the film, what its classes stand for, by number.
        """
        cdef int64_t frames = self.s.film_n, n = self.s.watched_n
        self.memory.mine()
        if frames == 0:
            return np.zeros(0, np.int64), np.zeros((0, n), np.uint8), []
        known = [*self.memory.generations, self.memory.records_]
        times = np.asarray(<int64_t[:frames]> self.s.film_time).copy()
        classes = np.asarray(<uint8_t[:frames, :n]> self.s.film).copy()
        return times, classes, [known[self.s.film_generation[i]] for i in range(frames)]

    def samples(self):
        """What was noted: int64, one row a sample.

        Columns: time, pages by holder (six), not yet clean, charged, then pages done by the first tasks.
        """
        self.memory.mine()
        if self.s.sample_n == 0:
            return np.zeros((0, WIDTH), np.int64)
        return np.asarray(<int64_t[:self.s.sample_n, :WIDTH]> self.s.samples).copy()
