"""What each question of *design an experiment* gives on the model, and what goes wrong: for the teacher's key.

So that two teachers give the same points. The figures are measured when the key is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import lazydestroy as ld

BEFORE = ld.series.v1.upto(0)

SMALL = "8 GiB"


@dataclass(frozen=True, slots=True)
class Sample:
    """A result that can be expected of one question.

    Attributes
    ----------
    begins : str
        The question's first words.
    result : callable
        Measures, and says what came out.
    traps : tuple of str
        What usually goes wrong.
    """

    begins: str
    result: Callable[[], str]
    traps: tuple[str, ...]


def _little_used() -> str:
    ratios = {}
    for used in (0.01, 0.03125, 0.05, 0.1, 1.0):
        before, after = (
            ld.reboot("64 GiB", used=used, kernel=each, touch="none").downtime for each in (BEFORE, ld.series.v1)
        )
        assert before is not None and after is not None
        ratios[used] = before / after
    told = ", ".join(f"{ratio:.1f} with {used:.3g}" for used, ratio in ratios.items())
    return (
        f"64 GiB: how many times shorter the downtime is, by the share that is used: {told}. It is least where "
        "just the first 2 GiB are used: these are cleaned in the foreground with the series, too."
    )


def _while_it_boots() -> str:
    run = ld.reboot_loop(SMALL, times=4)
    asked = [f"{(after - before) / 1e9:.2f} s" for before, after in zip(run.resets_ns, run.resets_ns[1:], strict=False)]
    return (
        f"{SMALL}, reset again as soon as it is up: from one reset to the next it takes {', '.join(asked)}. A "
        "guest that has only booted has few pages, so the next reset is shorter. What grows is the number of "
        "zombies, and with it the donated storage."
    )


def _one_or_many() -> str:
    large, small = (ld.shutdown(memory, host_memory="24 GiB") for memory in ("16 GiB", "4 GiB"))
    assert large.downtime is not None and small.downtime is not None
    threads = [run.finished_ns["clean-up thread"] / 1e9 for run in (large, small)]
    return (
        f"One guest of 16 GiB: wait() takes {large.downtime:.2f} s, the thread {threads[0]:.1f} s. One of 4 GiB: "
        f"{small.downtime:.2f} s and {threads[1]:.1f} s. Four small ones are the same work in four threads, "
        "which may run side by side. The model has one guest a host, and can't show that. An answer that says "
        "so gets all points."
    )


def _slow_export() -> str:
    told = []
    for export in ("3 us", "15 us"):
        costs = ld.Costs(export=export)
        reboot = ld.reboot(SMALL, costs=costs)
        before, after = (ld.shutdown(SMALL, costs=costs, kernel=each).downtime for each in (BEFORE, ld.series.v1))
        done = max(reboot.finished_ns.values()) / 1e9
        told.append(
            f"export {export}: reboot {reboot.downtime:.2f} s, next guest done after {done:.2f} s, shutdown "
            f"{before:.2f} s before the series and {after:.2f} s with it"
        )
    return (
        f"{SMALL}, {'; '.join(told)}. The shutdown of the old kernel suffers. With the series, one page in 510 is "
        "exported there, and the next guest's exports have no effect, which costs noop, not export."
    )


def _shared() -> str:
    runs = {share: ld.reboot(SMALL, shared=share) for share in (0, 0.5)}
    destroy = ld.UVC.DESTR_SEC_STOR
    met = {
        share: sum(calls[destroy] for actor, calls in run.by_actor.items() if actor.startswith("vCPU"))
        for share, run in runs.items()
    }
    done = {share: max(run.finished_ns.values()) / 1e9 for share, run in runs.items()}
    return (
        f"{SMALL}: without shared pages the next guest is done after {done[0]:.4f} s, with half of them shared after "
        f"{done[0.5]:.4f} s. Its vCPUs make {met[0]:,} and {met[0.5]:,} destroys: a shared page raises no 0x3F, and is "
        "exported before the import. The sum hardly changes, so there is no share from which on it matters."
    )


def _no_low_memory() -> str:
    with_it, without = (ld.reboot("16 GiB", low_memory=low, touch="none") for low in ("2 GiB", 0))
    assert with_it.downtime is not None and without.downtime is not None
    return (
        f"16 GiB: downtime {with_it.downtime:.3f} s as it is, {without.downtime:.4f} s without the first 2 GiB in the "
        "foreground. All that is left is the vCPUs. What is gained doesn't depend on the guest's size, if it has 2 GiB."
    )


def _second_thread() -> str:
    told = []
    for vcpus in (2, 8):
        run = ld.reboot(SMALL, vcpus=vcpus)
        calls = {actor: each[ld.UVC.DESTR_SEC_STOR] for actor, each in run.by_actor.items()}
        theirs = sum(count for actor, count in calls.items() if actor.startswith("vCPU"))
        told.append(
            f"with {vcpus} vCPUs the thread is done after {run.finished_ns['clean-up thread'] / 1e9:.1f} s, and "
            f"the vCPUs destroy {theirs / run.pages:.0%} of the old pages"
        )
    return (
        f"{SMALL}: {'; '.join(told)}. The downtime is the same. What a second thread could save is what the "
        "vCPUs destroy themselves, and the time until the memory is free. The model has one thread. What must "
        "be measured: whether destroys of two CPUs go side by side on the machine, and whether anyone waits for "
        "the memory."
    )


SAMPLES = (
    Sample(
        "Our guests use little",
        _little_used,
        (
            'touch="none" is missing, so that the next guest\'s own work is in the time',
            "one share only, so that nothing is said of where it turns",
            "the ratio is thought to fall steadily: below 2 GiB it rises again",
        ),
    ),
    Sample(
        "A guest is reset while",
        _while_it_boots,
        (
            "the first reset is compared with the second: the first guest had used all its memory",
            "the time between resets has the boot in it, and is called a downtime",
        ),
    ),
    Sample(
        "Is one large guest",
        _one_or_many,
        (
            "the times of four small guests are added, as if one thread cleaned all of them",
            "host_memory is left at its default, which grows with the guest",
        ),
    ),
    Sample(
        "Our firmware is five times",
        _slow_export,
        (
            "noop is raised as well, so that two things differ",
            "only the reboot is looked at, and nothing is found",
        ),
    ),
    Sample(
        "Guests that share pages",
        _shared,
        (
            "shares of 0 and 1 only, so that nothing can turn in between",
            "a difference in the last digits is called an effect",
        ),
    ),
    Sample(
        "Suppose the guest's CPUs",
        _no_low_memory,
        (
            'touch is left at "sequential": then the guest waits for the same pages later, and that is another number',
            "a guest of 2 GiB or less, all of which is cleaned in the foreground",
        ),
    ),
    Sample(
        "Would a second clean-up",
        _second_thread,
        (
            "half the thread's time is taken for granted: that is the question",
            "only the downtime is measured, which no thread touches",
        ),
    ),
)
"""In the order of the notebook."""
