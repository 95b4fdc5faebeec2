"""How much memory this process may still use, and refusing work that would need more.

A notebook often runs in a container, where the machine's free memory says little: the limit is the control group's.
A process that exceeds it is killed without a word, so work that would not fit is refused before it starts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from .units import expect, format_size, writable

__all__ = ["NotEnoughMemory", "available_memory", "require_memory"]

CGROUP = "sys/fs/cgroup"


class NotEnoughMemory(MemoryError, ValueError):
    """Work was refused because it would need more memory than this process may use.

    Attributes
    ----------
    needed, available : int
        Bytes.
    what : str
        What the memory is for.
    """

    def __init__(self, needed: int, available: int, what: str) -> None:
        super().__init__(needed, available, what)
        self.needed = needed
        self.available = available
        self.what = what

    def __str__(self) -> str:
        needed, available = format_size(self.needed), format_size(self.available)
        if needed == available:  # as rounded
            needed, available = f"{self.needed:,} bytes", f"{self.available:,} bytes"
        return f"{self.what} needs {needed} of memory, but only {available} are available to this process"


def require_memory(needed: int, what: str, *, available: int | None = None) -> None:
    """Refuse work that would not fit in memory.

    Parameters
    ----------
    needed : int
        Bytes that the work takes at its peak.
    what : str
        The work, as the subject of a sentence: ``"a host of 4 TiB"``.
    available : int, optional
        Bytes that there are. Default: `available_memory`.

    Raises
    ------
    NotEnoughMemory
        If the work needs more; a MemoryError and a ValueError. The message has both figures.
    """
    needed = writable(needed, "needed")
    expect(str, what, "what", "the work in words, such as 'a host of 4 TiB'")
    there = available_memory() if available is None else writable(available, "available")
    if needed > there:
        raise NotEnoughMemory(needed, there, what)


def available_memory(root: str | os.PathLike[str] = "/") -> int:
    """How much memory this process may still use.

    The least of what the kernel calls available (``MemAvailable``), what the control groups of the process and their
    parents leave (version 2 and version 1; file cache that the kernel would drop first counts as free), and what the
    limit on address space (``RLIMIT_AS``) leaves. Swap is not counted. Where there is no ``/proc``, the memory that
    the system reports through ``sysconf``.

    Parameters
    ----------
    root : path
        Where ``proc`` and ``sys`` are. For tests.

    Returns
    -------
    int
        Bytes, 0 or more. If nothing can be found out, the largest number there is: nothing is refused.
    """
    expect((str, os.PathLike), root, "root", "a path")
    tree = Path(root)
    found = [*_meminfo(tree), *_cgroups_v2(tree), *_cgroups_v1(tree), *_address_space(tree)]
    return max(0, min(found or _sysconf(), default=sys.maxsize))


def _meminfo(root: Path) -> Iterator[int]:
    """What the kernel thinks can be had without swapping."""
    available = _figure(root / "proc/meminfo", "MemAvailable")
    if available is not None:
        yield available << 10


def _cgroups_v2(root: Path) -> Iterator[int]:
    """What each control group leaves, in the unified hierarchy."""
    for path in _cgroup_paths(root, ""):
        for mount in (root / CGROUP, root / CGROUP / "unified"):
            for group in _up(mount, path):
                yield from _left(group, "memory.max", "memory.current", "inactive_file")


def _cgroups_v1(root: Path) -> Iterator[int]:
    """What each control group leaves, in the memory controller's own hierarchy. No limit is a huge limit there."""
    for path in _cgroup_paths(root, "memory"):
        for group in _up(root / CGROUP / "memory", path):
            yield from _left(group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _address_space(root: Path) -> Iterator[int]:
    """What the limit on this process's address space leaves."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    except (ImportError, AttributeError):  # Windows has no such module, a browser's Python an empty one
        return
    pages = _text(root / "proc/self/statm").split()
    if limit != resource.RLIM_INFINITY and pages:
        yield limit - int(pages[0]) * os.sysconf("SC_PAGE_SIZE")


def _sysconf() -> Iterator[int]:
    """Free memory, or where that is not known (macOS) all of it."""
    for name in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"):
        if name in getattr(os, "sysconf_names", {}):
            yield os.sysconf(name) * os.sysconf("SC_PAGE_SIZE")
            return


def _cgroup_paths(root: Path, controller: str) -> Iterator[PurePosixPath]:
    """Where the process is in a hierarchy: named by a controller, or by none in version 2."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            yield PurePosixPath(path.lstrip("/"))


def _up(mount: Path, path: PurePosixPath) -> Iterator[Path]:
    """A group and its parents, up to what is mounted.

    A container may see its own group mounted as if it were the root while its path still names all parents; then
    only the mount itself exists.
    """
    if ".." not in path.parts:  # a group outside of what this process may see
        yield mount / path
        yield from (mount / parent for parent in path.parents)
    else:
        yield mount


_NO_LIMIT = 1 << 60
"""A limit above that many bytes is none: what else the group's files say need not be read, several times a run."""


def _left(group: Path, limit_file: str, usage_file: str, cache: str) -> Iterator[int]:
    """What a group's limit leaves."""
    limit = _text(group / limit_file).strip()
    if not limit.isdigit() or int(limit) > _NO_LIMIT:
        return
    usage = _text(group / usage_file).strip()
    if usage.isdigit():
        yield int(limit) - int(usage) + (_figure(group / "memory.stat", cache) or 0)


def _figure(path: Path, name: str) -> int | None:
    """The figure in a file with a name and a number in each line."""
    for line in _text(path).splitlines():
        if line.startswith(name):
            words = line.replace(":", " ").split()
            if words[0] == name and len(words) > 1 and words[1].isdigit():
                return int(words[1])
    return None


def _text(path: Path) -> str:
    """What a file says; nothing if it is not there or may not be read."""
    try:
        return path.read_bytes().decode("ascii", "replace")
    except (OSError, ValueError):  # or no file can have that name
        return ""
