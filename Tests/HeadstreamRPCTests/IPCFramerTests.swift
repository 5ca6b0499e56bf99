import Testing

@testable import HeadstreamRPC

@Suite("IPCFramer")
struct IPCFramerTests {
    /// Feeds the stream in pieces and collects the messages; the last one is an error's message where it failed.
    static func frame(_ pieces: [[UInt8]], limit: Int = 1 << 25) -> [String] {
        var framer = IPCFramer(maxMessageSize: limit)
        var messages: [String] = []
        for piece in pieces {
            withPadded(piece) { bytes in
                var offset = 0
                while true {
                    switch framer.next(in: bytes, at: &offset) {
                    case .message(let message): messages.append(text(message))
                    case .needMore:
                        #expect(offset == bytes.count)
                        return
                    case .failed(let error):
                        messages.append("failed: \(error.message)")
                    }
                }
            }
        }
        return messages
    }

    static func frame(_ stream: String, every size: Int = .max) -> [String] {
        let bytes = Array(stream.utf8)
        var pieces: [[UInt8]] = []
        var offset = 0
        while offset < bytes.count {
            let end = size > bytes.count - offset ? bytes.count : offset + size
            pieces.append(Array(bytes[offset..<end]))
            offset = end
        }
        return self.frame(pieces)
    }

    static let messages = [
        #"{"id":1}"#, #"[{"id":2},{"id":3}]"#, #"{"a":"}{\"\\"}"#, "{\n  \"pretty\": [\r\n 1 ]\r\n}",
        #"{"u":"\u0022é"}"#, "[]",
        #"{"end":"\\"}"#,
    ]

    @Test("Edge case 1: several messages in one read are all cut out")
    func several() {
        #expect(Self.frame(Self.messages.joined()) == Self.messages)
    }

    @Test("Edge case 2: brackets, quotes and backslashes in strings do not end a message")
    func strings() {
        let tricky = [#"{"a":"}{"}"#, #"{"a":"\"}"}"#, #"{"a":"\\"}"#, #"{"a":"\\\"}{"}"#, #"{"}":"{"}"#]
        for message in tricky {
            for size in 1...message.utf8.count { #expect(Self.frame(message + "{}", every: size) == [message, "{}"]) }
        }
    }

    @Test("Edge case 3: a 10 MB message in 1-byte pieces is looked at once")
    func linear() {
        var framer = IPCFramer(maxMessageSize: 1 << 25)
        let size = 10_000_000
        let byte: [UInt8] = [UInt8(ascii: "x")]
        func feed(_ bytes: UnsafeRawBufferPointer) -> Int? {
            var offset = 0
            guard case .message(let message) = framer.next(in: bytes, at: &offset) else { return nil }
            return message.count
        }
        #expect(Array("{\"a\":\"".utf8).withUnsafeBytes { feed($0) } == nil)
        byte.withUnsafeBytes { bytes in
            for _ in 0..<size { _ = feed(bytes) }
        }
        let kept = framer.keptCount
        #expect(kept == size + 6)
        #expect(Array("\"}".utf8).withUnsafeBytes { feed($0) } == size + 8)
    }

    @Test("Edge case 4: newlines of every kind, none, and one as the first byte of the next read")
    func newlines() {
        for separator in ["", "\n", "\r\n", "\n\n", " \t\n"] {
            #expect(Self.frame(Self.messages.joined(separator: separator) + separator) == Self.messages)
            #expect(Self.frame(separator + Self.messages.joined(separator: separator)) == Self.messages)
        }
        #expect(
            Self.frame([Array("{}".utf8), Array("\n{\"a\":1}".utf8), Array("\n".utf8), []]) == ["{}", "{\"a\":1}"]
        )
    }

    @Test("Cut at every byte, and in pieces of any size, the messages are the same")
    func splits() {
        let stream = Self.messages.joined(separator: "\n")
        let bytes = Array(stream.utf8)
        for place in 0...bytes.count {
            #expect(Self.frame([Array(bytes[..<place]), Array(bytes[place...])]) == Self.messages)
        }
        for size in 1...bytes.count { #expect(Self.frame(stream, every: size) == Self.messages) }
    }

    @Test("Random streams in random pieces")
    func random() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = TestRandom(seed: seed)
        for _ in 0..<500 {
            let expected = (0..<random.below(8)).map { _ in Self.messages[random.below(Self.messages.count)] }
            let bytes = Array(expected.joined(separator: random.below(2) == 0 ? "" : "\n").utf8)
            var pieces: [[UInt8]] = []
            var offset = 0
            while offset < bytes.count {
                let count = min(1 + random.below(20), bytes.count - offset)
                pieces.append(Array(bytes[offset..<offset + count]))
                offset += count
            }
            #expect(Self.frame(pieces) == expected, "seed \(seed)")
        }
    }

    @Test("A message that was cut off within a string ends at the newline, and the next one is found")
    func resynchronises() {
        #expect(Self.frame("{\"a\":\"bro\n{\"id\":1}\n") == ["{\"a\":\"bro", "{\"id\":1}"])
        #expect(Self.frame("{\"a\":\"bro\n{\"id\":1}\n", every: 1) == ["{\"a\":\"bro", "{\"id\":1}"])
    }

    @Test("The limit names itself; a stream that is no JSON is refused; nothing follows either")
    func limits() {
        let message = #"{"a":"0123456789"}"#
        #expect(Self.frame([Array(message.utf8)], limit: message.utf8.count) == [message])
        for pieces in [[Array(message.utf8)], Array(message.utf8).map { [$0] }] {
            let found = Self.frame(pieces + [Array("{}".utf8)], limit: message.utf8.count - 1)
            #expect(found.count == 1)
            #expect(found.first?.contains("maxMessageSize 17; raise Configuration.maxMessageSize") == true)
        }
        let refused = Self.frame("HTTP/1.1 400 Bad Request\r\n{}")
        #expect(refused.count == 1 && refused[0].hasPrefix("failed"))
    }

    @Test("A message kept from earlier reads has 64 bytes behind it")
    func padding() {
        var framer = IPCFramer(maxMessageSize: 1 << 20)
        let message = Array(#"{"a":"\#(String(repeating: "y", count: 4088))"}"#.utf8)
        for half in [Array(message[..<2000]), Array(message[2000...])] {
            half.withUnsafeBytes { bytes in
                var offset = 0
                guard case .message(let found) = framer.next(in: bytes, at: &offset), let base = found.baseAddress
                else {
                    return
                }
                #expect(
                    (0..<Arena.padding).allSatisfy { base.load(fromByteOffset: found.count + $0, as: UInt8.self) == 0 }
                )
            }
        }
    }
}
