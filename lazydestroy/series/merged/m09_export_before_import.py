"""72b1daff2671: add export before import. The text of patch 7 of version 1."""

from __future__ import annotations

from ..p07_export_before_import import ExportBeforeImport


class MergedExportBeforeImport(ExportBeforeImport):
    """Export a page before it is imported, as long as the address space has more than one configuration.

    Patch 7 of version 1, the same text.
    """

    number = 9
    commit = "72b1daff2671"
    release = "6.0"
