"""What students get: the lessons and the exercises to be done, without the solutions and the teacher's guide.

    python -m tools.students            write dist/lazydestroy-students.zip: the notebooks, and the package to run them
    python -m tools.students FOLDER     write the notebooks alone into a folder, for where the package is installed

`notebooks` lists them, and `adapted` gives one: a link to a page that students don't get becomes plain text. Nothing
but Python is needed.
"""

from __future__ import annotations

import argparse
import json
import posixpath
import re
import sys
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"

BUNDLE = "lazydestroy-students"
"""The folder in the zip, and the zip's name."""

FOLDERS = ("course", "side", "reviewers", "reference", "exercises/release", "exercises/worked")
"""Folders of notebooks that students get. The worked experiments answer no exercise: they are there to be read."""

FOR_TEACHERS = ("reference/teaching.ipynb",)

TOOLS = tuple(f"tools/{name}" for name in ("__init__.py", "building.py", "check-prerequisites.sh", "students.py"))
PACKAGE = ("lazydestroy", *TOOLS, "Makefile", "pyproject.toml", "LICENSE", "LICENSE-text")
"""What it takes to build and run the package, besides a README. Other tools are for teachers: one makes the key."""

BUILT = (".so", ".pyd", ".pyc", ".html")
"""Ends of files that building and running leave behind; so is a ``.c`` beside its ``.pyx``."""

LINK = re.compile(r"(?<!!)\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^)\s]+)(?:\s+\"[^\"]*\")?\)")

DAY = (1980, 1, 1, 0, 0, 0)
"""When all files in the zip were changed, so that the same content is the same zip."""

README = """\
# lazydestroy, for students

Lessons and exercises on a Linux kernel patch series, "lazy destroy". The first page takes ten minutes: with Python 3.11
or newer (with `venv` and headers), `make` and a C compiler,

    make lab        # sets up .venv, the first time, and opens notebooks/index.ipynb in JupyterLab

Without `make`: `python3 -m venv .venv`, then `.venv/bin/pip install ".[lab]"`, then
`.venv/bin/jupyter lab notebooks/index.ipynb`. On a JupyterHub, just open `index.ipynb`.

The exercises are in `notebooks/exercises/release`. Hand in notebooks under the names that they have. Code is under the
BSD-3-Clause licence, text under CC BY 4.0.
"""


def notebooks(folder: Path = FOLDER) -> tuple[str, ...]:
    """List the notebooks that students get.

    Parameters
    ----------
    folder : Path
        The folder of all notebooks.

    Returns
    -------
    tuple of str
        Names within the folder, with slashes, in order.
    """
    found = [folder / "index.ipynb"]
    for name in FOLDERS:
        found += (path for path in (folder / name).rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
    names = sorted(path.relative_to(folder).as_posix() for path in found)
    return tuple(name for name in names if name not in FOR_TEACHERS)


def adapted(name: str, folder: Path = FOLDER) -> str:
    """Give a notebook as students get it.

    Parameters
    ----------
    name : str
        One of `notebooks`.
    folder : Path

    Returns
    -------
    str
        The content of the file.
    """
    theirs = notebooks(folder)
    if name not in theirs:
        raise ValueError(f"name={name!r}: students don't get that; use one of tools.students.notebooks()")
    text = (folder / name).read_text(encoding="utf-8")
    notebook: dict[str, Any] = json.loads(text)
    changed = False
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            before = "".join(cell["source"])
            after = unlinked(before, posixpath.dirname(name), theirs)
            if after != before:
                cell["source"], changed = after.splitlines(keepends=True), True
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n" if changed else text


def unlinked(markdown: str, where: str, known: Collection[str]) -> str:
    """Turn each link to a file that is not there into its text.

    Parameters
    ----------
    markdown : str
    where : str
        Folder that the links start from, within the folder of the notebooks.
    known : collection of str
        The files that are there.
    """

    def replace(found: re.Match[str]) -> str:
        file = unquote(found["target"]).partition("#")[0]
        if not file or re.match(r"[a-z]+:", file) or posixpath.normpath(posixpath.join(where, file)) in known:
            return found[0]
        return found["text"]

    return LINK.sub(replace, markdown)


def package(root: Path = ROOT) -> tuple[str, ...]:
    """List the files that it takes to build and run the package, within the repository."""
    found: list[Path] = []
    for name in PACKAGE:
        path = root / name
        found += (each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    kept = (path for path in found if path.suffix not in BUILT)
    kept = (path for path in kept if path.suffix != ".c" or not path.with_suffix(".pyx").exists())
    return tuple(sorted(path.relative_to(root).as_posix() for path in kept))


def bundle(zipped: Path, root: Path = ROOT) -> None:
    """Write the zip: the notebooks, the package, and a README.

    Parameters
    ----------
    zipped : Path
        Its folder is made if it isn't there.
    root : Path
        The repository.
    """
    zipped.parent.mkdir(parents=True, exist_ok=True)
    folder = root / "notebooks"
    content = {name: (root / name).read_bytes() for name in package(root)}
    content |= {f"notebooks/{name}": adapted(name, folder).encode() for name in notebooks(folder)}
    content["README.md"] = README.encode()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as file:
        for name in sorted(content):
            entry = zipfile.ZipInfo(f"{BUNDLE}/{name}", DAY)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(entry, content[name])


def write(to: Path, folder: Path = FOLDER) -> tuple[str, ...]:
    """Write the notebooks into a folder. Files that are there already stay as they are: students may work in them.

    Parameters
    ----------
    to : Path
        Made if it isn't there.
    folder : Path
        Where the notebooks come from.

    Returns
    -------
    tuple of str
        Names of those that were there and have another content.
    """
    kept = []
    for name in notebooks(folder):
        path, content = to / name, adapted(name, folder)
        if path.exists():
            if path.read_text(encoding="utf-8") != content:
                kept.append(name)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return tuple(kept)


def main(arguments: list[str] | None = None) -> int:
    """Write the zip, or the notebooks into a folder."""
    parser = argparse.ArgumentParser(prog="python -m tools.students", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="write the notebooks alone into this folder")
    given = parser.parse_args(arguments)
    if given.folder:
        try:
            kept = write(given.folder)
        except OSError as error:
            parser.error(f"folder={str(given.folder)!r}: {error.strerror}; name a folder that you may write")
        print(f"{given.folder}: {len(notebooks())} notebooks" + (", of which stay as they were:" if kept else ""))
        print(*(f"    {name}\n" for name in kept), sep="", end="")
    else:
        zipped = ROOT / "dist" / f"{BUNDLE}.zip"
        bundle(zipped)
        print(f"{zipped.relative_to(ROOT)}: {len(notebooks())} notebooks, {zipped.stat().st_size >> 10} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
