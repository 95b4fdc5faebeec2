"""What a layer keeps for itself is part of the state, whatever it is; what the search cannot look into, it refuses."""

import array
import random
import sys
import threading
from collections import Counter, OrderedDict, defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import partial
from itertools import count

import numpy as np
import pytest

import lazydestroy as ld
from lazydestroy.series.check import bounds_of
from lazydestroy.series.plain import Hidden
from lazydestroy.series.world import World
from lazydestroy.uvcb import UVC, uv_cb_cfs

v1, v1_fixed, check = ld.series.v1, ld.series.v1_fixed, ld.series.check

BOUNDS = {"pages": 1, "failures": (), "host": ("io",)}


class Box:
    """An object with an attribute."""

    def __init__(self, held):
        self.held = held


class Slotted:
    """An object that has no dict."""

    __slots__ = ("held",)

    def __init__(self, held):
        self.held = held


@dataclass
class Noted:
    """A dataclass, with one more inside."""

    held: object
    more: list = field(default_factory=lambda: [Box(1)])


class Tagged(dict):
    """A dict that has attributes, too."""


class Stage(Enum):
    """What an export has come to."""

    NO = 0
    ONE = 1
    TWO = 2


def tagged(number):
    made = Tagged(always=1)
    made.number = number
    return made


def ring(number):
    """An object that is in itself."""
    made = Box([number])
    made.held.append(made)
    return made


def generator(number):
    """One that has gone on so far."""

    def numbers():
        yield from (yes for yes in range(9) if yes >= 0)

    made = numbers()
    for _ in range(number + 1):
        next(made)
    return made


def counted(number):
    made = count()
    for _ in range(number):
        next(made)
    return made


def a_function(number):
    return lambda: number


KEPT = {
    "int": int,
    "text": str,
    "float": float,
    "complex": complex,
    "bytes": lambda number: b"x" * number,
    "bytearray": lambda number: bytearray(number),
    "Fraction": lambda number: Fraction(number, 3),
    "Decimal": Decimal,
    "range": range,
    "list": lambda number: [1] * number,
    "deque": lambda number: deque([1] * number, maxlen=9),
    "array": lambda number: array.array("i", [1] * number),
    "set": lambda number: set(range(number)),
    "dict": lambda number: {(1, 2.5): [number]},
    "order of a dict": lambda number: dict.fromkeys((*range(number, 3), *range(number))),
    "defaultdict": lambda number: defaultdict(list, {b"key": [number]}),
    "Counter": lambda number: Counter("a" * number),
    "OrderedDict": lambda number: OrderedDict.fromkeys(range(number)),
    "a dict's attribute": tagged,
    "object": Box,
    "object with slots": Slotted,
    "dataclass": Noted,
    "nested": lambda number: {"a": [Noted((Box({1.5: {b"x": Slotted(number)}}),))]},
    "in itself": ring,
    "Enum": Stage,
    "numpy number": np.float32,
    "numpy array": np.arange,
    "generator": generator,
    "count": counted,
    "function": a_function,
    "partial": lambda number: partial(max, number),
    "method": lambda number: Box(number).__repr__,
    "class": lambda number: (Box, Slotted, Noted)[number],
    "control block": lambda number: uv_cb_cfs(cmd=UVC.DESTR_SEC_STOR, paddr=number << 12),
    "exception": lambda number: ValueError(number),
    "random numbers": random.Random,
    "module or nothing": lambda number: (None, threading, random)[number],
}


def third_export(make):
    """A layer that kills the process at the third export of a page. How far it has come, one attribute alone says."""

    class Counts:
        made = tuple(make(number) for number in range(3))

        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.now = self.made[0]

        def arch_make_page_accessible(self, page):
            if page.arch_1:
                place = next(place for place, each in enumerate(self.made) if each is self.now)
                if place == 2:
                    self.machine.signal("SIGSEGV", "third export")
                else:
                    self.now = self.made[place + 1]
            return super().arch_make_page_accessible(page)

    return Counts


@pytest.mark.parametrize("make", KEPT.values(), ids=KEPT)
def test_whatever_a_layer_counts_with_the_search_tells_its_states_apart(make):
    verdict = check(v1.upto(0).plus(third_export(make)), **BOUNDS)
    assert (verdict.steps, verdict.trace.violation) == (8, "the process is killed: SIGSEGV: third export")


def test_a_search_that_learns_nothing_tells_them_apart_as_well():
    assert check(v1.upto(0).plus(third_export(Noted)), learn=False, **BOUNDS).steps == 8


class NothingThenTheMm:
    """It keeps a part of the machine from the first export on, and minds at the second one."""

    seen = None

    def arch_make_page_accessible(self, page):
        if page.arch_1:
            if self.seen is not None:
                self.machine.signal("SIGSEGV", "second export")
            self.seen = self.machine.mm
        return super().arch_make_page_accessible(page)


class Lists:
    """It lists what it meets; a list that is in itself has an end all the same."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.met = [self, self.machine, self.machine.engine, {}]
        self.met[-1]["all"] = self.met


def test_a_part_of_the_machine_is_not_nothing():
    assert check(v1.upto(0).plus(NothingThenTheMm), **BOUNDS).trace.violation.endswith("second export")


def test_what_refers_to_the_machine_or_to_itself_is_told():
    assert check(v1.upto(0).plus(Lists), **BOUNDS).states == check(v1.upto(0), **BOUNDS).states


def local(make):
    """A layer whose clean-up counts in a variable of its own while it waits, and does not come to an end."""

    class Waits:
        def kvm_s390_pv_destroy_vm_thread(self, priv):
            numbers = [make(number) for number in range(3)]
            while numbers:
                now = numbers.pop(0)
                yield 1
            assert now is not None
            self.machine.signal("SIGSEGV", "counted")
            yield from super().kvm_s390_pv_destroy_vm_thread(priv)

    return Waits


@pytest.mark.parametrize(
    "make", [float, Box, lambda number: deque([number]), generator], ids=["float", "object", "deque", "generator"]
)
def test_a_variable_of_a_function_that_waits_is_told_too(make):
    assert "counted" in check(v1.plus(local(make)), pages=1, failures=()).trace.violation


HIDDEN = {
    "TextIOWrapper": lambda _: sys.__stderr__,
    "lock": lambda _: threading.Lock(),
    "memoryview": lambda _: memoryview(b"abc"),
}


@pytest.mark.parametrize("kind", HIDDEN)
def test_what_the_search_cannot_look_into_is_refused_by_name(kind):
    made = HIDDEN[kind](0)

    class Keeps:
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.log = [made]

    with pytest.raises(
        Hidden, match=r"plus\(Keeps\): layer Keeps keeps an? \w+ in self\.log, .* keep numbers, text"
    ) as told:
        check(v1.upto(0).plus(Keeps), **BOUNDS)
    assert kind.lower() in str(told.value).lower()


def test_in_a_variable_too_and_in_a_worker():
    class Waits:
        def kvm_s390_pv_destroy_vm_thread(self, priv):
            guard = threading.Lock()
            yield 1
            with guard:
                yield from super().kvm_s390_pv_destroy_vm_thread(priv)

    expected = "function kvm_s390_pv_destroy_vm_thread keeps a lock in the variable guard"
    with pytest.raises(ValueError, match=expected):
        check(v1.plus(Waits), pages=1, failures=())
    with ThreadPoolExecutor(2) as threads, pytest.raises(ValueError, match=expected):
        check(v1.plus(Waits), pages=1, failures=(), executor=threads)


def test_an_answer_that_keeps_such_a_thing_is_told_so_and_counts_as_wrong():
    exercise = ld.exercise("patch-4")

    class Answer(exercise.model_answer):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.guard = threading.Lock()

    feedback = exercise.check(Answer)
    assert not feedback.right and "layer Answer keeps a lock in self.guard" in feedback.text


@pytest.mark.parametrize("make", KEPT.values(), ids=KEPT)
def test_two_machines_that_did_the_same_have_one_picture(make):
    class Keeps:
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.now = make(2)

    kernel = v1.upto(0).plus(Keeps)
    bounds = bounds_of(kernel, dict(BOUNDS))
    world = World(kernel, bounds)
    assert World(kernel, bounds, world.pictures).picture() == world.picture()
