"""The benchmarks come out, and what they compare does the same work. Times are not tested."""

import random
import sys
import time

import numpy as np
import pytest

import lazydestroy as ld
from benchmarks import __main__ as command
from benchmarks import measure, rows, seat, site, slider, visit, waits
from benchmarks.browser import missing
from benchmarks.case import GIB, PAGE_SIZE, Reboot, outcome
from benchmarks.plain_model import PlainModel
from benchmarks.sizes import QUICK, Sizes
from lazydestroy import scenarios
from lazydestroy.machine import DESTROY_LOOP_THRESHOLD, LOW_MEMORY

TINY = Sizes(
    teardown=1 << 26,
    reboot=1 << 26,
    model=1 << 24,
    memory=1 << 26,
    exercises=("patch-4",),
    search={"failures": (), "pages": 1, "vcpus": 1, "sharing": False},
    question=1 << 26,
    loop=1 << 26,
    held=1 << 26,
    points=100,
    repetitions=1,
)

COSTS = ("destroy", "noop", "refused", "import_clear", "import_decrypt", "walk", "exception", "touch", "retry", "cpu")


def a_case(seed):
    """A reboot of a size that nothing divides, with costs that make actors act at the same time."""
    choose = random.Random(seed)
    low = choose.randint(2, 200)
    image = choose.randint(1, low - 1)
    return Reboot(
        pages=low + choose.randint(0, 1500),
        low=low,
        loader=choose.randint(1, low),
        image=image,
        image_at=choose.randint(0, low - image),
        vcpus=choose.randint(1, 4),
        batch=choose.choice((1, 3, 32)),
        costs=ld.Costs(**{name: 100 * choose.randint(1, 20) for name in COSTS}),
    )


CASES = [Reboot.of(GIB // 64), *map(a_case, range(25))]


def test_the_case_has_the_defaults_proportions():
    case = Reboot.of(64 * GIB)
    assert case.low * PAGE_SIZE == LOW_MEMORY
    assert case.loader * PAGE_SIZE == scenarios.LOADER
    assert (case.image * PAGE_SIZE, case.image_at * PAGE_SIZE) == (scenarios.IMAGE, scenarios.IMAGE_AT)
    assert case.batch == DESTROY_LOOP_THRESHOLD


@pytest.mark.parametrize("case", CASES)
def test_plain_python_says_the_same_to_the_nanosecond(case):
    assert PlainModel(case).run() == outcome(case.run())


@pytest.mark.parametrize("case", CASES)
def test_simpy_says_the_same_to_the_nanosecond(case):
    pytest.importorskip("simpy")
    from benchmarks.simpy_model import play

    assert play(case) == outcome(case.run())


def order_of(pages, touch, keys):
    """The order of the bare loop's touching cursor, and of a vCPU that touches its memory at random."""
    if touch == "sequential":
        return list(range(pages))
    bits = max(1, (pages - 1).bit_length())
    mask, shift = (1 << bits) - 1, max(1, bits // 2)

    def scattered(x):
        for factor, key in (
            (0x9E3779B97F4A7C15, keys[0]),
            (0xBF58476D1CE4E5B9, keys[1]),
            (0x94D049BB133111EB, keys[0]),
        ):
            x ^= x >> shift if factor != 0x9E3779B97F4A7C15 else 0
            x = (x * factor + key) & mask
        return x if x < pages else scattered(x)

    return [scattered(k) for k in range(pages)]


def two_cursors(pages, costs, touch, keys):
    """What `_bare.pyx` does, in plain Python. Returns how many visits did what."""
    from benchmarks.bare import VISITS, prices

    price, visits = dict(zip(VISITS, prices(costs), strict=True)), dict.fromkeys(VISITS, 0)
    page = ["old"] * pages
    to_clean, to_touch = list(range(pages)), order_of(pages, touch, keys)
    cleaner = toucher = 0
    while to_clean or to_touch:
        if to_clean and (cleaner <= toucher or not to_touch):
            at = to_clean.pop(0)
            visit = {"old": "cleaned", "clean": "clean already", "own": "refused"}[page[at]]
            page[at] = "clean" if page[at] == "old" else page[at]
            cleaner += price[visit]
        else:
            at = to_touch.pop(0)
            visit = {"old": "taken", "clean": "imported", "own": "touched"}[page[at]]
            page[at] = "own"
            toucher += price[visit]
        visits[visit] += 1
    assert page == ["own"] * pages
    return visits


@pytest.mark.parametrize("pages", [1, 2, 777, 4096])
@pytest.mark.parametrize("touch", ["sequential", "random"])
@pytest.mark.parametrize("costs", [ld.Costs(), ld.Costs(destroy="9 us"), ld.Costs(destroy="1 ns", walk="1 ns")])
def test_the_bare_loop_does_what_it_says(pages, touch, costs):
    pytest.importorskip("Cython")
    from benchmarks import bare

    memory = np.zeros(pages, np.uint8)
    keys = bare.keys_of(3)
    assert bare.play(memory, costs, touch, seed=3) == two_cursors(pages, costs, touch, keys)
    assert (memory == 2).all()  # the new guest's


def test_all_rows_come_out(capsys):
    pytest.importorskip("simpy")
    pytest.importorskip("Cython")
    command.report(TINY, list(rows.ROWS))
    lines = capsys.readouterr().out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("work"))
    found = lines[start + 2 :]
    assert len(found) == len(rows.ROWS)
    for line, words in zip(
        found,
        (
            "synchronous teardown",
            "in order",
            "SimPy",
            "plain Python",
            "at random",
            "on Linux 6.2",
            "that gets other frames",
            "memory",
            "import",
            "judged, the slowest of 1: patch-4",
            "check(v1_fixed), 0 failures",
            "ask(10, memory='64 MiB')",
            "exit loop",
            "another thread waits",
            "a sweep of 40 reboots of 64 MiB",
            "of 100, on two processes",
        ),
        strict=True,
    ):
        assert words in line
    assert "loads" not in "".join(found)  # neither matplotlib nor ipywidgets


def test_rows_can_be_chosen(capsys, monkeypatch):
    monkeypatch.setattr(command, "QUICK", TINY)
    command.main(["--quick", "--rows", "teardown"])
    assert "synchronous teardown of 64 MiB" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        command.main(["--rows", "no such row"])


def test_a_missing_package_is_named(monkeypatch):
    def missing(_sizes):
        raise ModuleNotFoundError("No module named 'simpy'")

    monkeypatch.setitem(command.ALL, "simpy", missing)
    with pytest.raises(SystemExit, match=r"simpy.*pip install -e"):
        command.report(TINY, ["simpy"])


@pytest.mark.parametrize(
    ("figure", "target", "at_least", "remark", "met"),
    [
        (2.5, 2.5, False, "", True),
        (2.51, 2.5, False, "", False),
        (200, 200, True, "", True),
        (199, 200, True, "", False),
        (50, 100, False, "loads matplotlib without being asked", False),
        (7, None, False, "", None),
    ],
)
def test_a_target_is_met_or_not(figure, target, at_least, remark, met):
    assert measure.Row("work", "1 s", "1 s", figure, "×", target, at_least, remark).met is met


def test_measurements_take_turns_and_the_first_does_not_count():
    order = []

    def takes(name, times):
        def measurement():
            order.append(name)
            return times.pop(0)

        return measurement

    assert measure.in_turns(takes("ours", [1, 5, 4]), takes("peer", [9, 8, 7]), 2) == (4, 7)
    assert order == ["ours", "peer"] * 3


def test_a_thread_that_is_kept_from_the_interpreter_is_noticed():
    def busy():
        ends = time.perf_counter() + 0.2
        while time.perf_counter() < ends:
            pass

    usual = sys.getswitchinterval()
    sys.setswitchinterval(10)  # who has the interpreter keeps it until it waits for something
    try:
        assert waits.longest_wait(busy) > 0.1
        assert waits.longest_wait(lambda: time.sleep(1)) < 0.9
    finally:
        sys.setswitchinterval(usual)


def test_figures_have_three_digits():
    figures = {0.01234: "0.0123", 1.5: "1.50", 99.9: "99.9", 6300.4: "6,300"}
    assert {figure: measure.significant(figure) for figure in figures} == figures
    times = {2.0: "2.00 s", 0.0162: "16.2 ms", 4.1e-6: "4.10 µs", 6.6e-10: "0.660 ns"}
    assert {time: measure.seconds(time) for time in times} == times


def test_without_a_browser_the_row_of_the_slider_is_left_out_with_the_reason(monkeypatch, capsys):
    monkeypatch.setattr(slider, "missing", lambda: "no Chromium: install it")
    command.report(TINY, ["teardown", "slider"])
    printed = capsys.readouterr().out
    assert "left out: slider: no Chromium: install it" in printed
    assert "slider back" not in printed


def test_without_a_site_its_rows_are_left_out_with_the_reason(monkeypatch, capsys):
    monkeypatch.setattr(visit, "missing", lambda: "")
    monkeypatch.setattr(visit, "SITE", visit.ROOT / "build" / "nowhere")
    command.report(TINY, ["teardown", "visit"])
    printed = capsys.readouterr().out
    assert "left out: visit: there is no site in build/nowhere: make site" in printed
    assert "first visit" not in printed


def test_what_a_visit_has_loaded_is_counted_as_a_host_that_compresses_sends_it(monkeypatch, tmp_path):
    monkeypatch.setattr(visit, "SITE", tmp_path)
    (tmp_path / "index.html").write_bytes(bytes(1_000_000))
    (tmp_path / "noise").write_bytes(random.Random(1).randbytes(1_000_000))
    plain, packed = visit._loaded(site.Served(sent={"/": 1_000_000, "/noise?again": 2_000_000}))
    assert plain == 3
    assert 1.0 <= packed < 1.01


@pytest.mark.long("starts a scheduler and workers of Dask")
def test_what_a_point_costs_on_dask_is_measured(capsys):
    command.report(TINY, ["sweep-dask"])
    assert "of 100, on two workers of Dask" in capsys.readouterr().out


@pytest.mark.notebooks
@pytest.mark.long("a browser takes a minute, and `make test` asks for none")
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_the_slider_is_measured_in_a_browser():
    opened, last, minute = slider.slider(QUICK)
    assert 0 < opened.figure < last.figure, "the picture in view comes first"
    assert 1 < minute.figure < 300
    assert "interact" in opened.peer and minute.unit == " s"


@pytest.fixture
def busy_notebook(tmp_path):
    """A notebook that keeps 64 MiB, and is busy for half a second itself and half a second in a child."""
    import nbformat

    busy = "import time\nwhile time.process_time() < began + 0.5: pass"
    in_a_child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy.replace('began', '0')!r}])"
    code = ("kept = bytearray(64 << 20)", "import time; began = time.process_time()", busy, in_a_child)
    cells = [nbformat.v4.new_code_cell(each) for each in code]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "one.ipynb")
    return tmp_path / "one.ipynb"


def test_the_memory_and_the_time_of_a_notebook_are_measured(busy_notebook):
    try:
        needed = seat.of_notebook(busy_notebook)
    except measure.NotHereError as error:
        pytest.skip(str(error))
    assert 64 < needed.peak >> 20 < 1000
    assert 1 <= needed.cpu_seconds < 3, "half a second in the kernel, half a second in its child"
    assert needed.seconds >= 1


@pytest.mark.long("starts JupyterLab; what a notebook needs is measured without it, too")
def test_the_memory_and_the_time_of_a_seat_are_measured(busy_notebook, capsys):
    try:
        seat.main([str(busy_notebook)])
    except measure.NotHereError as error:
        pytest.skip(str(error))
    server, one, most = (line for line in capsys.readouterr().out.splitlines() if line.endswith(" MiB"))
    assert server.startswith("JupyterLab") and one.startswith("one.ipynb") and most.startswith("at most")
    assert 1 <= float(one.split()[-4]) < 3 and 64 < int(one.split()[-2]) < 1000
    assert most.split()[2:] == one.split()[1:]
