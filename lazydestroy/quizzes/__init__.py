"""What the lessons ask: a quiz at the end of a lesson, and predictions before something is shown. All of it is data.

Each lesson has a file ``NAME.toml`` here. `quiz_named` and `prediction_named` read it and check it, and
`lazydestroy.widgets` shows it. Nothing here imports ipywidgets.
"""

from .asking import Asked, Choice, read
from .files import names, prediction_named, predictions, quiz_named
from .predicting import Option, Predicted

__all__ = [
    "Asked",
    "Choice",
    "Option",
    "Predicted",
    "names",
    "prediction_named",
    "predictions",
    "quiz_named",
    "read",
]
