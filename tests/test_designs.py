"""The designs side by side: what `compare` measures, and what its table and its picture say."""

import pytest

import lazydestroy as ld
from lazydestroy.designs import DESIGNS, HEAD
from lazydestroy.rounded import about_duration
from lazydestroy.scenarios import cpu_time, unowned_memory

SIZES = "4 GiB", "8 GiB"
COSTS = ld.Costs()
LOW = 1 << 19


@pytest.fixture(scope="module")
def found():
    return ld.compare(*SIZES)


def of(found, scenario, design, memory="8 GiB"):
    gib = int(memory.split()[0])
    (one,) = (
        each for each in found.outcomes if (each.scenario, each.design, each.memory) == (scenario, design, gib << 30)
    )
    return one


def test_every_design_is_there_once_for_each_scenario_and_size(found):
    rows = [(each.scenario, each.memory >> 30, each.design) for each in found.outcomes]
    reboots = [name for name in DESIGNS if name != "Linux 6.2, helper"]
    assert rows == [("reboot", gib, name) for gib in (4, 8) for name in reboots] + [
        ("shutdown", gib, name) for gib in (4, 8) for name in DESIGNS
    ]


def test_only_version_1_lets_nobody_pay(found):
    for each in found.outcomes:
        assert (each.nobody_ns > 0) == (each.design == "version 1")
        assert (each.unowned_pages > 0) == ((each.scenario, each.design) == ("shutdown", "version 1"))


@pytest.mark.parametrize("memory", SIZES)
def test_a_reboot_on_linux_6_2_costs_what_it_did_and_its_process_pays(found, memory):
    theirs, ours = (of(found, "reboot", design, memory) for design in ("version 1", "Linux 6.2"))
    assert (ours.downtime_ns, ours.cleanup_ns) == (theirs.downtime_ns, theirs.cleanup_ns)
    assert ours.process_ns == theirs.process_ns + theirs.nobody_ns == ours.cleanup_ns
    assert ours.downtime_ns == 2 * COSTS.cpu + LOW * (COSTS.walk + COSTS.destroy)


@pytest.mark.parametrize("memory", SIZES)
def test_a_shutdown_destroys_instead_of_exporting_and_the_helper_takes_it_over(found, memory):
    before, merged, helped = (
        of(found, "shutdown", design, memory) for design in ("before the series", "Linux 6.2", "Linux 6.2, helper")
    )
    pages = merged.memory >> 12
    assert before.downtime_ns - merged.downtime_ns == pages * (COSTS.export - COSTS.destroy)
    assert helped.downtime_ns == helped.foreground_calls == 0
    assert helped.cleanup_ns == helped.process_ns == merged.downtime_ns == merged.process_ns


def test_the_longest_holds_are_those_of_the_walks(found):
    before, merged = (of(found, "reboot", design) for design in ("before the series", "Linux 6.2"))
    pages = before.memory >> 12
    assert before.mmap_lock_ns == pages * (COSTS.walk + COSTS.destroy)
    assert merged.mmap_lock_ns == 32 * COSTS.walk
    assert before.kvm_lock_ns == before.downtime_ns
    assert merged.kvm_lock_ns == merged.downtime_ns


def test_memory_that_no_process_has_is_what_version_1_has_set_aside(found):
    run = of(found, "shutdown", "version 1").run
    assert unowned_memory(run).tolist() == run.memory["set_aside"].tolist()
    assert cpu_time(run) == cpu_time(run, "QEMU") + cpu_time(run, "clean-up thread")


def test_memory_that_a_kernel_thread_alone_still_maps_is_nobodys():
    run = ld.reboot("16 MiB", new_guest="normal", touch="none", exit_at="1 ms", low_memory=0)
    after = run.memory["time"] >= run.exited_ns
    assert run.memory["guest"][after].max() == unowned_memory(run).max() > 0


def test_the_table_says_it_all(found):
    text, html = repr(found), found._repr_html_()
    assert len(text.splitlines()) == 1 + len(found.outcomes)
    assert all(column in text.splitlines()[0] for column in HEAD)
    assert html.count("<tr>") == 1 + len(found.outcomes)
    assert "kvm-&gt;lock held" in html


@pytest.mark.parametrize(("scenario", "last"), [("reboot", "Linux 6.2, fast call"), ("shutdown", "Linux 6.2, helper")])
def test_the_picture_names_both_ends_in_a_title_that_fits(found, scenario, last):
    picture = found.plot(scenario)
    times = [about_duration(of(found, scenario, design).downtime_ns) for design in ("before the series", last)]
    title = f"Downtime {times[0]} before the series, {times[1]} with {last}"
    assert picture.title == title
    assert picture._heading.get_text() == title
    names = ["before the series", "v1", "Linux 6.2", "Linux 6.2, fast call", "Linux 6.2, helper"]
    shown = [text.get_text() for text in picture.texts]
    assert [name for name in names if name in shown] == names[: len(found.runs(scenario))]


def test_who_cleans_up_has_a_lane(found):
    lanes = [[label.get_text() for label in axes.get_yticklabels()] for axes in found.plot("reboot").axes]
    assert [lane[-1] for lane in lanes] == ["clean-up thread", "clean-up thread", "async_cleanup", "async_cleanup"]
    lanes = [[label.get_text() for label in axes.get_yticklabels()] for axes in found.plot("shutdown").axes]
    assert [lane[-1] for lane in lanes] == ["clean-up thread", "clean-up thread", "helper", "helper", "helper"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda found: ld.compare("1 GiB", kernel=ld.series.v1), "kernel=ld.series.v1: compare\\(\\) takes used, "),
        (lambda found: ld.compare("a lot"), "memory='a lot' does not begin with a number"),
        (lambda found: found.plot("party"), "scenario='party': use one of 'reboot', 'shutdown'"),
        (lambda found: found.runs(memory="1 GiB"), "memory='1 GiB': not compared; use one of 4 GiB, 8 GiB"),
    ],
)
def test_what_is_not_accepted_is_named(found, call, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        call(found)
