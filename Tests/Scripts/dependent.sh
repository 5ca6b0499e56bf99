#!/bin/bash
# Builds and runs a package elsewhere on disk that depends on this one by its path, with one product and no settings.
set -euo pipefail
repository=$(cd "$(dirname "$0")/../.." && pwd)
name=$(basename "$repository")

package=$(mktemp -d)
trap 'rm -rf "$package"' EXIT
mkdir -p "$package/Sources/Client"
cat > "$package/Package.swift" <<SWIFT
// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "client",
    platforms: [.macOS(.v15)],
    dependencies: [.package(path: "$repository")],
    targets: [
        .executableTarget(name: "Client", dependencies: [.product(name: "Headstream", package: "$name")])
    ]
)
SWIFT
cat > "$package/Sources/Client/Client.swift" <<'SWIFT'
import Headstream

@main
struct Client {
    static func main() async throws {
        let transfers = LogFilter(topics: [.exactly(try Hash32(eventSignature: "Transfer(address,address,uint256)"))])
        do throws(Web3Error) {
            let web3 = try await Web3.connect(to: "ipc:/nonexistent/node.ipc")
            for try await log in web3.eth.logs(transfers) { print(log.address) }
        } catch {
            print("\(error.code)")
        }
    }
}
SWIFT
# A scratch folder that stays, so that a second run is quick.
scratch="$repository/.build/dependent"
swift build --package-path "$package" --scratch-path "$scratch"
answer=$("$scratch/debug/Client")
if [[ $answer != cannotConnect ]]; then
    echo "the client printed: $answer" >&2
    exit 1
fi
echo "a package that depends on this one builds and runs"
