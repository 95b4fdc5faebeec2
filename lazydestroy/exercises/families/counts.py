"""Problems about how many: Ultravisor Calls, pages, and memory that is donated."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from ...costs import Costs
from ...machine import LOW_MEMORY
from ...page import PAGE_SIZE
from ...scenarios import reboot, shutdown
from ...units import format_count, format_duration, format_size, rate, size
from ...uvcb import UVC
from ..numbers import COUNT, SIZE, TIME, Draw, Family, Numbers, Slip, Solved


def _draw_510(draw: Draw) -> dict[str, Any]:
    return {
        "memory": draw.choose("memory", ("4 GiB", "6 GiB", "8 GiB", "12 GiB", "16 GiB", "32 GiB", "64 GiB")),
        "capacity": draw.choose("capacity", (509, 509, 254, 1018, 127)),
    }


def _exports(numbers: Numbers) -> Solved:
    capacity = numbers["capacity"]
    run = shutdown(numbers["memory"], list_page_capacity=capacity)
    exports = run.uvcs[UVC.CONV_FROM_SEC_STOR]
    pages = format_count(run.pages)
    return Solved(
        exports,
        (
            (
                "When the list has no room, the page at hand is exported, and then a list page is allocated; the "
                f"next {capacity} pages are set aside. So of each {capacity + 1} pages one is exported."
            ),
            (
                f"{pages} / {capacity + 1}, rounded up (the very first page finds no list page): "
                f"{format_count(-(-run.pages // (capacity + 1)))}."
            ),
            f"The model counts {format_count(exports)} CONV_FROM_SEC_STOR.",
        ),
        (
            Slip(run.pages - exports, "That is how many are set aside. And those for which there was no room?"),
            Slip(
                run.pages, "That is the kernel before the series. What happens now to a page for which there is room?"
            ),
            Slip(
                -(-run.pages // capacity),
                "Almost: the page that finds no room goes on no list. Of how many pages is one exported, if "
                f"{capacity} fit?",
            ),
            Slip(0, "Where does the memory for the list come from, and what becomes of the page at hand meanwhile?"),
        ),
        f'ld.shutdown("{numbers["memory"]}", list_page_capacity={capacity}).uvcs[ld.UVC.CONV_FROM_SEC_STOR]',
    )


ONE_IN_510 = Family(
    name="one-in-510",
    title="pages that are exported although all is lazy",
    lesson="course/05-lazy-shutdown.ipynb",
    draw=_draw_510,
    state=lambda numbers: (
        f"The process of a guest of {numbers['memory']}, all of it secure, is killed, with all eleven patches. A "
        f"list page has room for {numbers['capacity']} frame numbers"
        + ("" if numbers["capacity"] == 509 else " (not the usual 509)")
        + ", and there is always memory for another. How many pages are exported?"
    ),
    solve=_exports,
    hints=(
        "Follow the first pages that are unmapped: which finds no room, and what is done with it?",
        "After how many further pages is there no room again?",
    ),
    kind=COUNT,
    tolerance=Fraction(1, 2000),
)


def _draw_uvcs(draw: Draw) -> dict[str, Any]:
    return {
        "memory": draw.choose("memory", ("3 GiB", "4 GiB", "6 GiB", "8 GiB", "12 GiB", "16 GiB", "24 GiB", "32 GiB")),
        "used": draw.choose("used", (0.5, 0.75, 1.0)),
        "which": draw.choose("which", ("all", "without effect")),
    }


def _destroys(numbers: Numbers) -> Solved:
    run = reboot(numbers["memory"], used=numbers["used"], new_guest="normal", touch="none")
    destroy = UVC.DESTR_SEC_STOR
    every, idle = run.uvcs[destroy], run.noop_uvcs[destroy]
    low = min(run.pages, LOW_MEMORY // PAGE_SIZE)
    answer, other = (every, idle) if numbers["which"] == "all" else (idle, every)
    return Solved(
        answer,
        (
            f"In the foreground what is mapped of the first 2 GiB is destroyed: {format_count(low)} pages.",
            (
                "The thread walks through the whole address space, the first 2 GiB once more: for all "
                f"{format_count(run.pages)} pages that are mapped it makes the call again."
            ),
            (
                f"Together {format_count(low + run.pages)} calls; the second ones for the first 2 GiB, "
                f"{format_count(low)}, find a page that is clean already."
            ),
            f"The model counts {format_count(every)} DESTR_SEC_STOR, {format_count(idle)} of them without effect.",
        ),
        (
            Slip(other, "Read the question once more: is it all calls, or only those without effect?"),
            Slip(run.pages, "Once for each page? Which pages does the thread visit that were clean before it began?"),
            Slip(
                size(numbers["memory"]) // PAGE_SIZE + LOW_MEMORY // PAGE_SIZE,
                "Has the guest used all its memory? For an entry that is not there no call is made.",
            ),
            Slip(run.pages - low, "That is what only the thread destroys. Does it visit nothing else?"),
        ),
        f'run = ld.reboot("{numbers["memory"]}", used={numbers["used"]}, new_guest="normal", touch="none")\n'
        f"run.{'uvcs' if numbers['which'] == 'all' else 'noop_uvcs'}[ld.UVC.DESTR_SEC_STOR]",
    )


UVC_COUNTS = Family(
    name="uvc-counts",
    title="how many destroys a lazy reboot takes",
    lesson="course/04-lazy-reboot.ipynb",
    draw=_draw_uvcs,
    state=lambda numbers: (
        f"A guest of {numbers['memory']} has made {numbers['used'] * 100:g}\u00a0% of its memory secure, from "
        "address 0 up. It is reset with all eleven patches, and goes on as a normal guest, which uses none of its "
        "memory but what its boot loader needs: the first 64 MiB. How many times is DESTR_SEC_STOR called, in the "
        "foreground and by the thread together" + ("?" if numbers["which"] == "all" else ", without any effect?")
    ),
    solve=_destroys,
    hints=(
        "What does patch 8 destroy before the next guest runs?",
        "Where does the thread begin its walk, and for which entries does it make a call?",
    ),
    kind=COUNT,
    tolerance=Fraction(1, 2000),
)


def _draw_donated(draw: Draw) -> dict[str, Any]:
    return {
        "memory": draw.choose("memory", ("8 GiB", "16 GiB", "32 GiB", "48 GiB", "64 GiB", "128 GiB", "256 GiB")),
        "zombies": draw.choose("zombies", (2, 3, 4, 5, 6, 8)),
        "other": draw.choose("other", ("4 GiB", "12 GiB", "24 GiB")),
    }


def _donated_by(memory: str) -> int:
    """What one zombie holds, in bytes, as a run of it shows."""
    return reboot(memory, touch="none", used=0.01).configurations[0].donated * PAGE_SIZE


def _mib(amount: int) -> str:
    return f"{amount / (1 << 20):.10g} MiB"


def _donated(numbers: Numbers) -> Solved:
    one, other = _donated_by(numbers["memory"]), _donated_by(numbers["other"])
    big, small = size(numbers["memory"]), size(numbers["other"])
    slope = Fraction(one - other, big - small)
    base = other - int(slope * small)
    every = one * numbers["zombies"]
    return Solved(
        every,
        (
            (
                "What is donated has a part that is always the same, and one that grows with the guest. A guest of "
                f"{numbers['other']} holds {_mib(other)}; one GiB more is {_mib(int(slope * (1 << 30)))} more."
            ),
            f"So a guest of {numbers['memory']} holds {_mib(base)} + {_mib(int(slope * big))} = {_mib(one)}.",
            (
                f"{numbers['zombies']} zombies hold {_mib(every)}, until the thread of each has destroyed its "
                "configuration."
            ),
        ),
        (
            Slip(one, "That is one of them. When does a zombie give its donated storage back?"),
            Slip(
                other * numbers["zombies"],
                "That is for the small guest. Which part of what is donated grows with the guest's size?",
            ),
            Slip(big * numbers["zombies"], "That is the guest's own memory. It is the same memory for all of them."),
        ),
        f'one = ld.reboot("{numbers["memory"]}", touch="none", used=0.01).configurations[0].donated * 4096\n'
        f"one * {numbers['zombies']} / 2**20  # MiB",
    )


def _state_donated(numbers: Numbers) -> str:
    other = _donated_by(numbers["other"])
    one_more = _donated_by("1 TiB") - _donated_by("1023 GiB")
    return (
        f"A guest of {numbers['memory']} is reset again and again, so fast that {numbers['zombies']} zombies are "
        "waiting for their threads. Each holds the storage that was donated for its configuration. For a guest of "
        f"{numbers['other']} that is {_mib(other)}, and it is {_mib(one_more)} more for each GiB. (What real "
        "firmware wants is not public; the model assumes it.) How much memory do these zombies hold together?"
    )


DONATED_STORAGE = Family(
    name="donated-storage",
    title="what zombies hold",
    lesson="reviewers/the-rest-of-the-thread.ipynb",
    draw=_draw_donated,
    state=_state_donated,
    solve=_donated,
    hints=(
        "How much does one zombie hold: a part that is always the same, and one that grows with the guest?",
        "When is donated storage given back: when the guest is reset, or when its configuration is destroyed?",
    ),
    kind=SIZE,
    tolerance=Fraction(3, 1000),
)


def _draw_oom(draw: Draw) -> dict[str, Any]:
    return {
        "memory": draw.choose("memory", ("16 GiB", "32 GiB", "48 GiB", "64 GiB")),
        "free": draw.choose("free", (2, 3, 4, 6, 8)),
        "demand": draw.choose("demand", (4, 5, 6, 8, 10)),
        "destroy": draw.choose("destroy", ("1.5 µs", "1.8 µs", "2 µs", "2.5 µs", "3 µs")),
    }


def _host(numbers: Numbers) -> str:
    return f"{size(numbers['memory']) // (1 << 30) + numbers['free']} GiB"


def _oom(numbers: Numbers) -> Solved:
    costs = Costs(destroy=numbers["destroy"])
    demand = f"{numbers['demand']} GiB/s"
    run = shutdown(numbers["memory"], host_memory=_host(numbers), demand=demand, costs=costs)
    killed = next(event.time_ns for event in run.events if event.kind == "oom")
    assert run.downtime_ns is not None
    row = run.memory[run.memory["time"] <= run.downtime_ns][-1]
    free = int(row["free"]) * PAGE_SIZE
    freed = Fraction(PAGE_SIZE * 10**9, costs.destroy + costs.free)
    lasts = Fraction(free * 10**9) / (rate(demand) - freed)
    return Solved(
        killed - run.downtime_ns,
        (
            (
                f"When wait() returns, {format_size(free)} are free: what was free before, without donated storage "
                "and list pages. (The guest's own pages are set aside.)"
            ),
            (
                f"From then on {demand} are taken. The thread gives back a page each "
                f"{format_duration(costs.destroy + costs.free)}: {float(freed) / (1 << 30):.2f} GiB/s."
            ),
            (
                f"{format_size(free)} / ({numbers['demand']} − {float(freed) / (1 << 30):.2f}) GiB/s = "
                f"{format_duration(int(lasts))}."
            ),
            f"The model computes {format_duration(killed - run.downtime_ns)} after wait() has returned.",
        ),
        (
            Slip(
                int(Fraction(free * 10**9, rate(demand))),
                "Is nothing given back meanwhile? How fast does the thread free pages?",
            ),
            Slip(killed, "From which moment are you counting? The demand begins when wait() returns."),
            Slip(
                int(Fraction((numbers["free"] << 30) * 10**9) / (rate(demand) - freed)),
                "Almost: not all of that is free. What was donated for the guest is not, as long as its "
                "configuration is there.",
            ),
            Slip(
                int(Fraction(size(_host(numbers)) * 10**9) / (rate(demand) - freed)),
                "The guest's pages are not free when wait() returns. What are they?",
            ),
        ),
        f'run = ld.shutdown("{numbers["memory"]}", host_memory="{_host(numbers)}", demand="{demand}",\n'
        f'                  costs=ld.Costs(destroy="{numbers["destroy"]}"))\n'
        'next(event.time_ns for event in run.events if event.kind == "oom") - run.downtime_ns',
    )


OUT_OF_MEMORY = Family(
    name="out-of-memory",
    title="when memory runs out",
    lesson="reviewers/exhausting-memory.ipynb",
    draw=_draw_oom,
    state=lambda numbers: (
        f"A host of {_host(numbers)} has one guest of {numbers['memory']}, all of it secure, and nothing else. The "
        "guest's process is killed, with all eleven patches; its pages are set aside, and a thread destroys them: "
        f"{numbers['destroy']} a page, and {format_duration(Costs().free)} to free it. As soon as wait() has "
        f"returned, another process allocates {numbers['demand']} GiB a second. How long after that moment does it "
        "find no memory, and is killed?"
    ),
    solve=_oom,
    hints=(
        "How much is free at that moment? The guest's pages are not.",
        "How many pages does the thread give back in a second, and how many are taken?",
    ),
    kind=TIME,
    tolerance=Fraction(3, 100),
)

FAMILIES = (ONE_IN_510, UVC_COUNTS, DONATED_STORAGE, OUT_OF_MEMORY)
