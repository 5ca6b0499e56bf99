import Headstream

/// Logs as a table: block, address, topics and data.
struct LogTable {
    private static let blockWidth = 11

    let style: Style
    private var hasHeader = false

    init(style: Style) {
        self.style = style
    }

    /// A line for a log, with the table's header before the first.
    ///
    /// On a terminal hashes and data are shortened; elsewhere all of them is there, topics parted by commas.
    mutating func line(_ log: Log) -> String {
        var line = ""
        if !self.hasHeader {
            self.hasHeader = true
            let cells = [TableText.right("BLOCK", Self.blockWidth), TableText.left("ADDRESS", 42), "TOPICS", "DATA"]
            line = self.style.colored(cells.joined(separator: "  "), .dim) + "\n"
        }
        let topics = log.topics.map { self.shown("\($0)") }.joined(separator: ",")
        let block = log.blockNumber.map { "\($0)" } ?? "pending"
        let cells = [
            self.style.colored(TableText.right(block, Self.blockWidth), .bold),
            self.style.colored("\(log.address)", .cyan),
            topics.isEmpty ? "-" : topics,
            self.data(log.data),
        ]
        line += cells.joined(separator: "  ")
        if log.removed { line += "  " + self.style.colored("removed", .red) }
        return line + "\n"
    }

    private func shown(_ hex: String) -> String { self.style.columns == nil ? hex : TableText.short(hex) }

    /// A word in full where it is small, as amounts are; else the beginning and how much there is.
    private func data(_ data: Bytes) -> String {
        guard self.style.columns != nil, data.count > 8 else { return "\(data)" }
        if data.count == 32 {
            let digits = "\(data)".dropFirst(2).drop { $0 == "0" }
            if digits.count <= 16 { return "0x" + (digits.isEmpty ? "0" : digits) }
        }
        return "\(TableText.short("\(data)")) (\(data.count) bytes)"
    }
}
