"""The ten thousand runs of the page for reviewers: some are run again, and what the page says of all is counted."""

from __future__ import annotations

import random

import numpy as np
import pytest

from lazydestroy.plots import plot_many
from lazydestroy.sweeps import many

SAMPLE = {"untouched": 8, "in order": 2, "shutdown": 4}
"""How many points of each story are run again."""


@pytest.mark.parametrize("story", many.STORIES, ids=lambda story: story.name)
def test_a_sample_run_again_comes_to_the_same(story):
    kept, costs, chance = many.kept().times_ns[story.name], many.draws(story.draws), random.Random(64)
    for _ in range(SAMPLE[story.name]):
        kernel, used, draw = (chance.randrange(number) for number in kept.shape)
        given = {"kernel": many.KERNELS[kernel], "used": many.USED[used], "costs": costs[draw], **story.inputs}
        run = story.what(many.MEMORY, **given)
        assert story.figure(run) == kept[kernel, used, draw], run.reproduce()


def test_there_are_ten_thousand():
    assert many.kept().runs == 10_000
    assert str(many.kept()).startswith("10,000 runs of 64 GiB: ")


def test_costs_are_drawn_from_a_tenth_to_tenfold_and_always_the_same():
    drawn = many.draws(300)
    assert many.draws(20) == drawn[:20]
    destroy = np.array([costs.destroy for costs in drawn])
    assert 150 <= destroy.min() < 200 and 13_000 < destroy.max() <= 15_000
    assert 0.4 < (destroy < 1500).mean() < 0.6


def test_what_decides_is_found():
    """Made of one cost alone: that one decides, and no other comes near."""
    costs = many.draws(200)
    walk = np.array([each.walk for each in costs])
    made = many.Many({"made": np.stack([np.tile(walk * 1000, (5, 1)), np.full((5, 200), 1000)])}, 1.0)
    decides = made.deciding("made")
    assert next(iter(decides.items())) == ("walk", pytest.approx(1))
    assert all(abs(value) < 0.3 for name, value in decides.items() if name != "walk")
    assert made.tenfold("made").tolist() == [(walk >= 10).mean()] * 5


def test_the_picture_has_a_row_for_each_memory_use():
    picture = plot_many(many.kept())
    assert len(picture.title.split()) <= 12
    for used in ("16 GiB used", "64 GiB used"):
        assert picture.words.count(used) == len(many.STORIES)
    with pytest.raises(ValueError, match="^many="):
        plot_many(None)
