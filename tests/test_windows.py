"""The core compiles for Windows, too. That it runs there, only a machine with Windows shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.refresh_notebooks import ROOT


@pytest.mark.long("compiles the core once more, and may fetch CPython's source package")
def test_the_core_compiles_for_windows_with_the_stable_abi_alone():
    command = ["sh", str(ROOT / "tools/compile-for-windows.sh")]
    environment = os.environ | {"PYTHON": sys.executable}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if ran.returncode == 77:
        pytest.skip(ran.stdout.strip())
    assert ran.returncode == 0, ran.stderr
    needed = {name.lower() for name in re.findall(r"needs (\S+)", ran.stdout)}
    assert "python3.dll" in needed
    runtime = re.compile(r"kernel32|msvcrt|ucrtbase|api-ms-win-crt")
    assert all(runtime.match(name) for name in needed - {"python3.dll"})
    assert (ROOT / "build/windows/_core.pyd").read_bytes()[:2] == b"MZ"
