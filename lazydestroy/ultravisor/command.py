"""How a call is taken: the block it wants, the answer that ends it, the bytes that hold it."""

from __future__ import annotations

import re
from collections.abc import Callable
from ctypes import Structure, sizeof
from typing import Any, NamedTuple

from ..units import bad_value
from ..uvcb import UVC, UVC_CC_ERROR, uv_cb_header
from .codes import REFUSED

NUMBERS = {int(number): number for number in UVC}


class Refused(Exception):
    """Ends a call with something else than cc 0, rc 1."""

    def __init__(self, rc: int, rrc: int = 0, cc: int = UVC_CC_ERROR, outcome: str = REFUSED) -> None:
        self.rc, self.rrc, self.cc, self.outcome = rc, rrc, cc, outcome


class Command(NamedTuple):
    """How a call is carried out. The query has no block: it takes any length, within reason."""

    perform: Callable[..., tuple[str, int]]
    block: type[Structure] | None
    length: int
    needs_initialised: bool


def command(perform: Callable[..., tuple[str, int]], block: type[Structure], needs_initialised: bool = True) -> Command:
    """A call that takes a block of one length."""
    return Command(perform, block, sizeof(block), needs_initialised)


def header_of(uvcb: Any) -> uv_cb_header:
    """The header of a control block, or of the bytes that hold one.

    Raises
    ------
    ValueError
        If it can't be read and written like a control block.
    """
    if isinstance(uvcb, uv_cb_header):
        return uvcb
    header = getattr(uvcb, "header", None)
    if isinstance(header, uv_cb_header):
        return header
    try:
        if "O" in re.sub(":[^:]*:", "", memoryview(uvcb).format):  # without the names of fields
            raise ValueError("it holds Python's objects")
        return uv_cb_header.from_buffer(uvcb)
    except (TypeError, ValueError) as error:
        raise bad_value("uvcb", uvcb, f"cannot be read and written ({error})", _ACCEPTED) from None


_ACCEPTED = "a control block of lazydestroy.uvcb, or a writable buffer of bytes that has one, such as a bytearray"


def view(uvcb: Any, kind: Any) -> Any:
    """The same bytes, as a block of another kind.

    Raises
    ------
    ValueError
        If there are fewer bytes than the header says.
    """
    try:
        return kind.from_buffer(uvcb)
    except ValueError:
        raise ValueError(f"uvcb={uvcb!r}: shorter than the {sizeof(kind):#x} bytes that its header says") from None
