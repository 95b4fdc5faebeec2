"""Build JupyterLite, which is JupyterLab without a server, around a folder with Pyodide.

The reader's copies of the notebooks are kept by the browser; what is served stays as it is.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

KERNEL = "@jupyterlite/pyodide-kernel-extension:kernel"
_INSTALLED = Path(sys.prefix, "share/jupyter/labextensions")
EXTENSIONS = [
    _INSTALLED / "@jupyterlite/pyodide-kernel-extension",
    _INSTALLED / "@jupyter-widgets/jupyterlab-manager",
]
"""What JupyterLite gets of JupyterLab's extensions that are installed: the kernel, and the widgets' half there."""


def build(folder: Path, notebooks: Path, packages: Sequence[str]) -> None:
    """Build JupyterLite.

    Parameters
    ----------
    folder : Path
        Where to; its folder ``pyodide`` holds the runtime already.
    notebooks : Path
        Folder whose content the reader finds in the file browser.
    packages : sequence of str
        What a kernel loads when it starts: all that the course uses, at once, instead of one after the other.
    """
    with tempfile.TemporaryDirectory() as scratch:
        lite = Path(scratch)
        (lite / "jupyter-lite.json").write_text(json.dumps(_config(packages), indent=1), "utf-8")
        (lite / "overrides.json").write_text(json.dumps(SETTINGS, indent=1), "utf-8")
        command = [sys.executable, "-m", "jupyter", "lite", "build", "--lite-dir", lite, "--contents", notebooks]
        command += ["--output-dir", lite / "built", "--apps", "lab", "--no-unused-shared-packages", "--no-sourcemaps"]
        command += ["--ignore-sys-prefix", *(f"--LiteBuildConfig.federated_extensions={each}" for each in EXTENSIONS)]
        subprocess.run(list(map(str, command)), cwd=lite, check=True, stdout=subprocess.DEVNULL)
        shutil.copytree(lite / "built", folder, dirs_exist_ok=True)


def _config(packages: Sequence[str]) -> dict[str, Any]:
    kernel = {
        "pyodideUrl": "./pyodide/pyodide.js",
        "disablePyPIFallback": True,
        "loadPyodideOptions": {"packages": list(packages)},
    }
    return {
        "jupyter-lite-schema-version": 0,
        "jupyter-config-data": {
            "appName": "lazydestroy",
            "defaultKernelName": "python",
            "exposeAppInBrowser": True,
            "faviconUrl": "./icon-120x120.png",  # the usual one is as large as a package
            "litePluginSettings": {KERNEL: kernel},
        },
    }


SETTINGS = {
    # there is nobody to ask for news or extensions
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
}
