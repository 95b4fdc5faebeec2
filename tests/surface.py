"""What a reader can call, found by looking; and what each call is given besides the value that is tried.

The modules directly in the package are looked through: what they name in ``__all__`` is public, and so are the methods
of what that returns. A new function needs a line here only if one of its parameters has a name that is not in `VALUES`,
a new class only if it has methods that take something: `missing` says so.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from inspect import Parameter
from typing import Any, NamedTuple

import lazydestroy as ld
from lazydestroy import assumptions, demonstrations, designs, exercises, live, plots, small, toy
from lazydestroy._core import Engine, Memory, Table
from lazydestroy.commands import AsyncCommands
from lazydestroy.machine import Told
from lazydestroy.sweeps.many import kept

V1 = ld.series.v1

SAYS_WHAT_IS_READ = {
    *("accepted", "arguments", "complaint", "kind", "maximum", "minimum", "multiple_of", "name", "of", "text", "unit"),
    "zero",
}
"""Parameters of `units` that a program writes into its source. What somebody typed is never one of them."""


def machine() -> ld.Machine:
    """A machine of 16 pages whose guest is protected."""
    made = unprotected()
    made.protect()
    return made


def unprotected() -> ld.Machine:
    made = ld.Machine("64 KiB")
    made.boot()
    return made


def performing() -> ld.Machine:
    """A machine whose QEMU has a thread that cleans up."""
    made = small.small_machine(4, kernel=ld.series.linux_6_2)
    made.reboot()
    return made


def nothing():
    """A flow that does nothing."""
    return
    yield


def questions_of_my_own() -> list[dict[str, Any]]:
    answers = [{"answer": each, "correct": each == "A", "feedback": "So it is."} for each in "AB"]
    return [{"question": "Which?", "type": "multiple_choice", "answers": answers}]


TINY = {"memory": "1 MiB", "host_memory": "8 MiB"}
TINY_REBOOT = {**TINY, "low_memory": "256 KiB", "loader": 0, "image": "4 KiB"}

RUN = cache(lambda: ld.reboot(**TINY_REBOOT, film=True))
COMPARED = cache(lambda: ld.compare("1 MiB", host_memory="8 MiB"))
VERDICT = cache(lambda: ld.series.check(V1, pages=1, failures=("kthread",)))
EXIT = cache(lambda: live.exit_time("256 MiB"))
FIT = cache(lambda: live.fit(EXIT(), live.exit_time("1 GiB")))

VALUES: dict[str, Callable[[], Any]] = {
    "accepted": lambda: "what is accepted",
    "answer": lambda: ld.ask(1, memory="1 MiB"),
    "axes": lambda: plots.Picture(3).panel(1, 1),
    "below": lambda: "x",
    "bytes_per_second": lambda: 1,
    "complaint": lambda: "is wrong",
    "costs": ld.Costs,
    "count": lambda: 1,
    "factor": lambda: 2,
    "fates": lambda: V1[3].demonstrate(memory="1 MiB").fates,
    "file": lambda: "run.json",
    "flow": nothing,
    "gaddr": lambda: 0,
    "handle": lambda: next(iter(machine().uv.configurations)),
    "guest_len": lambda: 1 << 20,
    "guest": lambda: 1 << 20,
    "height": lambda: 1.0,
    "host": lambda: 1 << 30,
    "image": lambda: RUN().plot().image(),
    "kernel": lambda: V1,
    "kind": lambda: int,
    "label": lambda: "pages",
    "lines": lambda: {V1: [1]},
    "longest": lambda: {1: 1, 2: 1},
    "machine": machine,
    "many": kept,
    "memory": lambda: "1 MiB",
    "name": lambda: "mine",
    "nanoseconds": lambda: 1,
    "number": lambda: 1,
    "of": lambda: 1.0,
    "page": lambda: 0,
    "page_number": lambda: 0,
    "pages": lambda: 1,
    "patch": lambda: 1,
    "pfn": lambda: 1,
    "g": lambda: 1,
    "picture": lambda: plots.Picture(3),
    "process": lambda: 0,
    "questions": questions_of_my_own,
    "right": lambda: True,
    "run": RUN,
    "runs": RUN,
    "shown": lambda: V1[4].demonstrate(memory="1 MiB"),
    "sizes": lambda: (1 << 20,),
    "story": lambda: "shutdown",
    "task": lambda: None,
    "text": lambda: "x",
    "time_ns": lambda: 0,
    "title": lambda: "x",
    "top": lambda: 1.0,
    "topic": lambda: assumptions.TOPICS[0],
    "toy": lambda: toy.ReadyUltravisor,
    "trace": lambda: VERDICT().trace,
    "uvcb": lambda: bytearray(64),
    "value": lambda: 1,
    "who": lambda: "A",
    "words": lambda: "x",
}
"""What a parameter of that name is given, wherever it must be given."""

EXPLORED = {"memory": lambda: "1 GiB", "pictures": tuple, "controls": lambda: ("memory",)}


def givers(values: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    return {name: lambda value=value: value for name, value in values.items()}


GIVEN: dict[str, dict[str, Callable[[], Any]]] = {
    "Fit.predict": {"measured": EXIT},
    "Machine.fail_allocation": {"what": lambda: "kthread"},
    "Machine.observe": {"accessor": lambda: "host"},
    "plots.MapPanel": {"picture": plots.map_picture},
    "MapPanel.show": {"run": RUN},
    "Progress.keep": {"file": lambda: None},
    "Engine.sample_every": {"ns": lambda: 1},
    "Engine.spawn": {"generator": nothing},
    "Engine.watch": {"pages": lambda: (1,), "ns": lambda: 1},
    "Memory.change": {"function": lambda: lambda record: record},
    "Memory.low": {"reserve": lambda: 1},
    "Memory.set_record": {"record": lambda: machine().memory.record(0)},
    "ScalingPanel.show": {"lines": lambda: {V1: [1]}},
    "UltravisorBeside.import_page": {"guest": lambda: "A"},
    "UltravisorBeside.share_page": {"guest": lambda: "A"},
    "UltravisorBeside.stop": {"guest": lambda: "A"},
    "Ultravisor": givers({"host_memory": "1 MiB"}),
    "Ultravisor.access": {"page": lambda: machine().memory.page(0)},
    "Ultravisor.fail": givers({"cmd": ld.UVC.VERIFY_IMG, "rc": 0x102}),
    "WaitingPanel.show": {"runs": lambda: {"mine": RUN()}, "end": lambda: 10**9},
    "answers": {"numbers": lambda: 13},
    "exercise": {"name": lambda: "flat-floor"},
    "grading.points": {"problem": lambda: "flat-floor"},
    "limits.require_memory": {"needed": lambda: 1, "what": lambda: "it"},
    "live.exit_time": {"memory": lambda: "16 MiB"},
    "plots.describe_waiting": {"runs": lambda: {"mine": RUN()}},
    "plots.plot_ranges": {"downtimes": lambda: {1: 2, 2: 1}},
    "plots.plot_waiting": {"runs": RUN},
    "plots.waiting_height": {"runs": lambda: 1},
    "plots.waiting_picture": {"runs": lambda: 1},
    "predict": {"outcome": lambda: int},
    "questions.how_sure": {"factors": lambda: (1,), "number": lambda: 12},
    "questions.resting_on": {"names": lambda: "destroy"},
    "reboot": givers(TINY_REBOOT),
    "reboot_loop": givers({**TINY_REBOOT, "times": 2}),
    "rounded.short_of": {"words": lambda: 3},
    "scenarios.fits_into_time": {"latest": lambda: 0},
    "scenarios.host_memory_of": {"value": lambda: None},
    "rounded.about": {"unit": lambda: "pages"},
    "rounded.counted": {"unit": lambda: "pages"},
    "series.Series": {"layers": lambda: V1.layers},
    "series.check": givers({"kernel": V1, "pages": 1, "failures": (), "max_states": 3}),
    "shutdown": givers(TINY),
    "sweep": {"what": lambda: ld.shutdown, **givers(TINY)},
    "sweeps.reproduce": {"point": lambda: None},
    "toy.mine": {"name": lambda: "ultravisor"},
    "toy.ready": {"name": lambda: "ultravisor"},
    "units.calculated": {"unit": lambda: "s"},
    "units.expect_function": {"arguments": lambda: 1},
    "units.expect_progress": {"arguments": lambda: 1},
    "units.one_of": {"accepted": lambda: ("x",), "value": lambda: "x"},
    "units.several": {"value": lambda: (1,)},
    "widgets.bench": {"memory": lambda: "1 GiB", "pictures": tuple},
    "widgets.choose": {"values": lambda: (1, 2), "of": lambda: str},
    "widgets.explore_question": givers({"memory": "1 GiB"}),
    "widgets.explore_reboot": EXPLORED,
    "widgets.explore_shutdown": EXPLORED,
}
"""What a function or a method is given where `VALUES` does not know its parameters, or would take long."""

LEFT_OUT = {
    "the model calls it, with its own objects": r"""
        (host|kernel|userspace|commands)\..* | Machine\.(addressing_exception|fatal_signal_pending|protecting|raised)
        | Machine\.(guest_runs|out_of_memory|reading|running_handle|seen|signal|start_thread) | machine\.Process
        | series\.(OneAtATime|OnePrepared|OomNotifier|RangeCall|Layer)
        | ultravisor\.(DictTable|Fault|Storage|GuestTable|HostMemory)
        | Engine\.(allocate_list_page|called|charge|doing|gather|function_of|next_step|read_lock|release|set)
        | Machine\.(allocate_donation|bug|configuration_ended|configurations_set_aside|describe|event)
        | Machine\.(endless_fault|give_back|injected|leak|leak_page|may_swap|name|refused|take|warn|warn_once)
        | Outcome\.of""",
    "a module of the package calls it: workers, commands, bars, Jupyter, names": r"""
        (actors|collecting|contents|executors|ours|saying|tables|waiting)\..* | Picture\.(draw|set)""",
    "another machine is needed: see test_surface_refusals": r"Machine\.(kill_thread|protect)",
    "made by a function that is tried itself": r"""
        widgets\.(Asker|Bench|Chooser|Explorer|PatchDropper|Prediction|Quiz|MeasuredExits)
        | exercises\.(NumberExercise|PatchExercise|Exercise) | toy\.(Beside|HostBeside|UltravisorBeside)
        | quizzes\.(Predicted|Option)""",
    "its source is what students read and write themselves": r"toy\.(ReadyHost|ReadyUltravisor)",
}
"""What is not tried, by the reason why not."""

INSTANCES: dict[type, Callable[[], Any]] = {
    AsyncCommands: performing,
    assumptions.Assumptions: assumptions.assumptions,
    designs.Comparison: COMPARED,
    designs.Outcome: lambda: COMPARED().outcomes[0],
    exercises.Feedback: lambda: exercises.Feedback("mine", False, ""),
    exercises.Progress: exercises.Progress,
    ld.Answer: VALUES["answer"],
    ld.Costs: ld.Costs,
    ld.Machine: machine,
    ld.Run: RUN,
    ld.Ultravisor: lambda: machine().uv,
    ld.series.Patch: lambda: V1[1],
    ld.series.Series: lambda: V1,
    live.Fit: FIT,
    plots.MapPanel: lambda: plots.MapPanel(plots.map_picture()),
    plots.MemoryPanel: lambda: plots.MemoryPanel(VALUES["axes"]()),
    plots.Picture: VALUES["picture"],
    plots.ScalingPanel: lambda: plots.ScalingPanel(VALUES["axes"]()),
    plots.TimelinePanel: lambda: plots.TimelinePanel(VALUES["axes"]()),
    plots.WaitingPanel: lambda: plots.WaitingPanel(VALUES["axes"]()),
    demonstrations.Measure: lambda: V1[4].demonstrate(memory="1 MiB").measures[0],
    ld.series.Finding: lambda: next(iter(ld.series.FINDINGS_6_2)),
    toy.HostBeside: lambda: toy.beside(toy.ReadyHost),
    toy.UltravisorBeside: lambda: toy.beside(toy.ReadyUltravisor),
    # what is in no ``__all__``, but comes out of a call
    Told: lambda: Told("QEMU, page 1: DESTR_SEC_STOR"),
    Engine: lambda: machine().engine,
    Memory: lambda: machine().memory,
    Table: lambda: machine().mm.guest,
    type(kept()): kept,
    type(RUN().film): lambda: RUN().film,
}
"""A new instance of each class whose methods a reader calls with something."""


class Tried(NamedTuple):
    """A parameter of something public, and a function that calls it with a value for that parameter."""

    name: str
    parameter: str
    call: Callable[[Any], Any]


def tried() -> Iterator[Tried]:
    """All that a reader can call with something, parameter by parameter."""
    for name, get, function in callables():
        takes = parameters_of(function)
        for each in takes:
            if not (name.startswith("units.") and each.name in SAYS_WHAT_IS_READ):
                yield Tried(name, each.name, partial(_called, name, get, takes, each))


def _called(name: str, get: Callable[[], Any], takes: list[Parameter], tried: Parameter, value: Any) -> Any:
    """Call something with a value for one parameter, and what is usual for all that must be given besides."""
    usual = GIVEN.get(name, {})
    if name.startswith("units."):
        usual = {"name": lambda: "given", **usual} if any(each.name == "name" for each in takes) else usual
    by_place = []
    by_name = {each: make() for each, make in usual.items() if each not in {one.name for one in takes}}
    for place, each in enumerate(takes):
        if each is not tried and _is_optional(each) and each.name not in usual:
            continue
        given = value if each is tried else (usual.get(each.name) or VALUES[each.name])()
        before_many = any(one.kind is one.VAR_POSITIONAL for one in takes[place:])
        if before_many or each.kind is each.POSITIONAL_ONLY:
            by_place.append(given)
        else:
            by_name[each.name] = given
    return get()(*by_place, **by_name)


def _is_optional(each: Parameter) -> bool:
    return each.default is not each.empty or each.kind is each.VAR_POSITIONAL


def missing() -> list[str]:
    """What has to be written into this file, or taken out of it, before all that is public can be tried."""
    found = [f"{name}: there is no such function any more" for name in GIVEN.keys() - {each[0] for each in callables()}]
    for name, _, function in callables():
        known = {*VALUES, *GIVEN.get(name, {})}
        for each in parameters_of(function):
            if not _is_optional(each) and each.name not in known:
                found.append(f"{name}: say in VALUES or GIVEN of tests/surface.py what {each.name!r} is given")
    for name, kind in public():
        if inspect.isclass(kind) and kind not in INSTANCES and not _left_out(name) and methods_of(kind):
            found.append(
                f"{name}: say in INSTANCES of tests/surface.py how one is made, for {', '.join(methods_of(kind))}"
            )
    return found


def callables() -> Iterator[tuple[str, Callable[[], Any], Any]]:
    """Name, a function that finds it (a method on a new instance), and what has its signature."""
    for name, found in public():
        if not _left_out(name) and (not inspect.isclass(found) or _is_made(found)):
            yield name, partial(lambda itself: itself, found), found
    for kind, make in INSTANCES.items():
        for name in methods_of(kind):
            if not _left_out(f"{kind.__name__}.{name}"):
                yield f"{kind.__name__}.{name}", partial(_method, make, name), getattr(kind, name)


def _method(make: Callable[[], Any], name: str) -> Any:
    return getattr(make(), name)


def _left_out(name: str) -> bool:
    return any(re.fullmatch(pattern, name, re.VERBOSE) for pattern in LEFT_OUT.values())


def public() -> Iterator[tuple[str, Any]]:
    """Functions and classes in the ``__all__`` of the package and of the modules directly in it."""
    seen = set()
    names = [each.name for each in pkgutil.iter_modules(ld.__path__) if not each.name.startswith("_")]
    for module in (ld, *(importlib.import_module(f"lazydestroy.{name}") for name in names)):
        where = module.__name__.removeprefix("lazydestroy").removeprefix(".")
        for name in getattr(module, "__all__", ()):
            found = getattr(module, name)
            ours = str(getattr(found, "__module__", "")).startswith("lazydestroy")
            if callable(found) and ours and id(found) not in seen:
                seen.add(id(found))
                yield f"{where}.{name}".removeprefix("."), found


def _is_made(kind: type) -> bool:
    """Whether a reader makes one; what only holds data is made by functions."""
    data = hasattr(kind, "__dataclass_fields__") or issubclass(kind, (tuple, enum.Enum, BaseException))
    return kind is ld.Costs or not (data or getattr(kind, "_is_protocol", False))


def parameters_of(function: Any) -> list[Parameter]:
    """What a function takes: not what it passes on by name, nor what is the package's own affair."""
    found = [each for each in inspect.signature(function).parameters.values() if each.kind is not each.VAR_KEYWORD]
    return [each for each in found if each.name not in ("self", "cls") and not each.name.startswith("_")]


def methods_of(kind: type) -> list[str]:
    """The methods, written in this package, that take something."""
    found = []
    for name in dir(kind):
        home = next((base for base in kind.__mro__ if name in vars(base)), None)
        if name.startswith("_") or home is None or not home.__module__.startswith("lazydestroy"):
            continue
        method = getattr(kind, name)
        if callable(method) and not inspect.isclass(method) and parameters_of(method):
            found.append(name)
    return found
