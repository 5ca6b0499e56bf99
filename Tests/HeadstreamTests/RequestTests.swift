import EthereumTypes
import HeadstreamJSON
import HeadstreamSockets
import HeadstreamTesting
import HeadstreamWebSocket
import Testing

@testable import Headstream

@Suite("Requests", .timeLimit(.minutes(15)))
struct RequestTests {
    /// Answers each request with its first parameter.
    private static let echo: ScriptedServer.Script = { client, message in
        if message.isBatch {
            let items = message.calls.map { #"{"jsonrpc":"2.0","id":\#($0.id),"result":\#($0.params[0])}"# }
            client.send("[" + items.reversed().joined(separator: ",") + "]")
        } else {
            for call in message.calls { client.answer(call, call.params.first?.description ?? "null") }
        }
    }

    private struct Point: Codable, Sendable, Hashable {
        var x: Int
        var name: String?
    }

    @Test(
        "Results are read as types of this package, as JSON values, as users' types and as optionals",
        arguments: Stage.allCases
    )
    func typedResults(stage: Stage) async throws {
        try await stage.run(script: Self.echo) { web3, server in
            let amount = try UInt256("0xde0b6b3a7640000")
            #expect(try await web3.request("echo", amount, as: UInt256.self) == amount)
            let hash = try Hash32(Samples.hash(7))
            #expect(try await web3.request("echo", hash, as: Hash32?.self) == hash)
            #expect(try await web3.request("echo", as: Hash32?.self) == nil)
            #expect(try await web3.request("echo", [1, 2, 3], as: [Int].self) == [1, 2, 3])
            let value: JSONValue = ["a": [1, nil, true, "text\n\"quoted\""], "b": 1.5]
            #expect(try await web3.request("echo", value, as: JSONValue.self) == value)
            let points = [Point(x: 1), Point(x: -2, name: "zwei \u{1F600}")]
            #expect(try await web3.request("echo", points, as: [Point].self) == points)
            #expect(try await web3.request("echo", parameters: [Point(x: 5)], as: Point?.self) == Point(x: 5))
            #expect(try await web3.request("echo", parameters: [], as: Point?.self) == nil)
            let inferred: Point = try await web3.request("echo", Point(x: 3))
            #expect(inferred.x == 3)
            #expect(await web3.metrics.requests == web3.metrics.responses)
        }
    }

    @Test("A result of another form names the method and the value", arguments: Stage.allCases)
    func wrongResults(stage: Stage) async throws {
        try await stage.run(script: Self.echo) { web3, server in
            let null = await failure { _ = try await web3.request("echo", as: Hash32.self) }
            #expect(null?.code == .malformedResponse)
            let short = await failure { _ = try await web3.request("echo", "0x12", as: Hash32.self) }
            #expect(short?.code == .malformedResponse)
            #expect(short?.message.contains("echo") == true)
            #expect(short?.message.contains("0x12") == true)
            let missing = await failure { _ = try await web3.request("echo", ["y": 1], as: Point.self) }
            #expect(missing?.code == .malformedResponse)
            #expect(missing?.message.contains("x") == true)
            // A parameter that is no JSON is not sent.
            let sent = await server.log.messages.count
            let nan = await failure { _ = try await web3.request("echo", Double.nan, as: Double.self) }
            #expect(nan?.code == .invalidArgument)
            #expect(await server.log.messages.count == sent)
        }
    }

    @Test(
        "A batch of 250 is split at maxBatch, the window is kept, and answers are in the order of the items",
        arguments: Stage.allCases
    )
    func splitBatch(stage: Stage) async throws {
        try await stage.run(configure: { $0.maxBatch = 60 }, script: Self.echo) { web3, server in
            var batch = BatchRequest()
            for number in 0..<250 { batch.add("echo", number) }
            let answers = try await web3.batch(batch)
            #expect(answers.count == 250)
            for number in 0..<250 { #expect(try answers.result(number, as: Int.self) == number) }
            let outside = #expect(throws: Web3Error.self) { try answers.result(250, as: Int.self) }
            #expect(outside?.code == .misuse)
            #expect(await server.log.messages.map(\.calls.count) == [60, 60, 60, 60, 10])
            #expect(try await web3.batch(BatchRequest()).count == 0)
            #expect(await server.log.messages.count == 5)
        }
    }

    @Test("At most maxInFlight requests are on the wire, a batch counting its items", arguments: Stage.allCases)
    func window(stage: Stage) async throws {
        // Answers nothing by itself.
        try await stage.run(
            configure: {
                $0.maxInFlight = 10; $0.maxBatch = 100
            },
            script: { _, _ in }
        ) { web3, server in
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    var batch = BatchRequest()
                    for number in 0..<25 { batch.add("batch", number) }
                    _ = try? await web3.batch(batch)
                }
                await server.until { $0.calls.count == 10 }
                for _ in 0..<5 { group.addTask { _ = try? await web3.ask("single") } }
                await eventually { await web3.metrics.requestsWaiting == 30 }
                #expect(await server.log.calls.count == 10)
                let first = await server.log.calls
                await server.act { client in
                    let items = first.map { #"{"id":\#($0.id),"result":1}"# }
                    client.send("[" + items.joined(separator: ",") + "]")
                }
                await server.until { $0.calls.count == 20 }
                _ = await web3.metrics
                #expect(await server.log.calls.count == 20)
                group.cancelAll()
            }
        }
    }

    @Test("More than maxQueuedRequests waiting are refused", arguments: Stage.allCases)
    func queueLimit(stage: Stage) async throws {
        let configure: @Sendable (inout Configuration) -> Void = {
            $0.maxInFlight = 2
            $0.maxQueuedRequests = 3
        }
        try await stage.run(configure: configure, script: { _, _ in }) { web3, server in
            await withTaskGroup(of: Web3Error.Code?.self) { group in
                for _ in 0..<10 { group.addTask { await failure { _ = try await web3.ask("silent") }?.code } }
                for _ in 0..<5 { #expect(await group.next() == .tooManyRequests) }
                #expect(await web3.metrics.requestsWaiting == 5)
                await web3.close()
                for await code in group { #expect(code == .connectionClosed) }
            }
            #expect(await server.log.calls.count == 2)
        }
    }

    @Test(
        "Errors of the node are typed, with its code, message and data; limits are told apart",
        arguments: [
            (
                #"{"code":3,"message":"execution reverted","data":"0x08c379a0"}"#, Web3Error.Code.rpcError,
                nil as Duration?
            ),
            (
                #"{"code":-32005,"message":"project ID request rate exceeded","data":{"backoff_seconds":30}}"#,
                .rateLimited,
                .seconds(30)
            ),
            (#"{"code":429,"message":"compute units per second capacity exceeded"}"#, .rateLimited, nil),
            (#"{"code":-32005,"message":"daily request count exceeded, request rate limited"}"#, .quotaExhausted, nil),
            (#"{"code":-32005,"message":"query returned more than 10000 results"}"#, .rpcError, nil),
            (#"{"code":-32000,"message":"\u001b[31mred"}"#, .rpcError, nil),
        ]
    )
    func nodeErrors(error text: String, code: Web3Error.Code, retryAfter: Duration?) async throws {
        let script: ScriptedServer.Script = { client, message in
            for call in message.calls { client.send(#"{"jsonrpc":"2.0","id":\#(call.id),"error":\#(text)}"#) }
        }
        let object = try JSONValue(parsing: text)
        try await Stage.simulated.run(script: script) { web3, _ in
            let error = await failure { _ = try await web3.eth.chainID() }
            #expect(error?.code == code)
            #expect(error?.rpcCode == object["code"]?.intValue.map(Int64.init))
            #expect(error?.rpcMessage == object["message"]?.stringValue)
            #expect(error?.rpcData == object["data"])
            #expect(error?.retryAfter == retryAfter)
            #expect(error?.wasSent == true)
            #expect(error?.message.contains("\u{1b}") == false)
        }
    }

    @Test(
        "Towards a node that does not read, requests past maxUnsentBytes fail and the others are answered",
        arguments: Stage.allCases
    )
    func sendBufferFull(stage: Stage) async throws {
        let script: ScriptedServer.Script = { client, message in
            if message.calls.first?.method == "stop" { client.channel.isReading = false }
            client.answerAsUsual(message)
        }
        let configure: @Sendable (inout Configuration) -> Void = {
            $0.maxUnsentBytes = 1 << 20
            $0.maxInFlight = 200
        }
        try await stage.run(configure: configure, script: script) { web3, server in
            _ = try await web3.ask("stop")
            let text = String(repeating: "x", count: 200_000)
            await withTaskGroup(of: Web3Error.Code?.self) { group in
                // 20 MB: more than the system's buffers and the limit take together.
                for number in 0..<100 {
                    group.addTask {
                        do throws(Web3Error) {
                            _ = try await web3.request("large", number, text, as: String.self)
                            return nil
                        } catch {
                            return error.code
                        }
                    }
                }
                let first = await group.next()
                #expect(first == .sendBufferFull)
                #expect(await web3.metrics.bytesUnsent <= 1 << 20)
                await server.act { $0.channel.isReading = true }
                var codes: [Web3Error.Code?] = []
                for await code in group { codes.append(code) }
                #expect(codes.allSatisfy { $0 == nil || $0 == .sendBufferFull })
                #expect(codes.contains(nil))
            }
            let answer = try await web3.ask("well")
            #expect(answer == "well")
            let large = await failure {
                _ = try await web3.request("huge", String(repeating: "x", count: 2 << 20), as: String.self)
            }
            #expect(large?.code == .sendBufferFull)
            #expect(large?.message.contains("exceeds maxUnsentBytes") == true)
        }
    }

    @Test(
        "Edge case 111: a million pings are answered with few pongs, the newest among them",
        arguments: Stage.webSockets
    )
    func pingFlood(stage: Stage) async throws {
        let count = stage == .simulated ? 100_000 : 1_000_000
        try await stage.run { web3, server in
            await server.act { client in
                client.raw(Array(repeatElement([0x89, 0x00] as [UInt8], count: count).joined()))
                client.raw(ScriptedClient.frame(.ping, [7, 7, 7]))
            }
            await server.until { $0.pongs.last == [7, 7, 7] }
            let pongs = await server.log.pongs.count
            if let loop = web3.session.loop as? EventLoop {
                let statistics = await web3.session.connection.statistics(of: loop)
                #expect(pongs <= 17 * (statistics.reads + 1), "\(pongs) pongs, \(statistics)")
                #expect(statistics.bodies <= 3 * (statistics.turns + 1), "\(statistics)")
            } else {
                #expect(pongs < 10_000)
            }
            let chainID = try await web3.eth.chainID()
            #expect(chainID == 1)
        }
    }

    @Test("Ten pings in one read get ten pongs", arguments: Stage.webSockets)
    func tenPings(stage: Stage) async throws {
        try await stage.run { web3, server in
            await server.act { client in
                for number in 0..<10 { client.raw(ScriptedClient.frame(.ping, [UInt8(number)])) }
            }
            await server.until { $0.pongs.count == 10 }
            #expect(await server.log.pongs == (0..<10).map { [UInt8($0)] })
            _ = try await web3.eth.chainID()
        }
    }
}

extension Connection {
    func statistics(of loop: EventLoop) -> LoopStatistics { loop.statistics }
}
