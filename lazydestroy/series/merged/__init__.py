"""What was merged: the commits of Linux 5.16, 6.0 and 6.2 that make the asynchronous destroy, one file a commit.

They stand in the order of merging, and are numbered from 1. Where a commit has the text of a patch of version 1, its
layer is that patch with another number. Four commits have no layer, as they change nothing that runs here: 1e2aa46de526
(no stalls while a configuration is created), be48d86f77f0 (makes ``kvm_s390_cpus_from_pv`` visible), da15fbc646f3 (puts
``kvm_s390_pv_deinit_vm`` in order) and d9459922a15c (documents the two commands).
"""

from ...layers import Series
from .m01_sida import NoDoubleFreeOfSida
from .m02_avoid_stalls import AvoidStalls
from .m03_page_flags import MergedPageFlags
from .m04_leak_asce import LeakTopmostTable
from .m05_secure_storage_violation import MergedSecureStorageViolation
from .m06_secure_storage_exception import MergedSecureStorageException
from .m07_refactor_reset_acc import MergedRefactorResetAcc
from .m08_usage_counter import MergedUsageCounter
from .m09_export_before_import import MergedExportBeforeImport
from .m10_clear_without_memset import ClearWithoutMemset
from .m11_mmu_notifier import MmuNotifier
from .m12_destroy_at_tear_down import DestroyAtTearDown
from .m13_configuration_first import ConfigurationFirst
from .m14_asynchronous_destroy import AsynchronousDestroy
from .m15_capability import Capability
from .m16_avoid_export import AvoidExport
from .m17_destroy_fast import DestroyFast
from .m18_async_destroy import AsyncDestroyParameter
from .m19_small_vms import SmallVms
from .m20_count_from_above_zero import CountFromAboveZero
from .m21_relax_warning import RelaxWarning
from .m22_interrupts_in_kvm import InterruptsInKvm
from .m23_no_list_of_tables import NoListOfTables
from .m24_register_first import RegisterFirst
from .others import OTHER_FOLLOW_UPS

linux_6_2 = Series(
    (
        NoDoubleFreeOfSida,
        AvoidStalls,
        MergedPageFlags,
        LeakTopmostTable,
        MergedSecureStorageViolation,
        MergedSecureStorageException,
        MergedRefactorResetAcc,
        MergedUsageCounter,
        MergedExportBeforeImport,
        ClearWithoutMemset,
        MmuNotifier,
        DestroyAtTearDown,
        ConfigurationFirst,
        AsynchronousDestroy,
        Capability,
        AvoidExport,
        DestroyFast,
        AsyncDestroyParameter,
    ),
    "linux_6_2",
)
"""The asynchronous destroy as it was merged into Linux 6.2."""

linux_latest = Series(
    (
        *linux_6_2.layers,
        SmallVms,
        CountFromAboveZero,
        RelaxWarning,
        InterruptsInKvm,
        NoListOfTables,
        RegisterFirst,
    ),
    "linux_latest",
)
"""The same, and what was changed since, up to the gmap rewrite of Linux 7.0.

``linux_latest.without(n)`` has the fault that commit n fixed. What no layer shows is in `OTHER_FOLLOW_UPS`. One commit
is in neither, as it changes nothing that runs: 59a881402cc8, a helper that asks for the Ultravisor's features.
"""

__all__ = ["OTHER_FOLLOW_UPS", "linux_6_2", "linux_latest"]
