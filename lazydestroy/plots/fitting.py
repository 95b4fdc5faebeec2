"""How wide text is in a picture, and text broken into lines that fit: measured with the font that pictures use."""

from __future__ import annotations

import functools
import re
from typing import Any

from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

from ..units import SIZE_UNITS, TIME_UNITS
from .picture import DPI


@functools.lru_cache(1)
def _renderer() -> RendererAgg:
    return RendererAgg(8, 8, DPI)  # type: ignore[no-untyped-call]


@functools.lru_cache(4096)
def width(text: str, size: float, bold: bool = False) -> float:
    """Inches that a line of text takes in a font of so many points."""
    font = FontProperties(family="DejaVu Sans", size=size, weight="bold" if bold else "normal")
    renderer: Any = _renderer()
    pixels, _, _ = renderer.get_text_width_height_descent(text, font, ismath=False)
    return float(pixels) / DPI


def widest(texts: list[str], size: float, bold: bool = False) -> float:
    """Inches of the widest of some lines; 0 if there are none."""
    return max((width(text, size, bold) for text in texts), default=0.0)


_MEASURE = re.compile(rf"([0-9][0-9.,]*) ({'|'.join((*SIZE_UNITS, *TIME_UNITS))})(?!\w)")


def words_of(text: str) -> list[str]:
    """What a line may not end within: words, and numbers with their units."""
    return [word.replace("\0", " ") for word in _MEASURE.sub("\\1\0\\2", " ".join(text.split())).split(" ") if word]


def broken(text: str, inches: float, size: float, bold: bool = False) -> list[str]:
    """Text in lines that are at most so wide. Only a word that is wider than that is broken itself."""
    lines: list[str] = []
    for word in words_of(text):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width(longer, size, bold) <= inches:
            lines[-1] = longer
            continue
        pieces = _pieces(word, inches, size, bold)
        lines += pieces
    return lines or [""]


def _pieces(word: str, inches: float, size: float, bold: bool) -> list[str]:
    """A word, or the parts of it that fit: at least one letter each."""
    pieces = []
    while word and width(word, size, bold) > inches:
        fits = next((n for n in range(len(word) - 1, 1, -1) if width(word[:n], size, bold) <= inches), 1)
        pieces.append(word[:fits])
        word = word[fits:]
    return [*pieces, word] if word else pieces
