import EthereumTypes
import HeadstreamLocks
import HeadstreamSockets
import HeadstreamTesting
import Testing

@testable import Headstream

/// Ends and endpoints that a session must notice.
@Suite("What a session must notice", .timeLimit(.minutes(5)))
struct WeakNodeTests {
    @Test("Where the loop is shut down while the next attempt is waited for, streams and requests end with an error")
    func shutdown() async throws {
        let loop = EventLoop(name: "weak-node")
        var configuration = Configuration()
        configuration.eventLoop = loop
        configuration.reconnect = ReconnectPolicy(base: .seconds(3600), cap: .seconds(3600))
        configuration.requestTimeout = .seconds(3600)
        let node = try await TestNode(chain: SimulatedChain(seed: 1, number: 100))
        let web3 = try await Web3.connect(to: node.endpoint, configuration: configuration)
        let live = try await web3.eth.subscribe(.newHeads)
        var states = web3.connectionStates.makeAsyncIterator()
        await node.stop()
        while let state = await states.next() {
            if case .waiting = state { break }
        }
        await withTaskGroup(of: Web3Error?.self) { group in
            group.addTask { await failure { _ = try await web3.eth.blockNumber() } }
            group.addTask {
                await failure { for try await _ in web3.eth.newHeads(continuity: .gapless()) {} }
            }
            group.addTask {
                // The loss is told first; the next read finds the end.
                await failure { for try await _ in live.updates {} }
            }
            await loop.shutdown()
            for await error in group { #expect(error?.code == .connectionClosed, "\(String(describing: error))") }
        }
        var last: ConnectionState?
        while let state = await states.next() { last = state }
        guard case .closed(_?)? = last else { return #expect(Bool(false), "\(String(describing: last))") }
        await node.close()
    }

    @Test("With `verify:` a node whose newest block is wrong again and again is left for another endpoint")
    func wrong() async throws {
        try await SimulatedLoop.run(seed: 2) { loop in
            var configuration = loop.configuration
            configuration.reconnect = .automatic
            let chain = SimulatedChain(seed: 2, number: 100)
            let liar = try await TestNode(chain: chain, loop: loop)
            let honest = try await TestNode(chain: chain, loop: loop)
            let endpoints = [liar.endpoint, honest.endpoint]
            let web3 = try await Web3.connect(to: endpoints, configuration: configuration)
            let stream = web3.eth.newHeads(continuity: .gapless(), from: .block(101), verify: .headers)
            var heads = stream.updates.makeAsyncIterator()
            func next() async throws -> BlockHeader? {
                while let update = try await heads.next() {
                    if case .item(let head) = update { return head }
                }
                return nil
            }
            for number: UInt64 in 101...105 {
                await honest.change { $0.mine() }
                let block = honest.chain.head
                await liar.change { _ = $0.adopt([block]) }
                #expect(try await next()?.number == number)
                try await loop.sleep(for: .seconds(1))
            }
            var header = liar.chain.head.header
            header.parentHash = header.hash
            header.number += 1
            header.hash = Hash32(w0: 1, w1: 2, w2: 3, w3: 4)
            let wrong = SimulatedBlock(header: header)
            await liar.change { _ = $0.adopt([wrong]) }
            await honest.change { $0.mine() }
            #expect(try await next()?.hash == honest.chain.head.hash)
            #expect(web3.endpoint == honest.endpoint)
            #expect(await web3.metrics.reconnects == 0)
            await web3.close()
            for node in [liar, honest] { await node.close() }
        }
    }

    @Test("Of several gapless streams' limits the largest holds for all, whichever came first")
    func limits() async throws {
        try await SimulatedLoop.run(seed: 3) { loop in
            var configuration = loop.configuration
            configuration.reconnect = .automatic
            let node = try await TestNode(chain: SimulatedChain(seed: 3, number: 100), loop: loop)
            let web3 = try await Web3.connect(to: node.endpoint, configuration: configuration)
            let small = web3.eth.newHeads(continuity: .gapless(limit: .init(blocks: 4)), from: .block(101))
            let large = web3.eth.newHeads(continuity: .gapless(limit: .init(blocks: 64)), from: .block(101))
            let folds = [UpdateFold(), UpdateFold()]
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (fold, stream) in zip(folds, [small, large]) {
                    await node.change { $0.mine() }
                    group.addTask { try await fold.read(stream) }
                    try await loop.sleep(for: .seconds(2))
                }
                await node.stop()
                await node.change { chain in for _ in 0..<40 { chain.mine() } }
                try await node.start()
                try await loop.sleep(for: .seconds(120))
                group.cancelAll()
                try await group.waitForAll()
            }
            for fold in folds {
                #expect(fold.state.gaps.isEmpty)
                #expect(fold.state.told == node.chain.canonical.dropFirst().map { UpdateFold.Told($0.header) })
            }
            await web3.close()
            await node.close()
        }
    }
}
