#!/bin/bash
# demo.sh COMMAND SESSION: streams a recorded session's heads, then its logs, through a real loopback socket.
set -euo pipefail
command=$1
session=$2

say() { printf '\n$ headstream %s\n' "$*"; }

say heads --replay "$session"
"$command" heads --replay "$session"

transfer='Transfer(address,address,uint256)'
say logs --event "'$transfer'" --count 12 --replay "$session"
"$command" logs --event "$transfer" --count 12 --replay "$session"

say heads --count 2 --json --replay "$session"
"$command" heads --count 2 --json --replay "$session" | cut -c 1-160
