"""Every public function, every parameter, every kind of wrong value: it is accepted, or an error names the parameter.

Never an error from inside, such as "'<' not supported" or "'slice' object is not callable".
"""

from __future__ import annotations

import contextlib
import inspect
import io
import itertools
import re
import warnings
from ctypes import c_uint16
from decimal import Decimal
from fractions import Fraction
from functools import cache, partial
from operator import itemgetter

import numpy as np
import pytest

import lazydestroy as ld
from lazydestroy import demonstrations, questions, widgets
from lazydestroy.exercises import PatchExercise
from lazydestroy.page import Record
from lazydestroy.quizzes import files
from tests import surface
from tests.marks import long_unless
from tests.surface import TINY, TINY_REBOOT, V1


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


class Incomparable:
    """It cannot be a key, nor be compared."""

    def __eq__(self, other):
        raise RuntimeError("no comparison")

    def __hash__(self):
        raise RuntimeError("no hash")


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
    "incomparable": Incomparable,
    "function of nothing": lambda: lambda: None,
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


FROM_INSIDE = re.compile(
    r"not supported between|unsupported operand|object is not|has no attribute|positional argument"
)
"""What Python itself complains of, in a function that was given something else than it expects."""

SHARES = 16
"""Of so many shares of the zoo `make test` tries one on each parameter, another on the next one."""


ITS_OWN_ERROR = {
    ("flow", "generator"),
    ("function", "function of nothing"),
    ("function", "type"),
    ("progress", "type"),
}
"""Parameters that take a function or a generator, and some that say themselves that they can't do this."""


def wrong(call, word: str, zoo) -> list[str]:
    """What a function says to wrong values, where that is no help."""
    found = []
    for name in zoo:
        value = ZOO[name]()
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                call(value)
        except (ValueError, TypeError, IndexError) as error:
            if (word, name) in ITS_OWN_ERROR:
                continue
            if not named(error, word) or FROM_INSIDE.search(str(error)):
                found.append(f"{word}: {name}: {type(error).__name__}: {error}")
        except Exception as error:
            found.append(f"{word}: {name}: {type(error).__name__}: {error}")
    return found


WORDS = {
    ("Series.plus", "layers"): "plus(",
    ("Series.upto", "number"): "upto(",
    ("Series.without", "numbers"): "without(",
    ("answers", "numbers"): "number",
    ("limits.require_memory", "needed"): "need",
    ("questions.resting_on", "names"): "assumption",
    ("quizzes.quiz_named", "name"): "questions",
    ("quizzes.read", "questions"): "question",
    ("quiz", "questions"): "question",
    ("scenarios.host_memory_of", "value"): "host_memory",
    ("units.expect_progress", "value"): "progress",
}
"""What an error is about, where that isn't the parameter's name; of what `units` reads, it is the name it is given."""


def cases():
    """Name of a function, the word that an error must have, and the function of one value."""
    for each in surface.tried():
        reads = each.name.startswith("units.") and each.parameter == "value" and each.name != "units.code"
        word = WORDS.get((each.name, each.parameter), "given" if reads else each.parameter)
        yield each.name, word, each.call
    yield from by_hand()


def by_hand():
    """What takes anything by name and passes it on, and what depends on what was done before."""
    yield "Machine.kill_thread", "task", lambda value: surface.performing().kill_thread(value)
    yield "Machine.protect", "image", lambda value: surface.unprotected().protect(value)
    for each in ("memory", "used"):
        yield "compare", each, lambda value, p=each: ld.compare(**{"memory": "1 MiB", p: value})
    for number in range(1, 16):
        own = [name for name in questions.accepted(number) if name not in parameters(ld.reboot)]
        tiny = {name: value for name, value in TINY_REBOOT.items() if name in questions.accepted(number)}
        for each in [*own, "kernel"]:
            yield f"ask {number}", each, lambda value, n=number, g=tiny, p=each: ld.ask(n, **{**g, p: value})
    yield "answers 13", "kernel", lambda value: ld.answers(13, kernel=value)
    yield "ask 12", "progress", lambda value: ld.ask(12, progress=value)
    yield "how_sure", "executor", lambda value: questions.how_sure(12, factors=(1,), executor=value)
    for each in ("memory", "used", "kernel", "costs", "demand", "features"):
        yield "sweep", each, lambda value, p=each: ld.sweep(ld.shutdown, **{**TINY, p: value})
        yield "sweep several", each, lambda value, p=each: ld.sweep(ld.shutdown, **{**TINY, p: [value]})
    for patch in (*V1, *ld.series.linux_latest):
        own = [*sorted(demonstrations.accepted(patch) - set(parameters(ld.reboot))), "memory", "costs"]
        for each in own:
            call = lambda value, shown=patch, p=each: shown.demonstrate(**{"memory": "1 MiB", p: value})  # noqa: E731
            yield f"demonstrate {'m' if patch.commit else 'p'}{patch.number}", each, call
    for name in ld.exercises.EXERCISES:
        yield f"check {name}", name, ld.exercise(name).check
        if isinstance(ld.exercise(name), PatchExercise):
            yield f"check {name}", name, partial(_checked, name)
    tiny = {"kernel": V1, "pages": 1, "failures": (), "max_states": 3}
    for each in ld.series.Bounds.__slots__:
        yield "series.check", each, lambda value, p=each, t=tiny: ld.series.check(**{**t, p: value})
    yield "in", "number", V1.__contains__
    blocks = [kind for kind in vars(ld.uvcb).values() if inspect.isclass(kind) and hasattr(kind, "_headers")]
    for kind in blocks:
        for each in ("cmd", "header", *(name for name, *_ in kind._fields_[1:] if not name.startswith("reserved"))):
            given = {} if each == "header" or kind._headers[None].cmd else {"cmd": next(iter(kind._headers))}
            call = lambda value, k=kind, g=given, p=each: k(**{**g, p: value})  # noqa: E731
            yield f"uvcb.{kind.__name__}", each, call
    for each in ("alive", "guest_up"):
        yield "Machine", each, lambda value, p=each: setattr(surface.machine(), p, value)
    for each in Record._fields:
        yield "Page", each, lambda value, p=each: setattr(surface.machine().memory.page(0), p, value)
    yield "quiz", "feedback", lambda value: ld.quiz(surface.questions_of_my_own(), feedback=value)
    for number, each in ((1, "memory"), (1, "destroy"), (1, "kernel"), (3, "host"), (7, "touch"), (10, "exit_at")):
        call = lambda value, n=number, p=each: widgets.explore_question(n, **{"memory": "1 GiB", p: value})  # noqa: E731
        yield "explore_question", each, call

    makers = {
        "Asker": lambda: widgets.explore_question(1, memory="1 GiB"),
        "Bench": lambda: widgets.bench(memory="1 GiB", pictures=()),
        "Explorer": lambda: widgets.explore_reboot(memory="1 GiB", pictures=()),
        "PatchDropper": widgets.drop_a_patch,
    }
    for name, make in makers.items():
        once = cache(make)
        for each in ("memory", "used", "destroy", "kernel", "touch", "leave_out"):
            yield f"{name}.set", each, lambda value, w=once, p=each: w().set(**{p: value})


def parameters(function) -> list[str]:
    return [each.name for each in surface.parameters_of(function)]


def _checked(name, value):
    return ld.exercise(name).check(None, progress=value)


CASES = {name: [*of] for name, of in itertools.groupby(sorted(cases(), key=itemgetter(0)), key=itemgetter(0))}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    """For what keeps a file; and no progress is kept from one test to the next. There is a prediction to be made."""
    monkeypatch.chdir(tmp_path)
    answers = [{"answer": f"{bound}", bound: 9, "feedback": "So it is."} for bound in ("least", "most")]
    mine = {"question": "How many?", "answers": [{**answers[0], "correct": True}, answers[1]]}
    monkeypatch.setattr(files, "_lessons", lambda: {"lesson": {"predictions": {"mine": mine}}})
    monkeypatch.setattr("lazydestroy.live.measuring.why_not", lambda: "a test kills no process")
    monkeypatch.setattr("lazydestroy.exercises.session._SESSION", ld.exercises.Progress())


@pytest.mark.parametrize(
    ("name", "whole"),
    long_unless(
        lambda given: not given[1],
        "makes 22,000 calls; make test makes one in sixteen, with each value and each parameter among them",
        itertools.product(CASES, (False, True)),
    ),
)
def test_a_wrong_value_is_refused_by_name(name, whole):
    first = list(CASES).index(name)
    found = []
    for place, (_, word, call) in enumerate(CASES[name]):
        zoo = [*ZOO] if whole else [*ZOO][(first + place) % SHARES :: SHARES]
        found += wrong(call, word, zoo)
    assert not found, "\n".join(found)


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
        assert surface.machine().uv.call(block) == 1
        assert bytes(block)[4:6] != b"\0\0"


def test_all_that_is_public_is_tried():
    assert not surface.missing(), "\n".join(surface.missing())
