import Headstream

/// `headstream logs`.
enum LogsCommand {
    static let address = Option(
        "address",
        short: "a",
        "ADDRESS",
        .hex(bytes: 20, "an address of 0x and 40 hex digits"),
        repeatable: true,
        help: "Only logs of this contract."
    )
    static let topic = Option(
        "topic",
        "N=HASH",
        .topic,
        repeatable: true,
        help: "Only logs whose topic N (0 to 3) is this; several of one N are alternatives."
    )
    static let event = Option(
        "event",
        "SIGNATURE",
        .eventSignature,
        help: "Only logs of this event, such as 'Transfer(address,address,uint256)': its hash is topic 0."
    )

    static let declaration = Command(
        "logs",
        summary: "Print logs that contracts emit, as they come.",
        discussion: """
            Subscribes to logs and prints a line a log: block, address, topics and data.

            \(ContinuityOptions.discussion) Logs of blocks that leave the chain are printed again, marked as removed.
            """,
        options: SharedOptions.source + [address, topic, event] + ContinuityOptions.all + SharedOptions.stream,
        footer: SharedOptions.footer
    )

    static func run(_ run: Run) async throws {
        let filter = try self.filter(run.arguments)
        let following = try Following(run.arguments, of: run.name, stream: "logs \(filter)")
        var table = LogTable(style: .standardOutput())
        let line = { (log: Log, lines: inout [UInt8]) in lines += Array(table.line(log).utf8) }
        try await run.withWeb3(following) { web3 in
            guard let gapless = following.gapless else {
                return try await run.list(LogsRequest(filter), of: web3, line)
            }
            let logs = web3.eth.logs(
                filter,
                continuity: gapless.continuity,
                from: gapless.start,
                finality: gapless.finality,
                verify: gapless.verify
            )
            var plain = PlainLogs(resumedFrom: gapless.start.cursor)
            try await run.listGapless(
                logs.updates(isToldFinality: following.tellsUpdates),
                of: web3,
                gapless,
                line
            ) { event throws(PlainStreamFailure) in
                guard let event = event.continuityEvent({ .logs([$0]) }) else { return [] }
                return Array(try plain.take(event))
            }
        }
    }

    /// The filter that the options describe.
    ///
    /// - Throws: `UsageError` for an event that is none, and for `--event` beside `--topic 0=…`.
    static func filter(_ arguments: Arguments) throws(UsageError) -> LogFilter {
        var places: [[Hash32]] = [[], [], [], []]
        do throws(ValueError) {
            for topic in arguments.all(self.topic) { places[topic.position].append(try Hash32(topic.hash)) }
            if let event = arguments[self.event] {
                guard places[0].isEmpty else {
                    throw ValueError(reason: "--event is topic 0: give it or --topic 0=HASH")
                }
                places[0] = [try Hash32(eventSignature: event)]
            }
            var filter = LogFilter()
            for address in arguments.all(self.address) { filter.addresses.append(try Address(address)) }
            let count = (places.lastIndex { !$0.isEmpty } ?? -1) + 1
            filter.topics = places.prefix(count).map { hashes in
                switch hashes.count {
                case 0: .any
                case 1: .exactly(hashes[0])
                default: .anyOf(hashes)
                }
            }
            return filter
        } catch {
            throw UsageError(command: "headstream logs", message: TerminalText.line("\(error)"))
        }
    }
}

/// `--topic N=HASH`.
struct TopicArgument: Sendable, Hashable {
    /// 0 to 3.
    var position: Int
    /// `0x` and 64 hex digits.
    var hash: String
}

extension ValueType<String> {
    /// `0x` and the digits of so many bytes.
    static func hex(bytes: Int, _ expectation: String) -> Self {
        Self(expectation: expectation) { text in
            let digits = text.dropFirst(2)
            let isHex = text.hasPrefix("0x") && digits.utf8.count == 2 * bytes
            return isHex && digits.allSatisfy { $0.isASCII && $0.isHexDigit } ? text : nil
        }
    }

    /// A name and types in brackets, without blanks or parameter names.
    static let eventSignature = Self(expectation: "an event such as Transfer(address,address,uint256)") { text in
        guard let open = text.firstIndex(of: "("), open != text.startIndex, text.hasSuffix(")"),
            text.utf8.allSatisfy({ (0x21..<0x7F).contains($0) })
        else { return nil }
        return text
    }
}

extension ValueType<TopicArgument> {
    static let topic = Self(expectation: "a position from 0 to 3, = and a hash of 0x and 64 hex digits") { text in
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, let position = ValueType<Int>.int(0...3).parse(parts[0]),
            let hash = ValueType<String>.hex(bytes: 32, "").parse(parts[1])
        else { return nil }
        return TopicArgument(position: position, hash: hash)
    }
}
