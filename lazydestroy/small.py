"""The machine of the lessons: small enough to look at page by page, with a protected guest that has used its memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .machine import Machine
from .page import PAGE_SIZE
from .series import Series, v1_fixed
from .units import flag, several, whole_number


def small_machine(
    pages: int = 8,
    *,
    kernel: Series = v1_fixed,
    touched: Iterable[int] | None = None,
    protected: bool = True,
    **options: Any,
) -> Machine:
    """A machine of a few pages, whose guest has gone protected and used its memory.

    The kernel's limits are made for guests of gigabytes. Here they are small, too: no page counts as low memory, which
    is cleaned first, and the guest's top-level page table is as for a large guest.

    Parameters
    ----------
    pages : int
        Pages of the guest, 1 to 64.
    kernel : Series
    touched : iterable of int, optional
        The pages that the guest touches, in this order. Without it: all of them.
    protected : bool
        False: the guest stays a normal one.
    **options
        Parameters of `Machine`, such as ``low_memory=`` and ``segment_table=``, which are 0 here if they are not given.

    Returns
    -------
    Machine

    Raises
    ------
    ValueError
        If a value is not accepted.

    Examples
    --------
    >>> import lazydestroy as ld
    >>> m = ld.small_machine(4, touched=(1, 2))
    >>> print(m.read(1).saw)
    ciphertext of A
    """
    count = whole_number(pages, "pages", 1, 64)
    machine = Machine(count * PAGE_SIZE, kernel=kernel, **{"low_memory": 0, "segment_table": 0, **options})
    machine.boot()
    if flag(protected, "protected"):
        machine.protect()
    order = range(count) if touched is None else several(touched, "touched", f"pages 0 to {count - 1}")
    for page in order:
        machine.touch(whole_number(page, "touched", 0, count - 1))
    return machine


__all__ = ["small_machine"]
