"""What runs in the fresh interpreter: one answer is judged, or a student's cells are run for what they calculate.

An answer that is a class is judged right here: `allowed` has read it before, everything that judges has been imported
and the exercise has been made before it runs. Cells that calculate a number may do what they want, since nobody is
judged here: all that leaves this interpreter is the number.
"""

from __future__ import annotations

import hmac
import json
import linecache
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .landlock import confine, pythons_own

Report = Callable[[dict[str, Any]], None]


def main(writing: int) -> None:
    """Do the job that stdin tells, and report to a pipe."""
    job = json.loads(sys.stdin.buffer.read())
    secret = job.pop("secret")
    _limit(job["memory"], job["seconds"])

    def report(what: dict[str, Any]) -> None:
        text = json.dumps(what).encode()
        os.write(writing, signature(secret, text) + b" " + text + b"\n")

    _JOBS[job["do"]](job, report)
    report({"ended": ""})
    sys.stdout.flush()
    os._exit(0)  # whatever threads an answer has left behind


def signature(secret: str, text: bytes) -> bytes:
    """What goes before a line of a report."""
    return hmac.new(secret.encode(), text, "sha256").hexdigest().encode()


def _limit(memory: int, seconds: float) -> None:
    """Set what this process may have, where the system knows such limits."""
    try:
        import resource
    except ImportError:
        return
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: int(seconds) + 5,
        resource.RLIMIT_FSIZE: 16 << 20,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 128,
    }
    for limit, most in limits.items():
        try:
            resource.setrlimit(limit, (most, most))
        except (ValueError, OSError):  # a lower limit is there already, or the system does not have this one
            continue
    if hasattr(signal, "SIGXFSZ"):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


# Answers that are classes


def _judge_patch(job: dict[str, Any], report: Report) -> None:
    from ..exercises import PatchExercise, exercise
    from ..exercises.credit import held_when_idle
    from .allowed import namespace, refusal

    problem = exercise(job["exercise"])
    assert isinstance(problem, PatchExercise)
    if said := refusal(job["text"], problem):
        report({"share": 0.0, "right": False, "said": said})
        return
    held_when_idle(problem)  # before the answer runs
    file = str(Path(job["folder"], "answer.py"))
    linecache.cache[file] = (len(job["text"]), None, job["text"].splitlines(keepends=True), file)
    module = namespace(file)
    sys.modules[module.__name__] = module
    confine([*pythons_own(), *filter(None, sys.path)])
    _forbid()
    report(_verdict(problem, job["text"], module, file))


def _verdict(problem: Any, text: str, module: Any, file: str) -> dict[str, Any]:
    from ..exercises.bounded import OutOfBounds, bounded

    try:
        with bounded(lambda code: code.co_filename == file):
            exec(compile(text, file, "exec"), vars(module))
        answer = vars(module).get("MyPatch")
        if not isinstance(answer, type):
            return {"share": 0.0, "right": False, "said": "There is no class MyPatch in your answer."}
        if others := _not_written_here(answer, file):
            said = f"{' and '.join(others)} of your class is not written in your answer."
            return {"share": 0.0, "right": False, "said": said}
        feedback = problem.judged(answer)
    except OutOfBounds as out:
        return {"share": 0.0, "right": False, "said": str(out)}
    except BaseException as error:
        said = f"Your answer ends with {type(error).__name__}: {error}"
        return {"share": 0.0, "right": False, "said": said[:500]}
    share = 1.0 if feedback.right is True else float(feedback.share)
    return {"share": share, "right": feedback.right is True, "said": repr(feedback)[:8000]}


def _not_written_here(answer: type, file: str) -> list[str]:
    """Functions of a class that come from elsewhere than its text."""
    return [
        name
        for each in answer.__mro__
        if each is not object
        for name, found in vars(each).items()
        if hasattr(found, "__code__") and found.__code__.co_filename != file
    ]


# Cells that calculate


def _calculate(job: dict[str, Any], report: Report) -> None:
    from .calculating import calculate

    calculate(job, report, _forbid)


# What is forbidden

_ACTIONS = (
    *("os.", "subprocess.", "socket.", "shutil.", "pty.", "signal.", "mmap.", "resource.", "sqlite3."),
    *("sys.addaudithook", "code.__new__", "cpython.PyInterpreterState_New"),
)
"""How audit events begin of what no answer has to do: start programs, send something, change files, forge code."""

_NATIVE = {f"ctypes.{name}" for name in ("dlopen", "dlsym", "call_function", "string_at", "wstring_at")}
"""What leads past the interpreter."""

_DOORS = {
    *("_posixsubprocess", "_cffi_backend", "readline", "_sqlite3", "_tkinter", "_dbm", "_gdbm"),
    *("_interpreters", "_xxsubinterpreters", "_testcapi", "_testinternalcapi"),
}
"""Modules that do so, too, and of which no audit event tells."""

_MAY = {"os.listdir", "os.scandir", "os.walk"}

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _forbid(opens: Callable[[Any], bool] | None = None) -> None:
    """From now on refuse such actions, to write a file, and to read one that `opens` does not allow. No way back."""
    beginnings, may, native, doors, writing, refused = _ACTIONS, _MAY, _NATIVE, _DOORS, _WRITING, PermissionError
    _start_no_programs()

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event in native or (event.startswith(beginnings) and event not in may):
            raise refused(f"{event}: that is not there when you are graded")
        if event == "import" and arguments[0] in doors:
            raise refused(f"import {arguments[0]}: that is not there when you are graded")
        if event == "open" and not isinstance(arguments[0], int) and not may_open(*arguments):
            raise refused(f"{arguments[0]!r} cannot be opened when you are graded")

    def may_open(file: Any, _: Any, flags: int) -> bool:
        return not flags & writing and (opens is None or opens(file))

    sys.addaudithook(audit)


def _start_no_programs() -> None:
    """Take away what starts a program without an audit event. The modules stay: libraries want to import them."""
    import subprocess

    def refuse(*_: object) -> None:
        raise PermissionError("subprocess: that is not there when you are graded")

    for module, name in ((subprocess, "_fork_exec"), (sys.modules.get("_posixsubprocess"), "fork_exec")):
        if hasattr(module, name):
            setattr(module, name, refuse)


_JOBS: dict[str, Callable[[dict[str, Any], Report], None]] = {"patch": _judge_patch, "numbers": _calculate}

__all__ = ["main"]
