import Headstream

/// `headstream syncing`.
enum SyncingCommand {
    static let declaration = Command(
        "syncing",
        summary: "Print whether the node catches up with its chain, when that changes.",
        discussion: """
            Subscribes to syncing and prints "synced", or "syncing" with the blocks it is at and goes to. A node that has \
            caught up may print nothing at all; many nodes do not know this kind.
            """,
        options: SharedOptions.source + SharedOptions.stream,
        footer: SharedOptions.footer
    )

    static func run(_ run: Run) async throws {
        try await run.withWeb3 { web3 in
            try await run.list(SyncingRequest(), of: web3) { $1 += Array(self.line($0).utf8) }
        }
    }

    static func line(_ status: SyncStatus) -> String {
        guard case .syncing(let progress) = status else { return "synced\n" }
        guard let progress, let current = progress.currentBlock else { return "syncing\n" }
        guard let highest = progress.highestBlock else { return "syncing: block \(TableText.grouped(current))\n" }
        return "syncing: block \(TableText.grouped(current)) of \(TableText.grouped(highest))\n"
    }
}
