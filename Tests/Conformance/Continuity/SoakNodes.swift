import Headstream
import HeadstreamSockets
import HeadstreamTesting

/// Nodes of one simulated chain, with which something goes wrong every second on average, in a process of their own:
/// `soak-nodes SECONDS SEED`. Prints their ports, and goes on without faults after that time, until it is killed.
///
/// A block comes ten times a second, one in ten changes is a reorganisation, of up to five blocks. Connections are cut,
/// broken off within a frame, fall silent; subscriptions end; answers are late, doubled, lost; and now and then one node is
/// killed, each in its turn, and started again.
enum SoakNodes {
    static let count = 3

    static func run(_ arguments: [String]) async throws {
        guard arguments.count == 2, let seconds = Int(arguments[0]), let seed = UInt64(arguments[1]) else {
            throw Failed("usage: soak-nodes SECONDS SEED")
        }
        var quirks = SimulatedQuirks()
        quirks.skippedHeads = 5
        quirks.omittedLogs = 2
        quirks.doubledRemovedLogs = true
        quirks.unindexedBlocks = 1
        var nodes: [TestNode] = []
        for index in 0..<Self.count {
            let faults = Faults(
                seed: seed &+ UInt64(index),
                [.delay(upTo: .milliseconds(300)): 1, .drop: 0.5, .duplicate: 1, .reorder: 0.5, .strayError: 0.5]
            )
            if let first = nodes.first {
                nodes.append(try await TestNode(sharing: first, faults: faults))
            } else {
                let chain = SimulatedChain(seed: seed, quirks: quirks, number: 1)
                nodes.append(try await TestNode(chain: chain, faults: faults))
            }
        }
        say("endpoints " + nodes.map(\.endpoint.description).joined(separator: " "))
        let (all, first) = (nodes, nodes[0])
        let loop = EventLoop.shared
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                while true {
                    await first.change(Self.step)
                    try await loop.sleep(for: .milliseconds(100))
                }
            }
            group.addTask { try await Self.disturb(all, seed) }
            try await loop.sleep(for: .seconds(seconds))
            group.cancelAll()
        }
        // Of what is not pushed from here on, the last would be checked before an audit has found it.
        await first.change { chain in
            chain.quirks.skippedHeads = 0
            chain.quirks.omittedLogs = 0
        }
        for node in nodes {
            await node.use(Faults())
            // It may be the one that was killed last.
            try await node.start()
        }
        say("quiet")
        while true {
            await first.change { $0.mine($0.randomEvents(2)) }
            try await loop.sleep(for: .milliseconds(100))
        }
    }

    private static let step: @Sendable (inout SimulatedChain) -> Void = { chain in
        let dice = chain.randomEvents(1).first?.data.first ?? 0
        guard dice % 10 == 0, chain.head.number > 20 else {
            chain.mine(chain.randomEvents(Int(dice % 6)))
            return
        }
        let depth = 1 + Int(dice / 10) % 5
        chain.reorganise(depth: depth, events: (0...depth).map { _ in chain.randomEvents(2) })
    }

    private static func disturb(_ nodes: [TestNode], _ seed: UInt64) async throws {
        let loop = EventLoop.shared
        var random = SeededGenerator(seed: seed)
        var turn = 0
        while true {
            try await loop.sleep(for: .milliseconds(random.below(1200)))
            let fault: Fault
            switch random.below(100) {
            case 0..<60: fault = .cut
            case 60..<78: fault = .tear
            case 78..<84: fault = .freeze
            case 84..<92: fault = .endSubscriptions
            default:
                let node = nodes[turn % nodes.count]
                turn += 1
                await node.stop()
                try await loop.sleep(for: .milliseconds(300 + random.below(700)))
                try await node.start()
                continue
            }
            for node in nodes { await node.inflict(fault) }
        }
    }
}
