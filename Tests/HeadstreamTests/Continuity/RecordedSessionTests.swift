import EthereumTypes
import Headstream
import HeadstreamJSON
import HeadstreamTesting
import Testing

/// The recorded sessions through the default streams. They hold little of what gapless streams ask for: what was pushed is
/// what is known.
@Suite("Recorded sessions, gapless", .timeLimit(.minutes(15)))
struct RecordedSessionTests {
    /// What a stream's updates tell of the chain, a word each: an item, `-3` for three blocks that are taken back, a gap.
    static func words<Item: Sendable>(
        _ updates: GaplessUpdates<Item>,
        _ word: (Item) -> String
    ) async throws -> [String] {
        var words: [String] = []
        for try await update in updates {
            switch update {
            case .item(let item): words.append(word(item))
            case .rollback(_, let removed): words.append("-\(removed.count)")
            case .gap(let range, let reason): words.append("gap:\(range.lowerBound)-\(range.upperBound):\(reason)")
            case .block, .caughtUp, .finalized, .lagged, .progress, .unverified, .disconnected, .reconnected,
                .stalled, .diverged:
                continue
            }
        }
        return words
    }

    static func name(_ head: BlockHeader) -> String { "\(head.number):\("\(head.hash)".dropFirst(2).prefix(4))" }

    private static func name(_ log: Log) -> String {
        "\(log.blockNumber ?? 0):\("\(log.blockHash ?? .zero)".dropFirst(2).prefix(4)).\(log.logIndex ?? 0)"
    }

    private struct Session: Sendable {
        let path: String
        /// The heads that were pushed, in order.
        var heads: [BlockHeader] = []
        /// The logs that were pushed to the first subscription of logs, each once, without removed ones.
        var logs: [Log] = []
        var filter: LogFilter?

        init(_ name: String) throws {
            self.path = Fixture.path("sessions/\(name).io")
            let streams = try RecordedStreams(Transcript(contentsOf: self.path)).connections
            self.heads = try streams[0].first { $0.kind == "newHeads" }?.results.map { try BlockHeader(json: $0) } ?? []
            guard let stream = streams[0].first(where: { $0.kind == "logs" }) else { return }
            for log in try stream.results.map({ try Log(json: $0) }) where !log.removed && !self.logs.contains(log) {
                self.logs.append(log)
            }
            self.filter = try Self.filter(stream.params.dropFirst().first)
        }

        private static func filter(_ json: JSONValue?) throws -> LogFilter {
            var filter = LogFilter()
            if let address = json?["address"]?.stringValue { filter.addresses = [try Address(address)] }
            filter.topics = try (json?["topics"]?.arrayValue ?? []).map { .exactly(try Hash32($0.stringValue ?? "")) }
            return filter
        }

        /// The words of a stream, played on a simulated loop.
        func play(
            _ speed: ReplaySpeed,
            seed: UInt64 = 1,
            _ body: @escaping @Sendable (Web3) async throws -> [String]
        ) async throws -> [String] {
            try await SimulatedLoop.run(seed: seed) { loop in
                let options = ReplayOptions(speed: speed)
                return try await withReplay(of: self.path, options: options, configuration: loop.configuration) {
                    let words = try await body($0)
                    #expect(await $1.problems == [])
                    return words
                }
            }
        }

        func heads(_ speed: ReplaySpeed, seed: UInt64 = 1) async throws -> [String] {
            try await self.play(speed, seed: seed) {
                try await RecordedSessionTests.words($0.eth.newHeads().updates) { RecordedSessionTests.name($0) }
            }
        }

        func logs(_ speed: ReplaySpeed, seed: UInt64 = 1) async throws -> [String] {
            let filter = try #require(self.filter)
            return try await self.play(speed, seed: seed) {
                try await RecordedSessionTests.words($0.eth.logs(filter).updates) { RecordedSessionTests.name($0) }
            }
        }
    }

    @Test(
        "Where no branch was left, the recorded heads and logs, all of them, at any speed",
        arguments: [
            "anvil-heads-logs-pending", "geth-burst", "geth-finality", "geth-heads-logs-pending", "geth-ipc",
            "hardhat-heads-logs-pending", "mainnet-14000000-14000010",
        ]
    )
    func straight(name: String) async throws {
        let session = try Session(name)
        for (speed, seed) in [(ReplaySpeed.recorded, 1), (.max, 1), (.max, 2), (.max, 3)] as [(ReplaySpeed, UInt64)] {
            #expect(try await session.heads(speed, seed: seed) == session.heads.map { Self.name($0) })
            guard session.filter != nil else { continue }
            #expect(try await session.logs(speed, seed: seed) == session.logs.map { Self.name($0) })
        }
    }

    /// Real reorganisations, as they were recorded: the blocks of each branch, and what is taken back between.
    private static let branches: [String: String] = [
        "anvil-reorgs": """
        8:ebae 9:9860 -1 9:9927 10:7bc8 11:4869 12:1e74 13:dd21 -3 11:e22e 12:2bf6 13:2f25 14:74f2 15:1ce4 16:bf6d -2 \
        15:4ae5 16:c319
        """,
        "hardhat-reorgs": """
        8:3dbd 9:b538 -1 9:771b 10:2700 11:2d05 12:3dc3 13:cc38 14:c8ad -3 12:bebc 13:95bb 14:33b4 15:7b99 16:280c \
        17:6cc0 -2 16:6680 17:672c 18:d024
        """,
        "geth-rewinds": """
        33:1270 -1 33:8fcf 34:c234 35:4199 36:080a 37:e756 -2 36:a9f3 37:dcc5 38:e6f0 39:d64a 40:607d 41:5c83 -3 \
        39:5d23 40:6702 41:269e 42:d7f4 43:f5d6 -1 43:e324 44:9592 45:6713 46:7ee1 47:e434 48:d14d 49:bb85 -4 \
        46:0e0a 47:ef51 48:913b 49:86b5 50:3186 51:2f77
        """,
        // geth announces no more of a branch than its tip. Where the branch met the last one is not known then.
        "geth-reorgs": """
        9:5255 -1 9:b658 10:9229 11:496a -3 gap:9-17:unavailable 18:da68 19:4e34 20:34f1 -3 \
        gap:9-17:reorganisationTooDeep gap:18-25:unavailable 26:c88d -1 gap:9-25:reorganisationTooDeep \
        gap:26-31:unavailable 32:4f5e
        """,
    ]

    @Test(
        "Real reorganisations: each block, what is taken back, and a gap where a parent was not recorded",
        arguments: branches.keys.sorted(),
        [1, 2, 3] as [UInt64]
    )
    func reorganisations(name: String, seed: UInt64) async throws {
        let session = try Session(name)
        let words = try #require(Self.branches[name]).split(separator: " ").map(String.init)
        #expect(try await session.heads(.recorded, seed: seed) == words)
        // The logs of each block that was told, as often as it was; what is taken back may have had none.
        let told = try await session.logs(.recorded, seed: seed).filter { !$0.hasPrefix("-") }
        let expected = words.filter { !$0.hasPrefix("-") }.flatMap { word in
            word.hasPrefix("gap") ? [word] : session.logs.map { Self.name($0) }.filter { $0.hasPrefix(word + ".") }
        }
        #expect(told == expected)
    }

    @Test("At full speed the chain that they ended in stands in the end, or a gap", arguments: branches.keys.sorted())
    func fullSpeed(name: String) async throws {
        let session = try Session(name)
        let last = try #require(session.heads.last)
        var chain = [last]
        while let parent = session.heads.last(where: { $0.hash == chain[0].parentHash }) { chain.insert(parent, at: 0) }
        for seed: UInt64 in 1...5 {
            var standing: [String] = []
            for word in try await session.heads(.max, seed: seed) {
                if word.hasPrefix("-") {
                    standing.removeLast(try #require(Int(word.dropFirst())))
                } else {
                    standing.append(word)
                }
            }
            if name == "geth-reorgs" {
                #expect(standing == ["gap:9-31:unavailable", Self.name(last)], "seed \(seed)")
            } else {
                // The block that the first one was taken back to was never told.
                #expect(standing == chain.suffix(standing.count).map { Self.name($0) }, "seed \(seed)")
                #expect(standing.count >= chain.count - 1, "seed \(seed)")
            }
        }
    }

    @Test(
        "A plain stream throws where a parent was not recorded, and goes on when it is asked again, over a real socket"
    )
    func plain() async throws {
        try await withReplay(of: Fixture.path("sessions/geth-reorgs.io")) { web3, _ in
            var numbers: [UInt64] = []
            var gaps = 0
            var heads = web3.eth.newHeads().makeAsyncIterator()
            while true {
                do throws(Web3Error) {
                    guard let head = try await heads.next() else { break }
                    numbers.append(head.number)
                } catch {
                    #expect(error.code == .gap)
                    gaps += 1
                }
            }
            #expect(gaps == 1)
            #expect(numbers.first == 9 && numbers.last == 32)
        }
    }

    @Test("Two reconnects with blocks that nobody heard of: what was told, and gaps", arguments: [1, 2, 3] as [UInt64])
    func reconnects(seed: UInt64) async throws {
        let path = Fixture.path("sessions/geth-reconnects.io")
        let words = try await SimulatedLoop.run(seed: seed) { loop in
            let options = ReplayOptions(speed: .recorded, playsFinalEvent: false)
            let node = try await TestNode(replaying: Transcript(contentsOf: path), options: options, loop: loop)
            let web3 = try await Web3.connect(to: node.endpoint, configuration: loop.configuration)
            async let words = Self.words(web3.eth.newHeads().updates) { Self.name($0) }
            try await loop.sleep(for: .seconds(60))
            await web3.close()
            await node.close()
            return try await words
        }
        #expect(words == ["56:45dd", "57:4718", "gap:58-64:unavailable", "65:2fd0"])
    }

    @Test("Sessions of errors alone: a refused subscription is thrown, and a stream without heads ends")
    func errors() async throws {
        for name in ["anvil-errors-and-batches", "geth-errors-and-batches", "hardhat-errors-and-batches"] {
            do throws(Web3Error) {
                let told = try await Self.toldHeads(name)
                #expect(told == 0, "\(name)")
            } catch {
                #expect(error.code == .rpcError, "\(name): \(error)")
            }
        }
    }

    private static func toldHeads(_ name: String) async throws(Web3Error) -> Int {
        let path = Fixture.path("sessions/\(name).io")
        do {
            return try await withReplay(of: path) { web3, _ in
                try await web3.eth.newHeads().reduce(0) { count, _ in count + 1 }
            }
        } catch let error as Web3Error {
            throw error
        } catch {
            throw Web3Error(.misuse, "\(error)")
        }
    }
}
