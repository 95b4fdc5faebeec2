"""What one search has learned the next one knows, and it sees what it would see without."""

import dataclasses
import gc
import itertools
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import pytest

from lazydestroy.series import BUGS, SecureStorageException, Series, check, v1, v1_fixed
from lazydestroy.series.check import bounds_of
from lazydestroy.series.holding import Holding
from lazydestroy.series.search import Search
from lazydestroy.series.shelf import AT_MOST, Shelf
from lazydestroy.series.world import World
from lazydestroy.uvcb import uv_cb_cfs
from tests.marks import long_unless

check_module = import_module("lazydestroy.series.check")
shelf_module = import_module("lazydestroy.series.shelf")

SMALL = {"pages": 1, "failures": ()}
CASES = [
    (v1_fixed, {**SMALL}),
    (v1_fixed, {**SMALL, "sharing": False}),
    (v1_fixed, {"pages": 1, "failures": ("kthread",), "sharing": False}),
    (v1_fixed, {**SMALL, "host": ("io",), "sharing": False}),
    (v1_fixed.without(4), {**SMALL}),
    (BUGS[4].kernel, {"failures": ()}),
]


@pytest.fixture
def shelf(monkeypatch):
    """An empty one, on which `check` keeps what it has learned."""
    empty = Shelf()
    monkeypatch.setattr(check_module, "SHELF", empty)
    return empty


def searched(kernel, bounds, shelf=None):
    """A search that has come to its end, and what it knew of the ones before."""
    met = bounds_of(kernel, dict(bounds))
    kept = shelf.take(kernel, met) if shelf is not None else None
    search = Search(kernel, met, known=kept and (kept.pictures, kept.learned))
    for _ in search:
        pass
    if shelf is not None:
        shelf.put(search, {})
    return search


@pytest.fixture(scope="module")
def alone():
    return [searched(*case) for case in CASES]


MIXED = [2, 0, 3, 0, 4, 1, 4, 5, 5, 2]


@pytest.mark.parametrize(
    "order",
    long_unless(
        lambda order: order is MIXED,
        "searches six kernels once more",
        [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], MIXED],
    ),
    ids=str,
)
def test_in_whatever_order_kernels_are_searched_each_search_sees_what_it_sees_alone(order, alone):
    shelf = Shelf()
    for number in order:
        search, other = searched(*CASES[number], shelf), alone[number]
        assert [(node.parent, node.moves, node.steps) for node in search.nodes] == [
            (node.parent, node.moves, node.steps) for node in other.nodes
        ]
        assert (search.transitions, search.broken, search.stuck) == (other.transitions, other.broken, other.stuck)


@pytest.mark.parametrize(("kernel", "bounds"), CASES, ids=str)
def test_a_search_that_was_made_before_says_at_once_what_it_said(kernel, bounds, shelf):
    heard = []
    first = check(kernel, **bounds)
    second = check(kernel, progress=heard.append, **bounds)
    assert repr(first) == repr(second) and heard == [first.states]
    assert dataclasses.replace(first, done=0, seconds=0) == dataclasses.replace(second, seconds=0)


@pytest.mark.parametrize(("kernel", "bounds"), CASES, ids=str)
def test_the_second_search_runs_next_to_nothing(kernel, bounds):
    shelf = Shelf()
    first, second = (searched(kernel, bounds, shelf) for _ in range(2))
    assert first.done > 10 and second.done <= 1  # what breaks is run in any case


def test_a_kernel_is_called_by_its_name_though_another_one_is_the_same(shelf):
    same = Series(v1_fixed.layers, "another")
    first, second = (check(kernel, **SMALL) for kernel in (v1_fixed, same))
    assert (first.kernel.name, second.kernel.name, second.done) == ("v1_fixed", "another", 0)


@pytest.mark.parametrize(
    "other",
    [{"low_pages": 1}, {"configurations": 1}, {"vcpus": 2}, {"destroy_needs_no_cpus": False}, {"userspace": "any"}],
    ids=str,
)
def test_of_another_machine_or_kernel_nothing_is_known(other, shelf):
    check(v1_fixed, **SMALL)
    alike = bounds_of(v1_fixed, dict(SMALL))
    assert shelf.take(v1_fixed, bounds_of(v1_fixed, {**SMALL, **other})) is None
    assert shelf.take(v1_fixed.without(3), alike) is None
    assert shelf.take(v1_fixed, alike) is not None and len(shelf) == 0


def test_a_layer_of_yours_may_look_at_a_variable_so_nothing_of_it_is_kept(shelf):
    handles = True

    class Mine:
        def do_secure_storage_access_gmap(self, kvm, gaddr):
            if handles:
                super().do_secure_storage_access_gmap(kvm, gaddr)
            else:
                self.machine.signal("SIGSEGV", f"0x3D at {gaddr:#x}", kvm)

    kernel = v1_fixed.plus(Mine)
    assert check(kernel, **SMALL).holds and len(shelf) == 0
    handles = False
    assert not check(kernel, **SMALL).holds


def test_a_function_that_was_replaced_is_not_taken_for_the_one_before(shelf, monkeypatch):
    assert check(v1_fixed, **SMALL).holds
    with monkeypatch.context() as replaced:
        replaced.delattr(SecureStorageException, "do_secure_storage_access_gmap")
        assert not check(v1_fixed, **SMALL).holds
    again = check(v1_fixed, **SMALL)
    assert again.holds and again.done == 0


def test_what_must_hold_is_asked_anew_if_it_is_something_else(shelf, monkeypatch):
    assert check(v1_fixed, **SMALL).holds
    with monkeypatch.context() as replaced:
        replaced.setattr(Holding, "_look", lambda self, picture: "nothing is ever right")
        assert check(v1_fixed, **SMALL).trace.violation == "nothing is ever right"
    again = check(v1_fixed, **SMALL)
    assert again.holds and again.done == 0


def paddr_0(**fields):
    """A control block that names another page than it should."""
    return uv_cb_cfs(**{**fields, "paddr": 0})


@pytest.mark.parametrize(
    ("module", "name", "other"),
    [
        ("kernel.uv", "uv_cb_cfs", paddr_0),
        ("series.holding", "_flaw_of", lambda record: "nothing is ever right"),
        ("series.world", "trouble", lambda said, failed: "nothing is ever right"),
        ("kernel.mm", "SWAP_CLUSTER_MAX", 7),
        ("host.frames", "counted", str),
    ],
)
def test_a_function_or_a_number_of_a_module_that_was_replaced_is_noticed(module, name, other, shelf, monkeypatch):
    check(v1_fixed, **SMALL)
    bounds = bounds_of(v1_fixed, dict(SMALL))
    with monkeypatch.context() as replaced:
        replaced.setattr(f"lazydestroy.{module}.{name}", other)
        assert shelf.take(v1_fixed, bounds) is None
    assert check(v1_fixed, **SMALL).done == 0


def test_a_function_that_the_kernel_calls_gives_another_verdict(shelf, monkeypatch):
    assert check(v1_fixed, **SMALL).holds
    monkeypatch.setattr("lazydestroy.kernel.uv.uv_cb_cfs", paddr_0)
    assert not check(v1_fixed, **SMALL).holds


def worlds():
    gc.collect()
    return sum(isinstance(each, World) for each in gc.get_objects())


def test_few_kernels_are_kept_and_no_machine(shelf):
    before = worlds()
    for kernel in (v1, v1.upto(0), *(v1_fixed.without(number) for number in (3, 4, 6))):
        check(kernel, **SMALL)
    assert len(shelf) == AT_MOST and worlds() == before


def test_what_a_large_search_has_learned_is_not_kept(shelf, monkeypatch):
    monkeypatch.setattr(shelf_module, "MANY", 50)
    check(v1_fixed, **SMALL)
    assert len(shelf) == 0


def test_what_a_search_has_learned_that_was_interrupted_or_has_learned_nothing_is_not_kept(shelf):
    def interrupted(states):
        if states > 100:
            raise KeyboardInterrupt

    check(v1_fixed, **SMALL)
    with pytest.raises(KeyboardInterrupt):
        check(v1_fixed, progress=interrupted, **{**SMALL, "host": ("io",)})
    assert len(shelf) == 0
    check(v1_fixed, learn=False, **SMALL)
    assert len(shelf) == 0


def test_a_search_that_is_given_up_leaves_what_it_has_learned(shelf):
    given_up, whole = (check(v1_fixed, max_states=states, **SMALL) for states in (100, 10_000))
    assert not given_up.exhausted and whole.holds
    assert given_up.done + whole.done == searched(v1_fixed, SMALL).done


def test_searches_of_one_kernel_in_several_threads_see_the_same(shelf):
    expected = [check(*case[:1], **case[1]) for case in CASES]
    with ThreadPoolExecutor(4) as threads:
        cases = list(itertools.islice(itertools.cycle(zip(CASES, expected, strict=True)), 24))
        found = [(threads.submit(check, kernel, **bounds), alone) for (kernel, bounds), alone in cases]
        for future, alone in found:
            verdict = future.result()
            assert repr(verdict) == repr(alone) and verdict.transitions == alone.transitions
    assert 0 < len(shelf) <= AT_MOST
