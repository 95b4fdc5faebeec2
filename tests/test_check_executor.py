"""A search on an executor's workers: it sees what the search in one process sees, whatever becomes of the workers."""

import os
import pickle
import random
import signal
import subprocess
import sys
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait

import pytest

import lazydestroy as ld
import lazydestroy.series.ahead as ahead_module
import lazydestroy.series.learned as learned_module
from lazydestroy.kernel.structs import Kvm
from lazydestroy.series.check import bounds_of
from lazydestroy.series.picture import PARTS
from lazydestroy.series.search import Search
from tests.marks import long_unless

v1, v1_fixed, linux_6_2, check = ld.series.v1, ld.series.v1_fixed, ld.series.linux_6_2, ld.series.check

QUICK = {"failures": ()}
SMALL = {"pages": 1, "sharing": False, **QUICK}


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
def threads():
    with ThreadPoolExecutor(3) as executor:
        yield executor


class InAnyOrder(Executor):
    """Does nothing until somebody waits for a result; then does all that there is to do, in an order drawn by lot."""

    def __init__(self, seed):
        self.draw = random.Random(seed)
        self.jobs = []
        self.order = []

    def submit(self, function, /, *arguments):
        future = Waited(self)
        self.jobs.append((len(self.order) + len(self.jobs), future, function, arguments))
        return future

    def work(self):
        self.draw.shuffle(self.jobs)
        for number, future, function, arguments in self.jobs:
            self.order.append(number)
            if future.set_running_or_notify_cancel():
                future.set_result(function(*arguments))
        self.jobs = []


class Waited(Future):
    """A result that is made when somebody wants it."""

    def __init__(self, executor):
        super().__init__()
        self.executor = executor

    def result(self, timeout=None):
        if not self.done():
            self.executor.work()
        return super().result(timeout)


def searched(kernel, bounds, executor=None, learn=True):
    search = Search(kernel, bounds_of(kernel, dict(bounds)), learn, executor=executor)
    for _ in search:
        pass
    return search


def same(one, other):
    """Both searches have seen the same states, reached them in the same way, and tried the same."""
    assert (one.exhausted, one.learn) == (other.exhausted, other.learn)
    assert (one.broken, one.stuck, one.transitions) == (other.broken, other.stuck, other.transitions)
    assert len(one.nodes) == len(other.nodes)
    for mine, its in zip(one.nodes, other.nodes, strict=True):
        assert (mine.parent, mine.moves, mine.steps) == (its.parent, its.moves, its.steps)
        assert in_full(one, mine.picture) == in_full(other, its.picture)
    assert sorted(one.queue) == sorted(other.queue)


def in_full(search, picture):
    """A picture without numbers, which each search gives in its own order."""
    cells, story, tasks, indices, made = picture
    things = search.pictures.things
    there = [number if number < 0 else things[number] for number in cells]
    return there, story, [things[number] for number in tasks], indices, made


# The same


@pytest.mark.parametrize(
    ("kernel", "bounds"),
    [
        (v1_fixed, SMALL),
        (linux_6_2, {**SMALL, "userspace": "any"}),
        (v1_fixed, {"pages": 1, "host": ("io", "swap"), "sharing": False, **QUICK}),
    ],
    ids=str,
)
def test_all_states_are_the_same_in_processes(kernel, bounds, processes):
    same(searched(kernel, bounds, processes), searched(kernel, bounds))


@pytest.mark.parametrize("seed", range(3))
def test_all_states_are_the_same_whichever_job_is_done_first(seed, monkeypatch):
    monkeypatch.setattr(ahead_module, "LARGEST", 3)
    executor = InAnyOrder(seed)
    same(searched(v1_fixed, SMALL, executor), searched(v1_fixed, SMALL))
    assert executor.order != sorted(executor.order)


def test_all_states_are_the_same_in_threads(threads):
    same(searched(v1_fixed, SMALL, threads), searched(v1_fixed, SMALL))


@pytest.mark.parametrize("learn", [True, False])
@pytest.mark.parametrize(
    "bug",
    long_unless(lambda bug: not bug.bounds["failures"], "it takes seconds", ld.series.BUGS),
    ids=lambda bug: bug.name,
)
def test_each_bug_is_met_in_the_same_way(bug, learn, processes):
    one, other = (searched(bug.kernel, bug.bounds, executor, learn) for executor in (processes, None))
    assert one.broken
    same(one, other)


@pytest.mark.long("each search goes through all there is, or far")
@pytest.mark.parametrize(
    ("kernel", "bounds"),
    [
        *((v1_fixed.without(number), QUICK) for number in (3, 4)),
        (v1.upto(0), {"failures": ("DESTROY_SEC_CONF",)}),
        (v1_fixed.without(6), {"features": "misc", **QUICK}),
        (v1_fixed.without(7, 11), QUICK),
        (v1_fixed, {}),
        (v1_fixed, {"vcpus": 2, "sharing": False, **QUICK}),
        (v1_fixed, {"low_pages": 1, "image_loaded": False, **QUICK}),
        (linux_6_2, QUICK),
        (linux_6_2, {"helper": True, "pages": 1}),
        *((finding.kernel, finding.bounds) for finding in ld.series.FINDINGS_6_2),
    ],
    ids=str,
)
def test_what_is_searched_at_length_is_the_same_in_processes(kernel, bounds, processes):
    same(searched(kernel, bounds, processes), searched(kernel, bounds))


def test_the_verdict_is_the_same_and_says_so(processes):
    kernel = v1_fixed.without(4)
    one, other = check(kernel, executor=processes, **QUICK), check(kernel, **QUICK)
    assert str(one.trace) == str(other.trace) and one.short == other.short
    assert (one.states, one.transitions, one.exhausted) == (other.states, other.transitions, other.exhausted)


def test_a_search_that_gives_up_has_seen_as_much(processes):
    one, other = (check(v1_fixed, max_states=500, executor=executor, **QUICK) for executor in (processes, None))
    assert not one.exhausted
    assert (one.states, one.transitions) == (other.states, other.transitions)


def test_an_executor_may_serve_several_searches_in_turns(processes):
    """A worker keeps what it has learned apart for each."""
    searches = [Search(kernel, bounds_of(kernel, SMALL), executor=processes) for kernel in (v1_fixed, linux_6_2, v1)]
    under_way = [iter(search) for search in searches]
    while under_way:
        under_way = [each for each in under_way if next(each, None) is not None]
    for search in searches:
        same(search, searched(search.kernel, SMALL))


def test_if_steps_look_at_what_is_not_noted_every_step_is_run_in_the_workers_too(monkeypatch, threads):
    places, blind = learned_module._places, PARTS.index("users")
    monkeypatch.setattr(learned_module, "_places", lambda *noted: places(*noted) - {blind})
    search = searched(v1_fixed, SMALL, threads)
    assert not search.learn and search.done == search.transitions
    same(search, searched(v1_fixed, SMALL))


# What becomes of workers


class Killing:
    """Kills a worker after so many states."""

    def __init__(self, executor, states):
        self.executor, self.left = executor, states

    def __call__(self, states):
        self.left -= 1
        if self.left == 0:
            os.kill(next(iter(self.executor._processes)), signal.SIGKILL)


def test_if_a_worker_is_killed_nothing_is_lost():
    with ProcessPoolExecutor(2) as executor, pytest.warns(UserWarning, match="goes on without it .BrokenProcessPool"):
        verdict = check(v1_fixed, executor=executor, progress=Killing(executor, 100), **SMALL)
    alone = check(v1_fixed, **SMALL)
    assert (verdict.states, verdict.transitions, verdict.holds) == (alone.states, alone.transitions, alone.holds)


@pytest.mark.long("starts a scheduler and two workers of Dask")
def test_if_a_worker_of_dask_is_killed_another_one_does_its_part():
    import distributed

    class Mine:
        """It travels, though no file has it at the top."""

        def do_secure_storage_violation(self, kvm: Kvm, gaddr: int) -> None:
            super().do_secure_storage_violation(kvm, gaddr)

    kernel = v1_fixed.plus(Mine)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        victim = next(iter(client.run(os.getpid).values()))
        left = iter(range(100, 0, -1))

        def kill(states):
            if next(left, None) == 1:
                os.kill(victim, signal.SIGKILL)

        verdict = check(kernel, executor=client.get_executor(), progress=kill, **QUICK)
        assert victim not in client.run(os.getpid).values()
    alone = check(kernel, **QUICK)
    assert (verdict.states, verdict.transitions, verdict.holds) == (alone.states, alone.transitions, alone.holds)


def test_an_executor_that_was_shut_down_does_nothing():
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.warns(UserWarning, match="cannot schedule new futures after shutdown"):
        same(searched(v1_fixed, SMALL, executor), searched(v1_fixed, SMALL))


class Remembering(ThreadPoolExecutor):
    """Keeps all futures."""

    def __init__(self):
        super().__init__(2)
        self.futures = []

    def submit(self, function, /, *arguments):
        self.futures.append(super().submit(function, *arguments))
        return self.futures[-1]


def test_an_interrupt_leaves_nothing_running():
    def interrupting(states):
        if states > 100:
            raise KeyboardInterrupt

    with Remembering() as executor:
        with pytest.raises(KeyboardInterrupt):
            check(v1_fixed, executor=executor, progress=interrupting, **QUICK)
        assert executor.futures and all(future.done() for future in executor.futures)


def test_what_is_expanded_ahead_has_a_limit(monkeypatch):
    monkeypatch.setattr(ahead_module, "FAR", 30)
    monkeypatch.setattr(ahead_module, "LARGEST", 5)
    with Remembering() as executor:
        search = Search(v1_fixed, bounds_of(v1_fixed, QUICK), executor=executor)
        for seen in search:
            if seen > 500:
                break
        wait(executor.futures)
        sent = sum(len(future.result().tried) for future in executor.futures if not future.cancelled())
    assert len(search.queue) > 100
    assert sent <= len(search.nodes) - len(search.queue) + 100


# Put aside and gone on with


@pytest.mark.parametrize("order", ["serial first", "parallel first"])
def test_a_search_goes_on_here_or_there(order, processes):
    bounds = bounds_of(v1_fixed, SMALL)
    executors = (None, processes) if order == "serial first" else (processes, None)
    whole = searched(v1_fixed, SMALL)
    saved = None
    for executor in executors * 2:
        search = Search(v1_fixed, bounds, saved=saved, executor=executor)
        until = len(search.nodes) + len(whole.nodes) // 4
        for seen in search:
            if seen > until:
                break
        saved = pickle.loads(pickle.dumps(search.saved))
    for _ in search:
        pass
    same(search, whole)


# What travels


class Ours:
    """A plain class that stands in a file."""

    def do_secure_storage_violation(self, kvm: Kvm, gaddr: int) -> None:
        super().do_secure_storage_violation(kvm, gaddr)


def test_a_layer_in_a_file_travels_and_stays_the_same(processes):
    kernel = v1_fixed.plus(Ours)
    again = pickle.loads(pickle.dumps(kernel))
    assert again == kernel and repr(again) == repr(kernel)
    same(searched(kernel, SMALL, processes), searched(kernel, SMALL))


NOTEBOOK = """
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import lazydestroy as ld

{without}

class Mine:
    def do_non_secure_storage_access(self, kvm, gaddr):
        raise RuntimeError("mine")

with ProcessPoolExecutor(1, get_context("spawn")) as executor:
    kernel = ld.series.v1_fixed.plus(Mine)
    print(ld.series.check(kernel, executor=executor, failures=()).trace.violation)
"""


def as_in_a_notebook(without=""):
    """Run it with no file that a worker could import."""
    text = NOTEBOOK.format(without=without)
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120)


def test_a_layer_of_a_notebook_travels_with_cloudpickle():
    ran = as_in_a_notebook()
    assert ran.stdout.strip() == "do_non_secure_storage_access fails with RuntimeError: mine", ran.stderr


def test_without_cloudpickle_it_does_not_and_the_error_says_what_to_do():
    ran = as_in_a_notebook("sys.modules['cloudpickle'] = None")
    *_, said = ran.stderr.strip().splitlines()
    assert said.startswith("ValueError: executor=") and "Mine" in said
    assert "lazydestroy[sweep]" in said and "put it into a file" in said


def test_a_layer_that_cannot_be_pickled_is_told_before_anything_is_sent(monkeypatch, processes):
    class Local:
        pass

    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(ValueError, match=r"cannot be sent to another process .*Local.*pip install"):
        check(v1_fixed.plus(Local), executor=processes, **SMALL)


@pytest.mark.parametrize("value", [2, "dask", True, ProcessPoolExecutor])
def test_what_is_no_executor_is_refused(value):
    with pytest.raises(ValueError, match="executor=.*use an executor of concurrent.futures"):
        check(v1_fixed, executor=value, **SMALL)
