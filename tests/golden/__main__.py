"""``python -m tests.golden``: replay files."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from . import DATA, FORMATS, cases


def main(files: list[str]) -> int:
    """Replay files. Returns 1 if a run differs."""
    wrong = runs = equal = number = 0
    notes: Counter[str] = Counter()
    for case, name in cases(*([Path(file) for file in files] or sorted(DATA.glob("golden-*.json.gz")))):
        number += 1
        difference = FORMATS[name].difference
        found = {(kernel, json.dumps(given)): difference(case, kernel, given, notes) for kernel, given in case["runs"]}
        runs += len(found)
        differing = {run: text for run, text in found.items() if text}
        wrong += len(differing)
        equal += not differing
        for (kernel, options), text in list(differing.items())[:1]:
            print(f"{case['scenario']} | {kernel} | {options}: {text}" + f" ({len(differing)} of {len(found)} runs)")
    for note, times in notes.items():
        print(f"in {times} runs {note}")
    print(f"{equal} of {number} cases are equal; {runs - wrong} of {runs} runs")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
