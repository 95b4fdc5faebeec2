"""What the build of a wheel adds to the package: the notebooks that students get, for ``lazydestroy lab``."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent.parent


class WithNotebooks(build_py):
    """Copies Python's files, and writes the notebooks beside them. An editable install has those of the checkout."""

    def run(self) -> None:
        """Build."""
        super().run()
        if self.editable_mode:
            return
        folder = Path(self.build_lib, "lazydestroy", "notebooks")
        shutil.rmtree(folder, ignore_errors=True)  # of an earlier build: what is there would be kept
        # setuptools reads this file alone, and knows no package `tools`
        runpy.run_path(str(ROOT / "tools" / "students.py"))["write"](folder)
