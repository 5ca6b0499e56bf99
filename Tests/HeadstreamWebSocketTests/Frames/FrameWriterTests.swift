import HeadstreamWebSocket
import Testing

@Suite("Frame writer and masks")
struct FrameWriterTests {
    @Test("The examples of RFC 6455 §5.7 are written")
    func specificationExamples() {
        #expect(frame(.text, "Hello") == [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f])
        #expect(
            frame(.text, "Hello", mask: mask([0x37, 0xfa, 0x21, 0x3d])) == [
                0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
            ]
        )
        #expect(frame(.text, "Hel", isFinal: false) == [0x01, 0x03, 0x48, 0x65, 0x6c])
        #expect(frame(.continuation, "lo") == [0x80, 0x02, 0x6c, 0x6f])
        #expect(frame(.ping, "Hello") == [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f])
        let short = frame(.binary, [UInt8](repeating: 0, count: 256))
        #expect(short.prefix(4) == [0x82, 0x7E, 0x01, 0x00] && short.count == 260)
        let long = frame(.binary, [UInt8](repeating: 0, count: 65536))
        #expect(long.prefix(10) == [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0] && long.count == 65546)
    }

    @Test("Lengths take their shortest form on both sides of each bound", arguments: [0, 125, 126, 127, 65535, 65536])
    func shortestLength(count: Int) {
        let payload = [UInt8](repeating: 0x61, count: count)
        let isSame =
            FrameFeeder.events(of: frame(.binary, payload)) == [.binary(payload)]
            && FrameFeeder.events(of: frame(.binary, payload, mask: 0xDEAD_BEEF), role: .server) == [.binary(payload)]
        #expect(isSame)
    }

    @Test("Masking fits every length and every place of the frame in the output")
    func maskingLengths() {
        for count in 0..<200 {
            let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }
            let key: [UInt8] = [0x12, 0x34, 0x56, 0x78]
            var output = [UInt8](repeating: 0, count: count % 17)
            payload.withUnsafeBytes { FrameWriter.append(.binary, payload: $0, mask: mask(key), to: &output) }
            let expected = payload.enumerated().map { $1 ^ key[$0 % 4] }
            #expect(Array(output.suffix(count)) == expected, "\(count) bytes")
        }
    }

    @Test("What one role writes the other reads, byte by byte too")
    func roundTrip() {
        for seed in 0..<50 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            for role in [WebSocketRole.client, .server] {
                let (stream, events) = FramePropertyTests.randomStream(for: role, using: &random)
                let isSame = FrameFeeder.events(of: stream, role: role) == events
                #expect(isSame, "seed \(seed)")
            }
        }
    }

    @Test("A close frame's reason is cut between two scalars; a code that must not be sent is left out")
    func closeFrames() {
        var output: [UInt8] = []
        FrameWriter.appendClose(code: 1002, reason: String(repeating: "€", count: 60), mask: nil, to: &output)
        #expect(FrameFeeder.events(of: output) == [.close(1002, String(repeating: "€", count: 41))])
        for code in [nil, 1005, 1006, 999] as [UInt16?] {
            output = []
            FrameWriter.appendClose(code: code, reason: "x", mask: nil, to: &output)
            #expect(output == [0x88, 0x00])
        }
    }

    @Test("A control frame's payload is cut at 125 bytes and is always final")
    func controlFrames() {
        let bytes = frame(.ping, [UInt8](repeating: 1, count: 200), isFinal: false)
        #expect(FrameFeeder.events(of: bytes) == [.ping([UInt8](repeating: 1, count: 125))])
    }
}
