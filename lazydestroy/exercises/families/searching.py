"""Problems about traces: a kernel breaks, and one says which patch it lacks."""

from __future__ import annotations

from functools import cache
from typing import Any

from ...series import Verdict, check, v1_fixed
from ...units import format_count
from ..numbers import Draw, Family, Numbers, Slip, Solved

_PATCHES = {"3": ("patch 3",), "4": ("patch 4",), "6": ("patch 6",), "7": ("patch 7",)}

_SAYS = {
    "3": "Patch 3 is about 0x3F: a protected guest touches a page of another one. Is that raised here, and left "
    "unhandled?",
    "4": "Patch 4 is about 0x3D of a guest that is not protected. Is that raised here, and left unhandled?",
    "6": "Patch 6 is about a kernel that believes no protected guest is left. Which call is missing here, and why?",
    "7": "Patch 7 is about an import that is refused although nothing else was raised. Is there one here?",
}


def _draw_search(draw: Draw) -> dict[str, Any]:
    missing = draw.choose("missing", tuple(_PATCHES))
    return {
        "missing": missing,
        "image_loaded": missing != "7" or draw.choose("image", (True, False)),
        "vcpus": 1 if missing in "67" else draw.choose("vcpus", (1, 2)),
        "sharing": missing == "7",
    }


def _search(numbers: Numbers) -> Verdict:
    return _found(int(numbers["missing"]), numbers["image_loaded"], numbers["vcpus"], numbers["sharing"])


@cache
def _found(missing: int, image_loaded: bool, vcpus: int, sharing: bool) -> Verdict:
    """Some seconds of search, once for all who ask: there are not many different ones."""
    kernel = v1_fixed.without(missing, 11) if missing == 7 else v1_fixed.without(missing)
    return check(kernel, failures=(), image_loaded=image_loaded, vcpus=vcpus, sharing=sharing)


def _state(numbers: Numbers) -> str:
    trace = _search(numbers).trace
    assert trace is not None
    return (
        "A kernel lacks one of the patches, and what cannot do without that one; version 1's own bugs are mended in "
        f"it. The search finds this way to break it, and no shorter one:\n\n{trace}\n\nWhich patch is missing?"
    )


def _missing(numbers: Numbers) -> Solved:
    verdict = _search(numbers)
    assert verdict.trace is not None
    missing = numbers["missing"]
    patch = v1_fixed[int(missing)]
    return Solved(
        missing,
        (
            f"It ends with: {verdict.trace.violation}.",
            _SAYS[missing].partition(". ")[0] + ".",
            f"So patch {missing} is missing: {patch.title}. (The search saw {format_count(verdict.states)} states.)",
        ),
        tuple(Slip(name, says) for name, says in _SAYS.items() if name != missing),
        f"ld.series.check(ld.series.v1_fixed.without({'7, 11' if missing == '7' else missing}), failures=(), "
        f"vcpus={numbers['vcpus']}, sharing={numbers['sharing']}, image_loaded={numbers['image_loaded']})",
    )


MISSING_PATCH = Family(
    name="missing-patch",
    title="which patch is missing?",
    lesson="series/12-drop-a-patch.ipynb",
    draw=_draw_search,
    state=_state,
    solve=_missing,
    hints=("Say of each line what is ordinary about it. What is not ordinary about the last one?",),
    choices=_PATCHES,
)

FAMILIES = (MISSING_PATCH,)
