"""Settings for the whole suite."""

import gc
import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# for benchmarks/; at the end: lazydestroy itself must come from where it was installed
sys.path.append(str(Path(__file__).parent.parent))

# Nobody's own progress is read or written here.
os.environ["LAZYDESTROY_PROGRESS"] = "off"

# The same examples each time, so that a failure is a failure for everybody. HYPOTHESIS_PROFILE=explore looks further.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(collector):
    """See that every test that `make test` leaves out says why."""
    made = yield
    for item in made if isinstance(made, list) else [made] if made else []:
        assert item.obj  # a class's marks are read with it
        for mark in item.iter_markers("long"):
            if mark.kwargs or len(mark.args) != 1 or not isinstance(mark.args[0], str) or not mark.args[0].strip():
                given = ", ".join(map(repr, mark.args))
                raise collector.CollectError(f'{item.name}: long({given}) gives no reason; write long("why it is")')
    return made


def pytest_collection_finish():
    """Keep what thousands of tests are made of out of each garbage collection; some tests call for many."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter, config):
    """Say what was left out: where tests run in parallel, pytest does not count it."""
    if config.option.markexpr == "not long":
        terminalreporter.write_line("Long tests were left out. To run them too: make test-all")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A JupyterLab with a copy of the notebooks."""
    from benchmarks.browser import server
    from tests.refresh_notebooks import FOLDER

    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(FOLDER, folder / "root" / "notebooks")
    with server(folder) as found:
        yield found


@pytest.fixture(scope="module")
def unzipped(tmp_path_factory):
    """A folder in another place in which what `make students` packs has been unpacked, as the guide says."""
    from tools import students

    elsewhere = tmp_path_factory.mktemp("elsewhere")
    students.bundle(elsewhere / "all.zip")
    with zipfile.ZipFile(elsewhere / "all.zip") as zipped:
        zipped.extractall(elsewhere)
    return elsewhere


@pytest.fixture(scope="module")
def chrome():
    """A browser without a window."""
    from benchmarks.browser import browser

    with browser() as running:
        yield running


@pytest.fixture
def opened(chrome, address):
    """Opens notebooks and runs all of them."""
    from benchmarks.browser import Notebook

    there = []

    def open_one(path):
        there.append(Notebook(chrome, address, path))
        there[-1].run_all()
        return there[-1]

    yield open_one
    for notebook in there:
        notebook.close()
