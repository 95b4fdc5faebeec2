"""Let the ten words that matter explain themselves: a link to the glossary says, under the mouse, what the word means.

    python -m tools.hover            print the links whose text is missing or out of date
    python -m tools.hover --write    write it

A link in Markdown may have a title, which every viewer shows under the mouse: ``[word](glossary.ipynb#cell-id=word
"title")``. The title is the first sentence of the word's entry in the glossary. Nothing but Python is needed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from .lessons import ROOT, lessons, prose

TERMS = (
    "ultravisor",
    "protected-guest",
    "secure-page",
    "secure-configuration",
    "import",
    "export",
    "destroy",
    "zombie",
    "downtime",
    "set-aside",
)

LINK = re.compile(r"(?P<link>\]\((?P<place>[^)\s]*glossary\.ipynb)#cell-id=(?P<term>[\w-]+))(?P<title> +\"[^\"]*\")?\)")


def glossary(folder: Path) -> Path:
    """Where the glossary is."""
    return folder / "reference" / "glossary.ipynb"


def titles(path: Path) -> dict[str, str]:
    """The first sentence of each term's entry, as plain text."""
    found = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["id"] in TERMS:
            text = " ".join(prose("".join(cell["source"]).partition("\n")[2]).split())
            found[cell["id"]] = re.split(r"(?<=\.) (?=[A-Z*])", text)[0].replace('"', "'")
    missing = set(TERMS) - set(found)
    if missing:
        raise SystemExit(f"{path}: there is no entry for {', '.join(sorted(missing))}")
    return found


def with_titles(markdown: str, known: Mapping[str, str]) -> str:
    """A text in which each link to one of the terms has its title."""

    def link(found: re.Match[str]) -> str:
        return f'{found["link"]} "{known[found["term"]]}")' if found["term"] in known else found[0]

    return LINK.sub(link, markdown)


def out_of_date(path: Path, known: Mapping[str, str]) -> Iterator[str]:
    """The links whose title is not what the glossary says."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            for found in LINK.finditer("".join(cell["source"])):
                if with_titles(found[0], known) != found[0]:
                    yield f"{path.name}, cell {cell['id']}: {found['term']}"


def write(path: Path, known: Mapping[str, str]) -> None:
    """Write the titles into a notebook, which stays as it was otherwise."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = with_titles("".join(cell["source"]), known).splitlines(keepends=True)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Print what is out of date, or write it; 1 if something is out of date."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the titles into the lessons")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    given = parser.parse_args(arguments)
    folder = given.root / "notebooks"
    known = titles(glossary(folder))
    found = [each for path in lessons(folder) for each in out_of_date(path, known)]
    if given.write:
        for path in lessons(folder):
            if any(out_of_date(path, known)):
                write(path, known)
        return 0
    for each in found:
        print(f"{each}: its title is not what the glossary says (python -m tools.hover --write)")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
