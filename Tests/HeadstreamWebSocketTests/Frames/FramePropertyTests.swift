import HeadstreamWebSocket
import Testing

@Suite("Frame parser: properties")
struct FramePropertyTests {
    @Test("A stream cut at any single byte gives the same events")
    func cutAtEveryByte() {
        for (role, key) in [(WebSocketRole.client, nil), (.server, mask([9, 8, 7, 6]))] {
            let stream =
                frame(.text, "first", mask: key) + frame(.binary, [UInt8](repeating: 3, count: 300), mask: key)
                + frame(.text, "grüß", mask: key, isFinal: false) + frame(.ping, "p", mask: key)
                + frame(.continuation, "", mask: key, isFinal: false) + frame(.continuation, " dich €𝄞", mask: key)
                + frame(.text, String(repeating: "ä", count: 9000), mask: key)
                + frame(.pong, [UInt8](repeating: 4, count: 125), mask: key)
                + frame(.close, [0x03, 0xE8] + Array("bye".utf8), mask: key)
            let expected = FrameFeeder.events(of: stream, role: role)
            #expect(expected.count == 7)
            let interesting = Array(0..<400) + Array((stream.count - 150)..<stream.count) + [1000, 9000, 17_000]
            for cut in interesting {
                var feeder = FrameFeeder(role: role)
                feeder.feed(stream[..<cut])
                feeder.feed(stream[cut...])
                let isSame = feeder.events == expected
                #expect(isSame, "cut at \(cut)")
            }
        }
    }

    @Test("Random valid streams give what was put into them, cut at random points")
    func randomStreams() {
        for seed in 0..<150 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            let role: WebSocketRole = Bool.random(using: &random) ? .client : .server
            var (stream, expected) = Self.randomStream(for: role, using: &random)
            if Bool.random(using: &random) {
                FrameWriter.appendClose(
                    code: 1000,
                    reason: "done",
                    mask: role == .server ? random.next(upperBound: UInt32.max) : nil,
                    to: &stream
                )
                expected.append(.close(1000, "done"))
                stream += random.bytes(50)
            }
            var feeder = FrameFeeder(role: role)
            let sizes = stream.count < 20_000 ? [3, 100, 5000] : [1000, 5000, 300_000]
            let largest = sizes.randomElement(using: &random) ?? 1
            feeder.feed(stream, pieces: { _ in Int.random(in: 1...largest, using: &random) })
            let isSame = feeder.events == expected
            #expect(isSame, "seed \(seed)")
            #expect(feeder.mostLeft < 139, "seed \(seed)")
        }
    }

    @Test("Random bytes never trap, and parsing ends")
    func randomBytes() {
        for seed in 0..<2000 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            let role: WebSocketRole = Bool.random(using: &random) ? .client : .server
            var bytes = random.bytes(Int.random(in: 0...600, using: &random))
            // Half of them begin like a frame, so that more than the first bytes are reached.
            if bytes.count > 1, Bool.random(using: &random) {
                bytes[0] = [0x81, 0x82, 0x01, 0x02, 0x88, 0x89].randomElement(using: &random) ?? 0x81
                bytes[1] = role == .client ? bytes[1] & 0x7F : bytes[1] | 0x80
            }
            var feeder = FrameFeeder(role: role, maxMessageSize: [0, 100, 1 << 20, .max][Int(seed % 4)])
            feeder.feed(bytes, pieces: { _ in Int.random(in: 1...64, using: &random) })
            #expect(feeder.mostLeft < 139, "seed \(seed)")
            #expect(feeder.mostBuffered <= bytes.count, "seed \(seed)")
        }
    }

    @Test("A valid stream with some bytes changed never traps")
    func damagedStreams() {
        for seed in 0..<200 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            let role: WebSocketRole = Bool.random(using: &random) ? .client : .server
            var (stream, _) = Self.randomStream(for: role, using: &random)
            for _ in 0..<Int.random(in: 1...8, using: &random) where !stream.isEmpty {
                stream[Int.random(in: 0..<stream.count, using: &random)] = UInt8(truncatingIfNeeded: random.next())
            }
            var feeder = FrameFeeder(role: role)
            feeder.feed(stream, pieces: { _ in Int.random(in: 1...20_000, using: &random) })
            #expect(feeder.mostLeft < 139, "seed \(seed)")
        }
    }

    /// A stream for a parser of this role, and what it holds.
    static func randomStream(
        for role: WebSocketRole,
        using random: inout SeededGenerator
    ) -> (stream: [UInt8], events: [RecordedEvent]) {
        var stream: [UInt8] = []
        var events: [RecordedEvent] = []
        func key() -> UInt32? { role == .server ? random.next(upperBound: UInt32.max) : nil }
        func control() {
            let payload = random.bytes(Int.random(in: 0...125, using: &random))
            let isPing = Bool.random(using: &random)
            stream += frame(isPing ? .ping : .pong, payload, mask: key())
            events.append(isPing ? .ping(payload) : .pong(payload))
        }
        for _ in 0..<Int.random(in: 0...12, using: &random) {
            if Int.random(in: 0..<4, using: &random) == 0 { control() }
            let largest = [40, 40, 200, 200, 1000, 70_000].randomElement(using: &random) ?? 40
            let count = Int.random(in: 0...largest, using: &random)
            let isText = Bool.random(using: &random)
            var payload: [UInt8] = []
            if isText {
                let letters: [String] = ["a", "é", "€", "𝄞"]
                let kinds = Bool.random(using: &random) ? 1 : 4
                let word = (0..<17).map { _ in letters[Int.random(in: 0..<kinds, using: &random)] }.joined()
                payload = Array(String(repeating: word, count: count / 17).utf8)
            } else {
                let pattern = random.bytes(61)
                while payload.count < count { payload += pattern }
            }
            var rest = payload[...]
            var isFirst = true
            repeat {
                let size =
                    Int.random(in: 0...3, using: &random) == 0
                    ? Int.random(in: 0...rest.count, using: &random) : rest.count
                let isFinal = size == rest.count
                stream += frame(
                    isFirst ? (isText ? .text : .binary) : .continuation,
                    Array(rest.prefix(size)),
                    mask: key(),
                    isFinal: isFinal
                )
                rest = rest.dropFirst(size)
                isFirst = false
                if isFinal { break }
                if Int.random(in: 0..<3, using: &random) == 0 { control() }
            } while true
            events.append(isText ? .text(String(decoding: payload, as: UTF8.self)) : .binary(payload))
        }
        return (stream, events)
    }
}
