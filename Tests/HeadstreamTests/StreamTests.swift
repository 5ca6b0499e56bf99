import HeadstreamSockets
import HeadstreamTesting
import Testing

@testable import Headstream

@Suite("Streams", .timeLimit(.minutes(15)))
struct StreamTests {
    @Test(
        "Behind a wait, for an item or an answer, an actor's consumer is on its actor",
        arguments: [Stage.webSocket, .ipc]
    )
    func isolation(stage: Stage) async throws {
        try await stage.run { web3, server in
            let numbers = try await web3.subscribe(NumbersRequest())
            let reader = IsolatedReader()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await reader.read(3, of: numbers, web3) }
                for number in 0..<3 {
                    await eventually { await reader.items.count == number }
                    await server.act { $0.notify($0.lastSubscription, "\(number)") }
                }
                try await group.waitForAll()
            }
            #expect(await reader.items == [0, 1, 2])
            try await Self.readOnMainActor(web3)
        }
    }

    @MainActor
    private static func readOnMainActor(_ web3: Web3) async throws {
        #expect(try await web3.ask("anything") == "anything")
        MainActor.assertIsolated()
    }

    @Test("A subscription is iterated once; the second iteration throws .misuse", arguments: Stage.allCases)
    func iteratedTwice(stage: Stage) async throws {
        try await stage.run { web3, server in
            let stream = try await web3.subscribe(NumbersRequest())
            await server.act { $0.notify("0x1", "1") }
            var iterator = stream.makeAsyncIterator()
            #expect(await failure { for try await _ in stream {} }?.code == .misuse)
            #expect(await failure { for try await _ in stream.updates {} }?.code == .misuse)
            let first = try await iterator.next()
            #expect(first == 1)
        }
    }

    @Test("Cold streams of one sequence are independent", arguments: Stage.allCases)
    func independentStreams(stage: Stage) async throws {
        try await stage.run { web3, server in
            let sequence = web3.notifications(NumbersRequest())
            var first = sequence.makeAsyncIterator()
            var second = sequence.makeAsyncIterator()
            // Nothing is asked for before the first `next()`.
            #expect(await server.log.count(of: "eth_subscribe") == 0)
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    await server.until { $0.count(of: "eth_subscribe") == 1 }
                    await server.act { $0.notify("0x1", "1") }
                    // The second one joins the subscription of the first.
                    await eventually { await web3.metrics.streams.count == 2 }
                    await server.act { $0.notify("0x1", "2") }
                }
                #expect((try? await first.next()) == 1)
                #expect((try? await second.next()) == 2)
            }
            #expect((try? await first.next()) == 2)
            #expect(await server.log.count(of: "eth_subscribe") == 1)
        }
    }

    @Test(
        ".fail: what is buffered is delivered, then .consumerTooSlow, and the node is told",
        arguments: Stage.allCases
    )
    func failPolicy(stage: Stage) async throws {
        try await stage.run { web3, server in
            let stream = try await web3.subscribe(NumbersRequest(), whenFull: .fail, bufferLimit: 8192)
            await server.act { client in for number in 1...2000 { client.notify("0x1", "\(number)") } }
            await server.until { $0.count(of: "eth_unsubscribe") == 1 }
            var items: [Int] = []
            let error = await failure { for try await item in stream { items.append(item) } }
            #expect(error?.code == .consumerTooSlow)
            #expect(items == Array(1...max(1, items.count)))
            #expect(items.count < 2000)
            #expect(try await web3.eth.chainID() == 1)
            #expect(await server.log.count(of: "eth_unsubscribe") == 1)
        }
    }

    @Test(".dropOldest: what is received and what is told as lost add up to what was sent", arguments: Stage.allCases)
    func dropOldestPolicy(stage: Stage) async throws {
        try await stage.run { web3, server in
            let stream = try await web3.subscribe(NumbersRequest(), whenFull: .dropOldest, bufferLimit: 8192)
            var received: [Int] = []
            var lagged: UInt64 = 0
            var iterator = stream.updates.makeAsyncIterator()
            for round in 0..<5 {
                let range = (round * 2000 + 1)...(round + 1) * 2000
                await server.act { client in for number in range { client.notify("0x1", "\(number)") } }
                await eventually { await web3.metrics.notifications == UInt64(range.upperBound) }
                while received.last != range.upperBound, let update = try await iterator.next() {
                    switch update {
                    case .item(let item): received.append(item)
                    case .lagged(let count, _): lagged += count
                    default: Issue.record("\(update)")
                    }
                }
                #expect(received.count + Int(lagged) == range.upperBound)
            }
            #expect(received == received.sorted())
            #expect(lagged > 0)
            #expect(await web3.metrics.notificationsLost == lagged)
            #expect(await server.log.count(of: "eth_unsubscribe") == 0)
        }
    }

    @Test(".dropOldest: the plain sequence passes over losses and goes on", arguments: Stage.allCases)
    func dropOldestPlain(stage: Stage) async throws {
        try await stage.run { web3, server in
            let stream = try await web3.subscribe(NumbersRequest(), whenFull: .dropOldest, bufferLimit: 8192)
            await server.act { client in for number in 1...5000 { client.notify("0x1", "\(number)") } }
            await eventually { await web3.metrics.notifications == 5000 }
            var last = 0
            for try await item in stream {
                #expect(item > last)
                last = item
                if item == 5000 { break }
            }
        }
    }

    @Test(".suspendReading: nothing is lost, the server is held back and memory is bounded", arguments: Stage.allCases)
    func suspendReadingPolicy(stage: Stage) async throws {
        let count = 20_000
        try await stage.run { web3, server in
            let stream = try await web3.subscribe(PaddedRequest(), whenFull: .suspendReading, bufferLimit: 8192)
            // 20 MB.
            let padding = String(repeating: "x", count: 1000)
            await server.act { client in
                for number in 1...count { client.notify("0x1", "[\(number),\"\(padding)\"]") }
            }
            await eventually { await !web3.session.connection.isReading }
            // An answer waits behind it.
            async let chainID = web3.eth.chainID()
            await eventually { await web3.metrics.requestsWaiting == 1 }
            let metrics = await web3.metrics
            #expect(metrics.bytesReceived < 2 << 20, "\(metrics.bytesReceived)")
            #expect(await server.queuedBytes > 1 << 20)
            var next = 1
            for try await item in stream {
                #expect(item.number == next)
                next += 1
                if next > count { break }
            }
            #expect(try await chainID == 1)
            #expect(await web3.metrics.notificationsLost == 0)
            await eventually { await web3.session.connection.isReading }
        }
    }

    @Test(
        "Two suspended subscriptions: reading goes on when both are drained, and nothing of either is lost",
        arguments: Stage.allCases
    )
    func twoSuspended(stage: Stage) async throws {
        let count = 2000
        try await stage.run { web3, server in
            let first = try await web3.subscribe(NumbersRequest(), whenFull: .suspendReading, bufferLimit: 8192)
            let second = try await web3.subscribe(NumbersRequest(), whenFull: .suspendReading, bufferLimit: 8192)
            await server.act { client in
                for number in 1...count {
                    client.notify("0x1", "\(number)")
                    client.notify("0x2", "\(number)")
                }
            }
            await withTaskGroup(of: [Int].self) { group in
                for stream in [first, second] {
                    group.addTask {
                        var items: [Int] = []
                        do {
                            for try await item in stream {
                                items.append(item)
                                if item == count { break }
                            }
                        } catch {
                            Issue.record(error)
                        }
                        return items
                    }
                }
                for await items in group { #expect(items == Array(1...count)) }
            }
            // The first one goes away full, without being read: the other one is not left paused.
            let third = try await web3.subscribe(NumbersRequest(), whenFull: .suspendReading, bufferLimit: 8192)
            await server.act { client in for number in 1...count { client.notify("0x3", "\(number)") } }
            await eventually { await !web3.session.connection.isReading }
            async let chainID = web3.eth.chainID()
            await third.unsubscribe()
            #expect(try await chainID == 1)
        }
    }

    @Test(
        "Edge case 61: the end of the connection reaches the consumer behind a full buffer",
        arguments: [BufferPolicy.fail, .dropOldest, .dropNewest, .coalesce, .suspendReading]
    )
    func endBehindFullBuffer(policy: BufferPolicy) async throws {
        for stage in Stage.allCases {
            try await stage.run { web3, server in
                let stream = try await web3.subscribe(NumbersRequest(), whenFull: policy, bufferLimit: 8192)
                await server.act { client in
                    for number in 1...3000 { client.notify("0x1", "\(number)") }
                    if stage == .ipc { client.channel.finishWriting() } else { client.close(1001, "bye") }
                }
                if policy != .suspendReading { await server.until { $0.ended == 1 } }
                var items: [Int] = []
                let error = await failure { for try await item in stream { items.append(item) } }
                switch policy {
                case .fail: #expect(error?.code == .consumerTooSlow)
                case .dropOldest, .coalesce:
                    #expect(error?.code == .connectionClosed)
                    #expect(items.last == 3000)
                case .dropNewest:
                    #expect(error?.code == .connectionClosed)
                    #expect(items.count < 3000 && items == Array(1...max(1, items.count)))
                case .suspendReading:
                    #expect(error?.code == .connectionClosed)
                    #expect(items == Array(1...3000))
                }
            }
        }
    }

    @Test("On the loop's executor, draining 10,000 buffered items enqueues fewer than 10 jobs")
    func drainingOnTheLoop() async throws {
        // Simulated, so that the clock stands still: a consumer that is slow gives the loop a turn each millisecond.
        try await SimulatedLoop.run { loop in
            let server = try await ScriptedServer(on: loop)
            let web3 = try await Web3.connect(to: await server.endpoint, configuration: loop.configuration)
            let stream = try await web3.subscribe(NumbersRequest())
            await server.act { client in for number in 1...10_000 { client.notify("0x1", "\(number)") } }
            await eventually { await web3.metrics.notifications == 10_000 }
            await loop.settle()
            let before = loop.steps
            var count = 0
            for try await _ in stream {
                count += 1
                if count == 10_000 { break }
            }
            #expect(loop.steps - before < 10, "\(loop.steps - before) steps")
            await web3.close()
            await server.close()
        }
    }

    @Test("On a real loop's executor, a consumer is not queued again for each item")
    func drainingOnARealLoop() async throws {
        try await Stage.webSocket.run { web3, server in
            let stream = try await web3.subscribe(NumbersRequest())
            await server.act { client in for number in 1...10_000 { client.notify("0x1", "\(number)") } }
            await eventually { await web3.metrics.notifications == 10_000 }
            let loop = try #require(web3.session.loop as? EventLoop)
            try await withTaskExecutorPreference(web3.executor) {
                let (jobs, start) = (loop.statistics.jobs, loop.now)
                var count = 0
                for try await _ in stream {
                    count += 1
                    if count == 10_000 { break }
                }
                // A turn is given each millisecond, however slow the machine.
                let turns = Int(loop.now.since(start) / .milliseconds(1))
                #expect(loop.statistics.jobs - jobs < 10 + turns)
                #expect(loop.isCurrent)
            }
        }
    }

    @Test("A consumer on the loop that is long at work gives the loop its turns")
    func turnsWhileDraining() async throws {
        try await Stage.webSocket.run { web3, server in
            let stream = try await web3.subscribe(NumbersRequest())
            await server.act { client in for number in 1...5000 { client.notify("0x1", "\(number)") } }
            await eventually { await web3.metrics.notifications == 5000 }
            let loop = try #require(web3.session.loop as? EventLoop)
            try await withTaskExecutorPreference(web3.executor) {
                let turns = loop.statistics.turns
                var count = 0
                for try await _ in stream {
                    count += 1
                    if count == 5000 { break }
                    // At least 20 µs of work an item: 100 ms in all.
                    let end = loop.now.advanced(by: .microseconds(20))
                    while loop.now < end {}
                }
                // 64 items between looks at the clock, so one turn each 1.3 ms at the least.
                #expect(loop.statistics.turns - turns > 20)
            }
        }
    }
}

/// `[number, padding]`.
struct PaddedRequest: SubscriptionRequest {
    struct Notification: Decodable, Sendable {
        var number: Int

        init(from decoder: any Decoder) throws {
            var container = try decoder.unkeyedContainer()
            self.number = try container.decode(Int.self)
        }
    }
    var parameters: [any Encodable & Sendable] { ["padded"] }
}

extension Connection {
    var isReading: Bool { self.channel?.isReading ?? false }
}

extension ScriptedServer {
    /// What waits to be written to clients.
    var queuedBytes: Int { self.clients.reduce(0) { $0 + $1.channel.queuedBytes } }
}

private actor IsolatedReader {
    private(set) var items: [Int] = []

    func read(_ count: Int, of numbers: Subscription<Int>, _ web3: Web3) async throws {
        for try await number in numbers {
            self.assertIsolated()
            self.items.append(number)
            _ = try await web3.ask("anything")
            self.assertIsolated()
            if self.items.count == count { break }
        }
    }
}
