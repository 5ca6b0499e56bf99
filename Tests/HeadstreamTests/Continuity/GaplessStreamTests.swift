import EthereumTypes
import HeadstreamLocks
import HeadstreamSockets
import HeadstreamTesting
import Testing

@testable import Headstream

/// What a consumer has made of a stream of logs.
private final class Fold: Sendable {
    struct State: Sendable {
        var logs: [Log] = []
        var gaps = 0
        var reached: UInt64 = 0
    }

    let state = Locked(State())
}

/// Gapless streams through the public API: client, node and cuts on one simulated loop.
@Suite("Gapless streams", .timeLimit(.minutes(15)))
struct GaplessStreamTests {
    /// A client of a simulated chain, on a loop of a seed.
    static func play(
        seed: UInt64,
        quirks: SimulatedQuirks = SimulatedQuirks(),
        _ body: @escaping @Sendable (Web3, TestNode, SimulatedLoop) async throws -> Void
    ) async throws {
        try await SimulatedLoop.run(seed: seed) { loop in
            var configuration = loop.configuration
            configuration.reconnect = ReconnectPolicy(base: .milliseconds(100), cap: .seconds(2))
            let chain = SimulatedChain(seed: seed, quirks: quirks, number: 100)
            let node = try await TestNode(chain: chain, loop: loop)
            let web3 = try await Web3.connect(to: node.endpoint, configuration: configuration)
            try await body(web3, node, loop)
            await web3.close()
            await node.close()
        }
    }

    @Test("Behind a wait an actor's consumer is on its actor, of gapless and of live streams")
    func isolation() async throws {
        let node = try await TestNode(chain: SimulatedChain(seed: 1, number: 100))
        for isLive in [false, true] {
            let web3 = try await Web3.connect(to: node.endpoint)
            let reader = IsolatedReader()
            await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    if isLive {
                        try await reader.read(web3.eth.newHeads(continuity: .live)) { $0.heads += 1 }
                    } else {
                        try await reader.read(web3.eth.newHeads(continuity: .gapless())) { $0.heads += 1 }
                    }
                }
                group.addTask {
                    if isLive {
                        try await reader.read(web3.eth.logs(continuity: .live)) { $0.logs += 1 }
                    } else {
                        try await reader.read(web3.eth.logs(continuity: .gapless())) { $0.logs += 1 }
                    }
                }
                await node.asked(for: "eth_subscribe", times: isLive ? 4 : 2)
                // Blocks with a log each, until both have had enough.
                for _ in 0..<1000 where await !reader.isDone {
                    await node.change { $0.mine([SimulatedEvent(address: SimulatedChain.address(0))]) }
                    for _ in 0..<1000 where await !reader.isDone { await Task.yield() }
                }
                #expect(await reader.isDone)
                group.cancelAll()
            }
            await web3.close()
        }
        await node.close()
    }

    @Test("Heads that were mined while the connection was down are told, each once, linked", arguments: 1...5)
    func heads(seed: UInt64) async throws {
        try await Self.play(seed: seed) { web3, node, loop in
            var iterator = web3.eth.newHeads(continuity: .gapless(), from: .block(101)).makeAsyncIterator()
            await node.change { chain in for _ in 0..<3 { chain.mine() } }
            var last = node.chain.canonical[0].header
            func take(to number: UInt64) async throws {
                while last.number < number, let head = try await iterator.next() {
                    #expect(head.parentHash == last.hash && head.number == last.number + 1)
                    last = head
                }
            }
            try await take(to: 103)
            for round in 1...3 {
                await node.inflict(.cut)
                await node.change { chain in for _ in 0..<5 { chain.mine() } }
                try await take(to: 103 + UInt64(round) * 5)
            }
            #expect(last.hash == node.chain.head.hash)
            let reconnects = await web3.metrics.reconnects
            #expect(reconnects == 3)
        }
    }

    @Test(
        "Folded updates of logs are the chain's logs, through cuts, reorganisations and a node that tells less",
        arguments: 1...20
    )
    func logs(seed: UInt64) async throws {
        var quirks = SimulatedQuirks()
        quirks.noRemovedLogs = seed % 2 == 0
        quirks.omittedLogs = seed % 3 == 0 ? 20 : 0
        quirks.logsBeforeHead = seed % 5 == 0
        let filter = LogFilter(address: SimulatedChain.address(0))
        try await Self.play(seed: seed, quirks: quirks) { web3, node, loop in
            let stream = web3.eth.logs(filter, continuity: .gapless(), from: .block(101))
            let fold = Fold()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for try await update in stream.updates {
                        switch update {
                        case .item(let log): fold.state.withLock { $0.logs.append(log) }
                        case .rollback(let to, _):
                            fold.state.withLock { $0.logs.removeAll { $0.blockNumber ?? 0 > to.number } }
                        case .gap: fold.state.withLock { $0.gaps += 1 }
                        case .block(let block): fold.state.withLock { $0.reached = block.number }
                        default: break
                        }
                    }
                }
                try await node.weather(seed: seed, on: loop)
                group.cancelAll()
                try await group.waitForAll()
            }
            let wanted = node.chain.canonicalLogs(filter, from: 101)
            let head = node.chain.head.number
            let told = fold.state.withLock { $0 }
            #expect(told.gaps == 0)
            // A block whose bloom may match, and that has no logs, is closed when two blocks stand on it.
            #expect(told.reached + 2 >= head)
            #expect(told.logs == wanted, "seed \(seed)")
            #expect(!wanted.isEmpty)
        }
    }

    @Test("A stream goes on from a cursor of an earlier one, or rolls back first")
    func cursor() async throws {
        try await Self.play(seed: 11) { web3, node, _ in
            await node.change { chain in for _ in 0..<10 { chain.mine() } }
            var kept: Cursor?
            var updates = web3.eth.newHeads(continuity: .gapless(), from: .block(101)).updates.makeAsyncIterator()
            while let update = try await updates.next() {
                if case .progress(let cursor) = update { kept = cursor }
                if case .block(let block) = update, block.number == 110 { break }
            }
            while kept?.block.number != 110, let update = try await updates.next() {
                if case .progress(let cursor) = update { kept = cursor }
            }
            let cursor = try #require(kept)
            await node.change { $0.reorganise(depth: 2, events: [[], [], []]) }
            var resumed = web3.eth.newHeads(continuity: .gapless(), from: .cursor(cursor)).updates.makeAsyncIterator()
            guard case .rollback(let to, _)? = try await resumed.next() else {
                return #expect(Bool(false), "no rollback")
            }
            #expect(to.number <= 110)
            // What the earlier stream had told, and what this one makes of it.
            var told = node.chain.canonical.map { BlockRef($0.header) }.filter { $0.number > 100 && $0.number <= 108 }
            let head = node.chain.head.hash
            while told.last?.hash != head, let update = try await resumed.next() {
                switch update {
                case .item(let item): told.append(BlockRef(item))
                case .rollback(let to, _): told.removeAll { $0.number > to.number }
                default: break
                }
            }
            let numbers = told.map(\.number)
            #expect(Array(numbers.drop { $0 <= 108 }) == [109, 110, 111])
        }
    }

    @Test("Updates tell finality, of blocks told before, upwards; the plain sequence costs no request for it")
    func finality() async throws {
        try await Self.play(seed: 16) { web3, node, loop in
            var updates = web3.eth.newHeads(continuity: .gapless(), from: .block(101)).updates.makeAsyncIterator()
            var heads: Set<Hash32> = []
            var final: [UInt64] = []
            for _ in 0..<40 {
                await node.change { $0.mine() }
                while !heads.contains(node.chain.head.hash), let update = try await updates.next() {
                    if case .item(let head) = update { heads.insert(head.hash) }
                    if case .finalized(let block) = update {
                        #expect(heads.contains(block.hash))
                        final.append(block.number)
                    }
                }
                try await loop.sleep(for: .seconds(1))
            }
            #expect(final.count > 3 && final == final.sorted() && Set(final).count == final.count)
        }
        try await Self.play(seed: 17) { web3, node, loop in
            var heads = web3.eth.newHeads(continuity: .gapless(), from: .block(101)).makeAsyncIterator()
            var asked: UInt64 = 0
            for number: UInt64 in 101...120 {
                await node.change { $0.mine() }
                let head = try await heads.next()
                #expect(head?.number == number)
                if number == 105 { asked = await web3.metrics.requests }
            }
            #expect(await web3.metrics.requests == asked)
        }
    }

    @Test("All gapless streams stand on one subscription of heads, which ends with the last of them")
    func sharing() async throws {
        try await Self.play(seed: 12) { web3, node, loop in
            do {
                var one = web3.eth.newHeads(continuity: .gapless(), from: .block(101)).makeAsyncIterator()
                var two = web3.eth.newHeads(continuity: .gapless(), from: .block(101)).makeAsyncIterator()
                await node.change { $0.mine() }
                let (first, second) = (try await one.next(), try await two.next())
                #expect(first?.number == 101 && second?.number == 101)
                #expect(await node.requests["eth_subscribe"] == 1)
            }
            await node.asked(for: "eth_unsubscribe")
        }
    }

    @Test("A stream that begins after the end of the client ends at once")
    func afterTheEnd() async throws {
        try await Self.play(seed: 14) { web3, node, _ in
            var first = web3.eth.newHeads(continuity: .gapless(), from: .block(101)).makeAsyncIterator()
            await node.change { $0.mine() }
            let head = try await first.next()
            #expect(head?.number == 101)
            await web3.close()
            let end = try await first.next()
            #expect(end == nil)
            var late = web3.eth.newHeads(continuity: .gapless()).makeAsyncIterator()
            let none = try await late.next()
            #expect(none == nil)
        }
    }

    @Test("Edge case 34: a subscription of heads that the node ends is made anew, and nothing is missed")
    func endedByNode() async throws {
        try await Self.play(seed: 15) { web3, node, loop in
            var heads = web3.eth.newHeads(continuity: .gapless(), from: .block(101)).makeAsyncIterator()
            await node.change { $0.mine() }
            let first = try await heads.next()
            #expect(first?.number == 101)
            await node.inflict(.endSubscriptions)
            for _ in 0..<3 { await node.change { $0.mine() } }
            for number: UInt64 in 102...104 {
                let head = try await heads.next()
                #expect(head?.number == number)
            }
        }
    }

    @Test("A node that refuses heads is told to the stream")
    func refused() async throws {
        try await SimulatedLoop.run(seed: 13) { loop in
            let server = try await ScriptedServer(on: loop) { client, message in
                for call in message.calls { client.fail(call, -32601, "no notifications here") }
            }
            let web3 = try await Web3.connect(to: await server.endpoint, configuration: loop.configuration)
            var iterator = web3.eth.newHeads(continuity: .gapless()).makeAsyncIterator()
            let error = await failure { _ = try await iterator.next() }
            #expect(error?.rpcCode == -32601)
            await web3.close()
            await server.close()
        }
    }
}

private actor IsolatedReader {
    var heads = 0
    var logs = 0

    var isDone: Bool { self.heads >= 5 && self.logs >= 5 }

    func read(
        _ stream: some AsyncSequence & Sendable,
        _ count: @Sendable (isolated IsolatedReader) -> Void
    ) async throws {
        for try await _ in stream {
            self.assertIsolated()
            count(self)
            if self.isDone { return }
        }
    }
}
