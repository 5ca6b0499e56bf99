import HeadstreamJSON
import Testing

@testable import HeadstreamRPC

/// Random facts in random order, against what must hold whatever comes.
@Suite("RequestProcessor: random facts")
struct RequestProcessorModelTests {
    @Test("Every waiter is told once, the window holds, nothing is sent twice, nothing is left", arguments: 0..<8)
    func model(_ round: Int) {
        let seed = UInt64.random(in: 0 ... .max)
        self.run(seed: seed, steps: 1500)
    }

    @Test("The same seed gives the same messages in the same order")
    func determinism() {
        let seed = UInt64.random(in: 0 ... .max)
        let one = self.run(seed: seed, steps: 800)
        #expect(one == self.run(seed: seed, steps: 800), "seed \(seed)")
        #expect(!one.isEmpty)
    }

    @discardableResult
    private func run(seed: UInt64, steps: Int) -> [String] {
        var random = TestRandom(seed: seed)
        let window = 2 + random.below(12)
        let node = ProcessorHarness(seed: random.next()) {
            $0.maxInFlight = window
            $0.maxQueued = 40
            $0.orphanBytes = 2000
            $0.unsubscribeTimeout = 60
        }
        var names: [String] = []
        var answered = 0
        var asked: [RequestID] = []
        var consumers: [UInt64: TestConsumer] = [:]

        for step in 0..<steps {
            switch random.below(14) {
            case 0, 1, 2:
                names.append("call \(step)")
                asked.append(node.call("call \(step)", timeout: UInt64(1 + random.below(100))))
            case 3:
                let items = (0..<1 + random.below(window + 1)).map { "batch \(step).\($0)" }
                names += items
                let first = node.batch(items, timeout: UInt64(1 + random.below(100)))
                asked += items.indices.map { first.advanced(by: $0) }
            case 4, 5:
                let policy: BufferPolicy = [.fail, .dropOldest, .suspendReading][random.below(3)]
                let buffer = SubscriptionBuffer(limit: 8192, policy: policy)
                names.append("subscribe \(step)")
                let kind = [nil, "heads", "logs"][random.below(3)]
                asked.append(
                    node.subscribe(UInt64(step), buffer, timeout: UInt64(1 + random.below(100)), sharing: kind)
                )
                consumers[UInt64(step)] = TestConsumer(buffer)
            case 6, 7, 8:
                // An answer to something that was written, perhaps for the second time.
                guard !node.sent.isEmpty else { continue }
                let message = node.sent[max(0, node.sent.count - 1 - random.below(window * 2))]
                self.answer(message, node, &random)
                answered += 1
            case 9:
                let result = "{\"n\":\"\(String(repeating: "x", count: random.below(2000)))\"}"
                let frame = (0...random.below(5)).map { _ in notification("\"0x\(random.below(12))\"", result) }
                node.receive(frame.joined(), publishes: random.below(2) == 0)
            case 10:
                if !asked.isEmpty { node.cancel(asked[random.below(asked.count)]) }
            case 11:
                node.advance(to: node.now + UInt64(random.below(40)))
            case 12:
                if let local = consumers.keys.sorted().randomElement(using: &random) {
                    if random.below(2) == 0 {
                        names.append("unsubscribe \(step)")
                        node.unsubscribe(local, "unsubscribe \(step)")
                    } else {
                        _ = consumers[local]?.drain()
                    }
                }
            default:
                switch random.below(4) {
                case 0: node.writeRefused(node.sent.last?.id ?? RequestID(rawValue: 5))
                case 1: node.receive(#"{"id":null,"error":{"code":-32700,"message":"parse error"}}"#)
                case 2: node.receive(#"{"params":{"subscription":"0x\#(random.below(12))","error":"over"}}"#)
                default: node.receive("[{\"id\":3},{")
                }
            }
            #expect(node.processor.inFlight <= window && node.processor.inFlight >= 0, "seed \(seed)")
            let joined = node.processor.joinedRequests
            #expect(joined.allSatisfy { node.processor.entries[$0]?.purpose.isJoin == true }, "seed \(seed)")
            let waiting = node.processor.inFlight + node.processor.queuedCount + joined.count
            #expect(node.processor.waitingCount == waiting, "seed \(seed)")
            #expect(node.processor.orphans.byteCount <= 2000, "seed \(seed)")
        }
        if random.below(2) == 0 { node.advance(to: node.now + 1000) } else { node.lose() }
        // Unsubscribe requests of the last moment have deadlines of their own.
        node.advance(to: node.now + 1000)
        for name in names { #expect(node.outcomes[name].count == 1, "seed \(seed): \(name)") }
        #expect(node.outcomes.all.count == names.count, "seed \(seed)")
        #expect(Set(node.sent.map(\.id)).count == node.sent.count, "seed \(seed)")
        #expect(node.isEmpty && node.processor.queuedTexts.isEmpty, "seed \(seed)")
        #expect(node.processor.departing.isEmpty && node.processor.pendingSubscribes == 0, "seed \(seed)")
        #expect(node.processor.batchItemsInFlight == 0, "seed \(seed)")
        #expect(node.processor.joinedRequests.isEmpty, "seed \(seed)")
        node.lose()
        for consumer in consumers.values { _ = consumer.drain() }
        #expect(node.processor.subscriptionCount == 0 && node.processor.sharing.isEmpty, "seed \(seed)")
        #expect(answered > 0)
        return node.sent.map(\.text) + node.ended.map { "ended \($0.rawValue)" }
    }

    private func answer(_ message: (id: RequestID, text: String), _ node: ProcessorHarness, _ random: inout TestRandom)
    {
        guard let value = try? JSONValue(parsing: Array(message.text.utf8)) else { return }
        func one(_ id: UInt64) -> String {
            switch random.below(6) {
            case 0: "{\"id\":\(id),\"error\":{\"code\":-32000,\"message\":\"no\"}}"
            case 1: "{\"id\":\"\(id)\",\"result\":\"0x\(random.below(12))\"}"
            case 2: "{\"id\":\(id)}"
            default: "{\"id\":\(id),\"result\":\"0x\(random.below(12))\"}"
            }
        }
        switch value {
        case .array(let items):
            var answers = items.indices.map { one(message.id.advanced(by: $0).rawValue) }
            answers.shuffle(using: &random)
            if random.below(4) == 0 { answers.removeLast() }
            node.receive("[" + answers.joined(separator: ",") + "]")
        default:
            node.receive(one(message.id.rawValue))
        }
    }
}

extension RequestProcessor {
    /// Those that wait for another's answer.
    fileprivate var joinedRequests: [RequestID] {
        self.sharing.values.flatMap { sharing -> [RequestID] in
            guard case .asked(_, let joined) = sharing else { return [] }
            return joined
        }
    }
}
