#!/bin/bash
# The steps with which repo2docker turns binder/ into an image, in a fresh environment; then what a visitor does first.
#
# They are those of its Python build pack: runtime.txt names the version, requirements.txt is installed from the root of
# the repository, postBuild is run there. Not tried: its base image and its frozen environment, which need its server.
cd "$(dirname "$0")/.."
. .ci/common.sh
scratch_folder

version=$(sed 's/^python-//' binder/runtime.txt)
for python in "python$version" "${PYTHON:-python3}" python3; do
    found=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true)
    if [ "$found" = "$version" ]; then break; fi
done
if [ "$found" != "$version" ]; then
    echo "binder/runtime.txt asks for Python $version, which is not installed." >&2
    exit 1
fi

copy_sources "$SCRATCH/home"
cd "$SCRATCH/home"
"$python" -m venv "$SCRATCH/environment"
export PATH="$SCRATCH/environment/bin:$PATH"
export MPLCONFIGDIR="$SCRATCH/fonts" # empty as there, so that the list of fonts has to be made

echo "--- requirements.txt"
pip install --quiet --disable-pip-version-check --no-cache-dir -r binder/requirements.txt
echo "--- postBuild"
chmod +x binder/postBuild
./binder/postBuild
ls "$MPLCONFIGDIR"/fontlist*.json >/dev/null
test ! -e notebooks/exercises/source
echo "--- a visitor"
jupyter lab --version
cd notebooks
python - <<'PYTHON'
import matplotlib

matplotlib.use("agg")

import lazydestroy as ld

run = ld.reboot("64 MiB")
run.plot()
print(run)
PYTHON
