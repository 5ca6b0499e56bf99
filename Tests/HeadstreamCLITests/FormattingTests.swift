import Headstream
import Testing

@testable import HeadstreamCLI

@Suite("Formatting")
struct FormattingTests {
    private static func header(_ change: (inout BlockHeader) -> Void = { _ in }) throws -> BlockHeader {
        var header = BlockHeader(
            number: 21_000_000,
            parentHash: .zero,
            timestamp: 1_700_000_000,
            gasLimit: 30_000_000,
            gasUsed: 12_345_678
        )
        header.hash = try Hash32("0x" + String(repeating: "ab", count: 32))
        change(&header)
        return header
    }

    @Test("Numbers are grouped by thousands and rounded to the nearest")
    func numbers() {
        let grouped: [(UInt64, String)] = [
            (0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567"), (.max, "18,446,744,073,709,551,615"),
        ]
        for (number, text) in grouped { #expect(TableText.grouped(number) == text) }
        let decimals: [(Double, Int, String)] = [
            (0, 0, "0"), (0.5, 0, "1"), (99.94, 1, "99.9"), (99.96, 1, "100.0"), (1.005, 1, "1.0"), (0.05, 3, "0.050"),
            (.infinity, 1, "inf"), (-1, 1, "-1.0"), (1e20, 0, "1e+20"),
        ]
        for (number, digits, text) in decimals { #expect(TableText.decimal(number, digits) == text) }
    }

    @Test("Ages have at most two units, and tell times to come")
    func ages() {
        let ages: [(UInt64, String)] = [
            (0, "0s"), (59, "59s"), (60, "1m"), (61, "1m 1s"), (3600, "1h"), (3601, "1h"), (7260, "2h 1m"),
            (86_400, "1d"), (90_000, "1d 1h"), (365 * 86_400 * 4 + 86_400 * 10, "4y 10d"),
        ]
        for (seconds, text) in ages { #expect(TableText.age(of: 0, now: seconds) == text) }
        #expect(TableText.age(of: 102, now: 100) == "in 2s")
        #expect(TableText.age(of: .max, now: 0).hasPrefix("in "))
        #expect(TableText.age(of: 0, now: .max).contains("y"))
    }

    @Test("A head's line tells number, age, gas, base fee and hash, with a header before the first")
    func heads() throws {
        var table = HeadTable(style: Style())
        let head = try Self.header { $0.baseFeePerGas = 7_123_456_789 }
        let first = table.line(head, now: 1_700_000_012)
        #expect(
            first == """
                      BLOCK        AGE             GAS USED        BASE FEE  HASH
                   21000000        12s      12,345,678  41%      7.123 gwei  0x\(String(repeating: "ab", count: 32))

                """
        )
        let second = table.line(head, now: 1_700_000_013)
        #expect(!second.contains("BLOCK"))
        #expect(second.contains(" 13s "))
    }

    @Test("A head of another kind of chain has a line too")
    func oddHeads() throws {
        #expect(HeadTable.fee(try Self.header()) == "-")
        #expect(HeadTable.fee(try Self.header { $0.baseFeePerGas = 7 }) == "7 wei")
        #expect(HeadTable.fee(try Self.header { $0.baseFeePerGas = 0 }) == "0.000 gwei")
        #expect(HeadTable.fee(try Self.header { $0.baseFeePerGas = .max }).hasSuffix(" gwei"))
        #expect(HeadTable.share(try Self.header { $0.gasLimit = 0 }) == "-")
        #expect(
            HeadTable.share(
                try Self.header {
                    $0.gasUsed = .max; $0.gasLimit = 1
                }
            ).hasSuffix("%")
        )
        let text = """
            {"parentHash":"\(Hash32.zero)","number":"0x1","stateRoot":"\(Hash32.zero)","gasLimit":"0x1","gasUsed":"0x1",\
            "timestamp":"0x0","transactions":["0x1","0x2"]}
            """
        let head = try JSONDecoderOfHeaders.decode(text)
        #expect(HeadTable.transactions(of: head) == 2)
        var table = HeadTable(style: Style(hasColor: false, columns: 80))
        let line = table.line(head, now: 1)
        #expect(line.contains("TXS"))
        #expect(line.contains("    2  pending"))
    }

    @Test("On a terminal what would not fit is shortened, and colours are there unless they are not wanted")
    func terminal() throws {
        let head = try Self.header()
        var narrow = HeadTable(style: Style(hasColor: true, columns: 80))
        let line = narrow.line(head, now: 1_700_000_000)
        #expect(line.contains("0xababab…abab"))
        #expect(line.contains("\u{1B}[1m"))
        var wide = HeadTable(style: Style(hasColor: false, columns: 200))
        #expect(wide.line(head, now: 1_700_000_000).contains("\(head.hash)"))
        for row in line.split(separator: "\n") {
            let visible = row.replacing(#/\u{1B}\[[0-9]*m/#, with: "")
            #expect(visible.count <= 80, "\(visible)")
        }
    }

    @Test("A log's line tells block, address, topics and data")
    func logs() throws {
        let address = try Address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")
        let topic = try Hash32(eventSignature: "Transfer(address,address,uint256)")
        let amount = Bytes([UInt8](repeating: 0, count: 30) + [0x12, 0x34])
        let log = try Log(address: address, topics: [topic, .zero], data: amount, blockNumber: 7)
        var full = LogTable(style: Style())
        let lines = full.line(log).split(separator: "\n")
        #expect(lines[0] == "      BLOCK  ADDRESS" + String(repeating: " ", count: 37) + "TOPICS  DATA")
        #expect(lines[1] == "          7  \(address)  \(topic),\(Hash32.zero)  \(amount)")
        var short = LogTable(style: Style(hasColor: false, columns: 120))
        #expect(short.line(log).hasSuffix("0xddf252…b3ef,0x000000…0000  0x1234\n"))
        var other = try Log(address: address, topics: [], data: Bytes([UInt8](repeating: 1, count: 100)))
        other.removed = true
        #expect(short.line(other).hasSuffix("pending  \(address)  -  0x010101…0101 (100 bytes)  removed\n"))
    }

    @Test("The status line fits into the terminal and tells rates as people read them")
    func status() {
        var counts = StatusLine.Counts()
        counts.endpoint = "ws://127.0.0.1:8546"
        counts.unit = "heads"
        counts.taken = 1
        let line = StatusLine.line(counts, rate: "5.0/min", columns: 120)
        #expect(line == "connected · 1 head · 5.0/min · 0 buffered · 0 dropped · ws://127.0.0.1:8546")
        for columns in [0, 1, 2, 10, 40, 75, 76] {
            #expect(StatusLine.line(counts, rate: "", columns: columns).count <= max(1, columns))
        }
        #expect(StatusLine.rate(0, in: 1000) == "")
        #expect(StatusLine.rate(1, in: 10) == "")
        #expect(StatusLine.rate(1, in: 12_000) == "5.0/min")
        #expect(StatusLine.rate(25, in: 2000) == "12.5/s")
        #expect(StatusLine.rate(2_000_000, in: 1000) == "2,000,000/s")
    }

    @Test("The status line is drawn when something changed, at most four times a second, and then rests")
    func statusTimes() throws {
        let status = StatusLine(hasColor: false)
        #expect(status.due == nil)
        #expect(status.text(0, isDrawn: false) == nil)
        status.connected(to: "node", unit: "heads")
        let start = StatusLine.milliseconds()
        #expect(status.text(start, isDrawn: false) != nil)
        #expect(status.text(start, isDrawn: true) == nil)
        status.update { $0.taken = 1 }
        #expect(status.due == start + 250)
        #expect(status.text(start + 249, isDrawn: true) == nil)
        // Erased by a line of the table: drawn again as it was.
        let cached = try #require(status.text(start + 249, isDrawn: false))
        #expect(String(decoding: cached, as: UTF8.self).contains("0 heads"))
        let drawn = try #require(status.text(start + 250, isDrawn: true))
        #expect(String(decoding: drawn, as: UTF8.self).contains("1 head"))
        #expect(status.due == start + 1250)
        #expect(status.text(start + 1250, isDrawn: true) != nil)
        #expect(status.due == nil)
        #expect(status.text(start + 100_000, isDrawn: true) == nil)
    }

    @Test("Edge case 113: what is harmful on a terminal is escaped, in texts and within JSON")
    func escapes() throws {
        #expect(TerminalText.line("a\u{1B}[31m\n\u{9B}\u{202E}é✓") == #"a\u{1b}[31m\u{a}\u{9b}\u{202e}é✓"#)
        #expect(TerminalText.line(String(repeating: "x", count: 2000)).count == 1025)
        var lines: [UInt8] = []
        JSONLine.append(Array("{ \"a\":\t1 }".utf8), to: &lines)
        JSONLine.append(Array("{\n  \"a\": \"é\u{7F}\u{85}\u{2028}\",\r\n \"b\":[]}".utf8), to: &lines)
        let text = String(decoding: lines, as: UTF8.self)
        #expect(text == "{ \"a\":1 }\n{  \"a\": \"é\\u007f\\u0085\\u2028\", \"b\":[]}\n")
    }

    @Test("Every error ends with the code that the help tells")
    func exitCodes() {
        let codes: [(Web3Error.Code, Int32)] = [
            (.invalidEndpoint, 64), (.cannotConnect, 69), (.upgradeRefused, 69), (.connectionClosed, 69),
            (.protocolViolation, 76), (.timedOut, 75), (.rpcError, 70), (.rateLimited, 75), (.quotaExhausted, 75),
            (.malformedResponse, 65), (.consumerTooSlow, 75), (.subscriptionEnded, 69),
        ]
        for (code, expected) in codes {
            #expect(ExitCode.code(for: Web3Error(code, "x")) == expected, "\(code)")
            #expect(ExitCode.help.contains("\n  \(expected)  "))
        }
        var error = Web3Error(.rpcError, "reverted (code 3)")
        error.rpcData = ["reason": "\u{1B}no\u{9B}"]
        let (code, text) = ExitCode.outcome(of: error)
        #expect(code == 70)
        #expect(text == "rpcError: reverted (code 3)\n  data: {\"reason\":\"\\u001bno\\u009b\"}")
    }
}

/// Reads a header as the library does for any `Decodable` type.
private enum JSONDecoderOfHeaders {
    static func decode(_ text: String) throws -> BlockHeader {
        try text.utf8.withContiguousStorageIfAvailable { bytes in
            var reader = JSONReader(UnsafeRawBufferPointer(bytes))
            return try BlockHeader(from: &reader)
        } ?? { throw ValueError(reason: "no storage") }()
    }
}
