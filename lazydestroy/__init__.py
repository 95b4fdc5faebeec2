"""lazydestroy: an executable review of a Linux kernel patch series.

In May 2021 a series taught s390 KVM to tear down protected guests in the background. This package is a model on
which the series runs: `reboot` and `shutdown` a guest, with any of the patches, and see what it costs; or drive a
`Machine` by hand. Pictures (`plot`), widgets and exercises are loaded when they are asked for.

>>> import lazydestroy as ld
>>> run = ld.reboot("4 GiB", kernel=ld.series.v1.upto(0))
>>> run.foreground[ld.UVC.DESTR_SEC_STOR]
1048576
"""

from typing import TYPE_CHECKING, Any

from .collecting import rarely_collecting as _rarely_collecting

try:
    with _rarely_collecting():
        from . import questions, series, uvcb
except ModuleNotFoundError as error:
    if error.name != f"{__name__}._core":
        raise
    raise ImportError(
        f"Python found the sources of lazydestroy, in {__path__[0]}, before the installed package, and their core is "
        "not built. Start Python in another folder; or, to work on the sources, run: pip install -e ."
    ) from None

from .costs import Costs
from .designs import compare
from .limits import NotEnoughMemory
from .machine import Access, Machine
from .questions import QUESTIONS, Answer, Question, answers, ask
from .run import Event, Run
from .scenarios import reboot, reboot_loop, shutdown
from .small import small_machine
from .ultravisor import Interruption, Ultravisor
from .uvcb import UVC

if TYPE_CHECKING:
    from . import exercises, live, toy
    from .exercises import exercise, progress
    from .sweeps import sweep
    from .widgets.predicting import predict
    from .widgets.quiz import quiz

Machine.default_kernel = series.v1

__version__ = "0.1.0"

__all__ = [
    "QUESTIONS",
    "UVC",
    "Access",
    "Answer",
    "Costs",
    "Event",
    "Interruption",
    "Machine",
    "NotEnoughMemory",
    "Question",
    "Run",
    "Ultravisor",
    "answers",
    "ask",
    "compare",
    "exercise",
    "exercises",
    "live",
    "predict",
    "progress",
    "questions",
    "quiz",
    "reboot",
    "reboot_loop",
    "series",
    "shutdown",
    "small_machine",
    "sweep",
    "toy",
    "uvcb",
]


_LATER = {
    "exercise": ".exercises",
    "exercises": ".exercises",
    "live": ".live",
    "predict": ".widgets.predicting",
    "progress": ".exercises",
    "quiz": ".widgets.quiz",
    "sweep": ".sweeps",
    "toy": ".toy",
}
"""What is loaded when it is first asked for, and from where: a reader who only measures doesn't wait for it."""


def __getattr__(name: str) -> Any:
    """Load what is not needed by everyone."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    with _rarely_collecting():
        module = import_module(_LATER[name], __name__)
    return module if name in ("exercises", "live", "toy") else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
