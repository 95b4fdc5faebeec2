"""The host's Ultravisor, which also remembers why a guest could not go protected."""

from __future__ import annotations

from typing import Any

from ..ultravisor import Ultravisor
from ..ultravisor.command import header_of
from ..uvcb import UVC, UVC_CC_ERROR

_PROTECTING = (
    UVC.CREATE_SEC_CONF,
    UVC.CREATE_SEC_CPU,
    UVC.SET_SEC_CONF_PARAMS,
    UVC.UNPACK_IMG,
    UVC.VERIFY_IMG,
)
"""The calls on the way to a protected guest."""


class RememberingUltravisor(Ultravisor):
    """An Ultravisor that remembers which call on the way to a protected guest it has refused last."""

    refused = ""

    def call(self, uvcb: Any) -> int:
        """Execute a call; see `Ultravisor.call`."""
        cc = super().call(uvcb)
        if cc == UVC_CC_ERROR and (header := header_of(uvcb)).cmd in _PROTECTING:
            rc, rrc = header.rc, header.rrc
            self.refused = f"{UVC(header.cmd).name} was refused (rc {rc:#x}{f', rrc {rrc:#x}' if rrc else ''})"
        return cc
