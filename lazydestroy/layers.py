"""What a patch is here: a class whose functions go on top of the kernel's, and what is known about it.

`Series` stacks layers on the kernel before. The layers themselves are in `lazydestroy.series`. This module loads none
of them, so that a machine can take any kernel; only when a patch is asked for its code or for a demonstration, it asks
`lazydestroy.series.reading` or `lazydestroy.demonstrations`.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar

from .kernel import Kernel
from .units import shown, whole_number

if TYPE_CHECKING:
    from .demonstrations import Demonstration
    from .series.reading import Difference, Listing

COVER_LETTER = "20210517200758.22593-1-imbrenda@linux.ibm.com"

_OURS = f"{__package__}.series"
"""Where this package's own layers are: these were mailed, and can be reached by name."""


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
    fixes : tuple of int
        Patches whose bug it fixes: the fix goes when one of them goes.
    cover_letter : str
        Message-Id of the cover letter that a patch of this package came with.
    commit, release : str
        Hash of the commit, and the Linux that it came with; empty for a patch that was not merged as it is.
    parameter : str
        Name of the module parameter that it brings, if it brings one.
    """

    number: ClassVar[int | None] = None
    title: ClassVar[str] = ""
    files: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[tuple[int, ...]] = ()
    fixes: ClassVar[tuple[int, ...]] = ()
    cover_letter: ClassVar[str] = COVER_LETTER
    commit: ClassVar[str] = ""
    release: ClassVar[str] = ""
    parameter: ClassVar[str] = ""


@dataclass(frozen=True, slots=True, repr=False)
class Patch:
    """One patch of the series, on top of the patches before it.

    Attributes
    ----------
    number : int
    title : str
    message_id : str
        Message-Id of the mail; empty for a patch of your own, and for a commit.
    commit, release : str
        Hash of the commit, and the Linux that it came with; empty for a patch of version 1, and for one of your own.
    summary : str
        What it changes and why, in this project's words.
    files : tuple of str
        Kernel files that it touches.
    overrides : tuple of str
        Functions of the model that it replaces.
    adds : tuple of str
        Functions that are new.
    needs : tuple of int
        Patches without which it could not be compiled.
    layer : type
        Its code.
    below : tuple of type
        The layers that it is on top of.
    """

    number: int
    title: str
    message_id: str
    commit: str
    release: str
    summary: str
    files: tuple[str, ...]
    overrides: tuple[str, ...]
    adds: tuple[str, ...]
    needs: tuple[int, ...]
    layer: type[Layer]
    below: tuple[type[Layer], ...] = field(compare=False)

    def source(self) -> Listing:
        """Its code, with the numbers that the lines have in their file.

        Returns
        -------
        Listing
            Highlighted in a notebook, plain text in a terminal.
        """
        from .series.reading import source

        return source(self.layer, self.below)

    def diff(self, side_by_side: bool = False, context: int | None = None) -> Difference:
        """What it changes: each of its functions, against the one in the kernel below it.

        Parameters
        ----------
        side_by_side : bool
            Two columns in a notebook; a terminal shows a unified diff in any case.
        context : int or None
            How many equal lines are shown around different ones; None is all.

        Returns
        -------
        Difference

        Raises
        ------
        ValueError
            If `context` is not a number of lines.
        """
        from .series.reading import patch_difference

        return patch_difference(self, side_by_side, context)

    def demonstrate(self, **parameters: Any) -> Demonstration:
        """What it is for, measured: the kernel without it against the kernel with it.

        Parameters
        ----------
        **parameters
            What the experiment is to be made with, such as ``memory="16 GiB"`` or ``costs=ld.Costs(destroy="3 us")``;
            `lazydestroy.demonstrations.accepted` says which there are.

        Returns
        -------
        Demonstration

        Raises
        ------
        ValueError
            If a value is not accepted, or this is neither a patch of version 1 nor a commit of ``linux_latest``.
        TypeError
            If there is no such parameter: says which ones there are.
        """
        from .demonstrations import demonstrate

        return demonstrate(self, **parameters)

    def __repr__(self) -> str:
        from .series.reading import patch_text

        return patch_text(self)

    def _repr_html_(self) -> str:
        from .series.reading import patch_html

        return patch_html(self)


def functions_of(owner: type) -> Iterator[tuple[str, FunctionType]]:
    """The functions that a class itself has, with their names; those behind properties and static methods, too."""
    for name in vars(owner):
        function = function_of(owner, name)
        if function is not None:
            yield name, function


def function_of(owner: type, name: str) -> FunctionType | None:
    """One of the functions that a class itself has; None if it has no such function."""
    value = vars(owner).get(name)
    if isinstance(value, property):
        value = value.fget
    elif isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    function: object = inspect.unwrap(value) if callable(value) else None
    return function if isinstance(function, FunctionType) else None


def summary_of(layer: type) -> str:
    """What a layer says of itself; the docstring of `Layer` is not meant."""
    docs = (vars(base).get("__doc__") for base in layer.__mro__ if base not in Layer.__mro__)
    return next((inspect.cleandoc(doc) for doc in docs if doc), "")


def patch_of(layer: type[Layer], below: tuple[type[Layer], ...]) -> Patch:
    """What is known about a layer that is a patch, on top of the layers `below`."""
    assert layer.number is not None
    number, kernel = layer.number, compose(below)
    mailed = layer.__module__.startswith(f"{_OURS}.")
    own = [base for base in reversed(layer.__mro__) if base not in kernel.__mro__]
    functions = tuple(dict.fromkeys(name for base in own for name, _ in functions_of(base)))
    return Patch(
        number=number,
        title=layer.title,
        message_id=layer.cover_letter.replace("-1-", f"-{number + 1}-") if mailed and not layer.commit else "",
        commit=layer.commit,
        release=layer.release,
        summary=summary_of(layer),
        files=layer.files,
        overrides=tuple(name for name in functions if hasattr(kernel, name)),
        adds=tuple(name for name in functions if not hasattr(kernel, name)),
        needs=layer.needs,
        layer=layer,
        below=below,
    )


@lru_cache(maxsize=128)
def compose(layers: tuple[type, ...]) -> type[Kernel]:
    """The kernel with `layers` on it, the last one on top."""
    return type("Kernel", (*reversed(layers), Kernel), {})


class Series:
    """A kernel: the one before the series, with some of its patches and perhaps layers of your own on top.

    Iterating gives the `Patch` objects in order. Two series with the same layers are equal.

    Raises
    ------
    ValueError
        If `layers` is no tuple of layers, or a name is no text.

    Examples
    --------
    >>> from lazydestroy.series import v1
    >>> len(v1), v1.upto(7), v1.without(6)
    (11, ld.series.v1.upto(7), ld.series.v1.without(6))
    """

    def __init__(self, layers: tuple[type[Layer], ...], name: str, code: str = "") -> None:
        all_layers = isinstance(layers, tuple) and all(isinstance(each, type) for each in layers)
        if not all_layers or not all(issubclass(each, Layer) for each in layers):
            raise ValueError(f"layers={shown(layers)}: use a tuple of layers; v1.plus(...) makes one of any class")
        for parameter, text in (("name", name), ("code", code)):
            if not isinstance(text, str):
                raise ValueError(f"{parameter}={shown(text)}: use text, such as 'v1.upto(7)'")
        self.layers = layers
        self.name = name
        self._code = code or name

    def __reduce__(self) -> tuple[Any, ...]:
        written = tuple(vars(layer).get("_written", layer) for layer in self.layers)
        return _stacked, (written, self.name, self._code)

    def _but(self, layers: tuple[type[Layer], ...], how: str, code: str = "") -> Series:
        """Another kernel; `how` it is made of this one, and the same as Python that runs, if that is another text."""
        return Series(layers, f"{self.name}.{how}", f"{self._code}.{code or how}")

    @property
    def kernel(self) -> type[Kernel]:
        """The class of this kernel."""
        return compose(self.layers)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the patches in it."""
        return tuple(layer.number for layer in self.layers if layer.number is not None)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the module parameters that it has."""
        return tuple(layer.parameter for layer in self.layers if layer.parameter)

    def __iter__(self) -> Iterator[Patch]:
        for place, layer in enumerate(self.layers):
            if layer.number is not None:
                yield patch_of(layer, self.layers[:place])

    def __len__(self) -> int:
        return len(self.numbers)

    def __contains__(self, patch: object) -> bool:
        """Whether a patch is in it: that of a number, or a layer, perhaps in the form that a later version gave it."""
        if isinstance(patch, type):
            return any(issubclass(layer, patch) for layer in self.layers)
        return _number(patch) in self.numbers

    def __getitem__(self, number: int) -> Patch:
        """The patch with that number (not place)."""
        wanted = _number(number)
        for place, layer in enumerate(self.layers):
            if layer.number is not None and layer.number == wanted:
                return patch_of(layer, self.layers[:place])
        raise KeyError(f"patch {shown(number)} is not in {self!r}, which has {self.numbers}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Series) and self.layers == other.layers

    def __hash__(self) -> int:
        return hash(self.layers)

    def __repr__(self) -> str:
        return f"ld.series.{self._code}"

    def _repr_html_(self) -> str:
        from .series.reading import series_html

        return series_html(self)

    def upto(self, number: int) -> Series:
        """The kernel with the patches 1 to `number`. 0 is the kernel before the series.

        Layers of one's own do not come along; a fix comes along if all the patches that it fixes are there.

        Raises
        ------
        ValueError
            If there is no such patch, or one of them needs a patch that is not in this kernel.
        """
        last = max(self.numbers, default=0)
        until = _number(number)
        if until is None or not 0 <= until <= last:
            raise ValueError(f"upto({shown(number)}): use a number from 0 to {last}")
        kept = self._with([kept for kept in self.numbers if kept <= until], own=False)
        return self._but(kept, f"upto({until})") if kept != self.layers else self

    def _with(self, numbers: list[int], own: bool) -> tuple[type[Layer], ...]:
        """The layers of some patches, and the fixes that they still need; with layers of one's own, or without."""
        return tuple(
            layer
            for layer in self.layers
            if layer.number in numbers
            or (layer.number is None and (set(layer.fixes) <= set(numbers) if layer.fixes else own))
        )

    def without(self, *numbers: int) -> Series:
        """The kernel without some patches.

        Raises
        ------
        ValueError
            If one is not in it, or a patch that stays needs one that goes.
        """
        for number in numbers:
            if _number(number) not in self.numbers:
                raise ValueError(f"without({shown(number)}): {self!r} has the patches {self.numbers}")
        numbers = tuple(map(int, numbers))
        kept = self._with([kept for kept in self.numbers if kept not in numbers], own=True)
        for layer in kept:
            missing = [number for number in layer.needs if number in numbers]
            if missing:
                also = ", ".join(str(number) for number in self._needing(numbers))
                name = f"patch {layer.number} ({layer.title})" if layer.number is not None else layer.__name__
                raise ValueError(
                    f"without({', '.join(map(str, numbers))}) could not be compiled: {name} needs patch {missing[0]}"
                    + (f". Leave out {also} as well" if also else "")
                )
        return self._but(kept, f"without({', '.join(map(str, numbers))})") if numbers else self

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
            If one is not a class, or Python cannot put them on top of each other: one is there already, or is no
            ordinary class.
        """
        for layer in layers:
            if not isinstance(layer, type):
                raise ValueError(f"plus({shown(layer)}): a layer is a class")
        try:
            own = tuple(map(layer_of, layers))
            compose((*self.layers, *own))
        except TypeError as error:
            said = " ".join(str(error).split())
            written = ", ".join(layer.__name__ for layer in layers)
            raise ValueError(f"plus({written}): Python cannot put them on top of each other: {said}") from None
        names = ", ".join(layer.__name__ for layer in layers)
        return self._but((*self.layers, *own), f"plus({names})", f"plus({', '.join(map(_code_of, layers))})")


@lru_cache(maxsize=128)
def layer_of(written: type) -> type[Layer]:
    """A class as a layer: itself if it is one, else one made of it, which has its name and remembers it."""
    if issubclass(written, Layer):
        return written
    return type(written.__name__, (written, Layer), {"_written": written})


def _stacked(written: tuple[type, ...], name: str, code: str) -> Series:
    """A kernel that was pickled: pickle finds classes by their names, and a class that `layer_of` made has none."""
    return Series(tuple(map(layer_of, written)), name, code)


def _number(value: object) -> int | None:
    """The number that a value is; None if it is none."""
    try:
        return whole_number(value, "number")
    except ValueError:
        return None


def _code_of(layer: type) -> str:
    """How a layer is written: this package's own can be reached by name, yours has the name that you gave it."""
    if not layer.__module__.startswith(f"{_OURS}."):
        return layer.__name__
    public = getattr(sys.modules[_OURS], layer.__name__, None) is layer
    module = "" if public else layer.__module__.removeprefix(f"{_OURS}.") + "."
    return f"ld.series.{module}{layer.__name__}"
