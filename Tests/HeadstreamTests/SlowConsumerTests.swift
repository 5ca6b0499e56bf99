import EthereumTypes
import HeadstreamRPC
import HeadstreamTesting
import Testing

@testable import Headstream

/// Slow consumers, through the public API: what is lost is told, and nobody else is harmed.
@Suite("Slow consumers", .timeLimit(.minutes(15)))
struct SlowConsumerTests {
    @Test("Edge case 59: an unread stream delays neither answers nor other streams", arguments: Stage.allCases)
    func unread(stage: Stage) async throws {
        try await stage.run { web3, server in
            let unread = try await web3.subscribe(NumbersRequest(), whenFull: .dropOldest, bufferLimit: 8192)
            let other = try await web3.subscribe(NumbersRequest())
            await server.act { client in
                for number in 1...20_000 { client.notify("0x1", "\(number)") }
                for number in 1...10 { client.notify("0x2", "\(number)") }
            }
            #expect(try await web3.eth.chainID() == 1)
            var iterator = other.makeAsyncIterator()
            for number in 1...10 {
                let item = try await iterator.next()
                #expect(item == number)
            }
            let metrics = await web3.metrics
            #expect(metrics.notificationsLost > 0 && metrics.bufferMemory <= 64 << 10, "\(metrics)")
            withExtendedLifetime(unread) {}
        }
    }

    @Test("Edge case 60: a loss tells how many and which blocks, of heads and of logs", arguments: Stage.allCases)
    func lossOfBlocks(stage: Stage) async throws {
        try await stage.run { web3, server in
            let heads = try await web3.eth.subscribe(.newHeads, whenFull: .dropOldest, bufferLimit: 8192)
            let logs = try await web3.eth.subscribe(.logs(), whenFull: .dropNewest, bufferLimit: 8192)
            let latest = try await web3.eth.subscribe(.newHeads, whenFull: .coalesce, bufferLimit: 8192)
            await server.act { client in
                for number in 1...100 {
                    client.notify("0x1", Samples.header(number))
                    client.notify("0x2", Samples.log(number))
                    client.notify("0x3", Samples.header(number))
                }
            }
            await eventually { await web3.metrics.notifications == 300 }
            try await Self.check(heads.updates, number: { $0.number }) { told, losses in
                #expect(losses.count == 1 && told.last == 100)
                #expect(losses[0].blocks == 1...(100 - UInt64(told.count)))
            }
            try await Self.check(logs.updates, number: { $0.blockNumber ?? 0 }) { told, losses in
                #expect(losses.count == 1 && told.first == 1)
                #expect(losses[0].blocks == UInt64(told.count + 1)...100)
            }
            try await Self.check(latest.updates, number: { $0.number }) { told, losses in
                #expect(losses.count == 1 && told.last == 100)
                #expect(losses[0].blocks == 1...((told.first ?? 0) - 1))
            }
        }
    }

    /// Reads until all of a hundred are accounted for.
    private static func check<Updates: AsyncSequence, Item>(
        _ updates: Updates,
        number: (Item) -> UInt64,
        _ body: ([UInt64], [(count: UInt64, blocks: ClosedRange<UInt64>?)]) -> Void
    ) async throws where Updates.Element == SubscriptionUpdate<Item> {
        var told: [UInt64] = []
        var losses: [(count: UInt64, blocks: ClosedRange<UInt64>?)] = []
        for try await update in updates {
            switch update {
            case .item(let item): told.append(number(item))
            case .lagged(let count, let blocks): losses.append((count, blocks))
            default: Issue.record("\(update)")
            }
            if UInt64(told.count) + losses.reduce(0, { $0 + $1.count }) == 100 { break }
        }
        #expect(told == told.sorted())
        body(told, losses)
    }

    @Test("Edge case 62: 20,000 logs of one block in a burst all arrive, in order", arguments: Stage.allCases)
    func burst(stage: Stage) async throws {
        try await stage.run { web3, server in
            let logs = try await web3.eth.subscribe(.logs())
            await server.act { client in
                for index in 0..<20_000 { client.notify("0x1", Samples.log(7, index: index)) }
            }
            var next: UInt64 = 0
            for try await log in logs {
                #expect(log.logIndex == next)
                next += 1
                if next == 20_000 { break }
            }
            #expect(await web3.metrics.notificationsLost == 0)
        }
    }

    @Test("Edge case 63: of two consumers of one id the slow one alone loses", arguments: Stage.allCases)
    func sharedID(stage: Stage) async throws {
        struct Shared: SubscriptionRequest {
            typealias Notification = Int
            var dialect: SubscriptionDialect { .solana }
            var subscribeMethod: String { "logsSubscribe" }
            var unsubscribeMethod: String { "logsUnsubscribe" }
        }
        try await stage.run(script: { client, message in
            for call in message.calls { client.answer(call, call.method == "logsSubscribe" ? "7" : "true") }
        }) { web3, server in
            let slow = try await web3.subscribe(Shared(), whenFull: .dropOldest, bufferLimit: 8192)
            let fast = try await web3.subscribe(Shared(), whenFull: .dropOldest, bufferLimit: 1 << 20)
            await server.act { client in
                for number in 1...3000 {
                    client.send(#"{"jsonrpc":"2.0","method":"n","params":{"subscription":7,"result":\#(number)}}"#)
                }
            }
            var received: [Int] = []
            for try await number in fast {
                received.append(number)
                if number == 3000 { break }
            }
            #expect(received == Array(1...3000))
            var first: SubscriptionUpdate<Int>?
            for try await update in slow.updates {
                first = update
                break
            }
            guard case .lagged(let count, nil)? = first else {
                return #expect(Bool(false), "\(String(describing: first))")
            }
            #expect(count > 2000)
        }
    }

    @Test("Edge case 64: one stream's limit and policy are its own", arguments: Stage.allCases)
    func ownLimits(stage: Stage) async throws {
        try await stage.run(configure: { $0.bufferLimit = 1 << 20 }) { web3, _ in
            let before = try await web3.subscribe(NumbersRequest())
            let small = try await web3.subscribe(
                NumbersRequest(),
                whenFull: .dropNewest,
                bufferLimit: 8192,
                priority: .low
            )
            let after = try await web3.eth.subscribe(.newHeads)
            let streams = await web3.metrics.streams
            #expect(streams.map(\.limit) == [1 << 20, 8192, 1 << 20])
            #expect(streams.map(\.policy) == [.fail, .dropNewest, .fail])
            #expect(streams.map(\.priority) == [.normal, .low, .normal])
            #expect(streams.map(\.kind) == ["numbers", "numbers", "newHeads"])
            withExtendedLifetime((before, small, after)) {}
        }
    }

    @Test(
        "Edge case 65: order is kept, also where the consumer awaits something for each item",
        arguments: Stage.allCases
    )
    func order(stage: Stage) async throws {
        try await stage.run { web3, server in
            let stream = try await web3.subscribe(NumbersRequest())
            await server.act { client in for number in 1...300 { client.notify("0x1", "\(number)") } }
            var received: [Int] = []
            for try await number in stream {
                received.append(number)
                // Answers come between the items, and take as long as they take.
                #expect(try await web3.eth.chainID() == 1)
                if number == 300 { break }
            }
            #expect(received == Array(1...300))
        }
    }

    @Test("Edge case 66: what comes before the consumer begins is kept, in order", arguments: Stage.allCases)
    func beforeTheConsumer(stage: Stage) async throws {
        try await stage.run { web3, server in
            let stream = try await web3.subscribe(NumbersRequest())
            await server.act { client in for number in 1...500 { client.notify("0x1", "\(number)") } }
            await eventually { await web3.metrics.notifications == 500 }
            #expect(await web3.metrics.streams.map(\.depth) == [500])
            var received: [Int] = []
            for try await number in stream {
                received.append(number)
                if number == 500 { break }
            }
            #expect(received == Array(1...500))
        }
    }

    @Test(".dropNewest and .coalesce: what is received and what is told as lost add up", arguments: Stage.allCases)
    func accounting(stage: Stage) async throws {
        for policy in [BufferPolicy.dropNewest, .coalesce] {
            try await stage.run { web3, server in
                let stream = try await web3.subscribe(NumbersRequest(), whenFull: policy, bufferLimit: 8192)
                var accounted: UInt64 = 0
                var iterator = stream.updates.makeAsyncIterator()
                for round in 0..<5 {
                    let range = (round * 2000 + 1)...(round + 1) * 2000
                    await server.act { client in for number in range { client.notify("0x1", "\(number)") } }
                    await eventually { await web3.metrics.notifications == UInt64(range.upperBound) }
                    while accounted < range.upperBound, let update = try await iterator.next() {
                        switch update {
                        case .item(let item):
                            accounted += 1
                            #expect(policy == .coalesce || item == Int(accounted))
                            #expect(item <= range.upperBound)
                        case .lagged(let count, nil): accounted += count
                        default: Issue.record("\(update)")
                        }
                    }
                    #expect(accounted == UInt64(range.upperBound))
                }
                #expect(await web3.metrics.notificationsLost > 0)
            }
        }
    }

    @Test(".dropNewest: batches and the plain sequence pass over losses and go on", arguments: Stage.allCases)
    func dropNewestPlain(stage: Stage) async throws {
        try await stage.run { web3, server in
            let plain = try await web3.subscribe(NumbersRequest(), whenFull: .dropNewest, bufferLimit: 8192)
            let batched = try await web3.subscribe(NumbersRequest(), whenFull: .dropNewest, bufferLimit: 8192)
            await server.act { client in
                for number in 1...3000 {
                    client.notify("0x1", "\(number)")
                    client.notify("0x2", "\(number)")
                }
            }
            await eventually { await web3.metrics.notifications == 6000 }
            var items = plain.makeAsyncIterator()
            var batches = batched.batches(upTo: 7).makeAsyncIterator()
            var (seen, batch) = (0, [Int]())
            // Until the loss is behind both.
            while seen < 256, let item = try await items.next() {
                seen += 1
                #expect(item == seen)
            }
            while (batch.last ?? 0) < 256, let next = try await batches.next() { batch = next }
            await server.act { client in
                client.notify("0x1", "9001")
                client.notify("0x2", "9001")
            }
            while let item = try await items.next(), item != 9001 { #expect(item < 3000) }
            while let next = try await batches.next(), next.last != 9001 { #expect((next.last ?? 0) < 3000) }
        }
    }

    @Test("Buffers that are full together: high priority loses nothing, memory stays within the limit")
    func priorities() async throws {
        try await Stage.simulated.run(configure: { $0.maxBufferedBytes = 1 << 20 }) { web3, server in
            let low = try await web3.subscribe(PaddedRequest(), whenFull: .dropOldest, priority: .low)
            let high = try await web3.subscribe(PaddedRequest(), priority: .high)
            let padding = String(repeating: "x", count: 1000)
            await server.act { client in
                for number in 1...600 {
                    client.notify("0x1", "[\(number),\"\(padding)\"]")
                    client.notify("0x2", "[\(number),\"\(padding)\"]")
                }
            }
            await eventually { await web3.metrics.notifications == 1200 }
            let metrics = await web3.metrics
            #expect(metrics.bufferMemory <= 1 << 20)
            #expect(metrics.streams.map { $0.lost > 0 } == [true, false], "\(metrics)")
            var next = 1
            for try await item in high {
                #expect(item.number == next)
                next += 1
                if next > 600 { break }
            }
            withExtendedLifetime(low) {}
        }
    }

    @Test("The warning threshold: one diagnostic names the stream, its bytes and its limit")
    func warning() async throws {
        let told = Recorder<Diagnostic>()
        try await Stage.simulated.run(configure: { configuration in
            configuration.warnsAboveBufferedBytes = 1000
            configuration.diagnostics = { told.append($0) }
        }) { web3, server in
            let stream = try await web3.subscribe(NumbersRequest(), bufferLimit: 64 << 10)
            for round in 0..<3 {
                await server.act { client in for number in 1...300 { client.notify("0x1", "\(number)") } }
                await eventually { await web3.metrics.notifications == UInt64(300 * (round + 1)) }
            }
            withExtendedLifetime(stream) {}
        }
        let warnings = told.all.filter { $0.message == "slow consumer" }
        #expect(warnings.count == 1 && warnings.first?.level == .warning)
        #expect(warnings.first?.metadata["kind"] == "numbers")
        #expect(warnings.first?.metadata["limit"] == "\(32 << 10)")
    }
}
