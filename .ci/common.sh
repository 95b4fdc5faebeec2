# What the scripts in this folder share; read with `.`, from the root of the repository.
# shellcheck shell=bash

set -euo pipefail

# A heading that is easy to find in a long log.
heading() {
    printf '\n=== %s\n' "$*"
}

# Where a script works; removed when it ends.
scratch_folder() {
    SCRATCH=$(mktemp -d)
    trap 'rm -rf "$SCRATCH"' EXIT
}

# Copy the repository as it would be committed now: no build products, no environment.
copy_sources() {
    local to=$1 file
    mkdir -p "$to"
    git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
        if [ -e "$file" ]; then printf '%s\0' "$file"; fi
    done | tar --null --files-from=- --create --file=- | tar --extract --file=- --directory="$to"
}

# Make an environment and install into it: new_environment FOLDER pip-arguments...
new_environment() {
    local folder=$1
    shift
    "${PYTHON:-python3}" -m venv --clear "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}
