"""What a student's seat needs: memory of JupyterLab's server and of each notebook's kernel, and how long it runs.

    python -m benchmarks.seat                              all notebooks
    python -m benchmarks.seat notebooks/course/*.ipynb     these

Memory is the most that a kernel had at a time, as Linux counts it (VmHWM); time is for all cells of a notebook, one
after the other, the start of the kernel included.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .browser import PATIENCE, environment
from .measure import NotHereError, surroundings

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"

_PEAK = "print(*[line for line in open('/proc/self/status') if line.startswith('VmHWM')])"


def of_process(pid: int | str, what: str) -> int:
    """A figure of a process, in bytes: "VmHWM", the most memory that it had; "VmRSS", what it has now."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        raise NotHereError("there is no /proc to tell how much memory a process has") from None
    return int(next(line for line in lines if line.startswith(what)).split()[1]) << 10


def of_notebook(path: Path) -> tuple[float, int]:
    """Run a notebook: the seconds that it takes, and the most memory of its kernel in bytes."""
    import nbformat
    from nbclient import NotebookClient

    of_process("self", "VmHWM")
    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    notebook.cells.append(nbformat.v4.new_code_cell(_PEAK, id="peak"))  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=["--log-level=ERROR"],
    )
    with tempfile.TemporaryDirectory() as settings:
        began = time.perf_counter()
        client.execute(env=environment(settings))
        took = time.perf_counter() - began
    return took, int(notebook.cells[-1].outputs[0].text.split()[1]) << 10


def of_server() -> int:
    """Start JupyterLab: the memory that its server has when it answers, in bytes."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--allow-root"]
    with tempfile.TemporaryDirectory() as settings:
        process = subprocess.Popen(
            command, cwd=settings, env=environment(settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            ends = time.monotonic() + PATIENCE
            while not _answers(port):
                if time.monotonic() > ends or process.poll() is not None:
                    raise NotHereError("JupyterLab does not start")
                time.sleep(0.2)
            return of_process(process.pid, "VmRSS")
        finally:
            process.terminate()
            process.wait(20)


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/lab", timeout=10).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    given = [Path(argument).resolve() for argument in arguments]
    left_out = {".ipynb_checkpoints", "source"}  # nobody has a notebook with the solutions open
    paths = given or sorted(path for path in FOLDER.rglob("*.ipynb") if not left_out & set(path.parts))
    print(surroundings())
    print(f"{'JupyterLab, its server':58}{'':8}{of_server() >> 20:8} MiB", flush=True)
    most, longest = 0, 0.0
    for path in paths:
        took, peak = of_notebook(path)
        most, longest = max(most, peak), max(longest, took)
        name = path.relative_to(FOLDER) if path.is_relative_to(FOLDER) else path.name
        print(f"{name!s:58}{took:6.1f} s{peak >> 20:8} MiB", flush=True)
    print(f"{'at most':58}{longest:6.1f} s{most >> 20:8} MiB")


if __name__ == "__main__":
    main(sys.argv[1:])
