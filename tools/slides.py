"""A deck for a lecture, made of the lessons' own pictures: one file that needs a browser and no network.

    python -m tools.slides            write build/slides/index.html, with all slides
    python -m tools.slides 1 2 3      with those of these lessons of the course only

The pictures are taken from the committed notebooks, so they are right as long as the lessons are. What turns a page
into slides is reveal.js, as the package pyreveal brings it. In the browser: arrows turn slides, `S` shows what to say
in a window of its own, `O` all slides, and `?print-pdf` behind the address makes pages to print.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Collection
from dataclasses import dataclass
from html import escape
from pathlib import Path

from .contact_sheet import pictures_of

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"
BUILT = ROOT / "build" / "slides"


@dataclass(frozen=True, slots=True)
class Slide:
    """One slide.

    Attributes
    ----------
    title : str
    say : str
        The speaker's notes.
    notebook, cell : str
        Where the picture comes from: a file in ``notebooks/``, without its end, and the cell. Empty: there is none.
    lines : tuple of str
        Text instead of a picture.
    shown_in : int
        The lesson that it belongs to, if the picture isn't from one; 0: it is in every deck.
    """

    title: str
    say: str
    notebook: str = ""
    cell: str = ""
    lines: tuple[str, ...] = ()
    shown_in: int = 0

    @property
    def lesson(self) -> int:
        """Number of the lesson of the course that it belongs to; 0: it is in every deck."""
        folder, _, name = self.notebook.partition("/")
        return int(name[:2]) if folder == "course" else self.shown_in


SLIDES = (
    Slide(
        "Why did this virtual machine need 25 seconds to reboot?",
        "Let everyone write down a number before you go on. They will need it at the end of the hour.",
        lines=(
            "It is protected: not even the computer that runs it can read its memory.",
            "It has 64 GiB. How long will one of 256 GiB be away?",
        ),
    ),
    Slide(
        "Who is waiting for whom?",
        "QEMU's one thread wipes page after page. The vCPUs stand still; hatched means waits. The clean-up doesn't "
        "need them. Ask: would more vCPUs help?",
        "course/01-why-is-the-reboot-slow",
        "picture",
    ),
    Slide(
        "Four times the memory, four times the wait",
        "Both scales are logarithmic. The slope says that the wait is proportional to the memory. So the 256 GiB guest "
        "of the first slide is away for about 100 s. Who wrote that down?",
        "course/01-why-is-the-reboot-slow",
        "sliders",
    ),
    Slide(
        "The life of a protected guest",
        "Every guest begins as a normal one: something has to load the encrypted image. Ask at each stage who can read "
        "the memory.",
        "course/02-meet-the-ultravisor",
        "life-cycle",
    ),
    Slide(
        "The host has mapped both pages, and owns neither",
        "To map a page isn't to own it. The host has pages 0 and 1 in its page tables and gets at neither: the "
        "hardware asks the Ultravisor's books first. Ask what happens if the host reads page 2.",
        "course/02-meet-the-ultravisor",
        "after-import",
    ),
    Slide(
        "The idea: wipe the first 2 GiB, and let the guest run",
        "A thread wipes the rest while the new guest already works. The work hasn't gone away. Ask what could go "
        "wrong, and collect three answers on the board.",
        "index",
        "slider",
        shown_in=3,
    ),
    Slide(
        "What a reboot leaves behind",
        "The old guest has no CPUs any more and will never run again, but it still owns its pages. The author calls it "
        "a zombie.",
        "course/03-old-pages-new-guest",
        "rebooted",
    ),
    Slide(
        "The price: two guests in one memory",
        "Orange pages still hold the old guest's secrets. Sooner or later the new guest touches one of them.",
        "index",
        "map",
        shown_in=3,
    ),
    Slide(
        "Without patch 3, the new guest dies",
        "Explain this trace line by line, and let the class explain the next one. It's the shortest way there is: a "
        "search has tried every order of events on a machine of two pages.",
        "index",
        "search",
        shown_in=3,
    ),
    Slide(
        "Without patch 7, a shared page stays in the way",
        "Now they explain. The point to find: sharing doesn't change the owner, so nothing complains before the import "
        "does.",
        "course/03-old-pages-new-guest",
        "predict-shared",
    ),
    Slide(
        "Without rule 1, the thread clears the new guest's page",
        "The kernel doesn't know who owns a page. It asks for each to be destroyed, and rule 1 of the firmware keeps "
        "the thread from harm: a page of a guest that has CPUs isn't destroyed. Here the rule is off.",
        "course/04-lazy-reboot",
        "no-rule-1",
    ),
    Slide(
        "The guest hardly waits, and cleans beside the thread",
        "What does the speed-up cost? There are more calls than before, and the guest does a part of the cleaning. But "
        "it has used all of its memory sooner as well, since three clean now instead of one.",
        "course/04-lazy-reboot",
        "side-by-side",
    ),
    Slide(
        "At a shutdown, the kernel sets the pages aside",
        "The address space goes first. A VM is an open file, and a dying process drops its memory before its files. So "
        "the vCPUs are still there, and no page can be destroyed yet. Six pages wait, and two list pages have their "
        "numbers.",
        "course/05-lazy-shutdown",
        "by-hand",
    ),
    Slide(
        "With one flag for two guests, a page is free and locked",
        "A's end clears the flag, and B's page is freed while it is secure. Its next owner can't use it, and the "
        "kernel tries again, forever. A flag can't say how many guests there are; a counter can.",
        "course/07-a-counter-instead-of-a-flag",
        "next-owner",
    ),
    Slide(
        "One of version 1's own bugs: a page set aside forever",
        "Would you have found it? The author's patches were reviewed by people who know this code best. Ask where "
        "between the steps the other thread comes in.",
        "course/08-version-1s-own-bugs",
        "race",
    ),
    Slide(
        "wait() returns, and the memory isn't back",
        "What does wait() promise? That the process is gone. Nothing documents that its memory is back as well, but it "
        "always was, and scripts rely on it.",
        "course/09-what-does-wait-promise",
        "when-it-returns",
    ),
    Slide(
        "What Linux ships: a helper of QEMU's owns the memory",
        "The same goal, and another owner. The clean-up belongs to QEMU after a reboot and to its helper after a "
        "shutdown, so processor time and memory are on a bill. Compare with the picture before.",
        "course/10-what-linux-ships",
        "helper-run",
    ),
)

PRINCIPLES = {
    1: "Work is one thing, waiting for it is another.",
    2: "Managing isn't owning.",
    3: "Put work off, and every place that relied on its being done must cope.",
    4: "Do first what the next step needs. Leave the rest to a thread.",
    5: "Deferral buys latency with memory.",
    6: "Test all orders, not some.",
    7: "A flag that two may set should be a count.",
    8: "Who gives it back, on every path?",
    9: "An interface is what its callers rely on.",
    10: "Put the work where the bill can be sent.",
}
"""What each lesson's principle is, in a line."""


def slides_of(lessons: Collection[int] = ()) -> list[Slide]:
    """The slides of some lessons of the course, or all of them: an opening, pictures, and what carries over.

    Parameters
    ----------
    lessons : collection of int
        Numbers of lessons, 1 to 10; empty for all.

    Raises
    ------
    ValueError
        If there is no such lesson.
    """
    for number in lessons:
        if number not in PRINCIPLES:
            raise ValueError(f"lessons={number}: give numbers of lessons, {min(PRINCIPLES)} to {max(PRINCIPLES)}")
    shown = [each for each in SLIDES if not lessons or not each.lesson or each.lesson in lessons]
    principles = tuple(line for number, line in PRINCIPLES.items() if not lessons or number in lessons)
    say = "Ask for an example of each from another system: garbage collectors, file systems, browsers."
    return [*shown, Slide("What carries over", say, lines=principles)]


STYLE = """
body { background: #fff; }
.reveal { font: 30px/1.35 sans-serif; color: #111; }
.reveal .slides section { text-align: center; }
.reveal h2 { font-size: 42px; line-height: 1.15; margin: 0 0 18px; }
.reveal img { max-width: 1200px; max-height: 580px; width: 1200px; height: 580px; object-fit: contain; }
.reveal ul { text-align: left; margin: 30px auto 0; max-width: 1000px; padding-left: 1em; }
.reveal li { margin: 0 0 14px; }
"""

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>lazydestroy</title>
<style>{style}</style>
</head>
<body>
<div class="reveal"><div class="slides">
{slides}
</div></div>
{scripts}
<script>
Reveal.initialize({{width: 1280, height: 720, margin: 0.02, hash: true, slideNumber: "c/t", transition: "none",
  plugins: [RevealNotes]}});
</script>
</body>
</html>
"""


def picture(notebook: str, cell: str, folder: Path = FOLDER) -> tuple[str, str]:
    """Take a picture out of a committed notebook.

    Parameters
    ----------
    notebook, cell : str
        As in `Slide`.
    folder : Path

    Returns
    -------
    png : str
        In base64.
    alt : str
        The picture in words.

    Raises
    ------
    ValueError
        If there is no such cell, or it shows no picture.
    """
    for shown in pictures_of(folder / f"{notebook}.ipynb", folder):
        if shown.cell == cell:
            return shown.data, shown.words
    raise ValueError(f"cell={cell!r}: {notebook}.ipynb shows no picture there; name the cell of one")


def section(slide: Slide) -> str:
    """Write a slide as HTML."""
    if slide.cell:
        png, alt = picture(slide.notebook, slide.cell)
        body = f'<img alt="{escape(alt)}" src="data:image/png;base64,{png}">'
    else:
        body = "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in slide.lines) + "</ul>"
    notes = f'<aside class="notes">{escape(slide.say)}</aside>'
    return f"<section>\n<h2>{escape(slide.title)}</h2>\n{body}\n{notes}\n</section>"


def reveal() -> Path:
    """Find the folder of reveal.js.

    Raises
    ------
    ImportError
        If the package that has it is not installed.
    """
    found = importlib.util.find_spec("pyreveal")
    if found is None or not found.submodule_search_locations:
        raise ImportError('reveal.js is missing; it comes with pyreveal: pip install -e ".[classroom]"')
    return Path(found.submodule_search_locations[0]) / "revealjs" / "dist"


def deck(slides: list[Slide]) -> str:
    """Write the page with some slides."""
    there = reveal()
    styles = [(there / name).read_text(encoding="utf-8") for name in ("reset.css", "reveal.css")]
    scripts = [(there / name).read_text(encoding="utf-8") for name in ("reveal.js", "plugin/notes.js")]
    # the notes' own page is a text in the script, and would end it
    inside = "\n".join("<script>" + script.replace("</script", "<\\/script") + "</script>" for script in scripts)
    return PAGE.format(style="\n".join([*styles, STYLE]), slides="\n".join(map(section, slides)), scripts=inside)


def main(arguments: list[str] | None = None) -> int:
    """Write the deck."""
    parser = argparse.ArgumentParser(prog="python -m tools.slides", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("lessons", nargs="*", type=int, help="numbers of lessons; without any, all slides")
    parser.add_argument("--to", type=Path, default=BUILT, help="folder to write into")
    given = parser.parse_args(arguments)
    try:
        slides = slides_of(given.lessons)
    except ValueError as error:
        parser.error(str(error))
    given.to.mkdir(parents=True, exist_ok=True)
    path = given.to / "index.html"
    path.write_text(deck(slides), encoding="utf-8")
    print(f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}: {len(slides)} slides")
    return 0


if __name__ == "__main__":
    sys.exit(main())
