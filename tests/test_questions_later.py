"""Questions 13 to 15, which came after version 1, and the table of all answers for two kernels."""

from __future__ import annotations

import re

import pytest

import lazydestroy as ld
from lazydestroy.designs import DESIGNS
from lazydestroy.questions import QUESTIONS, accepted
from lazydestroy.scenarios import cpu_time
from lazydestroy.userspace.async_cleanup import ASYNC_CLEANUP, HELPER

LINUX, V1 = ld.series.linux_6_2, ld.series.v1
BEFORE = V1.upto(0)
PAGES = (4 << 30) >> 12


# 13: set aside, or left over


def test_one_is_set_aside_and_each_interrupted_clean_up_leaves_a_leftover():
    found = ld.ask(13)
    assert all(found.claims.values()) and found.agrees == "yes"
    rows = {each.moment: each for each in found.values["found"]}
    assert rows["PREPARE once more: -EINVAL"].set_aside == 1
    begun = rows["a thread with PERFORM has begun"]
    assert (begun.set_aside, begun.begun, begun.leftovers) == (0, 1, 0)
    assert rows["PREPARE: done"].set_aside == rows["PREPARE: done"].leftovers == 1
    assert rows["another thread is killed alone"].leftovers == 2
    assert not any(found.values["end"][1:]), "KVM_PV_DISABLE ends both kinds"


@pytest.mark.parametrize("kernel, threads", [(V1, 2), (BEFORE, 0)])
def test_without_the_two_commands_there_is_neither(kernel, threads):
    found = ld.ask(13, kernel=kernel)
    assert found.short.endswith("there is neither: userspace can't interrupt a clean-up.")
    assert found.values["most"] | {"set_aside": 0, "leftovers": 0, "begun": threads} == found.values["most"]
    assert not any(found.claims.values()) and found.agrees == "does not apply"


def test_a_kernel_that_refuses_no_second_prepare_is_found_out():
    class Careless:
        def set_aside_refused(self, kvm):
            return 0

    found = ld.ask(13, kernel=LINUX.plus(Careless))
    assert not found.claims["at most one is set aside, and PREPARE refuses another"]
    assert found.agrees == "refines" and "is not refused" in found.verdict


# 14: who pays


def test_with_version_1_kernel_threads_do_most_of_the_work():
    found = ld.ask(14, kernel=V1, memory="16 GiB")
    assert found.claims["kernel threads take more than half of it"]
    again = found.values["own"]["reboot"]
    share = round(100 * again.nobody / sum(again))
    assert found.short.startswith(f"No process: kernel threads take {share} % of it in a reboot")


@pytest.mark.parametrize("given", [{}, {"helper": True}, {"ultravisor": "as of 2022"}, {"kernel": BEFORE}])
def test_otherwise_the_process_does_all_of_it(given):
    found = ld.ask(14, memory="4 GiB", **given)
    assert found.claims == {
        "the VM's own process pays for all of it": True,
        "kernel threads take more than half of it": False,
    }
    assert ("helper" in found.short) == ("helper" in given)


def test_what_the_process_pays_is_what_its_thread_took_in_the_run():
    found = ld.ask(14, memory="4 GiB")
    run = ld.reboot("4 GiB", kernel=LINUX, new_guest="normal", touch="none")
    assert found.values["own"]["reboot"].process == run.downtime_ns + cpu_time(run, ASYNC_CLEANUP)


# 15: who owns the memory


def test_version_1_leaves_memory_without_an_owner():
    found = ld.ask(15, kernel=V1, memory="4 GiB")
    own = found.values["own"]
    assert own.unowned > 0 and own.held > 0 and own.until_ns > own.wait_ns
    assert found.short.startswith("No one, for ") and not found.claims["what is left belongs to a process"]


def test_linux_leaves_nothing_or_leaves_it_to_the_helper():
    alone, helped = (ld.ask(15, memory="4 GiB", helper=helper) for helper in (False, True))
    assert alone.values["own"].held == alone.values["own"].unowned == 0
    assert alone.short == "No process has to: when wait() returns, all of it is free."
    own = helped.values["own"]
    assert (own.held, own.unowned) == (PAGES, 0) and own.until_ns > own.wait_ns
    assert helped.short.startswith("Its helper process, for ")
    run = ld.shutdown("4 GiB", kernel=LINUX, helper=True)
    assert own.until_ns <= run.finished_ns[HELPER]


@pytest.mark.parametrize("number", [14, 15])
def test_the_table_has_every_design_and_what_was_asked_besides(number):
    cells = [row[0] for row in ld.ask(number, memory="1 GiB", kernel=V1.upto(8)).evidence.rows]
    assert all(any(name in cell for cell in cells) for name in DESIGNS)
    assert any(cell.endswith(", as asked") for cell in cells)
    known = ld.ask(number, memory="1 GiB", kernel=V1).evidence.rows
    assert not any("as asked" in row[0] for row in known)


# All of them, for two kernels


@pytest.fixture(scope="module")
def both():
    heard = []
    found = ld.answers(5, 8, 13, memory="4 GiB", progress=lambda done, of: heard.append((done, of)))
    return found, heard


def test_the_table_is_made_of_the_answers(both):
    found, heard = both
    for number, (asked, first, second) in zip((5, 8, 13), found.table.rows, strict=True):
        given = {"memory": "4 GiB"} if "memory" in accepted(number) else {}
        assert asked == f"{number}. {QUESTIONS[number - 1].asks}"
        assert first == ld.ask(number, kernel=V1, **given).short
        assert second == ld.ask(number, kernel=LINUX, **given).short
    assert heard == [(done, 6) for done in range(7)]


def test_it_is_shown_as_text_and_as_a_table(both):
    found, _ = both
    assert repr(found).count("Linux 6.2 answers: ") == repr(found).count("version 1 answers: ") == 3
    assert len(re.findall("<tr>", found._repr_html_())) == 4


def test_another_kernel_has_its_name_above():
    assert ld.answers(13, kernel=V1.upto(8)).table.columns[2] == f"{V1.upto(8).name} answers"


def test_what_no_question_takes_is_refused():
    with pytest.raises(TypeError, match="none of the questions asked has a parameter 'memory'"):
        ld.answers(13, memory="4 GiB")
    with pytest.raises(ValueError, match="1 to 15"):
        ld.answers(16)
    with pytest.raises(ValueError, match="progress=3"):
        ld.answers(13, progress=3)
