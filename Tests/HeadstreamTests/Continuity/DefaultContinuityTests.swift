import EthereumTypes
import Foundation
import Headstream
import HeadstreamSockets
import HeadstreamTesting
import Testing

/// What `newHeads()` and `logs()` are where nothing else is said.
@Suite("Streams are gapless by default", .timeLimit(.minutes(15)))
struct DefaultContinuityTests {
    /// Three times a block, a cut, and two blocks more; the first once the streams have begun.
    private static func cuts(_ node: TestNode, on loop: SimulatedLoop) async throws {
        for _ in 0..<3 {
            try await loop.sleep(for: .seconds(5))
            await node.change { $0.mine($0.randomEvents(3)) }
            await node.inflict(.cut)
            await node.change { chain in for _ in 0..<2 { chain.mine(chain.randomEvents(3)) } }
        }
        // So that no bloom of the last ones is left to be asked for.
        for _ in 0..<3 {
            try await loop.sleep(for: .seconds(5))
            await node.change { $0.mine() }
        }
    }

    @Test("Plain heads and logs over lost connections: all of them, each once, in the chain's order", arguments: 1...5)
    func reconnects(seed: UInt64) async throws {
        try await GaplessStreamTests.play(seed: seed) { web3, node, loop in
            async let heads = web3.eth.newHeads().prefix(12).reduce(into: [Hash32]()) { $0.append($1.hash) }
            async let logs = web3.eth.logs().reduce(into: [Log]()) { $0.append($1) }
            try await Self.cuts(node, on: loop)
            #expect(try await heads == node.chain.canonical.dropFirst().map(\.hash))
            let reconnects = await web3.metrics.reconnects
            #expect(reconnects == 3)
            try await loop.sleep(for: .seconds(30))
            await web3.close()
            #expect(try await logs == node.chain.canonicalLogs(LogFilter(), from: 101))
        }
    }

    @Test("The same in batches")
    func batches() async throws {
        try await GaplessStreamTests.play(seed: 7) { web3, node, loop in
            async let heads = web3.eth.newHeads().batches(upTo: 4).reduce(into: [BlockHeader]()) {
                #expect((1...4).contains($1.count))
                $0 += $1
            }
            async let logs = web3.eth.logs().batches(upTo: 100).reduce(into: [Log]()) { $0 += $1 }
            try await Self.cuts(node, on: loop)
            try await loop.sleep(for: .seconds(30))
            await web3.close()
            #expect(try await heads.map(\.hash) == node.chain.canonical.dropFirst().map(\.hash))
            #expect(try await logs == node.chain.canonicalLogs(LogFilter(), from: 101))
        }
    }

    @Test("More than is caught up with is thrown as a gap; asked again, the stream goes on behind it, batches too")
    func gap() async throws {
        for isBatched in [false, true] {
            try await GaplessStreamTests.play(seed: 3) { web3, node, loop in
                async let told = Self.read(web3, isBatched: isBatched)
                try await loop.sleep(for: .seconds(5))
                await node.change { $0.mine() }
                try await loop.sleep(for: .seconds(5))
                await node.inflict(.cut)
                await node.change { chain in for _ in 0..<1100 { chain.mine() } }
                let (numbers, error) = try await told
                #expect(numbers.first == 101 && numbers.last == 1201, "\(numbers)")
                let message = error?.message ?? ""
                #expect(error?.code == .gap && message.contains("blocks 102 to 1200"), "\(message)")
            }
        }
    }

    /// Heads up to block 1201, and the error on the way there.
    private static func read(_ web3: Web3, isBatched: Bool) async throws -> ([UInt64], Web3Error?) {
        var numbers: [UInt64] = []
        var failure: Web3Error?
        var heads = web3.eth.newHeads().makeAsyncIterator()
        var batches = web3.eth.newHeads().batches(upTo: 100).makeAsyncIterator()
        while numbers.last ?? 0 < 1201 {
            do throws(Web3Error) {
                if isBatched {
                    numbers += try await batches.next()?.map(\.number) ?? []
                } else {
                    numbers += try await heads.next().map { [$0.number] } ?? []
                }
            } catch {
                guard failure == nil else { throw error }
                failure = error
            }
        }
        return (numbers, failure)
    }

    @Test("Live is what the node pushes, and asks for nothing")
    func live() async throws {
        try await GaplessStreamTests.play(seed: 4) { web3, node, loop in
            async let heads = web3.eth.newHeads(continuity: .live).prefix(2).reduce(into: []) { $0.append($1.number) }
            async let logs = web3.eth.logs(continuity: .live).prefix(2).reduce(into: []) { $0.append($1.blockNumber) }
            try await loop.sleep(for: .seconds(5))
            await node.change { $0.mine($0.randomEvents(1)) }
            // The node leaves it out, and so does the stream.
            await node.use(Self.mute)
            await node.change { $0.mine($0.randomEvents(1)) }
            await node.use(NodeQuirks())
            await node.change { $0.mine($0.randomEvents(1)) }
            #expect(try await heads == [101, 103])
            #expect(try await logs == [101, 103])
        }
    }

    private static var mute: NodeQuirks {
        var quirks = NodeQuirks()
        quirks.isMute = true
        return quirks
    }

    @Test("A stream that begins hours after the last one ended begins above the newest block of then")
    func later() async throws {
        try await GaplessStreamTests.play(seed: 9) { web3, node, loop in
            for number in [101, 1302, 1313] as [UInt64] {
                async let heads = web3.eth.newHeads().prefix(1).reduce(into: []) { $0.append($1.number) }
                try await loop.sleep(for: .seconds(5))
                await node.change { $0.mine() }
                #expect(try await heads == [number])
                let pause = number == 101 ? 1200 : 10
                await node.change { chain in for _ in 0..<pause { chain.mine() } }
            }
            let requests = await web3.metrics.requests
            #expect(requests < 20, "\(requests)")
        }
    }

    /// How a node answers `eth_getBlockByNumber` and its kin.
    enum Refusal: CaseIterable {
        case null
        case error
    }

    @Test(
        "A node that does not tell latest is followed from its first pushed head, over reconnects too",
        arguments: Refusal.allCases,
        [1, 2, 3] as [UInt64]
    )
    func withoutLatest(refusal: Refusal, seed: UInt64) async throws {
        try await SimulatedLoop.run(seed: seed) { loop in
            let server = try await ScriptedServer(on: loop) { client, message in
                for call in message.calls {
                    switch call.method {
                    case "eth_subscribe": client.answer(call, "\"0x1\"")
                    case "eth_unsubscribe": client.answer(call, "true")
                    default:
                        if refusal == .null {
                            client.answer(call, "null")
                        } else {
                            client.fail(call, -32601, "not here")
                        }
                    }
                }
            }
            let web3 = try await Web3.connect(to: server.endpoint, configuration: loop.configuration)
            async let told = RecordedSessionTests.words(web3.eth.newHeads().updates) { RecordedSessionTests.name($0) }
            let chain = try Self.headers(12)
            func push(_ numbers: ClosedRange<Int>) async throws {
                for number in numbers {
                    try await loop.sleep(for: .seconds(2))
                    await server.act { $0.notify("0x1", chain[number]) }
                }
            }
            try await loop.sleep(for: .seconds(2))
            try await push(1...4)
            await server.act { $0.drop() }
            try await loop.sleep(for: .seconds(10))
            // Nothing is missing; then two blocks are.
            try await push(5...6)
            await server.act { $0.drop() }
            try await loop.sleep(for: .seconds(10))
            try await push(9...10)
            try await loop.sleep(for: .seconds(60))
            await web3.close()
            await server.close()
            // All that this node ever said of blocks are its heads: what is behind the hole cannot be told from another chain.
            let names = try chain.map {
                RecordedSessionTests.name(try JSONDecoder().decode(BlockHeader.self, from: Data($0.utf8)))
            }
            #expect(try await told == names[1...6] + ["-6", "gap:1-9:unavailable", names[10]])
        }
    }

    @Test("A node that does not tell latest: a stream that begins later begins with what comes then, without a gap")
    func laterWithoutLatest() async throws {
        try await SimulatedLoop.run(seed: 1) { loop in
            let server = try await ScriptedServer(on: loop) { client, message in
                for call in message.calls {
                    client.answer(call, call.method == "eth_subscribe" ? "\"0x1\"" : "null")
                }
            }
            let web3 = try await Web3.connect(to: server.endpoint, configuration: loop.configuration)
            let chain = try Self.headers(10)
            func push(_ numbers: ClosedRange<Int>) async throws {
                for number in numbers {
                    try await loop.sleep(for: .seconds(2))
                    await server.act { $0.notify("0x1", chain[number]) }
                }
            }
            async let first = web3.eth.newHeads().prefix(2).reduce(into: []) { $0.append($1.number) }
            try await loop.sleep(for: .seconds(2))
            try await push(1...2)
            #expect(try await first == [1, 2])
            try await push(3...5)
            async let later = web3.eth.newHeads().prefix(5).reduce(into: []) { $0.append($1.number) }
            try await loop.sleep(for: .seconds(2))
            try await push(6...10)
            let numbers = try await later
            #expect(numbers == Array(6...10))
            await web3.close()
            await server.close()
        }
    }

    /// Headers 0 to `last` of a chain, as JSON.
    private static func headers(_ last: Int) throws -> [String] {
        var chain = SimulatedChain(seed: 1, number: 0)
        for _ in 0..<last { chain.mine() }
        return try chain.canonical.map { block in
            String(decoding: try JSONEncoder().encode(block.header), as: UTF8.self)
        }
    }
}
