"""Grade a notebook that a student has handed in, with or without a course system.

    python -m lazydestroy.grade patch-3.ipynb
    python -m lazydestroy.grade 1-pages.ipynb --student ada --json

The exit status is 0 if it was graded, whatever the points, and 2 if it could not be.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from .grading.reports import graded
from .saying import program, say


@program("grade")
def main(arguments: Sequence[str] | None = None) -> int:
    """Grade one notebook and print what it is worth."""
    parser = argparse.ArgumentParser(prog="python -m lazydestroy.grade", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("submission", type=Path, metavar="SUBMISSION.ipynb")
    parser.add_argument("--student", default="", help="whose problems they are; default: what the notebook says")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    try:
        report = graded(given.submission, given.student)
    except ValueError as refused:
        if given.json:
            say(json.dumps({"error": str(refused)}))
        else:
            print(refused, file=sys.stderr)
        return 2
    say(json.dumps(report.as_json(), indent=2) if given.json else report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
