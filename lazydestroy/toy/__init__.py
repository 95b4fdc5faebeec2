"""Toys that the readers of the lessons write themselves: an Ultravisor and a host, method by method.

`check` tries a method on random sequences beside the real model, and says in which the two differ first. `beside` lets
the reader choose what is done to both. `ready` has the toys for those who skip; `keep` and `mine` carry a reader's own
from one notebook to the next.

A toy knows owners, not contents; the model knows both. Only what a toy can know is compared.
"""

from __future__ import annotations

from .beside import Beside, HostBeside, Row, UltravisorBeside, beside
from .checking import check
from .keeping import keep, mine, ready
from .readymade import ReadyHost, ReadyUltravisor

__all__ = [
    "Beside",
    "HostBeside",
    "ReadyHost",
    "ReadyUltravisor",
    "Row",
    "UltravisorBeside",
    "beside",
    "check",
    "keep",
    "mine",
    "ready",
]
