"""Failures to come: a test or a lesson lets a call fail that would have succeeded."""

from __future__ import annotations

from ..units import shown, whole_number
from ..uvcb import UVC, UVC_CC_ERROR, UVC_CC_PARTIAL, UVC_RC_EXECUTED
from .codes import NOOP, REFUSED
from .command import NUMBERS, Refused
from .state import Remembered
from .structs import Fault


class Faults(Remembered):
    """Fault injection."""

    def fail(
        self,
        cmd: UVC,
        rc: int,
        rrc: int = 0,
        *,
        handle: int | None = None,
        times: int | None = 1,
        cc: int = UVC_CC_ERROR,
    ) -> None:
        """Let calls fail that would have succeeded.

        A call that fails so changes nothing, with two exceptions. A DESTROY_SEC_CONF that has failed (cc 1) fails
        forever for that handle, however small `times` is, and its table stays marked: rule 6. A CREATE_SEC_CONF with
        bit 0x8000 in `rc` creates the configuration all the same and gives its handle: it must be destroyed. A
        DESTROY_SEC_CONF_FAST that has failed is no exception: asked again, it may succeed.

        Parameters
        ----------
        cmd : UVC
            The command.
        rc, rrc : int
            What it answers.
        handle : int, optional
            Only for this configuration or CPU: the one that the block names, or, for commands that take an absolute
            address, the page's owner. CREATE_SEC_CPU names the configuration.
        times : int or None
            How many calls; None for all to come.
        cc : int
            1, or 2 or 3 to let the caller execute again.

        Raises
        ------
        ValueError
            If there is no such command, or a number is not accepted.
        """
        if not isinstance(cmd, int) or (cmd not in self._installed and cmd not in self._GUEST):
            names = ", ".join(NUMBERS[number].name for number in {**self._installed, **self._GUEST})
            raise ValueError(f"cmd={shown(cmd)}: this Ultravisor has no such command; use one of {names}")
        rc, rrc = whole_number(rc, "rc", 0, 0xFFFF), whole_number(rrc, "rrc", 0, 0xFFFF)
        if rc in (0, UVC_RC_EXECUTED):
            raise ValueError(f"rc={rc:#x}: use a 16-bit number, but neither 0 nor 1 (executed)")
        cc = whole_number(cc, "cc", UVC_CC_ERROR, UVC_CC_PARTIAL)
        times = None if times is None else whole_number(times, "times", 1)
        handle = None if handle is None else whole_number(handle, "handle")
        self.memory.context_changed()
        self.faults.append(Fault(NUMBERS[cmd], rc, rrc, cc, handle, times))

    def _coming(self, cmd: UVC, handle: int) -> Fault | None:
        """The fault that hits this call, if there is one."""
        return next((fault for fault in self.faults if fault.concerns(cmd, handle)), None) if self.faults else None

    def _injected(self, cmd: UVC, handle: int = 0) -> Fault | None:
        """The fault that hits this call, if there is one; it is used up a little."""
        fault = self._coming(cmd, handle)
        if fault is not None and fault.times is not None:
            self.memory.context_changed()
            fault.times -= 1
            if not fault.times:
                self.faults.remove(fault)
        return fault

    def _fail_if_told(self, cmd: UVC, handle: int = 0) -> None:
        fault = self._injected(cmd, handle)
        if fault is not None:
            nothing = (fault.rc, fault.rrc) == (0x107, 0xD)
            raise Refused(fault.rc, fault.rrc, fault.cc, NOOP if nothing else REFUSED)
