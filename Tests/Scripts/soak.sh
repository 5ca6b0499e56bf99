#!/usr/bin/env bash
# Follows heads and logs on real sockets while something goes wrong every second: soak.sh PROGRAM [SECONDS [ordered|race [SEED]]]
# The nodes are a process of their own; the client's fails where something is lost, told twice or left behind.
set -euo pipefail

program=$1
seconds=${2:-600}
policy=${3:-ordered}
seed=${4:-$RANDOM}
echo "soak: $seconds s, $policy, seed $seed"
exec 3< <(exec "$program" soak-nodes "$seconds" "$seed" 2>&1)
nodes=$!
trap 'kill "$nodes" 2> /dev/null || true' EXIT
endpoints=
while IFS= read -r -t 30 -u 3 line; do
    case $line in "endpoints "*) endpoints=${line#endpoints }; break ;; *) echo "nodes: $line" ;; esac
done
[ -n "$endpoints" ] || { echo "soak: FAILED: the nodes do not come up" >&2; exit 1; }
sed 's/^/nodes: /' <&3 &
# shellcheck disable=SC2086
timeout $((seconds + 600)) "$program" soak "$seconds" "$policy" $endpoints || { echo "soak: FAILED" >&2; exit 1; }
echo "soak: passed"
