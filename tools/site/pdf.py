"""Print the ten-minute page, the course and the glossary of the site into one PDF: ``python -m tools.site.pdf``.

The system's Chromium prints them, with the style that the pages have for paper. What is folded stays folded.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.browser import missing
from benchmarks.site import served, visitor

from .core import ROOT

SITE, PDF = ROOT / "build" / "site", ROOT / "build" / "course.pdf"

GATHER = """async paths => {
    const place = path => "page-" + path.replace(/\\W/g, "-");
    const whole = document.createElement("main");
    for (const path of paths) {
        const address = new URL(path, location.href);
        const page = new DOMParser().parseFromString(await (await fetch(address)).text(), "text/html");
        const article = document.importNode(page.querySelector("article"), true);
        article.id = place(path);
        article.style.breakBefore = "page";
        for (const image of article.querySelectorAll("img")) {
            image.src = new URL(image.getAttribute("src"), address).href;
            image.loading = "eager";
        }
        for (const words of article.querySelectorAll("details"))
            if (words.querySelector("summary")?.innerText === "The picture in words") words.remove();
        for (const link of article.querySelectorAll("a[href]")) {
            const to = new URL(link.getAttribute("href"), address);
            if (to.origin !== location.origin) continue;
            const known = paths.find(each => new URL(each, location.href).pathname === to.pathname);
            if (!known) link.removeAttribute("href");
            else link.setAttribute("href", to.hash || "#" + place(known));
        }
        whole.append(article);
    }
    document.body.replaceChildren(whole);
    await Promise.all([...document.images].map(image => image.decode()));
}"""
"""Puts the pages' texts into one; a link to a page that is not among them becomes plain text."""


def main() -> int:
    """Print, and return 0; or say what is missing, and return 1."""
    lessons = sorted(path.relative_to(SITE).as_posix() for path in SITE.glob("course/*.html"))
    lacking = missing() or ("" if lessons else f"{SITE} has no lessons: make site ARGS=--reading-only")
    if lacking:
        print(lacking, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as profile, served(SITE) as here, visitor(Path(profile), here) as printer:
        page = printer.opens("index.html")
        page.evaluate(GATHER, ["index.html", *lessons, "reference/glossary.html"])
        margins = dict.fromkeys(("top", "bottom", "left", "right"), "18mm")
        page.pdf(path=PDF, format="A4", margin=margins, outline=True, tagged=True, print_background=True)
    print(f"{PDF}: {PDF.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
