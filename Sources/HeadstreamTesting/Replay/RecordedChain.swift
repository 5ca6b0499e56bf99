import EthereumTypes
import HeadstreamJSON

/// The chain as a recording shows it: what a client that follows its heads, and asks for what it misses, is answered from
/// where it asks for more than the recorded client did.
///
/// What was never shown is not known, and answered with `null`.
struct RecordedChain: Sendable {
    /// The questions that it answers.
    private enum Question {
        case block(BlockTag)
        case blockOfHash(Hash32)
        case logs(LogFilter)
    }

    /// A head that was pushed, or an answer to `latest`.
    private struct Shown: Sendable {
        /// Where it stands in the recording.
        var item: Int
        var number: UInt64
        var hash: Hash32
        var parent: Hash32
        var isPushed: Bool
    }

    static let headsKey = CanonicalParameters.key(method: "eth_subscribe", params: Array(#"["newHeads"]"#.utf8)[...])
    static let latestKey = CanonicalParameters.key(
        method: "eth_getBlockByNumber",
        params: Array(#"["latest",false]"#.utf8)[...]
    )

    /// In the recording's order.
    private var shown: [Shown] = []
    /// Each block as JSON; an answer, which has more fields than a head, in front of a push.
    private var blocks: [Hash32: (header: BlockHeader, json: [UInt8], isPushed: Bool)] = [:]
    /// Of each block, without those that say `removed`; read when logs are first asked for.
    private var logs: [Hash32: [Log]]?
    /// The blocks at each number after the first `applied` of `shown`: the newest, and its ancestors as far as they are known.
    private var canonical: [UInt64: Hash32] = [:]
    private var applied = 0

    init(_ recording: Recording) {
        for (place, part) in Self.notifications(of: recording, areHeads: true) {
            if let head = Self.result(of: part.bytes, as: BlockHeader.self) {
                self.add(head, at: place, isPushed: true)
            }
        }
        for index in recording.answeredByKey[Self.latestKey] ?? [] {
            guard let answer = recording.calls[index].answer else { continue }
            if let block = Self.result(of: answer.bytes, as: BlockHeader.self) {
                self.add(block, at: answer.item, isPushed: false)
            }
        }
        self.shown.sort { $0.item < $1.item }
    }

    private static func notifications(
        of recording: Recording,
        areHeads: Bool
    ) -> some Sequence<(place: Int, part: Recording.Notification)> {
        recording.items.enumerated().lazy.flatMap { place, item -> [(place: Int, part: Recording.Notification)] in
            guard case .notifications(let parts, _) = item else { return [] }
            return parts.compactMap { part in
                guard let lane = part.lane, (recording.lanes[lane].key == self.headsKey) == areHeads else { return nil }
                return (place, part)
            }
        }
    }

    /// The result of an answer or a notification, and its text.
    private static func result<Value: JSONReadable>(
        of message: [UInt8],
        as type: Value.Type
    ) -> (value: Value, json: [UInt8])? {
        func read(_ reader: inout JSONReader) throws(ValueError) -> (value: Value, json: [UInt8])? {
            var found: (value: Value, json: [UInt8])?
            try reader.beginObject()
            while let key = try reader.nextKey() {
                if key == "result", try reader.peek() == .object {
                    let start = reader.offset
                    let value = try Value(from: &reader)
                    found = (value, Array(reader.bytes(in: start..<reader.offset)))
                } else if key == "params", try reader.peek() == .object {
                    found = try read(&reader)
                } else {
                    try reader.skipValue()
                }
            }
            return found
        }
        return message.withUnsafeBytes { bytes in
            var reader = JSONReader(bytes)
            return try? read(&reader)
        }
    }

    private mutating func add(_ block: (value: BlockHeader, json: [UInt8]), at item: Int, isPushed: Bool) {
        let header = block.value
        guard header.hasHash, header.hasNumber else { return }
        self.shown.append(
            Shown(
                item: item,
                number: header.number,
                hash: header.hash,
                parent: header.parentHash,
                isPushed: isPushed
            )
        )
        if self.blocks[header.hash]?.isPushed != false {
            self.blocks[header.hash] = (header, block.json, isPushed)
        }
    }

    /// The answer to a request, as JSON; nil where it is none that the chain could answer.
    ///
    /// - Parameters:
    ///   - recording: what it was made of.
    ///   - end: the item that is played next: `latest` and numbers are as they were then.
    ///   - subscribed: the item at which heads were subscribed to, where this is the first request for `latest` since. What
    ///     has been pushed meanwhile came behind the answer, in the recording if not here: a replay may play everything
    ///     before the client can ask anything.
    mutating func answer(
        _ method: String,
        _ params: [UInt8],
        of recording: Recording,
        before end: Int,
        subscribed: Int?
    ) -> [UInt8]? {
        guard let question = Self.question(method, params) else { return nil }
        switch question {
        case .block(.latest):
            if let subscribed {
                let first = self.shown.first { $0.item > subscribed }
                return self.json(first.flatMap { $0.isPushed ? nil : $0.hash })
            }
            return self.json(self.shown.last { $0.item < end }?.hash)
        case .block(.number(let number)):
            self.apply(before: end)
            return self.json(self.canonical[number])
        case .blockOfHash(let hash):
            return self.json(hash)
        case .logs(let filter):
            return self.logs(filter, of: recording, before: end).map { ChainScript.json($0) }
        case .block:
            // Safe or final: nothing is known to be.
            return self.json(nil)
        }
    }

    /// Whether a request asks for `latest`.
    static func asksForLatest(_ key: String) -> Bool { key == self.latestKey }

    private static func question(_ method: String, _ params: [UInt8]) -> Question? {
        guard let params = try? ChainScript.parameters(params) else { return nil }
        switch method {
        case "eth_getBlockByNumber", "eth_getBlockByHash":
            guard params.count == 2, params[1].elementsEqual("false".utf8) else { return nil }
            if method == "eth_getBlockByHash" {
                return (try? ChainScript.read(params, 0)).map { .blockOfHash($0) }
            }
            return (try? ChainScript.read(params, 0)).map { .block($0) }
        case "eth_getLogs":
            return (try? ChainScript.read(params, 0)).map { .logs($0) }
        default:
            return nil
        }
    }

    private func json(_ hash: Hash32?) -> [UInt8] {
        hash.flatMap { self.blocks[$0]?.json } ?? Array("null".utf8)
    }

    /// Nil where a block is not known.
    private mutating func logs(_ filter: LogFilter, of recording: Recording, before end: Int) -> [Log]? {
        let hashes: [Hash32]
        switch filter.blocks {
        case .hash(let hash):
            guard self.blocks[hash] != nil else { return nil }
            hashes = [hash]
        case .range(.number(let first), .number(let last)):
            self.apply(before: end)
            guard first <= last, last - first < UInt64(max(self.canonical.count, 1)) else { return nil }
            let known = (first...last).compactMap { self.canonical[$0] }
            guard known.count == Int(last - first) + 1 else { return nil }
            hashes = known
        case .range, .unspecified:
            return nil
        }
        let logs = self.logs ?? Self.logs(of: recording)
        self.logs = logs
        return hashes.flatMap { logs[$0] ?? [] }.filter { filter.matches($0) }
    }

    private static func logs(of recording: Recording) -> [Hash32: [Log]] {
        var logs: [Hash32: [Log]] = [:]
        for (_, part) in self.notifications(of: recording, areHeads: false) {
            guard let log = self.result(of: part.bytes, as: Log.self)?.value, !log.removed, let hash = log.blockHash
            else { continue }
            logs[hash, default: []].append(log)
        }
        return logs.mapValues { logs in
            // One that several subscriptions brought, or that came again with its block, is one.
            var seen: Set<Log> = []
            return logs.filter { seen.insert($0).inserted }.sorted { ($0.logIndex ?? 0) < ($1.logIndex ?? 0) }
        }
    }

    /// Follows the heads up to an item. One that leaves a hole above the block before is taken to stand on it.
    private mutating func apply(before end: Int) {
        while self.applied < self.shown.count, self.shown[self.applied].item < end {
            let block = self.shown[self.applied]
            self.applied += 1
            for number in self.canonical.keys where number > block.number { self.canonical[number] = nil }
            self.canonical[block.number] = block.hash
            self.relink(below: block.number, parent: block.parent)
        }
    }

    /// Makes the blocks below one its ancestors. Where one of them is not known, it is not known where the branches met.
    private mutating func relink(below number: UInt64, parent: Hash32) {
        var (number, parent) = (number, parent)
        while number > 0, let below = self.canonical[number - 1], below != parent {
            guard let known = self.blocks[parent]?.header else {
                for lower in self.canonical.keys where lower < number { self.canonical[lower] = nil }
                return
            }
            number -= 1
            self.canonical[number] = parent
            parent = known.parentHash
        }
    }
}
