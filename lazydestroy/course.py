"""The course from an installed package: ``lazydestroy lab`` copies the notebooks into a folder, and opens them there.

The notebooks are in wheels only. Who works in a checkout has them already, in ``notebooks``.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parent / "notebooks"
"""Where a wheel keeps them."""

DEFAULT = "lazydestroy-course"

HELP = f"""\
usage: lazydestroy lab [FOLDER] [--copy] [options of JupyterLab]

Copy the course's notebooks into FOLDER (default: {DEFAULT}), and open them in JupyterLab. Notebooks that
are there already stay as they are.

  --copy                     copy only, and don't start JupyterLab
  --no-browser, --port 8899  and so on are JupyterLab's
"""


def copy(to: Path, notebooks: Path | None = None) -> tuple[str, ...]:
    """Copy the course into a folder. Files that are there already stay as they are.

    Parameters
    ----------
    to : Path
        The folder; it is made if it isn't there.
    notebooks : Path, optional
        Where the notebooks come from; default: `NOTEBOOKS`.

    Returns
    -------
    tuple of str
        Names, within the folder, of the files that were there and have another content: what the reader changed, or
        what came with another version.

    Raises
    ------
    ValueError
        If the package has no notebooks, since it runs from a checkout; or if `to` is a file.
    """
    notebooks = notebooks or NOTEBOOKS
    if not notebooks.is_dir():
        raise ValueError(
            f"this lazydestroy runs from its sources, in {notebooks.parent.parent}, and copies nothing: open the "
            "notebooks there, with make lab"
        )
    if to.exists() and not to.is_dir():
        raise ValueError(f"{to} is a file: name a folder for the notebooks")
    kept = []
    for source in sorted(notebooks.rglob("*.ipynb")):
        name = source.relative_to(notebooks)
        target = to / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        elif target.read_bytes() != source.read_bytes():
            kept.append(name.as_posix())
    return tuple(kept)


def report(to: Path, kept: Sequence[str]) -> str:
    """Say where the notebooks are, and which of them are not those of this version."""
    lines = [f"The course is in {to.resolve()}."]
    if kept:
        one = len(kept) == 1
        lines.append(
            f"{len(kept)} notebook{'' if one else 's'} there differ{'s' if one else ''} from this version's, and "
            f"stay{'s' if one else ''} as {'it is' if one else 'they are'}:"
        )
        lines += [f"    {name}" for name in kept]
    return "\n".join(lines)


def open_lab(folder: Path, options: Sequence[str]) -> int:
    """Start JupyterLab on the course's first page, and return when it has ended.

    Parameters
    ----------
    folder : Path
        Where the notebooks are.
    options : sequence of str
        What JupyterLab gets besides, such as ``--no-browser``.

    Raises
    ------
    ValueError
        If JupyterLab isn't installed.
    """
    if importlib.util.find_spec("jupyterlab") is None:
        raise ValueError('JupyterLab is not installed: run pip install "lazydestroy[lab]"')
    from jupyterlab.labapp import main

    # JupyterLab refuses to run as root unless it is told to, and in containers there is often nobody else
    as_root = ["--allow-root"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    where = [f"--ServerApp.root_dir={folder.resolve()}", "--LabApp.default_url=/lab/tree/index.ipynb"]
    clean_tabs = ["--ServerApp.contents_manager_class=lazydestroy.contents.CourseContents"]
    return int(main([*as_root, *where, *clean_tabs, *options]) or 0)


def split(arguments: Sequence[str]) -> tuple[Path, bool, list[str]]:
    """Tell the folder, whether to copy only, and JupyterLab's options from each other.

    Only the first argument can be the folder: ``--port 8899`` is JupyterLab's, and 8899 no folder.
    """
    first = arguments[:1]
    named = bool(first) and not first[0].startswith("-")
    options = [each for each in arguments[named:] if each != "--copy"]
    return Path(first[0] if named else DEFAULT), len(options) + named < len(arguments), options
