"""Controls to explore with in a notebook: move a slider, and the pictures follow.

`bench` is the lab bench: all controls and pictures on one page; its parts serve the lessons.
`explore_reboot` and `explore_shutdown` return an `Explorer`, which is a widget and which Jupyter shows; where there is
no kernel, its picture. `explore_question` returns an `Asker`: one of the reviewers' questions with controls for what
decides the answer. `drop_a_patch` returns a `PatchDropper`: a menu, and the shortest way to trouble. `predict` lets you
choose what will happen before you see it; `quiz` asks at the end of a lesson; `measure_exits` measures your computer;
`choose` is a slider over values of your own. Nothing else in the package imports ipywidgets.
"""

from .asking import Asker, explore_question
from .choosing import Chooser, choose
from .controls import KERNELS, memory_sizes
from .dropper import PatchDropper, drop_a_patch
from .exits import MeasuredExits, measure_exits
from .explorer import Explorer, explore_reboot, explore_shutdown
from .lab import Bench, bench
from .predicting import Prediction, predict
from .quiz import Quiz, quiz

__all__ = [
    "KERNELS",
    "Asker",
    "Bench",
    "Chooser",
    "Explorer",
    "MeasuredExits",
    "PatchDropper",
    "Prediction",
    "Quiz",
    "bench",
    "choose",
    "drop_a_patch",
    "explore_question",
    "explore_reboot",
    "explore_shutdown",
    "measure_exits",
    "memory_sizes",
    "predict",
    "quiz",
]
