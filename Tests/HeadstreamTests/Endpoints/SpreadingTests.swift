import EthereumTypes
import HeadstreamLocks
import HeadstreamRPC
import HeadstreamSockets
import HeadstreamTesting
import Testing

@testable import Headstream

/// Endpoints that take only so many subscriptions on a connection.
@Suite("Subscriptions over several connections", .timeLimit(.minutes(15)))
struct SpreadingTests {
    // MARK: A node that counts

    /// Answers as a node that takes so many subscriptions on a connection, or in all.
    private final class Counter: Sendable {
        struct State: Sendable {
            var cap: Int
            var capInAll = Int.max
            var chains: [String]
            /// Whether the first connection's question for the chain waits for ``Counter/answerChain()``.
            var holdsChain: Bool
            var held: (client: ScriptedClient, call: ScriptedCall)?
            /// In the order of their first calls.
            var clients: [ScriptedClient] = []
            /// Of each of them, the subscriptions, and the methods that were called.
            var counts: [Int] = []
            var calls: [[String]] = []
        }

        let state: Locked<State>

        init(cap: Int, chains: [String] = [], holdsChain: Bool = false) {
            self.state = Locked(State(cap: cap, chains: chains, holdsChain: holdsChain))
        }

        func answerChain() {
            let held = self.state.withLock { state in
                state.holdsChain = false
                return state.held
            }
            if let (client, call) = held { client.answer(call, "\"0x1\"") }
        }

        var calls: [[String]] { self.state.withLock { $0.calls } }

        func script(_ client: ScriptedClient, _ message: ScriptedMessage) {
            for call in message.calls {
                let (isRefused, chain) = self.state.withLock { state -> (Bool, String) in
                    let place = state.clients.firstIndex { $0 === client } ?? state.clients.count
                    if place == state.clients.count {
                        state.clients.append(client)
                        state.calls.append([])
                        state.counts.append(0)
                    }
                    state.calls[place].append(call.method)
                    if call.method == "eth_unsubscribe" { state.counts[place] -= 1 }
                    let chain = state.chains.indices.contains(place) ? state.chains[place] : "0x1"
                    guard call.method == "eth_subscribe" else { return (false, chain) }
                    if state.counts[place] >= state.cap || state.counts.reduce(0, +) >= state.capInAll {
                        return (true, chain)
                    }
                    state.counts[place] += 1
                    return (false, chain)
                }
                if isRefused {
                    client.fail(call, -32006, "Too many subscriptions on the connection")
                } else if call.method == "eth_chainId" {
                    let isHeld = self.state.withLock { state in
                        guard state.holdsChain, state.clients.first === client else { return false }
                        state.held = (client, call)
                        return true
                    }
                    if isHeld { continue }
                    client.answer(call, "\"\(chain)\"")
                } else {
                    client.answerAsUsual(ScriptedMessage(call))
                }
            }
        }
    }

    private static func play(
        seed: UInt64,
        _ counter: Counter,
        configure: @escaping @Sendable (inout Configuration) -> Void = { _ in },
        _ body: @escaping @Sendable (Web3, ScriptedServer, SimulatedLoop) async throws -> Void
    ) async throws {
        try await SimulatedLoop.run(seed: seed) { loop in
            var configuration = loop.configuration
            configuration.reconnect = ReconnectPolicy(base: .seconds(1), cap: .seconds(10))
            configure(&configuration)
            let server = try await ScriptedServer(on: loop) { counter.script($0, $1) }
            let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
            try await body(web3, server, loop)
            await web3.close()
            await server.close()
        }
    }

    private static func subscribe(_ web3: Web3, _ count: Int) async throws -> [Subscription<Int>] {
        var streams: [Subscription<Int>] = []
        for _ in 0..<count { streams.append(try await web3.subscribe(NumbersRequest())) }
        return streams
    }

    /// The next item, and what was told in front of it.
    private static func next(
        _ updates: inout Subscription<Int>.Updates.AsyncIterator
    ) async throws -> (item: Int?, told: [String]) {
        var told: [String] = []
        while let update = try await updates.next() {
            switch update {
            case .item(let item): return (item, told)
            case .disconnected: told.append("disconnected")
            case .reconnected: told.append("reconnected")
            default: told.append("\(update)")
            }
        }
        return (nil, told)
    }

    // MARK: Where

    @Test("Edge case 31: what a connection has no room for is made on further ones, and a cap is found once")
    func spreads() async throws {
        let counter = Counter(cap: 3)
        try await Self.play(seed: 1, counter) { web3, server, _ in
            let streams = try await Self.subscribe(web3, 10)
            let clients = await server.clients
            #expect(clients.count == 4)
            #expect(await server.log.count(of: "eth_subscribe") == 11)
            let metrics = await web3.metrics
            #expect(metrics.connections == 4 && metrics.subscriptions == 10 && metrics.serverSubscriptions == 10)
            #expect(metrics.streams.map(\.id) == metrics.streams.map(\.id).sorted() && metrics.streams.count == 10)
            for (place, stream) in streams.enumerated() {
                // Each connection counts its ids from 1.
                await server.act { _ in clients[place / 3].notify("0x\(place % 3 + 1)", "\(place)") }
                var items = stream.makeAsyncIterator()
                #expect(try await items.next() == place)
            }
            // Requests go to the main connection, and the others are of the chain that it is of.
            #expect(try await web3.ask("slow") == "slow")
            #expect(counter.calls.map { $0.contains("slow") } == [true, false, false, false])
            #expect(counter.calls.dropFirst().allSatisfy { $0.first == "eth_chainId" })
            #expect(await web3.metrics.notifications == 10)
        }
    }

    @Test("Subscriptions asked for at once are spread too, each told once")
    func atOnce() async throws {
        let counter = Counter(cap: 3)
        try await Self.play(seed: 2, counter) { web3, server, _ in
            let streams = try await withThrowingTaskGroup(of: Subscription<Int>.self) { group in
                for _ in 0..<10 { group.addTask { try await web3.subscribe(NumbersRequest()) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(streams.count == 10)
            let metrics = await web3.metrics
            #expect(metrics.connections == 4 && metrics.serverSubscriptions == 10)
        }
    }

    @Test("After a reconnect all are made anew over as many connections, without a refusal")
    func reconnect() async throws {
        let counter = Counter(cap: 3)
        try await Self.play(seed: 3, counter) { web3, server, _ in
            let streams = try await Self.subscribe(web3, 10)
            var updates = streams.map { $0.updates.makeAsyncIterator() }
            let first = await server.clients
            await server.act { _ in first[0].drop() }
            await server.until { $0.count(of: "eth_subscribe") == 21 }
            await eventually { await web3.metrics.serverSubscriptions == 10 }
            // Those of before are closed, but for the one that the node dropped itself.
            let clients = await server.clients.filter { $0 !== first[0] }
            #expect(clients.count == 4 && !clients.contains { client in first.contains { $0 === client } })
            for client in clients {
                await server.act { _ in for id in 1...3 { client.notify("0x\(id)", "7") } }
            }
            for place in updates.indices {
                let (item, told) = try await Self.next(&updates[place])
                #expect(item == 7 && told == ["disconnected", "reconnected"])
            }
            #expect(await server.log.count(of: "eth_subscribe") == 21)
        }
    }

    @Test("Where the node grew more generous, the cap that was learnt is raised; where less, lowered")
    func changes() async throws {
        let counter = Counter(cap: 2)
        try await Self.play(seed: 4, counter, configure: { $0.maxConnections = 2 }) { web3, server, _ in
            var streams = try await Self.subscribe(web3, 4)
            counter.state.withLock { $0.cap = 4 }
            // There may be no third one: the main one is asked, and takes it.
            streams += try await Self.subscribe(web3, 1)
            // Now that 3 are known to go, one goes to the other.
            streams += try await Self.subscribe(web3, 1)
            #expect(counter.state.withLock { $0.counts } == [3, 3])
            counter.state.withLock { $0.cap = 1 }
            for client in await server.clients { await server.act { _ in client.drop() } }
            await server.until { $0.connections == 4 }
            withExtendedLifetime(streams) {}
        }
    }

    @Test("Equal streams share a subscription of the node's on whichever connection it is")
    func shared() async throws {
        let counter = Counter(cap: 1)
        try await Self.play(seed: 5, counter) { web3, server, _ in
            let one = try await Self.subscribe(web3, 1)
            let items = Recorder<Int>()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<3 {
                    group.addTask {
                        for try await item in web3.notifications(NumbersRequest()) {
                            items.append(item)
                            return
                        }
                    }
                }
                await eventually { await web3.metrics.streams.count == 4 }
                let metrics = await web3.metrics
                #expect(metrics.connections == 2 && metrics.serverSubscriptions == 2)
                await server.act { $0.notify("0x1", "5") }
                try await group.waitForAll()
            }
            #expect(items.all == [5, 5, 5])
            withExtendedLifetime(one) {}
        }
    }

    // MARK: Ends

    @Test("A further connection that is lost is told to its streams alone, and made again after the usual delay")
    func lost() async throws {
        let counter = Counter(cap: 2)
        try await Self.play(seed: 6, counter) { web3, server, _ in
            let streams = try await Self.subscribe(web3, 5)
            var states = web3.connectionStates.makeAsyncIterator()
            #expect(await states.next() == .connected)
            let clients = await server.clients
            await server.act { _ in clients[1].drop() }
            await server.until { $0.count(of: "eth_subscribe") == 8 }
            await eventually { await web3.metrics.serverSubscriptions == 5 }
            // One goes where there was room, the other to a connection of its own.
            let after = await server.clients.filter { $0 !== clients[1] }
            #expect(after.count == 3 && after[0] === clients[0] && after[1] === clients[2])
            var updates = streams.map { $0.updates.makeAsyncIterator() }
            for client in after {
                await server.act { _ in for id in 1...2 { client.notify("0x\(id)", "7") } }
            }
            for place in updates.indices {
                let (item, told) = try await Self.next(&updates[place])
                #expect(item == 7 && told == ((2...3).contains(place) ? ["disconnected", "reconnected"] : []))
            }
            let metrics = await web3.metrics
            #expect(metrics.reconnects == 0 && metrics.connections == 3)
            await web3.close()
            #expect(await states.next() == .closed(nil))
        }
    }

    @Test("A consumer that leaves is ended where its subscription is; a connection without any is closed")
    func leaving() async throws {
        let counter = Counter(cap: 2)
        try await Self.play(seed: 7, counter) { web3, server, _ in
            var streams = try await Self.subscribe(web3, 5)
            await streams[2].unsubscribe()
            #expect(counter.calls.map { $0.count { $0 == "eth_unsubscribe" } } == [0, 1, 0])
            streams.remove(at: 3)
            await server.until { $0.closeCodes.count == 1 }
            #expect(await server.log.closeCodes == [1000])
            await eventually { await web3.metrics.connections == 2 }
            #expect(counter.calls.map { $0.count { $0 == "eth_unsubscribe" } } == [0, 2, 0])
            // The next goes where there is room.
            streams += try await Self.subscribe(web3, 1)
            #expect(await server.clients.count == 2)
            streams.removeAll()
            await server.until { $0.closeCodes.count == 2 }
            #expect(try await web3.eth.chainID() == 1)
            #expect(await web3.metrics.serverSubscriptions == 0)
        }
    }

    @Test("The connection of a consumer that leaves while it is opened is closed too")
    func leavingEarly() async throws {
        let counter = Counter(cap: 1)
        try await Self.play(seed: 8, counter) { web3, _, _ in
            let one = try await Self.subscribe(web3, 1)
            await withTaskGroup(of: Web3Error?.self) { group in
                group.addTask { await failure { _ = try await web3.subscribe(NumbersRequest()) } }
                await eventually { await web3.metrics.connections == 2 }
                group.cancelAll()
                for await error in group { #expect(error?.code == .cancelled) }
            }
            await eventually { await web3.metrics.connections == 1 }
            #expect(await web3.metrics.serverSubscriptions == 1)
            withExtendedLifetime(one) {}
        }
    }

    @Test("Closing closes all connections")
    func close() async throws {
        let counter = Counter(cap: 1)
        try await Self.play(seed: 9, counter) { web3, server, _ in
            let streams = try await Self.subscribe(web3, 4)
            await web3.close()
            await server.until { $0.ended == 4 }
            #expect(await server.log.closeCodes == Array(repeating: 1000, count: 4))
            for stream in streams {
                var items = stream.makeAsyncIterator()
                #expect(try await items.next() == nil)
            }
        }
    }

    @Test("The last handle that goes closes all connections")
    func letGo() async throws {
        let counter = Counter(cap: 1)
        try await SimulatedLoop.run(seed: 10) { loop in
            let server = try await ScriptedServer(on: loop) { counter.script($0, $1) }
            func some() async throws {
                let web3 = try await Web3.connect(to: await server.endpoint, configuration: loop.configuration)
                _ = try await Self.subscribe(web3, 4)
            }
            try await some()
            await server.until { $0.ended == 4 }
            await server.close()
        }
    }

    // MARK: Limits

    @Test("Beyond the limit of connections the node's refusal is thrown, and the others go on")
    func limit() async throws {
        let counter = Counter(cap: 2)
        try await Self.play(seed: 11, counter, configure: { $0.maxConnections = 2 }) { web3, server, _ in
            var streams = try await Self.subscribe(web3, 4)
            let error = await failure { _ = try await web3.subscribe(NumbersRequest()) }
            #expect(error?.rpcCode == -32006)
            #expect(await server.clients.count == 2)
            await server.act { $0.notify("0x2", "3") }
            var items = streams[3].makeAsyncIterator()
            #expect(try await items.next() == 3)
            await streams[1].unsubscribe()
            streams += try await Self.subscribe(web3, 1)
            #expect(await server.clients.count == 2)
        }
    }

    @Test("A cap that is not a connection's is told: the further connection takes none, and is closed")
    func inAll() async throws {
        let counter = Counter(cap: 100)
        counter.state.withLock { $0.capInAll = 3 }
        try await Self.play(seed: 12, counter) { web3, server, _ in
            let streams = try await Self.subscribe(web3, 3)
            let error = await failure { _ = try await web3.subscribe(NumbersRequest()) }
            #expect(error?.rpcCode == -32006)
            await server.until { $0.closeCodes.count == 1 }
            #expect(await web3.metrics.connections == 1)
            withExtendedLifetime(streams) {}
        }
    }

    @Test("Another refusal is no cap, and a client that does not reconnect has one connection")
    func others() async throws {
        let counter = Counter(cap: 1)
        try await Self.play(seed: 13, counter, configure: { $0.reconnect = .never }) { web3, server, _ in
            let streams = try await Self.subscribe(web3, 1)
            #expect(await failure { _ = try await web3.subscribe(NumbersRequest()) }?.rpcCode == -32006)
            #expect(await server.log.connections == 1)
            withExtendedLifetime(streams) {}
        }
        for (code, message, isCap) in [
            (-32006, "Too many subscriptions on the connection", true),
            (-32000, "max_subscriptions_per_client 5 reached", true),
            (-32608, "Exceeded maximum allowed subscriptions", true),
            (-32005, "subscription limit reached", true),
            (-32000, "query exceeds max addresses in a subscription", false),
            (-32005, "exceeded 10 subscriptions per second", false),
            (-32005, "daily request count exceeded, request rate limited", false),
            (-32005, "your subscription plan's limit is reached", false),
            (-32601, "no \"foo\" subscription in eth namespace", false),
            (-32602, "too many topics", false),
        ] {
            let node = NodeError(code: Int64(code), message: message)
            #expect(node.isSubscriptionCap == isCap, "\(message)")
        }
    }

    @Test("A further connection of another chain takes nothing")
    func otherChain() async throws {
        let counter = Counter(cap: 1, chains: ["0x1", "0x2"])
        try await Self.play(seed: 14, counter) { web3, server, _ in
            var streams = try await Self.subscribe(web3, 1)
            _ = try await web3.eth.chainID()
            let error = await failure { _ = try await web3.subscribe(NumbersRequest()) }
            #expect(error?.rpcCode == -32006)
            #expect(counter.calls.last == ["eth_chainId"])
            streams += try await Self.subscribe(web3, 1)
            #expect(await web3.metrics.connections == 2)
        }
    }

    @Test("Where the chain is known only later, a further connection of another one is left then, and told of")
    func otherChainKnownLater() async throws {
        let counter = Counter(cap: 1, chains: ["0x1", "0x2", "0x1"], holdsChain: true)
        try await Self.play(seed: 141, counter) { web3, server, _ in
            let streams = try await Self.subscribe(web3, 2)
            #expect(counter.calls == [["eth_subscribe", "eth_chainId", "eth_subscribe"], ["eth_subscribe"]])
            var updates = streams[1].updates.makeAsyncIterator()
            await server.act { _ in counter.answerChain() }
            await server.until { $0.ended == 1 }
            await server.until { $0.count(of: "eth_subscribe") == 4 }
            #expect(counter.calls[1] == ["eth_subscribe", "eth_chainId"])
            #expect(counter.calls[2] == ["eth_chainId", "eth_subscribe"])
            let clients = await server.clients
            await server.act { _ in clients.last?.notify("0x1", "7") }
            let (item, told) = try await Self.next(&updates)
            #expect(item == 7 && told == ["disconnected", "reconnected"])
            #expect(await web3.metrics.connections == 2)
        }
    }

    // MARK: Make before break

    @Test("A renewal by age moves everything, and closes all connections of before; live streams are told nothing")
    func renewal() async throws {
        let counter = Counter(cap: 2)
        try await Self.play(seed: 15, counter, configure: { $0.maxConnectionAge = .seconds(100) }) { web3, server, _ in
            let streams = try await Self.subscribe(web3, 5)
            var updates = streams.map { $0.updates.makeAsyncIterator() }
            for round in 1...3 {
                await server.until { $0.ended == 3 * round }
                #expect(await web3.metrics.serverSubscriptions == 5)
                let clients = await server.clients
                #expect(clients.count == 3)
                for client in clients {
                    await server.act { _ in for id in 1...2 { client.notify("0x\(id)", "\(round)") } }
                }
                for place in updates.indices {
                    let (item, told) = try await Self.next(&updates[place])
                    #expect(item == round && told == [])
                }
            }
            let metrics = await web3.metrics
            #expect(metrics.renewals >= 3 && metrics.reconnects == 0 && metrics.connections == 3)
            #expect(metrics.notifications == 15)
            #expect(await server.log.closeCodes.allSatisfy { $0 == 1000 })
        }
    }

    @Test("At another endpoint everything is made anew, over as many connections as that one needs")
    func failover() async throws {
        try await SimulatedLoop.run(seed: 16) { loop in
            var configuration = loop.configuration
            configuration.reconnect = ReconnectPolicy(base: .milliseconds(100), cap: .seconds(2))
            let nodes = try await TestNode.ofOneChain(2, seed: 16, loop: loop)
            await nodes[0].use(NodeQuirks(maxSubscriptions: 2))
            let web3 = try await Web3.connect(to: nodes.map(\.endpoint), configuration: configuration)
            var streams: [Subscription<BlockHeader>] = []
            for _ in 0..<5 { streams.append(try await web3.eth.subscribe(.newHeads)) }
            #expect(await nodes[0].connections == 3)
            await nodes[0].stop()
            await nodes[1].asked(for: "eth_subscribe", times: 5)
            await eventually { await web3.metrics.serverSubscriptions == 5 }
            #expect(await web3.metrics.connections == 1)
            #expect(await nodes[1].connections == 1)
            await nodes[0].change { $0.mine() }
            for stream in streams {
                var updates = stream.updates.makeAsyncIterator()
                var numbers: [UInt64] = []
                while numbers.isEmpty, let update = try await updates.next() {
                    if case .item(let head) = update { numbers.append(head.number) }
                }
                #expect(numbers == [101])
            }
            await web3.close()
            for node in nodes { await node.close() }
        }
    }

    // MARK: Gapless streams

    @Test("Heads that find the main connection full come to it with a renewal, and live streams make room")
    func headsFirst() async throws {
        try await SimulatedLoop.run(seed: 17) { loop in
            let node = try await TestNode(chain: SimulatedChain(seed: 17, number: 100), loop: loop)
            await node.use(NodeQuirks(maxSubscriptions: 2))
            let web3 = try await Web3.connect(to: node.endpoint, configuration: loop.configuration)
            let filters = (0..<4).map { LogFilter(address: SimulatedChain.address($0)) }
            var live: [Subscription<Log>] = []
            for filter in filters { live.append(try await web3.eth.subscribe(.logs(filter))) }
            var heads = web3.eth.newHeads(from: .block(101)).makeAsyncIterator()
            await node.change { $0.mine() }
            #expect(try await heads.next()?.number == 101)
            #expect(await web3.metrics.renewals == 1)
            #expect(await web3.metrics.serverSubscriptions == 5)
            await node.change { chain in
                chain.mine((0..<4).map { SimulatedEvent(address: SimulatedChain.address($0), topics: []) })
            }
            #expect(try await heads.next()?.number == 102)
            for stream in live {
                var logs = stream.makeAsyncIterator()
                #expect(try await logs.next()?.blockNumber == 102)
            }
            // Pushed, and not found by asking.
            #expect(await node.requests(of: "eth_getBlockByNumber", "latest") <= 4)
            await web3.close()
            await node.close()
        }
    }

    /// Heads and four filters over connections of two subscriptions each, through all kinds of weather.
    private static func survive(
        seed: UInt64,
        _ faults: Faults = Faults(),
        quirks: SimulatedQuirks = SimulatedQuirks(),
        cap: Int = 2,
        configure: @escaping @Sendable (inout Configuration) -> Void = { _ in }
    ) async throws {
        try await SimulatedLoop.run(seed: seed) { loop in
            var configuration = loop.configuration
            configuration.reconnect = ReconnectPolicy(base: .milliseconds(100), cap: .seconds(2))
            configuration.requestTimeout = .seconds(3)
            configuration.keepalive = .ping(every: .seconds(5), timeout: .seconds(2))
            configure(&configuration)
            let mergesFilters = configuration.mergeFilters
            let chain = SimulatedChain(seed: seed, quirks: quirks, number: 100)
            let node = try await TestNode(chain: chain, loop: loop)
            await node.use(NodeQuirks(maxSubscriptions: cap))
            let web3 = try await Web3.connect(to: node.endpoint, configuration: configuration)
            await node.use(faults)
            let filters = (0..<4).map { LogFilter(address: SimulatedChain.address($0)) }
            let folds = filters.map { _ in UpdateFold() }
            let heads = UpdateFold()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await heads.read(web3.eth.newHeads(continuity: .gapless(), from: .block(101))) }
                for (filter, fold) in zip(filters, folds) {
                    group.addTask {
                        try await fold.read(web3.eth.logs(filter, continuity: .gapless(), from: .block(101)))
                    }
                }
                try await node.weather(seed: seed, on: loop)
                await node.use(Faults())
                await node.change { $0.quirks = SimulatedQuirks() }
                for _ in 0..<40 {
                    await node.change { $0.mine() }
                    try await loop.sleep(for: .seconds(5))
                }
                // Merged, two are enough.
                let connections = await web3.metrics.connections
                #expect(connections > (cap == 2 && mergesFilters ? 0 : 1))
                group.cancelAll()
                try await group.waitForAll()
            }
            let wanted = node.chain
            // Compared outside the expectations, which would print hundreds of blocks.
            let areHeads = heads.state.told == wanted.canonical.dropFirst().map { UpdateFold.Told($0.header) }
            let areLogs = zip(filters, folds).allSatisfy { filter, fold in
                fold.state.told == wanted.canonicalLogs(filter, from: 101).map { UpdateFold.Told($0) }
            }
            #expect(areHeads && areLogs, "seed \(seed): heads are \(areHeads), logs are \(areLogs)")
            for fold in folds + [heads] { #expect(fold.state.problems + fold.state.gaps.map(\.description) == []) }
            await web3.close()
            await node.close()
        }
    }

    @Test("Gapless heads and logs over several connections are the chain's, whatever is cut", arguments: 1...12)
    func gapless(seed: UInt64) async throws {
        try await Self.survive(seed: seed)
    }

    @Test(
        "Late, lost, doubled and reordered messages and ended subscriptions cost nothing there either",
        arguments: 101...112
    )
    func faults(seed: UInt64) async throws {
        let faults = Faults(
            seed: seed,
            [
                .delay(upTo: .seconds(3)): 5, .drop: 2, .duplicate: 2, .reorder: 2, .cut: 1, .tear: 1,
                .endSubscriptions: 1,
            ]
        )
        try await Self.survive(seed: seed, faults)
    }

    @Test("Nor with filters that are merged, connections that are replaced, or a cap of one", arguments: 201...206)
    func others(seed: UInt64) async throws {
        try await Self.survive(seed: seed, cap: seed % 2 == 0 ? 1 : 2) { configuration in
            configuration.maxConnectionAge = .seconds(60)
            configuration.mergeFilters = seed % 3 == 0
        }
    }

    // MARK: Real sockets

    @Test("Ten streams over real sockets, at a node that takes three on each")
    func real() async throws {
        let node = try await TestNode(chain: SimulatedChain(seed: 18, number: 100))
        await node.use(NodeQuirks(maxSubscriptions: 3))
        let web3 = try await Web3.connect(to: node.endpoint)
        var streams: [Subscription<BlockHeader>] = []
        for _ in 0..<10 { streams.append(try await web3.eth.subscribe(.newHeads)) }
        #expect(await node.connections == 4)
        var updates = streams.map { $0.updates.makeAsyncIterator() }
        for number: UInt64 in 101...102 {
            await node.change { $0.mine() }
            for place in updates.indices {
                while let update = try await updates[place].next() {
                    guard case .item(let head) = update else { continue }
                    #expect(head.number == number)
                    break
                }
            }
            guard number == 101 else { continue }
            await node.inflict(.cut)
            await node.asked(for: "eth_subscribe", times: 21)
            await eventually { await web3.metrics.serverSubscriptions == 10 }
            #expect(await node.connections == 8)
        }
        await web3.close()
        await node.close()
    }
}
