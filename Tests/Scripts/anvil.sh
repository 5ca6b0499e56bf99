# Sourced by the scripts that try the command against anvil, in the checkout's root: sets `anvil` and `HEADSTREAM`, or
# skips. The script that sources it sets `name`.

skip() { echo "$name: skipped: $*"; exit 0; }
fail() { echo "$name: FAILED: $*" >&2; exit 1; }

anvil=${ANVIL:-}
if [ -z "$anvil" ] && [ -x .build/anvil ]; then anvil=.build/anvil; fi
if [ -z "$anvil" ]; then
    for packed in "${ANVIL_XZ:-}" ../*/nodes/anvil.xz; do
        if [ -f "$packed" ] && command -v xz > /dev/null; then
            mkdir -p .build
            xz -dc "$packed" > .build/anvil.part && chmod +x .build/anvil.part && mv .build/anvil.part .build/anvil
            anvil=.build/anvil
            break
        fi
    done
fi
[ -n "$anvil" ] || anvil=$(command -v anvil) || skip "there is no anvil; set ANVIL or ANVIL_XZ, or install Foundry"
"$anvil" --version > /dev/null 2>&1 || skip "this anvil does not run here: $anvil"

if [ -z "${HEADSTREAM:-}" ]; then
    swift build --product headstream
    HEADSTREAM=$(swift build --show-bin-path)/headstream
fi
