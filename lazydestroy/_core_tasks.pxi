# Locks, loops over pages, and the tasks that are in them. Included by _core.pyx.

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
    def readers(self):
        """Tasks that hold it for reading."""
        return self.s.readers

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
    """A reader, or the writer, lets go after holding the lock for `ns`."""
    if lock.writer:
        lock.writer = False
    else:
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
    cdef bint after
    cdef tuple beyond           # tables that the walk goes on in
    cdef int64_t first, n, batch, rate
    cdef uint64_t seed

    def __cinit__(self):
        self.beyond = ()

    def __repr__(self):
        return f"<Loop over {self.n} pages>"


cdef running_generator():
    """What a reader would call the innermost generator that runs, if there is one."""
    frame = inspect.currentframe()
    while frame is not None and not frame.f_code.co_flags & inspect.CO_GENERATOR:
        frame = frame.f_back
    return None if frame is None else frame.f_code.co_qualname


Step = tuple
"""What `step` makes: a function and its leading arguments."""


def step(function, *arguments):
    """A page step: `function` with leading `arguments`. Equal steps share what has been learned of them."""
    return (function, arguments)


def _as_step(function):
    made = function if isinstance(function, tuple) else (function, ())
    if len(made) != 2 or not callable(made[0]) or not isinstance(made[1], tuple):
        raise TypeError(f"{function!r} is no page step: use a function, or what step() makes of one")
    return made


cdef name_of(step):
    """What a reader would call a step, or the function that a generator is in: its qualified name."""
    function = step[0] if isinstance(step, tuple) else step
    while inspect.isgenerator(getattr(function, "gi_yieldfrom", None)):
        function = function.gi_yieldfrom
    return getattr(function, "__qualname__", repr(function))


def visit(Table table not None, first, pages, function, order="sequential", seed=0, Lock lock=None):
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


def walk(Table table not None, first, pages, function, each=None, batch=0, Lock lock=None, stop=None,
         bint after=False, DeferredList deferred=None, beyond=()):
    """A walk of page-table entries, present or not, upwards.

    Parameters
    ----------
    table : Table
    first, pages : int
        Entries ``first`` to ``first + pages``.
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
        Asked before every batch, the first one included; the walk ends when it says True.
    after : bool
        Ask `stop` after every batch instead: the first one is done whatever it says.
    deferred : DeferredList, optional
        The list that `function` may put pages on.
    beyond : iterable of Table, optional
        Tables whose entries come behind those. A batch goes on across the seam.
    """
    cdef Loop loop = visit(table, first, pages, function, "sequential", 0, lock)
    loop.beyond = tuple(beyond)
    for other in loop.beyond:
        if not isinstance(other, Table):
            raise TypeError(f"beyond={beyond!r}: {other!r} is no Table")
    if each is not None:
        if not 1 <= batch <= MOST_GATHERED:
            raise ValueError(f"batch={batch}: a batch has from 1 to {MOST_GATHERED} pages")
        loop.each, loop.batch = _as_step(each), batch
    loop.stop, loop.after = stop, after
    loop.deferred = deferred
    return loop


def empty_list(DeferredList deferred not None, function, last):
    """A loop that empties a list: ``function(page)`` for each page on it, ``last(page)`` for each list page done.

    It takes over what is on the list when it begins, and does the newest list page first. What is put on the list
    meanwhile stays there.
    """
    cdef Loop loop = Loop()
    loop.source = FROM_LIST
    loop.deferred = deferred
    loop.step, loop.last = _as_step(function), _as_step(last)
    return loop


def take_free(pages, function, rate):
    """A loop that takes one free page after the other, `rate` bytes a second: ``function(page)`` for each."""
    cdef Loop loop = Loop()
    if rate < 1:
        raise ValueError(f"rate={rate}: use at least one byte a second")
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
    generator : generator
        What it runs.
    """

    cdef Actor a
    cdef Memory memory
    cdef readonly str name
    cdef readonly object generator
    cdef object send
    cdef readonly object calls
    cdef readonly object value
    cdef readonly list history
    cdef Lock wants             # while asleep for it
    cdef dict holds             # Lock -> clock at which it was taken
    cdef int64_t asleep_since
    cdef bint retry             # asleep in the middle of a loop
    cdef readonly Signal finished
    cdef Loop loop
    cdef Table table            # the one that the loop is in
    cdef tuple beyond           # those that it goes on in

    def __cinit__(self):
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
    def holds_lock(self):
        """Whether it holds a lock."""
        return bool(self.holds) or self.a.locked

    @property
    def progress(self):
        """(pages done, pages in all) of the loop at hand, or None."""
        return (self.a.k, self.a.n) if self.a.state == LOOPING else None

    @property
    def position(self):
        """Where it stands in its loop: pages done, pages in all, the batch at hand; and whether it sleeps.

        At the end: whether it is to stop, if at all, only after its first batch.
        """
        if self.memory is not None:
            self.memory.mine()
        batch = tuple([self.a.pages[i] for i in range(self.a.batch_n)]) if self.a.batch_n else ()
        looping = self.loop is not None
        return (self.a.state, self.a.k if looping else -1, self.a.n if looping else -1, self.a.working, self.a.batch_i,
                batch, self.a.locked, self.a.stop, self.retry, self.a.begins)

    @property
    def at_end(self):
        """Whether its loop has no page left, so that its next step does nothing but leave the loop."""
        if self.a.state != LOOPING or self.a.working or self.a.batch_n:
            return False
        stops = self.a.stop and not self.a.begins and not self.a.locked
        return stops or (self.a.k >= self.a.n and not self.a.more)

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


cdef class _Recording:
    """What a step did while it was learned."""

    cdef int64_t ns
    cdef object calls
    cdef int effect
    cdef int64_t pfn
    cdef bint gathers           # the loop has a batch
    cdef DeferredList deferred  # the list of the loop
    cdef Lock lock              # the lock of the loop
    cdef Table table            # of the loop, if it is over guest pages
    cdef int64_t g              # the guest page
    cdef int64_t fresh          # the free frame that the step was given, -1: none
    cdef bint guarded           # asked for room or memory
    cdef int64_t reserve        # the engine's
    cdef bint locks             # took the lock for reading
    cdef dict list_page         # fields of the list page that it allocated

    def __init__(self, pfn, reserve):
        self.calls = Counter()
        self.pfn = pfn
        self.reserve = reserve
        self.fresh = -1

    cdef note(self, int effect, pfn):
        if self.effect != NOTHING or (effect == NEW_LIST) != (self.list_page is not None):
            raise NotTabled("a step that does more than one thing")
        if effect != NEW_LIST and pfn != self.pfn:
            raise NotTabled("a step that does something with another page")
        if effect == GATHERED and not self.gathers:
            raise NotTabled("a step that gathers where no batch is")
        self.effect = effect


class _ListPage:
    """Stands for the frame that the allocator will give while a step is learned: one that the kernel can write to."""

    pfn = -1
    state = 0
