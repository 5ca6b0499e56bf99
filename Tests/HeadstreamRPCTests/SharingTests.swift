import HeadstreamJSON
import Testing

@testable import HeadstreamRPC

/// Equal subscriptions of one connection: one on the wire, a buffer for each consumer.
@Suite("Shared subscriptions")
struct SharingTests {
    private static func buffer(_ policy: BufferPolicy = .fail, limit: Int = 1 << 20) -> SubscriptionBuffer {
        SubscriptionBuffer(limit: limit, policy: policy)
    }

    @Test("Equal requests are one on the wire; each consumer gets all from its joining on, and the last one ends it")
    func lifetime() {
        let node = ProcessorHarness()
        let buffers = (1...4).map { _ in Self.buffer() }
        let first = node.subscribe(1, buffers[0], sharing: "heads")
        node.subscribe(2, buffers[1], sharing: "heads")
        #expect(node.sent("eth_subscribe").count == 1 && node.processor.serverSubscriptionCount == 1)
        // In front of its answer, as some nodes send it: both wait for that one.
        node.receive(notification("\"0xa\"", "0"))
        node.respond(first, "\"0xa\"")
        #expect(node.outcomes.result("subscribe 1") == "\"0xa\"" && node.outcomes.result("subscribe 2") == "\"0xa\"")
        node.receive(notification("\"0xa\"", "1"))
        node.subscribe(3, buffers[2], sharing: "heads")
        #expect(node.outcomes.result("subscribe 3") == "\"0xa\"")
        node.receive(notification("\"0xa\"", "2"))
        // The one that the request was made for leaves first.
        node.unsubscribe(1, "one")
        #expect(node.outcomes.result("one") == "true" && node.sent("eth_unsubscribe").isEmpty)
        node.receive(notification("\"0xa\"", "3"))
        node.subscribe(4, buffers[3], sharing: "heads")
        node.receive(notification("\"0xa\"", "4"))
        let told = buffers.map { TestConsumer($0).drain() }
        #expect(told == [["0", "1", "2"], ["0", "1", "2", "3", "4"], ["2", "3", "4"], ["4"]])
        for local: UInt64 in [3, 2] { node.unsubscribe(local, "\(local)") }
        #expect(node.sent("eth_unsubscribe").isEmpty && node.processor.subscriptionCount == 1)
        node.unsubscribe(4, "four")
        #expect(node.sent("eth_unsubscribe").count == 1 && node.processor.serverSubscriptionCount == 0)
        #expect(node.processor.sharing.isEmpty && node.sent("eth_subscribe").count == 1)
    }

    @Test("Who comes while the last one is leaving gets a subscription of the server's of its own")
    func afterTheLast() {
        let node = ProcessorHarness()
        let (one, two) = (Self.buffer(), Self.buffer())
        let first = node.subscribe(1, one, sharing: "heads")
        node.respond(first, "\"0xa\"")
        node.unsubscribe(1)
        let second = node.subscribe(2, two, sharing: "heads")
        #expect(node.sent("eth_subscribe").count == 2 && node.sent("eth_unsubscribe").count == 1)
        // What is still under way on the first id is nobody's.
        node.receive(notification("\"0xa\"", "1"))
        node.respond(second, "\"0xb\"")
        node.receive(notification("\"0xb\"", "2"))
        #expect(TestConsumer(two).drain() == ["2"])
    }

    @Test("A refusal is told to all that wait for the same answer, and nothing is left of them")
    func refusal() {
        let node = ProcessorHarness()
        let first = node.subscribe(1, Self.buffer(), sharing: "heads")
        node.subscribe(2, Self.buffer(), sharing: "heads")
        node.subscribe(3, Self.buffer(), sharing: "logs")
        node.refuse(first, code: -32601, "no such subscription")
        for local in 1...2 {
            #expect(node.outcomes.error("subscribe \(local)")?.node?.message == "no such subscription")
        }
        #expect(node.outcomes["subscribe 3"].isEmpty && node.processor.waitingCount == 1)
        node.subscribe(4, Self.buffer(), sharing: "heads")
        #expect(node.sent("eth_subscribe").count == 3, "a refusal is not remembered")
    }

    @Test("An answer that is no id, a request that could not be written and a lost connection are told to all")
    func failures() {
        let node = ProcessorHarness()
        let first = node.subscribe(1, Self.buffer(), sharing: "heads")
        node.subscribe(2, Self.buffer(), sharing: "heads")
        node.respond(first, "{}")
        let third = node.subscribe(3, Self.buffer(), sharing: "heads")
        node.subscribe(4, Self.buffer(), sharing: "heads")
        node.writeRefused(third)
        node.subscribe(5, Self.buffer(), sharing: "heads")
        node.subscribe(6, Self.buffer(), sharing: "heads")
        node.lose()
        let codes = (1...6).map { node.outcomes.error("subscribe \($0)")?.code }
        let wanted: [RPCError.Code?] = [.malformedResponse, .sendBufferFull, .connectionClosed]
        #expect(codes == wanted.flatMap { [$0, $0] })
        #expect(node.isEmpty && node.processor.sharing.isEmpty && node.processor.subscriptionCount == 0)
    }

    @Test("Where the first gives up before its answer the next asks itself, and the late answer is ended")
    func handedOn() {
        let node = ProcessorHarness()
        let buffers = (1...3).map { _ in Self.buffer() }
        let ids = (0..<3).map { node.subscribe(UInt64($0 + 1), buffers[$0], sharing: "heads") }
        node.cancel(ids[0])
        #expect(node.outcomes.error("subscribe 1")?.code == .cancelled)
        #expect(node.sent.map(\.id) == [ids[0], ids[1]])
        node.respond(ids[0], "\"0xa\"")
        #expect(node.sent("eth_unsubscribe").last?.contains("0xa") == true)
        // The same by leaving.
        node.unsubscribe(2)
        #expect(node.sent.last?.id == ids[2])
        node.respond(ids[1], "\"0xb\"")
        node.respond(ids[2], "\"0xc\"")
        node.receive(notification("\"0xc\"", "1"))
        #expect(buffers.map { TestConsumer($0).drain() } == [[], [], ["1"]])
        #expect(node.outcomes.result("subscribe 3") == "\"0xc\"" && node.sent("eth_unsubscribe").count == 2)
    }

    @Test("One that waits for another's answer may leave, and its time is its own")
    func waiting() {
        let node = ProcessorHarness()
        let first = node.subscribe(1, Self.buffer(), timeout: 100, sharing: "heads")
        node.subscribe(2, Self.buffer(), timeout: 50, sharing: "heads")
        let third = node.subscribe(3, Self.buffer(), timeout: 200, sharing: "heads")
        let fourth = node.subscribe(4, Self.buffer(), sharing: "heads")
        #expect(node.processor.waitingCount == 4 && node.processor.inFlight == 1)
        node.cancel(fourth)
        #expect(node.outcomes.error("subscribe 4")?.code == .cancelled)
        node.advance(to: 1_060)
        #expect(node.outcomes.error("subscribe 2")?.code == .timedOut && node.sent.map(\.id) == [first])
        node.advance(to: 1_110)
        #expect(node.outcomes.error("subscribe 1")?.code == .timedOut && node.sent.map(\.id) == [first, third])
        node.advance(to: 1_300)
        #expect(node.outcomes.error("subscribe 3")?.code == .timedOut)
        #expect(node.isEmpty && node.processor.sharing.isEmpty)
    }

    @Test("Those that were due together with the first are not asked for again")
    func dueTogether() {
        let node = ProcessorHarness()
        for local: UInt64 in 1...3 { node.subscribe(local, Self.buffer(), timeout: 100, sharing: "heads") }
        node.advance(to: 2_000)
        for local in 1...3 { #expect(node.outcomes.error("subscribe \(local)")?.code == .timedOut) }
        #expect(node.sent.count == 1 && node.isEmpty)
    }

    @Test(
        "Edge case 63: of consumers that share a subscription, each loses by its own policy and limit, others nothing"
    )
    func policies() {
        let node = ProcessorHarness()
        let policies: [BufferPolicy] = [.fail, .dropOldest, .dropNewest, .coalesce]
        let small = policies.map { Self.buffer($0, limit: 8192) }
        let large = Self.buffer(limit: 1 << 24)
        let first = node.subscribe(10, large, sharing: "heads")
        for (index, buffer) in small.enumerated() { node.subscribe(UInt64(index), buffer, sharing: "heads") }
        node.respond(first, "\"0xa\"")
        let all = (0..<1000).map { "\($0)" }
        for number in all { node.receive(notification("\"0xa\"", number), publishes: false) }
        node.publish()
        #expect(TestConsumer(large).drain() == all)
        let failed = TestConsumer(small[0])
        let kept = failed.drain()
        #expect(kept == Array(all.prefix(kept.count)) && failed.failure?.code == .consumerTooSlow)
        #expect(node.ended == [LocalSubscriptionID(rawValue: 0)])
        #expect(TestConsumer(small[1]).drain().last == "999" && TestConsumer(small[2]).drain().first == "0")
        #expect(TestConsumer(small[3]).drain().last == "999")
        node.receive(notification("\"0xa\"", "1000"))
        #expect(TestConsumer(large).drain() == ["1000"])
        #expect(node.sent("eth_unsubscribe").isEmpty && !node.isSuspended)
        #expect(node.processor.subscriptionStatistics.map { $0.lost > 0 } == [true, true, true, false])
    }

    @Test("Edge case 63: a consumer that suspends reading suspends it for all that share, until it has drained or left")
    func suspending() {
        let node = ProcessorHarness()
        let (waiting, other) = (Self.buffer(.suspendReading, limit: 8192), Self.buffer())
        let first = node.subscribe(1, other, sharing: "heads")
        node.subscribe(2, waiting, sharing: "heads")
        node.respond(first, "\"0xa\"")
        for number in 0..<1000 { node.receive(notification("\"0xa\"", "\(number)"), publishes: false) }
        node.publish()
        #expect(node.isSuspended && TestConsumer(other).drain().count == 1000)
        #expect(!node.mayResumeReading())
        node.unsubscribe(2)
        #expect(!node.isSuspended && TestConsumer(waiting).drain().count == 1000)
    }

    @Test("The server's end ends all, and what is asked for afterwards is asked for anew")
    func endedByServer() {
        let node = ProcessorHarness()
        let buffers = (1...3).map { _ in Self.buffer() }
        let first = node.subscribe(1, buffers[0], sharing: "heads")
        node.respond(first, "\"0xa\"")
        for local: UInt64 in 2...3 { node.subscribe(local, buffers[Int(local) - 1], sharing: "heads") }
        node.receive(#"{"params":{"subscription":"0xa","error":"over"}}"#)
        for buffer in buffers {
            let consumer = TestConsumer(buffer)
            #expect(consumer.drain().isEmpty && consumer.failure?.code == .subscriptionEnded)
        }
        #expect(node.processor.sharing.isEmpty && node.ended.count == 3)
        node.subscribe(4, Self.buffer(), sharing: "heads")
        #expect(node.sent("eth_subscribe").count == 2)
    }

    @Test("One that is to be made anew leaves the others where they are, and gets another; they may be given one id")
    func forgotten() {
        let node = ProcessorHarness()
        let buffers = (1...3).map { _ in Self.buffer() }
        let first = node.subscribe(1, buffers[0], sharing: "heads")
        node.respond(first, "\"0xa\"")
        node.subscribe(2, buffers[1], sharing: "heads")
        node.forget(1)
        #expect(node.sent("eth_unsubscribe").isEmpty)
        let again = node.subscribe(1, buffers[0], sharing: "heads")
        node.subscribe(3, buffers[2], sharing: "heads")
        #expect(node.sent.last?.id == again && node.sent.count == 2)
        // Forgetting the one on the old id changes nothing for those that wait for the new one.
        node.forget(2)
        #expect(node.sent("eth_unsubscribe").count == 1)
        node.subscribe(2, buffers[1], sharing: "heads")
        node.respond(again, "\"0xb\"")
        node.receive(notification("\"0xb\"", "1"))
        #expect(buffers.map { TestConsumer($0).drain() } == [["1"], ["1"], ["1"]])
        #expect(node.sent("eth_subscribe").count == 2)
    }

    @Test(
        "Edge case 29: where the server gives equal requests one id too, it is told once for what it acknowledged once"
    )
    func serverSharesToo() {
        let methods = SubscriptionMethods(subscribe: "logsSubscribe", unsubscribe: "logsUnsubscribe", sharesIDs: true)
        let node = ProcessorHarness()
        let buffers = (1...3).map { _ in Self.buffer() }
        let first = node.subscribe(1, buffers[0], methods: methods, sharing: "logs")
        node.subscribe(2, buffers[1], methods: methods, sharing: "logs")
        node.respond(first, "7")
        // Spelt otherwise, and the same to the server.
        let other = node.subscribe(3, buffers[2], methods: methods, sharing: "logs, finalized")
        node.respond(other, "7")
        node.receive(#"{"method":"n","params":{"subscription":7,"result":1}}"#)
        #expect(buffers.map { TestConsumer($0).drain() } == [["1"], ["1"], ["1"]])
        node.unsubscribe(1)
        node.unsubscribe(2)
        #expect(node.sent("logsUnsubscribe").isEmpty)
        #expect(node.processor.sharing.count == 1, "who asks for the first ones' kind asks the server")
        node.unsubscribe(3)
        #expect(node.sent("logsUnsubscribe").count == 1)
        #expect(node.processor.lingering.values.map(\.remaining) == [1], "it acknowledged two")
    }

    @Test("Whole messages and results are kept side by side of one subscription")
    func wholeMessages() {
        var whole = SubscriptionMethods.ethereum
        whole.keepsMessages = true
        let node = ProcessorHarness()
        let (one, two) = (Self.buffer(), Self.buffer())
        let first = node.subscribe(1, one, methods: whole, sharing: "heads")
        node.respond(first, "\"0xa\"")
        node.subscribe(2, two, sharing: "heads")
        let message = notification("\"0xa\"", "1")
        for _ in 0..<2 { node.receive(message) }
        #expect(TestConsumer(one).drain() == [message, message] && TestConsumer(two).drain() == ["1", "1"])
        #expect(node.sent("eth_subscribe").count == 1)
    }
}

extension ProcessorHarness {
    fileprivate func forget(_ local: UInt64) {
        self.forget(LocalSubscriptionID(rawValue: local))
    }
}
