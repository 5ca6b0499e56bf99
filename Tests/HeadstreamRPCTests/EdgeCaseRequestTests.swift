import Testing

@testable import HeadstreamRPC

@Suite("Edge cases, part B: requests")
struct EdgeCaseRequestTests {
    @Test("Edge case 16: the waiter is registered before the message goes out")
    func registered() {
        var processor = RequestProcessor(limits: .init(), ids: RequestIDs(), seed: 1)
        var actions = RequestProcessorActions()
        let outcomes = Outcomes()
        let id = processor.ids.take()
        processor.submit(id, text: [], now: 0, deadline: 9, waiter: outcomes.waiter("a"), actions: &actions)
        // Nothing was written yet, and the answer is already matched.
        withPadded("{\"id\":\(id.rawValue),\"result\":1}") { processor.received($0, now: 1, actions: &actions) }
        for resumption in actions.resumptions { resumption.waiter.resume(with: resumption.outcome) }
        #expect(outcomes.result("a") == "1")
    }

    @Test("Edge case 17: a doubled, late, early or unknown answer is noted and harms nobody")
    func doubled() {
        let node = ProcessorHarness { $0.maxInFlight = 1 }
        let first = node.call("a", timeout: 10)
        let queued = node.call("b")
        node.respond(queued, "\"too early\"")
        #expect(node.outcomes["b"].isEmpty)
        node.respond(first)
        node.respond(first)
        node.respond(RequestID(rawValue: 999_999))
        node.respond(RequestID(rawValue: 0))
        node.respond(queued, "\"right\"")
        #expect(node.outcomes["a"].count == 1)
        #expect(node.outcomes.result("b") == "\"right\"")
        let late = node.call("c", timeout: 5)
        node.advance(to: node.now + 5)
        node.respond(late)
        #expect(node.outcomes.error("c")?.code == .timedOut)
        #expect(node.notices.count == 5)
        #expect(node.isEmpty)
    }

    @Test("Edge case 18: 1,000 requests that time out leave nothing")
    func timeouts() {
        let node = ProcessorHarness()
        let ids = (0..<1000).map { node.call("\($0)", timeout: UInt64(10 + $0 % 7)) }
        #expect(node.processor.inFlight == 100 && node.sent.count == 100)
        node.advance(to: node.now + 100)
        for index in 0..<1000 {
            #expect(node.outcomes.error("\(index)")?.code == .timedOut)
            #expect(node.outcomes.error("\(index)")?.wasSent == (index < 100))
        }
        #expect(node.isEmpty && node.processor.deadlines.count == 0 && node.processor.queuedTexts.isEmpty)
        for id in ids { node.respond(id) }
        #expect(node.isEmpty && node.sent.count == 100)
    }

    @Test("Edge case 18: 1,000 subscribe requests that time out are unsubscribed when their answers come")
    func lateSubscribes() {
        let node = ProcessorHarness()
        let ids = (0..<1000).map { number in
            node.subscribe(UInt64(number), SubscriptionBuffer(limit: 8192, policy: .fail), timeout: 10)
        }
        let asked = node.sent.count
        node.advance(to: node.now + 10)
        #expect(node.isEmpty && node.processor.subscriptionCount == 0 && asked == 100)
        for (number, id) in ids.prefix(asked).enumerated() { node.respond(id, "\"0x\(number)\"") }
        #expect(node.sent("eth_unsubscribe").count == asked)
        for message in node.sent.suffix(asked) { node.respond(message.id, "true") }
        #expect(node.isEmpty && node.processor.departing.isEmpty)
    }

    @Test("Edge case 19: ids are unique and below 2^53; nothing else takes ids of its own")
    func ids() {
        let ids = RequestIDs()
        var seen: Set<UInt64> = []
        for number in 0..<1000 {
            let count = 1 + number % 5
            let first = ids.take(count, kind: UInt64(number % 16))
            for offset in 0..<count { #expect(seen.insert(first.advanced(by: offset).rawValue).inserted) }
        }
        #expect((seen.max() ?? 0) < 1 << 53)
        // An unsubscribe request gets an id from the same source.
        let node = ProcessorHarness()
        _ = node.activate(1, "\"0xa\"")
        let call = node.call("a")
        node.unsubscribe(1)
        #expect(Set(node.sent.map(\.id)).count == 3 && node.sent.last?.id != call)
    }

    @Test("Edge case 20: 500 in flight, and none is forgotten")
    func many() {
        let node = ProcessorHarness { $0.maxInFlight = 1000 }
        let consumer = node.activate(1, "\"0xa\"")
        let ids = (0..<700).map { node.call("\($0)") }
        #expect(node.processor.inFlight == 700)
        for (index, id) in ids.enumerated().reversed() {
            node.respond(id, "\(index)")
            node.receive(notification("\"0xa\"", "\(index)"))
        }
        for index in 0..<700 { #expect(node.outcomes.result("\(index)") == "\(index)") }
        #expect(consumer.drain().count == 700)
        #expect(node.isEmpty)
    }

    @Test("Edge case 22: the end of the connection fails what waits at once, in the order of asking")
    func closes() {
        let node = ProcessorHarness { $0.maxInFlight = 2 }
        let consumer = node.activate(1, "\"0xa\"")
        for name in ["a", "b", "c"] { node.call(name) }
        node.subscribe(2, SubscriptionBuffer(limit: 8192, policy: .fail))
        node.receive(notification("\"0xa\"", "1"))
        node.lose(RPCError(.connectionClosed, "closed with 1000"))
        node.lose(RPCError(.connectionClosed, "again"))
        for (name, wasSent) in [("a", true), ("b", true), ("c", false), ("subscribe 2", false)] {
            #expect(node.outcomes.error(name)?.message == "closed with 1000")
            #expect(node.outcomes.error(name)?.wasSent == wasSent)
        }
        #expect(consumer.drain() == ["1"] && consumer.failure?.message == "closed with 1000")
        #expect(node.ended.map(\.rawValue) == [1])
        node.call("late")
        #expect(node.outcomes.error("late")?.message == "closed with 1000")
        #expect(node.isEmpty && node.processor.subscriptionCount == 0)
    }

    @Test("Edge case 23: a message that could not be written gives exactly one error, whatever follows")
    func unwritten() {
        let node = ProcessorHarness { $0.maxInFlight = 3 }
        let single = node.call("a")
        let batch = node.batch(["b", "c"])
        node.call("d")
        node.writeRefused(single)
        node.writeRefused(batch)
        node.writeRefused(batch)
        #expect(node.processor.inFlight == 1, "what waited has its turn, as no answer will come to give it")
        node.lose()
        node.advance(to: .max)
        for name in ["a", "b", "c"] {
            #expect(node.outcomes.error(name)?.code == .sendBufferFull)
            #expect(node.outcomes.error(name)?.wasSent == false)
        }
        #expect(node.outcomes.error("d")?.code == .connectionClosed)
    }

    @Test("Edge case 24: cancelled while queued, while on the wire, after the answer, twice")
    func cancels() {
        let node = ProcessorHarness { $0.maxInFlight = 1 }
        let onWire = node.call("wire")
        let queued = node.call("queued")
        let last = node.call("last")
        node.cancel(queued)
        node.cancel(queued)
        #expect(node.outcomes.error("queued") == RPCError(.cancelled, "cancelled"))
        node.cancel(onWire)
        #expect(node.outcomes.error("wire")?.wasSent == true)
        #expect(node.sent.map(\.id) == [onWire, last], "the place on the wire goes to the next that still wants it")
        node.respond(onWire)
        node.respond(last)
        node.cancel(last)
        #expect(node.outcomes["last"].count == 1)
        #expect(node.isEmpty)
    }

    @Test("Edge case 24: a batch cancelled in part while it waits is sent once, for the others")
    func cancelsBatch() {
        let node = ProcessorHarness { $0.maxInFlight = 3 }
        let blocking = node.batch(["x", "y", "z"])
        let batch = node.batch(["a", "b", "c"])
        node.cancel(batch)
        node.cancel(batch.advanced(by: 2))
        for offset in 0..<3 { node.respond(blocking.advanced(by: offset)) }
        #expect(node.sent.map(\.id) == [blocking, batch] && node.processor.inFlight == 1)
        node.receive(
            "[{\"id\":\(batch.rawValue),\"result\":1},{\"id\":\(batch.advanced(by: 1).rawValue),\"result\":2}]"
        )
        #expect(node.outcomes.result("b") == "2" && node.outcomes.error("a")?.code == .cancelled)
        #expect(node.isEmpty)
        let whole = node.batch(["d", "e"])
        for offset in 0..<2 { node.cancel(whole.advanced(by: offset)) }
        #expect(node.isEmpty)
    }

    @Test("The window counts a batch's items; a larger batch, and a full queue, are refused by name")
    func window() {
        let node = ProcessorHarness {
            $0.maxInFlight = 4
            $0.maxQueued = 3
        }
        let batch = node.batch(["a", "b", "c"])
        node.batch(["d", "e"])
        let single = node.call("f")
        #expect(node.sent.count == 1 && node.processor.inFlight == 3 && single.rawValue > 0)
        node.call("g")
        #expect(node.outcomes.error("g")?.message.contains("maxQueuedRequests 3") == true)
        node.batch(["1", "2", "3", "4", "5"])
        #expect(node.outcomes.error("5")?.message.contains("maxInFlight 4") == true)
        node.respond(batch)
        #expect(node.sent.count == 2 && node.processor.inFlight == 4)
        node.respond(batch.advanced(by: 1))
        #expect(node.processor.inFlight == 4)
        node.batch([])
        #expect(node.sent.count == 3)
    }

    @Test("Edge case 97: broken JSON of ours, answered with id null, fails the request if it is alone, and is kept")
    func parseError() {
        let error = #"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}"#
        let node = ProcessorHarness()
        node.call("alone")
        node.receive(error)
        #expect(node.outcomes.error("alone")?.node?.code == -32700)
        #expect(node.processor.lastUnattributedError == nil)
        node.call("a")
        node.call("b")
        node.receive(error)
        #expect(node.outcomes["a"].isEmpty && node.outcomes["b"].isEmpty)
        #expect(node.processor.lastUnattributedError?.message == "parse error", "for the close that follows")
    }

    @Test("Edge case 114: a rate limit with id null is the one request's, or the one batch's")
    func limitWithoutID() {
        let error = #"{"jsonrpc":"2.0","id":null,"error":{"code":429,"message":"slow down, retry in 2s"}}"#
        let node = ProcessorHarness()
        node.call("alone")
        node.receive(error)
        #expect(node.outcomes.error("alone")?.code == .rateLimited)
        #expect(node.outcomes.error("alone")?.retryAfter == .seconds(2))
        node.batch(["a", "b"])
        node.receive(error)
        #expect(node.outcomes.error("b")?.code == .rateLimited)
        #expect(node.isEmpty)
    }
}
