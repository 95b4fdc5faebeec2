#!/bin/sh
# Say plainly what is missing to build the package: check-prerequisites.sh PYTHON
#
# Wanted: Python 3.11 or newer with its lock (GIL), venv and headers, and a C compiler that works. Everything that is
# missing is named at once; the exit status is 1 then. Make is not checked, since make runs this.
set -u

python=${1:-python3}
missing=0

lack() {
    [ "$missing" -eq 0 ] && echo "This machine lacks what lazydestroy is built with:" >&2
    missing=1
    echo "  - $1" >&2
}

finish() {
    [ "$missing" -eq 0 ] && exit 0
    cat >&2 <<'END'
Where these come from:
  Debian, Ubuntu   sudo apt install python3 python3-venv python3-dev gcc libc6-dev
  Fedora           sudo dnf install python3 python3-devel gcc
  macOS            xcode-select --install
Another Python than python3 can be named: make lab PYTHON=python3.12
END
    exit 1
}

says() {
    "$python" -c "$1" 2>/dev/null
}

if ! command -v "$python" >/dev/null 2>&1; then
    lack "Python 3.11 or newer: there is no command '$python'."
    finish
fi
if ! says 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    version=$(says 'import platform; print(platform.python_version())')
    lack "Python 3.11 or newer: '$python' is ${version:-no Python that works}."
    finish
fi
says 'import sys, sysconfig; sys.exit(bool(sysconfig.get_config_var("Py_GIL_DISABLED")))' ||
    lack "a Python with its lock (GIL): '$python' is free-threaded, and the core's stable ABI is not for that."
says 'import ensurepip, venv' ||
    lack "Python's venv module with ensurepip: '$python' cannot make a virtual environment."

# The compiler and the headers that setuptools would use, tried out.
compiler=${CC:-$(says 'import sysconfig; print(sysconfig.get_config_var("CC") or "cc")')}
headers=$(says 'import sysconfig; print(sysconfig.get_path("include"))')
compiles() {
    # shellcheck disable=SC2086 # the compiler may come with options
    printf '%s\n' "$1" 'int main(void) { return 0; }' | $compiler -x c -fsyntax-only -I"$headers" - >/dev/null 2>&1
}

if ! command -v "${compiler%% *}" >/dev/null 2>&1; then
    lack "a C compiler: there is no command '${compiler%% *}'. (CC=... names another.)"
elif ! compiles '#include <stdlib.h>'; then
    lack "a C compiler that works: '$compiler' does not compile an empty program with <stdlib.h>."
fi
if [ ! -f "$headers/Python.h" ]; then
    lack "Python's headers: there is no '$headers/Python.h'."
elif compiles '#include <stdlib.h>' && ! compiles '#include <Python.h>'; then
    lack "Python's headers: '$headers/Python.h' does not compile."
fi
finish
