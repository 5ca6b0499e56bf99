import HeadstreamWebSocket
import Testing

@Suite("Frame parser: bounds")
struct FrameLimitTests {
    @Test("Edge case 7: a message over the limit names its size, the limit and what to raise")
    func messageOverTheLimit() {
        let error = WebSocketError(.messageTooBig(size: 41_231_004, limit: 33_554_432))
        #expect(
            error.message
                == "message of 41231004 bytes exceeds maxMessageSize 33554432; raise Configuration.maxMessageSize"
        )
        #expect(error.closeCode == 1009)
        // 41,231,004 announced, in a header alone.
        #expect(
            FrameFeeder.events(of: [0x81, 0x7F, 0, 0, 0, 0, 0x02, 0x75, 0x22, 0x9C]) == [
                .failed(.messageTooBig(size: 41_231_004, limit: 33_554_432))
            ]
        )
    }

    @Test("Edge case 7: the limit itself is allowed, one byte more is not, in one frame or in many")
    func limitIsExact() {
        let full = [UInt8](repeating: 0x61, count: 1000)
        #expect(FrameFeeder.events(of: frame(.binary, full), maxMessageSize: 1000) == [.binary(full)])
        #expect(
            FrameFeeder.events(of: frame(.binary, full + [0]), maxMessageSize: 1000) == [
                .failed(.messageTooBig(size: 1001, limit: 1000))
            ]
        )
        let halves = frame(.binary, Array(full[..<500]), isFinal: false)
        #expect(
            FrameFeeder.events(of: halves + frame(.continuation, Array(full[500...])), maxMessageSize: 1000) == [
                .binary(full)
            ]
        )
        #expect(
            FrameFeeder.events(of: halves + [0x80, 0x7E, 0x01, 0xF5], maxMessageSize: 1000) == [
                .failed(.messageTooBig(size: 1001, limit: 1000))
            ]
        )
        #expect(
            FrameFeeder.events(of: frame(.text, "a"), maxMessageSize: 0) == [.failed(.messageTooBig(size: 1, limit: 0))]
        )
        #expect(FrameFeeder.events(of: frame(.text, ""), maxMessageSize: 0) == [.text("")])
    }

    @Test("A header that announces 2^63 - 1 bytes allocates nothing")
    func hugeAnnouncement() {
        let header: [UInt8] = [0x82, 0x7F, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
        #expect(
            FrameFeeder.events(of: header) == [
                .failed(.messageTooBig(size: UInt64(Int64.max), limit: FrameParser.defaultMaxMessageSize))
            ]
        )
        var unlimited = FrameFeeder(role: .client, maxMessageSize: .max)
        unlimited.feed(header)
        unlimited.feed([1, 2, 3])
        #expect(unlimited.events.isEmpty)
        #expect(unlimited.mostBuffered == 3)
    }

    @Test("Edge case 3: a 10 MB frame in 1-byte chunks, and in 4 KB ones, leaves nothing to be scanned again")
    func tenMegabytesInChunks() {
        let payload = [UInt8](repeating: 0x61, count: 10_000_000)
        let stream = frame(.text, payload)
        for chunk in [1, 4096] {
            var feeder = FrameFeeder(role: .client)
            feeder.feed(stream, pieces: { _ in chunk })
            let isSame = feeder.events == [.text(String(decoding: payload, as: UTF8.self))]
            #expect(isSame)
            #expect(feeder.mostLeft < 14, "what is left for the next call is part of a header at most")
            let held = feeder.parser.bufferedBytes
            #expect(held == 0)
        }
    }

    @Test("A million tiny fragments, empty ones among them, cost their bytes and no more")
    func millionFragments() {
        var feeder = FrameFeeder(role: .client)
        feeder.feed(frame(.text, "", isFinal: false))
        let batch = [[UInt8]](repeating: [0x00, 0x01, 0x78, 0x00, 0x00], count: 5000).flatMap { $0 }
        for _ in 0..<100 { feeder.feed(batch) }
        #expect(feeder.mostBuffered == 500_000)
        feeder.feed(frame(.continuation, "y"))
        #expect(feeder.events == [.text(String(repeating: "x", count: 500_000) + "y")])
        #expect(feeder.mostLeft == 0)
    }

    @Test("Memory grows with what has arrived, and is given back after a large message, a failure and a close")
    func memory() {
        var feeder = FrameFeeder(role: .client)
        let large = frame(.binary, [UInt8](repeating: 1, count: 1_000_000))
        feeder.feed(large[..<100_000])
        let early = feeder.parser.bufferCapacity
        #expect(early >= 99_990 && early <= 200_000)
        feeder.feed(large[100_000...])
        let late = feeder.parser.bufferCapacity
        #expect(late == 0)
        feeder.feed(frame(.binary, [UInt8](repeating: 1, count: 5000), isFinal: false) + frame(.continuation))
        let kept = feeder.parser.bufferCapacity
        #expect(kept > 0 && kept <= 16 * 1024)
        feeder.feed(frame(.binary, [UInt8](repeating: 1, count: 50_000), isFinal: false))
        feeder.feed([0xFF, 0xFF])
        let failed = feeder.parser.bufferCapacity
        #expect(failed == 0)
        let count = feeder.events.count
        #expect(count == 3)
    }

    @Test("What is left unconsumed is small, whatever is cut where")
    func leftIsSmall() {
        let stream =
            frame(.binary, [UInt8](repeating: 1, count: 70_000)) + frame(.ping, [UInt8](repeating: 2, count: 125))
        for cut in [1, 9, 10, 11, 20_000, 69_999, 70_010, 70_012, 70_136] {
            var feeder = FrameFeeder(role: .client)
            feeder.feed(stream[..<cut])
            feeder.feed(stream[cut...])
            #expect(feeder.events.count == 2)
            #expect(feeder.mostLeft < 139)
        }
    }
}
