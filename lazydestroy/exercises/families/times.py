"""Problems about how long something takes."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

from ...costs import Costs
from ...machine import DESTROY_LOOP_THRESHOLD, LOW_MEMORY
from ...page import PAGE_SIZE
from ...run import Run
from ...scenarios import reboot, shutdown
from ...series import Series, v1
from ...units import format_count, format_duration
from ..numbers import TIME, Draw, Family, Numbers, Slip, Solved, exactly

BEFORE = v1.upto(0)

_DESTROYS = ("0.8 µs", "1 µs", "1.2 µs", "1.5 µs", "2 µs", "2.5 µs", "3 µs", "4 µs")


def _draw_reboot(draw: Draw) -> dict[str, Any]:
    return {
        "memory": draw.choose("memory", ("4 GiB", "8 GiB", "16 GiB", "24 GiB", "32 GiB", "48 GiB", "64 GiB")),
        "used": draw.choose("used", (0.25, 0.5, 0.75, 1.0)),
        "destroy": draw.choose("destroy", _DESTROYS),
        "walk": draw.choose("walk", ("20 ns", "40 ns", "100 ns", "200 ns")),
        "vcpus": draw.choose("vcpus", (2, 3, 4, 6, 8)),
    }


def _costs(numbers: Numbers) -> Costs:
    return Costs(destroy=numbers["destroy"], walk=numbers["walk"])


def _share(numbers: Numbers) -> str:
    return "all" if numbers["used"] == 1 else f"{numbers['used'] * 100:g}\u00a0%"


def _guest(numbers: Numbers) -> str:
    vcpus = f" and {numbers['vcpus']} vCPUs" if "vcpus" in numbers else ""
    return (
        f"A guest of {numbers['memory']}{vcpus} has made {_share(numbers)} of its memory secure, from address 0 up. To "
        f"destroy a page takes {numbers['destroy']}, to look at an entry of the page table, whether a page is there "
        f"or not, {numbers['walk']}. (Both are assumptions, like all times here. What else there is to do is small "
        "beside it.)"
    )


def _reboot(numbers: Numbers, kernel: Series) -> Run:
    vcpus = numbers.get("vcpus", 2)
    return reboot(
        numbers["memory"], used=numbers["used"], kernel=kernel, costs=_costs(numbers), touch="none", vcpus=vcpus
    )


def _code(numbers: Numbers, kernel: str) -> str:
    vcpus = f" vcpus={numbers['vcpus']}," if "vcpus" in numbers else ""
    return (
        f'ld.reboot("{numbers["memory"]}", used={numbers["used"]}, kernel={kernel}, touch="none",{vcpus}\n'
        f'          costs=ld.Costs(destroy="{numbers["destroy"]}", walk="{numbers["walk"]}")).downtime'
    )


def _reboot_before(numbers: Numbers) -> Solved:
    run = _reboot(numbers, BEFORE)
    costs, pages = _costs(numbers), _pages(numbers)
    entries = pages * costs.walk
    work = run.pages * costs.destroy + entries
    assert run.downtime_ns is not None
    return Solved(
        run.downtime_ns,
        (
            f"The memory has {format_count(pages)} entries; {format_count(run.pages)} pages are secure (4 KiB each).",
            (
                "Before the next guest runs, the kernel looks at each entry, and destroys each secure page: entries × "
                f"look + secure × destroy = {format_count(pages)} × {numbers['walk']} + {format_count(run.pages)} × "
                f"{numbers['destroy']} = {exactly(work)}."
            ),
            f"One task does that, so it takes no less with {numbers['vcpus']} vCPUs than with one.",
            f"The model computes {exactly(run.downtime_ns)}: the rest is vCPUs and the configuration.",
        ),
        (
            *(
                [
                    Slip(
                        pages * (costs.destroy + costs.walk),
                        "How many of the pages are secure? A page that the guest never used needs no destroy.",
                    )
                ]
                if run.pages < pages
                else []
            ),
            Slip(
                work // numbers["vcpus"],
                "Who destroys? One task of the kernel does it, however many vCPUs the guest has.",
            ),
            Slip(run.pages * costs.destroy, "Almost: what is done for each entry, besides destroying?"),
            Slip(work * 1000 // 1024, "Almost: 1 GiB is not 1,000,000,000 bytes, and a page is not 4,000 bytes."),
            Slip(
                int(_low_work(numbers)),
                "That is what waits with the series. Before it, how much of the memory is cleaned while the guest "
                "waits?",
            ),
        ),
        _code(numbers, "ld.series.v1.upto(0)"),
    )


@cache
def _size(memory: str) -> int:
    from ...units import size

    return size(memory)


def _pages(numbers: Numbers) -> int:
    return _size(numbers["memory"]) // PAGE_SIZE


def _low_work(numbers: Numbers) -> int:
    costs = _costs(numbers)
    entries = min(LOW_MEMORY // PAGE_SIZE, _pages(numbers))
    return int(min(entries, int(_pages(numbers) * numbers["used"])) * costs.destroy + entries * costs.walk)


REBOOT_TIME = Family(
    name="reboot-time",
    title="how long the guest waits, before the series",
    lesson="course/01-why-is-the-reboot-slow.ipynb",
    draw=_draw_reboot,
    state=lambda numbers: (
        f"{_guest(numbers)} The guest is rebooted, with the kernel before the series. How long is its downtime, "
        "until the next guest runs?"
    ),
    solve=_reboot_before,
    hints=(
        "How many pages of 4 KiB are secure, and what is done for each before the next guest runs?",
        "What is done for the entries of pages that are not there?",
    ),
    kind=TIME,
    tolerance=Fraction(1, 100),
)


def _draw_floor(draw: Draw) -> dict[str, Any]:
    return {
        "memory": draw.choose("memory", ("8 GiB", "16 GiB", "64 GiB", "128 GiB", "256 GiB", "512 GiB")),
        "used": draw.choose("used", (0.125, 0.25, 0.5, 1.0)),
        "destroy": draw.choose("destroy", _DESTROYS),
        "walk": draw.choose("walk", ("20 ns", "40 ns", "100 ns", "200 ns")),
    }


def _reboot_after(numbers: Numbers) -> Solved:
    run = _reboot(numbers, v1)
    assert run.downtime_ns is not None
    costs, entries = _costs(numbers), LOW_MEMORY // PAGE_SIZE
    secure = min(run.pages, entries)
    everything = run.pages * costs.destroy + _pages(numbers) * costs.walk
    slips = [
        Slip(
            everything,
            "That is the whole memory. With the series, which part of it is still cleaned while the guest waits?",
        ),
        Slip(0, "Something still waits: where may a new guest's CPUs have their prefix areas?"),
    ]
    if run.pages < entries:
        slips.append(
            Slip(entries * (costs.destroy + costs.walk), "Has the old guest used all of the first 2 GiB?"),
        )
    else:
        slips.append(
            Slip(2 * _low_work(numbers), "The first 2 GiB are visited twice, but who waits for the second visit?")
        )
    return Solved(
        run.downtime_ns,
        (
            (
                "With the series only what is mapped of the first 2 GiB is destroyed while the guest waits: "
                f"{format_count(entries)} entries, {format_count(secure)} secure pages."
            ),
            (
                f"{format_count(secure)} × {numbers['destroy']} + {format_count(entries)} × {numbers['walk']} = "
                f"{exactly(_low_work(numbers))}; the size of the guest does not matter any more."
            ),
            f"The model computes {exactly(run.downtime_ns)}: the rest is the vCPUs.",
        ),
        tuple(slips),
        _code(numbers, "ld.series.v1"),
    )


FLAT_FLOOR = Family(
    name="flat-floor",
    title="how long the guest waits, with the series",
    lesson="course/04-lazy-reboot.ipynb",
    draw=_draw_floor,
    state=lambda numbers: (
        f"{_guest(numbers)} The guest is rebooted, with all eleven patches. How long is its downtime, until the next "
        "guest runs?"
    ),
    solve=_reboot_after,
    hints=(
        "Which part of the memory is destroyed before the next guest's CPUs are there, and which one later?",
        "How much of that part had the old guest used?",
    ),
    kind=TIME,
    tolerance=Fraction(1, 100),
)


def _draw_wait(draw: Draw) -> dict[str, Any]:
    return {
        "memory": draw.choose("memory", ("8 GiB", "16 GiB", "32 GiB", "64 GiB", "128 GiB")),
        "export": draw.choose("export", ("2 µs", "3 µs", "4 µs", "6 µs")),
        "unmap": draw.choose("unmap", ("50 ns", "80 ns", "120 ns")),
        "set_aside": draw.choose("set_aside", ("50 ns", "100 ns", "150 ns")),
        "kernel": draw.choose("kernel", ("before", "with")),
    }


def _shutdown_costs(numbers: Numbers) -> Costs:
    return Costs(export=numbers["export"], unmap=numbers["unmap"], set_aside=numbers["set_aside"])


def _wait(numbers: Numbers) -> Solved:
    costs = _shutdown_costs(numbers)
    before, after = (shutdown(numbers["memory"], costs=costs, kernel=kernel) for kernel in (BEFORE, v1))
    run, other = (before, after) if numbers["kernel"] == "before" else (after, before)
    assert run.downtime_ns is not None and other.downtime_ns is not None
    exported = -(-run.pages // 510)
    lazy = run.pages * costs.unmap + (run.pages - exported) * costs.set_aside + exported * (costs.export + costs.free)
    pages = format_count(run.pages)
    kernel = "ld.series.v1.upto(0)" if numbers["kernel"] == "before" else "ld.series.v1"
    steps = (
        (
            (
                f"Each of the {pages} pages is exported, unmapped and freed: "
                f"{exactly(costs.export + costs.unmap + costs.free)} a page."
            ),
        )
        if numbers["kernel"] == "before"
        else (
            (
                f"Each of the {pages} pages is unmapped, and set aside; one in 510 is exported instead, to have room "
                f"for a list page: {format_count(exported)} pages."
            ),
            (
                f"{pages} × {numbers['unmap']} + {format_count(run.pages - exported)} × {numbers['set_aside']} + "
                f"{format_count(exported)} × {exactly(costs.export + costs.free)} = {exactly(lazy)}."
            ),
        )
    )
    return Solved(
        run.downtime_ns,
        (*steps, f"The model computes {exactly(run.downtime_ns)}: the rest is vCPUs and the configuration."),
        (
            Slip(other.downtime_ns, "That is the other kernel. What happens to a page that is unmapped, in this one?"),
            Slip(
                run.pages * (costs.unmap + costs.set_aside),
                "Almost: where does the memory for the list come from, and what becomes of the page at hand then?",
            ),
            Slip(
                run.pages * costs.destroy,
                "That is what the thread needs to destroy the pages. Does anyone wait for it?",
            ),
        ),
        f'ld.shutdown("{numbers["memory"]}", kernel={kernel},\n'
        f'            costs=ld.Costs(export="{numbers["export"]}", unmap="{numbers["unmap"]}", '
        f'set_aside="{numbers["set_aside"]}")).downtime',
    )


SHUTDOWN_WAIT = Family(
    name="shutdown-wait",
    title="how long wait() takes at a shutdown",
    lesson="course/05-lazy-shutdown.ipynb",
    draw=_draw_wait,
    state=lambda numbers: (
        f"The process of a guest of {numbers['memory']}, all of it secure, is killed. To export a page takes "
        f"{numbers['export']}, to unmap it {numbers['unmap']}, to set it aside {numbers['set_aside']}, to free it "
        f"{format_duration(Costs().free)}. The kernel is the one "
        + (
            "before the series"
            if numbers["kernel"] == "before"
            else "with all eleven patches; no other process needs memory"
        )
        + ". How long is it until wait() on the process returns?"
    ),
    solve=_wait,
    hints=(
        "What happens to each page when the address space is removed: is it exported, or set aside?",
        "Which part of the work does wait() not wait for?",
    ),
    kind=TIME,
    tolerance=Fraction(2, 100),
)


def _draw_hold(draw: Draw) -> dict[str, Any]:
    return {
        "memory": draw.choose("memory", ("4 GiB", "8 GiB", "16 GiB", "32 GiB")),
        "used": draw.choose("used", (0.25, 0.5, 0.75, 1.0)),
        "destroy": draw.choose("destroy", _DESTROYS),
        "walk": draw.choose("walk", ("20 ns", "40 ns", "100 ns")),
        "batch": draw.choose("batch", (8, 16, 64, 128, 256, 1024)),
    }


def _hold(numbers: Numbers) -> Solved:
    batch, costs, entries = numbers["batch"], _costs(numbers), _pages(numbers)
    run = reboot(
        numbers["memory"],
        used=numbers["used"],
        kernel=v1.upto(5),
        costs=costs,
        destroy_loop_threshold=batch,
        touch="none",
        new_guest="normal",
    )
    hole = entries - run.pages
    collected = (
        f"The walk collects {batch} pages under the lock, drops it, and destroys them. While it is held, {batch} "
        f"entries are looked at: {batch} × {numbers['walk']} = {exactly(batch * costs.walk)}."
    )
    longest = (
        (
            "A batch is full when that many pages are there. Above what the guest has used nothing is, so the walk "
            f"looks at {format_count(hole)} entries with the lock held, and finds nothing to collect: "
            f"{format_count(hole)} × {numbers['walk']} = {exactly(hole * costs.walk)}. That is longer."
        )
        if hole
        else "All pages are there, so each batch is full after as many entries."
    )
    return Solved(
        run.longest_hold_ns,
        (collected, longest, f"The model measures {exactly(run.longest_hold_ns)}."),
        (
            *(
                [Slip(batch * costs.walk, "When is a batch full, if there are no pages for a long while?")]
                if hole
                else []
            ),
            Slip(
                run.pages * costs.destroy + entries * costs.walk,
                "That is the kernel before patch 5. When does patch 5 drop the lock?",
            ),
            Slip(
                batch * (costs.walk + costs.destroy),
                "With patch 5, is a page destroyed while the lock is held, or after?",
            ),
            Slip(
                DESTROY_LOOP_THRESHOLD * costs.walk,
                "How many pages are collected at a time? Here it is not the usual 32.",
            ),
            Slip(entries * costs.walk, "Is the lock held during the whole walk? When is it dropped?"),
        ),
        f'ld.reboot("{numbers["memory"]}", used={numbers["used"]}, kernel=ld.series.v1.upto(5), touch="none",\n'
        f'          costs=ld.Costs(destroy="{numbers["destroy"]}", walk="{numbers["walk"]}"), new_guest="normal",\n'
        f"          destroy_loop_threshold={batch}).longest_hold_ns",
    )


LOCK_HOLD = Family(
    name="lock-hold",
    title="how long the lock is held",
    lesson="side/short-holds.ipynb",
    draw=_draw_hold,
    state=lambda numbers: (
        f"A guest of {numbers['memory']} has made {_share(numbers)} of its memory secure, from address 0 up, and is "
        f"rebooted. To destroy a page takes {numbers['destroy']}, to look at an entry of the page table, whether a "
        f"page is there or not, {numbers['walk']}. The kernel has the patches 1 to 5, and collects {numbers['batch']} "
        "pages at a time. What is the longest time for which mmap_lock is held at a stretch?"
    ),
    solve=_hold,
    hints=(
        "What is done between taking the lock and dropping it, and for how many entries?",
        "Has the guest used all its memory? Think of the walk where it has not.",
    ),
    kind=TIME,
    tolerance=Fraction(1, 100),
)


def _draw_even(draw: Draw) -> dict[str, Any]:
    return {
        "memory": draw.choose("memory", ("5 GiB", "6 GiB", "7 GiB", "8 GiB", "10 GiB", "12 GiB", "14 GiB", "16 GiB")),
        "destroy": draw.choose("destroy", ("0.9 µs", "1 µs", "1.2 µs", "1.5 µs", "1.8 µs", "2 µs", "2.5 µs", "3 µs")),
    }


def _used_all(numbers: Numbers, kernel: Series, noop: int) -> tuple[int, Run]:
    """When the new guest has used all its memory."""
    costs = Costs(destroy=numbers["destroy"], noop=noop)
    run = reboot(numbers["memory"], kernel=kernel, costs=costs, vcpus=1)
    return run.finished_ns["vCPU 0"], run


def _even(numbers: Numbers) -> Solved:
    low, high = 0, 1 << 15
    while high - low > 1:
        middle = (low + high) // 2
        later = _used_all(numbers, v1, middle)[0] >= _used_all(numbers, BEFORE, middle)[0]
        low, high = (low, middle) if later else (middle, high)
    before, _ = _used_all(numbers, BEFORE, high)
    after, run = _used_all(numbers, v1, high)
    vcpu = run.idle_by_actor["vCPU 0"].total()
    costs = Costs(destroy=numbers["destroy"])
    waits = (run.pages - LOW_MEMORY // PAGE_SIZE) * (costs.destroy + costs.walk)
    return Solved(
        high,
        (
            f"What lazy saves: the new guest need not wait for what lies above 2 GiB, {exactly(waits)}.",
            (
                "What it costs: as long as there is a zombie, patch 7 exports before each import. The guest comes "
                f"behind the thread, so these calls have no effect: {format_count(vcpu)} of them at the turning "
                f"point, {exactly(waits)} / {format_count(vcpu)} = {exactly(waits // max(vcpu, 1))} "
                "each. (Roughly: the thread makes such calls, too, and takes longer when they do.)"
            ),
            (
                f"The model finds the turn at {exactly(high)}: there the guest has used its memory after "
                f"{format_duration(after)} with the series, and after {format_duration(before)} before it."
            ),
        ),
        (
            Slip(
                int(costs.destroy),
                "You have put one export against one destroy. How many of each are there: is the first part of the "
                "memory not destroyed in the foreground in any case?",
            ),
        ),
        "def used_all(kernel, noop):\n"
        f'    costs = ld.Costs(destroy="{numbers["destroy"]}", noop=noop)\n'
        f'    return ld.reboot("{numbers["memory"]}", kernel=kernel, costs=costs, vcpus=1).finished_ns["vCPU 0"]\n\n'
        f"used_all(ld.series.v1, {high}), used_all(ld.series.v1.upto(0), {high})",
    )


BREAK_EVEN = Family(
    name="break-even",
    title="when lazy stops paying",
    lesson="course/03-old-pages-new-guest.ipynb",
    draw=_draw_even,
    state=lambda numbers: (
        f"A guest of {numbers['memory']}, all of it secure, is rebooted. The next one has one vCPU and uses all its "
        f"memory in order. To destroy a page takes {numbers['destroy']}; the other times are as usual (ld.Costs() "
        "shows them), but one: what a call takes that has no effect (noop). With the series the guest need not wait, "
        "but while there is a zombie each of its imports costs such a call. From which noop on has the guest used "
        "all its memory later with the series than before it?"
    ),
    solve=_even,
    hints=(
        "What does the guest save by not waiting, and how many calls without effect does it pay for that?",
        (
            'Ask the model: run.finished_ns["vCPU 0"] is when the guest has used its memory. Try a small noop and a '
            "large one, then halve the range between."
        ),
    ),
    kind=TIME,
    tolerance=Fraction(3, 100),
)

FAMILIES = (REBOOT_TIME, FLAT_FLOOR, SHUTDOWN_WAIT, LOCK_HOLD, BREAK_EVEN)
