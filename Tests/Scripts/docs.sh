#!/bin/bash
# Makes a DocC archive of each library target that has a catalog, in .build/docs: of what users see for the products,
# of the seams between targets for the others.
set -euo pipefail
cd "$(dirname "$0")/../.."

swift build
build=$(swift build --show-bin-path)
triple=$(swiftc -print-target-info | sed -n 's/^ *"triple" *: *"\([^"]*\)".*/\1/p' | head -n 1)
maps=(-Xcc -fmodule-map-file=Sources/CHeadstreamOpenSSL/module.modulemap)
maps+=(-Xcc -fmodule-map-file=Sources/CHeadstreamZlib/module.modulemap)
for map in "$build"/CHeadstream*.build/module.modulemap; do maps+=(-Xcc "-fmodule-map-file=$map"); done

output=.build/docs
rm -rf "$output"
mkdir -p "$output"
for catalog in Sources/*/Documentation.docc; do
    module=$(basename "$(dirname "$catalog")")
    case $module in
        Headstream | HeadstreamTesting | EthereumTypes | HeadstreamJSON) level=public ;;
        *) level=package ;;
    esac
    # Each module alone: a catalog's links are to its own symbols.
    graphs="$output/.graphs/$module"
    mkdir -p "$graphs"
    swift symbolgraph-extract -module-name "$module" -target "$triple" -minimum-access-level "$level" \
        -skip-inherited-docs -I "$build/Modules" "${maps[@]}" -output-dir "$graphs"
    docc convert "$catalog" --additional-symbol-graph-dir "$graphs" --output-path "$output/$module.doccarchive" \
        --fallback-display-name "$module" --fallback-bundle-identifier "headstream.$module" 2>&1 |
        # Parameters that speak for themselves are not documented.
        awk 'BEGIN { RS = ""; ORS = "\n\n" } !/is missing documentation/'
done
rm -rf "$output/.graphs"
ls -d "$output"/*.doccarchive
