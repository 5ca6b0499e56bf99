import HeadstreamLocks
import HeadstreamSockets
import HeadstreamTesting
import Testing

@testable import Headstream

/// Several endpoints of one chain, in virtual time.
@Suite("Failover", .timeLimit(.minutes(15)))
struct FailoverTests {
    private static func configuration(_ loop: SimulatedLoop) -> Configuration {
        var configuration = loop.configuration
        configuration.reconnect = ReconnectPolicy(base: .seconds(4), cap: .seconds(30))
        return configuration
    }

    /// Runs a test with so many scripted servers.
    private static func play(
        seed: UInt64,
        servers count: Int,
        configure: @escaping @Sendable (inout Configuration) -> Void = { _ in },
        script: @escaping @Sendable (Int, ScriptedClient, ScriptedMessage) -> Void = { $1.answerAsUsual($2) },
        _ body: @escaping @Sendable (Web3, [ScriptedServer], SimulatedLoop) async throws -> Void
    ) async throws {
        try await SimulatedLoop.run(seed: seed) { loop in
            var configuration = Self.configuration(loop)
            configure(&configuration)
            var servers: [ScriptedServer] = []
            var endpoints: [Endpoint] = []
            for index in 0..<count {
                let server = try await ScriptedServer(on: loop) { script(index, $0, $1) }
                servers.append(server)
                endpoints.append(await server.endpoint)
            }
            let web3 = try await Web3.connect(to: endpoints, configuration: configuration)
            try await body(web3, servers, loop)
            await web3.close()
            for server in servers { await server.close() }
        }
    }

    // MARK: The first connection

    @Test("The first endpoint that takes the connection is connected to, and the others are left alone")
    func first() async throws {
        try await SimulatedLoop.run(seed: 1) { loop in
            let second = try await ScriptedServer(on: loop)
            let third = try await ScriptedServer(on: loop)
            let web3 = try await Web3.connect(
                to: ["ws://127.0.0.1:9", await second.endpoint, await third.endpoint],
                configuration: Self.configuration(loop)
            )
            #expect(web3.endpoint == (await second.endpoint))
            #expect("\(web3)" == "Web3(ws://127.0.0.1:9, \(await second.endpoint), \(await third.endpoint))")
            #expect(try await web3.eth.chainID() == 1)
            #expect(await third.log.connections == 0)
            await web3.close()
            for server in [second, third] { await server.close() }
        }
    }

    @Test("Where none takes it, the error names each endpoint with its reason, and no endpoint's token")
    func none() async throws {
        try await SimulatedLoop.run(seed: 2) { loop in
            let refusing = try await ScriptedServer(
                on: loop,
                upgrade: .refuse("HTTP/1.1 401 Unauthorized\r\nContent-Length: 19\r\n\r\nwhat is secretsecret")
            )
            let refused = await refusing.endpoint
            let error = await failure {
                _ = try await Web3.connect(
                    to: [try Endpoint("\(refused)/secretsecret"), "ws://127.0.0.1:9/secretsecret"],
                    configuration: Self.configuration(loop)
                )
            }
            // The second may be reached by another attempt.
            #expect(error?.code == .cannotConnect)
            #expect(error?.message.contains("none of 2 endpoints: \(refused) answered 401") == true)
            #expect(error?.message.contains("; ws://127.0.0.1:9: ") == true)
            #expect(error?.message.contains("secretsecret") == false)
            let nothing = await failure {
                _ = try await Web3.connect(to: [Endpoint](), configuration: Self.configuration(loop))
            }
            #expect(nothing?.code == .invalidEndpoint)
            await refusing.close()
        }
    }

    @Test("Cancelling while the first of several endpoints is connected to ends the attempt")
    func cancelled() async throws {
        try await SimulatedLoop.run(seed: 3) { loop in
            let silent = try await ScriptedServer(on: loop, upgrade: .silence)
            let second = try await ScriptedServer(on: loop)
            let endpoints = [await silent.endpoint, await second.endpoint]
            let configuration = Self.configuration(loop)
            await withTaskGroup(of: Web3Error?.self) { group in
                group.addTask {
                    await failure { _ = try await Web3.connect(to: endpoints, configuration: configuration) }
                }
                await silent.until { $0.connections == 1 }
                group.cancelAll()
                let error = await group.next()
                #expect(error??.code == .cancelled)
            }
            #expect(await second.log.connections == 0)
            for server in [silent, second] { await server.close() }
        }
    }

    // MARK: The next one

    @Test("A connection lost soon goes on at the next endpoint at once, and a live stream is told as ever")
    func atOnce() async throws {
        try await Self.play(seed: 4, servers: 2) { web3, servers, loop in
            let stream = try await web3.subscribe(NumbersRequest())
            var updates = stream.updates.makeAsyncIterator()
            var states = web3.connectionStates.makeAsyncIterator()
            #expect(await states.next() == .connected)
            let began = loop.now
            await servers[0].act { $0.drop() }
            guard case .disconnected(let error)? = try await updates.next() else { return #expect(Bool(false)) }
            #expect(error.code == .connectionClosed)
            #expect(try await updates.next() == .reconnected)
            guard case .waiting(.zero, _)? = await states.next() else { return #expect(Bool(false)) }
            #expect(await states.next() == .connecting)
            #expect(await states.next() == .connected)
            await servers[1].until { $0.count(of: "eth_subscribe") == 1 }
            await servers[1].act { $0.notify("0x1", "6") }
            #expect(try await updates.next() == .item(6))
            #expect(loop.now.since(began) < .milliseconds(100))
            #expect(web3.endpoint == (await servers[1].endpoint))
            #expect(await servers[0].log.connections == 1)
        }
    }

    @Test(
        "A connection lost after a healthy while is made again to the same endpoint, and where that fails to the next"
    )
    func sameFirst() async throws {
        try await Self.play(seed: 5, servers: 2) { web3, servers, loop in
            try await loop.sleep(for: .seconds(100))
            await servers[0].act { $0.drop() }
            await servers[0].until { $0.connections == 2 }
            #expect(try await web3.eth.chainID() == 1)
            #expect(await servers[1].log.connections == 0)
            try await loop.sleep(for: .seconds(100))
            await servers[0].close()
            await servers[1].until { $0.connections == 1 }
            #expect(try await web3.eth.chainID() == 1)
            #expect(web3.endpoint == (await servers[1].endpoint))
        }
    }

    @Test("Edge case 51: a node that falls silent is not waited for: the next endpoint is tried at once")
    func silent() async throws {
        try await SimulatedLoop.run(seed: 6) { loop in
            let servers = [try await ScriptedServer(on: loop), try await ScriptedServer(on: loop)]
            // Behind the 101 nothing comes on the first link.
            loop.setFaults { _, number in
                LinkFaults(toConnector: LinkFault(silentAfter: number == 1 ? 129 : nil))
            }
            let web3 = try await Web3.connect(
                to: [await servers[0].endpoint, await servers[1].endpoint],
                configuration: Self.configuration(loop)
            )
            let began = loop.now
            await servers[1].until { $0.connections == 1 }
            let waited = loop.now.since(began)
            #expect(waited >= .seconds(40) && waited < .seconds(41), "\(waited)")
            #expect(try await web3.eth.chainID() == 1)
            await web3.close()
            for server in servers { await server.close() }
        }
    }

    @Test("When all have failed the delay passes, and the round begins with the first; it grows with each round")
    func rounds() async throws {
        try await SimulatedLoop.run(seed: 7) { loop in
            let refusals = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
            let first = try await ScriptedServer(on: loop)
            let second = try await ScriptedServer(on: loop, upgrade: .refuse(refusals))
            let third = try await ScriptedServer(on: loop, upgrade: .refuse(refusals))
            let web3 = try await Web3.connect(
                to: [await first.endpoint, await second.endpoint, await third.endpoint],
                configuration: Self.configuration(loop)
            )
            let stream = try await web3.subscribe(NumbersRequest())
            var states = web3.connectionStates.makeAsyncIterator()
            #expect(await states.next() == .connected)
            await first.close()
            var waits: [Duration] = []
            while waits.count < 30 {
                if case .waiting(let wait, _)? = await states.next() { waits.append(wait) }
            }
            // The loss and the second's refusal are followed at once; the third's, and each third one from there, is not.
            for (index, wait) in waits.enumerated() {
                #expect((wait == .zero) == (index % 3 != 2), "\(index): \(wait)")
            }
            #expect(waits.max() ?? .zero > .seconds(4))
            let (two, three) = (await second.log.connections, await third.log.connections)
            #expect(two >= 9 && three >= 9)
            withExtendedLifetime(stream) {}
            await web3.close()
            for server in [second, third] { await server.close() }
        }
    }

    @Test(
        "Edge case 40: an endpoint that refuses for good is left out; when none is left the client ends with all reasons"
    )
    func leftOut() async throws {
        try await SimulatedLoop.run(seed: 8) { loop in
            let told = Recorder<Diagnostic>()
            var configuration = Self.configuration(loop)
            configuration.diagnostics = { told.append($0) }
            let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
            let first = try await ScriptedServer(on: loop)
            let second = try await ScriptedServer(on: loop, upgrade: .refuse(refusal))
            let third = try await ScriptedServer(on: loop)
            let web3 = try await Web3.connect(
                to: [await first.endpoint, await second.endpoint, await third.endpoint],
                configuration: configuration
            )
            for _ in 0..<3 {
                for server in [first, third] {
                    let connections = await server.log.connections
                    if web3.endpoint != (await server.endpoint) { await server.until { $0.connections > connections } }
                    #expect(try await web3.eth.chainID() == 1)
                    await server.act { $0.drop() }
                }
            }
            #expect(await second.log.connections == 1)
            let diagnostics = told.all.filter { $0.message == "endpoint left out" }
            #expect(diagnostics.count == 1)
            #expect(diagnostics.first?.metadata["endpoint"] == "\(await second.endpoint)")
            #expect(diagnostics.first?.metadata["reason"]?.contains("403") == true)
            await web3.close()
            for server in [first, second, third] { await server.close() }

            var failover = Failover(["ws://a", "ws://b"])
            var refused = Web3Error(.upgradeRefused, "ws://a:80 answered 404")
            refused.httpStatus = 404
            guard case .atOnce = failover.lost(refused, wasHealthy: false, now: loop.now) else {
                return #expect(Bool(false))
            }
            let wrong = Web3Error(.wrongChain, "ws://b:80 is of chain 5")
            #expect(!failover.goesOn(after: wrong))
            guard case .end(let error) = failover.lost(wrong, wasHealthy: true, now: loop.now) else {
                return #expect(Bool(false))
            }
            #expect(error.message == "none of 2 endpoints: ws://a:80 answered 404; ws://b:80 is of chain 5")
            #expect(error.code == .upgradeRefused && error.httpStatus == 404)
        }
    }

    @Test("Edge case 46: an endpoint of another chain is left out, and what was subscribed goes on at the next")
    func wrongChain() async throws {
        let told = Recorder<Diagnostic>()
        try await Self.play(
            seed: 9,
            servers: 3,
            configure: { $0.diagnostics = { told.append($0) } },
            script: { index, client, message in
                for call in message.calls {
                    if call.method == "eth_chainId", index == 1 {
                        client.answer(call, "\"0x5\"")
                    } else {
                        client.answerAsUsual(ScriptedMessage(call))
                    }
                }
            }
        ) { web3, servers, _ in
            let stream = try await web3.subscribe(NumbersRequest())
            await servers[0].until { $0.count(of: "eth_chainId") == 1 }
            await servers[0].act { $0.drop() }
            await servers[2].until { $0.count(of: "eth_subscribe") == 1 }
            await servers[2].act { $0.notify("0x1", "3") }
            var updates = stream.updates.makeAsyncIterator()
            while let update = try await updates.next() {
                if case .item(let item) = update {
                    #expect(item == 3)
                    break
                }
            }
            #expect(await servers[1].log.count(of: "eth_subscribe") == 0)
            let reasons = told.all.filter { $0.message == "endpoint left out" }.compactMap { $0.metadata["reason"] }
            let second = await servers[1].endpoint
            #expect(reasons == ["\(second) is of chain 5, and the client of 1"])
        }
    }

    @Test("What asks to be called later is not called before, and meanwhile the others are")
    func retryAfter() {
        var busy = Web3Error(.upgradeRefused, "busy")
        busy.httpStatus = 429
        busy.retryAfter = .seconds(100)
        let down = Web3Error(.cannotConnect, "down")
        var failover = Failover(["ws://a", "ws://b"])
        var now = LoopInstant(nanoseconds: 1_000_000_000)
        func step(_ error: Web3Error) -> (wait: Duration?, endpoint: String) {
            switch failover.lost(error, wasHealthy: false, now: now) {
            case .atOnce: (nil, "\(failover.endpoint)")
            case .later(let wait): (wait, "\(failover.endpoint)")
            case .end: (nil, "none")
            }
        }
        #expect(step(busy) == (nil, "ws://b:80"))
        #expect(step(down) == (.zero, "ws://b:80"))
        now = now.advanced(by: .seconds(50))
        #expect(step(busy) == (.seconds(50), "ws://a:80"))
        now = now.advanced(by: .seconds(50))
        #expect(step(down) == (.zero, "ws://a:80"))
        now = now.advanced(by: .seconds(100))
        #expect(step(down) == (nil, "ws://b:80"))
    }

    // MARK: Gapless streams

    @Test(
        "Edge case 117: three endpoints are killed in turn, and a gapless stream misses nothing",
        arguments: 1...10
    )
    func gapless(seed: UInt64) async throws {
        try await SimulatedLoop.run(seed: seed) { loop in
            let nodes = try await TestNode.ofOneChain(3, seed: seed, loop: loop)
            let first = nodes[0]
            let web3 = try await Web3.connect(to: nodes.map(\.endpoint), configuration: Self.configuration(loop))
            var heads = web3.eth.newHeads(continuity: .gapless(), from: .block(101)).updates.makeAsyncIterator()
            var last = first.chain.canonical[0].hash
            var told = 0
            for round in 0..<9 {
                for _ in 0..<3 { await first.change { $0.mine() } }
                if round % 2 == 0 { await nodes[round / 2 % 3].inflict(.cut) }
                for _ in 0..<3 { await first.change { $0.mine() } }
                while told < (round + 1) * 6, let update = try await heads.next() {
                    switch update {
                    case .item(let head):
                        #expect(head.parentHash == last)
                        last = head.hash
                        told += 1
                    case .gap, .rollback: Issue.record("\(update), seed \(seed)")
                    default: break
                    }
                }
                try await loop.sleep(for: .seconds(Int64(round) * 7))
            }
            #expect(last == first.chain.head.hash)
            await web3.close()
            for node in nodes { await node.close() }
        }
    }
}
