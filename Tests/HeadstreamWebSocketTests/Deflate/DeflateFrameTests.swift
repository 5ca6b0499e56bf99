import HeadstreamWebSocket
import Testing

@Suite("Compressed messages (RFC 7692)")
struct DeflateFrameTests {
    private static let agreement = DeflateAgreement()
    private static let noTakeover = DeflateAgreement(sendsWithTakeover: false, receivesWithTakeover: false)
    /// "Hello" as §7.2.3.1 has it.
    private static let hello: [UInt8] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]

    private func events(
        _ stream: [UInt8],
        _ agreement: DeflateAgreement? = Self.agreement,
        limit: Int = 1 << 20,
        chunk: Int = .max
    ) -> [RecordedEvent] {
        FrameFeeder.events(of: stream, maxMessageSize: limit, compression: agreement, chunk: chunk)
    }

    /// `message` as ``Deflater`` compresses it, or nil where it says that it is to go out as it is.
    private func compressed(_ message: [UInt8], _ deflater: inout Deflater) -> [UInt8]? {
        var output: [UInt8] = []
        return message.withUnsafeBytes { deflater.compress($0, to: &output) } ? output : nil
    }

    @Test("The examples of RFC 7692 §7.2.3 are read, in one piece and byte by byte", arguments: [Int.max, 1, 3])
    func specificationExamples(chunk: Int) {
        func read(_ stream: [UInt8]) -> [RecordedEvent] { self.events(stream, chunk: chunk) }
        // 7.2.3.1: one block; in two fragments.
        #expect(read([0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]) == [.text("Hello")])
        #expect(read([0x41, 0x03, 0xf2, 0x48, 0xcd, 0x80, 0x04, 0xc9, 0xc9, 0x07, 0x00]) == [.text("Hello")])
        // 7.2.3.2: the window is shared.
        #expect(
            read([0xc1, 0x07] + Self.hello + [0xc1, 0x05, 0xf2, 0x00, 0x11, 0x00, 0x00])
                == [.text("Hello"), .text("Hello")]
        )
        // 7.2.3.3: a block without compression.
        let stored: [UInt8] = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00]
        #expect(read([0xc1, 0x0b] + stored) == [.text("Hello")])
        // 7.2.3.4: a block with BFINAL, after which the window goes on.
        let final: [UInt8] = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]
        #expect(
            read([0xc1, 0x08] + final + [0xc1, 0x05, 0xf2, 0x00, 0x11, 0x00, 0x00])
                == [.text("Hello"), .text("Hello")]
        )
        // 7.2.3.5: two blocks.
        let two: [UInt8] = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00]
        #expect(read([0xc1, 0x0d] + two) == [.text("Hello")])
        // 7.2.3.6: an empty message.
        #expect(read([0xc1, 0x01, 0x00]) == [.text("")])
    }

    @Test("A message that ends with a final block and nothing behind it is read, and so is the next")
    func finalBlockAlone() {
        let final: [UInt8] = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]
        #expect(self.events([0xc1, 0x07] + final + [0xc1, 0x07] + Self.hello) == [.text("Hello"), .text("Hello")])
    }

    @Test("RSV1 belongs on the first frame of a data message, and nowhere else")
    func reservedBits() {
        #expect(self.events([0xc1, 0x07] + Self.hello, nil) == [.failed(.reservedBits(0x40))])
        #expect(self.events([0xc9, 0x00]) == [.failed(.reservedBits(0x40))])
        #expect(self.events([0xc8, 0x00]) == [.failed(.reservedBits(0x40))])
        #expect(self.events([0x41, 0x03, 0xf2, 0x48, 0xcd, 0xc0, 0x00]) == [.failed(.reservedBits(0x40))])
        #expect(self.events([0x01, 0x01, 0x61, 0xc0, 0x00]) == [.failed(.reservedBits(0x40))])
        #expect(self.events([0xe1, 0x00]) == [.failed(.reservedBits(0x60))])
        #expect(self.events([0xa1, 0x00]) == [.failed(.reservedBits(0x20))])
        #expect(self.events([0xc3, 0x00]) == [.failed(.reservedOpcode(3))])
        #expect(self.events([0x01, 0x01, 0x61, 0xc1, 0x00]) == [.failed(.unfinishedMessage)])
        #expect(self.events([0xc1, 0x80]) == [.failed(.maskForbidden)])
        #expect(self.events([0xc1, 0x7e, 0x00, 0x05]) == [.failed(.lengthNotMinimal(5))])
        #expect(
            self.events([0xc1, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0]) == [.failed(.lengthOutOfRange)]
        )
        // Messages that are not compressed are read as ever, between compressed ones and with control frames inside.
        let mixed: [UInt8] = [0xc1, 0x07] + Self.hello + [0x81, 0x01, 0x61] + [0x41, 0x03, 0xf2, 0x48, 0xcd]
        let rest: [UInt8] = [0x89, 0x01, 0x07] + [0x80, 0x04, 0xc9, 0xc9, 0x07, 0x00]
        #expect(self.events(mixed + rest) == [.text("Hello"), .text("a"), .ping([7]), .text("Hello")])
    }

    @Test("What does not inflate, and what ends in the middle, is an error of the connection with code 1007")
    func corrupted() {
        #expect(self.events([0xc2, 0x02, 0xff, 0xff]) == [.failed(.corruptCompression)])
        #expect(self.events([0xc1, 0x03, 0xf2, 0x48, 0xcd]) == [.failed(.corruptCompression)])
        // Not even the header of a block; an empty message has one (§7.2.3.6).
        #expect(self.events([0xc1, 0x00]) == [.failed(.corruptCompression)])
        // Without the window that it refers to.
        #expect(
            self.events([0xc1, 0x07] + Self.hello + [0xc1, 0x05, 0xf2, 0x00, 0x11, 0x00, 0x00], Self.noTakeover)
                == [.text("Hello"), .failed(.corruptCompression)]
        )
        #expect(WebSocketError(.corruptCompression).closeCode == 1007)
        #expect(WebSocketError(.inflatedTooBig(limit: 5)).closeCode == 1009)
    }

    @Test("Who looks further back than was agreed is read right, or refused where that is no more to be had")
    func beyondTheWindow() throws {
        var random = SeededGenerator(seed: 1)
        let part = (0..<520).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let bytes = part + part.prefix(100)
        var deflater = Deflater(Self.agreement)
        let message = frame(.binary, try #require(self.compressed(bytes, &deflater)), isCompressed: true)
        let narrow = DeflateAgreement(receiveWindowBits: 9)
        #expect(self.events(message, chunk: 3) == [.binary(bytes)])
        for chunk in [Int.max, 3] {
            let events = self.events(message, narrow, chunk: chunk)
            #expect(events == [.binary(bytes)] || events == [.failed(.corruptCompression)])
        }
    }

    @Test("Text is checked after it is inflated, across fragments")
    func text() throws {
        var deflater = Deflater(Self.agreement)
        let cut = [UInt8]("héllo".utf8)
        let good = try #require(self.compressed(cut, &deflater))
        for split in 0...good.count {
            let stream =
                frame(.text, Array(good[..<split]), isFinal: false, isCompressed: true)
                + frame(.continuation, Array(good[split...]))
            #expect(self.events(stream) == [.text("héllo")])
        }
        var other = Deflater(Self.agreement)
        let bad = try #require(self.compressed([0x61, 0xC3, 0x28, 0x61], &other))
        #expect(self.events(frame(.text, bad, isCompressed: true)) == [.failed(.invalidUTF8)])
        #expect(self.events(frame(.binary, bad, isCompressed: true)) == [.binary([0x61, 0xC3, 0x28, 0x61])])
    }

    @Test("A bomb ends at the limit, whatever it would come to, and costs no more memory than the limit")
    func bomb() throws {
        var deflater = Deflater(Self.agreement)
        let bomb = try #require(self.compressed([UInt8](repeating: 0x20, count: 64 << 20), &deflater))
        #expect(bomb.count < 70_000)
        let limit = 100_000
        for chunk in [Int.max, 1, 1000] {
            var feeder = FrameFeeder(role: .client, maxMessageSize: limit, compression: Self.agreement)
            feeder.feed(frame(.text, bomb, isCompressed: true), pieces: { _ in chunk })
            #expect(feeder.events == [.failed(.inflatedTooBig(limit: limit))])
            #expect(feeder.mostBuffered <= limit)
            let capacity = feeder.parser.bufferCapacity
            #expect(capacity == 0)
        }
        // In fragments, none of which is much.
        var fragments: [UInt8] = []
        for (index, byte) in bomb.enumerated() {
            fragments += frame(index == 0 ? .text : .continuation, [byte], isFinal: false, isCompressed: index == 0)
        }
        #expect(self.events(fragments, limit: limit) == [.failed(.inflatedTooBig(limit: limit))])
    }

    @Test("The limit itself is allowed, one byte more is not", arguments: [0, 1, 15, 16, 17, 1023, 1024, 5000])
    func limit(size: Int) throws {
        for filler in [UInt8(0x20), UInt8(0x41)] {
            var deflater = Deflater(Self.noTakeover)
            let message = [UInt8](repeating: filler, count: size)
            let over = message + [filler]
            // Small ones do not get smaller: as a block without compression.
            let payload = self.compressed(message, &deflater) ?? self.stored(message)
            let overPayload = self.compressed(over, &deflater) ?? self.stored(over)
            #expect(self.events(frame(.binary, payload, isCompressed: true), limit: size) == [.binary(message)])
            let tooBig = self.events(frame(.binary, overPayload, isCompressed: true), limit: size)
            #expect(tooBig == [.failed(.inflatedTooBig(limit: size))])
        }
    }

    private func stored(_ message: [UInt8]) -> [UInt8] {
        guard !message.isEmpty else { return [0x00] }
        let low = UInt8(truncatingIfNeeded: message.count)
        let high = UInt8(truncatingIfNeeded: message.count >> 8)
        return [0x00, low, high, ~low, ~high] + message + [0x00]
    }

    @Test("What does not compress may be somewhat longer than its message; endless empty blocks may not")
    func compressedSize() {
        var generator = SeededGenerator(seed: 7)
        let message = generator.bytes(60_000)
        let payload = self.stored(message)
        #expect(payload.count > message.count)
        #expect(self.events(frame(.binary, payload, isCompressed: true), limit: 60_000) == [.binary(message)])
        let empty: [UInt8] = [0x00, 0x00, 0x00, 0xff, 0xff]
        var stream = frame(.binary, empty, isFinal: false, isCompressed: true)
        for _ in 0..<20_000 { stream += frame(.continuation, empty, isFinal: false) }
        #expect(self.events(stream, limit: 60_000).last == .failed(.messageTooBig(size: 61_085, limit: 60_000)))
        let announced: [UInt8] = [0xc2, 0x7f, 0, 0, 0, 1, 0, 0, 0, 0]
        #expect(self.events(announced, limit: 60_000) == [.failed(.messageTooBig(size: 1 << 32, limit: 60_000))])
    }

    @Test(
        "What one end compresses the other reads: with and without takeover, all windows, any pieces, both roles",
        arguments: [true, false],
        [8, 9, 11, 15]
    )
    func roundTrip(takeover: Bool, bits: Int) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let agreement = DeflateAgreement(
            sendsWithTakeover: takeover,
            receivesWithTakeover: takeover,
            sendWindowBits: bits,
            receiveWindowBits: bits
        )
        for role in [WebSocketRole.client, .server] {
            var deflater = Deflater(agreement)
            var stream: [UInt8] = []
            var expected: [RecordedEvent] = []
            for _ in 0..<60 {
                let letters = UInt8.random(in: 1...255, using: &generator)
                let count = Int.random(in: 0...3000, using: &generator)
                let message = generator.bytes(count).map { $0 % letters }
                expected.append(.binary(message))
                let payload = self.compressed(message, &deflater)
                let bytes = payload ?? message
                let mask: UInt32? = role == .server ? UInt32.random(in: 0...UInt32.max, using: &generator) : nil
                let split = Int.random(in: 0...bytes.count, using: &generator)
                stream += frame(
                    .binary,
                    Array(bytes[..<split]),
                    mask: mask,
                    isFinal: false,
                    isCompressed: payload != nil
                )
                stream += frame(.continuation, Array(bytes[split...]), mask: mask)
            }
            var feeder = FrameFeeder(role: role, compression: agreement)
            feeder.feed(stream, pieces: { _ in Int.random(in: 1...700, using: &generator) })
            #expect(feeder.events == expected, "seed \(seed), \(role)")
        }
    }

    @Test("Takeover makes messages that resemble each other smaller; without it each stands alone")
    func takeover() throws {
        let message = Array(
            #"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x9ce59a13059e417087c02d3236a0b1cc"}}"#
                .utf8
        )
        var with = Deflater(Self.agreement)
        let first = try #require(self.compressed(message, &with))
        let second = try #require(self.compressed(message, &with))
        #expect(second.count < first.count / 4)
        var without = Deflater(Self.noTakeover)
        let alone = try #require(self.compressed(message, &without))
        #expect(self.compressed(message, &without) == alone)
        // Nothing is gained, and nobody depends on it: sent as it is.
        #expect(self.compressed([1, 2, 3], &without) == nil)
        #expect(self.compressed([], &without) == nil)
        #expect(self.compressed([1, 2, 3], &with) != nil)
    }

    @Test("Any bytes as a compressed message are an error or a message, within the limit")
    func noise() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<2000 {
            var feeder = FrameFeeder(role: .client, maxMessageSize: 1000, compression: Self.agreement)
            for _ in 0..<4 {
                let count = Int.random(in: 0...60, using: &generator)
                feeder.feed(frame(.binary, generator.bytes(count), isCompressed: true))
            }
            #expect(feeder.mostBuffered <= 1000, "seed \(seed)")
            #expect(feeder.events.count <= 4, "seed \(seed)")
        }
    }
}
