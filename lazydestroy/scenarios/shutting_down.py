"""The process of a protected guest is killed; afterwards another process may ask for memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..actors import QEMU
from ..costs import Costs
from ..kernel.structs import Flow
from ..machine import DESTROY_LOOP_THRESHOLD, LOW_MEMORY, PV_MAX_LAZY_COUNT, SEGMENT_TABLE
from ..run import Run
from ..series import Series, v1
from ..units import one_of
from .parameters import ULTRAVISORS, Progress, read
from .stage import Stage


def shutdown(
    memory: int | str = "64 GiB",
    *,
    used: float = 1.0,
    shared: float = 0.0,
    kernel: Series = v1,
    lazy_destroy: bool | None = None,
    async_destroy: bool | None = None,
    helper: bool | str = False,
    costs: Costs | None = None,
    host_memory: int | str | None = None,
    swap: int | str = 0,
    demand: int | str | None = None,
    demand_total: int | str | None = None,
    demand_from: str = "wait",
    vcpus: int = 2,
    features: Any = (),
    ultravisor: str = ULTRAVISORS[0],
    process_memory: int | str = 0,
    low_memory: int | str = LOW_MEMORY,
    segment_table: int | str = SEGMENT_TABLE,
    destroy_loop_threshold: int = DESTROY_LOOP_THRESHOLD,
    list_page_capacity: int = PV_MAX_LAZY_COUNT,
    destroy_fails: bool = False,
    film: bool = False,
    progress: Progress | None = None,
    _engine: Mapping[str, bool] | None = None,
) -> Run:
    """Kill the process of a protected guest; afterwards another process may ask for memory.

    Parameters
    ----------
    memory, used, shared, kernel, lazy_destroy, async_destroy, costs, host_memory, swap, vcpus, features, ultravisor, \
    process_memory, low_memory, segment_table, destroy_loop_threshold, list_page_capacity, destroy_fails, film, progress
        As for `reboot`.
    helper : {False, True, "killed first"}
        QEMU's ``-run-with async-teardown=on``: a second process shares the memory, outlives QEMU, and removes the
        memory in its own time. "killed first": somebody has killed it before, so QEMU removes the memory itself.
    demand : int or str, optional
        Bytes a second that another process allocates, from the end of the downtime on, such as "2 GiB/s".
    demand_total : int or str, optional
        Where it stops; default: the guest's size.
    demand_from : {"wait", "exit"}
        It begins as soon as ``wait()`` returns, or as soon as the process begins to exit.

    Returns
    -------
    Run
        ``run.oom`` says whether an allocation found nothing free: then the process that allocates is killed.

    Raises
    ------
    ValueError, NotEnoughMemory
        As for `reboot`.
    """
    given = read(locals())
    one_of(demand_from, ("wait", "exit"), "demand_from")
    stage = Stage(given, shutdown)

    def process_ends() -> Flow:
        yield from stage.machine.exiting()
        stage.downtime_ends()

    return stage.play(process_ends(), QEMU)
