import Testing

@testable import HeadstreamRPC

@Suite("EnvelopeScanner")
struct EnvelopeScannerTests {
    /// What a test compares: the texts in place of the ranges.
    struct Parts: Equatable {
        var id = Envelope.ID.absent
        var hasMethod = false
        var subscription: String?
        var notification: String?
        var notificationError: String?
        var result: String?
        var error: String?
    }

    static func scan(_ message: String) throws -> [Parts] {
        try withPadded(message) { bytes in
            var scanner = EnvelopeScanner(bytes)
            var all: [Parts] = []
            func cut(_ range: Range<Int>?) -> String? {
                range.map { text(UnsafeRawBufferPointer(rebasing: bytes[$0])) }
            }
            while scanner.peek() != nil {
                let envelope = try scanner.envelope()
                all.append(
                    Parts(
                        id: envelope.id,
                        hasMethod: envelope.hasMethod,
                        subscription: cut(envelope.subscription),
                        notification: cut(envelope.notification),
                        notificationError: cut(envelope.notificationError),
                        result: cut(envelope.result),
                        error: cut(envelope.error)
                    )
                )
            }
            return all
        }
    }

    static func permutations(_ items: [String]) -> [[String]] {
        guard let first = items.first else { return [[]] }
        return permutations(Array(items.dropFirst())).flatMap { rest in
            (0...rest.count).map { index in
                var order = rest
                order.insert(first, at: index)
                return order
            }
        }
    }

    @Test("Any order of keys gives the same parts")
    func orders() throws {
        let params = [#""subscription":"0xa""#, #""result":{"x":["}",1]}"#, #""extra":[{}]"#]
        for inner in Self.permutations(params) {
            let members = [
                #""jsonrpc":"2.0""#, #""method":"eth_subscription""#, #""params":{\#(inner.joined(separator: ","))}"#,
                #""more":null"#,
            ]
            for outer in Self.permutations(members) {
                let found = try Self.scan("{" + outer.joined(separator: ",") + "}")
                #expect(found == [Parts(hasMethod: true, subscription: "0xa", notification: #"{"x":["}",1]}"#)])
            }
        }
        for order in Self.permutations([#""jsonrpc":"2.0""#, #""id":7"#, #""result":"\\\"}""#, #""x":1"#]) {
            let found = try Self.scan("{" + order.joined(separator: ",") + "}")
            #expect(found == [Parts(id: .number(7), result: #""\\\"}""#)])
        }
    }

    @Test(
        "Ids: numbers, strings of digits, others",
        arguments: [
            ("1", Envelope.ID.number(1)), ("\"1\"", .number(1)), ("\"007\"", .number(7)), ("007", .number(7)),
            ("18446744073709551615", .number(.max)), ("18446744073709551616", .other), ("-1", .other), ("1.0", .other),
            ("1e3", .other), ("null", .null), ("\"\"", .other), ("\"x\"", .other), ("{}", .other), ("[1]", .other),
            ("true", .other), ("\"null\"", .other), ("0", .number(0)), (String(repeating: "9", count: 41), .other),
        ]
    )
    func ids(_ written: String, _ id: Envelope.ID) throws {
        #expect(try Self.scan(#"{"id":\#(written),"result":1}"#) == [Parts(id: id, result: "1")])
    }

    @Test("Duplicate keys: the last one counts; unknown keys and a missing jsonrpc do not matter")
    func duplicates() throws {
        #expect(try Self.scan(#"{"id":1,"id":2,"result":3,"result":4}"#) == [Parts(id: .number(2), result: "4")])
        #expect(try Self.scan(#"{"error":{"code":1},"error":null,"id":1}"#) == [Parts(id: .number(1))])
        #expect(try Self.scan("{}") == [Parts()])
    }

    @Test("Several messages in one frame, with blanks anywhere")
    func several() throws {
        let frame =
            " \r\n{ \"id\" : 1 , \"result\" : true }\n\t{\"id\":2,\"result\":[ 1 , 2 ]}{\"id\":3,\"result\":\"\"} "
        #expect(
            try Self.scan(frame) == [
                Parts(id: .number(1), result: "true"), Parts(id: .number(2), result: "[ 1 , 2 ]"),
                Parts(id: .number(3), result: "\"\""),
            ]
        )
        #expect(try Self.scan("  \n") == [])
        #expect(try Self.scan("") == [])
    }

    @Test("A message cut at any byte is refused, without a read outside it")
    func truncated() throws {
        let message = Array(
            #"{"jsonrpc":"2.0","method":"m","params":{"subscription":"0x1","result":{"a":"\\\"","b":[1,{}]}}}"#.utf8
        )
        for count in 1..<message.count {
            // A block of its own, so that the address sanitizer sees a read behind it.
            let block = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
            defer { block.deallocate() }
            block.copyBytes(from: message[..<count])
            var scanner = EnvelopeScanner(UnsafeRawBufferPointer(block))
            #expect(throws: EnvelopeError.self) { try scanner.envelope() }
        }
    }

    @Test("100,000 levels are refused at the limit, by error and not by the stack")
    func nesting() throws {
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: EnvelopeError.self) { try Self.scan(#"{"id":1,"result":"# + deep) }
        let level = EnvelopeScanner.maxDepth
        let fits = String(repeating: "[", count: level) + String(repeating: "]", count: level)
        #expect(try Self.scan(#"{"id":1,"result":\#(fits)}"#) == [Parts(id: .number(1), result: fits)])
    }

    @Test(
        "What is no message is refused",
        arguments: [
            "1", "null", "\"x\"", "{", "}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"a\":1 \"b\":2}",
            "{\"a\":[}",
            "{\"a\":[1}]", "{\"a\":{]}", "{\"id\":1,\"result\":\"}", "nul", "{\"a\":1}}",
        ]
    )
    func refused(_ message: String) {
        #expect(throws: EnvelopeError.self) { try Self.scan(message) }
    }

    @Test("Backslashes before quotes: a million of them in linear time")
    func slashes() throws {
        let run = String(repeating: #"\\"#, count: 500_000)
        #expect(try Self.scan(#"{"id":1,"result":"\#(run)"}"#).first?.result?.utf8.count == 1_000_002)
        let quotes = String(repeating: #"\""#, count: 500_000)
        #expect(try Self.scan(#"{"id":1,"result":"\#(quotes)"}"#).first?.result?.utf8.count == 1_000_002)
    }

    @Test("Random mutations never trap, and the parser ends")
    func mutations() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = TestRandom(seed: seed)
        let original = Array(notification("\"0xab\"", #"{"a":"0x1","b":[1,2,{"c":null}]}"#).utf8)
        for _ in 0..<20_000 {
            var bytes = original
            for _ in 0...random.below(4) {
                let place = random.below(bytes.count)
                switch random.below(3) {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.remove(at: place)
                default: bytes.insert(Array(#""{}[],:\ 1"#.utf8)[random.below(10)], at: place)
                }
            }
            withPadded(bytes) { message in
                var scanner = EnvelopeScanner(message)
                if let envelope = try? scanner.envelope() {
                    #expect(envelope.bounds.upperBound <= message.count, "seed \(seed)")
                    for range in [envelope.subscription, envelope.notification, envelope.result, envelope.error] {
                        if let range { #expect(envelope.bounds.contains(range.lowerBound), "seed \(seed)") }
                    }
                }
            }
        }
    }
}
