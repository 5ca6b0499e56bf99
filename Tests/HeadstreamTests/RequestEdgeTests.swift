import Dispatch
import HeadstreamJSON
import HeadstreamLocks
import HeadstreamSockets
import HeadstreamTesting
import HeadstreamWebSocket
import Synchronization
import Testing

@testable import Headstream

/// Requests and their answers, in time or not (edge cases, part B).
@Suite("Requests at their edges", .timeLimit(.minutes(15)))
struct RequestEdgeTests {
    @Test(
        "Edge case 16: an answer in the same write as the 101 is no answer to a later request; the first one is",
        arguments: Stage.webSockets
    )
    func answerBeforeRequest(stage: Stage) async throws {
        let early = ScriptedClient.frame(.text, Array(#"{"jsonrpc":"2.0","id":16,"result":"early"}"#.utf8))
        let script: ScriptedServer.Script = { $0.answerAsUsual($1) }
        try await stage.run(upgrade: .acceptWith(early), script: script) { web3, server in
            let answer = try await web3.ask("a")
            #expect(answer == "a")
            #expect(await server.log.calls.first?.id == 16, "the id that was answered before it was asked")
        }
    }

    @Test(
        "Edge case 17: doubled answers, answers after the timeout and unknown ids disturb nobody",
        arguments: Stage.allCases
    )
    func strayAnswers(stage: Stage) async throws {
        let script: ScriptedServer.Script = { client, message in
            guard let call = message.calls.first else { return }
            if call.method == "late" { return }
            for _ in 0..<3 { client.answer(call, "\"\(call.method)\"") }
            client.send(#"{"jsonrpc":"2.0","id":999999,"result":1}"#)
            client.send(#"{"jsonrpc":"2.0","id":"x","result":1}"#)
        }
        try await stage.run(script: script) { web3, server in
            // A time of its own: the requests behind it may take what the machine takes.
            let id = web3.session.ids.take()
            let outcome = await web3.session.connection.call(
                id,
                EncodedRequest(plain: "late"),
                time: RequestTime(from: web3.session.loop.now, for: .milliseconds(50))
            )
            guard case .failure(let error) = outcome else {
                Issue.record("an answer to a request that had none")
                return
            }
            #expect(error.code == .timedOut)
            #expect(error.wasSent)
            await server.until { $0.count(of: "late") == 1 }
            let late = await server.log.calls[0]
            await server.act { $0.answer(late, "\"too late\"") }
            for method in ["a", "b"] {
                let answer = try await web3.ask(method)
                #expect(answer == method)
            }
            #expect(await web3.metrics.requestsWaiting == 0)
        }
    }

    @Test("Edge case 18: 1000 requests that time out leave nothing behind")
    func manyTimeouts() async throws {
        try await Stage.simulated.run(configure: { $0.maxInFlight = 300 }, script: { _, _ in }) { web3, server in
            let errors = await withTaskGroup(of: Web3Error.Code?.self) { group in
                for number in 0..<1000 {
                    group.addTask {
                        do throws(Web3Error) {
                            _ = try await web3.request("silent", number, as: String.self)
                            return nil
                        } catch {
                            return error.code
                        }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(errors.count == 1000)
            #expect(errors.allSatisfy { $0 == .timedOut })
            let metrics = await web3.metrics
            #expect(metrics.requestsWaiting == 0)
            #expect(metrics.subscriptions == 0)
            #expect(metrics.bytesUnsent == 0)
            #expect(await server.log.calls.count == 300, "what timed out in the queue was not sent")
        }
    }

    @Test(
        "Edge case 19: ids are never used twice while pending, unsubscribe requests included",
        arguments: Stage.allCases
    )
    func uniqueIDs(stage: Stage) async throws {
        try await stage.run { web3, server in
            for _ in 0..<20 {
                let stream = try await web3.subscribe(NumbersRequest())
                _ = try await web3.ask("a")
                await stream.unsubscribe()
            }
            let ids = await server.log.calls.map(\.id)
            #expect(ids.count == 60)
            #expect(Set(ids).count == 60)
        }
    }

    @Test(
        "Edge case 20: 2000 requests at once are all answered, at most maxInFlight of them on the wire",
        arguments: Stage.allCases
    )
    func manyInFlight(stage: Stage) async throws {
        // Answers only every twentieth message, with twenty answers, in reverse.
        let waiting = Recorder<ScriptedCall>()
        let script: ScriptedServer.Script = { client, message in
            for call in message.calls { waiting.append(call) }
            let all = waiting.all
            guard all.count % 20 == 0 else { return }
            for call in all.suffix(20).reversed() { client.answer(call, call.params[0].description) }
        }
        try await stage.run(configure: { $0.maxInFlight = 40 }, script: script) { web3, _ in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<2000 {
                    group.addTask { try await web3.request("echo", number, as: Int.self) == number }
                }
                for try await isRight in group { #expect(isRight) }
            }
        }
    }

    @Test("Edge case 21: with a request pending and nothing to do the loop does not wake")
    func idleCost() async throws {
        let script: ScriptedServer.Script = { client, message in
            if message.calls.first?.method != "pending" { client.answerAsUsual(message) }
        }
        let serverLoop = EventLoop(name: "server", userTimeout: 0)
        let clientLoop = EventLoop(name: "client", userTimeout: 0)
        let server = try await ScriptedServer(on: serverLoop, script: script)
        let configuration = Configuration.patient(on: clientLoop)
        let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
        let stream = try await web3.subscribe(NumbersRequest())
        async let pending = web3.request("pending", as: String.self)
        await server.until { $0.count(of: "pending") == 1 }
        // On the loop that is watched: a thread that asks from outside may get round to waking it only later.
        let (before, after) = try await withTaskExecutorPreference(clientLoop.executor) {
            // Its subscription, and the chain that is asked for after the first one, are answered: nothing is on its way.
            await eventually { await web3.metrics.responses == 2 }
            let before = clientLoop.statistics
            // A stretch of real time in which nothing happens, timed by the other loop, which wakes this one at its end: not
            // a wait for something.
            try await serverLoop.sleep(for: .seconds(1))
            return (before, clientLoop.statistics)
        }
        #expect(after.wakeUps - before.wakeUps <= 1, "\(before) \(after)")
        #expect(after.turns - before.turns <= 2)
        await web3.close()
        do {
            _ = try await pending
            Issue.record("an answer to a request that had none")
        } catch {
            #expect((error as? Web3Error)?.code == .connectionClosed)
        }
        withExtendedLifetime(stream) {}
        await server.close()
        await clientLoop.shutdown()
        await serverLoop.shutdown()
    }

    @Test("Edge cases 22, 96: a clean close with a request pending fails it at once", arguments: Stage.webSockets)
    func cleanClose(stage: Stage) async throws {
        let script: ScriptedServer.Script = { client, message in
            if message.calls.first?.method == "pending" { client.close(1000, "all is well") }
        }
        try await stage.run(script: script) { web3, _ in
            let error = await #expect(throws: Web3Error.self) { _ = try await web3.ask("pending") }
            #expect(error?.code == .connectionClosed)
            #expect(error?.closeCode == 1000)
            #expect(error?.message.contains("all is well") == true)
            #expect(error?.wasSent == true)
            // Later requests are told the same and are not sent.
            let later = await #expect(throws: Web3Error.self) { _ = try await web3.ask("x") }
            #expect(later?.closeCode == 1000)
            #expect(later?.wasSent == false)
        }
    }

    @Test(
        "Edge case 23: when the socket breaks while requests are written, each gets exactly one error",
        arguments: Stage.allCases
    )
    func brokenWhileWriting(stage: Stage) async throws {
        final class Seen: Sendable {
            let count = Atomic(0)
        }
        let seen = Seen()
        let script: ScriptedServer.Script = { client, _ in
            if seen.count.add(1, ordering: .relaxed).newValue == 25 { client.drop() }
        }
        try await stage.run(configure: { $0.maxInFlight = 50 }, script: script) { web3, _ in
            let results = await withTaskGroup(of: Web3Error.Code?.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        let text = String(repeating: "x", count: 10_000)
                        do throws(Web3Error) {
                            _ = try await web3.request("write", number, text, as: String.self)
                            return nil
                        } catch {
                            return error.code
                        }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(results.count == 200)
            #expect(results.allSatisfy { $0 == .connectionClosed })
        }
    }

    @Test("Edge case 24: cancelled while queued, while waiting and after the answer", arguments: Stage.allCases)
    func cancelledRequests(stage: Stage) async throws {
        let script: ScriptedServer.Script = { client, message in
            if message.calls.first?.method == "answered" { client.answerAsUsual(message) }
        }
        try await stage.run(configure: { $0.maxInFlight = 1 }, script: script) { web3, server in
            try await withThrowingTaskGroup(of: Web3Error.Code?.self) { group in
                @Sendable func code(_ method: String) async -> Web3Error.Code? {
                    do throws(Web3Error) {
                        _ = try await web3.request(method, as: String.self)
                        return nil
                    } catch {
                        return error.code
                    }
                }
                // One on the wire, one queued behind it, which is cancelled first.
                group.addTask { await code("waiting") }
                await server.until { $0.count(of: "waiting") == 1 }
                await withTaskGroup(of: Web3Error.Code?.self) { queued in
                    queued.addTask { await code("queued") }
                    await eventually { await web3.metrics.requestsWaiting == 2 }
                    queued.cancelAll()
                    for await code in queued { #expect(code == .cancelled) }
                }
                group.cancelAll()
                for try await code in group { #expect(code == .cancelled) }

                // Cancelled before it begins: nothing is sent.
                group.addTask { await code("never") }
                for try await code in group { #expect(code == .cancelled) }
            }
            // The place of the cancelled one on the wire is free again, and the connection well.
            #expect(try await web3.ask("answered") == "answered")
            #expect(await server.log.calls.map(\.method) == ["waiting", "answered"])
            #expect(await web3.metrics.requestsWaiting == 0)
        }
    }

    @Test(
        "Edge case 24: cancelled while the loop is busy and has seen none of them",
        arguments: [Stage.webSocket, .ipc]
    )
    func cancelledUnseen(stage: Stage) async throws {
        let script: ScriptedServer.Script = { client, message in
            if message.calls.first?.method == "answered" { client.answerAsUsual(message) }
        }
        try await stage.run(script: script) { web3, _ in
            let gate = DispatchSemaphore(value: 0)
            web3.session.configuration.eventLoop.execute { gate.wait() }
            let codes = await withTaskGroup(of: Web3Error.Code?.self) { group in
                for _ in 0..<3 {
                    group.addTask {
                        do throws(Web3Error) {
                            _ = try await web3.request("waiting", as: String.self)
                            return nil
                        } catch {
                            return error.code
                        }
                    }
                }
                await eventually { web3.session.connection.pendingCalls.withLock { $0.count } == 3 }
                group.cancelAll()
                gate.signal()
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(codes == [.cancelled, .cancelled, .cancelled])
            let answer: String = try await web3.ask("answered")
            #expect(answer == "answered")
            #expect(await web3.metrics.requestsWaiting == 0)
        }
    }

    @Test("A batch of a cancelled task is not sent and throws .cancelled", arguments: Stage.allCases)
    func cancelledBatch(stage: Stage) async throws {
        try await stage.run(script: { _, _ in }) { web3, server in
            @Sendable func code() async -> Web3Error.Code? {
                var batch = BatchRequest()
                for method in ["a", "b", "c"] { batch.add(method) }
                do throws(Web3Error) {
                    _ = try await web3.batch(batch)
                    return nil
                } catch {
                    return error.code
                }
            }
            await withTaskGroup(of: Web3Error.Code?.self) { group in
                group.cancelAll()
                group.addTask { await code() }
                for await code in group { #expect(code == .cancelled) }
            }
            #expect(await server.log.messages.isEmpty)
            await withTaskGroup(of: Web3Error.Code?.self) { group in
                group.addTask { await code() }
                await server.until { $0.messages.count == 1 }
                group.cancelAll()
                for await code in group { #expect(code == .cancelled) }
            }
            #expect(await web3.metrics.requestsWaiting == 0)
        }
    }
}
