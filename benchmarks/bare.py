"""Compiles `_bare.pyx`, once for each Python and source, with the flags that the core is compiled with."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import shutil
import sysconfig
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import lazydestroy as ld

SOURCE = Path(__file__).with_name("_bare.pyx")
FLAGS = ["-O3"]  # what pyproject.toml has for the core
VISITS = ("cleaned", "clean already", "refused", "taken", "imported", "touched")
SUFFIX: str = sysconfig.get_config_var("EXT_SUFFIX")


def prices(costs: ld.Costs) -> list[int]:
    """What each kind of visit costs, in nanoseconds: the sum of the steps that the model makes of it."""
    fetch = costs.exception + costs.noop + costs.import_clear + costs.touch
    return [
        costs.walk + costs.destroy,
        costs.walk + costs.noop,
        costs.walk + costs.refused,
        costs.exception + costs.destroy + fetch,
        fetch,
        costs.touch,
    ]


def play(pages: np.ndarray, costs: ld.Costs, touch: str = "sequential", seed: int = 0) -> dict[str, int]:
    """Let two cursors clean and touch `pages`, an array of zeros. Returns how many visits did what."""
    counts = module().two_cursors(pages, prices(costs), touch == "random", *keys_of(seed))
    return dict(zip(VISITS, counts, strict=True))


def keys_of(seed: int) -> list[int]:
    """Two keys of 64 bits for a random order."""
    return [int(key) for key in np.random.SeedSequence(seed).generate_state(2, np.uint64)]


@cache
def module() -> Any:
    """The compiled module, from the cache if it is there."""
    library = folder() / f"_bare{SUFFIX}"
    if not library.exists():
        _build(library)
    spec = importlib.util.spec_from_file_location("_bare", library)
    assert spec is not None and spec.loader is not None, "the file is there"
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def folder() -> Path:
    """Where what is compiled is kept."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    key = hashlib.sha256(SOURCE.read_bytes() + repr((FLAGS, SUFFIX)).encode()).hexdigest()
    return caches / "lazydestroy-benchmarks" / key[:16]


def _build(library: Path) -> None:
    """Compile in a folder of our own, then put the library in its place in one go."""
    cython: Any = importlib.import_module("Cython.Build")
    setuptools: Any = importlib.import_module("setuptools")
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as work:
        source = shutil.copy(SOURCE, work)
        extension = setuptools.Extension("_bare", [source], extra_compile_args=FLAGS)
        distribution = setuptools.Distribution({"ext_modules": cython.cythonize([extension], quiet=True)})
        command = distribution.get_command_obj("build_ext")
        command.build_lib = command.build_temp = work
        command.ensure_finalized()
        command.run()
        (Path(work) / library.name).replace(library)
