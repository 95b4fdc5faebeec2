"""Build the site: ``python -m tools.site --help``."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from .core import ROOT, WHEELS, missing

BUILD = ROOT / "build"


def main(arguments: list[str] | None = None) -> int:
    """Build the site, and return 0; or say what is missing, and return 1."""
    parser = argparse.ArgumentParser(prog="python -m tools.site", description=__doc__)
    parser.add_argument("--output", type=Path, default=BUILD / "site", help="folder for the site; emptied first")
    parser.add_argument("--reading-only", action="store_true", help="pages only: nothing that runs in the browser")
    parser.add_argument("--check", action="store_true", help="only say whether all is there that it needs")
    given = parser.parse_args(arguments)
    lacking = "" if given.reading_only else missing(WHEELS)
    if lacking or given.check:
        print(lacking, end="\n" if lacking else "", file=sys.stderr)
        return 1 if lacking else 0
    from . import pages  # what `make site` has not installed yet when it asks for the check

    shutil.rmtree(given.output, ignore_errors=True)
    try:
        if not given.reading_only:
            runs(given.output / "lite", BUILD)
        pages.build(given.output, BUILD / "site-pages", runs=not given.reading_only)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in given.output.rglob("*") if path.is_file())
    print(f"{given.output}: {size / 1e6:.0f} MB; to look at it: python -m http.server --directory {given.output}")
    return 0


def runs(folder: Path, work: Path) -> None:
    """Build what runs in the browser; what it is made of is put into a folder `work`."""
    from . import lite, pages, runtime

    notebooks = work / "site-notebooks"
    shutil.rmtree(notebooks, ignore_errors=True)
    for path in pages.published():
        (notebooks / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(pages.NOTEBOOKS / path, notebooks / path)
    packages = runtime.build(folder / "pyodide", work / "downloads", WHEELS)
    lite.build(folder, notebooks, packages)


if __name__ == "__main__":
    sys.exit(main())
