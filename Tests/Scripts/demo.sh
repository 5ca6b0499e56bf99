#!/bin/bash
# demo.sh COMMAND SESSION: streams a recorded session's heads, then its logs, through a real loopback socket.
set -euo pipefail
command=$1
session=$2
usdc=0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48
transfer='Transfer(address,address,uint256)'

printf '\n$ headstream heads --replay %s\n' "$session"
"$command" heads --replay "$session"

printf '\n$ headstream logs --address %s --event '\''%s'\'' --count 10 --replay %s\n' "$usdc" "$transfer" "$session"
"$command" logs --address "$usdc" --event "$transfer" --count 10 --replay "$session"
