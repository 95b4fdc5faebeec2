#!/bin/bash
# Build the core with every check there is and run the tests on it, in a copy of the repository.
#
# The core uses raw pointers, so Cython's own bounds checks (on here) see little of it: AddressSanitizer sees reads and
# writes outside of an allocation and after its end, UndefinedBehaviorSanitizer sees overflow of signed integers, shifts
# too far, division by zero. Cython's overflowcheck stays off: it would refuse unsigned arithmetic that is meant to wrap
# around. C's asserts are on.
#
# Only tests that drive the core are run: the core by itself, machines by hand, whole runs, the golden data, the search.
# The others (text, pictures, widgets, answers, notebooks) call it in the same ways. ARGS are given to pytest. They run in
# the environment of `make test`; the copy is found before what is installed there, and that is looked at.
cd "$(dirname "$0")/.."
. .ci/common.sh
scratch_folder

sanitizers=(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)

export ASAN_OPTIONS=detect_leaks=0:strict_string_checks=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1

# The interpreter is not instrumented, so the sanitizer comes before it; and the C++ library with it, because it must
# be there when the sanitizer looks for what throws exceptions.
preload="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libstdc++.so.6)"

# Build a module in place, with the checks turned on that its first line turns off (which has the last word).
checked_build() {
    sed -i '1{s/\(boundscheck\|initializedcheck\)=False/\1=True/g; s/cdivision=True/cdivision=False/; s/$/, nonecheck=True/}' "$1"
    CC=gcc CFLAGS="-O1 -g -UNDEBUG ${sanitizers[*]}" LDFLAGS="${sanitizers[*]}" \
        "$environment/cythonize" --quiet --force --inplace "$1"
}

checked_python() {
    LD_PRELOAD=$preload "$environment/python" "$@"
}

make --no-print-directory .venv/.has-test
environment=$PWD/.venv/bin
copy_sources "$SCRATCH/source"
cd "$SCRATCH/source"

echo "--- do the checks find what they are for?"
mkdir "$SCRATCH/proof"
{ head -n 1 lazydestroy/_core.pyx && tail -n +2 .ci/proof.pyx; } >"$SCRATCH/proof/proof.pyx"
(cd "$SCRATCH/proof" && checked_build proof.pyx)
proves() {
    local statement=$1 wanted=$2 said
    said=$(cd "$SCRATCH/proof" && checked_python -c "from proof import *; print($statement)" 2>&1) || true
    if ! grep -q "$wanted" <<<"$said"; then
        printf '%s should say "%s" but says:\n%s\n' "$statement" "$wanted" "$said" >&2
        exit 1
    fi
    echo "$statement: $wanted"
}
proves 'read(7), double(7), view(7), inverse(1), holds(1)' '0 14 0 1 True'
proves 'read(8)' 'heap-buffer-overflow'
proves 'free(), read(0)' 'heap-use-after-free'
proves 'double(2**62)' 'signed integer overflow'
proves 'view(8)' 'IndexError'
proves 'inverse(0)' 'ZeroDivisionError'
proves 'holds(0)' 'Assertion'

echo "--- the core"
rm -f lazydestroy/_core*.so
checked_build lazydestroy/_core.pyx
nm -D lazydestroy/_core*.so | grep -q __asan_ || { echo "the core was built without AddressSanitizer" >&2; exit 1; }

loaded=$(checked_python -c 'import lazydestroy._core as core; print(core.__file__)')
case $loaded in "$PWD"/*) ;; *) echo "the tests would run on $loaded" >&2; exit 1 ;; esac

echo "--- the tests"
driving=(core oracle stateful golden kernel machine scenarios reboot_loop reboot_parameters swap film surface check)
checked_python -m pytest $(printf 'tests/test_%s.py ' "${driving[@]}") -m "not notebooks and not long" \
    --numprocesses=auto --dist=worksteal -p no:cacheprovider \
    -W error::pytest.PytestUnraisableExceptionWarning ${ARGS:-}
