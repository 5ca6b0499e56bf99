import EthereumTypes
import HeadstreamLocks
import HeadstreamRPC
import HeadstreamSockets
import HeadstreamTesting
import Testing

@testable import Headstream

/// Equal streams of one client: one subscription of the node's, and for each consumer what it would have alone.
@Suite("Shared streams", .timeLimit(.minutes(15)))
struct SharedStreamTests {
    /// Reads a stream's items until one of them is `last`.
    private static func read(
        _ stream: NotificationSequence<Int>,
        into items: Recorder<Int>,
        until last: Int
    ) async throws {
        for try await item in stream {
            items.append(item)
            if item == last { return }
        }
    }

    private static func subscriptions(_ web3: Web3, are count: Int) async {
        await eventually { await web3.metrics.streams.count == count }
    }

    private static func automatic(_ configuration: inout Configuration) {
        configuration.reconnect = ReconnectPolicy(base: .milliseconds(1), cap: .milliseconds(10))
    }

    @Test(
        "Equal streams are one subscription on the wire; each gets all, and the last to leave ends it",
        arguments: Stage.allCases
    )
    func lifetime(stage: Stage) async throws {
        try await stage.run { web3, server in
            let (one, two, three) = (Recorder<Int>(), Recorder<Int>(), Recorder<Int>())
            let stream = web3.notifications(NumbersRequest())
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await Self.read(stream, into: one, until: 2) }
                group.addTask { try await Self.read(web3.notifications(NumbersRequest()), into: two, until: 3) }
                await Self.subscriptions(web3, are: 2)
                for number in 1...2 { await server.act { $0.notify("0x1", "\(number)") } }
                try await group.next()
                await Self.subscriptions(web3, are: 1)
                #expect(await server.log.count(of: "eth_unsubscribe") == 0)
                let metrics = await web3.metrics
                #expect(metrics.subscriptions == 1 && metrics.serverSubscriptions == 1)
                await server.act { $0.notify("0x1", "3") }
                try await group.waitForAll()
                await server.until { $0.count(of: "eth_unsubscribe") == 1 }
                // Who comes after the last has a subscription of the node's anew.
                group.addTask { try await Self.read(stream, into: three, until: 4) }
                await Self.subscriptions(web3, are: 1)
                await server.act { $0.notify("0x2", "4") }
                try await group.waitForAll()
            }
            #expect(one.all == [1, 2] && two.all == [1, 2, 3] && three.all == [4])
            await server.until { $0.count(of: "eth_unsubscribe") == 2 }
            #expect(await server.log.count(of: "eth_subscribe") == 2)
            #expect(await web3.metrics.notifications == 4)
        }
    }

    @Test("A refusal is thrown by each of the streams that waited for the answer", arguments: Stage.allCases)
    func refusal(stage: Stage) async throws {
        let held = Recorder<ScriptedCall>()
        try await stage.run(script: { client, message in
            for call in message.calls where call.method == "eth_subscribe" { held.append(call) }
        }) { web3, server in
            await withTaskGroup(of: Web3Error?.self) { group in
                for _ in 0..<3 {
                    group.addTask {
                        await failure {
                            for try await _ in web3.notifications(NumbersRequest()) {}
                        }
                    }
                }
                await eventually { await web3.metrics.requestsWaiting == 3 }
                await server.act { $0.fail(held.all[0], -32601, "no numbers here") }
                for await error in group { #expect(error?.message.contains("no numbers here") == true) }
            }
            #expect(held.all.count == 1)
            #expect(await web3.metrics.requestsWaiting == 0)
        }
    }

    @Test("An explicit subscription is the node's own, also beside an equal stream", arguments: Stage.allCases)
    func explicit(stage: Stage) async throws {
        try await stage.run { web3, server in
            let one = try await web3.subscribe(NumbersRequest())
            let two = try await web3.subscribe(NumbersRequest())
            #expect(await server.log.count(of: "eth_subscribe") == 2)
            #expect(await web3.metrics.serverSubscriptions == 2)
            await one.unsubscribe()
            #expect(await server.log.count(of: "eth_unsubscribe") == 1)
            withExtendedLifetime(two) {}
        }
    }

    @Test("Kinds that begin with a state, and requests that differ, are not shared", arguments: Stage.allCases)
    func notShared(stage: Stage) async throws {
        struct Storage: SubscriptionRequest {
            typealias Notification = Int
            var dialect: SubscriptionDialect { .substrate }
            var subscribeMethod: String { "state_subscribeStorage" }
        }
        try await stage.run(script: { client, message in
            for call in message.calls { client.answer(call, "\"\(call.id)\"") }
        }) { web3, server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<2 {
                    group.addTask { for try await _ in web3.notifications(Storage()) {} }
                    group.addTask { for try await _ in web3.notifications(.syncing()) {} }
                    group.addTask { for try await _ in web3.notifications(.logs()) {} }
                }
                group.addTask { for try await _ in web3.notifications(.logs(LogFilter(address: .zero))) {} }
                await Self.subscriptions(web3, are: 7)
                #expect(await web3.metrics.serverSubscriptions == 6)
                #expect(await server.log.count(of: "state_subscribeStorage") == 2)
                #expect(await server.log.count(of: "eth_subscribe") == 4)
                group.cancelAll()
                try await group.waitForAll()
            }
        }
    }

    @Test(
        "Edge case 63: of streams that share a subscription the slow one alone loses, each by its own policy and limit",
        arguments: Stage.allCases
    )
    func slow(stage: Stage) async throws {
        try await stage.run { web3, server in
            let fast = Recorder<Int>()
            let slow = web3.notifications(NumbersRequest(), whenFull: .dropOldest, bufferLimit: 8192, priority: .low)
            var updates = slow.updates.makeAsyncIterator()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await Self.read(
                        web3.notifications(NumbersRequest(), bufferLimit: 1 << 20, priority: .high),
                        into: fast,
                        until: 3000
                    )
                }
                await Self.subscriptions(web3, are: 1)
                await server.act { $0.notify("0x1", "0") }
                await eventually { fast.all == [0] }
                // The slow one joins, and takes one item.
                group.addTask {
                    await Self.subscriptions(web3, are: 2)
                    await server.act { $0.notify("0x1", "1") }
                }
                let first = try await updates.next()
                #expect(first == .item(1))
                await server.act { client in for number in 2...3000 { client.notify("0x1", "\(number)") } }
                try await group.waitForAll()
            }
            #expect(fast.all == Array(0...3000))
            guard case .lagged(let count, nil)? = try await updates.next() else {
                return #expect(Bool(false), "no loss is told")
            }
            #expect(count > 1000)
            let next = try await updates.next()
            #expect(next == .item(Int(count) + 2))
            #expect(await server.log.count(of: "eth_subscribe") == 1)
        }
    }

    @Test("A lost connection: subscribed again once, and told to each", arguments: Stage.allCases)
    func reconnect(stage: Stage) async throws {
        try await stage.run(configure: Self.automatic) { web3, server in
            let tellings = (0..<3).map { _ in Recorder<String>() }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for telling in tellings {
                    group.addTask {
                        for try await update in web3.notifications(NumbersRequest()).updates {
                            switch update {
                            case .item(let number): telling.append("\(number)")
                            case .disconnected: telling.append("cut")
                            case .reconnected: telling.append("back")
                            default: telling.append("other")
                            }
                            if case .item(9) = update { return }
                        }
                    }
                }
                await Self.subscriptions(web3, are: 3)
                await server.act { $0.notify("0x1", "1") }
                await eventually { tellings.allSatisfy { $0.all.count == 1 } }
                await server.act { $0.drop() }
                await server.until { $0.count(of: "eth_subscribe") == 2 }
                await Self.subscriptions(web3, are: 3)
                await server.act { $0.notify("0x1", "9") }
                try await group.waitForAll()
            }
            for telling in tellings { #expect(telling.all == ["1", "cut", "back", "9"]) }
            await server.until { $0.count(of: "eth_unsubscribe") == 1 }
            #expect(await server.log.count(of: "eth_subscribe") == 2)
        }
    }

    @Test("Make before break: the connection that takes over has one subscription for all of them")
    func renewal() async throws {
        try await Stage.simulated.run(configure: {
            Self.automatic(&$0)
            $0.maxConnectionAge = .seconds(60)
        }) { web3, server in
            let loop = web3.session.loop
            let items = (0..<3).map { _ in Recorder<Int>() }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for recorder in items {
                    group.addTask {
                        try await Self.read(web3.notifications(NumbersRequest()), into: recorder, until: 2)
                    }
                }
                await Self.subscriptions(web3, are: 3)
                await server.act { $0.notify("0x1", "1") }
                try await loop.sleep(until: loop.now.advanced(by: .seconds(90)))
                #expect(await web3.metrics.renewals == 1)
                await server.act { $0.notify("0x1", "2") }
                try await group.waitForAll()
            }
            for recorder in items { #expect(recorder.all == [1, 2]) }
            #expect(await server.log.count(of: "eth_subscribe") == 2)
        }
    }

    @Test("Live and gapless heads share one subscription; a gapless stream's being made anew leaves the live one alone")
    func liveAndGapless() async throws {
        try await SimulatedLoop.run(seed: 3) { loop in
            let node = try await TestNode(chain: SimulatedChain(seed: 3, number: 100), loop: loop)
            let web3 = try await Web3.connect(to: node.endpoint, configuration: loop.configuration)
            let (live, gapless) = (Recorder<UInt64>(), Recorder<UInt64>())
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for try await head in web3.eth.newHeads(continuity: .live) { live.append(head.number) }
                }
                group.addTask {
                    for try await head in web3.eth.newHeads(continuity: .gapless()) { gapless.append(head.number) }
                }
                try await loop.sleep(for: .seconds(1))
                await node.change { chain in for _ in 0..<3 { chain.mine() } }
                try await loop.sleep(for: .seconds(1))
                #expect(live.all == [101, 102, 103] && gapless.all == live.all)
                #expect(await node.requests["eth_subscribe"] == 1)
                web3.session.onLoop { session in
                    session.subscribeAnew(session.continuityEngine?.subscribed ?? [])
                }
                try await loop.sleep(for: .seconds(1))
                await node.change { $0.mine() }
                try await loop.sleep(for: .seconds(1))
                #expect(live.all == [101, 102, 103, 104] && gapless.all == live.all)
                #expect(await node.requests["eth_subscribe"] == 2)
                group.cancelAll()
                try await group.waitForAll()
            }
            try await loop.sleep(for: .seconds(1))
            #expect(await node.requests["eth_unsubscribe"] == 2)
            await web3.close()
            await node.close()
        }
    }

    /// What a scripted node knows of its subscriptions: the live ones of each connection, and their numbers.
    private struct Ledger: Sendable {
        var live: [ObjectIdentifier: Set<String>] = [:]
        var next = 0
        var most = 0
    }

    @Test(
        "Consumers that come and go at random, over cuts: each is told a run without a hole, of one subscription at a time",
        arguments: 1...40
    )
    func random(seed: UInt64) async throws {
        let ledger = Locked(Ledger())
        try await Stage.simulated.run(
            seed: seed,
            configure: Self.automatic,
            script: { client, message in
                for call in message.calls {
                    ledger.withLock { ledger in
                        let connection = ObjectIdentifier(client)
                        switch call.method {
                        case "eth_subscribe":
                            ledger.next += 1
                            ledger.live[connection, default: []].insert("0x\(ledger.next)")
                            ledger.most = max(ledger.most, ledger.live[connection]?.count ?? 0)
                            client.answer(call, "\"0x\(ledger.next)\"")
                        case "eth_unsubscribe":
                            let id = call.params.first?.stringValue ?? ""
                            let isKnown = ledger.live[connection]?.remove(id) != nil
                            client.answer(call, "\(isKnown)")
                        default: client.answerAsUsual(ScriptedMessage(call))
                        }
                    }
                }
            }
        ) { web3, server in
            let loop = web3.session.loop
            var random = SeededGenerator(seed: seed)
            let problems = Recorder<String>()
            try await withThrowingTaskGroup(of: Void.self) { group in
                var number = 0
                for _ in 0..<120 {
                    switch random.below(10) {
                    case 0..<3:
                        let count = 1 + random.below(12)
                        let limit = random.below(2) == 0 ? 8192 : 1 << 20
                        group.addTask {
                            // Each leaves behind so many items.
                            var last: Int?
                            var left = count
                            let stream = web3.notifications(NumbersRequest(), bufferLimit: limit)
                            do {
                                for try await update in stream.updates {
                                    switch update {
                                    case .item(let item):
                                        if let last, item != last + 1 { problems.append("\(item) behind \(last)") }
                                        last = item
                                        left -= 1
                                        if left == 0 { return }
                                    case .disconnected, .reconnected: last = nil
                                    default: problems.append("\(update)")
                                    }
                                }
                            } catch {
                                problems.append("\(error) at \(loop.now), behind \(String(describing: last))")
                            }
                        }
                    case 3 where random.below(6) == 0:
                        await server.act { client in
                            // Another one may have its address.
                            ledger.withLock { $0.live[ObjectIdentifier(client)] = nil }
                            client.drop()
                        }
                    case 3..<6:
                        try await loop.sleep(until: loop.now.advanced(by: .milliseconds(random.below(30))))
                    default:
                        number += 1
                        let item = "\(number)"
                        await server.act { client in
                            let live = ledger.withLock { $0.live[ObjectIdentifier(client)] ?? [] }
                            for id in live { client.notify(id, item) }
                        }
                    }
                }
                let most = ledger.withLock { $0.most }
                #expect(most == 1, "seed \(seed): \(most) at once")
                group.cancelAll()
                try await group.waitForAll()
            }
            #expect(problems.all == [], "seed \(seed)")
            try await loop.sleep(until: loop.now.advanced(by: .seconds(1)))
            let metrics = await web3.metrics
            #expect(metrics.subscriptions == 0 && metrics.serverSubscriptions == 0, "seed \(seed)")
            await server.act { client in
                let left = ledger.withLock { $0.live[ObjectIdentifier(client)] ?? [] }
                #expect(left.isEmpty, "seed \(seed)")
            }
        }
    }
}
