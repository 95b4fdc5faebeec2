"""Pictures for widgets, in little time: text is drawn once and copied afterwards, and files are packed quickly."""

# mypy: allow-untyped-calls
# (matplotlib has no types for what draws)

from __future__ import annotations

import math
import struct
import zlib
from typing import Any, NamedTuple

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
        self._before: Any = None
        self._bands: list[_Band] = []

    def png(self, dots: np.ndarray) -> bytes:
        """Opaque dots of shape (height, width, 4) as a PNG file, without a loss.

        It takes half the time that Pillow takes, which tries five filters for every row: areas of one colour repeat
        without any.
        """
        height, width, _ = dots.shape
        rows: Any = dots.reshape(height, 4 * width)
        self._pack(rows)
        header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)  # 8 bits each of red, green, blue, alpha
        packed = b"".join(band.packed for band in self._bands)
        packed = _ZLIB + packed + _LAST + struct.pack(">I", _adler32(self._bands))
        return _PNG + b"".join(_chunk(*chunk) for chunk in ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b"")))

    def _pack(self, rows: Any) -> None:
        """Pack the bands that have changed, each so that it can be unpacked without the others."""
        tops = range(0, len(rows), BAND)
        if self._before is None or self._before.shape != rows.shape:
            self._before = rows.copy()
            self._bands = [_band(rows[top : top + BAND]) for top in tops]
            return
        differ = (rows.view(np.uint32) != self._before.view(np.uint32)).any(axis=1)
        for place in np.flatnonzero(np.logical_or.reduceat(differ, tops)).tolist():
            band = rows[place * BAND : (place + 1) * BAND]
            self._before[place * BAND : (place + 1) * BAND] = band
            self._bands[place] = _band(band)


class _Band(NamedTuple):
    """Rows, packed; how many bytes they were, and their checksum."""

    packed: bytes
    size: int
    adler32: int


def _band(rows: Any) -> _Band:
    filtered: Any = np.zeros((len(rows), 1 + rows.shape[1]), np.uint8)  # 0: a row without a filter
    filtered[:, 1:] = rows
    pack = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS, 7)  # 7: half of the usual tables, cleared each time
    packed = pack.compress(filtered) + pack.flush(zlib.Z_FULL_FLUSH)
    return _Band(packed, filtered.size, zlib.adler32(filtered))


def _adler32(bands: list[_Band]) -> int:
    """The checksum of bands one after the other, from their own (RFC 1950)."""
    low, high = 1, 0
    for _, size, adler32 in bands:
        high += (adler32 >> 16) + size * (low - 1)
        low += (adler32 & 0xFFFF) - 1
    return high % _ADLER << 16 | low % _ADLER


_ADLER = 65521
"""What both halves of the checksum are counted up to."""

BAND = 16
"""Rows that are packed for themselves."""

_PNG, _ZLIB, _LAST = b"\x89PNG\r\n\x1a\n", b"\x78\x01", b"\x03\x00"
"""How a PNG file begins; how what zlib packs begins, and its last block, which is empty (RFC 1950 and 1951)."""


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
