"""Every public function, every parameter, every kind of wrong value: it is accepted, or an error names the parameter.

Never an error from inside, such as "'<' not supported" or "'slice' object is not callable".
"""

from __future__ import annotations

import inspect
import itertools
import re
import warnings
from ctypes import c_uint16
from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from marks import long_unless

import lazydestroy as ld
from lazydestroy import demonstrations, plots, questions, sweeps, toy, units, widgets
from lazydestroy.exercises import Feedback, PatchExercise
from lazydestroy.quizzes import files

V1 = ld.series.v1


class Unwritable:
    """Its own ``__repr__`` fails, which an error message must survive."""

    def __repr__(self):
        raise RuntimeError("no words")


class Broken:
    """Says that it is a number, and then isn't."""

    def __index__(self):
        raise RuntimeError("no number")


class Text(str):
    """Text of somebody's own, which cannot be compared."""

    __hash__ = str.__hash__

    def __eq__(self, other):
        raise RuntimeError("no comparison")


class Number(int):
    """A number of somebody's own that says something else each time."""

    def __int__(self):
        raise RuntimeError("no number")


def in_itself():
    found = []
    found.append(found)
    return found


ZOO = {
    "None": lambda: None,
    "empty text": lambda: "",
    "text": lambda: "x",
    "NUL": lambda: "\0",
    "-1": lambda: -1,
    "0": lambda: 0,
    "1.5": lambda: 1.5,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "10**30": lambda: 10**30,
    "10**5000": lambda: 10**5000,
    "True": lambda: True,
    "complex": lambda: 1j,
    "object": object,
    "unwritable": Unwritable,
    "ellipsis": lambda: ...,
    "type": lambda: int,
    "function": lambda: lambda *_: None,
    "slice": lambda: slice(1),
    "empty list": list,
    "list": lambda: [None],
    "nested list": lambda: [[1]],
    "tuple": lambda: (object(),),
    "empty dict": dict,
    "dict": lambda: {"x": 1},
    "set": set,
    "bytes": lambda: b"",
    "bytearray": lambda: bytearray(b"12"),
    "endless iterator": itertools.count,
    "generator": lambda: (each for each in (1, "y")),
    "np.int8": lambda: np.int8(-1),
    "np.float64": lambda: np.float64("nan"),
    "np.bool": lambda: np.True_,
    "np.datetime64": lambda: np.datetime64("2021-05-17"),
    "array": lambda: np.array([1, 2]),
    "array of text": lambda: np.array(["a"]),
    "empty array": lambda: np.array([]),
    "array without axes": lambda: np.array(1.5),
    "masked": lambda: np.ma.masked,
    "np.timedelta64": lambda: np.timedelta64(5, "ns"),
    "array of objects": lambda: np.array([None] * 9, object),
    "broken": Broken,
    "own text": lambda: Text("own"),
    "own number": lambda: Number(-7),
    "list in itself": in_itself,
    "Fraction": lambda: Fraction(1, 3),
    "Decimal": lambda: Decimal("1.5"),
    "Decimal NaN": lambda: Decimal("NaN"),
    "Decimal sNaN": lambda: Decimal("sNaN"),
    "costs": ld.Costs,
    "kernel": lambda: V1,
}


def named(error: Exception, word: str) -> bool:
    """Whether an error begins with the parameter, or says so in some other way of the project's."""
    return re.search(rf"(^|\W){re.escape(word)}", str(error)) is not None


PARTS = 3
"""Into so many parts the zoo is dealt: `make test` tries one of them on each parameter, each on a third of all."""


def wrong(call, word: str, part: int) -> list[str]:
    """What a function says to the wrong values of a part, where that is no help."""
    found = []
    for name, make in [*ZOO.items()][part::PARTS]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                call(make())
        except (ValueError, TypeError) as error:
            if not named(error, word):
                found.append(f"{name}: {type(error).__name__}: {error}")
        except Exception as error:
            found.append(f"{name}: {type(error).__name__}: {error}")
    return found


def machine() -> ld.Machine:
    """A machine of 16 pages whose guest is protected."""
    made = ld.Machine("64 KiB")
    made.boot()
    made.protect()
    return made


def unprotected() -> ld.Machine:
    made = ld.Machine("64 KiB")
    made.boot()
    return made


def performing() -> ld.Machine:
    """A machine whose QEMU has a thread that cleans up."""
    made = ld.small_machine(4, kernel=ld.series.linux_6_2)
    made.reboot()
    return made


TINY = {"memory": "1 MiB", "host_memory": "8 MiB"}
TINY_REBOOT = {**TINY, "low_memory": "256 KiB", "loader": 0, "image": "4 KiB"}
RUN = ld.reboot(**TINY_REBOOT, film=True)
COMPARED = ld.compare("1 MiB", host_memory="8 MiB")
GIB = {"memory": "1 GiB", "pictures": ()}

# name: function, what it is given besides
TABLE = {
    "reboot": (ld.reboot, TINY_REBOOT),
    "shutdown": (ld.shutdown, TINY),
    "reboot_loop": (ld.reboot_loop, {**TINY_REBOOT, "times": 2}),
    "sweep": (ld.sweep, {"what": ld.shutdown, **TINY}),
    "Machine": (ld.Machine, {}),
    "small_machine": (ld.small_machine, {}),
    "Costs": (ld.Costs, {}),
    "Costs.scaled": (ld.Costs().scaled, {}),
    "exercise": (ld.exercise, {"name": "flat-floor"}),
    "progress": (ld.progress, {}),
    "accepted": (questions.accepted, {}),
    "question": (questions.question, {}),
    "demonstrations.accepted": (demonstrations.accepted, {}),
    "Patch.diff": (V1[1].diff, {}),
    "plot_run": (plots.plot_run, {}),
    "plot_map": (plots.plot_map, {"run": RUN}),
    "plot_memory": (plots.plot_memory, {}),
    "plot_pages": (plots.plot_pages, {"machine": machine()}),
    "plot_answer": (plots.plot_answer, {}),
    "plot_trace": (plots.plot_trace, {}),
    "plot_demonstration": (plots.plot_demonstration, {}),
    "downtimes": (plots.downtimes, {"kernel": V1, "sizes": ("1 MiB",)}),
    "explore_reboot": (widgets.explore_reboot, {**GIB, "controls": ("memory",)}),
    "explore_shutdown": (widgets.explore_shutdown, {**GIB, "controls": ("memory",)}),
    "bench": (widgets.bench, GIB),
    "drop_a_patch": (widgets.drop_a_patch, {}),
    "Series": (ld.series.Series, {"layers": V1.layers, "name": "mine"}),
}

BY_HAND = {
    "touch": {},
    "read": {"page": 0},
    "io": {},
    "share": {},
    "unshare": {},
    "swap_out": {},
    "step": {},
    "turn_to": {},
    "fail_allocation": {"what": "kthread"},
}


def parameters(function) -> list[str]:
    """Names of what a function takes, but for what is the package's own affair."""
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = inspect.signature(function).parameters.values()
    return [each.name for each in found if each.kind not in kinds and each.name not in ("self", "_engine")]


def cases():
    """Function of one value, and the word that an error must have."""
    for name, (function, given) in TABLE.items():
        for each in parameters(function):
            yield f"{name}-{each}", lambda value, f=function, g=given, p=each: f(**{**g, p: value}), each
    for name, given in BY_HAND.items():
        for each in parameters(getattr(ld.Machine, name)):
            call = lambda value, n=name, g=given, p=each: getattr(machine(), n)(**{**g, p: value})  # noqa: E731
            yield f"Machine.{name}-{each}", call, each
    yield "Machine.observe-accessor", lambda value: machine().observe(value, 0, nothing()), "accessor"
    yield "Machine.observe-page", lambda value: machine().observe("host", value, nothing()), "page"
    yield "Machine.observe-flow", lambda value: machine().observe("my flow", 0, value), "flow"
    yield "Machine.kill_thread-task", lambda value: performing().kill_thread(value), "task"
    yield "compare-memory", ld.compare, "memory"
    yield "compare-used", lambda value: ld.compare("1 MiB", used=value), "used"
    yield "Comparison.runs-memory", lambda value: COMPARED.runs(memory=value), "memory"
    yield "Comparison.plot-scenario", lambda value: COMPARED.plot(value), "scenario"
    yield "Machine.protect-image", lambda value: unprotected().protect(value), "image"
    for number in range(1, 16):
        own = [name for name in questions.accepted(number) if name not in parameters(ld.reboot)]
        tiny = {name: value for name, value in TINY_REBOOT.items() if name in questions.accepted(number)}
        for each in [*own, "kernel"]:
            yield f"ask {number}-{each}", lambda value, n=number, g=tiny, p=each: ld.ask(n, **{**g, p: value}), each
    yield "ask-number", ld.ask, "number"
    yield "answers-numbers", ld.answers, "number"
    yield "answers-kernel", lambda value: ld.answers(13, kernel=value), "kernel"
    yield "ask-progress", lambda value: ld.ask(12, progress=value), "progress"
    yield "how_sure-factors", lambda value: questions.how_sure(12, factors=value, each=()), "factors"
    yield "how_sure-number", questions.how_sure, "number"
    yield "how_sure-executor", lambda value: questions.how_sure(12, factors=(1,), executor=value), "executor"
    for each in ("memory", "used", "kernel", "costs", "demand", "features"):
        yield f"sweep-{each}", lambda value, p=each: ld.sweep(ld.shutdown, **{**TINY, p: value}), each
        yield f"sweep-several-{each}", lambda value, p=each: ld.sweep(ld.shutdown, **{**TINY, p: [value]}), each
    yield "sweeps.reproduce-point", sweeps.reproduce, "point"
    yield "resting_on-names", questions.resting_on, "assumption"
    for patch in (*V1, *ld.series.linux_latest):
        own = [*sorted(demonstrations.accepted(patch) - set(parameters(ld.reboot))), "memory", "costs"]
        for each in own:
            call = lambda value, shown=patch, p=each: shown.demonstrate(**{"memory": "1 MiB", p: value})  # noqa: E731
            yield f"demonstrate {'m' if patch.commit else 'p'}{patch.number}-{each}", call, each
    yield "demonstrate-number", partial(demonstrations.demonstrate, memory="1 MiB"), "number"
    for name in ld.exercises.EXERCISES:
        yield f"check {name}", ld.exercise(name).check, name
        if isinstance(ld.exercise(name), PatchExercise):
            yield f"check {name}-progress", partial(_checked, name), name
    for each in parameters(ld.Ultravisor):
        yield f"Ultravisor-{each}", lambda value, p=each: ld.Ultravisor(**{"host_memory": "1 MiB", p: value}), each
    told = {"cmd": ld.UVC.VERIFY_IMG, "rc": 0x102}
    for each in parameters(ld.Ultravisor.fail):
        yield f"Ultravisor.fail-{each}", lambda value, p=each: machine().uv.fail(**{**told, p: value}), each
    tiny = {"kernel": V1, "pages": 1, "failures": (), "max_states": 3}
    for each in (*ld.series.Bounds.__slots__, "kernel", "max_states", "progress", "learn", "executor"):
        yield f"check-{each}", lambda value, p=each, t=tiny: ld.series.check(**{**t, p: value}), each
    yield "Answer.text-width", ld.ask(1, memory="1 MiB").text, "width"
    yield "Film.at-time_ns", RUN.film.at, "time_ns"
    yield "Feedback.points-of", Feedback("mine", False, "").points, "of"
    yield "Progress.keep-file", lambda value: ld.exercises.Progress().keep(value), "file"
    yield "Progress.note-name", lambda value: ld.exercises.Progress().note(value, True), "name"
    yield "student-given", ld.exercises.student, "given"
    yield "Ultravisor.call-uvcb", lambda value: machine().uv.call(value), "uvcb"
    yield "Ultravisor.access-page", lambda value: machine().uv.access(value), "page"
    yield "toy.ready-name", toy.ready, "name"
    yield "toy.mine-name", toy.mine, "name"
    yield "upto", V1.upto, "upto("
    yield "without", V1.without, "without("
    yield "plus", V1.plus, "plus("
    yield "in", V1.__contains__, "number"
    yield "plot_timeline-runs", plots.plot_timeline, "runs"
    yield "plot_scaling-kernels", lambda value: plots.plot_scaling(value, sizes=("1 MiB",)), "kernel"
    for each in ("sizes", "scenario", "costs", "dot"):
        call = lambda value, p=each: plots.plot_scaling(**{"sizes": ("1 MiB",), p: value})  # noqa: E731
        yield f"plot_scaling-{each}", call, each
    yield "quiz-questions", ld.quiz, "question"
    answers = [{"answer": each, "correct": each == "A", "feedback": "So it is."} for each in "AB"]
    mine = {"question": "Which?", "type": "multiple_choice", "answers": answers}
    yield "quiz-feedback", lambda value: ld.quiz([mine], feedback=value), "feedback"
    yield "predict-name", lambda value: ld.predict(value, int), "name"
    for each in ("outcome", "answer"):
        call = lambda value, p=each: ld.predict(**{"name": "mine", "outcome": int, p: value})  # noqa: E731
        yield f"predict-{each}", call, each
    yield "explore_question-number", widgets.explore_question, "number"
    yield "explore_question-controls", lambda value: widgets.explore_question(12, value), "controls"
    for number, each in ((1, "memory"), (1, "destroy"), (1, "kernel"), (3, "host"), (7, "touch"), (10, "exit_at")):
        call = lambda value, n=number, p=each: widgets.explore_question(n, **{"memory": "1 GiB", p: value})  # noqa: E731
        yield f"explore_question {number}-{each}", call, each
    for read in (units.size, units.duration, units.rate, units.share, units.factor, units.flag, units.whole_number):
        yield f"units.{read.__name__}", lambda value, f=read: f(value, "given"), "given"
    yield "units.calculated", lambda value: units.calculated(value, "given", "s"), "given"


def nothing():
    """A flow that does nothing."""
    return
    yield


def _checked(name, value):
    return ld.exercise(name).check(None, progress=value)


CASES = {name: (call, word) for name, call, word in cases()}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    """For what keeps a file; and no progress is kept from one test to the next. There is a prediction to be made."""
    monkeypatch.chdir(tmp_path)
    answers = [{"answer": f"{bound}", bound: 9, "feedback": "So it is."} for bound in ("least", "most")]
    mine = {"question": "How many?", "answers": [{**answers[0], "correct": True}, answers[1]]}
    monkeypatch.setattr(files, "_lessons", lambda: {"lesson": {"predictions": {"mine": mine}}})
    monkeypatch.setattr("lazydestroy.exercises.session._SESSION", ld.exercises.Progress())


def dealt():
    """Each parameter with each part of the zoo; those that `make test` tries come in turn."""
    for place, name in enumerate(CASES):
        yield name, place % PARTS
    for place, name in enumerate(CASES):
        yield from ((name, part) for part in range(PARTS) if part != place % PARTS)


@pytest.mark.parametrize(
    ("name", "part"),
    long_unless(
        {*itertools.islice(dealt(), len(CASES))}.__contains__,
        "makes 13,000 calls; make test makes 6,500, with each value and each parameter among them",
        dealt(),
    ),
)
def test_a_wrong_value_is_refused_by_name(name, part):
    assert wrong(*CASES[name], part) == []


TOLD = {
    "ask": lambda told: ld.ask(12, progress=told),
    "answers": lambda told: ld.answers(1, progress=told),
    "reboot": lambda told: ld.reboot(**TINY_REBOOT, progress=told),
    "sweep": lambda told: ld.sweep(ld.shutdown, **TINY, progress=told),
    "series.check": lambda told: ld.series.check(V1, pages=1, failures=(), max_states=3, progress=told),
    "exercise": lambda told: ld.exercise("patch-4").check(object, progress=told),
}
"""What tells how far it is."""


@pytest.mark.parametrize("call", TOLD.values(), ids=TOLD)
@pytest.mark.parametrize("told", [lambda: None, lambda a, b, c, d: None, lambda *, done: None, Unwritable])
def test_who_cannot_be_told_how_far_it_is_is_refused_before_it_begins(call, told):
    with pytest.raises(ValueError, match=r"progress=.*: use a function of .*, or None"):
        call(told)


def test_a_call_may_be_any_bytes_that_can_be_written():
    """Each is refused by the Ultravisor, not by Python: the header's command is 0."""
    for block in (bytearray(8), bytearray(64), np.zeros(64, np.uint8), memoryview(bytearray(16)), (c_uint16 * 4)()):
        assert machine().uv.call(block) == 1
        assert bytes(block)[4:6] != b"\0\0"


def test_nothing_public_is_left_out():
    data = {"Access", "Answer", "Event", "Interruption", "NotEnoughMemory", "Question", "Run", "UVC"}
    elsewhere = {
        "Ultravisor",
        "answers",
        "ask",
        "compare",
        "predict",
        "quiz",
    }  # `cases` takes their parameters by itself
    there = {name for name in ld.__all__ if callable(getattr(ld, name))}
    assert there == TABLE.keys() & there | data | elsewhere
