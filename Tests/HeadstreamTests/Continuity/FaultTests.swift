import EthereumTypes
import Headstream
import HeadstreamTesting
import Testing

/// Gapless streams over a node with which things go wrong.
@Suite("Faults between node and client", .timeLimit(.minutes(15)))
struct FaultTests {
    private static let filter = LogFilter(address: SimulatedChain.address(0))

    /// Follows heads and logs through `faults` while the chain grows and is reorganised, and looks at both when the faults
    /// are over and the chain has been quiet for an audit.
    private static func survive(seed: UInt64, _ faults: Faults, on transport: TestNode.Transport = .webSocket())
        async throws
    {
        try await SimulatedLoop.run(seed: seed) { loop in
            var configuration = loop.configuration
            configuration.reconnect = ReconnectPolicy(base: .milliseconds(100), cap: .seconds(2))
            configuration.requestTimeout = .seconds(3)
            configuration.keepalive = .ping(every: .seconds(5), timeout: .seconds(2))
            let chain = SimulatedChain(seed: seed, number: 100)
            let node = try await TestNode(chain: chain, faults: faults, on: transport, loop: loop)
            let web3 = try await Self.connect(to: node, configuration)
            let (heads, logs) = (UpdateFold(), UpdateFold())
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await heads.read(web3.eth.newHeads(continuity: .gapless(), from: .block(101))) }
                group.addTask {
                    try await logs.read(web3.eth.logs(Self.filter, continuity: .gapless(), from: .block(101)))
                }
                var random = SeededGenerator(seed: seed)
                for _ in 0..<20 {
                    let isMined = random.below(4) > 0
                    await node.change { chain in
                        guard !isMined, chain.head.number > 110 else { return _ = chain.mine(chain.randomEvents(4)) }
                        chain.reorganise(depth: 2, events: (0..<3).map { _ in chain.randomEvents(3) })
                    }
                    try await loop.sleep(for: .milliseconds(200 * random.below(10)))
                }
                await node.use(Faults())
                for _ in 0..<36 {
                    await node.change { $0.mine() }
                    try await loop.sleep(for: .seconds(5))
                }
                group.cancelAll()
                try await group.waitForAll()
            }
            let wanted = node.chain
            // Compared outside the expectations, which would print hundreds of blocks.
            let areHeads = heads.state.told == wanted.canonical.dropFirst().map { UpdateFold.Told($0.header) }
            let areLogs = logs.state.told == wanted.canonicalLogs(Self.filter, from: 101).map { UpdateFold.Told($0) }
            #expect(areHeads && areLogs, "seed \(seed): heads are \(areHeads), logs are \(areLogs)")
            for fold in [heads, logs] { #expect(fold.state.problems + fold.state.gaps.map(\.description) == []) }
            await web3.close()
            await node.close()
        }
    }

    /// The first connection is the test's own affair: it is tried until it stands.
    private static func connect(to node: TestNode, _ configuration: Configuration) async throws -> Web3 {
        for _ in 0..<20 {
            if let web3 = try? await Web3.connect(to: node.endpoint, configuration: configuration) { return web3 }
        }
        return try await Web3.connect(to: node.endpoint, configuration: configuration)
    }

    @Test(
        "Cut at every message boundary, and in the middle of every frame, nothing is missed",
        arguments: [
            Fault.cut, .tear,
        ]
    )
    func boundaries(fault: Fault) async throws {
        for place in 1...24 { try await Self.survive(seed: UInt64(place), Faults(at: [place: fault])) }
    }

    @Test("Over IPC too", arguments: [Fault.cut, .tear])
    func ipc(fault: Fault) async throws {
        for place in [1, 2, 5, 9] {
            try await Self.survive(seed: UInt64(place), Faults(at: [place: fault]), on: .ipc())
        }
    }

    @Test(
        "A connection that falls silent, messages late, lost, doubled and reordered, errors of no request: nothing is missed",
        arguments: [
            Fault.freeze, .delay(upTo: .seconds(4)), .drop, .duplicate, .reorder, .strayError, .endSubscriptions,
        ]
    )
    func each(fault: Fault) async throws {
        for seed: UInt64 in 1...3 { try await Self.survive(seed: seed, Faults(seed: seed, [fault: 6])) }
    }

    @Test("All of them at once, from a seed", arguments: 1...10)
    func together(seed: UInt64) async throws {
        let faults = Faults(
            seed: seed,
            [
                .cut: 2, .tear: 2, .freeze: 1, .delay(upTo: .seconds(1)): 4, .drop: 3, .duplicate: 3, .reorder: 3,
                .strayError: 2, .endSubscriptions: 1, .refuse: 20,
            ]
        )
        try await Self.survive(seed: seed, faults)
    }
}
