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
            switch (run.arguments[SharedOptions.json], isFull) {
            case (true, true): try await run.printRaw(NewFullPendingTransactionsRequest(), of: web3)
            case (true, false): try await run.printRaw(NewPendingTransactionsRequest(), of: web3)
            case (false, true):
                try await run.printStream(web3.eth.newFullPendingTransactions().updates, of: web3) {
                    transaction,
                    lines in
                    lines += Array(self.line(transaction).utf8)
                }
            case (false, false):
                try await run.printStream(web3.eth.newPendingTransactions().updates, of: web3) { hash, lines in
                    lines += Array("\(hash)\n".utf8)
                }
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
