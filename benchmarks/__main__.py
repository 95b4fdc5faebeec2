"""``python -m benchmarks``: measure, and print the table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from .live import exits
from .measure import NotHereError, Row, surroundings, table
from .rows import ROWS
from .sizes import FULL, QUICK, Sizes
from .slider import slider
from .sweeps import on_dask
from .visit import visit

ALL: dict[str, Callable[[Sizes], Row | list[Row]]] = {
    **ROWS,
    "slider": slider,
    "visit": visit,
    "exits": exits,
    "sweep-dask": on_dask,
}
"""In the order of the table; the names are those of ``--rows``."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, and print the table.")
    parser.add_argument("--quick", action="store_true", help="smaller sizes: a look, no verdict")
    parser.add_argument("--rows", nargs="+", choices=ALL, default=list(ALL), metavar="ROW", help=", ".join(ALL))
    options = parser.parse_args(arguments)
    report(QUICK if options.quick else FULL, options.rows)


def report(sizes: Sizes, names: Sequence[str]) -> None:
    """Print the rows of those names."""
    measured: list[Row] = []
    left_out = []
    for name in names:
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        try:
            found = ALL[name](sizes)
            measured += found if isinstance(found, list) else [found]
        except NotHereError as error:
            left_out.append(f"left out: {name}: {error}")
        except ModuleNotFoundError as error:
            raise SystemExit(f'{error}: the row "{name}" needs the extra "bench": pip install -e ".[bench]"') from error
    print(surroundings())
    print(f"Ours and the peer's take turns, {sizes.repetitions} times (slow peers: 3 at most); the best counts.")
    if sizes != FULL:
        print("Sizes are smaller than those that the targets are for: no verdict.")
        measured = [replace(row, target=None) for row in measured]
    print()
    print(table(measured))
    print(*left_out, sep="\n", end="\n" if left_out else "")


if __name__ == "__main__":
    main()
