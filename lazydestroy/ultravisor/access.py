"""Who may touch a frame, and which frames can be donated."""

from __future__ import annotations

from ..page import PAGE_SHIFT, PAGE_SIZE, Content, Page, Record, State
from ..units import shown, whole_number
from .codes import TABLE_LEN, Interruption
from .records import cleared
from .state import Remembered
from .structs import Storage


class Access(Remembered):
    """Who may touch what, donated storage, and marked tables."""

    def access(self, page: Page | Record, handle: int = 0) -> Interruption | None:
        """What the hardware does when somebody touches a page.

        Parameters
        ----------
        page : Page or Record
        handle : int
            The configuration whose CPU touches it; 0 is anybody else: host kernel, userspace, I/O, a normal guest.

        Returns
        -------
        Interruption or None
            None: the access is allowed.

        Raises
        ------
        TypeError
            If `page` is neither a page nor a record.
        """
        if type(handle) is not int:
            handle = whole_number(handle, "handle", 0)
        try:
            state, mine = page.state, page.owner == handle
        except AttributeError:
            raise TypeError(f"page={shown(page)}: use a Page or its Record") from None
        if not handle:
            hidden = state in (State.SECURE, State.DONATED)
            return Interruption.SECURE_STORAGE_ACCESS if hidden else None
        if state == State.NON_SECURE or (state == State.SHARED and not mine):
            return Interruption.NON_SECURE_STORAGE_ACCESS
        if state == State.DONATED or not mine:
            return Interruption.SECURE_STORAGE_VIOLATION
        return None

    def _inside(self, storage: Storage) -> bool:
        return storage.origin + storage.length <= self.end

    def _is_marked(self, storage: Storage) -> bool:
        return any(storage.overlaps(Storage(origin, TABLE_LEN)) for origin in self.marked)

    def _host_only(self, storage: Storage) -> bool:
        """Whether none of its pages is secure, shared or donated."""
        there = self.memory.records(storage.first, storage.pages)
        return all(record.state == State.NON_SECURE for record in there)

    def _donatable(self, storage: Storage) -> bool:
        aligned = storage.origin % PAGE_SIZE == 0
        return aligned and not self._is_marked(storage) and self._host_only(storage)

    def _readable(self, storage: Storage) -> bool:
        """Whether the host itself can read all of it: what it cannot read it cannot hand over."""
        if not storage.length or not self._inside(storage):
            return False
        last = (storage.origin + storage.length - 1) >> PAGE_SHIFT
        there = self.memory.records(storage.first, last - storage.first + 1)
        return all(self.access(record) is None for record in there)

    def _donate(self, storage: Storage, owner: int) -> None:
        self.memory.change(
            lambda record: record._replace(
                state=State.DONATED, owner=owner, pinned=False, content=Content.PLAINTEXT, content_of=owner
            ),
            storage.first,
            storage.pages,
        )

    def _give_back(self, storage: Storage) -> None:
        self.memory.change(cleared, storage.first, storage.pages)
