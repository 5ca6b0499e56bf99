#!/bin/bash
# Checks the Swift toolchain and installs the Debian packages named that are missing.
# Where it may not install, it says what to install.
set -euo pipefail

required="6.2"
swift_version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p' | head -n 1) || true
if [[ -z $swift_version ]]; then
    echo "Swift is missing: install $required or newer from https://www.swift.org/install/linux" >&2
    exit 1
fi
if [[ $(printf '%s\n' "$required" "$swift_version" | sort -V | head -n 1) != "$required" ]]; then
    echo "Swift $swift_version is too old: install $required or newer from https://www.swift.org/install/linux" >&2
    exit 1
fi

# What a package brings, so that systems other than Debian are served too.
present() {
    case $1 in
        libssl-dev) pkg-config --atleast-version=3.0 openssl 2>/dev/null ;;
        zlib1g-dev) pkg-config --exists zlib 2>/dev/null ;;
        libsimdjson-dev) [[ -e /usr/include/simdjson.h || -e /usr/local/include/simdjson.h ]] ;;
        python3-venv) python3 -c "import ensurepip, venv" 2>/dev/null ;;
        stunnel4) command -v stunnel >/dev/null ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

missing=()
for package in "$@"; do
    present "$package" || missing+=("$package")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

give_up() {
    echo "$1; please install: ${missing[*]}" >&2
    exit 1
}
command -v apt-get >/dev/null || give_up "there is no apt-get here"
as_root=()
if [[ $(id -u) -ne 0 ]]; then
    command -v sudo >/dev/null || give_up "neither root nor sudo"
    as_root=(sudo)
fi
install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}")
echo "installing ${missing[*]}"
# The lists may be old or absent: update them only where the first try fails.
"${install[@]}" >/dev/null 2>&1 && exit 0
"${as_root[@]}" apt-get update -qq >/dev/null || give_up "apt-get update failed"
"${install[@]}" >/dev/null || give_up "apt-get install failed"
