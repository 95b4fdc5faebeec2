"""The ready-made toys: what a reader of the lessons writes, step by step, as it may look in the end.

They are written as a student would write them. What is true of a page, a call or a kernel the model knows, not these:
`lazydestroy.toy` checks them against it like any other toy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class ReadyUltravisor:
    """An Ultravisor that keeps a dict of owners.

    Attributes
    ----------
    owner : dict of int to str
        Page to the guest that owns it. A page that is not in the dict belongs to no guest.
    shared : set of int
        Pages that their owner has opened to the host.
    running : set of str
        Guests that have CPUs.
    """

    def __init__(self) -> None:
        self.owner: dict[int, str] = {}
        self.shared: set[int] = set()
        self.running: set[str] = set()

    def import_page(self, guest: str, page: int) -> bool:
        """Give the page to the guest, unless another guest owns it."""
        if self.owner.get(page, guest) != guest:
            return False
        self.owner[page] = guest
        return True

    def export_page(self, page: int) -> bool:
        """Take the page from its owner, whoever that is."""
        self.owner.pop(page, None)
        self.shared.discard(page)
        return True

    def destroy_page(self, page: int) -> bool:
        """Take the page from its owner, unless the owner has CPUs."""
        if self.owner.get(page) in self.running:
            return False
        return self.export_page(page)

    def share_page(self, guest: str, page: int) -> bool:
        """Open the page to the host, if it belongs to the guest."""
        if self.owner.get(page) != guest:
            return False
        self.shared.add(page)
        return True

    def touch(self, who: str | None, page: int) -> int | None:
        """Return the exception that an access raises; None if it gets through, to who is no protected guest as well."""
        owner = self.owner.get(page)
        if who is None:
            return 0x3D if owner and page not in self.shared else None
        if owner == who:
            return None
        return 0x3F if owner and page not in self.shared else 0x3E


class ReadyHost:
    """A kernel in three handlers and a thread, with patches 3, 4, 7 and 8.

    A handler returns True if the access may be tried again, and False if the kernel gives up.

    Attributes
    ----------
    uv : ReadyUltravisor
        The Ultravisor that it asks.
    guests : list of str
        The protected guests that exist, old ones included.
    """

    def __init__(self, uv: ReadyUltravisor) -> None:
        self.uv = uv
        self.guests: list[str] = []

    def on_3d(self, page: int) -> bool:
        """Patch 4: a normal guest touched a secure page."""
        return self.uv.export_page(page)

    def on_3e(self, guest: str, page: int) -> bool:
        """Patch 7: a protected guest touched a page that is not secure, or its boot image is unpacked there."""
        if len(self.guests) > 1:
            self.uv.export_page(page)
        return self.uv.import_page(guest, page)

    def on_3f(self, guest: str, page: int) -> bool:
        """Patch 3: a protected guest touched a secure page of another one."""
        return self.uv.destroy_page(page) or self.uv.export_page(page)

    def clean_up(self, old: str, pages: Iterable[int]) -> Iterator[None]:
        """Patch 8: destroy page after page, while the next guest runs; then the old guest is gone."""
        for page in pages:
            self.uv.destroy_page(page)
            yield
        self.guests.remove(old)


__all__ = ["ReadyHost", "ReadyUltravisor"]
