"""Pictures of runs and machines, of traces and demonstrations.

Each picture says what it found in its title, and in words for those who do not see it (`Picture.words`). Panels draw
into axes that stay: `lazydestroy.widgets` shows one run after another in them. Nothing else in the package imports
matplotlib.
"""

from .answer import plot_answer
from .demonstration import plot_demonstration
from .lanes import run_end
from .memory import MemoryPanel
from .pages import plot_pages
from .picture import PALETTE, Look, Picture, words_html
from .runs import plot_memory, plot_run, plot_timeline
from .scaling import ScalingPanel, describe_scaling, downtimes, plot_scaling, scaling_finding
from .timeline import TimelinePanel
from .trace import plot_trace
from .words import describe, finding, kernel_name, memory_finding, setting

__all__ = [
    "PALETTE",
    "Look",
    "MemoryPanel",
    "Picture",
    "ScalingPanel",
    "TimelinePanel",
    "describe",
    "describe_scaling",
    "downtimes",
    "finding",
    "kernel_name",
    "memory_finding",
    "plot_answer",
    "plot_demonstration",
    "plot_memory",
    "plot_pages",
    "plot_run",
    "plot_scaling",
    "plot_timeline",
    "plot_trace",
    "run_end",
    "scaling_finding",
    "setting",
    "words_html",
]
