"""Put every picture of the course on one page, to be looked at: build/contact-sheet.html.

    python -m tools.contact_sheet

Each is shown in its own size, with its notebook, the id of its cell, its title and its words. A title of more than 12
words is marked, and so is a picture that does not fit on a projector of 1280 × 720 at the scale for it. Pictures are
those of the committed outputs. Nothing but Python is needed.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path
from typing import Any

from tests.wording import TITLE_WORDS, words_of

ROOT = Path(__file__).resolve().parent.parent

PROJECTOR = (1280, 720)
PROJECTOR_SCALE = 1.25

TITLE = re.compile(r"^\[?(?:controls, and a )?picture: (?P<title>.*?)\]?$")
IN_HTML = re.compile(r'<img src="data:image/png;base64,(?P<data>[^"]+)"(?: alt="(?P<alt>[^"]*)")?')


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture in a notebook.

    Attributes
    ----------
    notebook, cell : str
        The notebook, in the folder of notebooks, and the id of the cell.
    title, words : str
        Its title, as far as the output says it (a prediction's doesn't), and the picture in words.
    data : str
        The PNG file in base64.
    """

    notebook: str
    cell: str
    title: str
    words: str
    data: str

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in dots."""
        head = base64.b64decode(self.data[:44])
        return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")

    @property
    def faults(self) -> list[str]:
        """What is wrong with it that can be measured."""
        found = []
        if (words := words_of(self.title)) > TITLE_WORDS:
            found.append(f"its title has {words} words, {TITLE_WORDS} at most")
        wide, high = (round(dots * PROJECTOR_SCALE) for dots in self.size)
        if wide > PROJECTOR[0] or high > PROJECTOR[1]:
            found.append(f"at scale {PROJECTOR_SCALE} it has {wide} × {high} dots, more than {PROJECTOR[1]} in height")
        if not self.words:
            found.append("it has no alternative text")
        return found


def pictures_of(path: Path, folder: Path) -> Iterator[Shown]:
    """The pictures in a notebook's outputs, in order; those that are folded in a prediction, too."""
    name = path.relative_to(folder).as_posix()
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", ()):
            for title, words, data in _shown(output):
                yield Shown(name, cell["id"], title, words, data)


def _shown(output: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    data, about = output.get("data", {}), output.get("metadata", {})
    if "image/png" in data:
        said = TITLE.match("".join(data.get("text/plain", "")))
        words = about.get("image/png", {}).get("alt", "")
        yield said["title"] if said else "", words, "".join(data["image/png"]).replace("\n", "")
    for found in IN_HTML.finditer("".join(data.get("text/html", ""))):
        yield "", unescape(found["alt"] or ""), found["data"]


def pictures(folder: Path) -> list[Shown]:
    """All pictures of the course. What students get of an exercise has those of its source."""
    paths = sorted(path for path in folder.rglob("*.ipynb") if not {"release", ".ipynb_checkpoints"} & {*path.parts})
    return [shown for path in paths for shown in pictures_of(path, folder)]


def page(shown: list[Shown]) -> str:
    """The sheet as HTML."""
    figures = "\n".join(
        f'<figure><img src="data:image/png;base64,{each.data}" alt="{escape(each.words)}">'
        f"<figcaption><b>{escape(each.notebook)}</b> · {escape(each.cell)} · {each.size[0]} × {each.size[1]}<br>"
        f"{escape(each.title)}{''.join(f'<br><strong>{escape(fault)}</strong>' for fault in each.faults)}"
        f"<details><summary>in words</summary>{escape(each.words)}</details></figcaption></figure>"
        for each in shown
    )
    return (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Contact sheet</title>'
        "<style>body {font: 14px sans-serif; display: flex; flex-wrap: wrap; gap: 24px}"
        " figure {margin: 0; width: 900px} img {max-width: 100%; border: 1px solid #ccc} strong {color: #b00}</style>"
        f"\n{figures}\n</html>\n"
    )


def main(arguments: list[str] | None = None) -> None:
    """Write the sheet, and print what is wrong with pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    root: Path = parser.parse_args(arguments).root
    shown = pictures(root / "notebooks")
    sheet = root / "build" / "contact-sheet.html"
    sheet.parent.mkdir(exist_ok=True)
    sheet.write_text(page(shown), encoding="utf-8")
    for each in shown:
        for fault in each.faults:
            print(f"{each.notebook}, {each.cell}: {fault}")
    print(f"{len(shown)} pictures: {sheet}")


if __name__ == "__main__":
    main()
