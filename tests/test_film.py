"""The film of a run: each frame is what the pages are at that moment, and filming changes nothing."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lazydestroy as ld
from lazydestroy._core import Engine, Memory
from lazydestroy.page import Content, Holder, Record, State
from lazydestroy.run import KINDS
from lazydestroy.scenarios.filming import GUEST_CELLS, REST_CELLS, kind_of, middles, watched
from tests.marks import few_and_many, tried

v1 = ld.series.v1
SMALL = {"loader": "64 KiB", "image": "64 KiB", "image_at": 0}
NOT_EXACT = ("film", "memory", "timeline", "seconds")


def counted(film, time_ns):
    """Cells of each kind at a moment: of the guest's memory, and of the rest."""
    return [
        {KINDS[kind]: int(n) for kind, n in zip(*np.unique(cells, return_counts=True), strict=True)}
        for cells in film.at(time_ns)
    ]


@given(
    st.sampled_from([v1, v1.upto(0), v1.without(3), v1.upto(8)]),
    st.sampled_from(["sequential", "reverse", "random", "none"]),
    st.sampled_from(["protected", "normal"]),
    st.sampled_from([0.0, 0.3]),
    st.integers(200, 1200),
)
def test_filming_changes_nothing(kernel, touch, new_guest, shared, pages):
    settings = dict(kernel=kernel, touch=touch, new_guest=new_guest, shared=shared, host_memory="32 MiB", **SMALL)
    plain = ld.reboot(pages * 4096, **settings)
    filmed = ld.reboot(pages * 4096, film=True, **settings)
    for field in fields(plain):
        if field.name not in NOT_EXACT:
            assert getattr(plain, field.name) == getattr(filmed, field.name), field.name
    assert plain.film is None and plain.call == filmed.call


@few_and_many(25, 100)
def test_the_film_is_the_same_page_by_page_and_many_at_once(examples):
    @tried(
        examples,
        st.sampled_from([v1, v1.upto(0), v1.without(4)]),
        st.sampled_from(["sequential", "reverse", "random"]),
        st.floats(0.2, 1).map(lambda share: round(share, 2)),
        st.integers(1, 3),
        st.integers(200, 2500),
    )
    def each(kernel, touch, used, vcpus, pages):
        settings = dict(kernel=kernel, touch=touch, used=used, vcpus=vcpus, low_memory="1 MiB", **SMALL)
        film, slow = (
            ld.reboot(pages * 4096, host_memory="32 MiB", film=True, _engine=engine, **settings).film
            for engine in (None, {"tabled": False})
        )
        assert np.array_equal(film.times_ns, slow.times_ns)
        assert np.array_equal(film.kinds, slow.kinds)


@pytest.mark.parametrize("kernel", [v1, v1.upto(0)], ids=repr)
def test_the_film_of_a_shutdown_is_the_same_page_by_page_and_many_at_once(kernel):
    settings = {"kernel": kernel, "host_memory": "32 MiB", "demand": "2 GiB/s", "film": True}
    film, slow = (ld.shutdown("16 MiB", _engine=engine, **settings).film for engine in (None, {"tabled": False}))
    assert np.array_equal(film.times_ns, slow.times_ns)
    assert np.array_equal(film.kinds, slow.kinds)


def test_a_cell_of_a_small_guest_is_a_page_and_the_film_counts_what_memory_counts():
    run = ld.reboot("2 MiB", host_memory="16 MiB", film=True, **SMALL)
    assert run.film.guest_cells == run.film.guest_pages == 512
    columns = {name: run.memory[name] for name in ("guest", "uncleaned")}
    for time in run.film.times_ns[::7]:
        cells = counted(run.film, time)[0]
        row = {name: np.interp(time, run.memory["time"], column) for name, column in columns.items()}
        mapped = sum(cells.get(kind, 0) for kind in ("clean", "guest", "old guest", "shared"))
        assert mapped == pytest.approx(row["guest"], abs=2)
        assert cells.get("old guest", 0) == pytest.approx(row["uncleaned"], abs=2)


def test_it_begins_with_the_old_guests_pages_and_ends_with_the_new_ones():
    film = ld.reboot("64 GiB", film=True).film
    assert film.guest_cells == GUEST_CELLS and film.rest_cells == REST_CELLS
    assert counted(film, 0)[0] == {"old guest": GUEST_CELLS}
    assert counted(film, film.times_ns[-1])[0] == {"guest": GUEST_CELLS}
    assert 100 < len(film.times_ns) <= 256


def test_all_pages_of_a_shutdown_are_set_aside_and_then_free():
    run = ld.shutdown("64 GiB", film=True)
    assert set(counted(run.film, run.downtime_ns + 1)[0]) == {"set aside"}
    halfway = counted(run.film, (run.downtime_ns + run.cleanup_ns) // 2)[0]
    assert halfway["set aside"] == pytest.approx(GUEST_CELLS / 2, rel=0.1)
    assert counted(run.film, run.end_ns)[0] == {"free": GUEST_CELLS}


def test_a_guest_that_is_reset_again_is_old_from_then_on():
    run = ld.reboot_loop("1 GiB", habit="fill", times=2, film=True)
    second = run.resets_ns[1]
    assert counted(run.film, second - 1)[0].get("guest", 0) > 0.9 * GUEST_CELLS
    assert counted(run.film, second + run.downtimes_ns[1] // 4)[0].get("guest", 0) == 0


def test_what_was_opened_to_the_host_is_told_from_what_was_not():
    film = ld.reboot("4 GiB", shared=0.25, used=0.5, film=True).film
    assert counted(film, 0)[0] == {"old guest": 384, "shared": 128, "free": 512}


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (Record(), "free"),
        (Record(state=State.SECURE, owner=1), "old guest"),
        (Record(state=State.SECURE, owner=1, holder=Holder.MAPPED), "old guest"),
        (Record(state=State.SECURE, owner=2, holder=Holder.MAPPED), "guest"),
        (Record(state=State.SHARED, owner=1, holder=Holder.MAPPED), "shared"),
        (Record(state=State.SHARED, owner=2, holder=Holder.MAPPED), "guest"),
        (Record(holder=Holder.MAPPED), "clean"),
        (Record(holder=Holder.MAPPED, content=Content.CIPHERTEXT, content_of=1), "clean"),
        (Record(holder=Holder.MAPPED, content=Content.HOST), "guest"),
        (Record(state=State.SECURE, owner=1, holder=Holder.SET_ASIDE), "set aside"),
        (Record(state=State.DONATED, owner=2, holder=Holder.DONATED), "donated"),
        (Record(holder=Holder.OTHER), "other process"),
        (Record(state=State.DONATED, owner=1, holder=Holder.LEAKED), "leaked"),
    ],
)
def test_what_a_page_is_called(record, kind):
    assert kind_of(record, frozenset({1})) == kind


@given(st.integers(1, 5000), st.integers(1, 300))
def test_each_cell_has_a_page_of_its_own(pages, most):
    chosen = list(middles(pages, most))
    number = min(pages, most)
    assert len(chosen) == number
    assert all(cell * pages // number <= page < (cell + 1) * pages // number for cell, page in enumerate(chosen))


def test_the_rest_of_the_host_is_all_that_is_not_the_guests():
    assert watched(base=3, guest=4, host=12) == (3, 4, 5, 6, 0, 1, 2, 7, 8, 9, 10, 11)


def test_numbers_of_classes_that_are_given_away_meanwhile_keep_their_meaning():
    engine = Engine(Memory(4))
    engine.sample_every(1)
    engine.watch([0, 3], 1)
    for mm in range(1, 600):
        engine.memory.set_record(3, Record(mm=mm))
        if mm in (1, 599):

            def idle():
                return
                yield

            engine.spawn(idle(), "idle", mm)
            engine.run()
            engine.sample_now()
    times, classes, records = engine.film()
    seen = [records[frame][classes[frame, 1]].mm for frame in range(len(times))]
    assert seen[0] == 1 and seen[-1] == 599


@pytest.mark.parametrize(
    ("pages", "ns", "says"),
    [([], 1, "at least one"), ([4], 1, "from 0 to 3"), ([-1], 1, "from 0 to 3"), ([0], 0, "nanoseconds from 1 to")],
)
def test_what_cannot_be_watched_is_refused(pages, ns, says):
    with pytest.raises(ValueError, match=says):
        Engine(Memory(4)).watch(pages, ns)


def test_film_is_true_or_false():
    with pytest.raises(ValueError, match="film='yes': use True or False"):
        ld.reboot("1 MiB", film="yes")
