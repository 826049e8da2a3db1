# Shared by the scripts in this folder. Source it; it changes to the project's root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# Prints the comment block at the top of the script: its help.
print_help() { awk 'NR == 1 { next } /^#/ { sub(/^# ?/, ""); print; next } { exit }' "$1"; }

# A build folder of scripts/build, or the one a test names.
build_dir() { echo "${PANAL_BUILD_DIR:-$ROOT/build/${1:-release}}"; }

# as_root CMD…: runs it as root, by sudo where the caller is not.
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
