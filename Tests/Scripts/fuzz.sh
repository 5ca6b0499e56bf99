#!/bin/bash
# Runs the fuzz targets under libFuzzer and the address sanitizer: fuzz.sh SECONDS [TARGET...]
# Corpora grow in .build/fuzz-corpus from the seeds in Tests/Fuzz/Seeds; a finding is left in .build/fuzz-findings.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${1:?the seconds for each target}
shift
targets=("$@")
[[ ${#targets[@]} -gt 0 ]] || targets=(json frames inflater handshake ipc envelope processor transcript)

export HEADSTREAM_FUZZ=1
# Both in one flag behind that of --sanitize, which lets the fuzzer have its own main: of several the compiler takes the
# last, and of two --sanitize SwiftPM makes two, in any order.
build=(swift build -c release -Xswiftc -enable-testing --sanitize fuzzer -Xswiftc -sanitize=address,fuzzer
    -Xcc -fsanitize=address,fuzzer-no-link --scratch-path .build/fuzz)
"${build[@]}" --product HeadstreamFuzz
program=$("${build[@]}" --show-bin-path)/HeadstreamFuzz

mkdir -p .build/fuzz-findings
summary=.build/fuzz-findings/summary.md
{ echo "| target | seconds | executions | edges covered | finding |"; echo "| --- | ---: | ---: | ---: | --- |"; } >"$summary"
failed=0
for target in "${targets[@]}"; do
    corpus=.build/fuzz-corpus/$target
    mkdir -p "$corpus"
    log=.build/fuzz-findings/$target.log
    finding=none
    # Interned metadata of the runtime looks like leaks; leaks are looked for by tests.
    HEADSTREAM_FUZZ_TARGET=$target ASAN_OPTIONS=detect_leaks=0 \
        SWIFT_BACKTRACE=enable=no nice "$program" "$corpus" "Tests/Fuzz/Seeds/$target" \
        -max_total_time="$seconds" -max_len=4096 -timeout=60 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix=".build/fuzz-findings/$target-" >"$log" 2>&1 || { finding="see $log" failed=1; }
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    edges=$(sed -n 's/.*cov: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
    echo "| $target | $seconds | ${executions:-0} | ${edges:-0} | $finding |" | tee -a "$summary"
done
exit "$failed"
