"""What becomes of a page's record: imported, exported, cleared."""

from __future__ import annotations

from ..page import Content, Record, State


def cleared(record: Record) -> Record:
    """The page after a destroy, or after donated storage has been given back."""
    return record._replace(state=State.NON_SECURE, owner=0, pinned=False, content=Content.ZERO, content_of=0)


def imported(record: Record, handle: int) -> Record:
    """The page after an import."""
    return record._replace(
        state=State.SECURE, owner=handle, pinned=False, content=Content.PLAINTEXT, content_of=handle, measured=0
    )


def exported(record: Record) -> Record:
    """The page after an export."""
    return record._replace(
        state=State.NON_SECURE,
        owner=0,
        pinned=False,
        content=Content.CIPHERTEXT,
        content_of=record.owner,
        measured=record.owner,
    )
