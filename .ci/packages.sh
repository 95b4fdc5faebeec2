#!/bin/bash
# Build the sdist and the wheel, look into them, and use each from an empty environment in an empty folder.
cd "$(dirname "$0")/.."
. .ci/common.sh
scratch_folder

copy_sources "$SCRATCH/source"
new_environment "$SCRATCH/tools" build
cd "$SCRATCH"
"$SCRATCH/tools/bin/python" -m build --outdir "$SCRATCH/dist" "$SCRATCH/source" >"$SCRATCH/log" 2>&1 ||
    { cat "$SCRATCH/log"; exit 1; }

"$SCRATCH/tools/bin/python" - dist/*.whl dist/*.tar.gz <<'PYTHON'
import sys
import tarfile
import zipfile

wheel, sdist = sys.argv[1:]
in_wheel = zipfile.ZipFile(wheel).namelist()
in_sdist = [name.partition("/")[2] for name in tarfile.open(sdist).getnames()]
print(*sorted(in_wheel), sep="\n")


def check(what, wanted, names, kept_out=()):
    missing = [name for name in wanted if name not in names]
    strangers = [name for name in names if name.endswith(tuple(kept_out))]
    if missing or strangers:
        sys.exit(f"{what}: missing {missing}, should not be there {strangers}")


sources = ["lazydestroy/__init__.py", "lazydestroy/_core.pyx", "lazydestroy/_core.pyi", "lazydestroy/py.typed"]
sources += ["lazydestroy/_live.pyx", "lazydestroy/_live.pyi", "lazydestroy/live/recorded.json"]
check("wheel", sources, in_wheel, kept_out=[".c", ".ipynb"])
check("sdist", [*sources, "pyproject.toml", "LICENSE", "LICENSE-text", "README.md"], in_sdist, kept_out=[".c", ".so"])
if not any(name.startswith("lazydestroy/_core.") and name.endswith((".so", ".pyd")) for name in in_wheel):
    sys.exit("wheel: the core was not built")
if sys.platform == "linux" and not any(name.startswith("lazydestroy/_live.") and name.endswith(".so") for name in in_wheel):
    sys.exit("wheel: lazydestroy._live was not built")
PYTHON

mkdir empty
cd empty
for file in ../dist/*.whl ../dist/*.tar.gz; do
    echo "--- ${file##*/}"
    new_environment "$SCRATCH/user" "$file"
    "$SCRATCH/user/bin/python" -c "import lazydestroy as ld; print(ld.reboot('16 MiB').uvcs)"
done
