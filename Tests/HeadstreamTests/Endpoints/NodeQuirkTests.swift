import Headstream
import HeadstreamTesting
import Testing

/// What one node does with messages, as a client meets it, in virtual time.
@Suite("Quirks of a node", .timeLimit(.minutes(15)))
struct NodeQuirkTests {
    /// Runs a test with a node that is odd in this way, and a client of it.
    private static func play(
        seed: UInt64,
        _ quirks: NodeQuirks,
        on transport: TestNode.Transport = .webSocket(),
        configure: @escaping @Sendable (inout Configuration) -> Void = { _ in },
        _ body: @escaping @Sendable (Web3, TestNode, SimulatedLoop) async throws -> Void
    ) async throws {
        try await SimulatedLoop.run(seed: seed) { loop in
            var configuration = loop.configuration
            configuration.reconnect = ReconnectPolicy(base: .milliseconds(100), cap: .seconds(2))
            configure(&configuration)
            let node = try await TestNode(chain: SimulatedChain(seed: seed, number: 100), on: transport, loop: loop)
            await node.use(quirks)
            let web3 = try await Web3.connect(to: node.endpoint, configuration: configuration)
            try await body(web3, node, loop)
            await web3.close()
            await node.close()
        }
    }

    @Test("A notification in front of the answer that tells its subscription's id is the subscription's first")
    func early() async throws {
        try await Self.play(seed: 1, NodeQuirks(notifiesEarly: true)) { web3, node, _ in
            let stream = try await web3.eth.subscribe(.newHeads)
            var heads = stream.makeAsyncIterator()
            #expect(try await heads.next()?.number == 100)
            await node.change { $0.mine() }
            #expect(try await heads.next()?.number == 101)
            #expect(await web3.metrics.notificationsEarly == 1)
        }
    }

    @Test("Subscriptions that get the ids of before on the next connection, in whatever order, stay who they are")
    func repeated() async throws {
        try await Self.play(seed: 2, NodeQuirks(repeatsSubscriptionIDs: true)) { web3, node, _ in
            let event = SimulatedEvent(address: SimulatedChain.address(0), topics: [SimulatedChain.topic(0)])
            let first = try await web3.eth.subscribe(.newHeads)
            let logs = try await web3.eth.subscribe(.logs(LogFilter(address: SimulatedChain.address(0))))
            let heads = try await web3.eth.subscribe(.newHeads)
            await first.unsubscribe()
            var (headUpdates, logUpdates) = (heads.updates.makeAsyncIterator(), logs.updates.makeAsyncIterator())
            for number: UInt64 in 101...105 {
                await node.change { $0.mine([event]) }
                while let update = try await headUpdates.next() {
                    guard case .item(let head) = update else { continue }
                    #expect(head.number == number)
                    break
                }
                while let update = try await logUpdates.next() {
                    guard case .item(let log) = update else { continue }
                    #expect(log.blockNumber == number)
                    break
                }
                let subscribed = await node.requests["eth_subscribe"] ?? 0
                await node.inflict(.cut)
                await node.asked(for: "eth_subscribe", times: subscribed + 2)
            }
        }
    }

    @Test(
        "Empty frames between messages, and empty lines on IPC, are nothing",
        arguments: [
            TestNode.Transport.webSocket(), .ipc(),
        ]
    )
    func empty(transport: TestNode.Transport) async throws {
        try await Self.play(seed: 3, NodeQuirks(sendsEmptyFrames: true), on: transport) { web3, node, _ in
            var heads = try await web3.eth.subscribe(.newHeads).makeAsyncIterator()
            for number: UInt64 in 101...110 {
                await node.change { $0.mine() }
                #expect(try await heads.next()?.number == number)
                #expect(try await web3.eth.blockNumber() == number)
            }
            #expect(await web3.metrics.malformedMessages == 0)
        }
    }

    @Test("A node that answers no ping is left after the timeout; where requests are asked with, it stays")
    func pings() async throws {
        for keepalive in [
            Keepalive.ping(every: .seconds(20), timeout: .seconds(20)),
            .request(every: .seconds(20), timeout: .seconds(20)),
        ] {
            let isPing = keepalive == .ping(every: .seconds(20), timeout: .seconds(20))
            try await Self.play(seed: 4, NodeQuirks(ignoresPings: true), configure: { $0.keepalive = keepalive }) {
                web3,
                node,
                loop in
                try await loop.sleep(for: .seconds(300))
                #expect(try await web3.eth.blockNumber() == 100)
                let connections = await node.connections
                #expect(isPing ? connections > 5 : connections == 1, "\(connections)")
            }
        }
    }
}
