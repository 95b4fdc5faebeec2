"""The JupyterHub of the teacher's guide, started for three students on this computer."""

from __future__ import annotations

import http.cookiejar
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.refresh_notebooks import ROOT

HERE = Path(sys.executable).parent
PASSWORD = "a password for the test"
PATIENCE = 120
STUDENTS = ("ada", "bob", "eve")

NEEDED = {
    "jupyterhub": importlib.util.find_spec("jupyterhub"),
    "jupyterhub-idle-culler": importlib.util.find_spec("jupyterhub_idle_culler"),
    "configurable-http-proxy": shutil.which("configurable-http-proxy", path=f"{HERE}{os.pathsep}{os.environ['PATH']}"),
}
MISSING = [name for name, found in NEEDED.items() if not found]

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"no {', '.join(MISSING)}: pip install -e '.[hub]'")


class Student:
    """Somebody with a browser that keeps cookies."""

    def __init__(self, url: str, name: str) -> None:
        self.url, self.name = url, name
        self.cookies = http.cookiejar.CookieJar()
        self.browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def get(self, path: str) -> str:
        with self.browser.open(f"{self.url}{path}", timeout=PATIENCE) as page:
            return page.read().decode()

    def log_in(self, password: str = PASSWORD) -> None:
        """Fill in the form, which asks the hub for a server."""
        token = re.search(r'name="_xsrf" value="([^"]+)"', self.get("/hub/login"))[1]
        form = urllib.parse.urlencode({"username": self.name, "password": password, "_xsrf": token})
        with self.browser.open(f"{self.url}/hub/login?next=%2Fhub%2Fspawn", form.encode(), timeout=PATIENCE) as page:
            page.read()

    def open_lab(self, of: str = "") -> None:
        """Open JupyterLab as a browser does; the hub sends it on until the server is there."""
        until = time.monotonic() + PATIENCE
        while "jupyter-config-data" not in self.get(f"/user/{of or self.name}/lab"):
            assert time.monotonic() < until
            time.sleep(1)

    def notebooks(self, folder: str = "") -> set[str]:
        """Names in a folder, as the student's server lists them."""
        return {each["name"] for each in json.loads(self.get(f"/user/{self.name}/api/contents/{folder}"))["content"]}


def ports(count: int) -> list[int]:
    """Ports that are free now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def environment(folder: Path, **more: str) -> tuple[dict[str, str], str]:
    """What the hub is told, and where it will be."""
    urls = [f"http://127.0.0.1:{port}" for port in ports(3)]
    ours = dict(zip(("CLASS_URL", "CLASS_HUB_URL", "CLASS_PROXY_URL"), urls, strict=True))
    ours |= {"CLASS_FOLDER": str(folder), "CLASS_PASSWORD": PASSWORD, **more}
    return os.environ | ours | {"PATH": f"{HERE}{os.pathsep}{os.environ['PATH']}"}, urls[0]


COMMAND = [sys.executable, "-m", "jupyterhub", "--config", str(ROOT / "hub/jupyterhub_config.py")]


@pytest.fixture(scope="module")
def log(unzipped) -> Path:
    return unzipped / "log"


@pytest.fixture(scope="module")
def url(unzipped, log) -> Iterator[str]:
    """A hub that runs, and stops what is idle for ten seconds."""
    told, where = environment(unzipped, CLASS_IDLE="10")
    with log.open("w") as written:
        hub = subprocess.Popen(COMMAND, cwd=unzipped, env=told, stdout=written, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + PATIENCE
        while "JupyterHub is now running" not in log.read_text():
            assert hub.poll() is None and time.monotonic() < until, log.read_text()[-3000:]
            time.sleep(0.5)
        yield where
    finally:
        hub.terminate()
        hub.wait(60)


@pytest.mark.long("three servers of JupyterLab are started, and left alone until they are stopped")
def test_three_students_work_each_in_their_own_copy_and_what_is_idle_is_stopped(url, unzipped, log):
    class_ = [Student(url, name) for name in STUDENTS]
    for student in class_:
        student.log_in()
    for student in class_:
        student.open_lab()
        assert "index.ipynb" in student.notebooks()
        assert student.notebooks("exercises") == {"release", "worked"}
        assert "01-why-is-the-reboot-slow.ipynb" in student.notebooks("course")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        class_[0].open_lab(of="bob")

    mine = unzipped / "homes/ada/notebooks/course/01-why-is-the-reboot-slow.ipynb"
    mine.write_text("what Ada wrote")
    (unzipped / "homes/ada/notebooks/index.ipynb").unlink()

    until = time.monotonic() + PATIENCE
    while any(f"Culling server {name}" not in log.read_text() for name in STUDENTS):
        assert time.monotonic() < until, log.read_text()[-3000:]
        time.sleep(1)

    ada = Student(url, "ada")
    ada.log_in()
    ada.open_lab()
    assert "index.ipynb" in ada.notebooks(), "what is missing is given again"
    assert mine.read_text() == "what Ada wrote"


@pytest.mark.long("starts a hub")
def test_a_wrong_password_lets_nobody_in(url):
    stranger = Student(url, "mallory")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        stranger.log_in("a guess")


def test_a_hub_without_the_notebooks_says_what_to_do(tmp_path):
    told, _ = environment(tmp_path)
    done = subprocess.run(
        COMMAND, cwd=tmp_path, env=told, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 1
    assert "unzip dist/lazydestroy-students.zip" in done.stderr + done.stdout


def test_a_hub_without_a_password_says_so(tmp_path):
    (tmp_path / "lazydestroy-students/notebooks").mkdir(parents=True)
    told, _ = environment(tmp_path, CLASS_PASSWORD="")
    done = subprocess.run(
        COMMAND, cwd=tmp_path, env=told, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 1
    assert "CLASS_PASSWORD=choose-a-long-one" in done.stderr + done.stdout
