"""Compile the core to WebAssembly, and put lazydestroy into a wheel for Pyodide.

``pyodide build`` does the same with Emscripten, which is no package of Debian's or PyPI's in a version that would fit.
So this takes clang and lld (19 is tried) and any C headers for 32-bit WebAssembly: those of wasi-libc will do, because
the core needs of C only sizes and names. The functions themselves are Pyodide's, which the module is linked to when it
is loaded. Python's headers are those of the Python that runs this, with Pyodide's sizes instead of its own; they fit
because the core is built for the limited API, which is the same in all versions since 3.11.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import zipfile
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "lazydestroy"

HEADERS = Path(os.environ.get("WASM_HEADERS", "/usr/include/wasm32-wasi"))
"""C headers for WebAssembly; Debian's package wasi-libc has them there."""

WHEELS = Path(os.environ.get("PYODIDE_WHEELS", ROOT / "wheels" / "pyodide"))
"""Where the wheels for Pyodide are that PyPI does not have."""

FROM = (
    "They are in Pyodide's release, which .github/workflows/site.yml fetches (pyodide-VERSION.tar.bz2), or "
    "`pyodide build` makes them; put them there, or name their folder in PYODIDE_WHEELS"
)

LIMITED_API = "0x030B0000"

COMPILE = [
    "--target=wasm32-unknown-emscripten",
    "-fPIC",
    "-O3",
    "-nostdinc",
    "-D__EMSCRIPTEN__=1",
    "-D__wasi__=1",  # else wasi-libc's headers refuse
    "-DCYTHON_LIMITED_API=1",
    f"-DPy_LIMITED_API={LIMITED_API}",
]
LINK = [
    "-shared",
    "--experimental-pic",
    "-Bsymbolic",
    "--unresolved-symbols=import-dynamic",
    "--no-entry",
    "--export-if-defined=__wasm_call_ctors",
    "--export-if-defined=__wasm_apply_data_relocs",
    "--export=PyInit__core",
    "-O2",
    "--strip-debug",
]


def program(name: str) -> str:
    """Find a program of LLVM's, whatever version its name ends with.

    Raises
    ------
    FileNotFoundError
        If it is not installed.
    """
    for found in map(shutil.which, (f"{name}-19", name)):
        if found:
            return found
    raise FileNotFoundError(f"{name} is missing; on Debian: apt-get install clang-19 lld-19 wasi-libc")


def missing(wheels: Path) -> str:
    """Say all that is missing for what runs in the browser, and what to do about it; empty: nothing.

    Parameters
    ----------
    wheels : Path
        Folder of wheels for Pyodide that PyPI does not have.
    """
    lacking = []
    if not list(wheels.glob("numpy-*wasm32.whl")):
        lacking.append(f"PYODIDE_WHEELS={wheels}: there are no wheels of NumPy and others for Pyodide. {FROM}")
    if not shutil.which("npm"):
        lacking.append("npm is missing, which Pyodide comes from; on Debian: apt-get install npm")
    if not HEADERS.is_dir():
        lacking.append(f"WASM_HEADERS={HEADERS}: no C headers for WebAssembly; on Debian: apt-get install wasi-libc")
    for name in ("clang", "wasm-ld"):
        try:
            program(name)
        except FileNotFoundError as error:
            lacking.append(str(error))
    if not lacking:
        return ""
    head = "What runs in the browser needs more than is here:"
    return "\n  ".join([head, *lacking]) + "\nFor a site without it: make site ARGS=--reading-only"


def wheel(folder: Path, sysconfigdata: dict[str, Any], tag: str, version: str) -> Path:
    """Build the wheel of lazydestroy for Pyodide.

    Parameters
    ----------
    folder : Path
        Where to put it.
    sysconfigdata : dict
        What Pyodide's Python was built with: ``build_time_vars`` of its module ``_sysconfigdata_...``.
    tag : str
        Pyodide's platform, such as ``pyemscripten_2025_0_wasm32``.
    version : str
        Version of lazydestroy.

    Returns
    -------
    Path
        The wheel.
    """
    with tempfile.TemporaryDirectory() as scratch:
        compiled = compile_core(Path(scratch), sysconfigdata)
        return _pack(folder, compiled, f"cp311-abi3-{tag}", version)


def compile_core(scratch: Path, sysconfigdata: dict[str, Any]) -> Path:
    """Compile `_core.pyx` in a folder, and return the module."""
    source, compiled, module = scratch / "_core.c", scratch / "_core.o", scratch / "_core.abi3.so"
    _run(sys.executable, "-m", "cython", "-3", PACKAGE / "_core.pyx", "-o", source)
    headers = _python_headers(scratch / "python", sysconfigdata)
    clang = program("clang")
    own = subprocess.run([clang, "-print-resource-dir"], check=True, capture_output=True, text=True).stdout.strip()
    found = [option for path in (headers, Path(own, "include"), HEADERS) for option in ("-isystem", path)]
    _run(clang, *COMPILE, *found, "-c", source, "-o", compiled)
    _run(program("wasm-ld"), *LINK, compiled, "-o", module)
    return module


def _python_headers(folder: Path, sysconfigdata: dict[str, Any]) -> Path:
    """Copy Python's headers, and give them the sizes that Pyodide's Python has."""
    shutil.copytree(sysconfig.get_path("include"), folder)
    asked = re.findall(r"^(?:#\s*define|/\*\s*#\s*undef)\s+(\w+)", (folder / "pyconfig.h").read_text("utf-8"), re.M)
    said = {name: sysconfigdata.get(name) for name in asked}
    lines = [f"#define {name} {value}" for name, value in said.items() if value not in (None, 0, "0", "")]
    (folder / "pyconfig.h").write_text("\n".join(["#pragma once", *lines, "#define STDC_HEADERS 1", ""]), "utf-8")
    return folder


def _run(*command: object) -> None:
    subprocess.run(list(map(str, command)), check=True)


def _pack(folder: Path, compiled: Path, tag: str, version: str) -> Path:
    """Put the package and the compiled core into a wheel."""
    content = {f"lazydestroy/{path.relative_to(PACKAGE).as_posix()}": path.read_bytes() for path in _files()}
    content["lazydestroy/_core.abi3.so"] = compiled.read_bytes()
    about = f"lazydestroy-{version}.dist-info"
    needs = [f"Requires-Dist: {each}" for each in requirements()]
    content[f"{about}/METADATA"] = _lines("Metadata-Version: 2.1", "Name: lazydestroy", f"Version: {version}", *needs)
    content[f"{about}/WHEEL"] = _lines(
        "Wheel-Version: 1.0", "Generator: tools.site", "Root-Is-Purelib: false", f"Tag: {tag}"
    )
    for name in ("LICENSE", "LICENSE-text"):
        content[f"{about}/licenses/{name}"] = (ROOT / name).read_bytes()
    record = [f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in content.items()]
    content[f"{about}/RECORD"] = "".join([*record, f"{about}/RECORD,,\n"]).encode()
    path = folder / f"lazydestroy-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def _files() -> list[Path]:
    """The package's modules and data, as in any other wheel, without the sources of what is compiled."""
    patterns = ("**/*.py", *_pyproject()["tool"]["setuptools"]["package-data"]["lazydestroy"])
    found = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    return sorted(path for path in found if path.suffix not in (".pyi", ".pyx", ".pxi"))


def requirements() -> list[str]:
    """Return what lazydestroy needs of other packages."""
    return list(_pyproject()["project"]["dependencies"])


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _digest(data: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
