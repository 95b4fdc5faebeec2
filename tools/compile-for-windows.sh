#!/bin/sh
# Compile the core for Windows with MinGW-w64, and link it: compile-for-windows.sh [CPYTHON_SOURCE]
#
# This shows that its C code needs nothing that only Linux has, and nothing beyond CPython's stable ABI. It doesn't show
# that MSVC takes it, nor that it runs: both are for a machine with Windows.
#
# CPYTHON_SOURCE is a folder with CPython's own source, for Windows' pyconfig.h and the list of what python3.dll exports.
# Without it, root on Debian or Ubuntu gets the source package, into build/cpython. PYTHON names a Python with Cython.
# The exit status is 77 if something is missing, and a line says what.
set -eu
cd "$(dirname "$0")/.."

target=x86_64-w64-mingw32
built=$PWD/build/windows
source=${1:-$PWD/build/cpython}

skip() {
    echo "not compiled for Windows: $1"
    exit 77
}

# The source package of the system's Python, by way of the package sources that the system has, as source packages.
fetch_source() {
    command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || skip "no CPython source in '$source'"
    apt=$built/apt
    mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/parts" "$source"
    sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >"$apt/sources.list" 2>/dev/null || true
    for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list.d/ubuntu.sources; do
        if [ -f "$file" ]; then sed 's/^Types:.*/Types: deb-src/' "$file" >"$apt/parts/${file##*/}"; fi
    done
    name=$(/usr/bin/python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    set -- -qq -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt" -o "Dir::Etc::sourcelist=$apt/sources.list" \
        -o "Dir::Etc::sourceparts=$apt/parts" -o APT::Sandbox::User=root
    (cd "$apt" && apt-get "$@" update && apt-get "$@" source --download-only --tar-only --only-source "$name") >&2 ||
        skip "the package sources of this system have no source of $name"
    tar -xf "$apt/$name"_*.orig.tar.* -C "$source" --strip-components=1 --wildcards '*/Include' '*/PC/*'
}

command -v $target-gcc >/dev/null || skip "there is no $target-gcc (Debian: gcc-mingw-w64-x86-64-win32)"
rm -rf "$built"
mkdir -p "$built/include"
[ -f "$source/PC/python3dll.c" ] || fetch_source

cp -r "$source"/Include/. "$built/include"
configured=$source/PC/pyconfig.h
[ -f "$configured" ] || configured=$configured.in
cp "$configured" "$built/include/pyconfig.h"

# An import library of python3.dll, which has CPython's stable ABI and nothing else.
{
    echo "LIBRARY python3.dll"
    echo "EXPORTS"
    sed -nE 's/^EXPORT_FUNC\((\w+)\).*/\1/p; s/^EXPORT_DATA\((\w+)\).*/\1 DATA/p' "$source/PC/python3dll.c"
} >"$built/python3.def"
$target-dlltool -d "$built/python3.def" -l "$built/libpython3.a"

"${PYTHON:-python3}" -m cython -3 lazydestroy/_core.pyx -o "$built/_core.c"
$target-gcc -shared -O1 -Wall -Wno-unused-function -DMS_WIN64 -DCYTHON_LIMITED_API=1 -DPy_LIMITED_API=0x030B0000 \
    -I"$built/include" "$built/_core.c" "$built/libpython3.a" -static-libgcc -o "$built/_core.pyd"
$target-objdump -p "$built/_core.pyd" | sed -n 's/^.*DLL Name: /needs /p'
