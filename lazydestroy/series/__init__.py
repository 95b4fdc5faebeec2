"""The series of 17 May 2021, "KVM: s390: pv: implement lazy destroy", version 1: one file a patch.

``v1`` stacks all eleven on the kernel before; ``v1.upto(n)``, ``v1.without(n, ...)`` and ``v1.plus(layer)`` give other
kernels.
"""

from .layer import COVER_LETTER, Layer, Patch, Series
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

__all__ = ["COVER_LETTER", "Layer", "Patch", "Series", "v1"]
