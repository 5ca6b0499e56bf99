#!/usr/bin/env bash
# Runs many seeds of the continuity property test in a release build: torture.sh [SEEDS [FIRST]]
# Prints the seeds that fail and what they break, and fails then. HEADSTREAM_JOURNAL=SEED tells what happens in one.
set -euo pipefail
cd "$(dirname "$0")/../.."

seeds=${1:-100000}
first=${2:-1}
options=(-c release -Xswiftc -enable-testing --scratch-path .build/torture)
swift build "${options[@]}" --build-tests
log=.build/torture/seeds.log
code=0
began=$SECONDS
HEADSTREAM_SEEDS=$seeds HEADSTREAM_FIRST_SEED=$first swift test "${options[@]}" --skip-build \
    --filter ContinuityPropertyTests/promise > "$log" 2>&1 || code=$?
grep -ao 'seed [0-9]*: .*' "$log" || true
failed=$(grep -ac 'seed [0-9]*: ' "$log" || true)
if [ "$failed" -eq 0 ] && [ $code -ne 0 ]; then tail -n 20 "$log"; fi
echo "torture: $seeds seeds from $first in $((SECONDS - began)) s, $failed failed"
exit $code
