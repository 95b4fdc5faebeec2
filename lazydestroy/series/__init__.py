"""The series of 17 May 2021, "KVM: s390: pv: implement lazy destroy", version 1: one file a patch.

``v1`` stacks all eleven on the kernel before; ``v1.upto(n)``, ``v1.without(n, ...)`` and ``v1.plus(layer)`` give other
kernels. ``v1_fixed`` has version 1's own bugs fixed (`BUGS`); ``check`` searches for what breaks a kernel, and
``how_far`` tells how far it gets with larger machines.

``linux_6_2`` has what was merged, one file a commit, and ``linux_latest`` what was changed since.

`VERSIONS` tells what became of the series, from version 1 to what Linux has. ``v4`` is version 4, lazy destroy for
reboot alone; ``v8`` is version 8, the first form of what was merged. ``linux_6_2`` is what was merged, and
`FINDINGS_6_2` what the search finds wrong with it; ``linux_latest`` has what was fixed since. `OomNotifier`,
`OnePrepared`, `OneAtATime` and `range_call` are layers for ``plus``: other designs.
"""

from ..layers import COVER_LETTER, Layer, Patch, Series
from .bounds import Bounds
from .check import Verdict, check
from .far import Far, how_far
from .findings import FINDINGS_6_2, Finding
from .fixes import FIXES, OTHER_BUGS, Bug, OtherBug, bugs_of
from .later import OneAtATime, OnePrepared
from .merged import OTHER_FOLLOW_UPS, linux_6_2, linux_latest
from .oom_notifier import OomNotifier
from .p01_leak_asce import LeakAsce
from .p02_page_flags import PageFlags
from .p03_secure_storage_violation import SecureStorageViolation
from .p04_secure_storage_exception import SecureStorageException
from .p05_refactor_reset_acc import RefactorResetAcc
from .p06_usage_counter import UsageCounter
from .p07_export_before_import import ExportBeforeImport
from .p08_lazy_destroy_reboot import LazyDestroyForReboot
from .p09_lazy_destroy_shutdown import LazyDestroyForShutdown
from .p10_module_parameter import ModuleParameter
from .p11_feature_bits import FeatureBits
from .ranges import RangeCall, costs_in_a_range, longest_call_ns, range_call
from .trace import Trace
from .version import Fact, Version
from .version4 import PATCHES as _PATCHES_OF_V4
from .version8 import AsyncDisable
from .versions import VERSIONS

v1 = Series(
    (
        LeakAsce,
        PageFlags,
        SecureStorageViolation,
        SecureStorageException,
        RefactorResetAcc,
        UsageCounter,
        ExportBeforeImport,
        LazyDestroyForReboot,
        LazyDestroyForShutdown,
        ModuleParameter,
        FeatureBits,
    ),
    "v1",
)
"""The whole series."""

v1_fixed = Series((*v1.layers, *FIXES), "v1_fixed")
"""The whole series, and those of its own bugs fixed that the model can show."""

v4 = Series(_PATCHES_OF_V4, "v4")
"""Version 4 of August 2021: lazy destroy for reboot alone (`lazydestroy.series.version4`)."""

v8 = Series((*linux_6_2.upto(12).layers, AsyncDisable, linux_6_2[15].layer, linux_6_2[16].layer), "v8")
"""Version 8 of March 2022: userspace's thread in its first form (`lazydestroy.series.version8`)."""

BUGS = bugs_of(v1)
"""What was wrong with version 1, as far as the model can show it. `OTHER_BUGS` lists what else is known."""

__all__ = [
    "BUGS",
    "COVER_LETTER",
    "FINDINGS_6_2",
    "FIXES",
    "OTHER_BUGS",
    "OTHER_FOLLOW_UPS",
    "VERSIONS",
    "Bounds",
    "Bug",
    "Fact",
    "Far",
    "Finding",
    "Layer",
    "OneAtATime",
    "OnePrepared",
    "OomNotifier",
    "OtherBug",
    "Patch",
    "RangeCall",
    "Series",
    "Trace",
    "Verdict",
    "Version",
    "check",
    "costs_in_a_range",
    "how_far",
    "linux_6_2",
    "linux_latest",
    "longest_call_ns",
    "range_call",
    "v1",
    "v1_fixed",
    "v4",
    "v8",
]
