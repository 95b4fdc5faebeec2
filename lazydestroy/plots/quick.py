"""Pictures for widgets, in little time: text is drawn once and copied afterwards, and files are packed quickly."""

# mypy: allow-untyped-calls
# (matplotlib has no types for what draws)

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from itertools import chain, repeat
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


class Packer:
    """Packs one picture after another as a PNG file. Rows that were the same in the last picture are packed already."""

    def __init__(self) -> None:
        self._bands: list[tuple[np.ndarray, bytes]] = []

    def png(self, dots: np.ndarray) -> bytes:
        """Opaque dots of shape (height, width, 4) as a PNG file, without a loss.

        It takes half the time that Pillow takes, which tries five filters for every row: areas of one colour repeat
        without any.
        """
        height, width, _ = dots.shape
        rows: Any = np.zeros((height, 1 + 4 * width), np.uint8)  # 0: a row without a filter
        rows[:, 1:] = dots.reshape(height, 4 * width)
        header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)  # 8 bits each of red, green, blue, alpha
        packed = _ZLIB + b"".join(self._packed(rows)) + _LAST + struct.pack(">I", zlib.adler32(rows))
        return _PNG + b"".join(_chunk(*chunk) for chunk in ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b"")))

    def _packed(self, rows: Any) -> Iterator[bytes]:
        before, self._bands = self._bands, []
        bands = (rows[top : top + BAND] for top in range(0, len(rows), BAND))
        for band, known in zip(bands, chain(before, repeat(None)), strict=False):
            if known is None or not np.array_equal(band, known[0]):
                pack = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
                known = band, pack.compress(band) + pack.flush(zlib.Z_FULL_FLUSH)
            self._bands.append(known)
            yield known[1]


BAND = 16
"""Rows that are packed for themselves."""

_PNG, _ZLIB, _LAST = b"\x89PNG\r\n\x1a\n", b"\x78\x01", b"\x03\x00"
"""How a PNG file begins; how what zlib packs begins, and its last block, which is empty (RFC 1950 and 1951)."""


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
