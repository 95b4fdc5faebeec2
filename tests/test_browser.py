"""The notebooks in a real browser: every control moves something, nothing complains, everything fits.

Screenshots of what was seen are in build/screenshots. `test_browser_bench.py` has the lab bench.
"""

from __future__ import annotations

import pytest
from in_browser import BENCH, MARKS, try_everything
from refresh_notebooks import FOLDER, ROOT, notebooks

pytestmark = MARKS

WITH_WIDGETS = [path for path in notebooks() if "from lazydestroy.widgets import" in path.read_text(encoding="utf-8")]
OTHERS = [path for path in WITH_WIDGETS if path != ROOT / BENCH]


def test_there_are_notebooks_with_widgets():
    assert len(WITH_WIDGETS) >= 8 and len(OTHERS) == len(WITH_WIDGETS) - 1


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: str(path.relative_to(FOLDER)))
def test_every_control_moves_something_and_everything_fits(path, opened):
    try_everything(opened(str(path.relative_to(ROOT))), path.stem)
