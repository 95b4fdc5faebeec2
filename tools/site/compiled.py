"""Bytecode for Pyodide: to compile what a first picture needs takes a browser seconds, each time a kernel starts.

Bytecode fits one version of Python only, and is larger than its source. So Pyodide itself runs the first lesson, in
Node, without which there is no npm, and compiles the modules that were imported, and no others.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

SCRIPT = """\
const [pyodide, folder, made, packages, cells] = process.argv.slice(1);
const { loadPyodide } = await import(pyodide);
const python = await loadPyodide({
    lockFileURL: folder + "/pyodide-lock.json",
    packageBaseUrl: folder + "/",
    env: { PYTHONNODEBUGRANGES: "1" },
});
await python.loadPackage(JSON.parse(packages), { checkIntegrity: false });
python.FS.mkdirTree("/made");
python.mountNodeFS("/made", made);
python.globals.set("cells", cells);
python.runPython(`
import json, re, sys
from importlib._bootstrap_external import _code_to_hash_pyc
from importlib.util import source_hash
from pathlib import Path

import micropip, pyodide_kernel
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
for cell in json.loads(cells):
    shell.run_cell(cell)
for module in list(sys.modules.values()):
    file, loader = getattr(module, "__file__", None) or "", getattr(module, "__loader__", None)
    inside = re.search(r"(?:python\\\\d+[.]zip|site-packages)/(.+[.]py)$", file)
    if inside and hasattr(loader, "get_data"):
        source = loader.get_data(file)
        library = "site-packages" not in file
        code = compile(source, file, "exec", dont_inherit=True, optimize=2 if library else 0)
        path = Path("/made", inside[1] + "c")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_code_to_hash_pyc(code, source_hash(source), False))
`);
"""
"""Bytecode that is never compared with its source: there may be none, and files in a browser have other times.

It doesn't say in which column of a line an expression stands, and is smaller for it. Python's own library has no
docstrings in it, as with ``python -OO``.
"""


def compile_imported(folder: Path, pyodide: Path, packages: Sequence[str], lesson: Path, made: Path) -> None:
    """Compile what a lesson imports: ``numpy/core.py`` becomes ``numpy/core.pyc``.

    A cell may fail in Node, where there is no page to show a widget in; what it has imported by then is compiled.

    Parameters
    ----------
    folder : Path
        Wheels, and Pyodide's list of them.
    pyodide : Path
        Pyodide's package.
    packages : sequence of str
        What a kernel loads when it starts.
    lesson : Path
        A notebook.
    made : Path
        Where to put the bytecode.

    Raises
    ------
    subprocess.CalledProcessError
        If Pyodide does not start there, or a module that was imported can't be compiled.
    """
    made.mkdir(parents=True, exist_ok=True)
    notebook = json.loads(lesson.read_text("utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    command = ["node", "--input-type=module", "--eval", SCRIPT, "--", (pyodide / "pyodide.mjs").resolve()]
    command += [folder.resolve(), made.resolve(), json.dumps(list(packages)), json.dumps(cells)]
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
