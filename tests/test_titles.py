"""Titles of pictures say what the picture shows, in twelve words at most; their numbers have three digits at most."""

from __future__ import annotations

import re

import pytest

import lazydestroy as ld
from lazydestroy import plots
from tests.wording import TITLE_WORDS, words_of

V1 = ld.series.v1
BEFORE = V1.upto(0)


def runs():
    yield "reboot", ld.reboot("4 GiB", film=True)
    yield "reboot before", ld.reboot("4 GiB", kernel=BEFORE, film=True)
    yield "that fails", ld.reboot("4 GiB", kernel=V1.without(3), touch="reverse", film=True)
    yield "shutdown", ld.shutdown("4 GiB", film=True)
    yield "shutdown before", ld.shutdown("4 GiB", kernel=BEFORE, film=True)
    yield "out of memory", ld.shutdown("4 GiB", demand="16 GiB/s", host_memory="4.5 GiB", film=True)
    yield "loop", ld.reboot_loop("4 GiB", times=6, film=True)
    yield "lazy destroy off", ld.reboot("4 GiB", lazy_destroy=False, film=True)


RUNS = dict(runs())


def pictures():
    """Functions that draw a picture, by name."""
    for name, run in RUNS.items():
        for plot in (plots.plot_run, plots.plot_memory, plots.plot_timeline):
            yield f"{plot.__name__} {name}", lambda plot=plot, run=run: plot(run)
        for moment in ("0 s", "0.5 s", "1.2 s"):
            yield f"map {name} {moment}", lambda run=run, moment=moment: plots.plot_map(run, moment)
    for first, second in (("reboot before", "reboot"), ("reboot", "reboot before"), ("shutdown before", "shutdown")):
        both = RUNS[first], RUNS[second]
        yield f"{first}, {second}", lambda both=both: plots.plot_timeline(*both)
    for scenario in ("reboot", "shutdown"):
        for kernels in ((BEFORE,), (BEFORE, V1)):
            yield (
                f"scaling {scenario} {len(kernels)}",
                lambda kernels=kernels, scenario=scenario: plots.plot_scaling(*kernels, scenario=scenario),
            )
    yield "pages", lambda: plots.plot_pages(ld.small_machine(1))
    for number in (3, 4):
        yield f"trace {number}", lambda number=number: ld.series.check(V1.without(number)).plot()


PICTURES = dict(pictures())


def rule(title: str) -> None:
    """See that a title is short, and its numbers are rounded."""
    assert words_of(title) <= TITLE_WORDS, title
    for number in re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?= (?:s|ms|µs|ns|KiB|MiB|GiB|TiB|million)\b)", title):
        assert len(re.sub(r"\D", "", number).strip("0")) <= 3, title


@pytest.mark.parametrize("name", PICTURES)
def test_a_pictures_title_is_short(name):
    rule(PICTURES[name]().title)


@pytest.mark.parametrize("number", range(1, 13))
def test_so_are_the_titles_of_an_answers_panels(number):
    given = {"memory": "1 GiB"} if "memory" in ld.questions.accepted(number) else {}
    for panel in ld.ask(number, **given).pictures:
        rule(panel.title)


@pytest.mark.parametrize("number", range(1, 12))
def test_so_is_that_of_a_demonstration(number):
    rule(ld.series.v1_fixed[number].demonstrate().plot().title)
