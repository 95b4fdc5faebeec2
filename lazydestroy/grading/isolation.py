"""Run a piece of work in a fresh interpreter that has limits, and take what it reports, if it is authentic.

The interpreter starts in a folder of its own, knows nothing of the environment, and leads a session of its own, so that
all that it has started can be ended with it. It reports by a pipe; what it prints goes elsewhere, and is cut.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .inside import signature

OUTPUT = 20_000
"""Bytes of what an answer prints that are kept."""

REPORT = 4 << 20
"""Bytes of a report at most."""

_START = "import sys; sys.path[:] = sys.argv[2:]; from lazydestroy.grading.inside import main; main(int(sys.argv[1]))"


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of it.

    Attributes
    ----------
    reports : tuple of dict
        What was reported, in order; what was not signed with the secret of this run is left out.
    printed : str
        What went to stdout and stderr, cut.
    ended : str
        "" if the work came to its end, else how it ended: "time", "memory", or "left".
    """

    reports: tuple[dict[str, Any], ...]
    printed: str
    ended: str


def run(job: dict[str, Any], seconds: float, memory: int = 2 << 30) -> Ran:
    """Have `lazydestroy.grading.inside` do a job.

    Parameters
    ----------
    job : dict
        What is to be done, as JSON can write it.
    seconds : float
        Time after which it is ended.
    memory : int
        Bytes of address space that it may have.

    Returns
    -------
    Ran
    """
    secret = secrets.token_hex(32)
    reading, writing = os.pipe()
    with tempfile.TemporaryDirectory(prefix="lazydestroy-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", _START, str(writing), *filter(None, map(os.path.abspath, _paths()))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=_environment(folder),
            pass_fds=(writing,),
            start_new_session=True,
        )
        os.close(writing)
        try:
            told = {**job, "secret": secret, "seconds": seconds, "memory": memory, "folder": folder}
            with contextlib.suppress(BrokenPipeError):
                assert process.stdin
                process.stdin.write(json.dumps(told).encode())
                process.stdin.close()
            report, printed, late = _listen(process, reading, seconds)
        finally:
            os.close(reading)
            _end(process)
    reports = tuple(_authentic(report, secret))
    return Ran(reports, printed, _ended(reports, late))


def _paths() -> list[str]:
    """Where Python finds its modules, this package first; not the folder in which it was started."""
    return [str(Path(__file__).parents[2]), *filter(None, sys.path)]


def _environment(folder: str) -> dict[str, str]:
    return {
        "HOME": folder,
        "TMPDIR": folder,
        "MPLCONFIGDIR": folder,
        "MPLBACKEND": "agg",
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "LAZYDESTROY_PROGRESS": "off",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


def _listen(process: subprocess.Popen[bytes], reading: int, seconds: float) -> tuple[bytes, str, bool]:
    """Take what is reported and printed until the process ends or its time is over."""
    assert process.stdout
    until = time.monotonic() + seconds
    kept = {reading: b"", process.stdout.fileno(): b""}
    most = {reading: REPORT, process.stdout.fileno(): OUTPUT}
    dropped = 0
    open_ends = set(kept)
    while reading in open_ends and (left := until - time.monotonic()) > 0:
        for end in select.select(list(open_ends), [], [], min(left, 1))[0]:
            got = os.read(end, 1 << 16)
            if not got:
                open_ends.discard(end)
            room = most[end] - len(kept[end])
            kept[end] += got[:room]
            dropped += len(got[room:]) if end != reading else 0
    printed = kept[process.stdout.fileno()].decode(errors="replace")
    if dropped:
        printed += f"\n[cut here: {dropped:,} more bytes were printed]"
    return kept[reading], printed, reading in open_ends


def _end(process: subprocess.Popen[bytes]) -> None:
    """End all that has been started in the session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


def _authentic(report: bytes, secret: str) -> list[dict[str, Any]]:
    """The lines that were signed with the secret."""
    found = []
    for line in report.splitlines():
        signed, _, text = line.partition(b" ")
        if hmac.compare_digest(signed, signature(secret, text)):
            found.append(json.loads(text))
    return found


def _ended(reports: tuple[dict[str, Any], ...], late: bool) -> str:
    if any("ended" in report for report in reports):
        return next(str(report["ended"]) for report in reports if "ended" in report)
    return "time" if late else "left"


__all__ = ["Ran", "run"]
