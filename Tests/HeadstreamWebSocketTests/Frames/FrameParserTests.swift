import HeadstreamWebSocket
import Testing

@Suite("Frame parser: the rules of RFC 6455 §5")
struct FrameParserTests {
    @Test("The examples of RFC 6455 §5.7 are read")
    func specificationExamples() {
        #expect(FrameFeeder.events(of: [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]) == [.text("Hello")])
        #expect(
            FrameFeeder.events(
                of: [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58],
                role: .server
            ) == [.text("Hello")]
        )
        #expect(
            FrameFeeder.events(of: [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f]) == [.text("Hello")]
        )
        let hello = Array("Hello".utf8)
        #expect(FrameFeeder.events(of: [0x89, 0x05] + hello) == [.ping(hello)])
        #expect(
            FrameFeeder.events(
                of: [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58],
                role: .server
            ) == [.pong(hello)]
        )
        let short = [UInt8](repeating: 7, count: 256)
        #expect(FrameFeeder.events(of: [0x82, 0x7E, 0x01, 0x00] + short) == [.binary(short)])
        let long = [UInt8](repeating: 9, count: 65536)
        #expect(FrameFeeder.events(of: [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0] + long) == [.binary(long)])
    }

    @Test(
        "Each broken rule is told by its name",
        arguments: [
            ([0xC1, 0x00], .reservedBits(0x40)),
            ([0xA2, 0x00], .reservedBits(0x20)),
            ([0x99, 0x00], .reservedBits(0x10)),
            ([0x83, 0x00], .reservedOpcode(3)),
            ([0x87, 0x00], .reservedOpcode(7)),
            ([0x07, 0x00], .reservedOpcode(7)),
            ([0x8B, 0x00], .reservedOpcode(11)),
            ([0x8F, 0x05], .reservedOpcode(15)),
            ([0x81, 0x80], .maskForbidden),
            ([0x89, 0x7E], .controlFrameTooLong),
            ([0x89, 0x7F], .controlFrameTooLong),
            ([0x88, 0x7E], .controlFrameTooLong),
            ([0x09, 0x00], .controlFrameFragmented),
            ([0x0A, 0x01], .controlFrameFragmented),
            ([0x08, 0x00], .controlFrameFragmented),
            ([0x81, 0x7E, 0x00, 0x7D], .lengthNotMinimal(125)),
            ([0x81, 0x7E, 0x00, 0x00], .lengthNotMinimal(0)),
            ([0x82, 0x7F, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], .lengthNotMinimal(65535)),
            ([0x82, 0x7F, 0x80, 0, 0, 0, 0, 0, 0, 0], .lengthOutOfRange),
            ([0x82, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], .lengthOutOfRange),
            ([0x80, 0x00], .unexpectedContinuation),
            ([0x00, 0x00], .unexpectedContinuation),
            ([0x01, 0x01, 0x61, 0x81, 0x00], .unfinishedMessage),
            ([0x02, 0x00, 0x02, 0x00], .unfinishedMessage),
            ([0x88, 0x01, 0x03], .closeFrameTooShort),
            ([0x88, 0x04, 0x03, 0xE8, 0xC3, 0x28], .invalidUTF8),
            ([0x81, 0x01, 0xFF], .invalidUTF8),
        ] as [([UInt8], WebSocketError.Code)]
    )
    func brokenRules(bytes: [UInt8], code: WebSocketError.Code) {
        #expect(FrameFeeder.events(of: bytes) == [.failed(code)])
        #expect(FrameFeeder.events(of: bytes + [0x81, 0x00, 0x89, 0x00]) == [.failed(code)], "the rest is discarded")
        #expect(FrameFeeder.events(of: bytes, chunk: 1) == [.failed(code)])
    }

    @Test("A client's frame without a mask is refused")
    func maskRequired() {
        #expect(FrameFeeder.events(of: [0x81, 0x00], role: .server) == [.failed(.maskMissing)])
        #expect(FrameFeeder.events(of: [0x89, 0x00], role: .server) == [.failed(.maskMissing)])
    }

    @Test("Close codes are accepted and refused as RFC 6455 §7.4 says (Autobahn 7.7, 7.9)")
    func closeCodes() {
        for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1014, 3000, 3999, 4000, 4999]
            as [UInt16]
        {
            let bytes = [0x88, 0x02, UInt8(code >> 8), UInt8(code & 0xFF)]
            #expect(FrameFeeder.events(of: bytes) == [.close(code, "")])
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] as [UInt16] {
            let bytes = [0x88, 0x02, UInt8(code >> 8), UInt8(code & 0xFF)]
            #expect(FrameFeeder.events(of: bytes) == [.failed(.invalidCloseCode(code))])
        }
        #expect(FrameFeeder.events(of: [0x88, 0x00]) == [.close(nil, "")])
        let reason = String(repeating: "é", count: 61)
        var output: [UInt8] = []
        FrameWriter.appendClose(code: 1001, reason: reason, mask: nil, to: &output)
        #expect(FrameFeeder.events(of: output) == [.close(1001, reason)])
    }

    @Test("After a close frame everything is discarded unparsed")
    func discardsAfterClose() {
        var feeder = FrameFeeder(role: .client)
        feeder.feed(frame(.text, "a") + [0x88, 0x00, 0xFF, 0xFF] + frame(.text, "b"))
        feeder.feed([0xFF, 0xFF, 0xFF])
        #expect(feeder.events == [.text("a"), .close(nil, "")])
        let isDiscarding = feeder.parser.isDiscarding
        #expect(isDiscarding)
        #expect(feeder.mostLeft == 0)
    }

    @Test("Edge case 111: a control frame in the middle of a fragmented message, and of its frames' pieces")
    func controlFrameInsideMessage() {
        let stream =
            frame(.text, "Hel", isFinal: false) + frame(.ping, "1") + frame(.continuation, "", isFinal: false)
            + frame(.pong, "2") + frame(.continuation, "lo") + frame(.ping, "3")
        let expected: [RecordedEvent] = [
            .ping(Array("1".utf8)), .pong(Array("2".utf8)), .text("Hello"), .ping(Array("3".utf8)),
        ]
        for chunk in 1...stream.count {
            #expect(FrameFeeder.events(of: stream, chunk: chunk) == expected)
        }
    }

    @Test("Edge case 111: ten pings in one read are ten events (Autobahn 2.10)")
    func tenPings() {
        let stream = (0..<10).flatMap { frame(.ping, "payload-\($0)") }
        #expect(FrameFeeder.events(of: stream) == (0..<10).map { .ping(Array("payload-\($0)".utf8)) })
    }

    @Test("Edge case 5: empty frames and white space are messages like others")
    func emptyFrames() {
        #expect(
            FrameFeeder.events(of: frame(.text) + frame(.text, " \n") + frame(.binary)) == [
                .text(""), .text(" \n"), .binary([]),
            ]
        )
        #expect(FrameFeeder.events(of: frame(.text, isFinal: false) + frame(.continuation)) == [.text("")])
    }

    @Test("Edge case 6: a binary frame with JSON text is handed out as such, unchecked")
    func binaryFrames() {
        let json = Array(#"{"jsonrpc":"2.0"}"#.utf8)
        #expect(FrameFeeder.events(of: frame(.binary, json)) == [.binary(json)])
        #expect(FrameFeeder.events(of: frame(.binary, [0xFF, 0xC0])) == [.binary([0xFF, 0xC0])])
        let parts = frame(.binary, [0xFF], isFinal: false) + frame(.continuation, [0xC0])
        #expect(FrameFeeder.events(of: parts) == [.binary([0xFF, 0xC0])])
    }

    @Test("A whole frame is handed out in place, and 64 initialised bytes follow one that was gathered")
    func pointersAndSlack() {
        var parser = FrameParser(role: .client)
        var bytes = frame(.text, "in place") + [UInt8](repeating: 0, count: 64)
        bytes.withUnsafeMutableBytes { bytes in
            let window = UnsafeMutableRawBufferPointer(rebasing: bytes.dropLast(64))
            var offset = 0
            guard case .message(let payload, .text) = parser.next(in: window, at: &offset) else {
                Issue.record("no message")
                return
            }
            #expect(payload.baseAddress == UnsafeRawPointer(bytes.baseAddress.map { $0 + 2 }))
            #expect(offset == window.count)
        }
        var halves = frame(.text, "gat", isFinal: false) + frame(.continuation, "hered")
        halves.withUnsafeMutableBytes { bytes in
            var offset = 0
            guard case .message(let payload, .text) = parser.next(in: bytes, at: &offset) else {
                Issue.record("no message")
                return
            }
            let past = UnsafeRawBufferPointer(start: payload.baseAddress.map { $0 + payload.count }, count: 64)
            #expect(past.allSatisfy { $0 == 0 })
        }
    }

    @Test("An event is a small trivial value")
    func eventSize() {
        #expect(_isPOD(FrameParser.Event.self))
        #expect(MemoryLayout<FrameParser.Event>.size <= 32)
    }
}
