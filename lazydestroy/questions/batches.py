"""Question 9: batches of 1 to 4096 pages, and where 32 stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..actors import VCPU, is_a
from ..machine import DESTROY_LOOP_THRESHOLD
from ..rounded import about, about_count, about_duration
from ..run import Run
from ..scenarios import BYSTANDERS, reboot
from ..series import Series, v1
from ..ultravisor import Interruption
from ..units import format_count, format_duration, several, whole_number
from ..uvcb import UVC
from .answer import Answer, Table, resting_on
from .common import cleans_up, has
from .pictures import Line, Lines
from .progress import one_by_one
from .question import Question
from .registry import answering

BATCHES = tuple(1 << power for power in range(13))
"""1 to 4096, in powers of two."""

NEAR = 1.01
"""What counts as no slower than the best: 1 %."""

LATER = "20220401162512.0fd528cf@p-imbrenda"
"""Where the author answered the question, when it was asked again about version 9."""

_CHOSEN = (
    "destroy_loop_threshold",
    "bystander",
    "exit_at",
    "demand",
    "demand_total",
    "demand_from",
    "wait_for_cleanup",
)


class Tried(NamedTuple):
    """What a batch of that size leads to.

    Attributes
    ----------
    batch : int
    hold_ns : int
        Longest time for which ``mmap_lock`` is held.
    wait_ns : int
        Longest wait of 16 threads that map memory, at moments spread evenly over the clean-up.
    cleanup_ns : int or None
        Until all is clean.
    used_ns : int
        Until the new guest has used its memory.
    busy : int
        Imports that had to be tried again, because the page was in a batch.
    """

    batch: int
    hold_ns: int
    wait_ns: int
    cleanup_ns: int | None
    used_ns: int
    busy: int


@answering(9, reboot, _CHOSEN)
def sizes_of_batches(
    question: Question,
    *,
    memory: int | str = "8 GiB",
    kernel: Series = v1,
    batches: Sequence[int] = BATCHES,
    touch: str = "random",
    **more: Any,
) -> Answer:
    """Reboot with batches of all sizes, while other threads map memory and the new guest uses its own.

    Parameters
    ----------
    question : Question
    memory, kernel, touch, **more
        As for `lazydestroy.reboot`. With ``used`` below 1 there is a hole above what the old guest used.
    batches : sequence of int
        Sizes to try; 32 is tried in any case.

    Raises
    ------
    ValueError
        If the kernel has no batches, or a value is not accepted.
    """
    if not has(kernel, "s390_uv_destroy_range"):
        raise ValueError(f"kernel={kernel!r}: there are no batches before patch 5")
    sizes = several(batches, "batches", "several sizes, such as (8, 32)")
    asked = sorted({*(whole_number(size, "batches", 1, 1 << 20) for size in sizes), DESTROY_LOOP_THRESHOLD})
    given = {"kernel": kernel, "touch": touch, **more}
    until = reboot(memory, **given).cleanup_ns or 1
    moments = [until * (2 * place + 1) // (2 * BYSTANDERS) for place in range(BYSTANDERS)]
    tried = tuple(_one(memory, batch, moments, given) for batch in one_by_one(asked))
    best = min(each.used_ns for each in tried)
    near = [each.batch for each in tried if each.used_ns <= best * NEAR]
    present = next(each for each in tried if each.batch == DESTROY_LOOP_THRESHOLD)
    values = {"tried": tried, "best_ns": best, "near": near, "present": present}
    claims = {
        "the longest hold grows with the batch": _never_falls([each.hold_ns for each in tried])
        and tried[-1].hold_ns > tried[0].hold_ns,
        "imports are disturbed more often by larger batches": tried[-1].busy > tried[0].busy,
        "the clean-up takes the same time whatever the batch": _alike([each.cleanup_ns for each in tried]),
        "with 32 nothing takes more than 1 % longer than with the best": DESTROY_LOOP_THRESHOLD in near,
    }
    return Answer(
        question=question,
        said=_verdict(values, claims),
        claims=claims,
        evidence=_table(tried),
        agrees="not answered",
        agreement=(
            "No one answered in the thread. Asked again about version 9, the author said that no other number was "
            f"tried, and that 32 is a good compromise ({LATER}). In the model, taking a lock costs nothing, so "
            "these figures cannot speak for larger batches."
        ),
        assumptions=resting_on("walk", "destroy", "retry", "what takes no time", "a bystander"),
        pictures=(_picture(tried, values),),
        values=values,
        parameters={},
    )


def _one(memory: int | str, batch: int, moments: list[int], given: dict[str, Any]) -> Tried:
    run = reboot(memory, destroy_loop_threshold=batch, **given)
    watched = reboot(memory, destroy_loop_threshold=batch, bystander=moments, **given)
    used = max((end for actor, end in run.finished_ns.items() if not cleans_up(actor)), default=0)
    return Tried(
        batch, run.longest_hold_ns, max(watched.bystander_waits_ns, default=0), run.cleanup_ns, used, busy(run)
    )


def busy(run: Run) -> int:
    """How often a vCPU met -EBUSY: exceptions 0x3E beyond the imports that were called."""
    found = 0
    for actor, raised in run.interruptions.items():
        if is_a(actor, VCPU):
            calls = run.by_actor[actor][UVC.CONV_TO_SEC_STOR]
            found += max(0, raised[Interruption.NON_SECURE_STORAGE_ACCESS] - calls)
    return found


def _never_falls(values: Sequence[int]) -> bool:
    return list(values) == sorted(values)


def _alike(times: Sequence[int | None]) -> bool:
    known = [time for time in times if time is not None]
    return len(known) == len(times) and max(known) <= min(known) * NEAR


def _verdict(values: dict[str, Any], claims: dict[str, bool]) -> tuple[str, ...]:
    tried, present, near = values["tried"], values["present"], values["near"]
    first, last = tried[0], tried[-1]
    if not claims["with 32 nothing takes more than 1 % longer than with the best"]:
        short = f"A parameter could gain something: 32 is more than 1 % slower than {near[0]}."
    else:
        short = "A parameter would gain nothing: 32 is within 1 % of the best."
    same = "the same" if len(near) == len(tried) else "the best"
    which = "for all of them" if len(near) == len(tried) else f"with {near[0]} to {format_count(near[-1])}"
    return (
        short,
        (
            f"With 32, the lock is held for at most {about_duration(present.hold_ns)}, and "
            f"{about(present.busy, 'imports')} are disturbed."
        ),
        f"The new guest has used its memory after {about_duration(present.used_ns)}.",
        (
            f"From {first.batch} to {format_count(last.batch)}, the hold goes from {about_duration(first.hold_ns)} to "
            f"{about_duration(last.hold_ns)}."
        ),
        f"The disturbed imports go from {about_count(first.busy)} to {about_count(last.busy)}.",
        f"To within 1 %, the time is {same} {which}.",
    )


def _table(tried: Sequence[Tried]) -> Table:
    columns = (
        "batch",
        "longest hold",
        "longest wait of 16",
        "disturbed imports",
        "all clean after",
        "memory used after",
    )
    return Table(
        columns,
        tuple(
            (
                format_count(each.batch),
                format_duration(each.hold_ns),
                format_duration(each.wait_ns),
                format_count(each.busy),
                "never" if each.cleanup_ns is None else format_duration(each.cleanup_ns),
                format_duration(each.used_ns),
            )
            for each in tried
        ),
    )


def _picture(tried: Sequence[Tried], values: dict[str, Any]) -> Lines:
    lines = (
        Line("longest hold of mmap_lock", tuple((each.batch, each.hold_ns) for each in tried), "QEMU"),
        Line("longest wait of 16 bystanders", tuple((each.batch, each.wait_ns) for each in tried), "other process"),
        Line("all clean", tuple((each.batch, each.cleanup_ns) for each in tried if each.cleanup_ns), "clean-up thread"),
        Line("memory used by the new guest", tuple((each.batch, each.used_ns) for each in tried), "guest"),
    )
    hold = about_duration(values["present"].hold_ns)
    title = f"With 32, the lock is held for {hold}; other batches take as long"
    if not _alike([each.used_ns for each in tried]):
        title = f"With 32, the lock is held for {hold}; large batches cost time"
    return Lines(
        title,
        lines,
        "pages in a batch",
        "time",
        "",
        "ns",
        log_x=True,
        log_y=True,
        marks=((DESTROY_LOOP_THRESHOLD, "32"),),
    )
