import HeadstreamLocks
import HeadstreamSockets
import HeadstreamTesting
import Testing

@testable import Headstream

/// Connections that are replaced while they stand, in virtual time.
@Suite("Renewal of connections", .timeLimit(.minutes(15)))
struct RenewalTests {
    /// Answers that a test holds back, for each method the connections' in their order.
    private final class Held: Sendable {
        let methods: Locked<Set<String>>
        let calls = Locked<[(client: ScriptedClient, call: ScriptedCall)]>([])

        init(_ methods: Set<String>) {
            self.methods = Locked(methods)
        }

        func script(_ client: ScriptedClient, _ message: ScriptedMessage) {
            for call in message.calls {
                if self.methods.withLock({ $0.contains(call.method) }) {
                    self.calls.withLock { $0.append((client, call)) }
                } else {
                    client.answerAsUsual(ScriptedMessage(call))
                }
            }
        }

        /// Answers all that is held back.
        func answer(on server: ScriptedServer) async {
            let held = self.calls.withLock { calls in
                defer { calls = [] }
                return calls
            }
            await server.act { _ in
                for (client, call) in held { client.answer(call, "\"\(call.method)\"") }
            }
        }
    }

    private static func play(
        seed: UInt64,
        age: Duration = .seconds(100),
        holding methods: Set<String> = [],
        _ body: @escaping @Sendable (Web3, ScriptedServer, Held, SimulatedLoop) async throws -> Void
    ) async throws {
        try await SimulatedLoop.run(seed: seed) { loop in
            var configuration = loop.configuration
            configuration.reconnect = .automatic
            configuration.maxConnectionAge = age
            configuration.requestTimeout = .seconds(3600)
            let held = Held(methods)
            let server = try await ScriptedServer(on: loop) { held.script($0, $1) }
            let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
            try await body(web3, server, held, loop)
            await web3.close()
            await server.close()
        }
    }

    @Test("Edge case 117: a connection of an age is replaced before it is cut, and a live stream is told nothing")
    func live() async throws {
        try await Self.play(seed: 1) { web3, server, _, loop in
            let stream = try await web3.subscribe(NumbersRequest())
            var updates = stream.updates.makeAsyncIterator()
            var states = web3.connectionStates.makeAsyncIterator()
            #expect(await states.next() == .connected)
            let began = loop.now
            for round in 1...5 {
                await server.act { $0.notify("0x1", "\(round)") }
                #expect(try await updates.next() == .item(round))
                await server.until { $0.closeCodes.count == round }
                let passed = loop.now.since(began)
                #expect(passed >= .seconds(90 * round) && passed <= .seconds(101 * round), "\(passed)")
            }
            #expect(await server.log.closeCodes == Array(repeating: 1000, count: 5))
            #expect(await server.log.count(of: "eth_subscribe") == 6)
            #expect(await server.log.count(of: "eth_unsubscribe") == 0)
            let metrics = await web3.metrics
            #expect(metrics.renewals == 5 && metrics.reconnects == 0 && metrics.notifications == 5)
            await web3.close()
            #expect(await states.next() == .closed(nil))
        }
    }

    @Test(
        "Around the seam a live item may come twice, but none is lost; what is late from the old connection is ignored"
    )
    func seam() async throws {
        try await Self.play(seed: 2, holding: ["net_version"]) { web3, server, held, loop in
            let stream = try await web3.subscribe(NumbersRequest())
            var updates = stream.updates.makeAsyncIterator()
            // Both connections stand and are subscribed on; the last request on the old one has no answer yet.
            await server.until { $0.count(of: "net_version") == 1 }
            let clients = await server.clients
            #expect(clients.count == 2)
            await server.act { _ in
                clients[0].notify("0x1", "1")
                for client in clients { client.notify("0x1", "2") }
                clients[1].notify("0x1", "3")
            }
            var items: [Int] = []
            while items.count < 4, case .item(let item)? = try await updates.next() { items.append(item) }
            #expect(items.sorted() == [1, 2, 2, 3])
            await held.answer(on: server)
            await server.until { $0.closeCodes.count == 1 }
            await server.act { _ in
                clients[0].notify("0x1", "4")
                clients[1].notify("0x1", "5")
            }
            #expect(try await updates.next() == .item(5))
        }
    }

    @Test("Requests in flight on the old connection are answered there, and later ones go to the new one")
    func requests() async throws {
        try await Self.play(seed: 3, holding: ["slow"]) { web3, server, held, loop in
            async let slow = web3.ask("slow")
            await server.until { $0.count(of: "net_version") == 1 }
            try await loop.sleep(for: .seconds(60))
            let clients = await server.clients
            #expect(clients.count == 2)
            #expect(try await web3.eth.chainID() == 1)
            #expect(await server.log.closeCodes.isEmpty)
            await held.answer(on: server)
            #expect(try await slow == "slow")
            await server.until { $0.closeCodes.count == 1 }
            #expect(await server.clients.last === clients[1])
        }
    }

    @Test("A subscribe request under way on the old connection is made on the new one before the old is closed")
    func subscribing() async throws {
        try await Self.play(seed: 4, holding: ["eth_subscribe"]) { web3, server, held, _ in
            async let subscribed = web3.subscribe(NumbersRequest())
            await server.until { $0.count(of: "net_version") == 1 }
            let clients = await server.clients
            #expect(clients.count == 2 && held.calls.withLock { $0.count } == 1)
            await server.act { _ in
                for (client, call) in held.calls.withLock({ $0 }) { client.answer(call, "\"0x7\"") }
            }
            held.calls.withLock { $0 = [] }
            let stream = try await subscribed
            await server.until { $0.count(of: "eth_subscribe") == 2 }
            #expect(await server.log.closeCodes.isEmpty)
            let again = held.calls.withLock { $0 }
            #expect(again.first?.client === clients[1])
            await server.act { _ in for (client, call) in again { client.answer(call, "\"0x8\"") } }
            await server.until { $0.closeCodes.count == 1 }
            await server.act { _ in clients[1].notify("0x8", "9") }
            var updates = stream.updates.makeAsyncIterator()
            #expect(try await updates.next() == .item(9))
        }
    }

    @Test("What is unsubscribed while both connections stand is unsubscribed on both")
    func unsubscribing() async throws {
        try await Self.play(seed: 5, holding: ["net_version"]) { web3, server, held, _ in
            let one = try await web3.subscribe(NumbersRequest())
            do {
                let two = try await web3.subscribe(NumbersRequest())
                await server.until { $0.count(of: "net_version") == 1 }
                await one.unsubscribe()
                withExtendedLifetime(two) {}
            }
            await server.until { $0.count(of: "eth_unsubscribe") == 4 }
            await held.answer(on: server)
            await server.until { $0.closeCodes.count == 1 }
            #expect(await web3.metrics.subscriptions == 0)
        }
    }

    @Test("A replacement that does not come about leaves the connection as it is, and is tried again")
    func failing() async throws {
        try await SimulatedLoop.run(seed: 6) { loop in
            var configuration = loop.configuration
            configuration.reconnect = .automatic
            configuration.maxConnectionAge = .seconds(100)
            let server = try await ScriptedServer(on: loop)
            // The second to fifth connections break in the handshake.
            loop.setFaults { _, number in
                LinkFaults(toConnector: LinkFault(cutAfter: (2...5).contains(number) ? 20 : nil))
            }
            let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
            let stream = try await web3.subscribe(NumbersRequest())
            var updates = stream.updates.makeAsyncIterator()
            let began = loop.now
            await server.until { $0.closeCodes.count == 1 }
            let passed = loop.now.since(began)
            #expect(passed >= .seconds(130) && passed <= .seconds(142), "\(passed)")
            await server.act { $0.notify("0x1", "1") }
            #expect(try await updates.next() == .item(1))
            #expect(await web3.metrics.reconnects == 0)
            #expect(await server.log.connections == 6)
            await web3.close()
            await server.close()
        }
    }

    @Test("A replacement whose node answers nothing does not take over")
    func deaf() async throws {
        try await Self.play(seed: 9) { web3, server, held, loop in
            let stream = try await web3.subscribe(NumbersRequest())
            #expect(try await web3.eth.chainID() == 1)
            held.methods.withLock { $0 = ["eth_chainId"] }
            await server.until { $0.connections == 2 }
            try await loop.sleep(for: .seconds(3500))
            #expect(await server.clients.count == 2)
            // After `requestTimeout` it is given up, and a tenth of the age later another is tried.
            held.methods.withLock { $0 = [] }
            await server.until { $0.closeCodes.count == 2 }
            #expect(await server.log.connections == 3)
            await server.act { $0.notify("0x1", "1") }
            var updates = stream.updates.makeAsyncIterator()
            #expect(try await updates.next() == .item(1))
            #expect(await web3.metrics.renewals == 1)
        }
    }

    @Test("The old connection's end, and the new one's, while both stand are no loss", arguments: [0, 1])
    func losing(which: Int) async throws {
        try await Self.play(seed: 7, holding: ["net_version"]) { web3, server, held, _ in
            let stream = try await web3.subscribe(NumbersRequest())
            var updates = stream.updates.makeAsyncIterator()
            await server.until { $0.count(of: "net_version") == 1 }
            let clients = await server.clients
            await server.act { _ in clients[which].drop() }
            await server.act { _ in clients[1 - which].notify("0x1", "1") }
            #expect(try await updates.next() == .item(1))
            #expect(await server.log.connections == 2)
            #expect(try await web3.eth.chainID() == 1)
            #expect(await web3.metrics.reconnects == 0)
            await held.answer(on: server)
        }
    }

    @Test("Where the new connection is lost the old one goes on, and what only the new one had is told and made there")
    func goingBack() async throws {
        try await Self.play(seed: 10, holding: ["net_version"]) { web3, server, held, loop in
            let early = try await web3.subscribe(NumbersRequest())
            await server.until { $0.count(of: "net_version") == 1 }
            let clients = await server.clients
            let late = try await web3.subscribe(NumbersRequest())
            #expect(await server.log.count(of: "eth_subscribe") == 3)
            held.methods.withLock { $0 = ["eth_getSlow"] }
            async let answer = web3.ask("eth_getSlow")
            await server.until { $0.count(of: "eth_getSlow") == 1 }
            await server.act { _ in clients[1].drop() }
            // The request in flight is made again on the old connection, and so is the subscription.
            await server.until { $0.count(of: "eth_getSlow") == 2 && $0.count(of: "eth_subscribe") == 4 }
            await held.answer(on: server)
            #expect(try await answer == "eth_getSlow")
            var updates = late.updates.makeAsyncIterator()
            guard case .disconnected? = try await updates.next() else { return #expect(Bool(false)) }
            #expect(try await updates.next() == .reconnected)
            await server.act { _ in clients[0].notify("0x1", "5") }
            var earlyUpdates = early.updates.makeAsyncIterator()
            #expect(try await earlyUpdates.next() == .item(5))
            // A tenth of the age later another replacement is made, and this one comes about.
            await server.until { $0.closeCodes.count == 1 }
            #expect(await web3.metrics.renewals == 2)
        }
    }

    @Test("A connection of no use that is being replaced already is left for the next endpoint when that is over")
    func pendingStep() async throws {
        try await SimulatedLoop.run(seed: 11) { loop in
            var configuration = loop.configuration
            configuration.reconnect = .automatic
            configuration.maxConnectionAge = .seconds(100)
            configuration.requestTimeout = .seconds(3600)
            let held = Held(["slow"])
            let servers = [
                try await ScriptedServer(on: loop) { held.script($0, $1) },
                try await ScriptedServer(on: loop) { held.script($0, $1) },
            ]
            let web3 = try await Web3.connect(
                to: [await servers[0].endpoint, await servers[1].endpoint],
                configuration: configuration
            )
            async let answer = web3.ask("slow")
            // Another connection has taken over, and the first one waits for its answer.
            await servers[0].until { $0.connections == 2 }
            try await loop.sleep(for: .seconds(1))
            let second = await servers[1].endpoint
            web3.session.onLoop { $0.renew(to: second, isStep: true) }
            await loop.settle()
            #expect(await servers[1].log.connections == 0)
            await held.answer(on: servers[0])
            #expect(try await answer == "slow")
            await servers[1].until { $0.connections == 1 }
            await servers[0].until { $0.closeCodes.count == 2 }
            #expect(web3.endpoint == second)
            await web3.close()
            for server in servers { await server.close() }
        }
    }

    @Test("Closing, and letting go, while both connections stand leaves neither", arguments: [true, false])
    func closing(isClosed: Bool) async throws {
        try await SimulatedLoop.run(seed: 8) { loop in
            var configuration = loop.configuration
            configuration.reconnect = .automatic
            configuration.maxConnectionAge = .seconds(100)
            configuration.requestTimeout = .seconds(3600)
            let held = Held(["net_version"])
            let server = try await ScriptedServer(on: loop) { held.script($0, $1) }
            weak var session: Session?
            do {
                let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
                let stream = try await web3.subscribe(NumbersRequest())
                session = web3.session
                await server.until { $0.count(of: "net_version") == 1 }
                #expect(await server.clients.count == 2)
                if isClosed { await web3.close() }
                withExtendedLifetime(stream) {}
            }
            await server.until { $0.closeCodes.count == 2 }
            await loop.settle()
            #expect(session == nil)
            #expect(await server.clients.isEmpty)
            await server.close()
        }
    }

    @Test("Gapless streams notice nothing of connections that are replaced all the time", arguments: 1...20)
    func gapless(seed: UInt64) async throws {
        try await SimulatedLoop.run(seed: seed) { loop in
            var configuration = loop.configuration
            configuration.reconnect = .automatic
            configuration.maxConnectionAge = .seconds(10)
            let node = try await TestNode(chain: SimulatedChain(seed: seed, number: 100), loop: loop)
            let web3 = try await Web3.connect(to: node.endpoint, configuration: configuration)
            let filter = LogFilter(address: SimulatedChain.address(0))
            var heads = web3.eth.newHeads(continuity: .gapless(), from: .block(101)).updates.makeAsyncIterator()
            var logs = web3.eth.logs(filter, continuity: .gapless(), from: .block(101)).updates.makeAsyncIterator()
            var random = SeededGenerator(seed: seed)
            var last = node.chain.canonical[0].hash
            var (head, block): (UInt64, UInt64) = (100, 100)
            var told: [Log] = []
            for number: UInt64 in 101...160 {
                await node.change { $0.mine($0.randomEvents(4)) }
                while head < number, let update = try await heads.next() {
                    switch update {
                    case .item(let item):
                        #expect(item.parentHash == last)
                        (last, head) = (item.hash, item.number)
                    case .gap, .rollback, .disconnected, .reconnected: Issue.record("\(update), seed \(seed)")
                    default: break
                    }
                }
                // Blocks without logs whose bloom may match are closed when two stand on them.
                while block + 2 < number, let update = try await logs.next() {
                    switch update {
                    case .item(let log): told.append(log)
                    case .block(let passed): block = passed.number
                    case .gap, .rollback, .disconnected, .reconnected: Issue.record("\(update), seed \(seed)")
                    default: break
                    }
                }
                try await loop.sleep(for: .milliseconds(random.below(4000)))
            }
            let wanted = node.chain.canonicalLogs(filter, from: 101).filter { ($0.blockNumber ?? 0) <= block }
            #expect(told.filter { ($0.blockNumber ?? 0) <= block } == wanted)
            let metrics = await web3.metrics
            #expect(metrics.renewals >= 8 && metrics.reconnects == 0, "\(metrics.renewals)")
            await web3.close()
            await node.close()
        }
    }
}
