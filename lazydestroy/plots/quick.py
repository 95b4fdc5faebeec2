"""Pictures for widgets, in little time: text is drawn once and copied afterwards, and files are packed quickly."""

# mypy: allow-untyped-calls
# (matplotlib has no types for what draws)

from __future__ import annotations

import math
import struct
import zlib
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg

REMEMBERED = 512
"""Texts that are remembered, at most; then all are forgotten."""

_EDGE = 3
"""Dots around a text: letters may reach beyond the box that is measured."""

_texts: dict[tuple[Any, ...], tuple[np.ndarray, int, int]] = {}


class QuickRenderer(RendererAgg):
    """Draws as its base does. While `remembers` is set, a text that was drawn before is copied, at a whole dot."""

    remembers = False

    def draw_text(  # noqa: D102  # as for the base
        self, gc: Any, x: float, y: float, s: str, prop: Any, angle: float, ismath: Any = False, mtext: Any = None
    ) -> None:
        if not self.remembers or angle not in (0, 90) or ismath:
            super().draw_text(gc, x, y, s, prop, angle, ismath, mtext)
            return
        key = (s, prop, angle, gc.get_rgb(), gc.get_alpha(), self.dpi)
        if key not in _texts:
            if len(_texts) >= REMEMBERED:
                _texts.clear()
            _texts[key] = self._drawn(gc, s, prop.copy(), angle, mtext)
        image, left, below = _texts[key]
        self.draw_image(gc, round(x) - left, round(self.height - y) - below, image)

    def _drawn(self, gc: Any, s: str, prop: Any, angle: float, mtext: Any) -> tuple[np.ndarray, int, int]:
        """A text on nothing: dots from below upwards, and how many are left of its beginning and below it."""
        width, height, descent = self.get_text_width_height_descent(s, prop, False)
        below = math.ceil(descent) + _EDGE
        above = math.ceil(height - descent) + _EDGE
        along, across = math.ceil(width) + 2 * _EDGE, above + below
        small = RendererAgg(*((across, along) if angle else (along, across)), self.dpi)
        alone = small.new_gc()
        alone.copy_properties(gc)
        alone.set_clip_rectangle(None)
        alone.set_clip_path(None)
        left, below = (above, _EDGE) if angle else (_EDGE, below)
        small.draw_text(alone, left, small.height - below, s, prop, angle, False, mtext)
        return np.asarray(small.buffer_rgba())[::-1].copy(), left, below


class QuickCanvas(FigureCanvasAgg):
    """A canvas with such a renderer."""

    _made: tuple[tuple[float, ...], QuickRenderer] | None = None

    def get_renderer(self) -> QuickRenderer:  # noqa: D102  # as for the base
        width, height = self.figure.bbox.size
        size = (width, height, self.figure.dpi)
        if self._made is None or self._made[0] != size:
            self._made = size, QuickRenderer(*size)
        self.renderer = self._made[1]
        return self.renderer


def png_quickly(dots: np.ndarray) -> bytes:
    """Opaque dots of shape (height, width, 4) as a PNG file, without a loss, in less time than Pillow takes.

    Pillow tries five filters for every row. Areas of one colour repeat without any.
    """
    height, width, _ = dots.shape
    rows = np.zeros((height, 1 + 4 * width), np.uint8)  # 0: a row without a filter
    rows[:, 1:] = dots.reshape(height, 4 * width)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)  # 8 bits each of red, green, blue, alpha
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)
