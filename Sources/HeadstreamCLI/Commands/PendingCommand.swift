import Headstream

/// `headstream pending`.
enum PendingCommand {
    static let full = Flag("full", help: "Whole transactions, from nodes that send them (geth, anvil).")

    static let declaration = Command(
        "pending",
        summary: "Print transactions that enter the node's pool, as they come.",
        discussion: """
            Subscribes to newPendingTransactions and prints a hash a line; with --full a line of hash, sender, \
            recipient and value. A pool is not the chain: what is printed may never be mined.
            """,
        options: SharedOptions.source + [full] + SharedOptions.stream,
        footer: SharedOptions.footer
    )

    static func run(_ run: Run) async throws {
        let isFull = run.arguments[self.full]
        try await run.withWeb3 { web3 in
            if isFull {
                try await run.list(NewFullPendingTransactionsRequest(), of: web3) { $1 += Array(self.line($0).utf8) }
            } else {
                try await run.list(NewPendingTransactionsRequest(), of: web3) { $1 += Array("\($0)\n".utf8) }
            }
        }
    }

    /// `0x88df…  0xa1e4… → 0x6710…  1.5 ether`.
    static func line(_ transaction: Transaction) -> String {
        let recipient = transaction.to.map { "\($0)" } ?? "a new contract"
        let value = transaction.value.formatted(decimals: 18)
        return "\(transaction.hash)  \(transaction.from) → \(recipient)  \(value) ether\n"
    }
}
