import HeadstreamJSON
import Testing

@testable import HeadstreamRPC

@Suite("Edge cases, parts C, I and J: subscriptions")
struct EdgeCaseSubscriptionTests {
    private static func buffer() -> SubscriptionBuffer { SubscriptionBuffer(limit: 1 << 16, policy: .fail) }

    @Test("Edge case 25: notifications behind the answer in one frame, in front of it, and long before it")
    func firstNotifications() {
        let node = ProcessorHarness()
        let buffer = Self.buffer()
        let consumer = TestConsumer(buffer)
        let id = node.subscribe(1, buffer)
        node.receive(notification("\"0xa\"", "1"))
        node.receive(notification("\"0xb\"", "9"))
        node.receive(
            notification("\"0xa\"", "2") + "{\"id\":\(id.rawValue),\"result\":\"0xa\"}" + notification("\"0xa\"", "3")
        )
        #expect(consumer.drain() == ["1", "2", "3"])
        #expect(node.processor.orphans.isEmpty, "nobody is asked for any more")
        #expect(node.outcomes.result("subscribe 1") == "\"0xa\"")
    }

    @Test("Edge case 26: a subscribe answer that comes after its timeout is unsubscribed, orphans forgotten")
    func late() {
        let node = ProcessorHarness()
        let id = node.subscribe(1, Self.buffer(), timeout: 10)
        node.receive(notification("\"0xa\"", "1"))
        node.advance(to: node.now + 10)
        #expect(node.outcomes.error("subscribe 1")?.code == .timedOut)
        #expect(node.processor.orphans.isEmpty && node.processor.subscriptionCount == 0)
        node.respond(id, "\"0xa\"")
        #expect(node.sent("eth_unsubscribe").count == 1)
        #expect(node.sent("eth_unsubscribe")[0].contains("[\"0xa\"]"))
        node.refuse(node.sent[1].id, code: -32000, "subscription not found")
        #expect(node.isEmpty)
        // A late refusal asks for nothing.
        let other = node.subscribe(2, Self.buffer(), timeout: 10)
        node.advance(to: node.now + 10)
        node.refuse(other, code: -32601, "no")
        #expect(node.sent("eth_unsubscribe").count == 1)
    }

    @Test("Edge case 27: cancelled between request and answer, while queued, and by unsubscribing")
    func cancelled() {
        let node = ProcessorHarness { $0.maxInFlight = 1 }
        let sent = node.subscribe(1, Self.buffer())
        let queued = node.subscribe(2, Self.buffer())
        node.cancel(queued)
        node.cancel(sent)
        #expect(node.outcomes.error("subscribe 1")?.code == .cancelled)
        #expect(node.outcomes.error("subscribe 2")?.code == .cancelled)
        node.respond(sent, "\"0xa\"")
        #expect(node.sent("eth_subscribe").count == 1 && node.sent("eth_unsubscribe").count == 1)
        node.respond(node.sent[1].id, "true")
        let third = node.subscribe(3, Self.buffer())
        node.unsubscribe(3)
        #expect(node.outcomes.result("unsubscribe") == "true")
        #expect(node.outcomes.error("subscribe 3")?.code == .cancelled)
        node.respond(third, "\"0xc\"")
        #expect(node.sent("eth_unsubscribe").count == 2)
    }

    @Test("Edge case 28: two equal subscriptions with ids of their own live and end each for itself")
    func equal() {
        let node = ProcessorHarness()
        let one = node.activate(1, "\"0xa\"")
        let two = node.activate(2, "\"0xb\"")
        node.receive(notification("\"0xa\"", "1") + notification("\"0xb\"", "1"))
        node.unsubscribe(1)
        node.receive(notification("\"0xa\"", "2") + notification("\"0xb\"", "2"))
        #expect(one.drain() == ["1"] && one.hasFinished)
        #expect(two.drain() == ["1", "2"] && two.end == nil)
        #expect(node.sent("eth_unsubscribe").count == 1)
    }

    @Test("Edge case 29: one id for two requests: both get everything, the last one to leave tells the server")
    func shared() {
        let node = ProcessorHarness()
        let consumers = (1...3).map { node.activate($0, "7") }
        node.receive(notification("7", "1"))
        node.unsubscribe(1)
        #expect(node.sent("eth_unsubscribe").isEmpty && node.outcomes.result("unsubscribe") == "true")
        node.receive(notification("7", "2"))
        node.unsubscribe(3)
        node.receive(notification("7", "3"))
        #expect(consumers.map { $0.drain() } == [["1"], ["1", "2", "3"], ["1", "2"]])
        node.unsubscribe(2)
        #expect(node.sent("eth_unsubscribe").count == 1)
    }

    @Test("Edge case 31: the 101st subscription is refused, the others live")
    func refused() {
        let node = ProcessorHarness()
        let consumers = (0..<100).map { node.activate(UInt64($0), "\"0x\($0)\"") }
        let id = node.subscribe(100, Self.buffer())
        node.refuse(id, code: -32000, "too many subscriptions")
        #expect(node.outcomes.error("subscribe 100")?.node?.message == "too many subscriptions")
        for number in 0..<100 { node.receive(notification("\"0x\(number)\"", "\(number)")) }
        for number in 0..<100 { #expect(consumers[number].drain() == ["\(number)"]) }
        #expect(node.processor.subscriptionCount == 100)
    }

    @Test("Edge case 32: parameters go out as the caller wrote them, with nothing added")
    func parameters() {
        let text = RequestMessage.encode(id: RequestID(rawValue: 16), method: "eth_subscribe") { $0.write("newHeads") }
        #expect(
            String(decoding: text, as: UTF8.self)
                == #"{"jsonrpc":"2.0","id":16,"method":"eth_subscribe","params":["newHeads"]}"#
        )
    }

    @Test("Edge case 33: notifications of any method name are routed by their id; the kind's own name ends it")
    func names() {
        let node = ProcessorHarness()
        let methods = SubscriptionMethods(subscribe: "logsSubscribe", unsubscribe: "logsUnsubscribe")
        let consumer = node.activate(1, "24040", methods: methods)
        for method in ["logsNotification", "chain_newHead", "starknet_subscriptionReorg"] {
            node.receive(#"{"method":"\#(method)","params":{"result":{"m":"\#(method)"},"subscription":24040}}"#)
        }
        #expect(consumer.drain().count == 3)
        node.unsubscribe(1)
        #expect(node.sent("logsUnsubscribe").count == 1)
        // A late answer of that kind too.
        let id = node.subscribe(2, Self.buffer(), timeout: 10, methods: methods)
        node.advance(to: node.now + 10)
        node.respond(id, "24041")
        #expect(node.sent("logsUnsubscribe").count == 2)
    }

    @Test("Edge case 34: the server's word that one subscription is over ends that one, with its reason")
    func endedByServer() {
        let node = ProcessorHarness()
        let one = node.activate(1, "\"0xa\"")
        let two = node.activate(2, "\"0xa\"")
        let other = node.activate(3, "\"0xb\"")
        node.receive(notification("\"0xa\"", "1") + notification("\"0xb\"", "1"))
        node.receive(#"{"method":"s","params":{"subscription":"0xa","error":{"code":1,"message":"lagging"}}}"#)
        for consumer in [one, two] {
            #expect(consumer.drain() == ["1"])
            #expect(consumer.failure?.code == .subscriptionEnded)
            #expect(consumer.failure?.message.contains("lagging") == true)
        }
        #expect(other.drain() == ["1"] && other.end == nil)
        #expect(Set(node.ended.map(\.rawValue)) == [1, 2])
        node.unsubscribe(1)
        #expect(node.sent("eth_unsubscribe").isEmpty && node.outcomes.result("unsubscribe") == "false")
    }

    @Test(
        "Edge case 81: unsubscribing from a node that does not answer ends with its own timeout, or the connection's end"
    )
    func unanswered() {
        let node = ProcessorHarness { $0.unsubscribeTimeout = 50 }
        _ = node.activate(1, "\"0xa\"")
        _ = node.activate(2, "\"0xb\"")
        node.unsubscribe(1, "one")
        #expect(node.processor.nextDeadline == node.now + 50 || node.processor.nextDeadline != nil)
        node.advance(to: node.now + 50)
        #expect(node.outcomes.error("one")?.code == .timedOut)
        node.unsubscribe(2, "two")
        node.lose()
        #expect(node.outcomes.error("two")?.code == .connectionClosed)
        #expect(node.isEmpty && node.processor.departing.isEmpty)
    }

    @Test("Edge case 81: an unsubscribe request passes the queue of calls, and a full queue does not refuse it")
    func urgent() {
        let node = ProcessorHarness {
            $0.maxInFlight = 2
            $0.maxQueued = 3
        }
        _ = node.activate(1, "\"0xa\"")
        let first = node.call("a")
        for name in ["b", "c", "d", "e"] { node.call(name) }
        node.unsubscribe(1)
        #expect(node.sent("eth_unsubscribe").isEmpty)
        node.respond(first)
        #expect(node.sent("eth_unsubscribe").count == 1)
    }

    @Test("Edge case 82: unsubscribing twice tells the server once")
    func twice() {
        let node = ProcessorHarness()
        let consumer = node.activate(1, "\"0xa\"")
        node.receive(notification("\"0xa\"", "1"), publishes: false)
        node.unsubscribe(1, "one")
        node.unsubscribe(1, "two")
        #expect(node.outcomes.result("two") == "false" && node.sent("eth_unsubscribe").count == 1)
        node.respond(node.sent[1].id, "true")
        #expect(node.outcomes.result("one") == "true")
        #expect(consumer.drain() == ["1"] && consumer.hasFinished)
    }

    @Test("Edge case 83: events between the unsubscribe request and its answer are dropped, and push out no orphans")
    func between() {
        let node = ProcessorHarness { $0.orphanBytes = 4096 }
        _ = node.activate(1, "\"0xa\"")
        let buffer = Self.buffer()
        let id = node.subscribe(2, buffer)
        node.unsubscribe(1)
        node.receive(notification("\"0xb\"", "1"))
        for number in 0..<1000 { node.receive(notification("\"0xa\"", "\(number)")) }
        node.respond(id, "\"0xb\"")
        #expect(TestConsumer(buffer).drain() == ["1"])
        #expect(node.notices == [])
    }

    @Test("Edge case 91: nothing depends on an order between subscriptions")
    func interleaved() {
        let node = ProcessorHarness()
        let one = node.activate(1, "\"0xa\"")
        let two = node.activate(2, "\"0xb\"")
        for number in 0..<50 {
            let messages = [notification("\"0xa\"", "\(number)"), notification("\"0xb\"", "\(number)")]
            node.receive((number % 3 == 0 ? messages : messages.reversed()).joined())
        }
        #expect(one.drain() == (0..<50).map { "\($0)" } && two.drain() == (0..<50).map { "\($0)" })
    }

    @Test(
        "Edge case 93: subscription ids of odd shape",
        arguments: [
            "\"0x30354c71367464347958646d67304475\"", "\"0x0\"", "\"0x1\"", "0",
            "340282366920938463463374607431768211455",
            "\"a b\"", "\"\\u0041\\\"\"", "\"0x\(String(repeating: "f", count: 1000))\"", "\"🙂\"",
        ]
    )
    func oddIDs(_ serverID: String) {
        let node = ProcessorHarness()
        let consumer = node.activate(1, serverID)
        for number in 0..<3 { node.receive(notification(serverID, "{\"n\":\(number)}")) }
        #expect(consumer.drain() == ["{\"n\":0}", "{\"n\":1}", "{\"n\":2}"])
        node.unsubscribe(1)
        #expect(node.sent.last?.text.contains("[\(serverID)]") == true)
    }

    @Test(
        "Edge case 93: an answer that is no id refuses the subscription",
        arguments: ["null", "true", "{}", "\"\"", "-1", "1.5"]
    )
    func noID(_ answer: String) {
        let node = ProcessorHarness()
        let id = node.subscribe(1, Self.buffer())
        node.respond(id, answer)
        #expect(node.outcomes.error("subscribe 1")?.code == .malformedResponse)
        #expect(node.processor.subscriptionCount == 0)
    }

    @Test("Edge case 94: an unsubscribe answered by an error or by false still ends")
    func unsubscribeAnswers() {
        let node = ProcessorHarness()
        _ = node.activate(1, "\"0xa\"")
        _ = node.activate(2, "\"0xb\"")
        node.unsubscribe(1, "one")
        node.unsubscribe(2, "two")
        node.refuse(node.sent[2].id, code: -32000, "subscription not found")
        node.respond(node.sent[3].id, "false")
        #expect(node.outcomes.error("one")?.node?.code == -32000)
        #expect(node.outcomes.result("two") == "false")
        #expect(node.isEmpty)
    }

    @Test(
        "Edge case 95: the error for an unknown kind of subscription keeps code, text and data",
        arguments: [-32601, -32602, -32004]
    )
    func unknownKind(_ code: Int) {
        let node = ProcessorHarness()
        let id = node.subscribe(1, Self.buffer())
        node.receive(
            """
            {"jsonrpc":"2.0","id":\(id.rawValue),"error":{"code":\(code),"message":"no \\"x\\" subscription",
            "data":{"message":"m","data":{"method":"eth_subscribe","params":["x"]}}}}
            """
        )
        let error = node.outcomes.error("subscribe 1")
        #expect(error?.code == .node && error?.node?.code == Int64(code) && error?.wasSent == true)
        #expect(error?.message == "no \"x\" subscription")
        #expect(error?.node?.data?["data"]?["method"] == .string("eth_subscribe"))
    }

    @Test("Edge case 120: a flood of unknown ids costs bounded memory, and nothing once nobody is asked for")
    func unknownIDs() {
        let node = ProcessorHarness { $0.orphanBytes = 100_000 }
        let id = node.subscribe(1, Self.buffer())
        for number in 0..<20_000 { node.receive(notification("\"0x\(number)\"", "{\"n\":\(number)}")) }
        #expect(node.processor.orphans.byteCount <= 100_000 && node.processor.orphans.count > 0)
        node.cancel(id)
        #expect(node.processor.orphans.isEmpty)
        node.receive(notification("\"0x1\"", "1"))
        #expect(node.processor.orphans.isEmpty)
    }
}
