import EthereumTypes
import HeadstreamLocks
import HeadstreamSockets
import HeadstreamTesting
import Testing

@testable import Headstream

/// Consumers that do not read for a while, through the public API: memory stays flat, nothing is lost, nobody else waits.
@Suite("Slow consumers of gapless streams", .timeLimit(.minutes(15)))
struct SlowGaplessTests {
    private static let filter = LogFilter()
    private static let blocks = 60
    private static let logs = 200

    private final class Seen: Sendable {
        let logs = Locked<[Log]>([])
    }

    /// What other requests took while a consumer read, or did not, and what was held for it.
    private struct Meanwhile: Sendable {
        /// In nanoseconds.
        var delays: [UInt64] = []
        var memory: [Int] = []

        var slowest99: UInt64? {
            let sorted = self.delays.sorted()
            return sorted.isEmpty ? nil : sorted[sorted.count * 99 / 100]
        }
    }

    /// A minute in which a block comes each second, beside it two requests.
    private static func minute(_ web3: Web3, _ node: TestNode, _ loop: SimulatedLoop) async throws -> Meanwhile {
        var meanwhile = Meanwhile()
        for _ in 0..<Self.blocks {
            await node.change { chain in chain.mine(chain.randomEvents(Self.logs)) }
            for _ in 0..<2 {
                let began = loop.now.nanoseconds
                _ = try await web3.eth.blockNumber()
                meanwhile.delays.append(loop.now.nanoseconds - began)
            }
            try await loop.sleep(for: .seconds(1))
            meanwhile.memory.append(await web3.metrics.bufferMemory)
        }
        return meanwhile
    }

    @Test("A consumer that stalls for a minute: memory is flat, nothing is lost, other requests are as fast as ever")
    func stalled() async throws {
        let limit = 256 << 10
        try await GaplessStreamTests.play(seed: 31) { web3, node, loop in
            let wanted = web3.eth.logs(Self.filter, continuity: .gapless(), from: .block(101), bufferLimit: limit)
            // How it is while nobody is slow.
            let reader = web3.eth.logs(Self.filter, continuity: .gapless()).updates
            let usual = try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { for try await _ in reader {} }
                let usual = try await Self.minute(web3, node, loop)
                group.cancelAll()
                try await group.waitForAll()
                return usual
            }
            var updates = wanted.updates.makeAsyncIterator()
            _ = try await updates.next()
            let slow = try await Self.minute(web3, node, loop)
            #expect(slow.slowest99 == usual.slowest99)
            // Beside what a block takes on its way. Flat: no more in the second half than in the first.
            let most = slow.memory.max() ?? 0
            #expect(most <= limit + (usual.memory.max() ?? 0), "\(slow.memory)")
            #expect(most <= slow.memory.prefix(Self.blocks / 2).max() ?? 0, "\(slow.memory)")
            let last = node.chain.head.number
            var (told, lags, reached): ([Log], [UInt64], UInt64) = ([], [], 0)
            while reached < last, let update = try await updates.next() {
                switch update {
                case .item(let log): told.append(log)
                case .lagged(let blocks): lags.append(blocks)
                case .block(let block):
                    reached = block.number
                    // The newest block is told to its end when others stand on it.
                    if reached + 2 >= last, reached < last { await node.change { $0.mine() } }
                case .rollback(_, let removed): #expect(removed.isEmpty)
                case .gap, .disconnected, .unverified: Issue.record("\(update)")
                default: break
                }
            }
            #expect(told == node.chain.canonicalLogs(Self.filter, from: 101).filter { $0.blockNumber ?? 0 <= last })
            #expect(lags.count >= 1 && lags.allSatisfy { (1...122).contains($0) }, "\(lags)")
        }
    }

    @Test("Who reads is not held up by who does not, on one filter")
    func besideAStalledOne() async throws {
        try await GaplessStreamTests.play(seed: 32) { web3, node, loop in
            var stalled = web3.eth.logs(Self.filter, continuity: .gapless(), from: .block(101), bufferLimit: 64 << 10)
                .makeAsyncIterator()
            await node.change { chain in chain.mine(chain.randomEvents(5)) }
            _ = try await stalled.next()
            let reader = web3.eth.logs(Self.filter, continuity: .gapless(), from: .block(101), bufferLimit: 64 << 10)
            let seen = Seen()
            let asked = await node.requests["eth_getLogs"] ?? 0
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { for try await log in reader { seen.logs.withLock { $0.append(log) } } }
                _ = try await Self.minute(web3, node, loop)
                group.cancelAll()
                try await group.waitForAll()
            }
            let told = seen.logs.withLock { $0 }
            #expect(told == Array(node.chain.canonicalLogs(Self.filter, from: 101).prefix(told.count)))
            #expect(told.count >= (Self.blocks - 3) * Self.logs)
            // Its first blocks, and audits: not each block.
            let more = (await node.requests["eth_getLogs"] ?? 0) - asked
            #expect(more < 20, "\(more) requests")
        }
    }
}
