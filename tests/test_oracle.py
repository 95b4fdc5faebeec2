"""The package and the plain second model (`oracle`) must agree in everything that can be seen."""

import bisect
import dataclasses
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lazydestroy as ld
from tests import oracle
from tests.marks import few_and_many, tried

PAGE = 4096
SAMPLED = ("memory", "timeline")
"""Fields whose rows are taken at moments that depend on how it is computed; that each is true is tested apart."""


shares = st.sampled_from([Fraction(0), Fraction(1, 3), Fraction(9, 10), Fraction(1), Fraction(1)])
parts = st.one_of(st.just(Fraction(0)), shares)
pages = st.one_of(st.integers(1, 40), st.integers(1, 1500))
costs = st.one_of(
    st.just(ld.Costs()),
    # equal and vanishing costs make clocks meet
    st.fixed_dictionaries(
        {name: st.sampled_from([0, 1, 2, 10, 1000]) for name in ld.Costs().sources} | {"retry": st.integers(1, 50)}
    ).map(lambda times: ld.Costs(**times)),
)
# most of what happens to a guest this small takes a few milliseconds
moments = st.one_of(st.sampled_from([0, 1, 100_000, 200_000]), st.integers(0, 5000), st.integers(0, 20_000_000))


def compilable(left_out):
    """The series without some patches, and without those that need them."""
    gone = set(left_out)
    for patch in ld.series.v1:
        if gone & set(patch.needs):
            gone.add(patch.number)
    return ld.series.v1.without(*sorted(gone))


kernels = st.one_of(
    st.sampled_from([ld.series.v1.upto(number) for number in range(12)]),
    st.sampled_from([(3,), (4,), (6,), (7,), (10,), (11,)]).map(compilable),
    st.sets(st.integers(1, 11)).map(compilable),
)


@st.composite
def machines(draw):
    """What reboot and shutdown have in common, in pages."""
    memory = draw(pages)
    vcpus, process = draw(st.integers(1, 4)), draw(st.sampled_from([0, 0, 3, 40]))
    spare = draw(st.one_of(st.integers(0, 150), st.just(1500)))
    v1 = draw(st.sampled_from([True, True, True, False]))
    host = memory + process + oracle.needed(oracle.Storage(), memory, vcpus) + spare
    return {
        "memory": memory,
        "used": draw(shares),
        "shared": draw(parts),
        "host": host,
        "costs": draw(costs),
        "v1": v1,
        "lazy_destroy": draw(st.sampled_from([None, None, True, False])) if v1 else None,
        "vcpus": vcpus,
        "process": process,
        "misc": draw(st.booleans()),
        "low_memory": draw(st.one_of(st.integers(0, 200), st.just(oracle.TWO_GIB))),
        "threshold": draw(st.sampled_from([1, 2, 7, 32, 32, 300, 1000])),
        "capacity": draw(st.sampled_from([1, 3, 64, 509, 509])),
        "destroy_fails": draw(st.sampled_from([False, False, False, True])),
    }


reboots = st.tuples(
    machines(),
    st.fixed_dictionaries(
        {
            "new_guest": st.sampled_from(["protected", "protected", "normal"]),
            "touch": st.sampled_from(["sequential", "reverse", "random", "none"]),
            "touched": shares,
            "seed": st.integers(-3, (1 << 64) - 1),
            "loader": st.sampled_from([0, 1, 16, 100, 5000]),
            "image": st.sampled_from([1, 16, 100, 5000]),
            "image_at": st.sampled_from([0, 1, 16, 300, 5000]),
            "io": parts,
            "bystander": st.one_of(st.just(()), st.lists(moments, max_size=4).map(tuple)),
            "careful": st.booleans(),
        }
    ),
    st.one_of(
        st.just({"exit_at": None}),
        st.fixed_dictionaries({"exit_at": st.one_of(st.just("end"), moments)}),
        st.fixed_dictionaries(
            {
                "exit_at": st.one_of(st.just("end"), moments),
                "demand": st.sampled_from([1 << 20, 1 << 30, 3 * 10**9, 1 << 50]),
                "demand_total": st.one_of(st.none(), st.integers(1, 4000)),
                "demand_from": st.sampled_from(["wait", "exit"]),
            }
        ),
    ),
).map(lambda all_of_it: all_of_it[0] | all_of_it[1] | all_of_it[2])

shutdowns = st.tuples(
    machines(),
    st.fixed_dictionaries(
        {
            "demand": st.one_of(st.none(), st.sampled_from([1 << 20, 1 << 30, 2 << 30, 3 * 10**9, 1 << 50])),
            "demand_total": st.one_of(st.none(), st.integers(1, 4000)),
        }
    ),
).map(lambda both: both[0] | both[1] | ({} if both[1]["demand"] else {"demand_total": None}))


def of_package(scenario, parameters, kernel=None, **engine):
    """Run the package with what the oracle takes, or with another kernel."""
    given_ = dict(parameters)
    bytes_of = ("memory", "low_memory", "loader", "image", "image_at", "demand_total")
    given_ = {name: value * PAGE if name in bytes_of and value is not None else value for name, value in given_.items()}
    series = ld.series.v1 if given_.pop("v1") else ld.series.v1.upto(0)
    if given_.pop("notifier", False):
        series = series.plus(ld.series.OomNotifier)
    if kernel is not None and 10 not in kernel:
        given_["lazy_destroy"] = None
    return scenario(
        given_.pop("memory"),
        kernel=series if kernel is None else kernel,
        host_memory=given_.pop("host") * PAGE,
        process_memory=given_.pop("process") * PAGE,
        features=("misc",) if given_.pop("misc") else (),
        **({"destroy_needs_no_cpus": given_.pop("careful")} if "careful" in given_ else {}),
        destroy_loop_threshold=given_.pop("threshold"),
        list_page_capacity=given_.pop("capacity"),
        _engine=engine or None,
        **given_,
    )


def plain(record):
    """A record in the oracle's words."""
    return (
        record.state.name,
        record.owner,
        record.pinned,
        record.content.name,
        record.content_of,
        record.arch_1,
        record.refs,
        record.holder.name,
        record.mm,
        record.charged,
    )


def names(calls):
    return Counter({command.name: number for command, number in calls.items()})


def visible(run):
    """Everything about a run that the oracle knows, too."""
    final = Counter()
    for record, number in run.final.items():
        final[plain(record)] += number
    return {
        "downtime_ns": run.downtime_ns,
        "cleanup_ns": run.cleanup_ns,
        "exited_ns": run.exited_ns,
        "waits_ns": run.bystander_waits_ns,
        "uvcs": names(run.uvcs),
        "noop_uvcs": names(run.noop_uvcs),
        "failed_uvcs": names(run.failed_uvcs),
        "harmful_uvcs": names(run.harmful_uvcs),
        "foreground": names(run.foreground),
        "background": names(run.background),
        "by_actor": {actor: names(calls) for actor, calls in run.by_actor.items()},
        "interruptions": {actor: Counter(map(int, raised.elements())) for actor, raised in run.interruptions.items()},
        "finished_ns": dict(run.finished_ns),
        "events": [(event.time_ns, event.kind) for event in run.events],
        "oom": run.oom,
        "booted": run.booted,
        "longest_hold_ns": run.longest_hold_ns,
        "oom_wait_ns": run.oom_wait_ns,
        "final": final,
    }


def expected(outcome):
    everything = oracle.by_command(outcome.calls)
    return {
        "downtime_ns": outcome.downtime_ns,
        "cleanup_ns": outcome.cleanup_ns,
        "exited_ns": outcome.exited_ns,
        "waits_ns": outcome.waits_ns,
        "uvcs": everything,
        "noop_uvcs": oracle.by_command(Counter({k: n for k, n in outcome.calls.items() if k[1] == "noop"})),
        "failed_uvcs": oracle.by_command(Counter({k: n for k, n in outcome.calls.items() if k[1] == "refused"})),
        "harmful_uvcs": oracle.by_command(Counter({k: n for k, n in outcome.calls.items() if k[1] == "harmful"})),
        "foreground": outcome.foreground,
        "background": everything - outcome.foreground,
        "by_actor": outcome.by_actor,
        "interruptions": outcome.interruptions,
        "finished_ns": outcome.finished_ns,
        "events": outcome.events,
        "oom": outcome.oom,
        "booted": outcome.booted,
        "longest_hold_ns": outcome.longest_hold_ns,
        "oom_wait_ns": outcome.oom_wait_ns,
        "final": outcome.final,
    }


def differences(found, wanted):
    """What differs: name, then what the package found and what the oracle says."""
    return {
        name: (found[name], wanted[name])
        if not isinstance(wanted[name], Counter)
        else (found[name] - wanted[name], wanted[name] - found[name])
        for name in wanted
        if found[name] != wanted[name]
    }


@few_and_many(50, 100)
def test_a_reboot_comes_out_as_in_the_oracle(examples):
    @tried(examples, reboots)
    def each(parameters):
        assert not differences(visible(of_package(ld.reboot, parameters)), expected(oracle.reboot(**parameters)))


@st.composite
def crowded_machines(draw):
    """Machines without much to spare, many vCPUs, costs of any size."""
    machine = draw(machines())
    machine["vcpus"] = draw(st.integers(1, 8))
    spare = draw(st.sampled_from([0, 0, 1, 2, 5, 40]))
    needed = oracle.needed(oracle.Storage(), machine["memory"], machine["vcpus"])
    machine["host"] = machine["memory"] + machine["process"] + needed + spare
    times = st.one_of(st.sampled_from([0, 1, 2, 10, 1000, 10**9]), st.integers(0, 10**9))
    machine["costs"] = draw(
        st.one_of(
            costs,
            st.fixed_dictionaries(dict.fromkeys(ld.Costs().sources, times) | {"retry": st.integers(10**5, 10**9)}).map(
                lambda times: ld.Costs(**times)
            ),
        )
    )
    return machine


@st.composite
def aimed(draw):
    """A reboot in which the process is killed, or another thread maps memory, within 2 ns of something that happens."""
    parameters = draw(reboots) | draw(crowded_machines())
    parameters |= {"exit_at": None, "demand": None, "demand_total": None, "demand_from": "wait"}
    run = of_package(ld.reboot, parameters)
    events = sorted({0, run.end_ns, *map(int, run.timeline["start"]), *map(int, run.timeline["end"])})
    near = st.builds(lambda event, off: max(0, event + off), st.sampled_from(events), st.integers(-2, 2))
    parameters["exit_at"] = draw(st.one_of(near, near, near, st.just("end")))
    parameters["bystander"] = tuple(draw(st.lists(near, max_size=3)))
    if draw(st.booleans()):
        parameters["demand"] = draw(st.sampled_from([1 << 20, 3 * 10**9, 1 << 50]))
        parameters["demand_total"] = draw(st.one_of(st.none(), st.integers(1, 4000)))
        parameters["demand_from"] = draw(st.sampled_from(["wait", "exit"]))
    return parameters


crowded_shutdowns = st.tuples(shutdowns, crowded_machines()).map(lambda both: both[0] | both[1])


@settings(max_examples=20)
@given(aimed())
def test_a_reboot_disturbed_within_a_nanosecond_comes_out_as_in_the_oracle(parameters):
    assert not differences(visible(of_package(ld.reboot, parameters)), expected(oracle.reboot(**parameters)))


@pytest.mark.long("hundreds of runs, each of them twice to be aimed, and the oracle takes tens of milliseconds for one")
@settings(max_examples=600)
@given(aimed())
def test_many_reboots_disturbed_within_a_nanosecond_come_out_as_in_the_oracle(parameters):
    assert not differences(visible(of_package(ld.reboot, parameters)), expected(oracle.reboot(**parameters)))


@settings(max_examples=20)
@given(crowded_shutdowns)
def test_a_shutdown_without_memory_to_spare_comes_out_as_in_the_oracle(parameters):
    assert not differences(visible(of_package(ld.shutdown, parameters)), expected(oracle.shutdown(**parameters)))


@pytest.mark.long("hundreds of runs, each of them twice to be aimed, and the oracle takes tens of milliseconds for one")
@settings(max_examples=300)
@given(crowded_shutdowns)
def test_many_shutdowns_without_memory_to_spare_come_out_as_in_the_oracle(parameters):
    assert not differences(visible(of_package(ld.shutdown, parameters)), expected(oracle.shutdown(**parameters)))


@few_and_many(40, 100)
def test_a_shutdown_with_the_oom_notifier_comes_out_as_in_the_oracle(examples):
    @tried(examples, shutdowns, crowded_machines(), st.sampled_from([1 << 30, 1 << 50]), st.integers(1, 4000))
    def each(parameters, machine, demand, total):
        parameters |= machine | {"v1": True, "notifier": True, "demand": demand, "demand_total": total}
        assert not differences(visible(of_package(ld.shutdown, parameters)), expected(oracle.shutdown(**parameters)))


@few_and_many(40, 100)
def test_a_shutdown_comes_out_as_in_the_oracle(examples):
    @tried(examples, shutdowns)
    def each(parameters):
        assert not differences(visible(of_package(ld.shutdown, parameters)), expected(oracle.shutdown(**parameters)))


def fields_that_differ(one, other, *but):
    """Names of the fields in which two runs are not equal to the bit. How long the computer took does not count."""
    return [
        field.name
        for field in dataclasses.fields(one)
        if field.name not in ("seconds", *but)
        and not np.array_equal(getattr(one, field.name), getattr(other, field.name))
    ]


@pytest.mark.parametrize("engine", [{"tabled": False}, {"windows": False}])
@few_and_many(50, 100)
def test_a_reboot_is_the_same_however_it_is_computed(engine, examples):
    @tried(examples, reboots, kernels)
    def each(parameters, kernel):
        one, other = of_package(ld.reboot, parameters, kernel), of_package(ld.reboot, parameters, kernel, **engine)
        assert not fields_that_differ(one, other, *SAMPLED)


@pytest.mark.parametrize("engine", [{"tabled": False}, {"windows": False}])
@few_and_many(40, 100)
def test_a_shutdown_is_the_same_however_it_is_computed(engine, examples):
    @tried(examples, shutdowns, kernels)
    def each(parameters, kernel):
        one, other = of_package(ld.shutdown, parameters, kernel), of_package(ld.shutdown, parameters, kernel, **engine)
        assert not fields_that_differ(one, other, *SAMPLED)


@pytest.mark.parametrize("engine", [{}, {"windows": False}])
@few_and_many(10, 30)
def test_every_row_of_a_reboots_memory_is_true(engine, examples):
    @tried(examples, reboots, st.integers(1, 60))
    def each(parameters, memory):
        parameters |= {"memory": memory, "host": parameters["host"] + memory}
        history = oracle.reboot(**parameters, watched=True).history
        assert not rows_that_are_not_true(of_package(ld.reboot, parameters, **engine).memory, history)


@pytest.mark.parametrize("engine", [{}, {"windows": False}])
@few_and_many(10, 30)
def test_every_row_of_a_shutdowns_memory_is_true(engine, examples):
    @tried(examples, shutdowns, st.integers(1, 60))
    def each(parameters, memory):
        parameters |= {"memory": memory, "host": parameters["host"] + memory}
        history = oracle.shutdown(**parameters, watched=True).history
        assert not rows_that_are_not_true(of_package(ld.shutdown, parameters, **engine).memory, history)


def rows_that_are_not_true(memory, history):
    """Rows that show what the oracle never had at that moment: before, between or after the steps that begin then."""
    states = {}
    before = history[0][1]
    for moment, totals in history:
        states.setdefault(moment, {before}).add(totals)
        before = totals
    moments = sorted(states)
    last = dict(history)
    wrong = []
    for time, *row in memory.tolist():
        earlier = moments[bisect.bisect_right(moments, time) - 1]
        possible = states[time] if time in states else {last[earlier]}
        if tuple(row) not in possible:
            wrong.append((time, tuple(row), possible))
    return wrong


@st.composite
def loops(draw):
    """Reboot loops in which frames get scarce, so that guest pages get others than before."""
    memory = draw(st.integers(16, 1200))
    pages = {"loader": draw(st.sampled_from([0, 1, 16, 300])), "image": draw(st.sampled_from([1, 16, 300]))}
    spare = draw(st.sampled_from([0, 10, 200, memory, 3 * memory]))
    vcpus = draw(st.integers(1, 5))
    return {
        "memory": memory * PAGE,
        "host_memory": (memory + oracle.needed(oracle.Storage(), memory, vcpus) + 100 + spare) * PAGE,
        "habit": draw(st.sampled_from(["exit", "exit", "exit", "fill", "at once"])),
        "refill": draw(st.sampled_from([0.3, 0.9, 1.0, 1.0])),
        "used": draw(st.sampled_from([1.0, 1.0, 0.5])),
        "times": draw(st.integers(1, 4)),
        "touch": draw(st.sampled_from(["sequential", "reverse", "random"])),
        "vcpus": vcpus,
        "seed": draw(st.integers(0, 1000)),
        "segment_table": draw(st.sampled_from([0, 2 << 30])),
        "low_memory": draw(st.sampled_from([0, 64 * PAGE, 2 << 30])),
        "swap": draw(st.sampled_from([0, 0, 100 * PAGE])),
        "list_page_capacity": draw(st.sampled_from([3, 64, 509])),
        "kernel": draw(st.one_of(kernels, st.just(ld.series.v1.plus(ld.series.OomNotifier)))),
        "costs": draw(costs),
        **{name: size * PAGE for name, size in pages.items()},
    }


@pytest.mark.parametrize("engine", [{"tabled": False}, {"windows": False}])
@few_and_many(30, 100)
def test_a_reboot_loop_is_the_same_however_it_is_computed(engine, examples):
    @tried(examples, loops())
    def each(parameters):
        one, other = ld.reboot_loop(**parameters), ld.reboot_loop(**parameters, _engine=engine)
        assert not fields_that_differ(one, other, *SAMPLED)
