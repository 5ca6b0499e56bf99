#!/usr/bin/env bash
# Tries the command against a real node: anvil, the development node of the Foundry project.
#
# It starts anvil on a free port of 127.0.0.1 and on a Unix socket, mines blocks and deploys contracts that emit a log,
# follows heads and logs over both, and checks what was printed. It ends within two minutes, and anvil with it.
#
#   ANVIL      an anvil to run; else .build/anvil, or the one in PATH
#   ANVIL_XZ   a packed one, unpacked to .build/anvil; else nodes/anvil.xz in a folder beside the checkout
#   HEADSTREAM the command; else it is built
#
# Without an anvil it skips and ends well.
set -euo pipefail
cd "$(dirname "$0")/../.."

name=live
. Tests/Scripts/anvil.sh
command -v python3 > /dev/null || skip "there is no python3 to check with"

folder=$(mktemp -d)
node=
end() {
    local code=$?
    trap - EXIT
    jobs -p | xargs -r kill 2> /dev/null || true
    if [ -n "$node" ]; then kill "$node" 2> /dev/null || true; fi
    rm -rf "$folder"
    exit "$code"
}
trap end EXIT

# The node tells where it listens; what it prints later goes to a file.
exec 3< <(exec "$anvil" --host 127.0.0.1 --port 0 --no-mining --ipc "$folder/node.ipc" 2>&1)
node=$!
port=
while IFS= read -r -t 30 -u 3 line; do
    case $line in "Listening on "*) port=${line##*:}; break ;; esac
done
[ -n "$port" ] || fail "anvil did not begin to listen within 30 s"
cat <&3 > "$folder/anvil.log" &
ws=ws://127.0.0.1:$port
ipc=$folder/node.ipc

call() { timeout 20 "$HEADSTREAM" call --url "$ipc" "$@"; }

echo "live: $(call web3_clientVersion) on $ws and IPC, chain $(call eth_chainId)"
account=$(call eth_accounts | grep -o '0x[0-9a-f]\{40\}' | head -n 1)
event='Answer(uint256)'
topic=$(call web3_sha3 "0x$(printf %s "$event" | od -An -tx1 | tr -d ' \n')" | tr -d '"')
# Stores 42 in memory, emits it with the topic (LOG1), and deploys no code.
code=0x602a6000527f${topic#0x}60206000a160006000f3

heads=8
logs=4
declare -A readers
follow() {
    local name=$1
    shift
    timeout 60 "$HEADSTREAM" "$@" > "$folder/$name" 2> "$folder/$name.err" &
    readers[$name]=$!
}
follow heads.ws heads --url "$ws" --json --count $heads
follow heads.ipc heads --url "$ipc" --json --count $heads
follow logs.ws logs --url "$ws" --json --event "$event" --count $logs
follow logs.ipc logs --url "$ipc" --json --event "$event" --count $logs
follow table heads --url "$ws" --count 3

# Blocks are mined until all readers have what they want.
rounds=0
alive() { for pid in "${readers[@]}"; do kill -0 "$pid" 2> /dev/null && return 0; done; return 1; }
while alive; do
    rounds=$((rounds + 1))
    [ $rounds -le 500 ] || fail "after 500 blocks the readers still wait: $(tail -n 3 "$folder"/*.err)"
    call eth_sendTransaction "{\"from\":\"$account\",\"data\":\"$code\"}" > /dev/null
    call evm_mine > /dev/null
done
for name in "${!readers[@]}"; do
    wait "${readers[$name]}" || fail "$name ended with $?: $(cat "$folder/$name.err")"
    [ ! -s "$folder/$name.err" ] || fail "$name said: $(cat "$folder/$name.err")"
done

python3 - "$folder" "$account" "$topic" $heads $logs <<'CHECK' || fail "what was printed is not what was mined"
import json, sys
folder, account, topic, heads, logs = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
read = lambda name: [json.loads(line) for line in open(f"{folder}/{name}")]
for transport in ("ws", "ipc"):
    items = read("heads." + transport)
    assert len(items) == heads, (transport, len(items))
    for before, after in zip(items, items[1:]):
        assert int(after["number"], 16) == int(before["number"], 16) + 1, (before["number"], after["number"])
        assert after["parentHash"] == before["hash"], after["number"]
    items = read("logs." + transport)
    assert len(items) == logs, (transport, len(items))
    for item in items:
        assert item["topics"] == [topic] and int(item["data"], 16) == 42 and not item["removed"], item
    numbers = [int(item["blockNumber"], 16) for item in items]
    assert numbers == list(range(numbers[0], numbers[0] + logs)), numbers
table = open(f"{folder}/table").read().splitlines()
assert len(table) == 4 and table[0].split()[0] == "BLOCK", table
assert all("\x1b" not in line for line in table), table
CHECK

# A reader that is told to end unsubscribes and ends with 143.
coproc READER { exec timeout -s KILL 60 "$HEADSTREAM" heads --url "$ws" --json 2> "$folder/reader.err"; }
reader=$READER_PID
for _ in $(seq 500); do
    call evm_mine > /dev/null
    if IFS= read -r -t 0 -u "${READER[0]}"; then break; fi
done
# timeout hands the signal on.
kill -TERM "$reader"
code=0
wait "$reader" || code=$?
[ $code -eq 143 ] || fail "a reader that got SIGTERM ended with $code: $(cat "$folder/reader.err")"

code=0
call eth_noSuchMethod > /dev/null 2> "$folder/refused" || code=$?
[ $code -eq 70 ] || fail "an unknown method ended with $code: $(cat "$folder/refused")"

echo "live: passed: $heads heads and $logs logs over WebSocket and IPC each, in sequence, out of $rounds mined blocks"
