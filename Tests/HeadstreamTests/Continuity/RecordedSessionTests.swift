import EthereumTypes
import Headstream
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

    @Test("X", arguments: ReplayTests.sessions)
    func x(session: String) async throws {
        print(session, try await Self.heads(session))
    }
}
