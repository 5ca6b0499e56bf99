import Headstream
import HeadstreamLocks
import HeadstreamSockets
import HeadstreamTesting
import HeadstreamWebSocket
import Testing

/// Peers that mean harm or are badly broken: bounded memory and time, a clear error, and no effect on others.
///
/// Each attack comes on one connection, as the answer to a request, while a neighbour on the same loop makes requests
/// and reads a subscription.
@Suite("Hostile and broken peers", .timeLimit(.minutes(15)))
struct HostilePeerTests {
    /// Answers everything as usual but `attack`, which gets what the attack writes.
    private static func script(
        _ attack: @escaping @Sendable (ScriptedClient, ScriptedCall) -> Void
    ) -> ScriptedServer.Script {
        { client, message in
            if let call = message.calls.first, call.method == "attack" {
                attack(client, call)
            } else {
                client.answerAsUsual(message)
                if message.calls.first?.method == "eth_subscribe" {
                    for number in 1...3 { client.notify(client.lastSubscription, "\(number)") }
                }
            }
        }
    }

    /// Lets the attack come and returns what its victim was told; the neighbour must not notice.
    @discardableResult
    private func attacked(
        _ stage: Stage,
        configure: @escaping @Sendable (inout Configuration) -> Void = { _ in },
        attack: @escaping @Sendable (ScriptedClient, ScriptedCall) -> Void,
        then check: @escaping @Sendable (Web3, ScriptedServer) async throws -> Void = { _, _ in }
    ) async throws -> Result<String, Web3Error> {
        let outcomes = Recorder<Result<String, Web3Error>>()
        try await stage.serve(script: Self.script(attack)) { server, configuration in
            var victims = configuration
            configure(&victims)
            let neighbour = try await Web3.connect(to: await server.endpoint, configuration: configuration)
            var numbers = neighbour.notifications(NumbersRequest()).makeAsyncIterator()
            #expect(try await numbers.next() == 1)

            let victim = try await Web3.connect(to: await server.endpoint, configuration: victims)
            do throws(Web3Error) {
                outcomes.append(.success(try await victim.request("attack", as: String.self)))
            } catch {
                outcomes.append(.failure(error))
            }
            #expect(try await neighbour.eth.chainID() == 1)
            #expect(try await numbers.next() == 2)
            #expect(try await numbers.next() == 3)
            try await check(victim, server)
            await victim.close()
            #expect(try await neighbour.eth.chainID() == 1)
            await neighbour.close()
        }
        return try #require(outcomes.all.first)
    }

    private func violation(_ outcome: Result<String, Web3Error>, _ text: String) {
        guard case .failure(let error) = outcome else {
            Issue.record("it was answered")
            return
        }
        #expect(error.code == .protocolViolation)
        #expect(error.message.contains(text), "\(error.message)")
    }

    // MARK: Before the connection stands

    @Test("A handshake of one byte a second, and one of silence: over at the deadline")
    func drippingHandshake() async throws {
        try await Stage.simulated.serve(upgrade: .silence) { server, configuration in
            let loop = try #require(configuration.loop)
            let before = loop.now
            let endpoint = await server.endpoint
            async let attempt = failure { _ = try await Web3.connect(to: endpoint, configuration: configuration) }
            for byte in "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n".utf8 {
                try await loop.sleep(until: loop.now.advanced(by: .seconds(1)))
                await server.act { $0.raw([byte]) }
            }
            let error = await attempt
            #expect(error?.code == .timedOut)
            #expect(error?.message.contains("did not come to its end in time") == true, "\(String(describing: error))")
            #expect(loop.now.since(before) >= .seconds(30))
            await server.until { $0.ended == 1 }
        }
    }

    @Test("A header that never ends is refused after 16 KiB, however it comes", arguments: Stage.webSockets)
    func endlessHeader(stage: Stage) async throws {
        try await stage.serve(upgrade: .answer("HTTP/1.1 101 Switching Protocols\r\n")) { server, configuration in
            let endpoint = await server.endpoint
            async let attempt = failure { _ = try await Web3.connect(to: endpoint, configuration: configuration) }
            await server.until { $0.handshakes == 1 }
            for index in 0..<1000 { await server.act { $0.raw("X-Header-\(index): something or other\r\n".utf8) } }
            let error = await attempt
            #expect(error?.code == .protocolViolation)
            #expect(error?.message.contains("16384") == true, "\(String(describing: error))")
        }
    }

    @Test(
        "A redirect, a 200 with a page, a refusal without an end, a wrong accept key: told as what they are",
        arguments: [
            ("HTTP/1.1 301 Moved Permanently\r\nLocation: https://x.example/\r\nContent-Length: 0\r\n\r\n", 301),
            ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>", 200),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + String(repeating: "5\r\nhello\r\n", count: 9999), 200
            ),
            (
                "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", nil
            ),
        ] as [(String, Int?)]
    )
    func otherAnswers(answer: String, status: Int?) async throws {
        for stage in Stage.webSockets {
            try await stage.serve(upgrade: .refuse(answer)) { server, configuration in
                let endpoint = await server.endpoint
                let error = await failure { _ = try await Web3.connect(to: endpoint, configuration: configuration) }
                #expect(error?.code == (status == nil ? .protocolViolation : .upgradeRefused))
                #expect(error?.httpStatus == status)
                #expect((error?.message.utf8.count ?? 0) < 2000)
            }
        }
    }

    // MARK: Frames

    @Test("A frame of 2^63 bytes, and one of 100 MB, are refused by their headers", arguments: Stage.webSockets)
    func hugeFrames(stage: Stage) async throws {
        let wide = try await self.attacked(stage) { client, _ in
            client.raw([0x81, 0x7F, 0x80] + [UInt8](repeating: 0, count: 7))
        }
        self.violation(wide, "2^63")
        let large = try await self.attacked(stage) { client, _ in
            client.raw([0x82, 0x7F, 0, 0, 0, 0, 0x06, 0x40, 0, 0] + [UInt8](repeating: 0x20, count: 1000))
        }
        self.violation(large, "message of 104857600 bytes exceeds maxMessageSize 33554432")
    }

    @Test("100 MB in one message and no header that says so: over at the limit", arguments: [Stage.webSocket, .ipc])
    func hugeMessage(stage: Stage) async throws {
        let outcome = try await self.attacked(stage, configure: { $0.maxMessageSize = 4 << 20 }) { client, _ in
            let filler = [UInt8](repeating: 0x20, count: 1 << 20)
            if stage == .ipc {
                client.raw([0x5B])
                for _ in 0..<100 { client.raw(filler) }
            } else {
                client.raw(ScriptedClient.frame(.text, filler, isFinal: false))
                for _ in 1..<100 { client.raw(ScriptedClient.frame(.continuation, filler, isFinal: false)) }
            }
        }
        self.violation(outcome, "exceeds maxMessageSize 4194304")
    }

    @Test("A million tiny fragments are one message, read in linear time", arguments: Stage.webSockets)
    func tinyFragments(stage: Stage) async throws {
        let outcome = try await self.attacked(stage) { client, call in
            let text = Array(#"{"id":\#(call.id),"result":"\#(String(repeating: "x", count: 100_000))"}"#.utf8)
            var bytes = ScriptedClient.frame(.text, [], isFinal: false)
            for byte in text.dropLast() {
                // Nine of ten carry nothing.
                for _ in 0..<9 { bytes += [0x00, 0x00] }
                bytes += [0x00, 0x01, byte]
            }
            client.raw(bytes + ScriptedClient.frame(.continuation, [text[text.endIndex - 1]]))
        }
        #expect(try outcome.get().utf8.count == 100_000)
    }

    @Test("A flood of pings is answered with few pongs, and what follows it is read", arguments: Stage.webSockets)
    func pings(stage: Stage) async throws {
        let outcome = try await self.attacked(stage) { client, call in
            var bytes: [UInt8] = []
            for number in 0..<100_000 { bytes += [0x89, 0x02, UInt8(number >> 8 & 0xFF), UInt8(number & 0xFF)] }
            client.raw(bytes)
            client.answer(call, #""here""#)
        } then: { _, server in
            #expect(await server.log.pongs.count < 50_000)
        }
        #expect(try outcome.get() == "here")
    }

    @Test("A compressed frame where no compression was agreed on is an offence", arguments: Stage.webSockets)
    func compressedFrame(stage: Stage) async throws {
        let outcome = try await self.attacked(stage) { client, _ in client.raw([0xC1, 0x02, 0x62, 0x00]) }
        self.violation(outcome, "reserved bits 0x40")
    }

    // MARK: Messages

    @Test("A message of one byte a second: its request times out, it is read when it is whole, and nothing else waits")
    func drippingMessage() async throws {
        // The node answers pings, in the middle of its own frame.
        let outcome = try await self.attacked(.simulated, configure: { $0.keepalive = .off }) { client, _ in
            // A header that announces 21 bytes; they follow below, on the clock.
            client.raw([0x81, 0x15])
        } then: { victim, server in
            let loop = try #require(server.loop as? SimulatedLoop)
            for byte in #"{"id":999,"result":7}"#.utf8 {
                try await loop.sleep(for: .seconds(1))
                await server.act { $0.raw([byte]) }
            }
            let id = try await victim.eth.chainID()
            #expect(id == 1)
            #expect(await victim.metrics.malformedMessages == 0)
        }
        guard case .failure(let error) = outcome else {
            Issue.record("it was answered")
            return
        }
        #expect(error.code == .timedOut)
    }

    @Test("10,000 unknown subscription ids, with and without a subscribe request under way", arguments: Stage.allCases)
    func unknownSubscriptions(stage: Stage) async throws {
        let outcome = try await self.attacked(stage, configure: { $0.maxOrphanBytes = 10_000 }) { client, call in
            for id in 0..<10_000 { client.notify("0xdead\(id)", "[]") }
            client.answer(call, #""here""#)
        } then: { victim, _ in
            async let stream = victim.subscribe(NumbersRequest())
            #expect(try await victim.request("attack", as: String.self) == "here")
            var numbers = try await stream.makeAsyncIterator()
            #expect(try await numbers.next() == 1)
            #expect(await victim.metrics.malformedMessages == 0)
        }
        #expect(try outcome.get() == "here")
    }

    @Test("Deep nesting is one bad message or one bad result", arguments: Stage.allCases)
    func deepNesting(stage: Stage) async throws {
        let deep = String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)
        let outcome = try await self.attacked(stage) { client, call in
            client.send(deep)
            client.send(#"{"id":\#(call.id),"x":\#(deep)}"#)
            client.send(ScriptedClient.notification("0x77", deep))
            let nested = String(repeating: "[", count: 300) + String(repeating: "]", count: 300)
            client.answer(call, nested)
        } then: { victim, _ in
            let id = try await victim.eth.chainID()
            #expect(id == 1)
        }
        guard case .failure(let error) = outcome else {
            Issue.record("it was answered")
            return
        }
        #expect(error.code != .connectionClosed && error.code != .timedOut, "\(error)")
    }

    @Test("What is no JSON at all, a megabyte of it, disturbs nobody", arguments: Stage.webSockets)
    func noise(stage: Stage) async throws {
        let outcome = try await self.attacked(stage) { client, call in
            var state: UInt64 = 9
            for _ in 0..<1000 {
                let bytes = (0..<1000).map { _ -> UInt8 in
                    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                    return UInt8(truncatingIfNeeded: state >> 56)
                }
                client.raw(ScriptedClient.frame(.binary, bytes))
            }
            client.answer(call, #""here""#)
        } then: { victim, _ in
            #expect(await victim.metrics.malformedMessages > 900)
        }
        #expect(try outcome.get() == "here")
    }
}
