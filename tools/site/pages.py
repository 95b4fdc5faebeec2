"""Turn the notebooks into pages: copies for Sphinx, then Sphinx, then a look at every link.

In a copy, links look as Sphinx wants them, and what JupyterLab adds by itself is in the text: the pictures' alternative
texts, and the button that opens the notebook in JupyterLite. Nothing is executed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

from .core import ROOT

SOURCES = Path(__file__).parent / "sphinx"
NOTEBOOKS = ROOT / "notebooks"

HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\((?P<file>[^)#\s]*)#(?P<fragment>[^)\s]+)")

CONTENTS = {
    "The course": "course/*",
    "Side trips": "side/*",
    "For reviewers": "reviewers/*",
    "Exercises": "exercises/**",
    "Reference": "reference/*",
    "In Python": "api/index",
}
"""What the pages' side bar lists, in order."""


def published(notebooks: Path = NOTEBOOKS) -> list[Path]:
    """Return the notebooks that become pages: all but the exercises' sources, which hold the solutions."""
    found = (path.relative_to(notebooks) for path in sorted(notebooks.rglob("*.ipynb")))
    return [
        path for path in found if ".ipynb_checkpoints" not in path.parts and path.parts[:2] != ("exercises", "source")
    ]


def build(folder: Path, scratch: Path, runs: bool) -> None:
    """Build the pages.

    Parameters
    ----------
    folder : Path
        Where to.
    scratch : Path
        Folder for the copies; emptied first.
    runs : bool
        Whether JupyterLite is in the folder ``lite`` of `folder`, so that a page can have its button.

    Raises
    ------
    ValueError
        If a link leads nowhere.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(SOURCES, scratch)
    for path in published():
        target = scratch / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(_copy(path, runs)), "utf-8")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", scratch, folder]
    subprocess.run(list(map(str, command)), check=True)
    for made in (".doctrees", "_sources"):
        shutil.rmtree(folder / made, ignore_errors=True)
    # 1.6 MB that draw icons, which the theme's style draws from a font as well
    (folder / "_static" / "scripts" / "fontawesome.js").write_text("", "utf-8")
    if broken := broken_links(folder):
        raise ValueError("links that lead nowhere:\n" + "\n".join(broken))


def _copy(path: Path, runs: bool) -> dict[str, Any]:
    """Return a notebook as Sphinx should read it."""
    notebook = json.loads((NOTEBOOKS / path).read_text("utf-8"))
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            cell["source"] = _labelled(LINK.sub(lambda link: _link(link, path), text), path, cell["id"])
        else:
            _describe(cell)
    first = notebook["cells"][0]
    if runs:
        title, _, rest = first["source"].partition("\n\n")
        address = "../" * (len(path.parts) - 1) + lite_address(path)
        button = f'<p><a class="lazydestroy-run" href="{escape(address)}">&#9654; Run this page in your browser</a></p>'
        first["source"] = f"{title}\n\n{button}\n\n{rest}"
    if path == Path("index.ipynb"):
        notebook["cells"].append({"cell_type": "markdown", "id": "contents", "metadata": {}, "source": _contents()})
    return notebook


def lite_address(path: Path) -> str:
    """Return where JupyterLite opens a notebook, seen from the root of the site.

    Each has a workspace of its own, else JupyterLite would also open the ones of before, and start a kernel for each.
    """
    workspace = re.sub(r"\W+", "-", path.with_suffix("").as_posix())
    return f"lite/lab/index.html?workspace={workspace}&path={path.as_posix()}"


def _contents() -> str:
    one = "```{{toctree}}\n:hidden:\n:glob:\n:caption: {}\n\n{}\n```"
    return "\n\n".join(one.format(*each) for each in CONTENTS.items())


def _label(path: Path, fragment: str) -> str:
    """Name a place in a notebook, as no other place in the site is named."""
    words = f"{path.with_suffix('').as_posix()}--{fragment}"
    return re.sub(r"[^a-z0-9-]", lambda letter: "-" if letter[0] in "/ " else f"-{ord(letter[0]):x}-", words.lower())


def _link(link: re.Match[str], path: Path) -> str:
    """Rewrite a link to a cell or to a heading."""
    if link["file"].startswith("http"):
        return link[0]
    target = (NOTEBOOKS / path.parent / link["file"]).resolve().relative_to(NOTEBOOKS) if link["file"] else path
    return f"](#{_label(target, unquote(link['fragment']))}"


def _labelled(text: str, path: Path, cell: str) -> str:
    """Name each heading as JupyterLab's links do: by its text, and the first one by its cell as well."""
    place = 0

    def named(heading: re.Match[str]) -> str:
        nonlocal place
        words = re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading[2]).strip().replace(" ", "-")
        labels = [_label(path, words)] + ([_label(path, f"cell-id={cell}")] if place == 0 else [])
        place += 1
        return "".join(f"({label})=\n" for label in labels) + heading[0]

    parts = re.split(
        r"(^```.*?^```\s*$)", text, flags=re.MULTILINE | re.DOTALL
    )  # what looks like a heading in code is none
    return "".join(part if part.startswith("```") else HEADING.sub(named, part) for part in parts)


def _describe(cell: dict[str, Any]) -> None:
    """Say in a cell's metadata what its picture shows, and whether its code is folded, as MyST-NB wants it."""
    for output in cell["outputs"]:
        alt = output.get("metadata", {}).get("image/png", {}).get("alt")
        if alt:
            cell["metadata"]["mystnb"] = {"image": {"alt": " ".join(alt.split())}}
    if cell["metadata"].get("jupyter", {}).get("source_hidden"):
        cell["metadata"].setdefault("tags", []).append("hide-input")


class _Page(HTMLParser):
    """Gathers where a page leads, and the places in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.leads: set[str] = set()
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.places |= {given[name] or "" for name in ("id", "name") if name in given}
        self.leads |= {given[name] or "" for name in ("href", "src") if name in given}


def broken_links(folder: Path) -> list[str]:
    """Return where pages lead to a file or a place that is not there, or load anything from another host."""
    pages = {
        path: _Page(path.read_text("utf-8"))
        for path in folder.rglob("*.html")
        if path.relative_to(folder).parts[0]
        not in ("lite", "_static")  # JupyterLite's own, and templates of the theme's
    }
    broken = []
    for path, page in pages.items():
        for lead in sorted(page.leads):
            address, fragment = urldefrag(lead)
            if re.match(r"[a-z]+:", lead):
                continue
            target = (path.parent / unquote(address.partition("?")[0])).resolve() if address else path
            known = pages.get(target)
            if not target.exists() or (fragment and known and unquote(fragment) not in known.places):
                broken.append(f"{path.relative_to(folder)}: {lead}")
    return broken
