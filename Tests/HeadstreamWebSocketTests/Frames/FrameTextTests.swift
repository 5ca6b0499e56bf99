import HeadstreamWebSocket
import Testing

@Suite("Frame parser: UTF-8 (RFC 6455 §8.1, Autobahn 6)")
struct FrameTextTests {
    static let valid: [[UInt8]] = [
        Array("Hello-µ@ßöäüàá-UTF-8!!".utf8),
        [0xCE, 0xBA, 0xE1, 0xBD, 0xB9, 0xCF, 0x83, 0xCE, 0xBC, 0xCE, 0xB5],
        [0x00], [0x7F], [0xC2, 0x80], [0xDF, 0xBF], [0xE0, 0xA0, 0x80], [0xEF, 0xBF, 0xBF],
        [0xED, 0x9F, 0xBF], [0xEE, 0x80, 0x80], [0xEF, 0xBF, 0xBD], [0xEF, 0xBF, 0xBE],
        [0xF0, 0x90, 0x80, 0x80], [0xF4, 0x8F, 0xBF, 0xBF],
    ]

    static let invalid: [[UInt8]] = [
        [0x80], [0xBF], [0x80, 0xBF], [0xC0, 0x20], [0xC3], [0xE0, 0x80], [0xE1, 0x80], [0xF0, 0x80],
        [0xF1, 0x80, 0x80],
        [0xFE], [0xFF], [0xC0, 0xAF], [0xC1, 0xBF], [0xE0, 0x80, 0xAF], [0xE0, 0x9F, 0xBF], [0xF0, 0x80, 0x80, 0xAF],
        [0xF0, 0x8F, 0xBF, 0xBF], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xED, 0xA0, 0x80, 0xED, 0xB0, 0x80],
        [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80],
        [0xCE, 0xBA, 0xE1, 0xBD, 0xB9, 0xCF, 0x83, 0xED, 0xA0, 0x80, 0x65, 0x64],
    ]

    @Test("Valid text is accepted in one frame, in fragments of a byte, and behind any number of ASCII bytes")
    func validText() {
        for bytes in Self.valid {
            for prefix in [0, 1, 13, 15, 16, 31, 62, 64] {
                let payload = [UInt8](repeating: 0x61, count: prefix) + bytes
                let expected = [RecordedEvent.text(String(decoding: payload, as: UTF8.self))]
                #expect(FrameFeeder.events(of: frame(.text, payload)) == expected)
                #expect(FrameFeeder.events(of: frame(.text, payload), chunk: 1) == expected)
                #expect(FrameFeeder.events(of: frame(.text, payload), chunk: 17) == expected)
                #expect(FrameFeeder.events(of: Self.fragments(payload, of: 1)) == expected)
                #expect(FrameFeeder.events(of: Self.fragments(payload, of: 33)) == expected)
            }
        }
    }

    @Test("Invalid text is refused in one frame, in fragments, and behind any number of ASCII bytes")
    func invalidText() {
        for bytes in Self.invalid {
            for prefix in [0, 1, 13, 15, 16, 31, 62, 64] {
                let payload = [UInt8](repeating: 0x61, count: prefix) + bytes
                #expect(FrameFeeder.events(of: frame(.text, payload)) == [.failed(.invalidUTF8)])
                #expect(FrameFeeder.events(of: frame(.text, payload), chunk: 1) == [.failed(.invalidUTF8)])
                #expect(FrameFeeder.events(of: Self.fragments(payload, of: 1)) == [.failed(.invalidUTF8)])
                #expect(FrameFeeder.events(of: Self.fragments(payload, of: 33)) == [.failed(.invalidUTF8)])
            }
        }
    }

    @Test("Text fails at the byte that makes it invalid, in an unfinished frame too (Autobahn 6.4)")
    func failsFast() {
        let start: [UInt8] = [0xCE, 0xBA, 0xE1, 0xBD, 0xB9, 0xCF, 0x83, 0xCE, 0xBC, 0xCE, 0xB5]
        let bad: [UInt8] = [0xF4, 0x90]
        // 6.4.1: the second fragment is invalid, the third never comes.
        var fragments = FrameFeeder(role: .client)
        fragments.feed(frame(.text, start, isFinal: false))
        #expect(fragments.events.isEmpty)
        fragments.feed(frame(.continuation, bad + [0x80, 0x80], isFinal: false))
        #expect(fragments.events == [.failed(.invalidUTF8)])
        // 6.4.3 and 6.4.4: the same within one frame, in pieces.
        for masked in [nil, mask([1, 2, 3, 4])] {
            var pieces = FrameFeeder(role: masked == nil ? .client : .server)
            let whole = frame(.text, start + bad + [0x80, 0x80, 0x65], mask: masked)
            let header = masked == nil ? 2 : 6
            pieces.feed(whole[..<(header + start.count)])
            pieces.feed(whole[(header + start.count)..<(header + start.count + 1)])
            #expect(pieces.events.isEmpty)
            pieces.feed(whole[(header + start.count + 1)..<(header + start.count + 2)])
            #expect(pieces.events == [.failed(.invalidUTF8)])
        }
    }

    @Test("Sequences of up to four bytes at the edges of every range agree with the standard library")
    func agreesWithStandardLibrary() {
        let leads: [UInt8] = [
            0x00, 0x7F, 0x80, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4,
            0xF5, 0xFF,
        ]
        let seconds: [UInt8] = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2]
        let thirds: [UInt8] = [0x7F, 0x80, 0xBF, 0xC0]
        var sequences: [[UInt8]] = []
        for lead in leads {
            sequences.append([lead])
            for second in seconds {
                sequences.append([lead, second])
                for third in thirds {
                    sequences.append([lead, second, third])
                    for fourth in thirds { sequences.append([lead, second, third, fourth]) }
                }
            }
        }
        for sequence in sequences {
            let expected: [RecordedEvent] =
                String(validating: sequence, as: UTF8.self).map { [.text($0)] } ?? [.failed(.invalidUTF8)]
            let isSame =
                FrameFeeder.events(of: frame(.text, sequence)) == expected
                && FrameFeeder.events(of: frame(.text, sequence), chunk: 1) == expected
            if !isSame { Issue.record("\(sequence)") }
        }
    }

    static func fragments(_ payload: [UInt8], of size: Int) -> [UInt8] {
        var stream: [UInt8] = []
        var index = 0
        repeat {
            let end = min(payload.count, index + size)
            stream += frame(
                index == 0 ? .text : .continuation,
                Array(payload[index..<end]),
                isFinal: end == payload.count
            )
            index = end
        } while index < payload.count
        return stream
    }
}
