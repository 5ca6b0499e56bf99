import Testing

@testable import HeadstreamRPC

@Suite("EnvelopeShape")
struct EnvelopeShapeTests {
    static func learn(_ message: String) throws -> EnvelopeShape {
        var shape = EnvelopeShape()
        try withPadded(message) { bytes in
            var scanner = EnvelopeScanner(bytes)
            shape.learn(bytes, try scanner.envelope())
        }
        return shape
    }

    static func match(_ shape: EnvelopeShape, _ message: [UInt8]) -> [String]? {
        withPadded(message) { bytes in
            shape.match(bytes).map { found in
                [found.id, found.result].map { text(UnsafeRawBufferPointer(rebasing: bytes[$0])) }
            }
        }
    }

    static func match(_ shape: EnvelopeShape, _ message: String) -> [String]? {
        self.match(shape, Array(message.utf8))
    }

    /// What the scanner says: id and result where the frame is one notification and nothing else.
    static func scan(_ message: [UInt8]) -> [String]? {
        withPadded(message) { bytes in
            var scanner = EnvelopeScanner(bytes)
            guard let envelope = try? scanner.envelope(), scanner.peek() == nil, let id = envelope.subscription,
                let result = envelope.notification
            else { return nil }
            return [id, result].map { text(UnsafeRawBufferPointer(rebasing: bytes[$0])) }
        }
    }

    /// A form's text for an id and a result.
    struct Form: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var isQuoted = true
        var make: @Sendable (String, String) -> String
    }

    static let forms: [Form] = [
        Form(testDescription: "geth, anvil, hardhat") { notification("\"\($0)\"", $1) },
        Form(testDescription: "blanks") {
            #"{"jsonrpc": "2.0", "method": "eth_subscription", "params": {"subscription": "\#($0)", "result": \#($1)}}"#
        },
        Form(testDescription: "newline behind") { notification("\"\($0)\"", $1) + "\n" },
        Form(testDescription: "no jsonrpc") { #"{"params":{"subscription":"\#($0)","result":\#($1)}}"# },
        Form(testDescription: "method last") {
            #"{"jsonrpc":"2.0","params":{"subscription":"\#($0)","result":\#($1)},"method":"eth_subscription"}"#
        },
        Form(testDescription: "more keys, always the same") {
            #"{"a":1,"params":{"z":0,"subscription":"\#($0)","y":{},"result":\#($1),"x":[2]},"w":""}"#
        },
        Form(testDescription: "numeric id", isQuoted: false) { notification($0, $1) },
    ]

    @Test("Learnt from each form, the next of the same form matches", arguments: forms)
    func learns(_ form: Form) throws {
        let shape = try Self.learn(form.make("12", #"{"a":"0x1"}"#))
        #expect(shape.isUsable)
        for id in ["12", "7", "12153704810663065403", "340282366920938463463374607431768211455"] {
            for result in [#"{"number":"0x2","hash":"0xabc"}"#, #""0xdeadbeef""#, "{}", #""""#] {
                let message = form.make(id, result)
                #expect(Self.match(shape, message) == [id, result])
                #expect(Self.scan(Array(message.utf8)) == [id, result])
            }
        }
    }

    @Test("Another form, or a result whose end is not proven, is left to the scanner")
    func leaves() throws {
        let shape = try Self.learn(notification("\"0x1\"", #"{"a":1}"#))
        for form in Self.forms.dropFirst() { #expect(Self.match(shape, form.make("1", "{}")) == nil) }
        for result in [#"{"a":{"b":1}}"#, #"{"a":"}"}"#, "[1]", "1", "null", "true", #""a\"b""#, #"{"a":1\}"#] {
            #expect(Self.match(shape, notification("\"0x1\"", result)) == nil)
        }
        #expect(Self.match(shape, "") == nil)
        #expect(Self.match(shape, notification(#""0x1\""#, "{}")) == nil)
    }

    @Test("The result in front of the id is not learnt: such nodes are scanned")
    func resultFirst() throws {
        let shape = try Self.learn(#"{"method":"logsNotification","params":{"result":{"a":1},"subscription":24040}}"#)
        #expect(!shape.isUsable)
    }

    @Test("Two messages in one frame, or keys behind the result, are never taken for one result")
    func neverMistakes() throws {
        let one = notification("\"0x1\"", #"{"a":1}"#)
        let shape = try Self.learn(one)
        #expect(Self.match(shape, one + one) == nil)
        #expect(Self.match(shape, one + "\n" + notification("\"0x1\"", "\"x\"")) == nil)
        #expect(Self.match(shape, notification("\"0x1\"", #"{"a":1},"extra":{"b":2}"#)) == nil)
        #expect(Self.match(shape, notification("\"0x1\"", #""x","extra":"y""#)) == nil)
        #expect(Self.match(shape, notification("\"0x1\"", #"{"a":1},"extra":2"#)) == nil)
        // Nor does a frame of two teach a suffix that would swallow the second.
        var taught = EnvelopeShape()
        try withPadded(one + one) { bytes in
            var scanner = EnvelopeScanner(bytes)
            taught.learn(bytes, try scanner.envelope())
            taught.learn(bytes, try scanner.envelope())
        }
        #expect(!taught.isUsable)
    }

    static let responseForms: [Form] = [
        Form(testDescription: "geth, nethermind, erigon") { #"{"jsonrpc":"2.0","id":\#($0),"result":\#($1)}"# },
        Form(testDescription: "id as a string") { #"{"jsonrpc":"2.0","id":"\#($0)","result":\#($1)}"# },
        Form(testDescription: "blanks and a newline") {
            #"{"jsonrpc": "2.0", "id": \#($0), "result": \#($1)}"# + "\n"
        },
        Form(testDescription: "an error that is none") {
            #"{"id":\#($0),"result":\#($1),"error":null,"jsonrpc":"2.0"}"#
        },
    ]

    static func learn(response: String) throws -> EnvelopeShape {
        var shape = EnvelopeShape()
        try withPadded(response) { bytes in
            var scanner = EnvelopeScanner(bytes)
            shape.learn(response: bytes, try scanner.envelope())
        }
        return shape
    }

    @Test("Responses have their shape too", arguments: responseForms)
    func learnsResponses(_ form: Form) throws {
        let shape = try Self.learn(response: form.make("16", #""0x1""#))
        for id in ["16", "9007199254740991"] {
            for result in [#""0xdeadbeef""#, #"{"number":"0x2"}"#] {
                #expect(Self.match(shape, form.make(id, result)) == [id, result])
            }
            for result in ["null", "1", "[]", #"{"a":{}}"#, #""a\"b""#, #""x","error":{"code":1,"message":"m"}"#] {
                #expect(Self.match(shape, form.make(id, result)) == nil)
            }
        }
        #expect(Self.match(shape, form.make("16", #""0x1""#) + form.make("32", #""0x1""#)) == nil)
        #expect(Self.match(shape, notification("\"0x1\"", "{}")) == nil)
    }

    @Test("Errors, and results in front of the id, teach nothing")
    func unlearntResponses() throws {
        #expect(try !Self.learn(response: #"{"id":16,"result":"0x1","error":{"code":1,"message":"m"}}"#).isUsable)
        #expect(try !Self.learn(response: #"{"id":16,"error":{"code":1,"message":"m"}}"#).isUsable)
        #expect(try !Self.learn(response: #"{"result":"0x1","id":16}"#).isUsable)
        #expect(try !Self.learn(response: #"{"id":null,"result":"0x1"}"#).isUsable)
    }

    @Test("Responses of the known shape end their request once; late, doubled and invented ones are noted")
    func responsesOfKnownShape() throws {
        let harness = ProcessorHarness()
        let ids = (0..<4).map { harness.call("call \($0)") }
        for (index, id) in ids.enumerated() { harness.respond(id, "\"0x\(index)\"") }
        for index in 0..<4 {
            let outcomes = harness.outcomes["call \(index)"]
            #expect(outcomes == [.success(ResponseBytes("\"0x\(index)\""))])
        }
        #expect(harness.notices.isEmpty)
        harness.respond(ids[1])
        harness.receive(#"{"jsonrpc":"2.0","id":18446744073709551615,"result":"0x1"}"#)
        harness.receive(#"{"jsonrpc":"2.0","id":18446744073709551616,"result":"0x1"}"#)
        harness.receive(#"{"jsonrpc":"2.0","id":0,"result":"0x1"}"#)
        #expect(
            harness.notices == [
                .unknownResponse(ids[1].rawValue), .unknownResponse(.max), .unknownResponse(nil), .unknownResponse(0),
            ]
        )
        #expect(harness.outcomes["call 1"].count == 1)
        #expect(harness.isEmpty)
    }

    @Test("A node that changes its form is learnt anew after a while, not at each message")
    func relearns() throws {
        var shape = try Self.learn(notification("\"0x1\"", "{}"))
        let other = #"{"params":{"subscription":"0x1","result":{}}}"#
        for _ in 0..<15 {
            try withPadded(other) { bytes in
                var scanner = EnvelopeScanner(bytes)
                shape.learn(bytes, try scanner.envelope())
            }
            #expect(Self.match(shape, other) == nil)
        }
        try withPadded(other) { bytes in
            var scanner = EnvelopeScanner(bytes)
            shape.learn(bytes, try scanner.envelope())
        }
        #expect(Self.match(shape, other) == ["0x1", "{}"])
    }

    @Test("Whatever the scanner accepts, a match says the same", arguments: forms)
    func agrees(_ form: Form) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = TestRandom(seed: seed)
        let shape = try Self.learn(form.make("12", #"{"a":"0x1","b":"y"}"#))
        let alphabet = Array(#"}{]["\,: 1ajx"#.utf8)
        var matched = 0
        for _ in 0..<20_000 {
            var bytes = Array(form.make("34", #"{"a":"0x2","bc":"0x3"}"#).utf8)
            for _ in 0..<random.below(5) {
                let place = random.below(bytes.count)
                switch random.below(4) {
                case 0: bytes[place] = alphabet[random.below(alphabet.count)]
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(alphabet[random.below(alphabet.count)], at: place)
                default: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 24)], at: place)
                }
            }
            guard let found = Self.match(shape, bytes) else { continue }
            matched += 1
            // Where the scanner refuses the frame, what is broken lies in the result: its reader refuses that.
            if let scanned = Self.scan(bytes) {
                #expect(found == scanned, "seed \(seed): \(String(decoding: bytes, as: UTF8.self))")
            } else {
                withPadded(bytes) { frame in
                    var scanner = EnvelopeScanner(frame)
                    #expect(throws: EnvelopeError.self, "seed \(seed): \(String(decoding: bytes, as: UTF8.self))") {
                        while scanner.peek() != nil { _ = try scanner.envelope() }
                    }
                }
            }
        }
        #expect(matched > 1000)
    }
}
