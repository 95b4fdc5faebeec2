"""Pictures for widgets, in little time: text is drawn once and copied afterwards, and files are packed quickly."""

# mypy: allow-untyped-calls
# (matplotlib has no types for what draws)

from __future__ import annotations

import math
import struct
import zlib
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.text import Text
from matplotlib.transforms import Bbox, IdentityTransform

REMEMBERED = 512
"""Texts that are remembered, at most; then all are forgotten."""

_EDGE = 3
"""Dots around a text: letters may reach beyond the box that is measured."""

_texts: dict[tuple[Any, ...], tuple[np.ndarray, int, int]] = {}


def draw_text(text: Text, renderer: RendererAgg) -> None:
    """Draw a text with the box around it, or copy it, at a whole dot, if such a text was drawn before.

    To lay a text out takes matplotlib ten times as long as to copy it.
    """
    box: Any = text.get_bbox_patch()
    style = box and box.get_boxstyle()
    key = (
        text.get_text(),
        text.get_fontsize(),
        text.get_fontweight(),
        text.get_fontstyle(),
        text.get_color(),
        text.get_horizontalalignment(),
        text.get_verticalalignment(),
        text.get_rotation(),
        box and (type(style), *vars(style).values(), box.get_facecolor(), box.get_edgecolor(), box.get_linewidth()),
        renderer.dpi,
    )
    if key not in _texts:
        if len(_texts) >= REMEMBERED:
            _texts.clear()
        _texts[key] = _drawn(text, renderer)
    dots, left, low = _texts[key]
    x, y = _place(text)
    renderer.draw_image(renderer.new_gc(), round(x) + left, round(y) + low, dots)


def _place(text: Text) -> tuple[float, float]:
    """Where a text is anchored, in dots from the lower left corner."""
    x, y = text.get_transform().transform(text.get_unitless_position())
    return float(x), float(y)


def _drawn(text: Text, renderer: RendererAgg) -> tuple[np.ndarray, int, int]:
    """A text on nothing, dots from below upwards, and where it begins, in dots right of its anchor and above."""
    x, y = _place(text)
    extents = [text.get_window_extent(renderer)]
    box: Any = text.get_bbox_patch()
    if box:
        text.update_bbox_position_size(renderer)
        extents.append(box.get_window_extent(renderer))
    around = Bbox.union(extents)
    left, low = (math.floor(edge) - _EDGE for edge in (around.x0 - x, around.y0 - y))
    right, high = (math.ceil(edge) + _EDGE for edge in (around.x1 - x, around.y1 - y))
    alone = RendererAgg(right - left, high - low, renderer.dpi)
    position, transform = text.get_position(), text.get_transform()
    text.set(position=(-left, -low), transform=IdentityTransform())
    text.draw(alone)
    text.set(position=position, transform=transform)
    return np.asarray(alone.buffer_rgba())[::-1].copy(), left, low


def png_quickly(dots: np.ndarray) -> bytes:
    """Opaque dots of shape (height, width, 4) as a PNG file, without a loss, in less time than Pillow takes.

    Pillow tries five filters for every row. Areas of one colour repeat without any.
    """
    height, width, _ = dots.shape
    rows: Any = np.zeros((height, 1 + 4 * width), np.uint8)  # 0: a row without a filter
    rows[:, 1:] = dots.reshape(height, 4 * width)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)  # 8 bits each of red, green, blue, alpha
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)
