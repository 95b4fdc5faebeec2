"""Ten thousand runs with costs drawn at random: what they came to is in ``many.json``.

python -m lazydestroy.sweeps.many      run them on the cores of this computer, and write the file

For each of three stories, guests of 64 GiB that used more or less of it are run on the kernel before the series and on
version 1 without its bugs, with the same costs on both. Nobody has published what a call costs, so each cost of each
draw is its default times a factor between a tenth and ten, drawn evenly on a logarithmic scale.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..actors import VCPU, is_a
from ..costs import Costs
from ..run import Run
from ..scenarios import reboot, shutdown
from ..series import v1, v1_fixed
from ..units import one_of, whole_number
from .sweeping import sweep

if TYPE_CHECKING:
    from concurrent.futures import Executor

FILE = Path(__file__).with_name("many.json")

KERNELS = (v1.upto(0), v1_fixed)
USED = (0.125, 0.25, 0.5, 0.75, 1.0)
MEMORY = "64 GiB"
TENFOLD = 10.0
"""The largest factor by which a cost is multiplied; the smallest is one by that."""


def downtime(run: Run) -> int | None:
    """Until the new guest runs, or ``wait()`` returns."""
    return run.downtime_ns


def all_touched(run: Run) -> int:
    """Until the new guest has touched all its memory."""
    return max(end for name, end in run.finished_ns.items() if is_a(name, VCPU))


class Story(NamedTuple):
    """One of the stories.

    Attributes
    ----------
    name : str
    ends : str
        What the figure waits for.
    what : callable
        The scenario.
    inputs : dict
    figure : callable
        Nanoseconds of a run.
    draws : int
        How many sets of costs it is run with.
    """

    name: str
    ends: str
    what: Callable[..., Run]
    inputs: Mapping[str, Any]
    figure: Callable[[Run], int | None]
    draws: int


STORIES = (
    Story("untouched", "the new guest runs", reboot, {"touch": "none"}, downtime, 500),
    Story("in order", "it has touched all its memory", reboot, {"touch": "sequential"}, all_touched, 100),
    Story("shutdown", "wait() returns", shutdown, {}, downtime, 400),
)


def draws(number: int, seed: int = 2021) -> list[Costs]:
    """Costs drawn at random; of two numbers of draws, the smaller has the first ones of the larger."""
    chance = random.Random(seed)
    names = [each.name for each in fields(Costs)]
    defaults = {name: getattr(Costs(), name) for name in names}
    return [
        Costs(**{name: max(1, round(defaults[name] * TENFOLD ** chance.uniform(-1, 1))) for name in names})
        for _ in range(number)
    ]


@dataclass(frozen=True, slots=True)
class Many:
    """What ten thousand runs came to.

    Attributes
    ----------
    times_ns : dict of str to numpy.ndarray of int64, shape (2, 5, draws)
        By the name of the story: by kernel, as in `KERNELS`, by share used, as in `USED`, and by costs, as in `draws`.
    cpu_seconds : float
        What all that took of the processors' time.
    """

    times_ns: Mapping[str, np.ndarray]
    cpu_seconds: float

    @property
    def runs(self) -> int:
        """How many they are."""
        return sum(times.size for times in self.times_ns.values())

    def sooner(self, story: str) -> np.ndarray:
        """How many times as long it took before the series as with it; shape (5, draws)."""
        before, after = self.times_ns[one_of(story, self.times_ns, "story")]
        return before / after

    def tenfold(self, story: str) -> np.ndarray:
        """The share of the draws with which it ends ten times as soon or sooner; shape (5,), by share used."""
        return (self.sooner(story) >= TENFOLD).mean(axis=1)

    def deciding(self, story: str, used: int = -1) -> dict[str, float]:
        """How far each cost decides how many times sooner it ends: Spearman's rank correlation, the largest first.

        Parameters
        ----------
        story : str
        used : int
            Place in `USED`.
        """
        sooner = _ranks(self.sooner(story)[whole_number(used, "used", -len(USED), len(USED) - 1)])
        costs = [asdict(each) for each in draws(len(sooner))]
        found = {name: float(np.corrcoef(_ranks([each[name] for each in costs]), sooner)[0, 1]) for name in costs[0]}
        return dict(sorted(found.items(), key=lambda each: -abs(each[1])))

    def __str__(self) -> str:
        return f"{self.runs:,} runs of {MEMORY}: {round(self.cpu_seconds)} s of processor time"


def _ranks(values: Any) -> np.ndarray:
    return np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(float)


def compute(executor: Executor | None = None) -> dict[str, np.ndarray]:
    """Run all of them. Returns what is in `Many.times_ns`."""
    found = {}
    for story in STORIES:
        given = {**story.inputs, "kernel": list(KERNELS), "used": list(USED), "costs": draws(story.draws)}
        runs = sweep(story.what, executor=executor, figures={"ns": story.figure}, memory=MEMORY, **given)
        found[story.name] = runs["ns"].values.astype(np.int64)
    return found


@cache
def kept() -> Many:
    """What they came to when they were run last."""
    found = json.loads(FILE.read_text(encoding="utf-8"))
    times = {name: np.array(values, np.int64) for name, values in found["times_ns"].items()}
    return Many(times, found["cpu_seconds"])


def main() -> None:
    """Run all of them, and write the file."""
    from concurrent.futures import ProcessPoolExecutor  # which a browser's Python doesn't have

    with ProcessPoolExecutor() as executor:
        times = compute(executor)
    written: dict[str, Any] = {"cpu_seconds": round(sum(os.times()[:4]), 1)}  # its own, and that of the workers
    written["times_ns"] = {name: values.tolist() for name, values in times.items()}
    FILE.write_text(json.dumps(written, separators=(",", ":")) + "\n", encoding="utf-8")
    kept.cache_clear()
    print(kept())


if __name__ == "__main__":
    main()
