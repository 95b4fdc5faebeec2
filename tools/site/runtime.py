"""Put Pyodide and the packages that the course needs into one folder, with a list of them that Pyodide reads.

Pyodide's own list names hundreds of packages on another host. Ours names a dozen, which lie beside it, so that nothing
is ever asked of anybody else, and a kernel loads them all at once.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from . import compiled, core

PYODIDE = "0.29.5"
"""The version of npm's package ``pyodide``: the one that jupyterlite-pyodide-kernel in pyproject.toml is made for."""

PACKED = "pyodide.asm.wasm"
"""Pyodide's largest file, a third of which is left when it is compressed. Many hosts do not compress it, so we do."""

LIBRARY = "python_stdlib.zip"
"""Pyodide's file of Python's library."""

LESSON = core.ROOT / "notebooks" / "course" / "01-why-is-the-reboot-slow.ipynb"
"""What it imports is compiled beforehand."""

SHOWN = "lazydestroy-"
"""The wheel that keeps its sources: the course shows code of the package."""

GROWTH_MAX = 4 / 3
"""A wheel that bytecode would make larger by more stays as it is: more to fetch, and little to compile."""

UNPACKS = """\
{{
    const fetched = self.fetch;
    self.fetch = async (wanted, ...more) => {{
        const address = String(wanted.url ?? wanted);
        if (!address.endsWith("/{name}")) return fetched(wanted, ...more);
        const packed = await fetched(address + "{ending}", ...more);
        if (!packed.ok) return packed;
        const unpacked = packed.body.pipeThrough(new DecompressionStream("gzip"));
        return new Response(unpacked, {{ headers: {{ "Content-Type": "application/wasm" }} }});
    }};
}}
"""
"""What stands before Pyodide's own script, so that it finds that file."""

ENDING = ".packed"
"""Not .gz: some hosts announce such a file as compressed, and then the browser itself unpacks it, before the script."""

KERNEL_NEEDS = ("ipython==9.0.2", "micropip==0.11.1", "wcwidth==0.2.13")
"""In the versions of Pyodide's own list: what the kernel is made for."""

UNUSED = {
    "fonttools",
    "jedi",
    "jupyterlab-widgets",
    "parso",
    "pexpect",
    "ptyprocess",
    "tzdata",
    "widgetsnbextension",
    "typing-extensions",
}
"""What pip finds that the course gets by without in a browser.

JupyterLab brings the widgets' own half; fonttools is for PDF; without jedi, names are completed by what they are now.
"""

STAND_INS = ("sqlite3", "jedi", "widgetsnbextension")
"""What the kernel asks for when it starts, and what works without: each gets an empty wheel."""

NOT_IN_WHEELS = re.compile(
    r"/tests?/|/sample_data/|/f2py/|/include/|\.(pyi|a|h|pxd|pyx|afm)$|/_qhull\.|/lapack_lite\."
    r"|/backends/_?(backend_(gtk|qt|tk|wx|cairo|macosx|nbagg|webagg|pdf|pgf|ps)|qt_editor|qt_compat)"
    r"|/pygments/lexers/(?!(__init__|_mapping|c_cpp|data|diff|javascript|make|markup|python|shell|special)\.py)"
    r"|/fonts/(?!ttf/DejaVuSans(-Bold|-Oblique|Mono)?\.ttf)"
    r"|/mpl-data/images/|/web_backend/|/sphinxext/|/matplotlib/testing/|/IPython/testing/plugin/|/dateutil-zoneinfo\."
    r"|/encodings/(cp(?!437|1252)|mac_|iso(2022|8859_(?!15?\.))|koi8|big5|euc_|gb|hz|johab|kz|ptcp|shift)|/xmlrpc/"
    r"|\.dist-info/RECORD$"
)
"""Files of the library and of the wheels that are never looked at in a browser.

Tests, headers, other fonts, windows, languages, old character sets. Pyodide unpacks a wheel without its RECORD.
"""


def build(folder: Path, downloads: Path, wheels: Path) -> list[str]:
    """Fill a folder with Pyodide and packages, and return the names of the packages.

    Parameters
    ----------
    folder : Path
        Where to put them; made if it is not there.
    downloads : Path
        Where what was downloaded is kept for the next time.
    wheels : Path
        Folder of wheels for Pyodide that PyPI does not have.

    Raises
    ------
    FileNotFoundError
        If something is not there that this needs: see `core.missing`.
    """
    if lacking := core.missing(wheels):
        raise FileNotFoundError(lacking)
    folder.mkdir(parents=True, exist_ok=True)
    downloads.mkdir(parents=True, exist_ok=True)
    package = _unpacked(_pyodide(downloads), downloads)
    shutil.copy(package / "pyodide.asm.js", folder)
    unpacks = UNPACKS.format(name=PACKED, ending=ENDING)
    (folder / "pyodide.js").write_text(unpacks + (package / "pyodide.js").read_text("utf-8"), "utf-8")
    (folder / f"{PACKED}{ENDING}").write_bytes(gzip.compress((package / PACKED).read_bytes(), mtime=0))
    info = json.loads((package / "pyodide-lock.json").read_text("utf-8"))["info"]
    platform = f"pyemscripten_{info['abi_version']}_wasm32"
    with tempfile.TemporaryDirectory() as scratch:
        found = _wheels(Path(scratch), wheels, platform, info["python"])
        found.append(core.wheel(Path(scratch), _sysconfigdata(package), platform, _version()))
        found += _kernels(Path(scratch))
        bytecode = Path(scratch, "bytecode")
        names = _filled(folder, package, found, info, bytecode)  # there is none yet: Pyodide makes it from these
        compiled.compile_imported(folder, package, names, LESSON, bytecode)
        return _filled(folder, package, found, info, bytecode)


def _filled(folder: Path, package: Path, found: list[Path], info: dict[str, Any], bytecode: Path) -> list[str]:
    """Put Python's library, the wheels and a list of them into a folder, with the bytecode that there is."""
    _trimmed(package / LIBRARY, folder, bytecode)
    packages = [_entry(_compiled(wheel, folder, bytecode)) for wheel in found]
    packages += [_entry(_stand_in(folder, name)) for name in STAND_INS]
    known = {each["name"] for each in packages}
    for each in packages:
        each["depends"] = [name for name in each["depends"] if name in known]
    lock = {"info": info, "packages": {each["name"]: each for each in packages}}
    (folder / "pyodide-lock.json").write_text(json.dumps(lock, indent=1), "utf-8")
    return sorted(known)


def _pyodide(downloads: Path) -> Path:
    """Download Pyodide's package from npm, unless it is there."""
    archive = downloads / f"pyodide-{PYODIDE}.tgz"
    if not archive.exists():
        subprocess.run(["npm", "pack", "--silent", f"pyodide@{PYODIDE}"], cwd=downloads, check=True)
    return archive


def _unpacked(archive: Path, downloads: Path) -> Path:
    folder = downloads / f"pyodide-{PYODIDE}"
    if not folder.exists():
        with tarfile.open(archive) as members:
            members.extractall(folder, filter="data")
    return folder / "package"


def _sysconfigdata(package: Path) -> dict[str, Any]:
    """Read what Pyodide's Python was built with."""
    with zipfile.ZipFile(package / "python_stdlib.zip") as library:
        name = next(name for name in library.namelist() if name.startswith("_sysconfigdata"))
        module: dict[str, Any] = {}
        exec(library.read(name), module)
    return module["build_time_vars"]


def _version() -> str:
    text = (core.PACKAGE / "__init__.py").read_text("utf-8")
    return re.search(r'^__version__ = "(.+)"', text, re.M)[1]  # type: ignore[index]


def _wheels(scratch: Path, wheels: Path, platform: str, python: str) -> list[Path]:
    """Let pip find everything that lazydestroy and a kernel need, for Pyodide's platform."""
    short = ".".join(python.split(".")[:2])
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", scratch]
    command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={short}", "--find-links", wheels]
    command += [f"--abi=cp{short.replace('.', '')}", "--abi=none", f"--platform={platform}", "--platform=any"]
    subprocess.run([*map(str, command), *core.requirements(), *KERNEL_NEEDS], check=True)
    return [path for path in sorted(scratch.glob("*.whl")) if _name(path) not in UNUSED]


def _kernels(scratch: Path) -> list[Path]:
    """Copy the kernel's own wheels, which its extension of JupyterLab carries."""
    static = Path(sys.prefix, "share/jupyter/labextensions/@jupyterlite/pyodide-kernel-extension/static/pypi")
    return [static_wheel for static_wheel in sorted(static.glob("*.whl")) if _name(static_wheel) in KERNEL]


KERNEL = ("ipykernel", "pyodide-kernel")


def _name(wheel: Path) -> str:
    return canonicalize_name(wheel.name.split("-")[0])


def _compiled(wheel: Path, folder: Path, bytecode: Path) -> Path:
    """Copy a wheel with bytecode instead of sources, where that is worth it."""
    plain = _trimmed(wheel, folder, None)
    if wheel.name.startswith(SHOWN):
        return plain
    size = plain.stat().st_size
    made = _trimmed(wheel, folder, bytecode)
    return made if made.stat().st_size <= GROWTH_MAX * size else _trimmed(wheel, folder, None)


def _trimmed(wheel: Path, folder: Path, bytecode: Path | None) -> Path:
    """Copy a wheel, or Python's library, without what is never looked at, and with the bytecode that there is."""
    trimmed = folder / wheel.name
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(trimmed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as rest:
        for name in whole.namelist():
            if not name.endswith("/") and not NOT_IN_WHEELS.search(f"/{name}"):
                part, content = _part(name, whole.read(name), bytecode)
                rest.writestr(zipfile.ZipInfo(part), content, zipfile.ZIP_DEFLATED)
    return trimmed


def _part(name: str, content: bytes, bytecode: Path | None) -> tuple[str, bytes]:
    """What a file of a wheel becomes: itself, or its bytecode."""
    if name.endswith(".so"):
        return name, without_names(content)
    if bytecode is not None and name.endswith(".py") and (made := bytecode / f"{name}c").exists():
        return f"{name}c", made.read_bytes()
    return name, content


def without_names(module: bytes) -> bytes:
    """Return a WebAssembly module without the section that names its functions, which is for debuggers.

    Parameters
    ----------
    module : bytes
        Eight bytes of header, then sections: a number, the length of the rest, and the rest. A section 0 begins with
        its name (WebAssembly Core Specification, "Modules" in "Binary Format").

    Raises
    ------
    ValueError
        If it is no such module.
    """
    if module[:4] != b"\0asm":
        raise ValueError(f"module={module[:4]!r}...: a WebAssembly module begins with b'\\x00asm'")
    kept, place = [module[:8]], 8
    while place < len(module):
        length, begins = _number(module, place + 1)
        if module[place] != 0 or not module.startswith(b"\4name", begins):
            kept.append(module[place : begins + length])
        place = begins + length
    return b"".join(kept)


def _number(module: bytes, place: int) -> tuple[int, int]:
    """Read a number in LEB128: seven bits a byte, the lowest first. Return it, and the place after it."""
    number = shift = 0
    while True:
        byte = module[place]
        number |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return number, place


def _stand_in(folder: Path, name: str) -> Path:
    """Make a wheel without content."""
    path = folder / f"{name}-0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}-0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 0\n")
        archive.writestr(f"{name}-0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{name}-0.dist-info/RECORD", "")
    return path


def _entry(wheel: Path) -> dict[str, Any]:
    """Say about a wheel what Pyodide's list says about each."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        about = HeaderParser().parsestr(archive.read(metadata).decode("utf-8"))
    needs = [Requirement(each) for each in about.get_all("Requires-Dist", [])]
    own = [name for name in names if not re.match(r"[^/]+\.(dist-info|data)/", name)]
    tops = {name.split("/")[0].partition(".")[0] for name in own}
    return {
        "name": canonicalize_name(about["Name"]),
        "version": about["Version"],
        "file_name": wheel.name,
        "install_dir": "site",
        "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "package_type": "package",
        "imports": sorted(tops),
        "depends": [canonicalize_name(each.name) for each in needs if _wanted(each.marker)],
        "unvendored_tests": False,
    }


def _wanted(marker: Marker | None) -> bool:
    return marker is None or marker.evaluate({"sys_platform": "emscripten", "extra": ""})
