"""``lazydestroy lab``: the notebooks, copied from a wheel and opened. `.ci/packages.sh` does it with a real wheel."""

from __future__ import annotations

import runpy
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from lazydestroy import course
from lazydestroy.__main__ import main
from tools import students

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    """Three notebooks, as if a wheel had them."""
    folder = tmp_path / "wheel"
    for name in ("index.ipynb", "course/01.ipynb", "course/02.ipynb"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f'"{name}"', encoding="utf-8")
    monkeypatch.setattr(course, "NOTEBOOKS", folder)
    return folder


def files(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_the_course_is_copied_into_a_folder_of_the_readers_choice(notebooks, tmp_path, capsys):
    to = tmp_path / "my notes" / "kernel"
    assert main(["lab", str(to), "--copy"]) == 0
    assert files(to) == files(notebooks)
    assert capsys.readouterr().out == f"The course is in {to}.\n"


def test_nothing_is_overwritten_and_what_stays_is_told(notebooks, tmp_path, capsys):
    course.copy(tmp_path / "mine", notebooks)
    (tmp_path / "mine/course/02.ipynb").write_text("my answer")
    (tmp_path / "mine/course/01.ipynb").unlink()
    (tmp_path / "mine/notes.txt").write_text("mine")
    assert main(["lab", str(tmp_path / "mine"), "--copy"]) == 0
    wanted = {**files(notebooks), "course/02.ipynb": "my answer", "notes.txt": "mine"}
    assert files(tmp_path / "mine") == wanted
    said = capsys.readouterr().out.splitlines()[1:]
    assert said == ["1 notebook there differs from this version's, and stays as it is:", "    course/02.ipynb"]


def test_several_that_stay_are_told_in_the_plural():
    _first, second, *names = course.report(Path("x"), ["a", "b"]).splitlines()
    assert second == "2 notebooks there differ from this version's, and stay as they are:"
    assert names == ["    a", "    b"]


def test_sources_say_where_their_notebooks_are(tmp_path, capsys):
    assert not course.NOTEBOOKS.exists(), "an editable install has no second copy of the notebooks"
    with pytest.raises(SystemExit, match="2"):
        main(["lab", str(tmp_path / "x"), "--copy"])
    assert f"runs from its sources, in {ROOT}, and copies nothing: open" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_a_file_is_no_folder(notebooks, tmp_path, capsys):
    (tmp_path / "mine").write_text("text")
    with pytest.raises(SystemExit, match="2"):
        main(["lab", str(tmp_path / "mine"), "--copy"])
    assert "mine is a file: name a folder for the notebooks" in capsys.readouterr().err


def test_without_jupyterlab_it_says_what_to_install(notebooks, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(course.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="2"):
        main(["lab", str(tmp_path / "mine")])
    assert 'pip install "lazydestroy[lab]"' in capsys.readouterr().err
    assert files(tmp_path / "mine") == files(notebooks)


@pytest.mark.parametrize(
    ("arguments", "folder", "only_copy", "options"),
    [
        ([], course.DEFAULT, False, []),
        (["x"], "x", False, []),
        (["x", "--copy"], "x", True, []),
        (["--copy"], course.DEFAULT, True, []),
        (["--port", "8899"], course.DEFAULT, False, ["--port", "8899"]),
        (["x", "--no-browser", "--port", "8899"], "x", False, ["--no-browser", "--port", "8899"]),
    ],
)
def test_the_first_argument_may_be_a_folder_and_what_is_not_ours_is_jupyterlabs(arguments, folder, only_copy, options):
    assert course.split(arguments) == (Path(folder), only_copy, options)


def test_help_copies_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["lab", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: lazydestroy lab [FOLDER]")
    assert not list(tmp_path.iterdir())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.long("starts JupyterLab")
def test_jupyterlab_opens_the_first_page_from_the_folder(notebooks, tmp_path):
    course.copy(tmp_path / "mine", notebooks)
    port = free_port()
    options = [
        "--no-browser",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
        "--ip=127.0.0.1",
    ]
    code = "import sys, pathlib, lazydestroy.course as c; sys.exit(c.open_lab(pathlib.Path(sys.argv[1]), sys.argv[2:]))"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "mine"), *options], stderr=subprocess.PIPE
    ) as server:
        try:
            assert b'"path": "course/02.ipynb"' in answer(
                f"http://127.0.0.1:{port}/api/contents/course/02.ipynb?content=0", server
            )
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as page:
                assert page.url == f"http://127.0.0.1:{port}/lab/tree/index.ipynb"
        finally:
            server.terminate()


def answer(url: str, server: subprocess.Popen[bytes]) -> bytes:
    """What a server answers, once it does."""
    while server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=60) as found:
                return found.read()
        except urllib.error.URLError:
            time.sleep(0.2)
    raise AssertionError(f"the server ended: {server.stderr.read().decode()}")


def test_the_build_writes_what_students_get(tmp_path, monkeypatch):
    """The rest of the build is setuptools': here only what is added to it."""
    from setuptools import Distribution

    building = runpy.run_path(str(ROOT / "tools/building.py"))
    monkeypatch.setattr(building["build_py"], "run", lambda self: None)
    command = building["WithNotebooks"](Distribution())
    command.build_lib = str(tmp_path)
    left = tmp_path / "lazydestroy/notebooks/exercises/source/left.ipynb"
    left.parent.mkdir(parents=True)
    left.write_text("of an earlier build")
    for editable in (True, False):
        command.editable_mode = editable
        command.run()
        names = {path.relative_to(tmp_path / "lazydestroy/notebooks").as_posix() for path in tmp_path.rglob("*.ipynb")}
        assert names == ({"exercises/source/left.ipynb"} if editable else {*students.notebooks()})
