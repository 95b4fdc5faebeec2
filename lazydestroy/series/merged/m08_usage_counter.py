"""07fbdf7f9347: usage counter instead of flag. The text of patch 6 of version 1."""

from __future__ import annotations

from ..p06_usage_counter import UsageCounter


class MergedUsageCounter(UsageCounter):
    """Count the secure configurations of an address space, instead of a flag: patch 6 of version 1, the same text.

    In the kernel the counter is called ``protected_count`` since version 5; here it keeps the name of the flag.
    """

    number = 8
    commit = "07fbdf7f9347"
    release = "6.0"
