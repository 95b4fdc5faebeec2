# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The bare loop: two cursors over one byte a page, and nothing that a loop need not have.

One cursor cleans, one touches; the one whose clock is behind does its next page. No batches, references, locks, tables,
samples, interrupts, tasks or vCPUs, and one visit to a page where the model does three to seven steps.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t


cdef enum:
    OLD = 0                 # the page is the old guest's
    CLEAN = 1
    OWN = 2                 # the new guest's


# What a visit does, and its place among prices and counts
cdef enum:
    CLEANED = 0
    CLEAN_ALREADY = 1
    REFUSED = 2
    TAKEN = 3               # touched while it was the old guest's: destroyed and imported
    IMPORTED = 4
    TOUCHED = 5
    VISITS = 6


cdef struct Order:
    int64_t n
    uint64_t key0, key1, mask
    int shift


cdef inline int64_t at_random(Order order, int64_t k) noexcept nogil:
    """Where the touching cursor is on its visit number `k`: the bijection of ``permuted`` in `lazydestroy._core`."""
    cdef uint64_t x = <uint64_t> k
    while True:
        x = (x * <uint64_t> 0x9e3779b97f4a7c15 + order.key0) & order.mask
        x ^= x >> order.shift
        x = (x * <uint64_t> 0xbf58476d1ce4e5b9 + order.key1) & order.mask
        x ^= x >> order.shift
        x = (x * <uint64_t> 0x94d049bb133111eb + order.key0) & order.mask
        if x < <uint64_t> order.n:
            return <int64_t> x


cdef inline int64_t clean(uint8_t *page, const int64_t *ns, int64_t *count) noexcept nogil:
    """The cleaning cursor's visit to a page. Returns how long it takes."""
    if page[0] == OLD:
        page[0] = CLEAN
        count[CLEANED] += 1
        return ns[CLEANED]
    if page[0] == CLEAN:
        count[CLEAN_ALREADY] += 1
        return ns[CLEAN_ALREADY]
    count[REFUSED] += 1
    return ns[REFUSED]


cdef inline int64_t touch(uint8_t *page, const int64_t *ns, int64_t *count) noexcept nogil:
    """The touching cursor's visit to a page. Returns how long it takes."""
    if page[0] == OLD:
        page[0] = OWN
        count[TAKEN] += 1
        return ns[TAKEN]
    if page[0] == CLEAN:
        page[0] = OWN
        count[IMPORTED] += 1
        return ns[IMPORTED]
    count[TOUCHED] += 1
    return ns[TOUCHED]


cdef inline void play(uint8_t *page, Order order, bint scattered, const int64_t *ns, int64_t *count) noexcept nogil:
    cdef int64_t cleaning = 0, touching = 0, cleaner = 0, toucher = 0
    while cleaning < order.n or touching < order.n:
        if cleaning < order.n and (cleaner <= toucher or touching == order.n):
            cleaner += clean(page + cleaning, ns, count)
            cleaning += 1
        else:
            toucher += touch(page + (at_random(order, touching) if scattered else touching), ns, count)
            touching += 1


def two_cursors(uint8_t[::1] pages not None, prices, bint scattered=False, uint64_t key0=0, uint64_t key1=0):
    """Clean and touch all pages. They must hold zeros.

    Parameters
    ----------
    pages : uint8[:]
        One byte for each page.
    prices : sequence of six int
        Nanoseconds of a visit that cleans a page, finds it clean, is refused; that takes an old page, imports a clean
        one, touches its own.
    scattered : bool
        The touching cursor goes in random order.
    key0, key1 : int
        Keys of the order.

    Returns
    -------
    list of six int
        How many visits did what, in the same order.
    """
    cdef int64_t ns[VISITS]
    cdef int64_t count[VISITS]
    cdef Order order
    cdef int i
    for i in range(VISITS):
        ns[i], count[i] = prices[i], 0
    order.n, order.key0, order.key1, order.mask = len(pages), key0, key1, 1
    while order.mask < <uint64_t> order.n - 1:
        order.mask = 2 * order.mask + 1
    order.shift = max(1, int(order.mask).bit_length() // 2)
    if order.n:
        with nogil:
            if scattered:
                play(&pages[0], order, True, ns, count)
            else:
                play(&pages[0], order, False, ns, count)
    return [count[i] for i in range(VISITS)]
