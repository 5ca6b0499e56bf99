import EthereumTypes
import HeadstreamLocks
import HeadstreamSockets
import HeadstreamTesting
import Testing

@testable import Headstream

/// Several endpoints that push for the same gapless streams, in virtual time.
@Suite("Racing endpoints", .timeLimit(.minutes(15)))
struct RacingTests {
    private static let filter = LogFilter(address: SimulatedChain.address(0))
    private static let event = SimulatedEvent(address: SimulatedChain.address(0), topics: [SimulatedChain.topic(0)])

    /// What a stream of heads was told beside one endpoint on a branch of its own.
    private final class Told: Sendable {
        struct State: Sendable {
            var heads: [BlockRef] = []
            var removed: [BlockRef] = []
            var diverged: [(endpoint: Endpoint, block: BlockRef)] = []
        }

        let state = Locked(State())

        func take(_ update: GaplessUpdate<BlockHeader>) {
            self.state.withLock { state in
                switch update {
                case .item(let head): state.heads.append(BlockRef(head))
                case .rollback(let to, let removed):
                    state.heads.removeAll { $0.number > to.number }
                    state.removed += removed
                case .diverged(let endpoint, let block): state.diverged.append((endpoint, block))
                default: break
                }
            }
        }
    }

    private static func configuration(_ loop: SimulatedLoop) -> Configuration {
        var configuration = loop.configuration
        configuration.endpointPolicy = .firstArrival
        configuration.reconnect = ReconnectPolicy(base: .milliseconds(100), cap: .seconds(2))
        return configuration
    }

    /// What the first connection brings comes so much later than what the others bring.
    private static func slowDownFirst(_ loop: SimulatedLoop, by delay: Duration) {
        loop.setFaults { _, number in
            LinkFaults(toConnector: LinkFault(delay: number == 1 ? delay : .milliseconds(10)))
        }
    }

    /// Reads up to the next item.
    private static func item<Item>(_ updates: inout GaplessUpdates<Item>.Iterator) async throws -> Item? {
        while let update = try await updates.next() {
            if case .item(let item) = update { return item }
        }
        return nil
    }

    private static func beginHeads(_ web3: Web3) -> GaplessUpdates<BlockHeader>.Iterator {
        web3.eth.newHeads(continuity: .gapless(), from: .block(101)).updates.makeAsyncIterator()
    }

    // MARK: First arrival

    @Test("A head arrives when the fastest endpoint pushes it, once, and the slower one's is no news")
    func heads() async throws {
        try await SimulatedLoop.run(seed: 1) { loop in
            Self.slowDownFirst(loop, by: .seconds(2))
            let nodes = try await TestNode.ofOneChain(3, seed: 1, loop: loop)
            let web3 = try await Web3.connect(to: nodes.map(\.endpoint), configuration: Self.configuration(loop))
            var heads = Self.beginHeads(web3)
            await nodes[0].change { $0.mine() }
            #expect(try await Self.item(&heads)?.number == 101)
            for node in nodes { await node.asked(for: "eth_subscribe") }
            try await loop.sleep(for: .seconds(10))
            for number: UInt64 in 102...120 {
                let mined = loop.now
                await nodes[0].change { $0.mine() }
                #expect(try await Self.item(&heads)?.number == number)
                #expect(loop.now.since(mined) < .milliseconds(100), "\(number)")
                try await loop.sleep(for: .seconds(3))
            }
            // The authority pushed all of them too, and was asked nothing for it.
            #expect(await nodes[0].requests(of: "eth_getBlockByNumber", "latest") <= 3)
            #expect(web3.endpoint == nodes[0].endpoint)
            #expect(await web3.metrics.divergences == 0)
            await web3.close()
            for node in nodes { await node.close() }
        }
    }

    @Test("A log arrives when the fastest endpoint pushes it, also where each block has one, and once")
    func logs() async throws {
        try await SimulatedLoop.run(seed: 2) { loop in
            Self.slowDownFirst(loop, by: .seconds(2))
            let nodes = try await TestNode.ofOneChain(2, seed: 2, loop: loop)
            let web3 = try await Web3.connect(to: nodes.map(\.endpoint), configuration: Self.configuration(loop))
            let logs = web3.eth.logs(Self.filter, continuity: .gapless(), from: .block(101))
            var updates = logs.updates.makeAsyncIterator()
            await nodes[0].change { $0.mine([Self.event]) }
            #expect(try await Self.item(&updates)?.blockNumber == 101)
            try await loop.sleep(for: .seconds(10))
            // Logs of others, so that the blooms exclude the filter: a bloom of zeros beside transactions says nothing.
            let other = SimulatedEvent(address: SimulatedChain.address(1))
            for _ in 0..<6 {
                await nodes[0].change { $0.mine([other]) }
                try await loop.sleep(for: .seconds(5))
            }
            for number: UInt64 in 108...160 {
                let mined = loop.now
                await nodes[0].change { $0.mine([Self.event]) }
                #expect(try await Self.item(&updates)?.blockNumber == number)
                #expect(loop.now.since(mined) < .milliseconds(100), "\(number)")
                try await loop.sleep(for: .seconds(number % 5 == 0 ? 4 : 1))
            }
            await web3.close()
            for node in nodes { await node.close() }
        }
    }

    @Test("Where the session's endpoint is the fastest it is as without the others, and costs no more requests")
    func authorityFirst() async throws {
        try await SimulatedLoop.run(seed: 3) { loop in
            loop.setFaults { _, number in
                LinkFaults(toConnector: LinkFault(delay: number == 1 ? .zero : .milliseconds(300)))
            }
            let nodes = try await TestNode.ofOneChain(3, seed: 3, loop: loop)
            let web3 = try await Web3.connect(to: nodes.map(\.endpoint), configuration: Self.configuration(loop))
            var heads = Self.beginHeads(web3)
            await nodes[0].change { $0.mine() }
            _ = try await Self.item(&heads)
            let before = await nodes[0].requests(of: "eth_getBlockByNumber", "latest")
            for number: UInt64 in 102...140 {
                await nodes[0].change { $0.mine() }
                #expect(try await Self.item(&heads)?.number == number)
                try await loop.sleep(for: .seconds(1))
            }
            #expect(await nodes[0].requests(of: "eth_getBlockByNumber", "latest") - before <= 1)
            #expect(await nodes[0].requests["eth_getBlockByHash"] ?? 0 == 0)
            await web3.close()
            for node in nodes { await node.close() }
        }
    }

    // MARK: Authority

    @Test(
        "An endpoint on a branch of its own takes nothing back: what it adds goes again, and it is told once",
        arguments: 1...10
    )
    func liar(seed: UInt64) async throws {
        try await SimulatedLoop.run(seed: seed) { loop in
            Self.slowDownFirst(loop, by: .milliseconds(500))
            let chain = SimulatedChain(seed: seed, number: 100)
            let honest = try await TestNode(chain: chain, loop: loop)
            let liar = try await TestNode(chain: chain, loop: loop)
            let endpoints = [honest.endpoint, liar.endpoint]
            let web3 = try await Web3.connect(to: endpoints, configuration: Self.configuration(loop))
            let told = Told()
            let logs = UpdateFold()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for try await update in web3.eth.newHeads(continuity: .gapless(), from: .block(101)).updates {
                        told.take(update)
                    }
                }
                group.addTask {
                    try await logs.read(web3.eth.logs(Self.filter, continuity: .gapless(), from: .block(101)))
                }
                for node in [honest, liar] { await node.asked(for: "eth_subscribe", times: 2) }
                try await loop.sleep(for: .seconds(5))
                var random = SeededGenerator(seed: seed)
                // The same blocks at first, then its own, with reorganisations and logs of its own, and logs taken back.
                let common = chain
                for step in 0..<40 {
                    let isCommon = step < 3
                    await liar.change { chain in
                        let branch = isCommon ? [] : chain.randomEvents(3)
                        if step % 7 == 6 {
                            chain.reorganise(depth: 2, events: [branch, branch, []])
                        } else {
                            chain.mine(branch)
                        }
                    }
                    if isCommon {
                        let branch = Array(liar.chain.canonical.dropFirst(common.canonical.count + step))
                        await honest.change { _ = $0.adopt(branch) }
                    } else {
                        await honest.change { $0.mine($0.randomEvents(3)) }
                    }
                    try await loop.sleep(for: .milliseconds(500 * (1 + random.below(4))))
                }
                for _ in 0..<44 {
                    await honest.change { $0.mine() }
                    try await loop.sleep(for: .seconds(5))
                }
                group.cancelAll()
                try await group.waitForAll()
            }
            let wanted = honest.chain
            let canonical = wanted.canonical.dropFirst().map { BlockRef($0.header) }
            let state = told.state.withLock { $0 }
            #expect(state.heads == canonical, "seed \(seed)")
            #expect(logs.state.told == wanted.canonicalLogs(Self.filter, from: 101).map { UpdateFold.Told($0) })
            #expect(logs.state.problems.isEmpty && logs.state.gaps.isEmpty, "seed \(seed)")
            // Only what the other one had added was taken back, and it got few chances to.
            #expect(state.removed.allSatisfy { !canonical.contains($0) }, "seed \(seed): \(state.removed)")
            #expect(state.removed.count <= 2 && state.diverged.count == 1, "seed \(seed): \(state)")
            #expect(state.diverged.first?.endpoint == liar.endpoint)
            #expect(await web3.metrics.divergences == 1)
            #expect(web3.endpoint == honest.endpoint)
            await web3.close()
            for node in [honest, liar] { await node.close() }
        }
    }

    @Test("An endpoint that stands still is left for one that is ahead, and what that one had told stays")
    func laggard() async throws {
        try await SimulatedLoop.run(seed: 4) { loop in
            let nodes = try await TestNode.ofOneChain(2, seed: 4, loop: loop)
            let web3 = try await Web3.connect(to: nodes.map(\.endpoint), configuration: Self.configuration(loop))
            var heads = Self.beginHeads(web3)
            for number: UInt64 in 101...120 {
                await nodes[0].change { $0.mine() }
                #expect(try await Self.item(&heads)?.number == number)
                try await loop.sleep(for: .seconds(12))
            }
            await nodes[0].use(NodeQuirks(stopsAt: 120))
            for number: UInt64 in 121...140 {
                let mined = loop.now
                await nodes[0].change { $0.mine() }
                while let update = try await heads.next() {
                    if case .item(let head) = update {
                        #expect(head.number == number)
                        break
                    }
                    if case .rollback = update { Issue.record("\(update)") }
                }
                #expect(loop.now.since(mined) < .milliseconds(100))
                try await loop.sleep(for: .seconds(12))
                if number == 126 { #expect(web3.endpoint == nodes[1].endpoint) }
            }
            #expect(await web3.metrics.reconnects == 0)
            await web3.close()
            for node in nodes { await node.close() }
        }
    }

    @Test("While the authority is lost the others go on, and one of them takes its place at once")
    func lost() async throws {
        try await SimulatedLoop.run(seed: 5) { loop in
            let nodes = try await TestNode.ofOneChain(3, seed: 5, loop: loop)
            let web3 = try await Web3.connect(to: nodes.map(\.endpoint), configuration: Self.configuration(loop))
            var heads = Self.beginHeads(web3)
            for number: UInt64 in 101...110 {
                await nodes[0].change { $0.mine() }
                #expect(try await Self.item(&heads)?.number == number)
                try await loop.sleep(for: .seconds(12))
            }
            await nodes[0].stop()
            for number: UInt64 in 111...130 {
                let mined = loop.now
                await nodes[0].change { $0.mine() }
                #expect(try await Self.item(&heads)?.number == number)
                #expect(loop.now.since(mined) < .milliseconds(100))
                try await loop.sleep(for: .seconds(12))
            }
            #expect(web3.endpoint == nodes[1].endpoint)
            await web3.close()
            for node in nodes { await node.close() }
        }
    }

    // MARK: Their connections

    @Test("The others are connected to while a gapless stream is, are made anew when lost, and are gone at its end")
    func lifetime() async throws {
        try await SimulatedLoop.run(seed: 6) { loop in
            let nodes = try await TestNode.ofOneChain(2, seed: 6, loop: loop)
            let web3 = try await Web3.connect(to: nodes.map(\.endpoint), configuration: Self.configuration(loop))
            let live = try await web3.eth.subscribe(.newHeads)
            #expect(await nodes[1].connections == 0)
            do {
                var heads = Self.beginHeads(web3)
                await nodes[0].change { $0.mine() }
                #expect(try await Self.item(&heads)?.number == 101)
                await nodes[1].asked(for: "eth_subscribe")
                for round in 1...5 {
                    await nodes[1].inflict(round % 2 == 0 ? .endSubscriptions : .cut)
                    await nodes[1].asked(for: "eth_subscribe", times: round + 1)
                }
                #expect(await nodes[1].connections == 6)
                #expect(web3.session.connections.withLock { $0.racing.count } == 1)
                // Live streams are the session's endpoint's alone.
                #expect(await nodes[1].requests["eth_subscribe"] == 6)
                withExtendedLifetime(heads) {}
            }
            try await loop.sleep(for: .seconds(1))
            await loop.settle()
            #expect(web3.session.connections.withLock { $0.racing.isEmpty })
            var heads = Self.beginHeads(web3)
            await nodes[0].change { $0.mine() }
            #expect(try await Self.item(&heads)?.number == 101)
            await nodes[1].asked(for: "eth_subscribe", times: 7)
            withExtendedLifetime(live) {}
            await web3.close()
            #expect(web3.session.connections.withLock { $0.racing.isEmpty })
            for node in nodes { await node.close() }
        }
    }

    @Test("Edge case 46: an endpoint of another chain does not race, and is left out")
    func wrongChain() async throws {
        try await SimulatedLoop.run(seed: 7) { loop in
            let nodes = try await TestNode.ofOneChain(3, seed: 7, loop: loop)
            await nodes[1].use(NodeQuirks(chainID: 5))
            let web3 = try await Web3.connect(to: nodes.map(\.endpoint), configuration: Self.configuration(loop))
            var heads = Self.beginHeads(web3)
            for number: UInt64 in 101...110 {
                await nodes[0].change { $0.mine() }
                #expect(try await Self.item(&heads)?.number == number)
                try await loop.sleep(for: .seconds(5))
            }
            #expect(await nodes[1].requests["eth_subscribe"] == nil)
            #expect(await nodes[1].connections == 1)
            #expect(await nodes[2].requests["eth_subscribe"] == 1)
            await web3.close()
            for node in nodes { await node.close() }
        }
    }
}
