#!/usr/bin/env bash
# Tries the command over wss:// against the project's own node, which replays a recording with a throw-away certificate.
#
#   HEADSTREAM the command; else it is built
set -euo pipefail
cd "$(dirname "$0")/../.."

session=Fixtures/sessions/mainnet-14000000-14000010.io
if [ -z "${HEADSTREAM:-}" ]; then
    swift build -c release --product headstream > /dev/null
    HEADSTREAM=$(swift build -c release --show-bin-path)/headstream
fi
folder=$(mktemp -d)
exec 3< <(exec "$HEADSTREAM" replay "$session" --port 0 --tls "$folder/authority.pem")
node=$!
trap 'kill "$node" 2> /dev/null || true; rm -rf "$folder"' EXIT
read -r -t 30 -u 3 url
[[ $url == wss://* ]] || { echo "live-tls: no wss:// endpoint but $url" >&2; exit 1; }

code=0
timeout 60 "$HEADSTREAM" heads --url "$url" --count 1 > /dev/null 2> "$folder/refused" || code=$?
[ "$code" != 0 ] && grep -q certificate "$folder/refused" \
    || { echo "live-tls: an unknown authority was accepted, or not told (code $code)" >&2; exit 1; }

# The node plays its recording to one client.
timeout 60 "$HEADSTREAM" heads --url "$url" --cacert "$folder/authority.pem" --json --count 11 > "$folder/heads"
[ "$(wc -l < "$folder/heads")" = 11 ] || { echo "live-tls: not the eleven recorded heads" >&2; exit 1; }
echo "live-tls: eleven heads over $url; an unknown authority is refused"
