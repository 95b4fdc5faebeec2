"""A notebook comes to JupyterLab with what its kernel will say of itself, and its file stays as it is."""

from __future__ import annotations

import asyncio
import json
import platform

import nbformat
import pytest

from lazydestroy.contents import CourseContents
from tests.refresh_notebooks import FOLDER, METADATA


@pytest.fixture
def contents(tmp_path):
    return CourseContents(root_dir=str(tmp_path))


def write(folder, metadata):
    path = folder / "lesson.ipynb"
    nbformat.write(nbformat.v4.new_notebook(metadata=metadata), path)
    return path


def served(contents, name="lesson.ipynb", **given):
    return asyncio.run(contents.get(name, **given))


def test_a_notebook_gets_the_version_of_python(contents, tmp_path):
    path = write(tmp_path, METADATA)
    before = path.read_bytes()
    metadata = served(contents)["content"]["metadata"]
    assert metadata["language_info"]["version"] == platform.python_version()
    assert metadata["kernelspec"]["display_name"] == "Python 3 (ipykernel)"
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}, "language_info": {"name": "R"}},
        {"kernelspec": {"name": "not-there", "display_name": "Another Python", "language": "python"}},
    ],
    ids=["no kernel", "another language", "a kernel that is not installed"],
)
def test_another_notebook_comes_as_it_is(contents, tmp_path, metadata):
    write(tmp_path, metadata)
    assert served(contents)["content"]["metadata"] == metadata


def test_what_is_no_notebook_comes_as_it_is(contents, tmp_path):
    (tmp_path / "notes.md").write_text("Notes")
    assert served(contents, "notes.md")["content"] == "Notes"
    assert served(contents, "")["type"] == "directory"


def test_a_notebook_without_its_content_is_none(contents, tmp_path):
    write(tmp_path, METADATA)
    assert served(contents, content=False)["content"] is None


def test_committed_notebooks_hold_no_version():
    for path in FOLDER.rglob("*.ipynb"):
        assert "version" not in json.loads(path.read_text(encoding="utf-8"))["metadata"].get("language_info", {}), path
