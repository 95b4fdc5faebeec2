"""Which two kernels a patch's experiment compares, which parameters it takes, and what all experiments share."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..page import PAGE_SIZE
from ..rounded import counted
from ..run import Event, Run
from ..scenarios import reboot, shutdown
from ..series import Patch, Series, v1
from ..units import format_duration, format_size, shown, size, whole_number
from ..uvcb import UVC
from .fates import fates
from .result import Demonstration

Experiment = Callable[..., Demonstration]
Scenario = Callable[..., Run]

DEMONSTRATIONS: dict[int, Experiment] = {}
"""The experiments, by number of the patch."""

_SCENARIOS: dict[int, tuple[Scenario | None, tuple[str, ...]]] = {}
"""To which scenario each experiment hands its further parameters, and which of that one's it chooses itself."""

_NOT_TO_CHOOSE = (
    *("kernel", "lazy_destroy", "progress", "_engine"),
    *("bystander", "exit_at", "demand", "demand_total", "demand_from", "destroy_fails", "destroy_needs_no_cpus"),
)
"""Parameters of the scenarios that ask questions of their own."""


def demonstrates(
    number: int, scenario: Scenario | None = None, chooses: tuple[str, ...] = ()
) -> Callable[[Experiment], Experiment]:
    """Register an experiment. `scenario` gets its further parameters, but for those that it `chooses` itself."""

    def register(function: Experiment) -> Experiment:
        DEMONSTRATIONS[number] = function
        _SCENARIOS[number] = scenario, chooses
        return function

    return register


def experiment(number: int) -> Experiment:
    """The experiment of a patch.

    Raises
    ------
    ValueError
        If there is no such patch.
    """
    try:
        return DEMONSTRATIONS[whole_number(number, "number", 1, max(DEMONSTRATIONS))]
    except ValueError:
        raise ValueError(f"number={shown(number)}: use the number of a patch, 1 to {max(DEMONSTRATIONS)}") from None


def accepted(number: int) -> frozenset[str]:
    """Names of the parameters that the experiment of a patch takes."""
    own = inspect.signature(experiment(number)).parameters.values()
    names = {each.name for each in own if each.kind is inspect.Parameter.KEYWORD_ONLY}
    scenario, chooses = _SCENARIOS[int(number)]
    if scenario is not None:
        names |= inspect.signature(scenario).parameters.keys() - {*chooses, *_NOT_TO_CHOOSE}
    return frozenset(names)


def number_of(patch: Patch) -> int:
    """The number under which a patch is demonstrated.

    Raises
    ------
    ValueError
        If it is no patch of version 1: says which of version 1's patches it is made from, if it is.
    """
    for other in v1:
        if other.layer is patch.layer:
            return other.number
        if issubclass(patch.layer, other.layer):
            instead = (
                f"; it is made from patch {other.number} of version 1: use ld.series.v1[{other.number}].demonstrate()"
            )
            break
    else:
        instead = ""
    raise ValueError(
        f"patch {patch.number} ({patch.title}) has no demonstration: only those of version 1 have{instead}"
    )


def kernels(number: int) -> tuple[Series, Series]:
    """The kernels without and with a patch that show what it is for; they differ in that patch only.

    3, 4, 6 and 7 only prepare the ground for 8, so they are taken out of the whole series; 11 edits what 7 adds, so it
    goes with it. The others show as soon as they are applied.
    """
    if number in (3, 4, 6):
        return v1.without(number), v1
    if number == 7:
        return v1.without(7, 11), v1.without(11)
    return v1.upto(number - 1), v1.upto(number)


@dataclass(frozen=True, slots=True)
class Compared:
    """The two kernels of an experiment, and what it was asked for.

    Attributes
    ----------
    number : int
        Number of the patch.
    without, with_ : Series
    parameters : dict
        As given to `demonstrate`.
    """

    number: int
    without: Series
    with_: Series
    parameters: Mapping[str, Any]

    def reboot(self, **given: Any) -> tuple[Run, Run]:
        """Reboot on both kernels."""
        return reboot(kernel=self.without, **given), reboot(kernel=self.with_, **given)

    def shutdown(self, **given: Any) -> tuple[Run, Run]:
        """Shut down on both kernels."""
        return shutdown(kernel=self.without, **given), shutdown(kernel=self.with_, **given)

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
        known = {"number": self.number, "title": v1[self.number].title, "parameters": self.parameters}
        if fields.get("kind") == "fates":
            # a page's story belongs to a finding that says the same
            known |= (
                {"fates": fates(self.number, self.without, self.with_)} if fields["shows"] else {"kind": "timeline"}
            )
            fields = {name: value for name, value in fields.items() if name not in known}
        return Demonstration(**{**known, "without": self.without, "with_": self.with_, **fields})


def compared(number: int, parameters: Mapping[str, Any]) -> Compared:
    """What an experiment gets."""
    return Compared(number, *kernels(number), parameters)


# What experiments ask of a run


def event(run: Run, kind: str, *words: str) -> Event | None:
    """The first event of a kind, with all these words in its text."""
    return next((each for each in run.events if each.kind == kind and all(word in each.text for word in words)), None)


def by_vcpus(run: Run) -> Counter[UVC]:
    """Calls that were made on behalf of the new guest's accesses."""
    return sum((calls for actor, calls in run.by_actor.items() if actor.startswith("vCPU")), Counter())


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
