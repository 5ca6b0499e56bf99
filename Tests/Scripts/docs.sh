#!/bin/bash
# Makes a DocC archive of each library target that has a catalog, in .build/docs.
set -euo pipefail
cd "$(dirname "$0")/../.."

output=.build/docs
graphs=.build/symbol-graphs
rm -rf "$output" "$graphs"
mkdir -p "$output" "$graphs"

swift build
build=$(swift build --show-bin-path)
target=$(swiftc -print-target-info | sed -n 's/^ *"triple" *: *"\([^"]*\)".*/\1/p' | head -n 1)
for catalog in Sources/*/Documentation.docc; do
    module=$(basename "$(dirname "$catalog")")
    mkdir -p "$graphs/$module"
    swift symbolgraph-extract -module-name "$module" -target "$target" -minimum-access-level public \
        -skip-inherited-docs -I "$build/Modules" -I Sources/CHeadstreamBytes/include \
        -I Sources/CHeadstreamLinux/include -I Sources/CHeadstreamOpenSSL -output-dir "$graphs/$module"
    docc convert "$catalog" --additional-symbol-graph-dir "$graphs/$module" --output-path "$output/$module.doccarchive" \
        --fallback-display-name "$module" --fallback-bundle-identifier "headstream.$module" --warnings-as-errors
    echo "$output/$module.doccarchive"
done
echo "to read one: docc preview Sources/Headstream/Documentation.docc, or serve the archive as static files"
