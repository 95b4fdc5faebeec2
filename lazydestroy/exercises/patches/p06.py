"""Patch 6, to be written: the flag "protected guests live here" becomes a counter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...layers import Layer
from ...series import Series, v1_fixed
from ...uvcb import UVC
from ..patching import PatchExercise
from .by_hand import small, zombie

if TYPE_CHECKING:
    from ...kernel import Kernel
    from ...kernel.structs import Mm

TASK = """
    mm.context.is_protected says whether protected guests live in an address space. In this kernel it's a flag: set when
    a guest's header has been accepted, and cleared when a configuration is destroyed. With lazy destroy, an address
    space has several configurations for a while.

    Make it a count that is never too small: at 0, the kernel believes that no page of the address space can be secure.
    Write all four functions, in one class:

    configuration_created(self, mm): CREATE_SEC_CONF has been called, and the kernel hasn't checked yet whether it
    failed.

    configuration_refused(self, mm): called after configuration_created if it did fail; there is nothing to destroy.

    parameters_set(self, mm): SET_SEC_CONF_PARAMS has succeeded. (It may also fail. Then this function isn't called, and
    the configuration is destroyed without having run.)

    configuration_destroyed(self, mm, cc): DESTROY_SEC_CONF has been tried, and cc is 0 if it worked.
"""


class Around(Layer):
    """What patch 6 finds around it: the clean-up thread counts by the function that the student writes."""

    def deferred_configuration_destroyed(self: Kernel, mm: Mm, cc: int) -> None:
        """In version 1 the thread counts down by itself, with patch 6 and without."""
        self.configuration_destroyed(mm, cc)


class CountedLate(Layer):
    """Count a configuration only when its parameters have been set.

    And if they are refused? Then it is destroyed like any other. Write down the count after each step of the story.
    """

    def configuration_created(self: Kernel, mm: Mm) -> None:
        """Not counted yet."""
        return

    def configuration_refused(self: Kernel, mm: Mm) -> None:
        """Nothing was counted."""
        return

    def parameters_set(self: Kernel, mm: Mm) -> None:
        mm.context.is_protected += 1

    def configuration_destroyed(self: Kernel, mm: Mm, cc: int) -> None:
        if not cc:
            mm.context.is_protected -= 1


class CountedLateWithAFloor(CountedLate):
    """Count a configuration when its parameters have been set, and never count below 0.

    A floor hides the error. Which configuration was counted down when one was destroyed that had not been counted?
    """

    def configuration_destroyed(self: Kernel, mm: Mm, cc: int) -> None:
        if not cc and mm.context.is_protected:
            mm.context.is_protected -= 1


class _Counted(Layer):
    def configuration_created(self: Kernel, mm: Mm) -> None:
        mm.context.is_protected += 1

    def configuration_refused(self: Kernel, mm: Mm) -> None:
        mm.context.is_protected -= 1

    def parameters_set(self: Kernel, mm: Mm) -> None:
        """It has been counted."""
        return

    def configuration_destroyed(self: Kernel, mm: Mm, cc: int) -> None:
        if not cc:
            mm.context.is_protected -= 1


class ClearedAtTheEnd(_Counted):
    """Count up, and set it to 0 when a configuration is destroyed.

    That is a flag that is cleared: who else lives in this address space at that moment?
    """

    def configuration_destroyed(self: Kernel, mm: Mm, cc: int) -> None:
        if not cc:
            mm.context.is_protected = 0


class SetToOne(_Counted):
    """Count, and leave the line that sets the flag.

    What does that line do to a count of 2?
    """

    def parameters_set(self: Kernel, mm: Mm) -> None:
        mm.context.is_protected = 1


class CountedTwice(_Counted):
    """Count a configuration when it is created, and once more when its parameters are set.

    Never too small, but it never comes back to 0 either.
    """

    def parameters_set(self: Kernel, mm: Mm) -> None:
        mm.context.is_protected += 1


class RefusedStillCounts(_Counted):
    """Count up whenever CREATE_SEC_CONF is tried, and leave it at that.

    A configuration that was refused is never destroyed. Who counts it down?
    """

    def configuration_refused(self: Kernel, mm: Mm) -> None:
        """Nothing is done."""
        return


class RefusedIsNothingLeft(_Counted):
    """Set the count to 0 when CREATE_SEC_CONF was refused: there is nothing.

    Nothing of that guest. Who else may live in this address space?
    """

    def configuration_refused(self: Kernel, mm: Mm) -> None:
        mm.context.is_protected = 0


class OldLineAndDown(_Counted):
    """Run the old line as well, and count down from there.

    super() sets the count to 0, whatever it was. And who counts down from 0?
    """

    def configuration_destroyed(self: Kernel, mm: Mm, cc: int) -> None:
        mm.context.is_protected = 0  # as super() does in the kernel without the patch
        if not cc:
            mm.context.is_protected -= 1


class DownInAnyCase(_Counted):
    """Count down as soon as DESTROY_SEC_CONF has been tried.

    If it failed, the configuration is still there, and may own pages.
    """

    def configuration_destroyed(self: Kernel, mm: Mm, cc: int) -> None:
        mm.context.is_protected -= 1


class ModelAnswer:
    """Up early, down late, and down only if it is gone."""

    def configuration_created(self, mm):
        mm.context.is_protected += 1

    def configuration_refused(self, mm):
        mm.context.is_protected -= 1

    def parameters_set(self, mm):
        return  # it has been counted

    def configuration_destroyed(self, mm, cc):
        if not cc:
            mm.context.is_protected -= 1


def counts_what_is_there(kernel: Series) -> str:
    """The count after each step of an ordinary life."""
    machine = small(kernel)
    counts = []
    machine.protect()
    counts.append(("A runs", 1, machine.mm.context.is_protected))
    machine.reboot()
    machine.touch(0)
    machine.protect()
    counts.append(("A is a zombie, and B runs", 2, machine.mm.context.is_protected))
    machine.run()
    counts.append(("A is destroyed, and B runs", 1, machine.mm.context.is_protected))
    machine.exit()
    machine.run()
    counts.append(("All are destroyed", 0, machine.mm.context.is_protected))
    wrong = [
        f"{when}: {there} configuration{'s' if there != 1 else ''}, but the count is {count}"
        for when, there, count in counts
        if there != count
    ]
    return "; ".join(wrong) and "; ".join(wrong) + "."


def a_refused_one_does_not_count(kernel: Series) -> str:
    """CREATE_SEC_CONF fails, with nothing to destroy."""
    for machine, there, when in (
        (small(kernel), 0, "CREATE_SEC_CONF was refused, and there is no configuration"),
        (zombie(kernel, (5,)), 1, "A is a zombie, CREATE_SEC_CONF was refused for B, and there is one configuration"),
    ):
        machine.uv.fail(UVC.CREATE_SEC_CONF, 0x104, times=1)
        machine._do(machine.protecting(0, 1), "QEMU")
        if machine.mm.context.is_protected != there:
            return f"{when}, but the count is {machine.mm.context.is_protected}."
    return ""


def one_that_cannot_be_destroyed_counts(kernel: Series) -> str:
    """DESTROY_SEC_CONF fails: the configuration is still there."""
    machine = small(kernel)
    machine.protect()
    machine.uv.fail(UVC.DESTROY_SEC_CONF, 0x111, times=1)
    machine.reboot()
    machine.run()
    count = machine.mm.context.is_protected
    return "" if count == 1 else f"DESTROY_SEC_CONF was refused, A is still there, but the count is {count}."


EXERCISE = PatchExercise(
    name="patch-6",
    title="a usage counter instead of a flag",
    lesson="course/07-a-counter-instead-of-a-flag.ipynb",
    task=TASK,
    kernel=v1_fixed.without(6, 10).plus(Around),
    writes=("configuration_created", "configuration_refused", "parameters_set", "configuration_destroyed"),
    searches=(
        {"failures": (), "sharing": False},
        {"failures": ("SET_SEC_CONF_PARAMS",), "resets": 0, "sharing": False},
        {"failures": ("DESTROY_SEC_CONF",), "configurations": 1, "sharing": False},
    ),
    probes=(counts_what_is_there, a_refused_one_does_not_count, one_that_cannot_be_destroyed_counts),
    mistakes=(
        CountedLate,
        CountedLateWithAFloor,
        ClearedAtTheEnd,
        SetToOne,
        OldLineAndDown,
        CountedTwice,
        RefusedStillCounts,
        RefusedIsNothingLeft,
        DownInAnyCase,
    ),
    decisive=(one_that_cannot_be_destroyed_counts,),
    model_answer=ModelAnswer,
    steps=(
        (
            "Up as soon as the call has been tried: from then on there may be a configuration. Counting when the "
            "parameters are set is too late, since a configuration can be destroyed without ever having got there."
        ),
        "Down again if it was refused: no other function does that.",
        "Nothing to do when the parameters are set, but the old line that sets the flag to 1 must go.",
        (
            "Down when it was destroyed, and only then. One that could not be destroyed may own pages, and counts "
            "forever."
        ),
    ),
)
