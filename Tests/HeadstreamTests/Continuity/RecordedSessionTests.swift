import EthereumTypes
import Headstream
import HeadstreamJSON
import HeadstreamTesting
import Testing

/// The recorded sessions through the default streams: a recording holds little of what gapless streams ask for.
@Suite("Recorded sessions, gapless", .timeLimit(.minutes(15)))
struct RecordedSessionTests {
    /// What a stream's updates tell of the chain, a word each.
    static func words<Item: Sendable>(
        _ updates: GaplessUpdates<Item>,
        _ word: (Item) -> String
    ) async throws -> [String] {
        var words: [String] = []
        for try await update in updates {
            switch update {
            case .item(let item): words.append(word(item))
            case .rollback(let to, let removed): words.append("↩\(to.number)(\(removed.count))")
            case .gap(let range, let reason): words.append("gap:\(range.lowerBound)-\(range.upperBound):\(reason)")
            case .block, .caughtUp, .finalized, .progress, .unverified, .disconnected, .reconnected, .stalled: continue
            }
        }
        return words
    }

    static func name(_ head: BlockHeader) -> String { "\(head.number):\("\(head.hash)".dropFirst(2).prefix(4))" }

    /// The words of the heads of a session, played as it was recorded.
    private static func heads(_ session: String) async throws -> [String] {
        let path = Fixture.path("sessions/\(session).io")
        return try await SimulatedLoop.run(seed: 1) { loop in
            let options = ReplayOptions(speed: .recorded)
            return try await withReplay(of: path, options: options, configuration: loop.configuration) { web3, node in
                let words = try await Self.words(web3.eth.newHeads().updates) { Self.name($0) }
                print(await node.problems)
                return words
            }
        }
    }

    static func name(_ log: Log) -> String {
        "\(log.blockNumber ?? 0):\("\(log.blockHash ?? .zero)".dropFirst(2).prefix(4)).\(log.logIndex ?? 0)"
    }

    private static func filter(_ session: String) throws -> LogFilter {
        if session.hasPrefix("mainnet") {
            return LogFilter(
                address: try Address("0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"),
                topics: [.exactly(try Hash32(eventSignature: "Transfer(address,address,uint256)"))]
            )
        }
        if session == "geth-heads-logs-pending" {
            return LogFilter(
                address: try Address("0x12c528ad35f274226b35ec3fe8dd37668a3b8979"),
                topics: [.exactly(try Hash32(eventSignature: "Transfer(address,address,uint256)"))]
            )
        }
        let addresses = [
            "geth": "0x12c528ad35f274226b35ec3fe8dd37668a3b8979", "anvil": "0x82c7ba3f48322830295572b26633d059e655ed49",
            "hardhat": "0x5fbdb2315678afecb367f032d93f642f64180aa3",
        ]
        return LogFilter(address: try Address(addresses[session.prefix { $0 != "-" }.description] ?? ""))
    }

    @Test("X", arguments: ReplayTests.sessions)
    func x(session: String) async throws {
        let path = Fixture.path("sessions/\(session).io")
        let filter = try Self.filter(session)
        let transcript = try Transcript(contentsOf: path)
        var recorded: [Log] = []
        for entry in transcript.entries {
            guard case .fromNode(let bytes) = entry.event, let json = try? JSONValue(parsing: bytes),
                let result = json["params"]?["result"], result["topics"] != nil, let log = try? Log(json: result)
            else { continue }
            if !recorded.contains(log), filter.matches(log) { recorded.append(log) }
        }
        for speed in [ReplaySpeed.recorded, .max] {
            for seed: UInt64 in [1, 2, 3] {
                let words = try await SimulatedLoop.run(seed: seed) { loop in
                    let options = ReplayOptions(speed: speed)
                    return try await withReplay(of: path, options: options, configuration: loop.configuration) { web3, node in
                        let words = try await Self.words(web3.eth.logs(filter).updates) { Self.name($0) }
                        let problems = await node.problems
                        if !problems.isEmpty { print(session, speed, problems) }
                        return words
                    }
                }
                let wanted = recorded.filter { !$0.removed }.map { Self.name($0) }
                print(session, speed, seed, words == wanted ? "=\(wanted.count)" : words.description)
                let heads = try await SimulatedLoop.run(seed: seed) { loop in
                    let options = ReplayOptions(speed: speed)
                    return try await withReplay(of: path, options: options, configuration: loop.configuration) { web3, node in
                        try await Self.words(web3.eth.newHeads().updates) { Self.name($0) }
                    }
                }
                print(session, speed, seed, heads.count > 30 ? heads.suffix(10) : heads[...])
            }
        }
    }
}
