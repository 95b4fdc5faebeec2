"""Question 2: nobody reads what the old guest had not shared, whoever goes for the page, and whatever the kernel."""

import pytest

import lazydestroy as ld
from lazydestroy.layers import Layer
from lazydestroy.page import Content, Holder, State
from lazydestroy.questions.reach import (
    ACCESSORS,
    NEW_GUESTS,
    PAGE,
    SCENARIOS,
    STATES,
    ZOMBIE,
    Attempt,
    Recorder,
    accessors,
    reach,
    reach_matrix,
)
from lazydestroy.questions.registry import ask
from lazydestroy.ultravisor import Interruption, Ultravisor

v1, v1_fixed = ld.series.v1, ld.series.v1_fixed

SECRET = "no cell reads what the old guest had not shared"


def kernels():
    """The usual ones, every stage of the series, and every patch left out that can be left out by itself."""
    found = [v1, v1_fixed, *(v1.upto(number) for number in range(11)), v1.without(7, 11)]
    for number in v1.numbers:
        try:
            found.append(v1.without(number))
        except ValueError:
            continue
    return found


KERNELS = kernels()


def cell(matrix, accessor, state="not yet cleaned", scenario="reboot"):
    (found,) = [each for each in matrix if (each.accessor, each.state, each.scenario) == (accessor, state, scenario)]
    return found


@pytest.fixture(scope="module")
def matrix():
    return reach_matrix()


# The claim, over a grid


@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
@pytest.mark.parametrize("features", ["", "misc"])
def test_no_cell_reads_what_was_not_shared(kernel, features):
    cells = reach_matrix(kernel, features=features or ())
    assert len(cells) == len(ACCESSORS) * len(STATES) * len(SCENARIOS)
    assert [str(each) for each in cells if each.reads_secret] == []


@pytest.mark.parametrize("factor", ["0.1", "10"])
@pytest.mark.parametrize("kernel", [v1, v1.upto(0)], ids=repr)
def test_what_is_met_and_read_does_not_depend_on_costs(kernel, factor):
    def but_for_time(cells):
        return [(each.short, each.after, each.handlers, each.uvcs) for each in cells]

    usual, scaled = reach_matrix(kernel), reach_matrix(kernel, ld.Costs().scaled(factor))
    assert but_for_time(scaled) == but_for_time(usual)
    assert [each.ns for each in scaled] == [round(each.ns * float(factor)) for each in usual]


@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_the_answer_holds_for_every_kernel(kernel):
    answer = ask(2, kernel=kernel)
    kept = dict(answer.claims)
    waits = answer.values["reboot"]["waits"]
    assert kept.pop("a page that waits can be swapped out in a reboot, and not at shutdown") is waits
    assert waits is (8 in kernel)
    assert answer.values["shutdown"]["waits"] is (9 in kernel)
    assert all(kept.values()), kept


# The check can fail


class LeavesPlaintext(Layer):
    """A kernel that could make a page accessible without exporting it."""

    def arch_make_page_accessible(self, page):
        if page.state == State.SECURE:
            page.update(state=State.NON_SECURE, owner=0)
        return 0


def test_a_kernel_that_could_open_pages_is_found_out():
    found = [each for each in reach_matrix(v1.plus(LeavesPlaintext)) if each.reads_secret]
    assert {each.accessor for each in found} >= {"host userspace", "host kernel", "I/O", "normal new guest"}
    assert {each.scenario for each in found} == {"reboot", "shutdown"}
    assert all(each.state == "not yet cleaned" and "SECRET" in str(each) for each in found)


def test_an_ultravisor_that_does_not_look_is_found_out(monkeypatch):
    usual = Ultravisor.access
    monkeypatch.setattr(
        Ultravisor, "access", lambda self, page, handle=0: usual(self, page, handle) if handle else None
    )
    answer = ask(2)
    assert not answer.claims[SECRET]
    assert answer.values["secrets"] > 0
    assert f"In {answer.values['secrets']} cases" in answer.details[-1]
    assert f"{len(answer.values['cells'])} cases were tried" in answer.details[-1]
    assert any(each.mood == "bad" for grid in answer.pictures for row in grid.cells for each in row)


def test_an_ultravisor_that_gives_pages_away_is_found_out(monkeypatch):
    monkeypatch.setattr(Ultravisor, "_check_takable", lambda self, record: None)
    assert not ask(2).claims["a page that waits is not imported into another VM that the host gives it to"]


def test_a_kernel_that_maps_what_it_sets_aside_is_found_out(monkeypatch):
    monkeypatch.setattr(accessors, "_page_at", lambda machine: machine.memory.page(machine.mm.guest.slot(PAGE)))
    assert not ask(2).claims["at shutdown only the host kernel reaches a page that waits"]


# The cells, one by one


def test_the_host_reads_ciphertext_of_a_page_that_waits(matrix):
    for accessor in ("host userspace", "host kernel", "normal new guest"):
        found = cell(matrix, accessor)
        assert found.exceptions == (Interruption.SECURE_STORAGE_ACCESS,)
        assert found.uvcs == ("PIN_PAGE_SHARED (refused)", "CONV_FROM_SEC_STOR")
        assert (found.read, found.owner) == ("ciphertext of A", "host")
    assert "do_secure_storage_access_gmap" in cell(matrix, "normal new guest").handlers
    assert cell(matrix, "I/O").exceptions == ()


def test_the_protected_new_guest_gets_the_page_cleared(matrix):
    found = cell(matrix, "protected new guest")
    assert found.exceptions == (Interruption.SECURE_STORAGE_VIOLATION, Interruption.NON_SECURE_STORAGE_ACCESS)
    assert found.handlers[:2] == ("do_secure_storage_violation", "gmap_destroy_page")
    assert (found.read, found.owner, found.touched) == ("plaintext of B", "B", True)
    costs = ld.Costs()
    calls = costs.destroy + costs.noop + costs.import_clear
    assert found.ns == 2 * costs.exception + calls + costs.touch


def test_what_was_shared_is_read_by_the_host_and_nobody_calls_that_a_secret(matrix):
    for accessor in ("host userspace", "host kernel", "I/O", "normal new guest"):
        found = cell(matrix, accessor, "shared by the old guest")
        assert (found.read, found.reads_secret) == ("plaintext of A", False)
    assert cell(matrix, "swap-out", "shared by the old guest").read == "ciphertext of A"


def test_misc_takes_a_shared_page_over_without_an_export():
    given = {"accessor": "protected new guest", "state": "shared by the old guest", "scenario": "reboot"}
    assert reach(**given).calls == ("export", "import")
    assert reach(**given, features="misc").calls == ("import",)


def test_at_shutdown_only_the_host_kernel_gets_there(matrix):
    for state in ("not yet cleaned", "shared by the old guest"):
        there = [each for each in matrix if (each.scenario, each.state) == ("shutdown", state)]
        assert all(each.found.endswith("set aside") and each.waits for each in there)
        assert {each.accessor for each in there if each.through and not ACCESSORS[each.accessor].by_hand} == {
            "host kernel"
        }
        elsewhere = {each.accessor for each in there if each.where == "elsewhere"}
        assert elsewhere == {"host userspace", "I/O", *NEW_GUESTS, "another VM", "another protected VM"}


def test_swap_takes_pages_that_wait_in_a_reboot_only(matrix):
    assert cell(matrix, "swap-out").after == "in swap (ciphertext of A)"
    refused = cell(matrix, "swap-out", scenario="shutdown")
    assert (refused.read, refused.uvcs, refused.after) == ("", (), "secure, of A, set aside")


def test_a_page_swapped_out_in_a_reboot_comes_back_as_ciphertext(matrix):
    for accessor in ("host userspace", "normal new guest"):
        found = cell(matrix, accessor, "swapped")
        assert (found.found, found.read, found.exceptions) == ("in swap (ciphertext of A)", "ciphertext of A", ())
    assert cell(matrix, "protected new guest", "swapped").owner == "B"


def test_what_was_swapped_out_before_the_kill_is_nowhere_afterwards(matrix):
    there = [each for each in matrix if (each.scenario, each.state) == ("shutdown", "swapped")]
    assert {each.found for each in there} == {"gone, and its place in swap is free"}
    assert not any(each.waits or each.touched for each in there)


def test_another_vm_reaches_its_own_page_and_not_one_that_it_is_given(matrix):
    assert cell(matrix, "another protected VM").where == "elsewhere"
    secure = cell(matrix, "another protected VM, given the frame")
    assert (secure.exceptions, secure.read, secure.owner) == ((Interruption.SECURE_STORAGE_VIOLATION,), "", "A")
    shared = cell(matrix, "another protected VM, given the frame", "shared by the old guest")
    assert (shared.exceptions, shared.read, shared.owner) == ((Interruption.NON_SECURE_STORAGE_ACCESS,), "", "A")


def test_the_zombie_has_no_cpu_unless_the_host_creates_one(matrix):
    for scenario in SCENARIOS:
        assert cell(matrix, ZOMBIE, scenario=scenario).note == "has no CPU"
        revived = cell(matrix, f"{ZOMBIE}, given a CPU", scenario=scenario)
        assert (revived.read, revived.reads_secret, revived.calls) == ("plaintext of A", False, ("CPU",))


def test_before_the_series_there_is_no_zombie_and_nothing_waits():
    cells = reach_matrix(v1.upto(0))
    assert not any(each.waits for each in cells)
    assert {each.note for each in cells if each.accessor == ZOMBIE} == {"is destroyed"}


# What patches 3, 4 and 7 are for


@pytest.mark.parametrize(
    ("kernel", "accessor", "state", "note"),
    [
        (v1.without(3), "protected new guest", "not yet cleaned", "process killed"),
        (v1.without(4), "normal new guest", "not yet cleaned", "guest stops"),
        (v1.without(7, 11), "protected new guest", "shared by the old guest", "process killed"),
    ],
    ids=["without 3", "without 4", "without 7"],
)
def test_without_a_patch_the_cell_says_what_goes_wrong(kernel, accessor, state, note):
    found = reach(accessor, state, "reboot", kernel=kernel)
    assert (found.note, found.read, found.through) == (note, "", False)
    assert {event.kind for event in found.events} & {"signal", "addressing exception"}
    answer = ask(2, kernel=kernel)
    assert answer.agrees == "does not apply"
    assert note in answer.verdict


def test_the_author_is_confirmed_and_refined():
    answer = ask(2)
    assert answer.agrees == "refines"
    assert answer.values["stopped_without"] == {3: "process killed", 4: "guest stops"}
    assert ask(2, kernel=v1.upto(8)).agrees == "yes"
    assert ask(2, kernel=v1.upto(0)).agrees == "does not apply"


# The answer as such


def test_the_verdict_is_made_of_measured_values():
    answer = ask(2, costs=ld.Costs().scaled(10))
    assert "6 of 9" in answer.short and "31 µs to 60 µs" in answer.verdict
    assert "At shutdown only the host kernel" in answer.verdict
    assert answer.details[-1].startswith("Only the old guest") and "88 cases" in answer.details[-1]


def test_a_scenario_selects_what_is_shown_not_what_is_claimed():
    both, one = ask(2), ask(2, scenario="shutdown")
    assert one.claims == both.claims
    assert len(one.pictures) == 1 < len(both.pictures) == 2
    assert "reboot" not in one.verdict.lower()
    assert {len(row) for row in both.evidence.rows} == {1 + len(STATES)}


def test_another_scenario_is_refused():
    with pytest.raises(ValueError, match="scenario='crash'"):
        ask(2, scenario="crash")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (("nobody", "cleaned", "reboot"), "accessor"),
        (("I/O", "lost", "reboot"), "state"),
        (("I/O", "cleaned", "both"), "scenario"),
    ],
)
def test_an_attempt_that_does_not_exist_is_refused(given, name):
    with pytest.raises(ValueError, match=f"^{name}="):
        reach(*given)


def test_the_recorder_changes_nothing():
    def run(kernel):
        machine = ld.Machine("32 KiB", kernel=kernel, low_memory=0, segment_table=0)
        machine.boot()
        machine.protect()
        machine.touch(3)
        machine.reboot()
        return [str(machine.read(3)), machine.show(), machine.now]

    assert run(v1.plus(Recorder)) == run(v1)


def test_an_attempt_knows_a_list_page_from_a_page_that_waits():
    machine = ld.Machine("32 KiB", low_memory=0)
    attempt = Attempt(machine, "shutdown", 0x1000, machine.mm, pfn=10)
    machine.memory.page(10).update(holder=Holder.SET_ASIDE, content=Content.HOST, refs=1)
    assert not attempt.waits
    machine.memory.page(10).update(mm=machine.mm.number)
    assert attempt.waits
