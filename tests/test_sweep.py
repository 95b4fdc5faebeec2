"""Sweeps: the same figures on any executor, with names and units, and nothing lost when something stops one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import lazydestroy as ld
from lazydestroy.sweeps import FIGURES, keeping, reproduce

xarray = pytest.importorskip("xarray", reason="sweeps need the extra lazydestroy[sweep]")

SMALL = {"low_memory": "2 MiB", "host_memory": "64 MiB", "loader": "1 MiB", "image": "1 MiB"}
BEFORE, AFTER = ld.series.v1.upto(0), ld.series.v1_fixed
GRID = {**SMALL, "memory": ["8 MiB", "16 MiB"], "kernel": [BEFORE, AFTER], "used": [0.5, 1.0]}


@pytest.fixture(scope="module")
def plain():
    """The sweep of `GRID` in this process."""
    return ld.sweep(ld.reboot, **GRID)


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2) as pool:
        yield pool


# A function whose points can be counted, wherever they are computed


def counted(log, number, wait=0.0, dies_at=None):
    """Write down that a point is computed; a process dies at one of them, the first time."""
    time.sleep(wait)
    with Path(log).open("a", encoding="ascii") as lines:
        lines.write(f"{number}\n")
    if number == dies_at and not Path(f"{log}.died").exists():
        Path(f"{log}.died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"square": number**2, "half": None if number % 2 else number / 2}


def computed(log):
    """How often each point was computed."""
    numbers = [int(line) for line in Path(log).read_text(encoding="ascii").split()]
    return {number: numbers.count(number) for number in numbers}


# What comes out


def test_each_point_has_the_figures_of_its_run(plain):
    assert dict(plain.sizes) == {"memory": 2, "kernel": 2, "used": 2}
    for memory in (8 << 20, 16 << 20):
        for kernel in (BEFORE, AFTER):
            run = ld.reboot(memory, kernel=kernel, used=0.5, **SMALL)
            point = plain.sel(memory=memory, kernel=repr(kernel), used=0.5)
            for name, figure in FIGURES.items():
                assert np.array_equal(float(point[name]), np.float64(figure.of(run)), equal_nan=True), name
    assert (plain.why == "").all()


def test_inputs_are_coordinates_with_units_or_attributes(plain):
    assert plain.memory.values.tolist() == [8 << 20, 16 << 20] and plain.memory.attrs == {"units": "B"}
    assert plain.kernel.values.tolist() == ["ld.series.v1.upto(0)", "ld.series.v1_fixed"]
    assert plain.used.values.tolist() == [0.5, 1.0]
    assert plain.attrs["low_memory"] == "2 MiB"
    assert plain.attrs["touch"] == "sequential", "a default is an input, too"
    assert plain.attrs["lazydestroy"] == ld.__version__
    assert '"destroy": 1500' in plain.attrs["costs_ns"]
    assert {plain[name].attrs["units"] for name in FIGURES} == {"ns", "pages", "1"}


def test_a_time_that_is_never_reached_is_missing_and_the_point_is_not():
    found = ld.sweep(ld.shutdown, memory="8 MiB", host_memory="64 MiB", figures=["downtime_ns", "bystander_wait_ns"])
    assert list(found.data_vars) == ["downtime_ns", "bystander_wait_ns", "why"]
    assert found.downtime_ns > 0 and np.isnan(found.bystander_wait_ns) and found.why == ""


def test_costs_that_differ_are_coordinates_in_nanoseconds():
    costs = [ld.Costs(destroy="1 us"), ld.Costs(destroy="2 us", export="9 us")]
    found = ld.sweep(ld.shutdown, memory="8 MiB", host_memory="64 MiB", kernel=BEFORE, costs=costs)
    assert found.costs_destroy.values.tolist() == [1000, 2000] and found.costs_export.values.tolist() == [3000, 9000]
    assert "costs_walk" not in found.coords
    assert found.swap_dims(costs="costs_destroy").downtime_ns.sel(costs_destroy=2000) > found.downtime_ns[0]


@pytest.mark.parametrize(
    ("given", "values", "unit"),
    [
        ({"swap": [0, "8 MiB"]}, [0, 8 << 20], "B"),
        ({"exit_at": ["1 ms", 20]}, [10**6, 20], "ns"),
        ({"exit_at": [None, "end"]}, ["None", "'end'"], None),
        ({"bystander": [("1 ms", "2 ms")]}, ["('1 ms', '2 ms')"], None),
        ({"wait_for_cleanup": [False, True]}, [False, True], "1"),
        ({"touch": ["random", "none"]}, ["random", "none"], None),
        ({"seed": range(2), "touch": "random"}, [0, 1], "1"),
        ({"used": np.array([0.25, 1])}, [0.25, 1.0], "1"),
    ],
)
def test_what_varies_keeps_its_kind(given, values, unit, tmp_path):
    given = {**SMALL, "memory": "8 MiB", **given}
    found = ld.sweep(ld.reboot, figures=["end_ns"], file=tmp_path / "kept.nc", **given)
    assert (found.why == "").all()
    with xarray.open_dataset(tmp_path / "kept.nc", engine="h5netcdf") as kept:
        for each in (found, kept):
            name = next(iter(each.coords))
            assert each[name].values.tolist() == values
            assert each[name].attrs.get("units") == unit
            point = each.isel({name: -1})
            assert eval(reproduce(point), {"ld": ld}).end_ns == point.end_ns


def test_a_point_is_run_again_by_its_line(plain):
    point = plain.isel(memory=1, kernel=0, used=0)
    line = reproduce(point)
    assert "kernel=ld.series.v1.upto(0)" in line
    assert eval(line, {"ld": ld}).downtime_ns == point.downtime_ns
    for wrong in (plain, None, plain.why):
        with pytest.raises(ValueError, match="^point="):
            reproduce(wrong)


def test_figures_of_a_readers_own():
    found = ld.sweep(
        ld.shutdown, memory=["8 MiB"], host_memory="64 MiB", figures={"actors": lambda run: len(run.by_actor)}
    )
    assert found.actors.values.tolist() == [len(ld.shutdown("8 MiB", host_memory="64 MiB").by_actor)]


def test_a_function_of_a_readers_own(tmp_path):
    found = ld.sweep(counted, log=str(tmp_path / "log"), number=[1, 2])
    assert found.square.values.tolist() == [1, 4]
    assert np.isnan(found.half[0]) and found.half[1] == 1


# What is refused


def test_a_refused_point_is_missing_with_its_reason(monkeypatch):
    monkeypatch.setattr("lazydestroy.limits.available_memory", lambda: 70 << 20)
    found = ld.sweep(ld.shutdown, memory=["8 MiB", "64 GB", "5000 B", "64 GiB"], host_memory=None)
    assert np.isnan(found.downtime_ns.values).tolist() == [False, True, True, True]
    said = found.why.values.tolist()
    assert said[0] == "" and said[1].startswith("memory='64 GB'") and "multiple of 4 KiB" in said[2]
    assert said[3].startswith("not enough memory: a run with a host of 76 GiB needs")


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"used": 2, "memory": ["8 MiB", "16 MiB"]}, ValueError, r"^used=2 .*\(all 2 points are refused\)"),
        ({"memory": "64 GB"}, ValueError, r"^memory='64 GB' .*\.$"),
        ({"memory": []}, ValueError, r"^memory=\[\] has no values"),
        ({"memory": np.ones((2, 2))}, ValueError, "^memory=.* has 2 axes"),
        ({"memory": ["8 MiB", 8 << 20]}, ValueError, "^memory=.* twice"),
        ({"memry": "8 MiB"}, TypeError, "memry.*it takes memory, used"),
        ({"film": True}, TypeError, "^film: "),
    ],
)
def test_what_is_wrong_at_all_points_is_an_error_at_once(given, error, said, tmp_path):
    with pytest.raises(error, match=said):
        ld.sweep(ld.shutdown, file=tmp_path / "x.nc", host_memory="64 MiB", **given)
    assert list(tmp_path.iterdir()) == []


def test_what_a_function_may_return():
    for wrong in (None, 5, {"x": "text"}, {1: 2}, {"number": 1}, {"why": 1}):
        with pytest.raises(TypeError, match="^what"):
            ld.sweep(lambda number, wrong=wrong: wrong, number=[1])
    with pytest.raises(ValueError, match="^why: "):
        ld.sweep(lambda why: {}, why=[1])


# Executors


def test_the_figures_are_the_same_on_any_executor(plain, processes):
    with ThreadPoolExecutor(2) as threads:
        for executor in (threads, processes):
            xarray.testing.assert_identical(ld.sweep(ld.reboot, executor=executor, **GRID), plain)


LAYER = """
import lazydestroy as ld

class SlowExit:
    '''A layer as in a notebook.'''
    def exit_mmap(self, mm):
        self.machine.engine.charge(10**9)
        yield from super().exit_mmap(mm)

def twice(memory, kernel):
    return {"downtime": 2 * ld.shutdown(memory, kernel=kernel, host_memory="64 MiB").downtime_ns}

kernels = [ld.series.v1, ld.series.v1.plus(SlowExit)]
given = {"memory": "8 MiB", "kernel": kernels}
plain = ld.sweep(twice, **given)
{}
assert plain.identical(ld.sweep(twice, executor=executor, **given))
print(int(plain.downtime[1] - plain.downtime[0]))
"""


def in_a_process(code, *options):
    """What code prints that runs in a new process, as in a notebook: without a file."""
    done = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


SPAWNED = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
executor = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
"""

DASK = """
from distributed import Client, LocalCluster
cluster = LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None)
executor = Client(cluster).get_executor()
"""


@pytest.mark.parametrize(
    "executor",
    [
        pytest.param(SPAWNED, id="a new process"),
        pytest.param(DASK, id="Dask", marks=pytest.mark.long("starts a scheduler and a worker of Dask")),
    ],
)
def test_a_layer_and_a_function_of_a_notebook_travel(executor):
    assert in_a_process(LAYER.replace("{}", executor)) == ["2000000000"]


# Files


def test_a_file_has_all_and_the_same_call_computes_nothing(tmp_path):
    file, log = tmp_path / "kept.nc", tmp_path / "log"
    first = ld.sweep(counted, file=file, log=str(log), number=range(5))
    assert xarray.load_dataset(file, engine="h5netcdf").identical(first)
    assert ld.sweep(counted, file=file, log=str(log), number=range(5)).identical(first)
    assert computed(log) == dict.fromkeys(range(5), 1)
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("given", "differs"),
    [
        ({"memory": ["8 MiB", "12 MiB"]}, r"memory is \[8388608, 16777216\] there, and \[8388608, 12582912\] here"),
        ({"memory": ["8 MiB"]}, r"memory is \[8388608, 16777216\] there"),
        ({"memory": "8 MiB"}, "memory is .* there, and 'one value' here"),
        ({"used": 0.5}, "given is"),
        ({"figures": ["end_ns"]}, "figures is"),
    ],
)
def test_a_file_of_another_sweep_is_refused_with_what_differs(given, differs, tmp_path):
    file = tmp_path / "kept.nc"
    mine = {"memory": ["8 MiB", "16 MiB"], "host_memory": "64 MiB", "file": file, "figures": ["downtime_ns"]}
    ld.sweep(ld.shutdown, **mine)
    before = file.read_bytes()
    with pytest.raises(ValueError, match=f"^file=.*holds another sweep: {differs}"):
        ld.sweep(ld.shutdown, **{**mine, **given})
    assert file.read_bytes() == before


def test_a_file_that_is_none_is_refused_and_stays(tmp_path):
    file = tmp_path / "kept.nc"
    for content in (b"", b"text"):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"^file=.*NetCDF"):
            ld.sweep(ld.shutdown, memory=["8 MiB"], file=file)
        assert file.read_bytes() == content
    xarray.Dataset({"x": 1}).to_netcdf(file, engine="h5netcdf")
    with pytest.raises(ValueError, match=r"^file=.*is not the file of a sweep"):
        ld.sweep(ld.shutdown, memory=["8 MiB"], file=file)


def test_a_saving_that_fails_leaves_the_file_that_was_there(tmp_path, monkeypatch):
    file = tmp_path / "kept.nc"
    found = ld.sweep(counted, file=file, log=str(tmp_path / "log"), number=range(5))

    def half(self, path, engine):
        Path(path).write_bytes(b"half of it")
        raise OSError("no space left")

    monkeypatch.setattr(xarray.Dataset, "to_netcdf", half)
    with pytest.raises(OSError, match="no space"):
        keeping.save(found, file)
    monkeypatch.undo()
    assert xarray.load_dataset(file, engine="h5netcdf").identical(found)
    assert {each.name for each in tmp_path.iterdir()} == {"kept.nc", "log"}


def test_what_had_not_enough_memory_is_tried_again(tmp_path, monkeypatch):
    given = {"memory": ["8 MiB", "16 MiB"], "host_memory": "64 MiB", "file": tmp_path / "kept.nc"}
    there = iter([1 << 30, 0])
    monkeypatch.setattr("lazydestroy.limits.available_memory", lambda: next(there))
    assert np.isnan(ld.sweep(ld.shutdown, **given).downtime_ns).sum() == 1
    monkeypatch.undo()
    again = ld.sweep(ld.shutdown, **given)
    assert again.identical(ld.sweep(ld.shutdown, **{**given, "file": None}))


# What stops a sweep


@pytest.mark.parametrize("on", ["this process", "processes"])
def test_an_interrupt_keeps_what_is_done_and_drops_what_is_queued(on, processes, tmp_path):
    executor = None if on == "this process" else processes
    log, file = tmp_path / "log", tmp_path / "kept.nc"
    given = {"executor": executor, "file": file, "log": str(log), "number": range(400), "wait": 0.002}

    def stop(share):
        if share > 0.1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        ld.sweep(counted, progress=stop, **given)
    kept = stopped.value.dataset
    done = (kept.why == "").values
    assert 40 <= done.sum() < 400 and (kept.why.values[~done] == "not computed").all()
    assert (kept.square.values[done] == np.arange(400)[done] ** 2).all()
    assert f"Done and kept: {done.sum()} of 400 points, in the file" in stopped.value.__notes__[0]
    time.sleep(0.5)  # what was under way comes to its end
    assert len(computed(log)) < 400
    assert xarray.load_dataset(file, engine="h5netcdf").identical(kept)
    log.unlink()
    again = ld.sweep(counted, **given)
    assert computed(log) == dict.fromkeys(np.arange(400)[~done].tolist(), 1), "nothing lost, nothing twice"
    assert (again.square.values == np.arange(400) ** 2).all()


def test_without_a_file_an_interrupt_brings_what_is_done_along(tmp_path):
    def stop(share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        ld.sweep(counted, progress=stop, log=str(tmp_path / "log"), number=range(5))
    assert stopped.value.dataset.square.values.tolist()[0] == 0
    said = "Done and kept: 1 of 5 points, in the exception's dataset (sys.last_value.dataset)."
    assert stopped.value.__notes__ == [said]


IN_A_NOTEBOOK = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell()
shell.run_cell('''
import lazydestroy as ld
def stop(share):
    raise KeyboardInterrupt
ld.sweep(ld.shutdown, memory=["8 MiB", "16 MiB"], host_memory="64 MiB", progress=stop)
''')
shell.run_cell("import sys; print(int((sys.last_value.dataset.why == '').sum()))")
"""


def test_a_notebook_finds_what_was_done_before_the_interrupt():
    assert in_a_process(IN_A_NOTEBOOK)[-1] == "1"


def test_a_pool_that_breaks_loses_nothing_and_the_next_one_does_the_rest(tmp_path):
    log, file = tmp_path / "log", tmp_path / "kept.nc"
    given = {"file": file, "log": str(log), "number": range(300), "wait": 0.001, "dies_at": 150}
    with ProcessPoolExecutor(2) as pool, pytest.raises(BrokenExecutor) as broken:
        ld.sweep(counted, executor=pool, **given)
    done = (broken.value.dataset.why == "").values
    assert 0 < done.sum() < 300 and "the same call goes on from there" in broken.value.__notes__[-1]
    log.unlink()
    with ProcessPoolExecutor(2) as pool:
        found = ld.sweep(counted, executor=pool, **given)
    assert computed(log) == dict.fromkeys(np.arange(300)[~done].tolist(), 1)
    assert (found.square.values == np.arange(300) ** 2).all()


@pytest.mark.long("starts a scheduler and workers of Dask, and kills one")
def test_dask_loses_a_worker_and_no_point(tmp_path):
    distributed = pytest.importorskip("distributed", reason="Dask is in the extra lazydestroy[sweep]")
    log = tmp_path / "log"
    given = {"log": str(log), "number": range(300), "wait": 0.01}
    expected = ld.sweep(counted, **{**given, "wait": 0.0})
    log.unlink()
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        workers = client.run(os.getpid)
        assert len(workers) == 2
        killed = threading.Event()

        def kill(share):
            if share >= 0.5 and not killed.is_set():
                killed.set()
                os.kill(next(iter(workers.values())), signal.SIGKILL)

        found = ld.sweep(counted, executor=client.get_executor(), progress=kill, **given)
    assert killed.is_set()
    assert found.drop_attrs().identical(expected.drop_attrs()), "nothing lost, nothing twice"
    times = computed(log)
    assert sorted(times) == list(range(300))
    again = sum(each - 1 for each in times.values())
    assert again < 150, "what the others had done is not done again"


# Without the extra


NEEDED_LATER = {"xarray", "distributed", "h5netcdf", "pandas", "concurrent.futures.process"}


def test_nothing_of_the_extra_is_loaded_before_it_is_needed():
    code = "import sys, lazydestroy as ld; ld.sweep; import lazydestroy.plots; "
    assert in_a_process(f"{code}print(*{NEEDED_LATER} & set(sys.modules))") == []


@pytest.mark.parametrize("name", ["xarray", "h5netcdf"])
def test_without_the_extra_the_error_says_what_to_install(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf'^A sweep needs {name}: pip install "lazydestroy\[sweep\]"'):
        ld.sweep(ld.shutdown, memory=["8 MiB"])
