"""The same trick on your own computer: how long the end of a process takes, and when its memory is back.

Everything else in this package is a model. This is a measurement, on the Linux that you run: `exit_time` starts a
process with so much memory, kills it, and watches. With ``helper=True`` a second process shares the memory and dies
last, as QEMU has it done (``-run-with async-teardown=on``). `fit` takes the model's costs from what was measured, and
predicts a size that was not. No privileges are needed, and only processes are touched that this module has started.

Where it cannot run, `why_not` says why, and `exit_time` answers with figures that were recorded elsewhere: they say so.
"""

from .fitting import Fit, Prediction, fit
from .measuring import Exit, about, exit_time, largest, sizes, why_not

__all__ = ["Exit", "Fit", "Prediction", "about", "exit_time", "fit", "largest", "sizes", "why_not"]
