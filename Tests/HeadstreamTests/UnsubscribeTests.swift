import HeadstreamSockets
import HeadstreamTesting
import Testing

@testable import Headstream

/// How streams and clients end (edge cases, part I).
@Suite("Unsubscribing and shutting down", .timeLimit(.minutes(15)))
struct UnsubscribeTests {
    /// Answers as a node does and sends each subscription three numbers.
    private static let three: ScriptedServer.Script = { client, message in
        client.answerAsUsual(message)
        guard message.calls.first?.method == "eth_subscribe" else { return }
        for number in 1...3 { client.notify(client.lastSubscription, "\(number)") }
    }

    @Test(
        "Leaving a loop by break, by a throw, by cancellation and by leaving the scope unsubscribes exactly once",
        arguments: Stage.allCases
    )
    func unsubscribesOnce(stage: Stage) async throws {
        struct Stop: Error {}
        try await stage.run(script: Self.three) { web3, server in
            for try await _ in web3.notifications(NumbersRequest()) { break }
            await server.until { $0.count(of: "eth_unsubscribe") == 1 }

            await #expect(throws: Stop.self) {
                for try await _ in web3.notifications(NumbersRequest()) { throw Stop() }
            }
            await server.until { $0.count(of: "eth_unsubscribe") == 2 }

            await withTaskGroup(of: Void.self) { group in
                let items = Recorder<Int>()
                group.addTask {
                    do {
                        for try await item in web3.notifications(NumbersRequest()) { items.append(item) }
                    } catch {
                        Issue.record("a cancelled iterator threw \(error)")
                    }
                }
                // Then it waits for more, or soon will.
                await eventually { items.all == [1, 2, 3] }
                group.cancelAll()
            }
            await server.until { $0.count(of: "eth_unsubscribe") == 3 }

            func scope() async throws {
                var iterator = web3.notifications(NumbersRequest()).makeAsyncIterator()
                #expect(try await iterator.next() == 1)
            }
            try await scope()
            await server.until { $0.count(of: "eth_unsubscribe") == 4 }

            // A handle that is let go of unread, and one that is read to a break while the handle lives.
            do { _ = try await web3.subscribe(NumbersRequest()) }
            await server.until { $0.count(of: "eth_unsubscribe") == 5 }
            let handle = try await web3.subscribe(NumbersRequest())
            for try await _ in handle { break }
            await server.until { $0.count(of: "eth_unsubscribe") == 6 }
            await handle.unsubscribe()

            // Each id once, and nothing behind it.
            #expect(try await web3.eth.chainID() == 1)
            let ids = await server.log.calls.filter { $0.method == "eth_unsubscribe" }.map { $0.params[0].description }
            #expect(ids.sorted() == (1...6).map { "\"0x\($0)\"" })
            #expect(await web3.metrics.subscriptions == 0)
        }
    }

    @Test("Edge case 81: unsubscribing when the node does not answer, or is gone, returns")
    func nodeIsGone() async throws {
        let script: ScriptedServer.Script = { client, message in
            if message.calls.first?.method == "eth_subscribe" { client.answerAsUsual(message) }
        }
        try await SimulatedLoop.run(seed: 81) { loop in
            let server = try await ScriptedServer(on: loop, script: script)
            let web3 = try await Web3.connect(to: await server.endpoint, configuration: loop.configuration)
            let silent = try await web3.subscribe(NumbersRequest())
            let gone = try await web3.subscribe(NumbersRequest())
            let before = loop.now
            await silent.unsubscribe()
            #expect(loop.now.since(before) == .seconds(5))
            await server.act { $0.drop() }
            await gone.unsubscribe()
            await gone.unsubscribe()
            #expect(loop.now.since(before) == .seconds(5))
            await web3.close()
            await gone.unsubscribe()
            await server.close()
        }
    }

    @Test(
        "Edge case 82: unsubscribed from inside the loop, twice and while events come, the loop ends with nil",
        arguments: Stage.allCases
    )
    func fromInside(stage: Stage) async throws {
        try await stage.run(script: Self.three) { web3, server in
            let handle = try await web3.subscribe(NumbersRequest())
            var items: [Int] = []
            for try await item in handle {
                items.append(item)
                await server.act { $0.notify("0x1", "4") }
                async let first: Void = handle.unsubscribe()
                async let second: Void = handle.unsubscribe()
                _ = await (first, second)
            }
            #expect(Array(items.prefix(3)) == Array([1, 2, 3].prefix(items.count)))
            #expect(!items.isEmpty)
            #expect(await server.log.count(of: "eth_unsubscribe") == 1)
        }
    }

    @Test(
        "Edge case 83: events between the unsubscribe request and its answer are dropped in silence",
        arguments: Stage.allCases
    )
    func eventsInBetween(stage: Stage) async throws {
        let told = Recorder<String>()
        let script: ScriptedServer.Script = { client, message in
            if message.calls.first?.method == "eth_unsubscribe" {
                for number in 1...50 { client.notify("0x1", "\(number)") }
            }
            client.answerAsUsual(message)
        }
        try await stage.run(configure: { $0.diagnostics = { told.append($0.message) } }, script: script) { web3, _ in
            let handle = try await web3.subscribe(NumbersRequest())
            await handle.unsubscribe()
            for try await _ in handle { Issue.record("an item after the end") }
            // Nor does a later subscription get them.
            let other = try await web3.subscribe(NumbersRequest())
            #expect(try await web3.eth.chainID() == 1)
            #expect(await web3.metrics.notifications == 0)
            withExtendedLifetime(other) {}
        }
        #expect(told.all.isEmpty)
    }

    @Test(
        "Edge case 84: when the client goes with streams alive, they hold it; the last one closes the connection",
        arguments: Stage.allCases
    )
    func lastHandle(stage: Stage) async throws {
        try await stage.serve(script: Self.three) { server, configuration in
            weak var session: Session?
            weak var connection: Connection?
            var stream: HeadlessStream?
            do {
                let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
                session = web3.session
                connection = web3.session.connection
                stream = HeadlessStream(web3.notifications(NumbersRequest()).makeAsyncIterator())
                #expect(try await stream?.iterator.next() == 1)
            }
            #expect(session != nil)
            #expect(try await stream?.iterator.next() == 2)
            stream = nil
            // The loop may be in the middle of a callback that has it for a moment.
            await eventually { session == nil }
            await server.until { $0.ended == 1 }
            #expect(await server.log.count(of: "eth_unsubscribe") == 1)
            await eventually { connection == nil }
        }
    }

    /// An iterator that can be let go of.
    private final class HeadlessStream {
        var iterator: NotificationSequence<Int>.Iterator

        init(_ iterator: NotificationSequence<Int>.Iterator) {
            self.iterator = iterator
        }
    }

    @Test(
        "Edge case 85: after close nothing is left: no socket, no request, no object; the next client connects",
        arguments: Stage.allCases
    )
    func nothingIsLeft(stage: Stage) async throws {
        let script: ScriptedServer.Script = { client, message in
            if message.calls.first?.method != "pending" { Self.three(client, message) }
        }
        try await stage.serve(script: script) { server, configuration in
            for round in 1...3 {
                weak var session: Session?
                weak var connection: Connection?
                do {
                    let web3 = try await Web3.connect(to: await server.endpoint, configuration: configuration)
                    session = web3.session
                    connection = web3.session.connection
                    await withTaskGroup(of: Web3Error.Code?.self) { group in
                        group.addTask {
                            await failure { _ = try await web3.ask("pending") }?.code
                        }
                        group.addTask {
                            do {
                                for try await _ in web3.notifications(NumbersRequest()) {}
                                return nil
                            } catch {
                                return (error as? Web3Error)?.code
                            }
                        }
                        await server.until {
                            $0.count(of: "pending") == round && $0.count(of: "eth_subscribe") == round
                        }
                        await eventually { await web3.metrics.notifications == 3 }
                        await web3.close()
                        await web3.close()
                        var codes: [Web3Error.Code?] = []
                        for await code in group { codes.append(code) }
                        #expect(codes.contains(.connectionClosed))
                        #expect(codes.contains(nil), "a stream ends with nil when its client is closed")
                    }
                    #expect(await web3.metrics.requestsWaiting == 0)
                    #expect(await web3.metrics.subscriptions == 0)
                }
                await eventually { session == nil && connection == nil }
                await server.until { $0.ended == round }
            }
            if let loop = configuration.loop as? EventLoop {
                await server.close()
                await eventually { await server.openSockets(of: loop) == 0 }
            }
        }
    }
}

extension ScriptedServer {
    func openSockets(of loop: EventLoop) -> Int { loop.statistics.openSockets }
}
