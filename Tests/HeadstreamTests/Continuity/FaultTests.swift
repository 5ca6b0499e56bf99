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
    private static func survive(
        seed: UInt64,
        _ faults: Faults,
        on transport: TestNode.Transport = .webSocket(),
        quirks: SimulatedQuirks = SimulatedQuirks(),
        nodeQuirks: NodeQuirks = NodeQuirks()
    ) async throws {
        try await SimulatedLoop.run(seed: seed) { loop in
            var configuration = loop.configuration
            configuration.reconnect = ReconnectPolicy(base: .milliseconds(100), cap: .seconds(2))
            configuration.requestTimeout = .seconds(3)
            configuration.keepalive = .ping(every: .seconds(5), timeout: .seconds(2))
            let chain = SimulatedChain(seed: seed, quirks: quirks, number: 100)
            let node = try await TestNode(chain: chain, faults: faults, on: transport, loop: loop)
            await node.use(nodeQuirks)
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
                await node.change { $0.quirks = SimulatedQuirks() }
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

    /// What nodes do, each by itself. Hashes that are pushed and not answered with are `ContinuityPropertyTests`' alone: here
    /// blocks are compared by their hashes.
    static let quirks: [String: @Sendable (inout SimulatedQuirks) -> Void] = [
        "logs before their head": { $0.logsBeforeHead = true },
        "kinds in any order": { $0.mixesKinds = true },
        "no removed logs": { $0.noRemovedLogs = true },
        "doubled removed logs": { $0.doubledRemovedLogs = true },
        "every header of a branch": { $0.announcesWholeBranch = true },
        "heads that skip": { $0.skippedHeads = 30 },
        "omitted logs": { $0.omittedLogs = 30 },
        "logs of earlier blocks omitted": { $0.omitsLogsOfEarlierBlocks = true },
        "ancestors announced again": { $0.repeatedAncestors = 30 },
        "zero blooms": { $0.zeroBlooms = true },
        "late blooms": { $0.lateBlooms = true },
        "wrong blooms": { $0.wrongBlooms = 30 },
        "orphans that nobody serves": { $0.forgetsOrphans = true },
        "nothing for unknown blocks": { $0.emptyForUnknownBlocks = true },
        "nothing for fresh blocks": { $0.unindexedBlocks = 1 },
        "backends that lag": { $0.lag = 2 },
        "backends on a sibling": { $0.siblings = 15 },
        "limited ranges": { $0.maxRange = 3 },
        "limited results": { $0.maxResults = 4 },
        "finality that moves back": { $0.finalityMovesBack = 50 },
    ]

    @Test(
        "Each quirk of nodes, with a connection that is cut now and then: nothing is missed",
        arguments: FaultTests.quirks.keys.sorted()
    )
    func quirk(name: String) async throws {
        var quirks = SimulatedQuirks()
        let change = try #require(Self.quirks[name])
        change(&quirks)
        for seed: UInt64 in 1...3 {
            try await Self.survive(seed: seed, Faults(seed: seed, [.cut: 3]), quirks: quirks)
        }
    }

    @Test(
        "Early notifications, ids that repeat, empty frames, pings without an answer, cuts now and then: nothing is missed",
        arguments: [
            NodeQuirks(notifiesEarly: true), NodeQuirks(repeatsSubscriptionIDs: true),
            NodeQuirks(sendsEmptyFrames: true), NodeQuirks(ignoresPings: true),
            NodeQuirks(notifiesEarly: true, repeatsSubscriptionIDs: true, sendsEmptyFrames: true, ignoresPings: true),
        ],
        [TestNode.Transport.webSocket(), .ipc()]
    )
    func messages(quirks: NodeQuirks, transport: TestNode.Transport) async throws {
        for seed: UInt64 in 1...3 {
            try await Self.survive(seed: seed, Faults(seed: seed, [.cut: 4]), on: transport, nodeQuirks: quirks)
        }
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
