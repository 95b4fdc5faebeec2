"""What students get: everything that its links lead to, and no solutions."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from test_notebooks import committed, headings, links

from tests.refresh_notebooks import FOLDER, ROOT
from tools import students


@pytest.fixture(scope="module")
def bundle(unzipped) -> Path:
    """What a student has."""
    return unzipped / students.BUNDLE


def test_students_get_all_lessons_and_all_exercises():
    all_notebooks = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.ipynb")}
    left_out = {name for name in all_notebooks - set(students.notebooks()) if "checkpoints" not in name}
    assert left_out == {"reference/teaching.ipynb"} | {name for name in all_notebooks if "exercises/source" in name}


def test_every_link_leads_to_something_that_students_have(bundle):
    seen = 0
    for name in students.notebooks():
        path = bundle / "notebooks" / name
        for link in links(path):
            file, _, anchor = unquote(link).partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.is_relative_to(bundle) and target.exists(), (name, link)
            if anchor.startswith("cell-id="):
                assert anchor.removeprefix("cell-id=") in {cell.id for cell in committed(target).cells}, (name, link)
            elif anchor:
                assert anchor in headings(target), (name, link)
            seen += 1
    assert seen > 300


def test_what_the_links_lead_to_is_all_that_differs(bundle):
    for name in students.notebooks():
        theirs, ours = (nbformat.read(folder / name, as_version=4) for folder in (bundle / "notebooks", FOLDER))
        nbformat.validate(theirs)
        for cell, before in zip(theirs.cells, ours.cells, strict=True):
            assert cell.source == before.source or "](" in before.source
            cell.source = before.source
        assert theirs == ours


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("[Teaching](../reference/teaching.ipynb) has plans", "Teaching has plans"),
        ('[*the* `key`](teaching.ipynb#Grading "a title")', "*the* `key`"),
        ("[a lesson](01.ipynb#cell-id=one), [below](#below)", None),
        ("[the thread](https://lore.kernel.org/r/1) and ![a picture](01.png)", None),
    ],
)
def test_a_link_to_what_students_lack_becomes_its_text(markdown, expected):
    assert students.unlinked(markdown, "course", {"course/01.ipynb"}) == (expected or markdown)


def test_no_solution_is_in_it(bundle):
    files = [path for path in bundle.rglob("*") if path.is_file()]
    assert not [path for path in files if path.name == "nbgrader_config.py" or "source" in path.parts]
    assert {path.name for path in (bundle / "tools").iterdir()} == {Path(name).name for name in students.TOOLS}
    given = [nbformat.read(path, as_version=4) for path in (bundle / "notebooks/exercises").rglob("*.ipynb")]
    exercises = "\n".join(cell.source for notebook in given for cell in notebook.cells)
    assert "YOUR CODE HERE" in exercises and "BEGIN SOLUTION" not in exercises
    source = [committed(path) for path in (FOLDER / "exercises/source").rglob("*.ipynb")]
    text = "\n".join(cell.source for notebook in source for cell in notebook.cells)
    solutions = re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", text, re.DOTALL)
    assert len(solutions) > 15
    assert not [solution for solution in solutions if solution in exercises]


def test_what_the_build_needs_is_in_it(bundle):
    project = tomllib.loads((bundle / "pyproject.toml").read_text(encoding="utf-8"))
    needed = {project["project"]["readme"], *project["project"]["license-files"], "tools/check-prerequisites.sh"}
    for module in project["tool"]["setuptools"]["ext-modules"]:
        needed |= {*module["sources"], *module.get("depends", ())}
    assert not [name for name in needed if not (bundle / name).exists()]
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "lazydestroy").rglob("*.py")}
    package |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "lazydestroy").rglob("*.toml")}
    assert not [name for name in package if not (bundle / name).exists()]
    assert not [path for path in bundle.rglob("*") if path.suffix in {".so", ".pyc"} or path.name == "_core.c"]


def test_a_build_of_it_begins(bundle, tmp_path):
    """It fails here if a file that the build reads is missing; compiling would take a minute more."""
    command = [sys.executable, "-c", "import setuptools; setuptools.setup()", "egg_info", "--egg-base", str(tmp_path)]
    done = subprocess.run(command, cwd=bundle, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    command[3:] = ["build_py", "--build-lib", str(tmp_path / "built")]
    done = subprocess.run(command, cwd=bundle, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "built/lazydestroy/__init__.py").exists()


def test_its_readme_has_about_ten_lines_and_names_what_is_there(bundle):
    text = (bundle / "README.md").read_text(encoding="utf-8")
    assert len([line for line in text.splitlines() if line]) <= 12
    for path in ("notebooks/index.ipynb", "notebooks/exercises/release"):
        assert path in text and (bundle / path).exists()


def test_the_same_content_is_the_same_zip(tmp_path):
    for name in ("one.zip", "two.zip"):
        students.bundle(tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_written_into_a_folder_it_leaves_what_students_have_changed(tmp_path, capsys):
    assert students.write(tmp_path) == ()
    mine = tmp_path / "course/02-meet-the-ultravisor.ipynb"
    mine.write_text("my work", encoding="utf-8")
    (tmp_path / "index.ipynb").unlink()
    assert students.main([str(tmp_path)]) == 0
    assert mine.read_text(encoding="utf-8") == "my work"
    assert (tmp_path / "index.ipynb").exists()
    assert "course/02-meet-the-ultravisor.ipynb" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_said(tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit):
        students.main([str(tmp_path / "file" / "folder")])
    assert "Not a directory; name a folder that you may write" in capsys.readouterr().err


def test_what_students_do_not_get_is_refused():
    with pytest.raises(ValueError, match="name='reference/teaching.ipynb': students don't get that"):
        students.adapted("reference/teaching.ipynb")


def test_no_page_links_into_the_solutions():
    pages = [path for path in FOLDER.rglob("*.ipynb") if "source" not in path.parts]
    assert not [(path, link) for path in pages for link in links(path) if "exercises/source" in link]


def test_binder_has_no_solutions(tmp_path):
    """What postBuild does besides, with Python, needs the package; a Python that does nothing stands in for it."""
    shutil.copytree(FOLDER / "exercises", tmp_path / "notebooks/exercises")
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    environment = os.environ | {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([ROOT / "binder/postBuild"], cwd=tmp_path, env=environment, check=True)
    assert not (tmp_path / "notebooks/exercises/source").exists()
    assert (tmp_path / "notebooks/exercises/release/write-the-patch/patch-3.ipynb").exists()
