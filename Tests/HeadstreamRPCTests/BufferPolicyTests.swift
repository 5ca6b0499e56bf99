import Testing

@testable import HeadstreamRPC

/// What each policy does with a full buffer, and who gives way when all buffers are full together.
@Suite("Buffer policies")
struct BufferPolicyTests {
    private static func flood(_ node: ProcessorHarness, _ id: String, _ range: ClosedRange<Int>, padding: Int = 92) {
        let padding = String(repeating: "x", count: padding)
        for number in range {
            node.receive(notification("\"\(id)\"", "[\(number),\"\(padding)\"]"), publishes: false)
        }
        node.publish()
    }

    /// The numbers that came.
    private static func numbers(_ consumer: TestConsumer) -> [Int] {
        consumer.drain().compactMap { Int($0.dropFirst().prefix { $0 != "," }) }
    }

    @Test(".dropNewest keeps the oldest, tells the loss behind them, and takes new ones when those were taken")
    func dropNewest() {
        let node = ProcessorHarness()
        let consumer = node.activate(1, "\"0x1\"", limit: 8192, policy: .dropNewest)
        Self.flood(node, "0x1", 1...100)
        // A shorter one would find a place, and would be out of order.
        node.receive(notification("\"0x1\"", "[101,0]"))
        let first = Self.numbers(consumer)
        #expect(first == Array(1...first.count) && first.count > 20)
        #expect(consumer.hasLostNewest && Int(consumer.lost) == 101 - first.count)
        Self.flood(node, "0x1", 102...110)
        #expect(Self.numbers(consumer) == Array(102...110))
        #expect(Int(consumer.lost) == 101 - first.count)
        #expect(node.processor.statistics.lost == consumer.lost)
    }

    @Test(".coalesce keeps the newest alone when the buffer is full, and counts the others")
    func coalesce() {
        let node = ProcessorHarness()
        let consumer = node.activate(1, "\"0x1\"", limit: 8192, policy: .coalesce)
        Self.flood(node, "0x1", 1...10)
        #expect(Self.numbers(consumer) == Array(1...10), "nothing is dropped while there is room")
        var gone = 0
        for round in 0..<3 {
            Self.flood(node, "0x1", (round * 1000 + 11)...(round * 1000 + 1010))
            let rest = Self.numbers(consumer)
            #expect(rest.last == round * 1000 + 1010 && rest.count < 60)
            #expect(rest == Array((rest.first ?? 0)...(rest.last ?? 0)))
            gone += 1000 - rest.count
        }
        #expect(Int(consumer.lost) == gone)
    }

    @Test(
        "A notification larger than the limit is lost and told, and what was buffered is as the policy has it",
        arguments: [BufferPolicy.dropOldest, .dropNewest, .coalesce]
    )
    func tooLarge(_ policy: BufferPolicy) {
        let node = ProcessorHarness()
        let consumer = node.activate(1, "\"0x1\"", limit: 8192, policy: policy)
        Self.flood(node, "0x1", 1...3)
        Self.flood(node, "0x1", 4...4, padding: 9000)
        let kept = Self.numbers(consumer)
        #expect(kept == (policy == .coalesce ? [] : [1, 2, 3]))
        #expect(Int(consumer.lost) == 4 - kept.count)
        Self.flood(node, "0x1", 5...5)
        #expect(Self.numbers(consumer) == [5])
    }

    @Test("Records that gave way are kept at both ends of the loss")
    func lostRecords() {
        for policy in [BufferPolicy.dropOldest, .dropNewest, .coalesce] {
            var arena = Arena()
            for number in 1...9 {
                withPadded("\(number)") { bytes in
                    if arena.append(bytes, limit: 40) { return }
                    switch policy {
                    case .dropNewest: arena.close(losing: bytes)
                    case .coalesce:
                        _ = arena.loseAll()
                        _ = arena.append(bytes, limit: 40)
                    default:
                        _ = arena.makeRoom(forRecord: bytes.count, limit: 40)
                        _ = arena.append(bytes, limit: 40)
                    }
                }
            }
            var held: [String] = []
            if policy == .dropNewest {
                let early = arena.takeLoss() == nil
                #expect(early, "behind those held")
                while let record = arena.first {
                    held.append(text(record))
                    arena.removeFirst()
                }
            }
            let loss = arena.takeLoss()
            while let record = arena.first {
                held.append(text(record))
                arena.removeFirst()
            }
            let ends = loss?.records.map { [$0.withFirst { text($0) }, $0.withLast { text($0) }] }
            switch policy {
            case .dropNewest: #expect(held == ["1", "2", "3", "4", "5"] && ends == ["6", "9"] && loss?.count == 4)
            case .coalesce: #expect(held == ["6", "7", "8", "9"] && ends == ["1", "5"] && loss?.count == 5)
            default: #expect(held == ["5", "6", "7", "8", "9"] && ends == ["1", "4"] && loss?.count == 4)
            }
            let again = arena.takeLoss() == nil
            #expect(again, "told once")
        }
    }

    // MARK: All buffers together

    private static func crowded(_ limit: Int) -> (ProcessorHarness, BufferBudget) {
        let budget = BufferBudget(limit: limit)
        return (ProcessorHarness { $0.bufferBudget = budget }, budget)
    }

    private static func activate(
        _ node: ProcessorHarness,
        _ local: UInt64,
        _ policy: BufferPolicy,
        _ priority: BufferPriority,
        _ budget: BufferBudget
    ) -> TestConsumer {
        let buffer = SubscriptionBuffer(limit: 1 << 20, policy: policy, priority: priority, budget: budget)
        let id = node.subscribe(local, buffer)
        node.respond(id, "\"0x\(local)\"")
        return TestConsumer(buffer)
    }

    @Test("When all buffers are full together, the lowest priority gives way first, and its loss is told")
    func priority() {
        let (node, budget) = Self.crowded(64 << 10)
        let low = Self.activate(node, 1, .dropOldest, .low, budget)
        let normal = Self.activate(node, 2, .dropOldest, .normal, budget)
        let high = Self.activate(node, 3, .fail, .high, budget)
        Self.flood(node, "0x1", 1...200)
        Self.flood(node, "0x2", 1...100)
        Self.flood(node, "0x3", 1...200)
        #expect(budget.used <= budget.limit)
        let (kept, middle, top) = (Self.numbers(low), Self.numbers(normal), Self.numbers(high))
        #expect(kept.count + Int(low.lost) == 200 && low.lost > 0)
        #expect(middle == Array(1...100) && normal.lost == 0)
        #expect(top == Array(1...200) && high.failure == nil)
    }

    @Test("A stream that is to fail gives way to a higher priority by failing, with a word; not to an equal one")
    func failing() {
        let (node, budget) = Self.crowded(64 << 10)
        let low = Self.activate(node, 1, .fail, .low, budget)
        let one = Self.activate(node, 2, .fail, .normal, budget)
        Self.flood(node, "0x1", 1...400)
        Self.flood(node, "0x2", 1...250)
        _ = low.drain()
        #expect(low.failure?.code == .consumerTooSlow)
        #expect(low.failure?.message.contains("notifications were dropped") == true)
        #expect(Self.numbers(one) == Array(1...250) && one.failure == nil)
        let other = Self.activate(node, 3, .fail, .normal, budget)
        Self.flood(node, "0x2", 251...450)
        Self.flood(node, "0x3", 1...100)
        #expect(budget.used <= budget.limit)
        #expect(Self.numbers(one).first == 251)
        _ = other.drain()
        _ = one.drain()
        #expect(one.failure == nil && other.failure?.code == .consumerTooSlow)
    }

    @Test("Of one priority the fullest gives way; one that drops its newest takes no more until it was read")
    func fullest() {
        let (node, budget) = Self.crowded(64 << 10)
        let full = Self.activate(node, 1, .dropNewest, .normal, budget)
        let small = Self.activate(node, 2, .coalesce, .normal, budget)
        Self.flood(node, "0x1", 1...400)
        Self.flood(node, "0x2", 1...200)
        #expect(Self.numbers(small) == Array(1...200) && small.lost == 0)
        Self.flood(node, "0x1", 401...410)
        #expect(Self.numbers(full) == [] && full.lost == 410)
        Self.flood(node, "0x1", 411...412)
        #expect(Self.numbers(full) == [411, 412] && full.lost == 410)
    }

    @Test("Memory that consumers have done with comes back, and all of it when they are gone")
    func givenBack() {
        let (node, budget) = Self.crowded(640 << 10)
        do {
            let consumer = Self.activate(node, 1, .dropOldest, .normal, budget)
            Self.flood(node, "0x1", 1...20_000)
            #expect(budget.used > 0 && budget.used <= budget.limit)
            #expect(Self.numbers(consumer).last == 20_000)
            // The block is given back as soon as it is empty, because memory is short.
            Self.flood(node, "0x1", 20_001...20_001)
            #expect(Self.numbers(consumer) == [20_001])
            #expect(budget.used < 64 << 10)
            node.unsubscribe(1)
        }
        #expect(budget.used == 0)
    }

    @Test("Random notifications, priorities, policies and consumers: memory within the limit, nothing unaccounted")
    func model() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = TestRandom(seed: seed)
        for _ in 0..<30 {
            let (node, budget) = Self.crowded((32 << 10) << random.below(3))
            let policies: [BufferPolicy] = [.dropOldest, .dropNewest, .coalesce]
            let consumers = (1...4).map { local in
                Self.activate(
                    node,
                    UInt64(local),
                    policies[random.below(3)],
                    [BufferPriority.low, .normal, .high][random.below(3)],
                    budget
                )
            }
            var sent = Array(repeating: 0, count: 4)
            var received = Array(repeating: 0, count: 4)
            var last = Array(repeating: 0, count: 4)
            for _ in 0..<200 {
                let index = random.below(4)
                if random.below(3) > 0 {
                    let count = 1 + random.below(60)
                    Self.flood(
                        node,
                        "0x\(index + 1)",
                        sent[index] + 1...sent[index] + count,
                        padding: random.below(300)
                    )
                    sent[index] += count
                } else {
                    for number in Self.numbers(consumers[index]) {
                        #expect(number > last[index], "seed \(seed)")
                        last[index] = number
                        received[index] += 1
                    }
                }
                #expect(budget.used <= budget.limit, "seed \(seed)")
            }
            for index in 0..<4 {
                received[index] += Self.numbers(consumers[index]).count
                #expect(received[index] + Int(consumers[index].lost) == sent[index], "seed \(seed)")
            }
        }
    }

    // MARK: What is told

    @Test("A consumer beyond the threshold is told once, and again when it had caught up")
    func warning() {
        let node = ProcessorHarness { $0.warningThreshold = 2000 }
        let consumer = node.activate(1, "\"0x1\"", policy: .dropOldest)
        Self.flood(node, "0x1", 1...10)
        #expect(node.notices.isEmpty)
        for round in 1...2 {
            for _ in 0..<5 { Self.flood(node, "0x1", 1...20) }
            let told = node.notices.filter { if case .slowConsumer = $0 { true } else { false } }
            #expect(told.count == round)
            _ = consumer.drain()
            Self.flood(node, "0x1", 1...1)
            _ = consumer.drain()
        }
    }

    @Test("Depth, high-water mark, losses and pauses of each subscription")
    func statistics() {
        let node = ProcessorHarness()
        let dropping = node.activate(1, "\"0x1\"", limit: 8192, policy: .dropOldest)
        _ = node.activate(2, "\"0x2\"", limit: 8192, policy: .suspendReading)
        Self.flood(node, "0x1", 1...10)
        var all = node.processor.subscriptionStatistics
        #expect(all.map(\.depth.count) == [10, 0] && all[0].highWater == all[0].depth.bytes)
        Self.flood(node, "0x1", 11...1000)
        Self.flood(node, "0x2", 1...1000)
        all = node.processor.subscriptionStatistics
        #expect(all[0].lost == UInt64(1000 - all[0].depth.count) && all[0].highWater <= 4096)
        #expect(all[1].depth.count == 1000 && all[1].pauses == 1 && all[1].lost == 0)
        let depth = all[0].depth.count
        #expect(Self.numbers(dropping).count == depth)
        all = node.processor.subscriptionStatistics
        #expect(all[0].depth.count == 0 && all[0].highWater > 3000)
    }
}
