import EthereumTypes
import Foundation
import HeadstreamLocks
import HeadstreamSockets
import HeadstreamTesting
import Testing

@testable import Headstream

/// Several endpoints with faults of all kinds, against gapless streams: a run is a function of its seed.
@Suite("Endpoints with faults", .timeLimit(.minutes(15)))
struct EndpointPropertyTests {
    private struct Fold: Sendable {
        var heads: [BlockRef] = []
        var logs: [Log] = []
        var reached: UInt64 = 0
        var gaps = 0
        var unlinked = 0
    }

    private final class Folds: Sendable {
        let state = Locked(Fold())
    }

    /// HEADSTREAM_SEEDS for more of them, HEADSTREAM_FIRST_SEED for where to begin.
    @Test(
        "Whatever happens to three endpoints, folded streams are the chain's once it has stopped",
        arguments: [EndpointPolicy.ordered, .firstArrival]
    )
    func promise(policy: EndpointPolicy) async throws {
        let environment = ProcessInfo.processInfo.environment
        let first = environment["HEADSTREAM_FIRST_SEED"].flatMap { UInt64($0) } ?? 1
        let count = environment["HEADSTREAM_SEEDS"].flatMap { UInt64($0) } ?? 30
        for seed in first..<(first + count) { try await Self.run(seed: seed, policy) }
    }

    private static func run(seed: UInt64, _ policy: EndpointPolicy) async throws {
        try await SimulatedLoop.run(seed: seed) { loop in
            var quirks = SimulatedQuirks()
            quirks.noRemovedLogs = seed % 2 == 0
            var configuration = loop.configuration
            configuration.reconnect = ReconnectPolicy(base: .milliseconds(100), cap: .seconds(2))
            configuration.endpointPolicy = policy
            configuration.maxConnectionAge = seed % 3 == 0 ? .seconds(30) : nil
            let nodes = try await TestNode.ofOneChain(3, seed: seed, quirks: quirks, loop: loop)
            let first = nodes[0]
            // Of every fourth, two of the endpoints take no more than heads on a connection.
            var nodeQuirks = nodes.map { _ in NodeQuirks() }
            if seed % 4 == 1 { for index in 0..<2 { nodeQuirks[index].maxSubscriptions = 1 } }
            for (node, quirks) in zip(nodes, nodeQuirks) { await node.use(quirks) }
            let web3 = try await Web3.connect(to: nodes.map(\.endpoint), configuration: configuration)
            let filter = LogFilter(address: SimulatedChain.address(0))
            let folds = Folds()
            let usual = nodeQuirks
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for try await update in web3.eth.newHeads(continuity: .gapless(), from: .block(101)).updates {
                        folds.state.withLock { fold in
                            switch update {
                            case .item(let head):
                                if let last = fold.heads.last, last.hash != head.parentHash { fold.unlinked += 1 }
                                fold.heads.append(BlockRef(head))
                            case .rollback(let to, _): fold.heads.removeAll { $0.number > to.number }
                            case .gap: fold.gaps += 1
                            default: break
                            }
                        }
                    }
                }
                group.addTask {
                    for try await update in web3.eth.logs(filter, continuity: .gapless(), from: .block(101)).updates {
                        folds.state.withLock { fold in
                            switch update {
                            case .item(let log): fold.logs.append(log)
                            case .rollback(let to, _): fold.logs.removeAll { ($0.blockNumber ?? 0) > to.number }
                            case .gap: fold.gaps += 1
                            case .block(let block): fold.reached = block.number
                            default: break
                            }
                        }
                    }
                }
                // A first subscription that is not answered ends its stream.
                await first.asked(for: "eth_subscribe", times: 2)
                try await loop.sleep(for: .seconds(1))
                var random = SeededGenerator(seed: seed)
                var quirks = usual
                for _ in 0..<60 {
                    let index = random.below(3)
                    let node = nodes[index]
                    switch random.below(16) {
                    case 0..<7: await first.change { $0.mine($0.randomEvents(4)) }
                    case 7:
                        let depth = 1 + random.below(3)
                        await first.change { chain in
                            guard chain.head.number > 110 else { return _ = chain.mine() }
                            chain.reorganise(depth: depth, events: (0...depth).map { _ in chain.randomEvents(3) })
                        }
                    case 8, 9: await node.inflict(.cut)
                    case 10: await node.inflict(.forgetSubscriptions)
                    case 11: quirks[index].isMute.toggle()
                    case 12:
                        quirks[index].stopsAt = quirks[index].stopsAt == nil ? first.chain.head.number : nil
                    case 13: quirks[index].isDeaf.toggle()
                    case 14: await node.inflict(.endSubscriptions)
                    default: try await loop.sleep(for: .seconds(random.below(100)))
                    }
                    await node.use(quirks[index])
                    try await loop.sleep(for: .milliseconds(200 * random.below(20)))
                }
                // The faults are over; what hangs is found, and one audit passes.
                for (node, quirks) in zip(nodes, usual) { await node.use(quirks) }
                for _ in 0..<60 {
                    await first.change { $0.mine() }
                    try await loop.sleep(for: .seconds(10))
                }
                group.cancelAll()
                try await group.waitForAll()
            }
            let told = folds.state.withLock { $0 }
            let chain = first.chain
            #expect(
                told.heads == chain.canonical.map { BlockRef($0.header) }.filter { $0.number > 100 },
                "seed \(seed)"
            )
            #expect(told.logs == chain.canonicalLogs(filter, from: 101), "seed \(seed)")
            #expect(told.gaps == 0 && told.unlinked == 0, "seed \(seed)")
            #expect(told.reached + 2 >= chain.head.number, "seed \(seed)")
            await web3.close()
            for node in nodes { await node.close() }
        }
    }
}
