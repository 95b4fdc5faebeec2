"""What a student's seat needs: memory of JupyterLab's server and of each notebook's kernel, and processor time.

    python -m benchmarks.seat                              all notebooks
    python -m benchmarks.seat notebooks/course/*.ipynb     these

Memory is the most that a kernel had at a time, as Linux counts it (VmHWM). Processor time is what *Run All* costs: that
of all cells, one after the other, in the kernel and the processes that it starts, without the start of the kernel. It
is nearly the same on a busy machine as on an idle one; the time on the clock, for all of it, is not.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .browser import PATIENCE, environment
from .measure import NotHereError, surroundings

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"

_USED = """\
import os as _os
print(sum(_os.times()[:4]))
"""
"""Prints the processor time of a kernel and of its children so far, in seconds."""

_PEAK = "print(*[line for line in open('/proc/self/status') if line.startswith('VmHWM')])"


@dataclass(frozen=True, slots=True)
class Needed:
    """What a notebook needed.

    Attributes
    ----------
    seconds : float
        On the clock, with the start of the kernel.
    cpu_seconds : float
        Of a processor, for its cells.
    peak : int
        Most memory of its kernel, in bytes.
    """

    seconds: float
    cpu_seconds: float
    peak: int


def of_process(pid: int | str, what: str) -> int:
    """A figure of a process, in bytes: "VmHWM", the most memory that it had; "VmRSS", what it has now."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        raise NotHereError("there is no /proc to tell how much memory a process has") from None
    return int(next(line for line in lines if line.startswith(what)).split()[1]) << 10


def of_notebook(path: Path) -> Needed:
    """Run a notebook, and see what it needs."""
    import nbformat
    from nbclient import NotebookClient

    of_process("self", "VmHWM")
    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    extra = {"begin": _USED, "end": _USED, "peak": _PEAK}
    begin, end, peak = (nbformat.v4.new_code_cell(code, id=name) for name, code in extra.items())  # type: ignore[no-untyped-call]
    notebook.cells = [begin, *notebook.cells, end, peak]
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
    used = float(end.outputs[0].text) - float(begin.outputs[0].text)
    return Needed(took, used, int(peak.outputs[0].text.split()[1]) << 10)


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
    print(f"{'JupyterLab, its server':58}{'':23}{of_server() >> 20:8} MiB", flush=True)
    found = []
    for path in paths:
        needed = of_notebook(path)
        found.append(needed)
        name = path.relative_to(FOLDER) if path.is_relative_to(FOLDER) else path.name
        print(_row(str(name), needed.seconds, needed.cpu_seconds, needed.peak), flush=True)
    columns = ((each.seconds, each.cpu_seconds, each.peak) for each in found)
    print(_row("at most", *map(max, zip(*columns, strict=True))))


def _row(name: str, seconds: float, cpu_seconds: float, peak: int) -> str:
    return f"{name:58}{seconds:6.1f} s{cpu_seconds:8.1f} CPU-s {peak >> 20:8} MiB"


if __name__ == "__main__":
    main(sys.argv[1:])
