import Testing

@testable import HeadstreamRPC

@Suite("Edge cases, part A: framing and parsing")
struct EdgeCaseFramingTests {
    @Test("Edge case 1: several messages in one frame are all delivered")
    func several() {
        let node = ProcessorHarness()
        let consumer = node.activate(1, "\"0xa\"")
        let id = node.call("a")
        node.receive(
            notification("\"0xa\"", "{\"n\":1}") + notification("\"0xa\"", "{\"n\":2}")
                + "\n{\"id\":\(id.rawValue),\"result\":true}" + notification("\"0xa\"", "{\"n\":3}")
        )
        #expect(consumer.drain() == ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}"])
        #expect(node.outcomes.result("a") == "true")
        // The same frame again, now that a shape could have been learnt.
        for _ in 0..<20 {
            node.receive(notification("\"0xa\"", "{\"n\":1}") + notification("\"0xa\"", "{\"n\":1}"))
            #expect(consumer.drain() == ["{\"n\":1}", "{\"n\":1}"])
        }
    }

    @Test("Edge case 2: brackets and quotes in strings are part of the value")
    func strings() {
        let node = ProcessorHarness()
        let consumer = node.activate(1, "\"0xa\"")
        let results = [#"{"a":"}{"}"#, #"{"a":"\"}]"}"#, #"["\\","}}"]"#, #""\\\"""#, #"{"b":"\\"}"#]
        for result in results + results { node.receive(notification("\"0xa\"", result)) }
        #expect(consumer.drain() == results + results)
    }

    @Test("Edge case 3: a 10 MB message is found in one pass, in 1-byte pieces too")
    func large() {
        let node = ProcessorHarness()
        let consumer = node.activate(1, "\"0xa\"", limit: 1 << 26)
        let large = "{\"data\":\"" + String(repeating: "ab", count: 5_000_000) + "\"}"
        node.receive(notification("\"0xa\"", large))
        #expect(consumer.drain() == [large])
    }

    @Test("Edge case 4: blanks and newlines around and within a message")
    func newlines() {
        let node = ProcessorHarness()
        let consumer = node.activate(1, "\"0xa\"")
        node.receive("\n" + notification("\"0xa\"", "{\r\n \"a\": 1\n}") + "\r\n")
        node.receive("{\n\"params\" :\t{ \"result\" : 2 , \"subscription\" : \"0xa\" } }\n")
        #expect(consumer.drain() == ["{\r\n \"a\": 1\n}", "2"])
    }

    @Test("Edge case 5: an empty frame, or one of blanks, is nothing", arguments: ["", " ", "\n", " \r\n\t"])
    func empty(_ frame: String) {
        let node = ProcessorHarness()
        let consumer = node.activate(1, "\"0xa\"")
        node.receive(frame)
        node.receive(notification("\"0xa\"", "1"))
        #expect(consumer.drain() == ["1"])
        #expect(node.notices == [] && node.processor.statistics.malformed == 0)
    }

    @Test("Edge case 8: a broken message is noted, and costs nothing else")
    func broken() {
        let node = ProcessorHarness()
        let consumer = node.activate(1, "\"0xa\"")
        let id = node.call("a")
        let message = Array(notification("\"0xa\"", "{\"n\":1}").utf8)
        for count in 1..<message.count { node.receive(Array(message[..<count])) }
        for frame in ["nonsense", "[", "[{]", "[1,2", "\u{FEFF}{}", "{\"id\":"] { node.receive(frame) }
        #expect(node.processor.statistics.malformed == UInt64(message.count - 1 + 8))
        #expect(!node.notices.isEmpty)
        node.receive(message)
        node.respond(id)
        #expect(consumer.drain() == ["{\"n\":1}"])
        #expect(node.outcomes.result("a") == "\"0x1\"")
    }

    @Test("Edge case 8: a frame of a million broken pieces tells a few notices, not a million")
    func floods() {
        let node = ProcessorHarness()
        node.receive(String(repeating: "{\"id\":9}", count: 100_000))
        #expect(node.notices.count == 32)
    }

    @Test(
        "Edge case 9: an error without an id of ours is noted and kept",
        arguments: ["", "\"id\":null,", "\"id\":-1,", "\"id\":\"x\","]
    )
    func unattributed(_ id: String) {
        let node = ProcessorHarness()
        node.call("a")
        node.call("b")
        node.receive("{\"jsonrpc\":\"2.0\",\(id)\"error\":{\"code\":-32000,\"message\":\"Subscription timed out\"}}")
        #expect(node.processor.lastUnattributedError?.message == "Subscription timed out")
        #expect(node.outcomes.all.isEmpty && node.processor.waitingCount == 2)
    }

    @Test("Edge case 10: any order of keys, doubled and unknown ones, no jsonrpc")
    func keys() {
        let node = ProcessorHarness()
        let consumer = node.activate(1, "\"0xa\"")
        node.receive(#"{"params":{"result":1,"subscription":"0xa"},"method":"eth_subscription","jsonrpc":"2.0"}"#)
        node.receive(#"{"params":{"new":{},"result":0,"subscription":"0xb","subscription":"0xa","result":2}}"#)
        let id = node.call("a")
        node.receive(#"{"result":3,"extra":[],"id":\#(id.rawValue)}"#)
        #expect(consumer.drain() == ["1", "2"])
        #expect(node.outcomes.result("a") == "3")
    }

    @Test("Edge case 11: ids as strings, numbers, with leading zeros; subscription ids over Int64.max")
    func ids() {
        let node = ProcessorHarness()
        for (name, form) in [("plain", "#"), ("string", "\"#\""), ("zeros", "000#"), ("both", "\"0#\"")] {
            let id = node.call(name)
            let written = form.replacing("#", with: "\(id.rawValue)")
            node.receive("{\"id\":\(written),\"result\":\"\(name)\"}")
            #expect(node.outcomes.result(name) == "\"\(name)\"")
        }
        let large = node.activate(1, "12153704810663065403")
        let text = node.activate(2, "\"24040\"")
        node.receive(notification("12153704810663065403", "{\"a\":1}"))
        node.receive(notification("24040", "{\"a\":2}"))
        node.receive(notification("12153704810663065403", "{\"a\":3}"))
        #expect(large.drain() == ["{\"a\":1}", "{\"a\":3}"])
        #expect(text.drain() == ["{\"a\":2}"])
        node.unsubscribe(1)
        node.unsubscribe(2)
        #expect(node.sent("eth_unsubscribe")[0].contains("[12153704810663065403]"))
        #expect(node.sent("eth_unsubscribe")[1].contains("[\"24040\"]"))
    }

    @Test("Edge case 12: a batch in other order, with a notification inside, an answer doubled and one missing")
    func batches() {
        let node = ProcessorHarness()
        let consumer = node.activate(1, "\"0xa\"")
        let first = node.batch(["a", "b", "c", "d"])
        let ids = (0..<4).map { first.advanced(by: $0).rawValue }
        node.receive(
            """
            [{"id":\(ids[2]),"result":"C"},\(notification("\"0xa\"", "1")),7,{"id":\(ids[0]),"result":"A"},
            {"id":\(ids[2]),"result":"again"},{"id":\(ids[3]),"error":{"code":3,"message":"execution reverted"}}]
            """
        )
        #expect(node.outcomes.result("a") == "\"A\"" && node.outcomes.result("c") == "\"C\"")
        #expect(node.outcomes.error("d")?.code == .node)
        #expect(node.outcomes.error("b")?.code == .missingFromBatch)
        #expect(consumer.drain() == ["1"])
        #expect(node.isEmpty)
    }

    @Test(
        "Edge case 12: one error in place of a batch's answer is every item's",
        arguments: [
            #"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}"#,
            #"[{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}]"#,
            #"[{"jsonrpc":"2.0","id":FIRST,"error":{"code":-32600,"message":"batch too large"}}]"#,
            #"{"jsonrpc":"2.0","id":FIRST,"error":{"code":-32600,"message":"batch too large"}}"#,
            #"{"jsonrpc":"2.0","error":{"code":-32700,"message":"batch too large"}}"#,
        ]
    )
    func refusedBatch(_ answer: String) {
        let node = ProcessorHarness()
        let first = node.batch(["a", "b", "c"])
        node.call("other")
        node.receive(answer.replacing("FIRST", with: "\(first.rawValue)"))
        for name in ["a", "b", "c"] {
            #expect(node.outcomes.error(name)?.node?.message == "batch too large")
            #expect(node.outcomes.error(name)?.wasSent == true)
        }
        #expect(node.outcomes["other"].isEmpty)
        #expect(node.processor.inFlight == 1)
    }

    @Test("Edge case 12: a batch's answer that breaks off fails what it leaves open")
    func brokenBatch() {
        let node = ProcessorHarness()
        let first = node.batch(["a", "b"])
        node.receive("[{\"id\":\(first.rawValue),\"result\":1},{\"id\":")
        #expect(node.outcomes.result("a") == "1")
        #expect(node.outcomes.error("b")?.code == .malformedResponse)
    }

    @Test("Edge case 13: a notification without params, or without their parts, harms nothing")
    func withoutParams() {
        let node = ProcessorHarness()
        let consumer = node.activate(1, "\"0xa\"")
        for message in [
            #"{"jsonrpc":"2.0","method":"eth_subscription"}"#, #"{"method":"eth_subscription","params":null}"#,
            #"{"method":"eth_subscription","params":[]}"#, #"{"method":"eth_subscription","params":{}}"#,
            #"{"method":"eth_subscription","params":{"subscription":"0xa"}}"#,
            #"{"method":"eth_subscription","params":{"subscription":"0xa","error":null}}"#,
            #"{"method":"eth_subscription","params":{"result":1}}"#,
        ] { node.receive(message) }
        #expect(node.processor.statistics.malformed == 7)
        node.receive(notification("\"0xa\"", "1"))
        #expect(consumer.drain() == ["1"] && consumer.end == nil)
    }
}
