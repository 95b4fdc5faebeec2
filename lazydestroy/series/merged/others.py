"""What else was changed or is known since Linux 6.2, and why no layer shows it."""

from __future__ import annotations

from ..fixes import OtherBug, OtherBugs

OTHER_FOLLOW_UPS = OtherBugs(
    (
        OtherBug(
            (4, 14),
            "the page index of the copied top-level table is not zeroed: validity intercepts of the guest",
            "c2fceb59bbda, July 2023, Linux 6.5",
            "the model has no page index",
        ),
        OtherBug(
            (9,),
            "while a page is made secure it is looked up and locked without a reference",
            "c148dc8e2fa4, May 2023, Linux 6.4",
            "one page step is never in the middle of another",
        ),
        OtherBug(
            (9,),
            "while a page is made secure it is looked up twice, and can be unmapped in between",
            "d8dfda5af0be, March 2025, Linux 6.14",
            "one page step is never in the middle of another",
        ),
        OtherBug(
            (9,),
            "a large folio with dirty data is split again and again, and the import never gets further",
            "May 2025, David Hildenbrand",
            "all pages are 4 KiB",
        ),
        OtherBug(
            (9,),
            "two imports of one page can race",
            "the gmap rewrite, Linux 7.0 (e38c884df921): a lock for imports",
            "one page step is never in the middle of another",
        ),
        OtherBug(
            (7, 12, 14),
            "a walk goes through the process's tables, in batches, and visits QEMU's own pages as well",
            "the gmap rewrite, Linux 7.0 (e38c884df921): guests have tables of their own, walked page by page",
            "it is another kernel rather than a layer on this one",
        ),
    )
)
"""Follow-ups that the model cannot show, by the commits of `linux_6_2` that they touch.

Source: Linux' history, and the mails of the commits.
"""

__all__ = ["OTHER_FOLLOW_UPS"]
