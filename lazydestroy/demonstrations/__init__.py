"""What each patch is good for: two kernels that differ in it, the same experiment on both, a finding.

`demonstrate` runs one. The experiments are grouped by what they are about: `teardown` has the patches that show on the
kernel before lazy destroy (1, 2, 5), `reuse` those about pages that have two owners one after the other (3, 4, 6, 7,
11), `lazy` those about time (8, 9, 10). A commit that was merged and does what one of these does shares its experiment.
The other commits: `ending` has what Linux 5.16 and 6.0 changed in how a VM ends, `asynchronous` the commands of Linux
6.2, and `since` what was fixed since. `comparison` says which two kernels are compared, and `result` what comes out.
Nothing is drawn here.
"""

from __future__ import annotations

from typing import Any

from ..series import Patch
from ..units import plain
from . import asynchronous, ending, lazy, reuse, since, teardown
from .comparison import DEMONSTRATIONS, MERGED, accepted, compared, place_of, registered
from .result import Demonstration, Measure


def demonstrate(number: int | Patch, **parameters: Any) -> Demonstration:
    """Run the experiment of one patch: without it, and with it.

    Parameters
    ----------
    number : int or Patch
        Number of a patch of version 1, 1 to 11; or a patch, such as ``ld.series.linux_6_2[14]``.
    **parameters
        Those of the experiment; all take ``costs``, and ``memory``, the size of the guest. `accepted` lists them. What
        they mean is said where they go: `lazydestroy.reboot`, `lazydestroy.shutdown`, or the experiment itself.

    Returns
    -------
    Demonstration
        ``finding`` is what it comes to in a sentence, ``shows`` whether the patch made the difference that it is for.

    Raises
    ------
    ValueError
        If there is no such patch, it has no demonstration, or a value is not accepted: says which, and what is.
    TypeError
        If the experiment has no such parameter: says which ones it has.
    NotEnoughMemory
        If this computer has not the memory for a run.

    Examples
    --------
    >>> shown = demonstrate(9, memory="1 GiB")
    >>> shown.shows, shown.measures[1].without, shown.measures[1].with_
    (True, 262144, 515)
    """
    names = accepted(number)
    for name in parameters:
        if name not in names:
            of = f"the demonstration of patch {place_of(number)[1]}"
            raise TypeError(f"{of} has no parameter {name!r}; it takes {', '.join(sorted(names))}")
    parameters = {name: plain(value, name) for name, value in parameters.items()}
    return registered(number).experiment(compared(number, parameters), **parameters)


__all__ = [
    "DEMONSTRATIONS",
    "MERGED",
    "Demonstration",
    "Measure",
    "accepted",
    "asynchronous",
    "demonstrate",
    "ending",
    "lazy",
    "reuse",
    "since",
    "teardown",
]
