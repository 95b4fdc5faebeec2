"""Sweeps: a scenario with many inputs, on one core or on many, as a labelled array.

`sweep` needs xarray, which is loaded when it is called. `figures` has the numbers of a run that are kept, `inputs` what
varies, `keeping` the Dataset and its file; `lazydestroy.executors` shares the work out.
"""

from .figures import FIGURES, Figure
from .keeping import reproduce
from .sweeping import sweep

__all__ = ["FIGURES", "Figure", "reproduce", "sweep"]
