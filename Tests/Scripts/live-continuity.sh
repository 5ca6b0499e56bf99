#!/usr/bin/env bash
# Follows heads and logs of a real anvil without a gap, for two minutes: live-continuity.sh [SECONDS [SEED]]
#
# Blocks are mined, reorganised and taken back; the node is killed twice and started again from its state; between it and
# the client is a relay that cuts, freezes and refuses. In the end what was told must be what the node has. Which anvil:
# see live.sh.
#
#   PROGRAM    HeadstreamConformance; else it is built
set -euo pipefail
cd "$(dirname "$0")/../.."

name=live-continuity
HEADSTREAM=none
. Tests/Scripts/anvil.sh
seconds=${1:-120}
seed=${2:-$RANDOM}
program=${PROGRAM:-}
if [ -z "$program" ]; then
    swift build --product HeadstreamConformance
    program=$(swift build --show-bin-path)/HeadstreamConformance
fi

folder=$(mktemp -d)
node=
run=
end() {
    local code=$?
    trap - EXIT
    for pid in $run $node; do kill "$pid" 2> /dev/null || true; done
    rm -rf "$folder"
    exit "$code"
}
trap end EXIT

# Starts the node from its state, if it has one, on the port of the time before.
port=0
start() {
    : > "$folder/anvil.log"
    "$anvil" --host 127.0.0.1 --port "$port" --no-mining --state "$folder/state.json" \
        --preserve-historical-states > "$folder/anvil.log" 2>&1 &
    node=$!
    for _ in $(seq 300); do
        if grep -q '^Listening on ' "$folder/anvil.log"; then
            port=$(sed -n 's/^Listening on .*:\([0-9]*\)$/\1/p' "$folder/anvil.log" | head -n 1)
            return
        fi
        kill -0 "$node" 2> /dev/null || break
        sleep 0.1
    done
    fail "anvil does not listen: $(tail -n 3 "$folder/anvil.log")"
}
start
echo "$name: anvil on port $port, $seconds s, seed $seed"
timeout $((seconds + 180)) "$program" live "$port" "$seconds" "$seed" &
run=$!
for _ in 1 2; do
    sleep $((seconds / 3))
    # It writes its state when it is interrupted.
    kill -INT "$node"
    wait "$node" || true
    [ -s "$folder/state.json" ] || fail "anvil left no state"
    start
    echo "$name: anvil was killed and started again"
done
wait "$run" || fail "what was followed is not what the node has"
run=
echo "$name: passed"
