"""Pictures of runs and machines, of traces and demonstrations.

Each picture says what it found in its title, and in words for those who do not see it (`Picture.words`). Panels draw
into axes that stay: `lazydestroy.widgets` shows one run after another in them. Nothing else in the package imports
matplotlib.
"""

from .answer import plot_answer
from .demonstration import plot_demonstration
from .exits import plot_exits
from .fates import plot_fates
from .lanes import run_end
from .lifecycle import plot_life_cycle
from .many import plot_many
from .memory import MemoryPanel
from .pagemap import MapPanel, describe_map, map_finding, map_picture, plot_map
from .pages import plot_pages
from .picture import PALETTE, Look, Picture, png_of, scale, styled, words_html
from .ranges import plot_ranges
from .runs import plot_memory, plot_run, plot_timeline, write_name
from .scaling import ScalingPanel, describe_scaling, downtimes, plot_scaling, scaling_finding
from .timeline import TimelinePanel
from .trace import plot_trace
from .waiting import (
    WaitingPanel,
    describe_waiting,
    plot_waiting,
    waiting_end,
    waiting_finding,
    waiting_height,
    waiting_picture,
    waiting_setting,
)
from .words import (
    compared,
    comparison,
    describe,
    describe_memory,
    finding,
    in_common,
    kernel_name,
    memory_finding,
    setting,
)

__all__ = [
    "PALETTE",
    "Look",
    "MapPanel",
    "MemoryPanel",
    "Picture",
    "ScalingPanel",
    "TimelinePanel",
    "WaitingPanel",
    "compared",
    "comparison",
    "describe",
    "describe_map",
    "describe_memory",
    "describe_scaling",
    "describe_waiting",
    "downtimes",
    "finding",
    "in_common",
    "kernel_name",
    "map_finding",
    "map_picture",
    "memory_finding",
    "plot_answer",
    "plot_demonstration",
    "plot_exits",
    "plot_fates",
    "plot_life_cycle",
    "plot_many",
    "plot_map",
    "plot_memory",
    "plot_pages",
    "plot_ranges",
    "plot_run",
    "plot_scaling",
    "plot_timeline",
    "plot_trace",
    "plot_waiting",
    "png_of",
    "run_end",
    "scale",
    "scaling_finding",
    "setting",
    "styled",
    "waiting_end",
    "waiting_finding",
    "waiting_height",
    "waiting_picture",
    "waiting_setting",
    "words_html",
    "write_name",
]
