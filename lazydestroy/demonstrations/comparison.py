"""Which two kernels a patch's experiment compares, which parameters it takes, and what all experiments share."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..actors import VCPU, is_a
from ..page import PAGE_SIZE
from ..rounded import counted
from ..run import Event, Run
from ..scenarios import reboot, shutdown
from ..series import Patch, Series, linux_6_2, linux_latest, v1
from ..units import format_duration, format_size, shown, size, whole_number
from ..uvcb import UVC
from .fates import fates
from .result import Demonstration

Experiment = Callable[..., Demonstration]
Scenario = Callable[..., Run]


class Registered(NamedTuple):
    """An experiment, the scenario that gets its further parameters, and which of that one's it chooses itself."""

    experiment: Experiment
    scenario: Scenario | None
    chooses: tuple[str, ...]


DEMONSTRATIONS: dict[int, Registered] = {}
"""The experiments of version 1's patches, by number."""

MERGED: dict[int, Registered] = {}
"""Those of `linux_latest`. Where a commit does what a patch of version 1 does, it is the same experiment."""

_NOT_TO_CHOOSE = (
    *("kernel", "lazy_destroy", "async_destroy", "progress", "_engine"),
    *("helper", "bystander", "exit_at", "demand", "demand_total", "demand_from"),
    *("destroy_fails", "destroy_needs_no_cpus"),
)
"""Parameters of the scenarios that ask questions of their own."""


def demonstrates(
    number: int | None,
    scenario: Scenario | None = None,
    chooses: tuple[str, ...] = (),
    merged: int | None = None,
) -> Callable[[Experiment], Experiment]:
    """Register the experiment of a patch of version 1, of a commit that was merged, or of both.

    `scenario` gets its further parameters, but for those that it `chooses` itself.
    """

    def register(function: Experiment) -> Experiment:
        registered = Registered(function, scenario, chooses)
        if number is not None:
            DEMONSTRATIONS[number] = registered
        if merged is not None:
            MERGED[merged] = registered
        return function

    return register


def place_of(patch: int | Patch) -> tuple[Series, int]:
    """The series and the number under which a patch is demonstrated; a mere number is one of version 1.

    Raises
    ------
    ValueError
        If there is no such patch, or it has no demonstration: says which patch it is made from, if it is.
    """
    if not isinstance(patch, Patch):
        try:
            return v1, whole_number(patch, "number", 1, max(DEMONSTRATIONS))
        except ValueError:
            raise ValueError(f"number={shown(patch)}: use the number of a patch, 1 to {max(DEMONSTRATIONS)}") from None
    known = [(series, layer) for series in (v1, linux_6_2, linux_latest) for layer in series.layers]
    numbered = [(series, layer, layer.number) for series, layer in known if layer.number is not None]
    for series, layer, number in numbered:
        if layer is patch.layer:
            return series, number
    own = (f"ld.series.{series.name}[{number}]" for series, layer, number in numbered if issubclass(patch.layer, layer))
    origin = next(own, None)
    raise ValueError(
        f"number={patch.number} ({patch.title}): only the patches of version 1 and the commits of linux_latest have "
        f"demonstrations" + (f"; this one is made from {origin}: use {origin}.demonstrate()" if origin else "")
    )


def registered(patch: int | Patch) -> Registered:
    """The experiment of a patch.

    Raises
    ------
    ValueError
        If there is no such patch, or it has none.
    """
    series, number = place_of(patch)
    return (DEMONSTRATIONS if series is v1 else MERGED)[number]


def accepted(patch: int | Patch) -> frozenset[str]:
    """Names of the parameters that the experiment of a patch takes."""
    experiment, scenario, chooses = registered(patch)
    own = inspect.signature(experiment).parameters.values()
    names = {each.name for each in own if each.kind is inspect.Parameter.KEYWORD_ONLY}
    if scenario is not None:
        names |= inspect.signature(scenario).parameters.keys() - {*chooses, *_NOT_TO_CHOOSE}
    return frozenset(names)


def kernels(series: Series, number: int) -> tuple[Series, Series]:
    """The kernels without and with a patch that show what it is for; they differ in that patch only.

    Most show as soon as they are applied. Others prepare the ground for a later one, so they are taken out of the whole
    series, and with them what edits them.
    """
    if series is v1:
        return _taken_out(v1, number, {3: (), 4: (), 6: (), 7: (11,)}) or (v1.upto(number - 1), v1.upto(number))
    if series is linux_latest:
        return linux_latest.without(number), linux_latest
    whole = {5: (), 6: (), 8: (), 9: (16,), 10: (), 11: (17,)}
    # QEMU uses the commands of 14 only where 15 says that they are there
    last = 15 if number == 14 else number
    return _taken_out(linux_6_2, number, whole) or (linux_6_2.upto(number - 1), linux_6_2.upto(last))


def _taken_out(series: Series, number: int, whole: Mapping[int, tuple[int, ...]]) -> tuple[Series, Series] | None:
    """The whole series without a patch and with it, both without what edits it; None for a patch not in `whole`."""
    if number not in whole:
        return None
    edits = whole[number]
    return series.without(number, *edits), series.without(*edits)


@dataclass(frozen=True, slots=True)
class Compared:
    """The two kernels of an experiment, and what it was asked for.

    Attributes
    ----------
    belongs : Series
        The series that the patch belongs to.
    number : int
        Number of the patch.
    without, with_ : Series
    parameters : dict
        As given to `demonstrate`.
    """

    belongs: Series
    number: int
    without: Series
    with_: Series
    parameters: Mapping[str, Any]

    @property
    def story(self) -> int:
        """Number of the patch of version 1 that has the same experiment; without one, its own number."""
        own = (DEMONSTRATIONS if self.belongs is v1 else MERGED)[self.number]
        return next((number for number, other in DEMONSTRATIONS.items() if other is own), self.number)

    def reboot(self, **given: Any) -> tuple[Run, Run]:
        """Reboot on both kernels."""
        return reboot(kernel=self.without, **given), reboot(kernel=self.with_, **given)

    def shutdown(self, **given: Any) -> tuple[Run, Run]:
        """Shut down on both kernels."""
        return shutdown(kernel=self.without, **given), shutdown(kernel=self.with_, **given)

    def no_difference(self, why: str) -> tuple[str, ...]:
        """The finding of a patch that makes no difference, with the reason."""
        return f"Patch {self.number} makes no difference here.", why

    def found(self, **fields: Any) -> Demonstration:
        """What has been found out about the patch.

        Parameters
        ----------
        **fields
            Fields of `Demonstration`; they may name other kernels. The finding may be several sentences: the first one
            says it in short, the others are details.
        """
        finding = fields["finding"]
        if not isinstance(finding, str):
            first, *details = finding
            fields |= {"finding": first, "details": tuple(details)}
        title = self.belongs[self.number].title
        known = {"number": self.number, "title": title, "parameters": self.parameters, "belongs": self.belongs}
        if fields.get("kind") == "fates":
            # a page's story belongs to a finding that says the same
            known |= (
                {"fates": fates(self.number, self.without, self.with_, self.story)}
                if fields["shows"]
                else {"kind": "timeline"}
            )
            fields = {name: value for name, value in fields.items() if name not in known}
        return Demonstration(**{**known, "without": self.without, "with_": self.with_, **fields})


def compared(patch: int | Patch, parameters: Mapping[str, Any]) -> Compared:
    """What an experiment gets."""
    series, number = place_of(patch)
    return Compared(series, number, *kernels(series, number), parameters)


# What experiments ask of a run


def event(run: Run, kind: str, *words: str) -> Event | None:
    """The first event of a kind, with all these words in its text."""
    return next((each for each in run.events if each.kind == kind and all(word in each.text for word in words)), None)


def by_vcpus(run: Run) -> Counter[UVC]:
    """Calls that were made on behalf of the new guest's accesses."""
    return sum((calls for actor, calls in run.by_actor.items() if is_a(actor, VCPU)), Counter())


def low_memory(run: Run) -> int:
    """How much of a guest patch 8 destroys in the foreground, in bytes."""
    return size(run.parameters["low_memory"], "low_memory", multiple_of=PAGE_SIZE, zero=True)


def uncleaned(run: Run) -> int:
    """How many pages of the old guest were not clean when the new guest started to run.

    Whoever destroys pages in the foreground goes upwards from the old guest's first one, perhaps more than once.
    """
    return max(0, run.pages - run.foreground[UVC.DESTR_SEC_STOR])


def why_not(run: Run, otherwise: str) -> str:
    """Why the new guest of a run met no page of the old one: from what the run measured, or `otherwise`."""
    if not run.pages:
        return "the old guest had made no page secure"
    if not uncleaned(run):
        return (
            f"all that the old guest had used, {counted(run.pages, 'pages')}, lies within the first "
            f"{format_size(low_memory(run))} and was clean before the new one ran"
        )
    return otherwise


def ended(run: Run) -> str:
    """How a new guest that did not come up met its end."""
    fatal = ("signal", "addressing exception", "refused", "oom", "endless fault", "bug")
    last = next((each for each in run.events if each.kind in fatal), None)
    if last is None:
        return "it did not come up"
    return f"{last.kind} after {format_duration(last.time_ns)}: {last.text}"
