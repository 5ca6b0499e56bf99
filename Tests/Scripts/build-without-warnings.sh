#!/bin/bash
# build-without-warnings.sh CONFIGURATION [OPTION…]: builds, and fails if the compiler warned.
set -euo pipefail
configuration=$1
shift

log=$(mktemp)
trap 'rm -f "$log"' EXIT
swift build -c "$configuration" "$@" 2>&1 | tee "$log"
if grep -q 'warning:' "$log"; then
    # What is up to date is not compiled again and would not warn a second time.
    sed -n 's/^\(\/[^:]*\):[0-9]*:[0-9]*: warning:.*/\1/p' "$log" | sort -u | while read -r file; do
        if [[ -e $file ]]; then touch "$file"; fi
    done
    echo "the $configuration build has warnings" >&2
    exit 1
fi
