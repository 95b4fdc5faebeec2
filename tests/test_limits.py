"""How much memory this process may use, read from made-up trees of ``/proc`` and ``/sys``."""

from __future__ import annotations

import pickle
import resource
import sys
import types

import pytest

from lazydestroy import limits
from lazydestroy.limits import NotEnoughMemory, available_memory, require_memory

GIB = 1 << 30
PAGE = resource.getpagesize()


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A function that writes files below a made-up root, of which no limit of this process is part."""
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def write(**files: str):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    write.root = tmp_path
    return write


def meminfo(available: int) -> str:
    return f"MemTotal: 99999999 kB\nMemFree: 12345 kB\nMemAvailable: {available >> 10:>10} kB\nHugePages_Total: 0\n"


def group_v2(path: str, limit: int | str, used: int, cache: int = 0) -> dict[str, str]:
    folder = f"sys/fs/cgroup{path}"
    return {
        f"{folder}/memory.max": f"{limit}\n",
        f"{folder}/memory.current": f"{used}\n",
        f"{folder}/memory.stat": f"anon 5\nfile {cache + 1}\ninactive_file {cache}\n",
    }


def group_v1(path: str, limit: int, used: int, cache: int = 0) -> dict[str, str]:
    folder = f"sys/fs/cgroup/memory{path}"
    return {
        f"{folder}/memory.limit_in_bytes": f"{limit}\n",
        f"{folder}/memory.usage_in_bytes": f"{used}\n",
        f"{folder}/memory.stat": f"cache 5\ninactive_file 7\ntotal_inactive_file {cache}\n",
    }


def test_without_limits_it_is_what_the_kernel_calls_available(tree):
    assert available_memory(tree(**{"proc/meminfo": meminfo(8 * GIB)})) == 8 * GIB


def test_a_module_for_limits_that_is_empty_limits_nothing(tree, monkeypatch):
    """As in a browser's Python."""
    monkeypatch.setitem(sys.modules, "resource", types.ModuleType("resource"))
    files = {"proc/meminfo": meminfo(8 * GIB), "proc/self/statm": "1000 1 1 1 0 1 0\n"}
    assert available_memory(tree(**files)) == 8 * GIB


def test_a_control_group_leaves_its_limit_less_its_use(tree):
    tree(**{"proc/meminfo": meminfo(8 * GIB), "proc/self/cgroup": "0::/box\n"})
    assert available_memory(tree(**group_v2("/box", limit=2 * GIB, used=GIB))) == GIB


def test_the_machine_counts_if_it_has_less_than_the_group_may_use(tree):
    tree(**{"proc/meminfo": meminfo(GIB // 2), "proc/self/cgroup": "0::/box\n"})
    assert available_memory(tree(**group_v2("/box", limit=2 * GIB, used=GIB))) == GIB // 2


def test_file_cache_that_would_be_dropped_counts_as_free(tree):
    tree(**{"proc/meminfo": meminfo(8 * GIB), "proc/self/cgroup": "0::/box\n"})
    assert available_memory(tree(**group_v2("/box", limit=2 * GIB, used=2 * GIB, cache=GIB))) == GIB


def test_a_group_without_a_limit_limits_nothing(tree):
    tree(**{"proc/meminfo": meminfo(8 * GIB), "proc/self/cgroup": "0::/box\n"})
    assert available_memory(tree(**group_v2("/box", limit="max", used=7 * GIB))) == 8 * GIB


def test_the_tightest_of_all_parents_counts(tree):
    tree(**{"proc/meminfo": meminfo(64 * GIB), "proc/self/cgroup": "0::/a/b/c\n"})
    tree(**group_v2("/a/b/c", limit="max", used=GIB))
    tree(**group_v2("/a/b", limit=9 * GIB, used=2 * GIB))
    assert available_memory(tree(**group_v2("/a", limit=6 * GIB, used=3 * GIB))) == 3 * GIB


def test_in_a_container_its_own_group_is_mounted_as_the_root(tree):
    tree(**{"proc/meminfo": meminfo(64 * GIB), "proc/self/cgroup": "0::/docker/0123456789\n"})
    assert available_memory(tree(**group_v2("", limit=2 * GIB, used=GIB))) == GIB


def test_a_group_outside_of_the_name_space_is_not_followed(tree):
    tree(**{"proc/meminfo": meminfo(64 * GIB), "proc/self/cgroup": "0::/../../other\n"})
    tree(**group_v2("/../../other", limit=1, used=0))
    assert available_memory(tree(**group_v2("", limit=2 * GIB, used=GIB))) == GIB


def test_version_1_of_control_groups(tree):
    tree(**{"proc/meminfo": meminfo(64 * GIB), "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/box/inner\n0::/\n"})
    tree(**group_v1("/box/inner", limit=9223372036854771712, used=GIB))
    tree(**group_v1("/box", limit=3 * GIB, used=2 * GIB, cache=GIB // 2))
    assert available_memory(tree.root) == GIB + GIB // 2


def test_both_versions_at_once(tree):
    tree(**{"proc/meminfo": meminfo(64 * GIB), "proc/self/cgroup": "4:memory:/one\n0::/two\n"})
    tree(**group_v1("/one", limit=3 * GIB, used=GIB))
    assert available_memory(tree(**group_v2("/unified/two", limit=2 * GIB, used=GIB))) == GIB


def test_a_limit_on_address_space_leaves_what_is_not_mapped(tree, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (GIB, 2 * GIB) if which == resource.RLIMIT_AS else None)
    tree(**{"proc/meminfo": meminfo(8 * GIB), "proc/self/statm": "1000 500 100 1 0 300 0\n"})
    assert available_memory(tree.root) == GIB - 1000 * PAGE


def test_it_is_never_negative(tree):
    tree(**{"proc/meminfo": meminfo(8 * GIB), "proc/self/cgroup": "0::/box\n"})
    assert available_memory(tree(**group_v2("/box", limit=GIB, used=2 * GIB))) == 0


@pytest.mark.parametrize("text", ["", "garbage", "MemAvailable:", "MemAvailable: many kB", "\x00\xff"])
def test_without_figures_the_system_is_asked(tree, text):
    assert 0 < available_memory(tree(**{"proc/meminfo": text})) <= sys.maxsize


def test_if_nothing_is_known_nothing_is_refused(tree, monkeypatch):
    monkeypatch.setattr(limits.os, "sysconf_names", {})
    assert available_memory(tree.root) == sys.maxsize


def test_this_machine_has_some_memory():
    assert 1 << 20 < available_memory() < 1 << 60


def test_work_that_fits_is_not_refused():
    require_memory(GIB, "this", available=GIB)
    require_memory(1 << 20, "this")


def test_work_that_does_not_fit_is_refused_with_both_figures():
    with pytest.raises(NotEnoughMemory) as caught:
        require_memory(3 * GIB, "a host of 4 TiB", available=GIB)
    assert str(caught.value) == ("a host of 4 TiB needs 3 GiB of memory, but only 1 GiB are available to this process")
    assert (caught.value.needed, caught.value.available, caught.value.what) == (3 * GIB, GIB, "a host of 4 TiB")


def test_figures_that_read_the_same_are_given_in_bytes():
    with pytest.raises(NotEnoughMemory, match="needs 1,073,745,921 bytes .* only 1,073,745,920 bytes"):
        require_memory(GIB + 4097, "this", available=GIB + 4096)


@pytest.mark.parametrize("kind", [MemoryError, ValueError, NotEnoughMemory])
def test_the_error_is_a_memory_error_and_a_value_error(kind):
    with pytest.raises(kind):
        require_memory(2, "this", available=1)


def test_the_error_survives_pickling():
    error = pickle.loads(pickle.dumps(NotEnoughMemory(2, 1, "this")))
    assert str(error) == str(NotEnoughMemory(2, 1, "this"))
    assert error.needed == 2
