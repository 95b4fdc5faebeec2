"""The list of assumptions: complete, and read from the code that it speaks of."""

from __future__ import annotations

import importlib
import inspect
from collections import Counter

import pytest

import lazydestroy as ld
from lazydestroy import machine, scenarios, ultravisor, units
from lazydestroy._core import Memory
from lazydestroy.assumptions import NOT_MODELLED, TOPICS, assumptions
from lazydestroy.host import sizes
from lazydestroy.kernel import gmap, uv
from lazydestroy.page import Holder, Record
from lazydestroy.uvcb import UVC_RC_INV_CMD, uv_cb_destroy_fast, uv_cb_header, uv_cb_nodata

# What the sources do not say, and where the list says what the model does about it.
OPEN_IN_THE_SOURCES = {
    "a swapped page's measurement is found by its guest address": "what was exported is remembered by guest address",
    "which interruption a protected guest gets on a donated page": "protected guest on a donated page",
    "the code of an import that is refused": "import or unpack of a page of another configuration, secure or shared",
    "how fast DESTROY_SEC_CONF cleans pages": "DESTROY_SEC_CONF cleans pages still secure or shared",
    "the code of an import before the parameters": "import or unpack before SET_SEC_CONF_PARAMS has succeeded",
    "the address of an unpin": "address of UNPIN_PAGE_SHARED where the guest's origin is not 0",
    "what a z15 answers to a wrong CPU handle": "wrong CPU handle",
    "whether variable storage in lowcore is refused": "variable storage in lowcore",
    "DESTROY_SEC_CONF gives storage back cleared": "contents of donated storage",
    "a zombie counts against the limit": "configurations set aside count against max_num_sec_conf",
    "sizes of donated storage": "sizes of donated storage",
    "who owns a page whose configuration was ended fast": "pages of a configuration ended by DESTROY_SEC_CONF_FAST",
    "what ending it fast costs": "price of DESTROY_SEC_CONF_FAST",
    "how much the boot loader touches": "boot loader of the new guest",
    "size and place of the boot image": "boot image of a protected guest",
    "which features a machine has": "features of the Ultravisor",
    "where the guest's pages lie": "the guest's memory when it starts",
    "where a page that faults in comes to lie": "frame for a page fault",
    "which frame is handed out": "frame for anything else",
    "where donated storage lies": "donated storage and top-level tables",
    "from where on it may lie": "lowest address of donated storage",
    "where the image's header is": "header of the boot image",
    "tables below the top-level one": "tables below the top-level table",
    "the reserve of an atomic allocation": "reserve that an atomic allocation leaves alone",
    "who is killed when memory runs out": "another process finds no free page",
    "a list that is filled while it is emptied": "a list page that is being emptied while others are added",
    "how many users an address space has": "users of an address space",
    "when a step takes effect": "when a step takes effect",
    "how the price of a destroy is shared between call and page": (
        "a call for a range of pages (a layer of this package, `range_call`)"
    ),
}


def text() -> str:
    return " ".join(f"{each.what} {each.value}" for each in assumptions())


def test_what_the_sources_leave_open_is_listed():
    listed = {each.what for each in assumptions()}
    missing = {topic: what for topic, what in OPEN_IN_THE_SOURCES.items() if what not in listed}
    assert not missing


def test_every_topic_is_there_in_order():
    assert tuple(dict.fromkeys(each.topic for each in assumptions())) == TOPICS
    assert sum(len(assumptions().about(topic)) for topic in TOPICS) == len(assumptions())


def test_nothing_is_listed_twice():
    assert max(Counter((each.topic, each.what) for each in assumptions()).values()) == 1


def test_every_assumption_is_explained():
    for each in assumptions():
        assert each.what and each.value and each.why, each


def test_an_unknown_topic_is_refused():
    with pytest.raises(ValueError, match="topic='luck': use one of 'What a step costs'"):
        assumptions().about("luck")


@pytest.mark.parametrize("where", sorted({each.where for each in assumptions()}))
def test_the_code_that_decides_it_is_there(where):
    parts = where.split(".")
    for place in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(["lazydestroy", *parts[:place]]))
        except ModuleNotFoundError:
            continue
        for name in parts[place:]:
            found = getattr(found, name)
        return
    raise AssertionError(where)


# Figures are those of the code


def test_every_assumed_cost_is_listed_with_its_figure():
    costs = ld.Costs()
    listed = {each.where: each for each in assumptions().about("What a step costs")}
    for name, source in costs.sources.items():
        if source.assumed:
            entry = listed[f"costs.Costs.{name}"]
            assert entry.value == units.format_duration(getattr(costs, name))
            assert source.text in entry.why and source.reference in entry.why
            assert entry.what.startswith(f"`{name}`: ")


def test_every_assumption_of_the_ultravisor_is_listed():
    listed = [(each.what, each.value, each.why) for each in assumptions() if each.where == "ultravisor.ASSUMPTIONS"]
    assert sorted(listed) == sorted(map(tuple, ultravisor.ASSUMPTIONS))


@pytest.mark.parametrize(
    ("module", "name", "value", "shown"),
    [
        (scenarios, "LOADER", 3 << 20, "3 MiB"),
        (scenarios, "IMAGE", 5 << 20, "5 MiB"),
        (scenarios, "IMAGE_AT", 7 << 20, "address 7 MiB"),
        (scenarios, "min_free_pages", lambda host: 1234, "1,234 pages"),
        (scenarios, "atomic_reserve", lambda host: 4321, "4,321 pages"),
        (scenarios, "host_memory_of", lambda *_: 333 << 30, "333 GiB"),
        (machine, "LOW_MEMORY", 11 << 30, "11 GiB"),
        (sizes, "LOWCORE_PAGES", 77, "frame 77 + g"),
        (sizes, "UV_STORAGE", {"uv_base_stor_len": 21 << 20}, "21 MiB, at any page"),
        (sizes, "SMALL_STORAGE", {"cpu_stor_len": 13 << 12}, "cpu_stor_len 52 KiB"),
        (gmap, "CRST_PAGES", 19, "19 pages"),
        (uv, "MAX_BUSY", 4321, "4,321 times"),
    ],
)
def test_figures_are_read_from_the_code(monkeypatch, module, name, value, shown):
    assert shown not in text()
    monkeypatch.setattr(module, name, value)
    assert shown in text()


def test_the_sizes_of_donated_storage_are_the_ultravisors_defaults():
    defaults = {name: each.default for name, each in inspect.signature(ld.Ultravisor).parameters.items()}
    by_what = {each.what: each.value for each in assumptions()}
    for name in ("uv_base_stor_len", "conf_base_phys_stor_len", "conf_base_virt_stor_len", "conf_virt_var_stor_len"):
        assert defaults[name] in by_what["sizes of donated storage"]
    assert defaults["cpu_stor_len"] in by_what["sizes of donated storage"]
    assert units.format_count(defaults["max_configurations"]) in by_what["limits"]
    for name in ("max_guest_address", "max_guest_cpus"):
        assert str(defaults[name]) in by_what["limits"]


# What is said without a figure is what happens


def test_the_guests_memory_is_contiguous_and_a_page_comes_back_to_its_frame():
    m = ld.Machine("32 KiB")
    m.boot()
    for page in range(8):
        m.touch(page)
    assert [m.mm.guest.frame(page) for page in range(8)] == [sizes.LOWCORE_PAGES + page for page in range(8)]
    assert m.swap_out(5)
    m.touch(5)
    assert m.mm.guest.frame(5) == sizes.LOWCORE_PAGES + 5


def test_the_frame_freed_last_is_handed_out_first_then_the_next_upwards():
    memory = Memory(8)
    used = Record(holder=Holder.OTHER, refs=1)
    for frame in (0, 1, 4):
        memory.set_record(frame, used)
    for frame in (4, 1):
        memory.set_record(frame, Record())
    found = []
    for _ in range(4):
        found.append(memory.allocate())
        memory.set_record(found[-1], used)
    assert found == [1, 4, 2, 3]
    assert Memory(8).find_run(2) == 6


def test_a_process_that_finds_no_page_is_killed_and_its_pages_are_free():
    run = ld.shutdown("16 MiB", host_memory="24 MiB", demand="64 GiB/s", demand_total="1 GiB")
    assert run.oom
    assert run.memory["other"].max() > 0
    assert run.memory["other"][-1] == 0


def test_the_header_of_the_image_is_in_the_page_of_the_sca(monkeypatch):
    m = ld.Machine("32 KiB")
    blocks = []
    call = m.uv.call
    monkeypatch.setattr(m.uv, "call", lambda uvcb: (blocks.append(uvcb), call(uvcb))[1])
    m.boot()
    m.protect()
    named = {type(block).__name__: block for block in blocks}
    assert named["uv_cb_ssc"].sec_header_origin == m.kvm.sca << 12


@pytest.mark.parametrize(("host", "lowest"), [("1 GiB", 512 << 20), ("64 GiB", machine.LOW_MEMORY)])
def test_donated_storage_lies_as_high_as_is_said(monkeypatch, host, lowest):
    made = []
    keep = machine.Machine.__init__
    monkeypatch.setattr(machine.Machine, "__init__", lambda self, *a, **k: (made.append(self), keep(self, *a, **k))[1])
    ld.shutdown("16 MiB", host_memory=host)
    assert made[0].donated_from == lowest


def test_a_call_that_is_not_modelled_is_answered_as_is_said():
    block = uv_cb_nodata(header=uv_cb_header(len=64, cmd=ld.UVC.RETR_ATTEST))
    assert ld.Ultravisor("4 GiB").call(block) == 1
    assert block.header.rc == UVC_RC_INV_CMD
    assert any(f"{UVC_RC_INV_CMD:#06x}" in each.means for each in NOT_MODELLED)


def test_the_fast_call_is_answered_as_is_said_where_nobody_asked_for_it():
    block = uv_cb_destroy_fast(handle=0)
    assert ld.Ultravisor("4 GiB").call(block) == 1
    (said,) = [each.value for each in assumptions() if each.what == "DESTROY_SEC_CONF_FAST"]
    assert f"rc {block.header.rc:#x}," in said


# Showing


def test_tables_show_every_entry_and_escape_it():
    table = assumptions()._repr_html_()
    assert table.count("<tr>") == len(assumptions()) + 1
    assert table.count("<td") == 4 * len(assumptions())
    assert "n * 0x1000" in table and "<code>noop</code>" in table and "`" not in table
    assert NOT_MODELLED._repr_html_().count("<td") == 2 * len(NOT_MODELLED)


def test_text_shows_every_entry():
    assert len(repr(assumptions()).splitlines()) == len(assumptions())
    assert len(repr(NOT_MODELLED).splitlines()) == len(NOT_MODELLED)
