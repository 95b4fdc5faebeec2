"""What is said about a run: its setting, its finding, what a picture of it shows to those who do not see it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..actors import ASYNC_CLEANUP
from ..page import PAGE_SHIFT
from ..rounded import about, about_duration, about_size, counted
from ..run import Run, expect_run, runs_of
from ..scenarios import zombies_over_time
from ..series import Series
from ..units import format_duration, format_size
from ..units import size as read_size
from ..uvcb import UVC
from .lanes import bands_of, lanes_of, run_end
from .picture import TITLE_CHARACTERS, ratio


def kernel_name(run: Run) -> str:
    """How a run's kernel is called in a picture."""
    expect_run(run)
    given = run.parameters
    name = name_of_kernel(given["kernel"], given["lazy_destroy"])
    parts = [
        "" if given["async_destroy"] is None else f"async_destroy={int(given['async_destroy'])}",
        "fast call" if UVC.DESTROY_SEC_CONF_FAST in run.uvcs else "",
        {False: "", True: "helper"}.get(given.get("helper", False), "helper killed first"),
    ]
    return ", ".join([name, *filter(None, parts)])


def name_of_kernel(kernel: Series, lazy_destroy: bool | None = None) -> str:
    """How a kernel is called in a picture."""
    name = "before the series" if not kernel.layers else _NAMES.get(kernel.name, kernel.name)
    return name if lazy_destroy is None else f"{name}, lazy_destroy={int(lazy_destroy)}"


_NAMES = {"v1_fixed": "with the patches", "linux_6_2": "Linux 6.2", "linux_latest": "Linux today"}
"""What kernels are to a reader who compares them. `series.v1` keeps its name: it can be told from ``v1_fixed``."""


def setting(run: Run) -> str:
    """What was run, in a line."""
    expect_run(run)
    given = run.parameters
    memory = read_size(given["memory"])
    scenario = run.scenario.replace("_", " ")
    parts = [f"{scenario} of {format_size(memory)}", f"kernel: {kernel_name(run)}"]
    if given["used"] != 1:
        parts.append(f"{given['used']:.0%} used")
    if run.scenario == "reboot":
        uses = _TOUCHES[given["touch"]] if given["touched"] else _TOUCHES["none"]
        parts.append(f"new guest: {given['new_guest']}, {uses}")
    elif run.scenario == "reboot_loop":
        parts.append(f"{counted(given['times'], 'resets')}; each guest: {_HABITS[given['habit']]}")
    else:
        parts.append(f"host: {format_size(given['host_memory'])}")
        parts.append(
            f"another process asks for {given['demand']}" if given["demand"] else "no other process asks for memory"
        )
    return "  ·  ".join(parts)


_HABITS = {
    "at once": "is reset at once",
    "fill": "touches all first",
    "share": "touches and opens all first",
    "exit": "exits first",
}
_TOUCHES = {
    "sequential": "uses its memory in order",
    "reverse": "uses its memory downwards",
    "random": "uses its memory at random",
    "none": "touches nothing",
}


def finding(run: Run) -> str:
    """What a run shows, in a sentence made of its values."""
    expect_run(run)
    if run.downtime_ns is None:
        return f"{'QEMU never ends' if run.scenario == 'shutdown' else 'The new guest never runs'}{_why(run)}"
    waited = f"after {about_duration(run.downtime_ns)}" if run.downtime_ns else "at once"
    if run.scenario == "reboot_loop":
        return _finding_of_loop(run)
    if run.scenario == "reboot":
        return _finding_of_reboot(run, waited)
    out_of_memory = next((event for event in run.events if event.kind == "oom"), None)
    if out_of_memory is not None:
        return f"QEMU is gone {waited}; at {about_duration(out_of_memory.time_ns)} memory runs out"
    if run.cleanup_ns is None:
        return f"QEMU is gone {waited}, but its pages are never all clean{_why(run)}"
    if run.cleanup_ns <= run.downtime_ns:
        return f"QEMU is gone only {waited}: all {about(run.pages, 'pages')} are cleaned first"
    return f"QEMU is gone {waited}; its memory is clean after {about_duration(run.cleanup_ns)}"


def _finding_of_loop(run: Run) -> str:
    zombies, done = max(number for _, number in zombies_over_time(run)), len(run.downtimes_ns)
    resets = counted(done, "resets")
    piled = f"up to {counted(zombies, 'zombies')}" if zombies else "no zombie"
    if run.stopped:
        return f"{resets} and {piled}, then the loop ends: {run.stopped}"
    return f"{resets}, {downtime_words(run)}, {piled}"


def downtime_words(run: Run) -> str:
    """How long you wait: the downtime of a reboot, or `wait()`; of several, the shortest and the longest."""
    what = "wait()" if run.scenario == "shutdown" else "downtime"
    if not run.downtimes_ns:
        return f"{what}: never ends"
    least, most = (about_duration(ns) for ns in (min(run.downtimes_ns), max(run.downtimes_ns)))
    return f"{what} {most}" if least == most else f"{what} {least} to {most}"


def _finding_of_reboot(run: Run, waited: str) -> str:
    if not run.booted:
        return f"The new guest starts {waited} and fails{_why(run)}"
    if run.cleanup_ns is None:
        return f"The new guest runs {waited}, but the old pages are never all clean{_why(run)}"
    if run.cleanup_ns <= (run.downtime_ns or 0):
        waits = about_duration(run.downtime_ns or 0)
        return f"The new guest waits {waits}: all {about(run.pages, 'old pages')} are cleaned first"
    return f"The new guest runs {waited}; the clean-up goes on until {about_duration(run.cleanup_ns)}"


def _why(run: Run) -> str:
    """The first event that is bad news."""
    bad = next(marked_events(run), None)
    return f": {kind_of(bad)} at {about_duration(bad.time_ns)}" if bad else ""


def marked_events(run: Run) -> Iterator[Any]:
    """Events that a picture marks."""
    return (event for event in run.events if event.kind not in ("userspace", "warning"))


def kind_of(event: Any) -> str:
    """What sort of event it is, for a reader."""
    return "out of memory" if event.kind == "oom" else event.kind


def _moment(ns: int) -> str:
    return format_duration(ns) if ns else "the start"


def capital(words: str) -> str:
    """Words at the beginning of a sentence."""
    return words if words.startswith(("vCPU", ASYNC_CLEANUP)) else words[:1].upper() + words[1:]


def describe(run: Run) -> str:
    """What the picture of a run shows, in a few sentences."""
    expect_run(run)
    sentences = [f"Who does what in a {setting(run).replace('  ·  ', ', ')}."]
    for lane in lanes_of(run):
        doing = ", then ".join(
            f"{stretch.activity} from {_moment(stretch.start)} to {_moment(stretch.end)}"
            for stretch in lane.merged()
            if stretch.end - stretch.start > run_end(run) / 1000
        )
        sentences.append(f"{capital(lane.name)}: {doing or lane.idle}.")
    end = "never ends" if run.downtime_ns is None else f"ends at {format_duration(run.downtime_ns)}"
    several = len(run.resets_ns) > 1
    sentences.append(f"{capital(downtime_words(run))}." if several else f"The downtime {end}.")
    sentences += [
        f"At {format_duration(event.time_ns)}: {kind_of(event)}, {event.text}." for event in marked_events(run)
    ]
    return " ".join([*sentences, describe_memory(run)])


def describe_memory(run: Run) -> str:
    """What a picture of memory over time shows."""
    expect_run(run)
    bands = bands_of(run)
    host = int(run.parameters["host_memory"])
    changes = [
        f"{look.label}: {_amount(pages[0])} at the start, {_amount(pages.max())} at most, "
        f"{_amount(pages[-1])} at the end"
        for look, pages in bands
        if pages.any()
    ]
    return f"Memory over time, {format_size(host)} in all. {capital('; '.join(changes))}."


def _amount(pages: Any) -> str:
    return format_size(int(pages) << PAGE_SHIFT)


def _about(pages: Any) -> str:
    return about_size(int(pages) << PAGE_SHIFT)


def comparison(runs: tuple[Run, ...]) -> str:
    """The finding of several runs: the first against the last."""
    runs = runs_of(runs)
    first, last = runs[0].downtime_ns, runs[-1].downtime_ns
    if len(runs) == 1 or not first or last is None:
        return finding(runs[-1])
    before, after = (f"{about_duration(ns)}" for ns in (first, last))
    which = "First downtime" if runs[0].scenario == "reboot_loop" else "Downtime"
    words = f"{which} {before} {_with(runs[0])}, {after} {_with(runs[-1])}"
    if not last:
        return words
    full = f"{words}: {ratio(first / last)} times shorter" if first > last else f"{words}: no shorter"
    return full if len(full) <= TITLE_CHARACTERS else words


def _with(run: Run) -> str:
    """A run's kernel, in the middle of a sentence."""
    return _in_a_sentence(kernel_name(run))


def in_common(runs: tuple[Run, ...]) -> str:
    """What the settings of several runs have in common."""
    runs = runs_of(runs)
    parts = [setting(run).split("  ·  ") for run in runs]
    return "  ·  ".join(part for part in parts[0] if all(part in other for other in parts[1:]))


def compared(runs: tuple[Run, ...]) -> str:
    """What a picture of several timelines shows."""
    runs = runs_of(runs)
    texts = [f"{finding(run)}. {describe(run).split(' Memory over time')[0]}" for run in runs]
    if len(texts) == 1:
        return texts[0]
    numbered = (f"{number}. {text}" for number, text in enumerate(texts, 1))
    return f"{len(texts)} timelines, one above the other. {' '.join(numbered)}"


def memory_finding(run: Run) -> str:
    """What a run's memory shows, in a sentence made of its values."""
    expect_run(run)
    aside, least = run.memory["set_aside"].max(), run.memory["free"].min()
    out_of_memory = next((event for event in run.events if event.kind == "oom"), None)
    if out_of_memory is not None:
        return f"Up to {_about(aside)} are set aside, and at {about_duration(out_of_memory.time_ns)} nothing is free"
    if aside:
        return f"Up to {_about(aside)} set aside; at least {_about(least)} stay free"
    if run.exited_ns is not None and run.cleanup_ns is not None and run.cleanup_ns > run.exited_ns:
        gone, back = about_duration(run.exited_ns), about_duration(run.cleanup_ns)
        return f"The process is gone after {gone}; its memory is back after {back}"
    return f"Nothing is set aside; at least {_about(least)} stay free"


def growth(first: int | None, last: int | None) -> str:
    """How much longer the last takes than the first."""
    if not first or not last:
        return "(never ends)"
    return "not at all" if last <= 1.005 * first else f"{ratio(last / first)}-fold"


def with_kernel(kernel: Series) -> str:
    """A kernel's name in the middle of a sentence."""
    return _in_a_sentence(name_of_kernel(kernel))


def _in_a_sentence(name: str) -> str:
    return name if name.startswith(("before", "with ")) else f"with {name}"
