"""380d97bd02fc: properly handle page flags for protected guests. The text of patch 2 of version 1."""

from __future__ import annotations

from ..p02_page_flags import PageFlags


class MergedPageFlags(PageFlags):
    """Clear ``PG_arch_1`` when a page has been destroyed or exported: patch 2 of version 1, the same text."""

    number = 3
    commit = "380d97bd02fc"
    release = "5.16"
