"""Have Linux keep this process, and all that it starts, from files: Landlock, in Linux 5.13 and later.

Python's own hooks see what Python does. This holds for native code as well. The numbers are those of
``include/uapi/linux/landlock.h`` and are the same on all machines that run this package.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446

_VERSION = 1
"""Flag of landlock_create_ruleset: return what this kernel knows."""

_PATH_BENEATH = 1

_NO_NEW_PRIVS = 38

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3

_FILES = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
"""What can be refused of files, by the version that brought it: to execute, write, read, make and remove; and more."""

_TCP = 0b11
"""Version 4: to bind and to connect."""

_SCOPES = 0b11
"""Version 6: signals to processes outside, and abstract sockets of theirs."""

_SIZES = {1: 8, 4: 16, 6: 24}
"""Bytes of what describes the rules, by version."""


class _Rules(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def confine(roots: Iterable[str | Path], without: Iterable[str | Path] = ()) -> bool:
    """From now on let this process read some folders and files, and do nothing else with files; there is no way back.

    It cannot start programs, open connections, or send signals to other processes, either, as far as this kernel can
    refuse that.

    Parameters
    ----------
    roots : iterable of path
        What may be read, with all that is beneath it. Those that do not exist are left out.
    without : iterable of path
        What may not be read, although it is beneath a root.

    Returns
    -------
    bool
        Whether it is so: False if this system has no Landlock.
    """
    version = _version()
    if version < 1:
        return False
    rules = _Rules(sum(bits for since, bits in _FILES.items() if since <= version), _TCP, _SCOPES)
    size = max(size for since, size in _SIZES.items() if since <= version)
    ruleset = _call(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return False
    try:
        hidden = {os.path.realpath(path) for path in without}
        for root in dict.fromkeys(map(os.path.realpath, roots)):
            _allow(ruleset, root, _READ_DIR)
            for path in _beneath(root, hidden):
                _allow(ruleset, path, _READ_FILE | _READ_DIR)
        alone = ctypes.CDLL(None).prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        return alone and _call(_RESTRICT_SELF, ruleset, 0) == 0
    finally:
        os.close(ruleset)


def pythons_own() -> tuple[str, ...]:
    """Folders and files in which Python and the libraries of the system are."""
    return (
        *(sys.prefix, sys.base_prefix, sys.exec_prefix, "/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime"),
        *("/dev/null", "/dev/zero", "/dev/urandom"),
    )


def _version() -> int:
    """The version of Landlock; 0 or less if there is none."""
    if not sys.platform.startswith("linux"):
        return 0
    return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)


def _call(number: int, *values: object) -> int:
    result = ctypes.CDLL(None).syscall(ctypes.c_long(number), *values)
    assert isinstance(result, int)
    return result


def _allow(ruleset: int, path: str, rights: int) -> None:
    """Allow to read what is beneath a path."""
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rule = _Beneath(rights if Path(path).is_dir() else rights & _READ_FILE, parent)
        if rule.allowed:
            _call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(parent)


def _beneath(path: str, hidden: set[str]) -> Iterator[str]:
    """A path, or what is in it, so that all of it is there but what is hidden."""
    if path in hidden:
        return
    if not _leads_to(path, hidden):
        yield path
        return
    for child in Path(path).iterdir():
        target = os.path.realpath(child)
        if not (child.is_symlink() and _leads_to(target, hidden)):  # what it leads to is found by its own name
            yield from _beneath(target, hidden)


def _leads_to(path: str, hidden: set[str]) -> bool:
    """Whether something beneath a path is hidden."""
    return any(other.startswith(path.rstrip(os.sep) + os.sep) for other in hidden)


__all__ = ["confine", "pythons_own"]
