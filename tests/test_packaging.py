"""What holds for the repository as a whole: how it is built, and what it does not contain."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

import lazydestroy as ld
from tools.site import __main__ as command
from tools.site import core

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def files() -> list[Path]:
    """All files that are, or would be, committed."""
    git = shutil.which("git")
    if not git or not (ROOT / ".git").exists():
        pytest.skip("not a git repository")
    command = [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


# Building


def test_the_extension_modules_are_declared_in_pyproject():
    modules = {module["name"]: module for module in PYPROJECT["tool"]["setuptools"]["ext-modules"]}
    assert set(modules) == {"lazydestroy._core", "lazydestroy._live"}
    for name, module in modules.items():
        assert module["sources"] == [f"{name.replace('.', '/')}.pyx"]
        assert (ROOT / module["sources"][0]).exists()


def test_the_package_is_built_without_what_is_for_linux_only():
    optional = {module["name"] for module in PYPROJECT["tool"]["setuptools"]["ext-modules"] if module.get("optional")}
    assert optional == {"lazydestroy._live"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it is for Linux only")
def test_on_linux_it_is_built():
    """Setuptools only warns when an optional module does not compile."""
    assert find_spec("lazydestroy._live")


def test_one_binary_is_for_the_oldest_python_and_all_later_ones():
    """The same version in each of the places that build tools read."""
    oldest = re.fullmatch(r">=3\.(\d+)", PYPROJECT["project"]["requires-python"])
    assert oldest
    minor = int(oldest[1])
    for module in PYPROJECT["tool"]["setuptools"]["ext-modules"]:
        assert module["py-limited-api"]
        assert {"-DCYTHON_LIMITED_API=1", f"-DPy_LIMITED_API=0x03{minor:02X}0000"} <= set(module["extra-compile-args"])
    assert PYPROJECT["tool"]["distutils"]["bdist_wheel"] == {"py-limited-api": f"cp3{minor}"}
    said = [
        re.fullmatch(r"Programming Language :: Python :: 3\.(\d+)", each)
        for each in PYPROJECT["project"]["classifiers"]
    ]
    assert [int(each[1]) for each in said if each] == list(range(minor, minor + 4))


def test_each_python_of_the_classifiers_is_tried_with_a_wheel_and_with_the_suite():
    pythons = re.findall(r"Python :: 3\.(\d+)", "\n".join(PYPROJECT["project"]["classifiers"]))
    assert PYPROJECT["tool"]["cibuildwheel"]["build"] == " ".join(f"cp3{minor}-*" for minor in pythons)
    matrix = ", ".join(f'"3.{minor}"' for minor in pythons)
    assert f"python: [{matrix}]" in text(ROOT / ".github/workflows/test.yml")
    assert f"in {' '.join(f'3.{minor}' for minor in pythons)}; do" in text(ROOT / ".ci/packages.sh")


def test_workflows_call_make_for_what_it_knows():
    targets = set(re.findall(r"^([\w -]+):", text(ROOT / "Makefile"), re.MULTILINE))
    targets = {target for rule in targets for target in rule.split()}
    called = set()
    for workflow in (ROOT / ".github/workflows").glob("*.yml"):
        called |= set(re.findall(r"^ +- run: (?:\w+=\S+ )?make ([\w-]+)$", text(workflow), re.MULTILINE))
    assert called == {"test", "wheel", "site"}
    assert called <= targets


def test_sources_without_their_core_say_what_to_do(tmp_path):
    """In the root of a checkout Python finds them before the installed package."""
    left_out = shutil.ignore_patterns("_core*.so", "_core*.pyd", "_core.c", "__pycache__")
    shutil.copytree(ROOT / "lazydestroy", tmp_path / "lazydestroy", ignore=left_out)
    # as if the installed package were no editable one, whose finder knows where the core is
    code = "import sys; sys.meta_path[:] = [f for f in sys.meta_path if 'Editable' not in str(f)]; import lazydestroy"
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    said = ran.stderr.splitlines()[-1]
    assert said.startswith(
        f"ImportError: Python found the sources of lazydestroy, in {tmp_path / 'lazydestroy'}, before"
    )
    assert "Start Python in another folder" in said and "pip install -e ." in said


@pytest.fixture
def checkout(tmp_path):
    """A folder with the Makefile, in which an environment was set up with python3.98; runs make there."""
    make = shutil.which("make")
    if not make:
        pytest.skip("there is no make")
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / ".venv").mkdir()
    for name in ("kept", ".made-with-python3.98", ".has-test", ".has-lab"):
        (tmp_path / ".venv" / name).touch()

    def run(*arguments):
        ours = ("MAKE", "PYTHON", "VENV")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        command = [make, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)

    run.environment = tmp_path / ".venv"
    return run


def test_without_a_python_the_environment_that_is_there_will_do(checkout):
    ran = checkout("-n", "lab")
    assert ran.returncode == 0
    assert "jupyter lab" in ran.stdout
    assert "-m venv" not in ran.stdout


def test_root_may_open_the_lessons(checkout):
    assert ("--allow-root" in checkout("-n", "lab").stdout) == (os.geteuid() == 0)


@pytest.mark.parametrize("made", [True, False])
def test_an_environment_that_another_python_or_you_made_is_not_wiped(checkout, made):
    if not made:
        (checkout.environment / ".made-with-python3.98").unlink()
    ran = checkout("lab", *(["PYTHON=python3.99"] if made else []))
    assert ran.returncode == 2
    assert ".venv is there already, and was not made with python3" in ran.stderr
    assert (checkout.environment / "kept").exists()


def test_there_is_no_other_way_to_build_it(files):
    others = {"setup.py", "setup.cfg", "tox.ini", "requirements-dev.txt", "environment.yml"}
    assert not others & {path.name for path in files}


def test_nothing_is_locked(files):
    """A lock would name one registry's files, and grow old."""
    assert not [path for path in files if path.suffix == ".lock" or path.stem.endswith("-lock")]


def test_the_run_time_needs_are_four():
    needs = {re.match(r"[\w-]+", need)[0] for need in PYPROJECT["project"]["dependencies"]}
    assert needs == {"numpy", "matplotlib", "ipywidgets", "pygments"}


def test_the_extras_are_there():
    extras = {"lab", "classroom", "hub", "sweep", "test", "bench", "site", "dev"}
    assert set(PYPROJECT["project"]["optional-dependencies"]) == extras


def test_simpy_is_for_the_benchmark_only():
    for extra, needs in PYPROJECT["project"]["optional-dependencies"].items():
        assert any(need.startswith("simpy") for need in needs) == (extra == "bench")


def test_the_version_is_the_same_everywhere():
    assert PYPROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "lazydestroy.__version__"}
    assert f"\nversion: {ld.__version__}\n" in text(ROOT / "CITATION.cff")
    assert f"\n## {ld.__version__}" in text(ROOT / "CHANGELOG.md")


def test_the_package_is_typed():
    for name in ("py.typed", "_core.pyi", "_live.pyi"):
        assert (ROOT / "lazydestroy" / name).exists()


def test_binder_installs_the_package_with_the_extra_lab():
    lines = [line for line in text(ROOT / "binder/requirements.txt").splitlines() if not line.startswith("#")]
    assert lines == ["-e .[lab]"]
    version = re.fullmatch(r"python-3\.(\d+)\n", text(ROOT / "binder/runtime.txt"))
    assert version
    assert int(version[1]) >= 11
    assert os.access(ROOT / "binder/postBuild", os.X_OK)


# What is missing is said


@pytest.fixture
def check(tmp_path):
    """A function that runs the check of what building takes, with a Python that differs in one answer."""

    def run(code: str = "", answer: str = "exit 1", **environment: str) -> subprocess.CompletedProcess[str]:
        python = tmp_path / "python"
        python.write_text(
            f'#!/bin/sh\ncase "$2" in\n*"{code or "no such code"}"*) {answer} ;;\nesac\nexec "{sys.executable}" "$@"\n'
        )
        python.chmod(0o755)
        command = ["sh", str(ROOT / "tools/check-prerequisites.sh"), environment.pop("PYTHON", str(python))]
        return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)

    return run


headers = Path(sysconfig.get_path("include"), "Python.h").exists()


@pytest.mark.skipif(not headers or not shutil.which("cc"), reason="something is missing on this machine")
def test_nothing_is_said_where_nothing_is_missing(check):
    done = check()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ({"PYTHON": "no-such-python"}, "Python 3.11 or newer: there is no command 'no-such-python'."),
        ({"code": "version_info"}, "Python 3.11 or newer: '.*/python' is 3"),
        ({"code": "Py_GIL_DISABLED"}, "a Python with its lock .GIL.: '.*/python' is free-threaded"),
        ({"code": "ensurepip"}, "Python's venv module with ensurepip: '.*/python' cannot make a virtual environment."),
        ({"code": "get_path", "answer": "echo /nowhere; exit"}, "Python's headers: there is no '/nowhere/Python.h'."),
        ({"CC": "no-such-compiler -O"}, "a C compiler: there is no command 'no-such-compiler'."),
        ({"CC": "false"}, "a C compiler that works: 'false' does not compile"),
    ],
)
def test_what_is_missing_is_said_plainly(check, missing, sentence):
    done = check(**missing)
    assert done.returncode == 1
    assert re.search(f"^  - {sentence}", done.stderr, re.MULTILINE), done.stderr
    assert "apt install" in done.stderr


# What the repository does not contain


def test_no_package_registry_is_named(files):
    hosts = [("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("anaconda", "org")]
    hosts += [("deb.debian", "org"), ("archive.ubuntu", "com")]
    pattern = re.compile("|".join(re.escape(".".join(host)) for host in hosts))
    assert not [path for path in files if pattern.search(text(path))]


def test_no_folder_of_somebodys_machine_is_named(files):
    pattern = re.compile(r"(?<![\w./-])/" + "(root|home|Users|work|mnt|tmp)" + r"/[\w.-]")
    assert not [(path, found[0]) for path in files if (found := pattern.search(text(path)))]


def test_nothing_built_is_committed(files):
    built = [path for path in files if path.suffix in {".so", ".c", ".pyc", ".whl", ".gz"}]
    assert all(path.name.startswith("golden-") for path in built), "but data are packed"


def test_what_is_missing_is_said_before_anything_is_removed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "WHEELS", tmp_path / "none")
    monkeypatch.setattr(core, "HEADERS", tmp_path / "no-headers")
    monkeypatch.setattr(core.shutil, "which", lambda _: None)
    (tmp_path / "site").mkdir()
    for more in ([], ["--check"]):
        assert command.main(["--output", str(tmp_path / "site"), *more]) == 1
        said = capsys.readouterr().err
        for lacking in ("PYODIDE_WHEELS=", "npm is", "WASM_HEADERS=", "clang is", "wasm-ld is", "ARGS=--reading-only"):
            assert said.count(lacking) == 1, lacking
    assert command.main(["--reading-only", "--check"]) == 0
    assert (tmp_path / "site").is_dir()
