"""What tests of the search share."""

from __future__ import annotations

from lazydestroy.series.check import bounds_of
from lazydestroy.series.search import Search


def same(kernel, **bounds):
    """A search that learns and one that runs every step: they must have seen the same, in the same order."""
    quick, full = (Search(kernel, bounds_of(kernel, dict(bounds)), learn) for learn in (True, False))
    for search in (quick, full):
        for _ in search:
            pass
    assert quick.learn, "what was learned turned out to be wrong"
    assert [node.action for node in quick.nodes] == [node.action for node in full.nodes]
    assert [node.steps for node in quick.nodes] == [node.steps for node in full.nodes]
    assert (quick.transitions, quick.broken, quick.stuck) == (full.transitions, full.broken, full.stuck)
    return quick, full
