import HeadstreamLocks
import HeadstreamSockets
import HeadstreamTesting
import Testing

@testable import Headstream

/// A lost connection is made anew, once, and everything on it is subscribed again.
@Suite("Reconnecting", .timeLimit(.minutes(15)))
struct ReconnectTests {
    private static func automatic(_ configuration: inout Configuration) {
        configuration.reconnect = ReconnectPolicy(base: .milliseconds(1), cap: .milliseconds(10))
    }

    @Test(
        "A cut is told, and the same handle goes on with a new subscription of the same kind",
        arguments: Stage.allCases
    )
    func goesOn(stage: Stage) async throws {
        try await stage.run(configure: Self.automatic) { web3, server in
            let stream = try await web3.subscribe(NumbersRequest())
            var updates = stream.updates.makeAsyncIterator()
            for round in 1...3 {
                await server.until { $0.count(of: "eth_subscribe") == round }
                await server.act { $0.notify("0x1", "\(round)") }
                #expect(try await updates.next() == .item(round))
                await server.act { $0.drop() }
                guard case .disconnected(let error)? = try await updates.next() else {
                    return #expect(Bool(false), "the cut is not told")
                }
                #expect(error.code == .connectionClosed)
                #expect(try await updates.next() == .reconnected)
            }
            #expect(await server.log.connections == 4)
            #expect(await web3.metrics.reconnects == 3)
        }
    }

    @Test("The plain sequence throws at a cut, and goes on behind it when it is asked again", arguments: Stage.allCases)
    func plain(stage: Stage) async throws {
        try await stage.run(configure: Self.automatic) { web3, server in
            let stream = try await web3.subscribe(NumbersRequest())
            var iterator = stream.makeAsyncIterator()
            await server.act { $0.notify("0x1", "1") }
            let first = try await iterator.next()
            #expect(first == 1)
            await server.act { $0.drop() }
            do {
                _ = try await iterator.next()
                Issue.record("the cut is not told")
            } catch {
                #expect((error as? Web3Error)?.code == .connectionClosed)
            }
            await server.until { $0.count(of: "eth_subscribe") == 2 }
            await server.act { $0.notify("0x1", "2") }
            let second = try await iterator.next()
            #expect(second == 2)
        }
    }

    @Test(
        "Edge cases 48, 49, 92: ids of the new connection count, whatever the old ones were",
        arguments: Stage.allCases
    )
    func ids(stage: Stage) async throws {
        try await stage.run(configure: Self.automatic) { web3, server in
            let first = try await web3.subscribe(NumbersRequest())
            let second = try await web3.subscribe(NumbersRequest())
            await first.unsubscribe()
            await server.act { $0.drop() }
            // The second has the first one's old id now.
            await server.until { $0.count(of: "eth_subscribe") == 3 }
            await server.act { $0.notify("0x1", "7") }
            var iterator = second.updates.makeAsyncIterator()
            while let update = try await iterator.next() {
                if update == .item(7) { break }
            }
            await second.unsubscribe()
            let ended = await server.log.messages.flatMap(\.calls).filter { $0.method == "eth_unsubscribe" }
            #expect(ended.map { $0.params.first?.stringValue } == ["0x1", "0x1"])
        }
    }

    @Test("Edge case 50: what was unsubscribed before the cut is not made anew", arguments: Stage.allCases)
    func notAnew(stage: Stage) async throws {
        try await stage.run(configure: Self.automatic) { web3, server in
            let gone = try await web3.subscribe(NumbersRequest())
            do {
                let left = try await web3.subscribe(NumbersRequest())
                await gone.unsubscribe()
                withExtendedLifetime(left) {}
            }
            await server.until { $0.count(of: "eth_unsubscribe") == 2 }
            await server.act { $0.drop() }
            #expect(try await web3.eth.chainID() == 1)
            #expect(await server.log.connections == 2)
            #expect(await server.log.count(of: "eth_subscribe") == 2)
        }
    }

    @Test("Edge case 36: one failure, one reconnect, however it is told", arguments: Stage.webSockets)
    func once(stage: Stage) async throws {
        try await stage.run(configure: Self.automatic) { web3, server in
            for round in 1...3 {
                await server.act { client in
                    client.close(1001, "going away")
                    client.drop()
                }
                await server.until { $0.connections == round + 1 }
                let chain = try await web3.eth.chainID()
                #expect(chain == 1)
                #expect(await server.log.connections == round + 1)
            }
        }
    }

    // MARK: Requests

    @Test("A read whose answer was lost is asked again; a transaction is not", arguments: Stage.allCases)
    func requests(stage: Stage) async throws {
        let dropped = Locked(Set<String>())
        try await stage.run(
            configure: Self.automatic,
            script: { client, message in
                // Each method's first call is answered with a cut.
                if let call = message.calls.first, dropped.withLock({ $0.insert(call.method).inserted }) {
                    client.drop()
                } else {
                    client.answerAsUsual(message)
                }
            }
        ) { web3, server in
            let chain = try await web3.eth.chainID()
            #expect(chain == 1)
            #expect(await server.log.count(of: "eth_chainId") == 2)
            let error = await failure { _ = try await web3.ask("eth_sendRawTransaction") }
            #expect(error?.code == .connectionClosed && error?.wasSent == true)
            #expect(await server.log.count(of: "eth_sendRawTransaction") == 1)
            // Not sent at all, so it may be asked on the next connection, whatever it is.
            let told = try await web3.ask("eth_sendRawTransaction")
            #expect(told == "eth_sendRawTransaction")
        }
    }

    @Test("A subscribe request whose answer was lost is made on the next connection", arguments: Stage.allCases)
    func subscribing(stage: Stage) async throws {
        let count = Locked(0)
        try await stage.run(
            configure: Self.automatic,
            script: { client, message in
                let isFirst = count.withLock { count in
                    count += 1
                    return count == 1
                }
                if isFirst { client.drop() } else { client.answerAsUsual(message) }
            }
        ) { web3, server in
            let stream = try await web3.subscribe(NumbersRequest())
            await server.act { $0.notify("0x1", "5") }
            var iterator = stream.makeAsyncIterator()
            let item = try await iterator.next()
            #expect(item == 5)
            #expect(await server.log.count(of: "eth_subscribe") == 2)
        }
    }

    @Test("What is subscribed while the chain is being checked is made once", arguments: Stage.allCases)
    func subscribingDuringTheCheck(stage: Stage) async throws {
        try await stage.run(configure: Self.automatic) { web3, server in
            let first = try await web3.subscribe(NumbersRequest())
            // The chain's id is asked for behind the first subscription.
            await server.until { $0.count(of: "eth_chainId") == 1 }
            await server.act { $0.drop() }
            let second = try await web3.subscribe(NumbersRequest())
            await server.until { $0.count(of: "eth_subscribe") == 3 }
            let chain = try await web3.eth.chainID()
            #expect(chain == 1)
            #expect(await server.log.count(of: "eth_subscribe") == 3)
            await server.act { client in for id in ["0x1", "0x2"] { client.notify(id, "4") } }
            for stream in [first, second] {
                var updates = stream.updates.makeAsyncIterator()
                while let update = try await updates.next() {
                    if case .item(let number) = update {
                        #expect(number == 4)
                        break
                    }
                }
            }
            #expect(await web3.metrics.notifications == 2)
        }
    }

    @Test("Unsubscribing between two refusals ends the stream", arguments: Stage.webSockets)
    func unsubscribingWhileRefused(stage: Stage) async throws {
        let count = Locked(0)
        try await stage.run(
            configure: Self.automatic,
            script: { client, message in
                for call in message.calls {
                    if call.method == "eth_subscribe",
                        count.withLock({
                            $0 += 1; return $0 > 1
                        })
                    {
                        client.fail(call, -32000, "no more")
                    } else {
                        client.answerAsUsual(ScriptedMessage(call))
                    }
                }
            }
        ) { web3, server in
            let stream = try await web3.subscribe(NumbersRequest())
            await server.act { $0.drop() }
            var updates = stream.updates.makeAsyncIterator()
            while let update = try await updates.next() {
                if case .refused = update { break }
            }
            await stream.unsubscribe()
            while try await updates.next() != nil {}
        }
    }

    @Test("A request made while there is no connection waits for the next, at most its time")
    func waiting() async throws {
        try await SimulatedLoop.run(seed: 3) { loop in
            var configuration = loop.configuration
            configuration.reconnect = ReconnectPolicy(base: .seconds(8), cap: .seconds(8))
            configuration.requestTimeout = .seconds(100)
            let server = try await ScriptedServer(on: loop)
            let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
            await server.act { $0.drop() }
            #expect(try await web3.eth.chainID() == 1)
            await server.close()
            let began = loop.now
            let error = await failure { _ = try await web3.eth.chainID() }
            #expect(error?.code == .cannotConnect || error?.code == .connectionClosed)
            #expect(error?.wasSent == false)
            #expect(loop.now.since(began) >= .seconds(99) && loop.now.since(began) <= .seconds(101))
            await web3.close()
        }
    }

    @Test("Cancelling a request that waits for a connection ends it at once")
    func cancelling() async throws {
        try await SimulatedLoop.run(seed: 4) { loop in
            var configuration = loop.configuration
            configuration.reconnect = ReconnectPolicy(base: .seconds(600), cap: .seconds(600))
            configuration.requestTimeout = .seconds(3600)
            let server = try await ScriptedServer(on: loop)
            let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
            await server.close()
            await withTaskGroup(of: Web3Error?.self) { group in
                group.addTask { await failure { _ = try await web3.eth.chainID() } }
                await eventually { await web3.session.waiters.count == 1 }
                let began = loop.now
                group.cancelAll()
                _ = await group.next()
                #expect(loop.now.since(began) < .seconds(1))
            }
            #expect(await web3.session.waiters.isEmpty)
            await web3.close()
        }
    }

    // MARK: What the node says

    @Test("Edge case 47: a refused resubscription is told to its stream and tried again", arguments: Stage.allCases)
    func refused(stage: Stage) async throws {
        let count = Locked(0)
        try await stage.run(
            configure: Self.automatic,
            script: { client, message in
                let call = message.calls[0]
                let number = count.withLock { count in
                    if call.method == "eth_subscribe" { count += 1 }
                    return count
                }
                if call.method == "eth_subscribe", number == 2 {
                    client.fail(call, -32000, "too many subscriptions")
                } else {
                    client.answerAsUsual(message)
                }
            }
        ) { web3, server in
            let stream = try await web3.subscribe(NumbersRequest())
            await server.act { $0.drop() }
            var updates = stream.updates.makeAsyncIterator()
            guard case .disconnected? = try await updates.next() else { return #expect(Bool(false)) }
            #expect(try await updates.next() == .reconnected)
            guard case .refused(let error)? = try await updates.next() else { return #expect(Bool(false)) }
            #expect(error.rpcCode == -32000 && error.message.contains("too many subscriptions"))
            await server.until { $0.count(of: "eth_subscribe") == 3 }
            await server.act { $0.notify("0x1", "9") }
            #expect(try await updates.next() == .item(9))
        }
    }

    @Test("A node of another chain ends the client, and its streams say why")
    func wrongChain() async throws {
        try await SimulatedLoop.run(seed: 5) { loop in
            var configuration = loop.configuration
            configuration.reconnect = .automatic
            let connections = Locked(0)
            let server = try await ScriptedServer(on: loop) { client, message in
                for call in message.calls {
                    if call.method == "eth_chainId" {
                        client.answer(call, connections.withLock { $0 } == 0 ? "\"0x1\"" : "\"0x5\"")
                    } else {
                        client.answer(call, "\"0x77\"")
                    }
                }
            }
            let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
            let stream = try await web3.subscribe(NumbersRequest())
            await server.until { $0.count(of: "eth_chainId") == 1 }
            connections.withLock { $0 = 1 }
            await server.act { $0.drop() }
            var updates = stream.updates.makeAsyncIterator()
            let error = await failure { while try await updates.next() != nil {} }
            #expect(error?.code == .wrongChain && error?.message.contains("of chain 5") == true)
            #expect(await server.log.count(of: "eth_subscribe") == 1)
            #expect(await failure { _ = try await web3.eth.chainID() } != nil)
            await server.close()
        }
    }

    @Test("Edge case 40: an answer that another attempt would not change ends the client with that error")
    func permanent() async throws {
        for (status, isPermanent) in [(301, true), (401, true), (403, true), (404, true), (429, false), (503, false)] {
            var refused = Web3Error(.upgradeRefused, "no")
            refused.httpStatus = status
            #expect(refused.isTemporary != isPermanent, "\(status)")
        }
        for code: Web3Error.Code in [.invalidEndpoint, .wrongChain, .invalidArgument] {
            #expect(!Web3Error(code, "no").isTemporary)
        }
        for close: UInt16 in [1000, 1001, 1006, 1008, 1012, 1013] {
            var closed = Web3Error(.connectionClosed, "bye")
            closed.closeCode = close
            #expect(closed.isTemporary && closed.leastDelay == (close == 1008 ? .seconds(60) : .zero))
        }
        var busy = Web3Error(.upgradeRefused, "busy")
        busy.httpStatus = 503
        busy.retryAfter = .seconds(100_000)
        #expect(busy.isTemporary && busy.leastDelay == .seconds(3600))
    }

    // MARK: Delays and states

    @Test("Edge cases 35, 39: a node that is down is called again and again, ever more slowly, until it is there")
    func backoff() async throws {
        try await SimulatedLoop.run(seed: 6) { loop in
            var configuration = loop.configuration
            configuration.reconnect = .automatic
            let server = try await ScriptedServer(on: loop)
            let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
            let stream = try await web3.subscribe(NumbersRequest())
            // Accepted and cut at once, for an hour of the loop's time.
            let began = loop.now
            while loop.now.since(began) < .seconds(3600) {
                let before = await server.log.connections
                await server.act { $0.drop() }
                await server.until { $0.connections == before + 1 }
            }
            let connections = await server.log.connections
            #expect(connections > 60 && connections < 600, "\(connections)")
            await server.until { $0.connections >= connections }
            #expect(try await web3.eth.chainID() == 1)
            withExtendedLifetime(stream) {}
            await web3.close()
            await server.close()
        }
    }

    @Test("The states are told in order, and end with the client", arguments: Stage.allCases)
    func states(stage: Stage) async throws {
        try await stage.run(configure: Self.automatic) { web3, server in
            var states = web3.connectionStates.makeAsyncIterator()
            #expect(await states.next() == .connected)
            await server.act { $0.drop() }
            guard case .waiting(let delay, let error)? = await states.next() else { return #expect(Bool(false)) }
            #expect(delay <= .milliseconds(10) && error.code == .connectionClosed)
            #expect(await states.next() == .connecting)
            #expect(await states.next() == .connected)
            await web3.close()
            #expect(await states.next() == .closed(nil))
            #expect(await states.next() == nil)
            var late = web3.connectionStates.makeAsyncIterator()
            #expect(await late.next() == .closed(nil))
            #expect(await late.next() == nil)
        }
    }

    @Test("Edge case 41: close() during the delay ends everything at once")
    func closing() async throws {
        try await SimulatedLoop.run(seed: 7) { loop in
            var configuration = loop.configuration
            configuration.reconnect = ReconnectPolicy(base: .seconds(600), cap: .seconds(600))
            let server = try await ScriptedServer(on: loop)
            let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
            let stream = try await web3.subscribe(NumbersRequest())
            await server.act { $0.drop() }
            var updates = stream.updates.makeAsyncIterator()
            guard case .disconnected? = try await updates.next() else { return #expect(Bool(false)) }
            let began = loop.now
            await web3.close()
            let end = try await updates.next()
            #expect(end == nil)
            #expect(loop.now.since(began) < .seconds(1))
            await server.close()
        }
    }

    @Test("Edge case 43: a client that everybody let go of while it waited is gone")
    func letGo() async throws {
        try await SimulatedLoop.run(seed: 8) { loop in
            var configuration = loop.configuration
            configuration.reconnect = ReconnectPolicy(base: .seconds(600), cap: .seconds(600))
            let server = try await ScriptedServer(on: loop)
            weak var session: Session?
            do {
                let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
                let stream = try await web3.subscribe(NumbersRequest())
                session = web3.session
                await server.act { $0.drop() }
                var updates = stream.updates.makeAsyncIterator()
                guard case .disconnected? = try await updates.next() else { return #expect(Bool(false)) }
            }
            await loop.settle()
            #expect(session == nil)
            #expect(await server.log.connections == 1)
            await server.close()
        }
    }
}
