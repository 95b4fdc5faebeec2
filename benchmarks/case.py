"""The reboot that all models play: a protected guest is rebooted lazily, and the new one touches all its memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import lazydestroy as ld

PAGE_SIZE = 4096
GIB = 1 << 30

FULL = 64 * GIB
"""The guest whose proportions smaller ones keep: 2 GiB are cleared at once, 64 MiB are loader, 64 MiB image."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a model says of a reboot.

    Attributes
    ----------
    uvcs : Counter of (str, str)
        Ultravisor Calls by actor and command.
    noop, refused : Counter of str
        Those of them that changed nothing, or were refused, by command.
    downtime_ns, cleanup_ns, end_ns : int
    """

    uvcs: Counter[tuple[str, str]]
    noop: Counter[str]
    refused: Counter[str]
    downtime_ns: int
    cleanup_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Reboot:
    """A lazy reboot of a guest all of whose pages were secure, as the models are told of it.

    The new guest is protected: its loader touches the first `loader` pages, then `image` pages from `image_at` on are
    unpacked, then each vCPU touches its part of the memory, while the clean-up thread walks all of it.

    Attributes
    ----------
    pages : int
        Size of the guest.
    low : int
        Pages that are destroyed before the new guest runs; loader and image lie within them.
    loader, image, image_at, vcpus, batch : int
    costs : Costs
    """

    pages: int
    low: int
    loader: int
    image: int
    image_at: int
    vcpus: int = 2
    batch: int = 32
    costs: ld.Costs = field(default_factory=ld.Costs)

    def __post_init__(self) -> None:
        if not max(self.loader, self.image_at + self.image) <= self.low <= self.pages:
            raise ValueError(f"low={self.low}: loader and image must lie below, and it within the guest")

    @classmethod
    def of(cls, memory: int) -> Reboot:
        """A guest of `memory` bytes with the proportions of 64 GiB."""

        def share(of_full: int) -> int:
            return max(1, of_full * memory // FULL // PAGE_SIZE)

        return cls(memory // PAGE_SIZE, share(2 * GIB), share(64 << 20), share(64 << 20), share(1 << 20))

    def bounds(self, part: int) -> range:
        """The pages of one vCPU."""
        return range(self.pages * part // self.vcpus, self.pages * (part + 1) // self.vcpus)

    @property
    def configuration_ns(self) -> int:
        """What it takes to create or destroy the secure configuration."""
        return self.costs.config + self.costs.config_per_gib * self.pages * PAGE_SIZE // GIB

    def run(self, touch: str = "sequential", seed: int = 0) -> ld.Run:
        """Let lazydestroy play it."""
        return ld.reboot(
            self.pages * PAGE_SIZE,
            costs=self.costs,
            touch=touch,
            seed=seed,
            vcpus=self.vcpus,
            low_memory=self.low * PAGE_SIZE,
            loader=self.loader * PAGE_SIZE,
            image=self.image * PAGE_SIZE,
            image_at=self.image_at * PAGE_SIZE,
            destroy_loop_threshold=self.batch,
        )


def outcome(run: ld.Run) -> Outcome:
    """A run of lazydestroy in the models' terms."""
    if run.downtime_ns is None or run.cleanup_ns is None or not run.booted:
        raise ValueError(f"{run.reproduce()} did not come to its end")
    return Outcome(
        Counter({(actor, cmd.name): calls for actor, made in run.by_actor.items() for cmd, calls in made.items()}),
        Counter({cmd.name: calls for cmd, calls in run.noop_uvcs.items()}),
        Counter({cmd.name: calls for cmd, calls in run.failed_uvcs.items()}),
        run.downtime_ns,
        run.cleanup_ns,
        run.end_ns,
    )
