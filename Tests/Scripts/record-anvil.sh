#!/usr/bin/env bash
# Records a real node, anvil of the Foundry project, and replays what was recorded: the streams must be the same.
#
# Heads over WebSocket, logs over IPC, and a client that is not ours (Python, over IPC) go through "headstream record"
# while blocks are mined. It ends within two minutes, and anvil with it.
#
#   ANVIL      an anvil to run; else .build/anvil, or the one in PATH
#   ANVIL_XZ   a packed one, unpacked to .build/anvil; else nodes/anvil.xz in a folder beside the checkout
#   HEADSTREAM the command; else it is built
#
# Without an anvil it skips and ends well.
set -euo pipefail
cd "$(dirname "$0")/../.."

name=record-anvil
. Tests/Scripts/anvil.sh
command -v python3 > /dev/null || skip "there is no python3 for the foreign client"

folder=$(mktemp -d)
node=
recorder=
end() {
    local code=$?
    trap - EXIT
    jobs -p | xargs -r kill 2> /dev/null || true
    for process in $recorder $node; do kill "$process" 2> /dev/null || true; done
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
ws=ws://user:secret-word@127.0.0.1:$port/?token=another-secret
ipc=$folder/node.ipc

call() { timeout 20 "$HEADSTREAM" call --url "$ipc" "$@"; }
account=$(call eth_accounts | grep -o '0x[0-9a-f]\{40\}' | head -n 1)
# Stores 42 in memory, emits it with a topic (LOG1), and deploys no code.
code=0x602a6000527f$(printf '%064x' 4711)60206000a160006000f3

# recorded NAME URL ENDPOINT-NUMBER CLIENT…: records the client, which gets the recorder's endpoint as its last word,
# into NAME.io while blocks are mined until it ends; what it printed is in NAME.live.
recorded() {
    local name=$1 url=$2 number=$3
    shift 3
    # A job in the background would ignore SIGINT; SIGTERM ends it in order as well.
    exec 4< <(exec "$HEADSTREAM" record --url "$url" --out "$folder/$name.io" --ipc "$folder/$name.ipc")
    recorder=$!
    local endpoints=()
    for _ in 1 2; do
        IFS= read -r -t 30 -u 4 line || fail "$name: the recorder does not begin"
        endpoints+=("${line#ipc:}")
    done
    timeout 60 "$@" "${endpoints[$number]}" > "$folder/$name.live" 2> "$folder/$name.err" &
    local client=$! rounds=0
    while kill -0 $client 2> /dev/null; do
        rounds=$((rounds + 1))
        [ $rounds -le 300 ] || fail "$name: after 300 blocks the client still waits"
        call eth_sendTransaction "{\"from\":\"$account\",\"data\":\"$code\"}" > /dev/null
        call evm_mine > /dev/null
    done
    wait $client || fail "$name: the client ended with $?: $(cat "$folder/$name.err")"
    kill -TERM "$recorder"
    local ended=0
    wait "$recorder" || ended=$?
    recorder=
    exec 4<&-
    [ $ended -eq 143 ] || fail "$name: the recorder ended with $ended"
    [ -s "$folder/$name.live" ] || fail "$name: the client printed nothing"
}

cat > "$folder/client.py" <<'CLIENT'
import json, socket, sys
with socket.socket(socket.AF_UNIX) as node:
    node.connect(sys.argv[1])
    node.sendall(b'{"jsonrpc":"2.0","id":"a","method":"eth_subscribe","params":["newHeads"]}')
    lines = node.makefile("rb")
    for _ in range(5):
        message = json.loads(lines.readline())
        if "params" in message:
            print(json.dumps(message["params"]["result"], separators=(",", ":")))
CLIENT

recorded heads "$ws" 0 "$HEADSTREAM" heads --json --count 6 --url
recorded logs "$ipc" 1 "$HEADSTREAM" logs --json --count 4 --url
recorded foreign "$ws" 1 python3 "$folder/client.py"

"$HEADSTREAM" heads --json --count 6 --replay "$folder/heads.io" > "$folder/heads.again"
"$HEADSTREAM" logs --json --count 4 --replay "$folder/logs.io" > "$folder/logs.again"
"$HEADSTREAM" heads --json --count 4 --replay "$folder/foreign.io" > "$folder/foreign.again"
for name in heads logs foreign; do
    python3 - "$folder/$name.live" "$folder/$name.again" <<'CHECK' || fail "$name: the replay is not what was live"
import json, sys
live, again = ([json.loads(line) for line in open(name)] for name in sys.argv[1:])
assert live == again and len(live) >= 4, (len(live), len(again))
CHECK
    head -n 1 "$folder/$name.io" | grep -q '^// recorded from ' || fail "$name: there is no remark at its head"
    sed -n 2p "$folder/$name.io" | grep -qx '// @0.000 open' || fail "$name: the connection does not begin"
    ! grep -q -e secret -e token "$folder/$name.io" || fail "$name: credentials are in the file"
done

# A disk that is full: what was written stays whole, and the recorder says why it ends.
exec 4< <(
    trap '' XFSZ
    ulimit -f 2
    exec "$HEADSTREAM" record --url "$ipc" --out "$folder/full.io" 2> "$folder/full.err"
)
recorder=$!
IFS= read -r -t 30 -u 4 endpoint || fail "full: the recorder does not begin"
code=0
for _ in $(seq 20); do timeout 20 "$HEADSTREAM" call --url "$endpoint" eth_chainId; done \
    > /dev/null 2>&1 || true
wait "$recorder" || code=$?
recorder=
[ $code -eq 74 ] || fail "full: the recorder ended with $code: $(cat "$folder/full.err")"
grep -q 'cannot be written' "$folder/full.err" || fail "full: no reason was told"
[ -z "$(tail -c 1 "$folder/full.io" | tr -d '\n')" ] || fail "full: the last line is cut"
grep -q '^<< ' "$folder/full.io" || fail "full: what was written is gone"

echo "record-anvil: passed: heads over WebSocket, logs and a foreign client over IPC replay as they were recorded"
