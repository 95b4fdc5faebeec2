"""What the host remembers of its secure configurations: what each is called, and when it came and went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..page import HELD, Content, Record
from ..uvcb import UVC

if TYPE_CHECKING:
    from . import Host


@dataclass(slots=True)
class Life:
    """When a secure configuration was created, ended, set aside and destroyed: nanoseconds of the machine.

    It ends when its guest is reset, or its process exits; it is set aside when its VM lets go of it and it is still
    there. `donated` is what it holds then: pages of base and variable storage.
    """

    created: int
    ended: int | None = None
    set_aside: int | None = None
    destroyed: int | None = None
    donated: int = 0


class HostConfigurations:
    """Observes the Ultravisor Calls; userspace tells what the calls do not.

    `lives` has each configuration's `Life`, `names` its letter, and `old` has those that have ended, by handle.
    """

    def _called(self: Host, cmd: UVC | int, outcome: str, ns: int) -> None:
        """Observes every Ultravisor Call."""
        self.engine.called(cmd, outcome, ns)
        if self.memory.learning:
            return
        self._log.append(
            f"{cmd.name if isinstance(cmd, UVC) else hex(cmd)}" + ("" if outcome == "done" else f" ({outcome})")
        )
        if cmd == UVC.CREATE_SEC_CONF:
            for handle in self.uv.configurations.keys() - self.lives.keys():
                self.lives[handle] = Life(created=self.engine.now)
                self.names[handle] = _name(len(self.names))
        elif cmd in (UVC.DESTROY_SEC_CONF, UVC.DESTROY_SEC_CONF_FAST):
            for handle in self.lives.keys() - self.uv.configurations.keys():
                life = self.lives[handle]
                life.destroyed = self.engine.now if life.destroyed is None else life.destroyed

    def configuration_ended(self: Host, handle: int, donated: int) -> None:
        """From now on a configuration's pages count as old, as not yet clean. `donated`: pages that it holds."""
        self.old = {*self.old, handle}
        self.memory.old = self.old
        life = self.lives[handle]
        if life.ended is None:
            life.ended, life.donated = self.now, donated

    def configurations_set_aside(self: Host, current: int) -> None:
        """A VM is done with its old configurations, all but `current`: those that are still there are set aside."""
        for handle in self.old & self.uv.configurations.keys():
            life = self.lives[handle]
            if life.set_aside is None and handle != current:
                life.set_aside = self.now

    @property
    def destroyed_at(self: Host) -> int | None:
        """When the last of the configurations that have ended was destroyed. None: there is none, or one is left."""
        ends = [life.destroyed for handle, life in self.lives.items() if handle in self.old]
        return max((end for end in ends if end is not None), default=None) if None not in ends else None

    @property
    def clean_at(self: Host) -> int | None:
        """When the last page of a configuration that has ended was clean, and the last of them destroyed. None: never.

        After DESTROY_SEC_CONF_FAST a configuration is gone, and its pages are still secure.
        """
        if any(record.owner in self.old and record.state in HELD for record in self.memory.records()):
            return None
        destroyed = self.destroyed_at
        return None if destroyed is None else max(destroyed, self.engine.cleaned_at)

    def name(self: Host, handle: int) -> str:
        """The letter of a secure configuration; "host" for none."""
        if handle == 0:
            return "host"
        return self.names.get(handle, "Ultravisor" if handle < 0 else _name(0))

    def describe(self: Host, record: Record) -> str:
        """What a page holds, in words."""
        kinds = {
            Content.ZERO: "zeros",
            Content.HOST: "host data",
            Content.PLAINTEXT: f"plaintext of {self.name(record.content_of)}",
            Content.CIPHERTEXT: f"ciphertext of {self.name(record.content_of)}",
        }
        return kinds[record.content]


def _name(place: int) -> str:
    """A, B, ... Z, A1, B1, ..."""
    letter = chr(ord("A") + place % 26)
    return letter if place < 26 else f"{letter}{place // 26}"
