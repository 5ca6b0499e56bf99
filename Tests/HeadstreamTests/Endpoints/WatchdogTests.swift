import EthereumTypes
import HeadstreamLocks
import HeadstreamSockets
import HeadstreamTesting
import Testing

@testable import Headstream

/// What a consumer of heads was told.
private final class Told: Sendable {
    struct State: Sendable {
        var heads: [BlockHeader] = []
        var stalled = 0
        var disconnected = 0
        var gaps = 0
        var newestAt: UInt64 = 0
    }

    let state = Locked(State())

    var heads: [BlockHeader] { self.state.withLock { $0.heads } }
    var stalled: Int { self.state.withLock { $0.stalled } }
    var disconnected: Int { self.state.withLock { $0.disconnected } }
    var newest: UInt64 { self.heads.last?.number ?? 0 }

    func take(_ update: GaplessUpdate<BlockHeader>, at now: LoopInstant) {
        self.state.withLock { state in
            switch update {
            case .item(let head):
                state.heads.append(head)
                state.newestAt = now.nanoseconds
            case .rollback(let to, _): state.heads.removeAll { $0.number > to.number }
            case .stalled: state.stalled += 1
            case .disconnected: state.disconnected += 1
            case .gap: state.gaps += 1
            default: break
            }
        }
    }
}

/// Subscriptions that die in silence, nodes that stand still and endpoints that fall behind, in virtual time.
@Suite("Watchdog", .timeLimit(.minutes(15)))
struct WatchdogTests {
    private static let blockTime = Duration.seconds(12)

    /// So many nodes of one chain, a client of them with a gapless stream of heads, and what that is told.
    private static func play(
        seed: UInt64,
        nodes count: Int = 1,
        configure: @escaping @Sendable (inout Configuration) -> Void = { _ in },
        _ body: @escaping @Sendable (Web3, [TestNode], Told, SimulatedLoop) async throws -> Void
    ) async throws {
        try await SimulatedLoop.run(seed: seed) { loop in
            var configuration = loop.configuration
            configuration.reconnect = ReconnectPolicy(base: .seconds(1), cap: .seconds(30))
            configure(&configuration)
            let nodes = try await TestNode.ofOneChain(count, seed: seed, loop: loop)
            let web3 = try await Web3.connect(to: nodes.map(\.endpoint), configuration: configuration)
            let told = Told()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    let updates = web3.eth.newHeads(continuity: .gapless(), from: .block(101)).updates
                    for try await update in updates { told.take(update, at: loop.now) }
                }
                try await body(web3, nodes, told, loop)
                group.cancelAll()
                try await group.waitForAll()
            }
            // What was told is the chain, linked and whole.
            let chain = nodes[0].chain.canonical.filter { $0.number > 100 && $0.number <= told.newest }
            #expect(told.heads.map(\.hash) == chain.map(\.hash))
            #expect(told.state.withLock { $0.gaps } == 0)
            await web3.close()
            for node in nodes { await node.close() }
        }
    }

    private static func mine(
        _ count: Int,
        on node: TestNode,
        _ loop: SimulatedLoop,
        every interval: Duration = blockTime
    ) async throws {
        for _ in 0..<count {
            await node.change { $0.mine() }
            try await loop.sleep(for: interval)
        }
    }

    /// How often a node was asked for its newest block.
    private static func questions(to node: TestNode) async -> Int {
        await node.requests(of: "eth_getBlockByNumber", "latest")
    }

    // MARK: Subscriptions that died

    @Test("Edge case 57: a subscription that dies on a healthy socket is found within three block times and made anew")
    func silentSubscription() async throws {
        try await Self.play(seed: 1) { web3, nodes, told, loop in
            try await Self.mine(20, on: nodes[0], loop)
            #expect(told.newest == 120)
            await nodes[0].inflict(.forgetSubscriptions)
            // 36 s from the last head; the three blocks of it were not pushed.
            try await Self.mine(2, on: nodes[0], loop)
            #expect(told.newest == 122)
            #expect(await nodes[0].requests["eth_subscribe"] == 2)
            #expect(await nodes[0].requests["eth_unsubscribe"] == 1)
            let asked = await Self.questions(to: nodes[0])
            try await Self.mine(50, on: nodes[0], loop)
            #expect(told.newest == 172)
            // Pushed again, and nothing is asked for.
            #expect(await Self.questions(to: nodes[0]) == asked)
            #expect(await nodes[0].requests["eth_subscribe"] == 2)
            #expect(await nodes[0].connections == 1)
            #expect(told.disconnected == 0 && told.stalled == 0)
        }
    }

    @Test("A node that pushes nothing at all is healed step by step: ask, subscribe, connect, next endpoint")
    func ladder() async throws {
        try await Self.play(seed: 2, nodes: 3) { web3, nodes, told, loop in
            try await Self.mine(20, on: nodes[0], loop)
            await nodes[0].use(NodeQuirks(isMute: true))
            await nodes[1].use(NodeQuirks(isMute: true))
            try await Self.mine(3, on: nodes[0], loop)
            #expect(await nodes[0].requests["eth_subscribe"] == 2)
            #expect(await nodes[0].connections == 1)
            try await Self.mine(3, on: nodes[0], loop)
            #expect(await nodes[0].connections == 2)
            #expect(await nodes[1].connections == 0)
            try await Self.mine(3, on: nodes[0], loop)
            #expect(await nodes[1].connections == 1)
            // The second says nothing either; the third does.
            try await Self.mine(12, on: nodes[0], loop)
            #expect(web3.endpoint == nodes[2].endpoint)
            #expect(told.newest == 141)
            let subscribed = await nodes[0].requests["eth_subscribe"]
            try await Self.mine(20, on: nodes[0], loop)
            #expect(told.newest == 161)
            #expect(await nodes[0].requests["eth_subscribe"] == subscribed)
            #expect(told.disconnected == 0 && told.stalled == 0)
        }
    }

    @Test(
        "Edge case 30: a subscription that is acknowledged and never brings anything is found before anything is learnt"
    )
    func neverAnything() async throws {
        try await Self.play(seed: 3, nodes: 2) { web3, nodes, told, loop in
            await nodes[0].use(NodeQuirks(isMute: true))
            try await Self.mine(40, on: nodes[0], loop)
            #expect(told.newest >= 139)
            #expect(web3.endpoint == nodes[1].endpoint)
        }
    }

    @Test("A node that answers nothing any more, and pongs, is left")
    func deaf() async throws {
        try await Self.play(seed: 4, nodes: 2) { web3, nodes, told, loop in
            try await Self.mine(20, on: nodes[0], loop)
            await nodes[0].use(NodeQuirks(isMute: true, isDeaf: true))
            try await Self.mine(8, on: nodes[0], loop)
            #expect(web3.endpoint == nodes[1].endpoint)
            #expect(told.newest == 128)
            #expect(told.disconnected == 1)
        }
    }

    // MARK: What is no stall

    @Test("Edge case 57: a log filter that matches nothing for 24 hours is no stall, and asks for nothing")
    func quietFilter() async throws {
        try await SimulatedLoop.run(seed: 5) { loop in
            let node = try await TestNode(chain: SimulatedChain(seed: 5, number: 100), loop: loop)
            let web3 = try await Web3.connect(to: node.endpoint, configuration: loop.configuration)
            let nobody = LogFilter(address: Address(w0: 1, w1: 2, w2: 3))
            let passed = Recorder<UInt64>()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for try await update in web3.eth.logs(nobody, continuity: .gapless(), audit: 1000).updates {
                        if case .block(let block) = update { passed.append(block.number) }
                        #expect(update.isQuiet, "\(update)")
                    }
                }
                await node.asked(for: "eth_subscribe", times: 2)
                try await Self.mine(1440, on: node, loop, every: .seconds(60))
                group.cancelAll()
                try await group.waitForAll()
            }
            // The last ones wait for two blocks on them where the bloom may match.
            #expect(passed.all.last ?? 0 >= 1538)
            #expect(await node.requests["eth_subscribe"] == 2)
            #expect(await node.connections == 1)
            // For the connection, before and after the filter's acknowledgement; and once a minute until the pace is known.
            #expect(await Self.questions(to: node) < 10)
            await web3.close()
            await node.close()
        }
    }

    @Test("A consumer that holds up the reading for an hour is no stall, and nothing is missed behind it")
    func suspended() async throws {
        try await Self.play(seed: 11, nodes: 2) { web3, nodes, told, loop in
            let stream = try await web3.eth.subscribe(.newHeads, whenFull: .suspendReading, bufferLimit: 8192)
            try await Self.mine(20, on: nodes[0], loop)
            var slow = stream.makeAsyncIterator()
            #expect(told.newest < 120)
            try await loop.sleep(for: .seconds(3600))
            #expect(await nodes[0].connections == 1 && told.disconnected == 0 && told.stalled == 0)
            while let head = try await slow.next(), head.number < 120 {}
            try await Self.mine(2, on: nodes[0], loop)
            #expect(told.newest == 122 && told.disconnected == 0)
        }
    }

    @Test(
        "Irregular blocks are no stalls: a rollup that is quiet for minutes and then brings ten at once",
        arguments: 1...3
    )
    func irregular(seed: UInt64) async throws {
        try await Self.play(seed: seed) { _, nodes, told, loop in
            var random = SeededGenerator(seed: seed)
            for _ in 0..<400 {
                for _ in 0...random.below(10) { await nodes[0].change { $0.mine() } }
                let pause = random.below(20) == 0 ? random.below(120_000) : random.below(2_000)
                try await loop.sleep(for: .milliseconds(pause))
            }
            #expect(await nodes[0].requests["eth_subscribe"] == 1)
            #expect(await nodes[0].connections == 1)
            #expect(told.disconnected == 0)
            #expect(told.newest == nodes[0].chain.head.number)
            // What it costs to know that: a few questions at each of the twenty pauses, and at first they look like the end.
            let questions = await Self.questions(to: nodes[0])
            #expect(questions < 60 && told.stalled <= 2, "\(questions) questions, \(told.stalled) stalls")
        }
    }

    @Test("With no gapless stream there is nothing to watch, and behind the last one no deadline is left")
    func nothing() async throws {
        try await SimulatedLoop.run(seed: 6) { loop in
            let node = try await TestNode(chain: SimulatedChain(seed: 6, number: 100), loop: loop)
            let web3 = try await Web3.connect(to: node.endpoint, configuration: loop.configuration)
            do {
                var heads = web3.eth.newHeads(continuity: .gapless(), from: .block(101)).makeAsyncIterator()
                await node.change { $0.mine() }
                let head = try await heads.next()
                #expect(head?.number == 101)
                let session = web3.session
                #expect(await session.continuityEngine?.watchdogDeadline != nil)
            }
            await node.asked(for: "eth_unsubscribe", times: 1)
            let session = web3.session
            #expect(await session.continuityEngine?.watchdogDeadline == nil)
            let requests = await node.requests
            try await loop.sleep(for: .seconds(86_400))
            #expect(await node.requests == requests)
            await web3.close()
            await node.close()
        }
    }

    // MARK: Nodes that stand still

    @Test(
        "When every endpoint's head stands still, `.stalled` is told once, and again only after a block",
        arguments: [1, 2]
    )
    func stalled(count: Int) async throws {
        try await Self.play(seed: 7, nodes: count) { web3, nodes, told, loop in
            try await Self.mine(20, on: nodes[0], loop)
            #expect(told.stalled == 0)
            try await loop.sleep(for: .seconds(60))
            #expect(told.stalled == 1)
            try await loop.sleep(for: .seconds(3600))
            #expect(told.stalled == 1)
            #expect(await nodes[0].connections == 1)
            #expect(await nodes[0].requests["eth_subscribe"] == 1)
            // Ever less often.
            #expect(await Self.questions(to: nodes[0]) < 20)
            try await Self.mine(20, on: nodes[0], loop)
            #expect(told.newest == 140)
            try await loop.sleep(for: .seconds(1200))
            #expect(told.stalled == 2)
        }
    }

    @Test("An endpoint whose head stands still while another one's moves is left for it, and nothing is missed")
    func standing() async throws {
        try await Self.play(seed: 8, nodes: 2) { web3, nodes, told, loop in
            try await Self.mine(20, on: nodes[0], loop)
            await nodes[0].use(NodeQuirks(stopsAt: 120))
            try await Self.mine(8, on: nodes[0], loop)
            #expect(web3.endpoint == nodes[1].endpoint)
            #expect(told.newest == 128)
            #expect(told.stalled == 0 && told.disconnected == 0)
            // The question was asked on a connection of its own.
            #expect(await nodes[1].connections == 2)
        }
    }

    @Test("An endpoint that falls behind another one's head is left for it; one block behind is nothing")
    func behind() async throws {
        try await Self.play(seed: 9, nodes: 2) { web3, nodes, told, loop in
            /// Its head is one block old, and another one more of each so many.
            @Sendable func mine(_ count: UInt64, losingOneOf each: UInt64) async throws {
                for index in 0..<count {
                    let number = nodes[0].chain.head.number - index / each
                    await nodes[0].change { $0.mine() }
                    await nodes[0].use(NodeQuirks(stopsAt: number))
                    try await loop.sleep(for: Self.blockTime)
                }
            }
            try await Self.mine(10, on: nodes[0], loop)
            await nodes[0].use(NodeQuirks(stopsAt: nodes[0].chain.head.number))
            try await mine(60, losingOneOf: 100)
            #expect(web3.endpoint == nodes[0].endpoint)
            #expect(await nodes[1].connections >= 2)
            try await mine(100, losingOneOf: 10)
            #expect(web3.endpoint == nodes[1].endpoint)
            try await Self.mine(2, on: nodes[0], loop)
            #expect(told.newest == nodes[0].chain.head.number)
            #expect(told.disconnected == 0)
        }
    }

    @Test("The other endpoints are not asked what a node of another chain says")
    func otherChain() async throws {
        try await Self.play(seed: 10, nodes: 2) { web3, nodes, told, loop in
            await nodes[1].use(NodeQuirks(chainID: 5))
            try await Self.mine(20, on: nodes[0], loop)
            await nodes[0].use(NodeQuirks(stopsAt: 120))
            try await Self.mine(8, on: nodes[0], loop)
            #expect(web3.endpoint == nodes[0].endpoint)
            #expect(told.stalled == 1 && told.newest == 120)
        }
    }

    // MARK: The machine alone

    @Test("Its patience is learnt: two and a half intervals where they are regular, more where they are not")
    func patience() {
        let second: UInt64 = 1_000_000_000
        var regular = HeadWatchdog()
        regular.started(now: 0)
        #expect(regular.patience == 60 * second && regular.nextLook == 60 * second)
        for index: UInt64 in 1...20 { regular.headPushed(index, now: index * 12 * second) }
        #expect(regular.patience >= 30 * second && regular.patience < 31 * second)
        #expect(regular.blockTime == 12 * second)
        var fast = HeadWatchdog()
        fast.started(now: 0)
        for index: UInt64 in 1...200 { fast.headPushed(index, now: index * second / 4) }
        #expect(fast.patience == HeadWatchdog.leastPatience)
        var irregular = HeadWatchdog()
        irregular.started(now: 0)
        var (now, number): (UInt64, UInt64) = (0, 0)
        for _ in 0..<50 {
            for gap: UInt64 in [1, 1, 1, 9] {
                (now, number) = (now + gap * second, number + 1)
                irregular.headPushed(number, now: now)
            }
        }
        #expect(irregular.patience > 12 * second && irregular.patience < 40 * second, "\(irregular.patience)")
        // No lesson is taken from what a stall lasted, and no number is too large.
        var late = regular
        late.headPushed(.max, now: .max)
        #expect(late.patience <= HeadWatchdog.mostPatience)
    }
}

extension GaplessUpdate {
    /// Nothing but blocks that pass.
    fileprivate var isQuiet: Bool {
        switch self {
        case .block, .progress, .caughtUp, .finalized: true
        default: false
        }
    }
}
