"""The life of a guest as a picture: what it says, and that all of it can be read."""

from __future__ import annotations

import itertools

from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text

from lazydestroy.plots import plot_life_cycle


def written(picture):
    picture.image()
    return [text for text in picture.findobj(Text) if text.get_text().strip() and text.get_visible()]


def test_a_life_begins_and_ends_as_a_normal_guest():
    picture = plot_life_cycle()
    assert len(picture.title.split()) <= 12
    stages = ["Normal guest: a boot loader", "Normal guest: the image", "Protected guest A", "From 3 back to 1: reset"]
    assert sorted(stages, key=picture.words.index) == stages
    assert "the host reads only what the guest shares" in picture.words


def test_what_is_written_lies_in_the_picture_and_over_nothing_else():
    picture = plot_life_cycle()
    boxes = [text.get_window_extent() for text in written(picture)]
    width, height = picture.canvas.get_width_height()
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height for box in boxes)
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_what_is_written_beside_an_arrow_lies_in_no_box():
    picture = plot_life_cycle()
    stages = [patch.get_window_extent() for patch in picture.findobj(FancyBboxPatch)]
    for text in written(picture):
        box = text.get_window_extent()
        over = [stage for stage in stages if stage.overlaps(box)]
        assert not over or (len(over) == 1 and over[0].x0 <= box.x0 and box.x1 <= over[0].x1), text.get_text()
