import Headstream

/// Heads as a table: number, age, gas, base fee, transactions where the node tells them, and hash.
struct HeadTable {
    private static let widths = (block: 11, age: 9, gas: 19, fee: 14, transactions: 5)

    let style: Style
    /// Learnt from the first head: most nodes do not tell transactions here.
    private var hasTransactions: Bool?

    init(style: Style) {
        self.style = style
    }

    /// A line for a head, with the table's header before the first.
    ///
    /// - Parameter now: in seconds since 1970.
    mutating func line(_ head: BlockHeader, now: UInt64) -> String {
        let transactions = Self.transactions(of: head)
        guard let hasTransactions = self.hasTransactions else {
            self.hasTransactions = transactions != nil
            return self.header() + self.line(head, now: now)
        }
        let age = TableText.age(of: head.timestamp, now: now)
        let gas = "\(TableText.grouped(head.gasUsed)) \(TableText.right(Self.share(head), 4))"
        let fullness = head.gasLimit > 0 ? Double(head.gasUsed) / Double(head.gasLimit) : 0
        var cells = [
            self.style.colored(TableText.right("\(head.number)", Self.widths.block), .bold),
            self.style.colored(TableText.right(age, Self.widths.age), .dim),
            self.style.colored(TableText.right(gas, Self.widths.gas), fullness > 0.95 ? .yellow : .green),
            TableText.right(Self.fee(head), Self.widths.fee),
        ]
        if hasTransactions {
            cells.append(TableText.right(transactions.map { "\($0)" } ?? "-", Self.widths.transactions))
        }
        cells.append(self.style.colored(self.hash(head), .cyan))
        return cells.joined(separator: "  ") + "\n"
    }

    private func header() -> String {
        var cells = [
            TableText.right("BLOCK", Self.widths.block), TableText.right("AGE", Self.widths.age),
            TableText.right("GAS USED", Self.widths.gas), TableText.right("BASE FEE", Self.widths.fee),
        ]
        if self.hasTransactions == true { cells.append(TableText.right("TXS", Self.widths.transactions)) }
        return self.style.colored((cells + ["HASH"]).joined(separator: "  "), .dim) + "\n"
    }

    /// The whole hash where there is room for it.
    private func hash(_ head: BlockHeader) -> String {
        guard head.hasHash else { return "pending" }
        let widths = Self.widths
        let before =
            widths.block + widths.age + widths.gas + widths.fee + 8
            + (self.hasTransactions == true ? widths.transactions + 2 : 0)
        guard let columns = self.style.columns, columns < before + 66 else { return "\(head.hash)" }
        return TableText.short("\(head.hash)")
    }

    /// The gas used in percent of the limit.
    static func share(_ head: BlockHeader) -> String {
        guard head.gasLimit > 0 else { return "-" }
        return TableText.decimal(Double(head.gasUsed) / Double(head.gasLimit) * 100, 0) + "%"
    }

    /// The base fee in gwei (EIP-1559), a billionth of a coin, to the third digit.
    static func fee(_ head: BlockHeader) -> String {
        guard let fee = head.baseFeePerGas else { return "-" }
        let text = fee.formatted(decimals: 9)
        let parts = text.split(separator: ".", maxSplits: 1)
        guard let wei = UInt64(exactly: fee), wei < 1_000_000_000_000_000 else { return "\(parts.first ?? "") gwei" }
        // Below a thousandth of a gwei, as on test networks, only all digits say something.
        return wei < 1_000_000 && wei > 0 ? "\(wei) wei" : TableText.decimal(Double(wei) / 1e9, 3) + " gwei"
    }

    /// How many transactions the block has, for nodes that send them or their hashes along.
    static func transactions(of head: BlockHeader) -> Int? {
        head.extra?.unknown["transactions"]?.arrayValue?.count
    }
}
