import HeadstreamJSON
import HeadstreamSockets
import HeadstreamTesting
import HeadstreamWebSocket
import Testing

@testable import Headstream

@Suite("Closing", .timeLimit(.minutes(15)))
struct ClosingTests {
    @Test(
        "close() sends 1000, returns when the node has answered, and twice or at once is fine",
        arguments: Stage.allCases
    )
    func closedTwice(stage: Stage) async throws {
        try await stage.run { web3, server in
            _ = try await web3.eth.chainID()
            async let first: Void = web3.close()
            async let second: Void = web3.close()
            _ = await (first, second)
            await web3.close()
            await server.until { $0.ended == 1 }
            if stage != .ipc { #expect(await server.log.closeCodes == [1000]) }
            let error = await failure { _ = try await web3.eth.chainID() }
            #expect(error?.code == .connectionClosed)
            #expect(error?.wasSent == false)
        }
    }

    @Test(
        "close() towards a node that never answers it, and one that does not read, ends by its timeout",
        arguments: [true, false]
    )
    func closeTimesOut(isReading: Bool) async throws {
        try await Stage.simulated.serve(script: { _, _ in }) { server, configuration in
            let loop = try #require(configuration.loop)
            let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
            await server.act { client in
                client.answersClose = false
                client.channel.isReading = isReading
            }
            await withTaskGroup(of: Web3Error.Code?.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        let text = String(repeating: "x", count: 500_000)
                        return await failure { _ = try await web3.request("large", text, as: String.self) }?.code
                    }
                }
                await eventually { await web3.metrics.requestsWaiting == 8 }
                let before = loop.now
                await web3.close()
                #expect(loop.now.since(before) == .seconds(5))
                for await code in group { #expect(code == .connectionClosed) }
            }
            #expect(await web3.metrics.bytesUnsent == 0)
        }
    }

    @Test(
        "The node closes first: every request and stream ends at once, with its code and reason",
        arguments: [
            (1001, "going away"), (1000, ""), (1011, "internal error"), (4000, "own"), (nil as UInt16?, ""),
        ]
    )
    func nodeClosesFirst(code: UInt16?, reason: String) async throws {
        for stage in Stage.webSockets {
            let script: ScriptedServer.Script = { client, message in
                if message.calls.first?.method != "pending" { client.answerAsUsual(message) }
            }
            try await stage.run(script: script) { web3, server in
                await withTaskGroup(of: Web3Error?.self) { group in
                    for _ in 0..<5 {
                        group.addTask { await failure { _ = try await web3.ask("pending") } }
                        group.addTask {
                            await failure { for try await _ in web3.notifications(NumbersRequest()) {} }
                        }
                    }
                    await server.until { $0.count(of: "pending") == 5 && $0.count(of: "eth_subscribe") == 1 }
                    await eventually {
                        let metrics = await web3.metrics
                        return metrics.streams.count == 5 && metrics.requestsWaiting == 5
                    }
                    await server.act { $0.close(code, reason) }
                    var count = 0
                    for await error in group {
                        count += 1
                        #expect(error?.code == .connectionClosed)
                        #expect(error?.closeCode == code ?? 1005)
                        #expect(error?.message.contains(reason) == true || reason.isEmpty)
                    }
                    #expect(count == 10)
                }
                // Its code goes back, once.
                await server.until { $0.closeCodes.count == 1 }
                #expect(await server.log.closeCodes == [code])
            }
        }
    }

    @Test("The node vanishes, or half-closes, without a close frame", arguments: Stage.allCases)
    func nodeVanishes(stage: Stage) async throws {
        for halfCloses in [true, false] {
            try await stage.run(script: { _, _ in }) { web3, server in
                await withTaskGroup(of: Web3Error?.self) { group in
                    group.addTask { await failure { _ = try await web3.ask("pending") } }
                    await server.until { $0.calls.count == 1 }
                    await server.act { if halfCloses { $0.channel.finishWriting() } else { $0.drop() } }
                    for await error in group {
                        #expect(error?.code == .connectionClosed)
                        if stage != .ipc { #expect(error?.closeCode == 1006 || error?.closeCode == nil) }
                    }
                }
            }
        }
    }

    @Test(
        "A broken rule is answered with its close code and told",
        arguments: [
            ([0xC1, 0x00], 1002), ([0x83, 0x00], 1002), ([0x81, 0x81, 0, 0, 0, 0, 0], 1002),
            ([0x81, 0x01, 0xFF], 1007),
            ([0x80, 0x00], 1002), ([0x88, 0x01, 0x00], 1002), ([0x09, 0x00], 1002),
        ] as [([UInt8], UInt16)]
    )
    func violations(bytes: [UInt8], code: UInt16) async throws {
        for stage in Stage.webSockets {
            try await stage.run { web3, server in
                let stream = try await web3.subscribe(NumbersRequest())
                await server.act { $0.raw(bytes) }
                let error = await failure { for try await _ in stream {} }
                #expect(error?.code == .protocolViolation)
                await server.until { $0.closeCodes.count == 1 }
                #expect(await server.log.closeCodes == [code])
            }
        }
    }

    @Test("What the node sends behind its own close frame, or after ours, is nobody's", arguments: Stage.webSockets)
    func dataAfterClose(stage: Stage) async throws {
        try await stage.run { web3, server in
            let stream = try await web3.subscribe(NumbersRequest())
            await server.act { client in
                client.notify("0x1", "1")
                var bytes: [UInt8] = []
                FrameWriter.appendClose(code: 1001, reason: "", mask: nil, to: &bytes)
                client.raw(bytes + ScriptedClient.frame(.text, Array("{".utf8)))
                client.notify("0x1", "2")
                client.raw([0xFF, 0xFF, 0xFF])
                client.channel.finishWriting()
            }
            var items: [Int] = []
            let error = await failure { for try await item in stream { items.append(item) } }
            #expect(items == [1])
            #expect(error?.closeCode == 1001)
        }
    }

    @Test("Two hundred connections, ended in every way, leave no socket and no object")
    func noSocketsLeft() async throws {
        let clientLoop = EventLoop(name: "client", userTimeout: 0)
        let serverLoop = EventLoop(name: "server", userTimeout: 0)
        let server = try await ScriptedServer(on: serverLoop)
        let configuration = Configuration.patient(on: clientLoop)
        let endpoint = await server.endpoint
        for round in 0..<200 {
            weak var connection: Connection?
            do {
                let web3 = try await Web3.connect(to: endpoint, configuration: configuration)
                connection = web3.session.connection
                let stream = try await web3.subscribe(NumbersRequest())
                switch round % 4 {
                case 0: await web3.close()
                case 1: await server.act { $0.close(1000) }
                case 2: await server.act { $0.drop() }
                default: break
                }
                withExtendedLifetime(stream) {}
            }
            await eventually { connection == nil }
        }
        await server.close()
        await eventually { await server.openSockets(of: serverLoop) == 0 }
        // Each loop's own view, since other tests open descriptors meanwhile.
        _ = try? await clientLoop.sleep(for: .zero)
        await eventually { clientLoop.statistics.openSockets == 0 }
        await clientLoop.shutdown()
        await serverLoop.shutdown()
    }
}
