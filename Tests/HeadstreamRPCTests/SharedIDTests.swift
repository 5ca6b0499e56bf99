import HeadstreamJSON
import Testing

@testable import HeadstreamRPC

/// Servers that give equal requests one id, and names of other namespaces.
@Suite("Shared subscription ids and other names")
struct SharedIDTests {
    private static let solana = SubscriptionMethods(
        subscribe: "logsSubscribe",
        unsubscribe: "logsUnsubscribe",
        sharesIDs: true
    )

    private static func note(_ id: Int, _ result: String) -> String {
        #"{"jsonrpc":"2.0","method":"logsNotification","params":{"result":\#(result),"subscription":\#(id)}}"#
    }

    @Test("Edge case 29: equal requests with one id each get every notification, and one unsubscribe ends both")
    func shared() {
        let node = ProcessorHarness()
        let one = node.activate(1, "24040", methods: Self.solana)
        let two = node.activate(2, "24040", methods: Self.solana)
        node.receive(Self.note(24040, "1"))
        node.unsubscribe(1)
        #expect(node.sent("logsUnsubscribe").isEmpty, "the other one still holds the id")
        node.receive(Self.note(24040, "2"))
        #expect(one.drain() == ["1"] && two.drain() == ["1", "2"])
        node.unsubscribe(2, "two")
        #expect(node.sent("logsUnsubscribe").count == 1)
        node.respondToLast("true")
        #expect(node.outcomes.result("two") == "true")
        #expect(node.sent("logsUnsubscribe").count == 1, "a server that does not count has ended both")
    }

    @Test("Edge case 29: a server that counts is told once more for each notification, as often as it acknowledged")
    func counting() {
        let node = ProcessorHarness()
        for local in 1...3 { _ = node.activate(UInt64(local), "24040", methods: Self.solana) }
        for local in 1...3 { node.unsubscribe(UInt64(local), "\(local)") }
        for count in 1...3 {
            #expect(node.sent("logsUnsubscribe").count == count)
            node.receive(Self.note(24040, "1"))
            #expect(node.sent("logsUnsubscribe").count == count, "its answer is not there yet")
            node.respondToLast("true")
            node.receive(Self.note(24040, "1"))
        }
        #expect(node.sent("logsUnsubscribe").count == 3 && node.processor.lingering.isEmpty)
        node.receive(Self.note(24040, "1"))
        #expect(node.sent("logsUnsubscribe").count == 3)
    }

    @Test("Edge case 29: while an equal request waits for its answer, its id is not unsubscribed under it")
    func waiting() {
        let node = ProcessorHarness()
        _ = node.activate(1, "24040", methods: Self.solana)
        let buffer = SubscriptionBuffer(limit: 1 << 20, policy: .fail)
        let second = node.subscribe(2, buffer, methods: Self.solana)
        node.unsubscribe(1, "one")
        #expect(node.sent("logsUnsubscribe").isEmpty && node.outcomes.result("one") == "true")
        node.respond(second, "24040")
        #expect(node.sent("logsUnsubscribe").isEmpty, "the second one holds the id now")
        node.receive(Self.note(24040, "7"))
        #expect(TestConsumer(buffer).drain() == ["7"])
        node.unsubscribe(2)
        #expect(node.sent("logsUnsubscribe").count == 1)
    }

    @Test("Edge case 29: where the waiting request fails or gets another id, the first one's end goes out then")
    func waitingForNothing() {
        let node = ProcessorHarness()
        _ = node.activate(1, "24040", methods: Self.solana)
        let buffer = SubscriptionBuffer(limit: 1 << 20, policy: .fail)
        let second = node.subscribe(2, buffer, methods: Self.solana)
        node.unsubscribe(1)
        node.respond(second, "24041")
        #expect(node.sent("logsUnsubscribe").count == 1)

        let third = node.subscribe(3, buffer, methods: Self.solana)
        node.unsubscribe(2, "two")
        node.cancel(third)
        #expect(node.sent("logsUnsubscribe").count == 2)
        // The cancelled one's late answer bears an id that nobody holds.
        node.respond(third, "24042")
        #expect(node.sent("logsUnsubscribe").count == 3)
        node.lose()
        #expect(node.processor.waitingDepartures.isEmpty && node.processor.lingering.isEmpty)
    }

    @Test("Edge case 33: whole messages are kept for who wants the method; others on the same id get results")
    func wholeMessages() throws {
        let node = ProcessorHarness()
        let plain = SubscriptionMethods(subscribe: "s_subscribe", unsubscribe: "s_unsubscribe")
        var whole = plain
        whole.keepsMessages = true
        let early = #"{"method":"s_head","params":{"subscription_id":"0","result":{"n":0}}}"#
        let buffer = SubscriptionBuffer(limit: 1 << 20, policy: .fail)
        let id = node.subscribe(1, buffer, methods: whole)
        node.receive(early)
        node.respond(id, "\"0\"")
        let other = node.activate(2, "\"0\"", methods: plain)
        let head = #"{"method":"s_head","params":{"subscription_id":"0","result":{"n":1}}}"#
        let reorg = #"{"method":"s_reorg","params":{"subscription_id":"0","result":{"r":2}}}"#
        for message in [head, head, reorg, head] { node.receive(message) }
        node.receive("[\(head),\(reorg)]")
        #expect(TestConsumer(buffer).drain() == [early, head, head, reorg, head, head, reorg])
        let one = #"{"n":1}"#
        let two = #"{"r":2}"#
        #expect(other.drain() == [one, one, two, one, one, two])
        withPadded(reorg) { bytes in
            let found = Envelope.notification(in: bytes)
            #expect(found.map { text($0.method) } == "s_reorg" && found.map { text($0.result) } == two)
        }
        // Both names at once: geth's counts, wherever it stands.
        for keys in [#""subscription_id":"a","subscription":"b""#, #""subscription":"b","subscription_id":"a""#] {
            withPadded(#"{"method":"m","params":{\#(keys),"result":1}}"#) { bytes in
                var scanner = EnvelopeScanner(bytes)
                let place = (try? scanner.envelope())?.subscription
                #expect(place.map { text(UnsafeRawBufferPointer(rebasing: bytes[$0])) } == "b")
            }
        }
        for nothing in ["", "1", "{}", #"{"params":{"subscription":1}}"#, "{"] {
            withPadded(nothing) { #expect(Envelope.notification(in: $0) == nil) }
        }
    }

    @Test("Edge case 33: whole messages obey the limit and the policy as results do")
    func wholeMessagesAreBounded() {
        let node = ProcessorHarness()
        var methods = SubscriptionMethods.ethereum
        methods.keepsMessages = true
        let consumer = node.activate(1, "\"0xa\"", limit: 8192, policy: .dropOldest, methods: methods)
        let message = notification("\"0xa\"", "1")
        for _ in 0..<1000 { node.receive(message) }
        let kept = consumer.drain()
        #expect(kept.count > 10 && kept.count < 1000 && kept.allSatisfy { $0 == message })
    }

    @Test("Edge case 33: parameters by name, also of the unsubscribe request")
    func named() {
        let node = ProcessorHarness()
        let methods = SubscriptionMethods(
            subscribe: "starknet_subscribeNewHeads",
            unsubscribe: "starknet_unsubscribe",
            unsubscribeParameter: "subscription_id"
        )
        _ = node.activate(1, "\"7\"", methods: methods)
        node.unsubscribe(1)
        #expect(node.sent("starknet_unsubscribe").last?.hasSuffix(#""params":{"subscription_id":"7"}}"#) == true)
        let text = RequestMessage.encode(id: RequestID(rawValue: 16), method: "m", isNamed: true) { writer in
            writer.key("a")
            writer.write("b")
        }
        #expect(String(decoding: text, as: UTF8.self) == #"{"jsonrpc":"2.0","id":16,"method":"m","params":{"a":"b"}}"#)
    }
}

extension ProcessorHarness {
    /// Answers the message that was sent last.
    fileprivate func respondToLast(_ result: String) {
        if let id = self.sent.last?.id { self.respond(id, result) }
    }
}
