"""What a patch is here: a class whose functions go on top of the kernel's, and what is known about it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from ..kernel import Kernel

COVER_LETTER = "20210517200758.22593-1-imbrenda@linux.ibm.com"


class Layer:
    """Base of all layers. A layer of your own needs nothing but functions; ``super()`` reaches the code below it.

    Attributes
    ----------
    number : int or None
        Number of the patch; None for a layer that is not a patch of the series.
    title : str
        Its title.
    files : tuple of str
        Kernel files that it touches.
    needs : tuple of int
        Patches without which it could not be compiled.
    """

    number: ClassVar[int | None] = None
    title: ClassVar[str] = ""
    files: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[tuple[int, ...]] = ()


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch of the series.

    Attributes
    ----------
    number : int
    title : str
    message_id : str
        Message-Id of the mail.
    summary : str
        What it changes and why, in this project's words.
    files : tuple of str
        Kernel files that it touches.
    overrides : tuple of str
        Functions of the model that it replaces; the others that it has are new.
    needs : tuple of int
        Patches without which it could not be compiled.
    layer : type
        Its code.
    """

    number: int
    title: str
    message_id: str
    summary: str
    files: tuple[str, ...]
    overrides: tuple[str, ...]
    needs: tuple[int, ...]
    layer: type[Layer]


def _functions(layer: type) -> Iterator[str]:
    return (name for name, value in vars(layer).items() if inspect.isfunction(value))


def patch_of(layer: type[Layer], below: type) -> Patch:
    """What is known about a layer that is a patch. `below` is the kernel that it goes on."""
    assert layer.number is not None
    number = layer.number
    return Patch(
        number=number,
        title=layer.title,
        message_id=COVER_LETTER.replace("-1-", f"-{number + 1}-"),
        summary=inspect.cleandoc(layer.__doc__ or ""),
        files=layer.files,
        overrides=tuple(name for name in _functions(layer) if hasattr(below, name)),
        needs=layer.needs,
        layer=layer,
    )


@cache
def compose(layers: tuple[type, ...]) -> type[Kernel]:
    """The kernel with `layers` on it, the last one on top."""
    return type("Kernel", (*reversed(layers), Kernel), {})


class Series:
    """A kernel: the one before the series, with some of its patches and perhaps layers of your own on top.

    Iterating gives the `Patch` objects in order. Two series with the same layers are equal.

    Examples
    --------
    >>> from lazydestroy.series import v1
    >>> len(v1), v1.upto(7), v1.without(6)
    (11, ld.series.v1.upto(7), ld.series.v1.without(6))
    """

    def __init__(self, layers: tuple[type[Layer], ...], name: str) -> None:
        self.layers = layers
        self.name = name

    @property
    def kernel(self) -> type[Kernel]:
        """The class of this kernel."""
        return compose(self.layers)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the patches in it."""
        return tuple(layer.number for layer in self.layers if layer.number is not None)

    def __iter__(self) -> Iterator[Patch]:
        for place, layer in enumerate(self.layers):
            if layer.number is not None:
                yield patch_of(layer, compose(self.layers[:place]))

    def __len__(self) -> int:
        return len(self.numbers)

    def __contains__(self, number: object) -> bool:
        return number in self.numbers

    def __getitem__(self, number: int) -> Patch:
        """The patch with that number (not place)."""
        for patch in self:
            if patch.number == number:
                return patch
        raise KeyError(f"patch {number} is not in {self!r}, which has {self.numbers}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Series) and self.layers == other.layers

    def __hash__(self) -> int:
        return hash(self.layers)

    def __repr__(self) -> str:
        return f"ld.series.{self.name}"

    def upto(self, number: int) -> Series:
        """The kernel with the patches 1 to `number`. 0 is the kernel before the series.

        Raises
        ------
        ValueError
            If there is no such patch, or one of them needs a patch that is not in this kernel.
        """
        last = max(self.numbers, default=0)
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= last:
            raise ValueError(f"upto({number!r}): use a number from 0 to {last}")
        kept = tuple(layer for layer in self.layers if layer.number is not None and layer.number <= number)
        return Series(kept, f"{self.name}.upto({number})") if kept != self.layers else self

    def without(self, *numbers: int) -> Series:
        """The kernel without some patches.

        Raises
        ------
        ValueError
            If one is not in it, or a patch that stays needs one that goes.
        """
        for number in numbers:
            if number not in self.numbers:
                raise ValueError(f"without({number!r}): {self!r} has the patches {self.numbers}")
        kept = tuple(layer for layer in self.layers if layer.number not in numbers)
        for layer in kept:
            missing = [number for number in layer.needs if number in numbers]
            if missing:
                also = ", ".join(str(number) for number in self._needing(numbers))
                raise ValueError(
                    f"without({', '.join(map(str, numbers))}) could not be compiled: patch {layer.number} "
                    f"({layer.title}) needs patch {missing[0]}. Leave out {also} as well"
                )
        return Series(kept, f"{self.name}.without({', '.join(map(str, numbers))})") if numbers else self

    def _needing(self, numbers: tuple[int, ...]) -> list[int]:
        """The patches that go with `numbers`, because they need one of them, directly or not."""
        gone = set(numbers)
        for layer in self.layers:
            if gone & set(layer.needs) and layer.number is not None:
                gone.add(layer.number)
        return sorted(gone - set(numbers))

    def plus(self, *layers: type) -> Series:
        """The kernel with layers of your own on top.

        Raises
        ------
        ValueError
            If one is not a class.
        """
        for layer in layers:
            if not isinstance(layer, type):
                raise ValueError(f"plus({layer!r}): a layer is a class")
        own = tuple(layer if issubclass(layer, Layer) else type(layer.__name__, (layer, Layer), {}) for layer in layers)
        return Series((*self.layers, *own), f"{self.name}.plus({', '.join(layer.__name__ for layer in layers)})")
