import Glibc
import HeadstreamLocks
import HeadstreamSockets
import Testing

@Suite("Channels")
struct ChannelTests {
    @Test("Bytes go both ways over TCP and Unix sockets", arguments: [0, 1, 2])
    func echo(kind: Int) async throws {
        try await withLoop { loop in
            let address: SocketAddress =
                switch kind {
                case 0: .host("127.0.0.1", port: 0)
                case 1: .unix(path: temporarySocketPath())
                default: .unix(path: "@headstream-\(getpid())-\(UInt32.random(in: 0...(.max)))")
                }
            let pair = try await Pair.make(loop, on: address)
            await loop.on {
                pair.client.write("hello ")
                pair.client.write("server")
                pair.server.write("hello client")
            }
            await pair.serverSide.wait { $0.bytes.count == 12 }
            await pair.clientSide.wait { $0.bytes.count == 12 }
            await loop.on {
                #expect(String(decoding: pair.serverSide.bytes, as: UTF8.self) == "hello server")
                #expect(String(decoding: pair.clientSide.bytes, as: UTF8.self) == "hello client")
                // What one turn wrote went out together.
                #expect(pair.serverSide.calls == 1)
                #expect(pair.client.queuedBytes == 0)
                pair.client.close()
                pair.client.close()
            }
            #expect(await pair.serverSide.waitForEnd() == .endOfStream)
            await loop.on {
                #expect(pair.clientSide.end == nil)
                #expect(loop.statistics.openSockets == 1)
                pair.listener.close()
                #expect(loop.statistics.openSockets == 0)
            }
        }
    }

    @Test("A message split anywhere comes in one piece with what was left of it before")
    func everySplit() async throws {
        try await withLoop { loop in
            let pair = try await Pair.make(loop)
            let message = (0..<40).map { UInt8($0) }
            await loop.on {
                // Records of ten bytes; an incomplete one is left.
                pair.serverSide.onReceive = { _, bytes in bytes.count / 10 * 10 }
            }
            for split in 0...message.count {
                let calls = await loop.on { pair.serverSide.calls }
                await loop.on { pair.client.write(Array(message[..<split])) }
                if split > 0 { await pair.serverSide.wait { $0.calls > calls } }
                await loop.on { pair.client.write(Array(message[split...])) }
                await pair.serverSide.wait { $0.bytes.count == 40 * (split + 1) }
                #expect(await loop.on { Array(pair.serverSide.bytes.suffix(40)) } == message, "split at \(split)")
            }
        }
    }

    @Test("A message one byte at a time")
    func byteByByte() async throws {
        try await withLoop { loop in
            let pair = try await Pair.make(loop)
            let message = (0..<200).map { UInt8($0) }
            await loop.on { pair.serverSide.onReceive = { _, bytes in bytes.count / 200 * 200 } }
            for (index, byte) in message.enumerated() {
                await loop.on { pair.client.write([byte]) }
                await pair.serverSide.wait { $0.calls == index + 1 }
            }
            #expect(await loop.on { pair.serverSide.bytes } == message)
        }
    }

    @Test("A message larger than the loop's buffer is read behind its own beginning, then small ones as before")
    func largeTail() async throws {
        try await withLoop { loop in
            let pair = try await Pair.make(loop)
            let seed = UInt64.random(in: 0...UInt64.max)
            // Lengths (four bytes, big-endian) on both sides of every threshold.
            let lengths = [
                5, 131_000, 131_072, 131_073, 262_143, 262_144, 262_145, 3_000_000, 7, 10_000_000, 1, 400_000, 3,
            ]
            var random = SplitMix(seed)
            var stream: [UInt8] = []
            for length in lengths {
                stream += withUnsafeBytes(of: UInt32(length).bigEndian) { Array($0) }
                stream += pattern(length)
            }
            let expected = stream
            await loop.on {
                pair.serverSide.onReceive = { _, bytes in
                    // The padding is there, and is zero.
                    if let base = bytes.baseAddress {
                        let padding = UnsafeRawBufferPointer(start: base + bytes.count, count: 64)
                        #expect(padding.allSatisfy { $0 == 0 })
                    }
                    var used = 0
                    while bytes.count - used >= 4 {
                        let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: used, as: UInt32.self)))
                        guard bytes.count - used - 4 >= length else { break }
                        used += 4 + length
                    }
                    return used
                }
            }
            var position = 0
            while position < expected.count {
                let size = Int(random.next() % 300_000) + 1
                let piece = Array(expected[position..<min(position + size, expected.count)])
                position += piece.count
                await loop.on { pair.client.write(piece) }
            }
            await pair.serverSide.wait { $0.bytes.count == expected.count || $0.end != nil }
            #expect(await loop.on { pair.serverSide.bytes == expected }, "seed \(seed)")
        }
    }

    @Test("An incomplete message of 64 MB ends the channel with an error that names the bound")
    func tailLimit() async throws {
        try await withLoop { loop in
            let pair = try await Pair.make(loop)
            await loop.on {
                pair.serverSide.onReceive = { _, _ in 0 }
                pair.client.write([UInt8](repeating: 1, count: 70 << 20))
            }
            guard case .failed(let error)? = await pair.serverSide.waitForEnd() else {
                Issue.record("the channel did not fail")
                return
            }
            #expect(error.message.contains("67108864 bytes of one incomplete message"))
        }
    }

    @Test("A delegate that pauses in the middle is handed what it left when it goes on, without new bytes")
    func pauseInside() async throws {
        try await withLoop { loop in
            let pair = try await Pair.make(loop)
            await loop.on {
                pair.serverSide.onReceive = { channel, _ in
                    channel.isReading = false
                    return 1
                }
                pair.client.write("abc")
            }
            for count in 1...3 {
                await pair.serverSide.wait { $0.calls == count }
                await loop.on { pair.server.isReading = true }
            }
            #expect(await loop.on { pair.serverSide.bytes } == Array("abc".utf8))
        }
    }

    @Test("A busy socket gets its share of a turn and a hundred quiet ones theirs")
    func fairness() async throws {
        try await withLoop { loop in
            let other = EventLoop(name: "peers", userTimeout: 0)
            let perTurn = Locked<[Int: Int]>([:])
            let quietBytes = Recorder(loop)
            let busySide = Recorder(loop)
            let isFirst = Locked(true)
            let listener = try await loop.onThrowing {
                try loop.listen(on: .host("127.0.0.1", port: 0)) { _ in
                    let first = isFirst.withLock { first in
                        defer { first = false }
                        return first
                    }
                    return first ? busySide : quietBytes
                }
            }
            await loop.on {
                busySide.keepsBytes = false
                busySide.onReceive = { _, bytes in
                    perTurn.withLock { $0[loop.statistics.turns, default: 0] += bytes.count }
                    return bytes.count
                }
            }
            let sender = Recorder(other)
            // More than the system buffers, so that each piece is told to have drained.
            let piece = [UInt8](repeating: 0, count: 32 << 20)
            let busy = await other.on {
                sender.onDrained = { $0.write(piece) }
                sender.onOpen = { $0.write(piece) }
                return other.connect(to: listener.address, delegate: sender)
            }
            await busySide.wait { $0.calls > 10 }
            let quietSides = (0..<100).map { _ in Recorder(other) }
            let quiet = await other.on { quietSides.map { other.connect(to: listener.address, delegate: $0) } }
            for side in quietSides { await side.wait { $0.isOpen } }
            await other.on { for channel in quiet { channel.write("!") } }
            // All of them are heard although the busy one never stops.
            await quietBytes.wait { $0.bytes.count == 100 }
            let most = perTurn.withLock { $0.values.max() ?? 0 }
            #expect(most > 0)
            #expect(most <= 512 * 1024)
            #expect(await loop.on { busySide.end } == nil)
            await other.on { busy.close() }
            await other.shutdown()
        }
    }

    @Test("A callback that closes another socket with bytes in the same turn: the other is not called")
    func closeAnother() async throws {
        try await withLoop { loop in
            let first = try await Pair.make(loop)
            let second = try await Pair.make(loop)
            await loop.on {
                first.serverSide.onReceive = { _, bytes in
                    second.server.close()
                    return bytes.count
                }
                second.serverSide.onReceive = { _, bytes in
                    first.server.close()
                    return bytes.count
                }
                first.client.write("x")
                second.client.write("x")
            }
            // The client of the closed one sees the end; the other's sees nothing.
            await loop.on {
                second.clientSide.onEnd = { _, _ in first.clientSide.changed() }
            }
            await first.clientSide.wait { $0.end != nil || second.clientSide.end != nil }
            let calls = await loop.on { first.serverSide.calls + second.serverSide.calls }
            #expect(calls == 1)
            await loop.on {
                // They refer to each other.
                first.serverSide.onReceive = nil
                second.serverSide.onReceive = nil
                second.clientSide.onEnd = nil
            }
            #expect(await loop.on { first.serverSide.end == nil && second.serverSide.end == nil })
        }
    }

    @Test("A callback that closes its own channel with bytes left is not called again, and lets its delegate go")
    func closeOwn() async throws {
        try await withLoop { loop in
            let pair = try await Pair.make(loop)
            await loop.on {
                pair.serverSide.onReceive = { channel, bytes in
                    channel.close()
                    #expect(bytes[0] == UInt8(ascii: "a"))
                    return 0
                }
                pair.client.write([UInt8](repeating: UInt8(ascii: "a"), count: 600_000))
            }
            _ = await pair.clientSide.waitForEnd()
            #expect(await loop.on { pair.serverSide.calls } == 1)
            #expect(await loop.on { pair.serverSide.endings } == 0)
            #expect(await loop.on { pair.server.queuedBytes } == 0)
        }
    }

    @Test("A slot and a descriptor that are reused do not get the events of those before")
    func reusedDescriptors() async throws {
        try await withLoop { loop in
            let listener = try await loop.onThrowing {
                try loop.listen(on: .host("127.0.0.1", port: 0)) { channel in
                    channel.write("x")
                    let side = Recorder(loop)
                    side.onReceive = { channel, bytes in
                        channel.close()
                        return bytes.count
                    }
                    return side
                }
            }
            for _ in 0..<200 {
                let sides = (0..<3).map { _ in Recorder(loop) }
                let channels = await loop.on {
                    sides.map { side in
                        side.onReceive = { channel, bytes in
                            channel.close()
                            return bytes.count
                        }
                        return loop.connect(to: listener.address, delegate: side)
                    }
                }
                for side in sides { await side.wait { $0.calls == 1 } }
                #expect(await loop.on { sides.allSatisfy { $0.bytes == Array("x".utf8) && $0.end == nil } })
                await loop.on { for channel in channels { channel.close() } }
            }
        }
    }

    @Test("All bytes are delivered before the end of the stream, also to one that paused")
    func halfClose() async throws {
        try await withLoop { loop in
            let pair = try await Pair.make(loop)
            let bytes = pattern(3_000_000)
            await loop.on {
                pair.server.isReading = false
                pair.client.write(bytes)
                pair.client.finishWriting()
                pair.client.write("ignored")
            }
            await loop.turns(5)
            #expect(await loop.on { pair.serverSide.calls } == 0)
            await loop.on { pair.server.isReading = true }
            #expect(await pair.serverSide.waitForEnd() == .endOfStream)
            #expect(await loop.on { pair.serverSide.bytes == bytes && pair.serverSide.endings == 1 })
        }
    }

    @Test("After finishWriting the other direction still reads")
    func finishWriting() async throws {
        try await withLoop { loop in
            let pair = try await RawPair.make(loop)
            await loop.on {
                pair.channel.write("bye")
                pair.channel.finishWriting()
                pair.channel.finishWriting()
            }
            var buffer = [UInt8](repeating: 0, count: 10)
            #expect(recv(pair.raw, &buffer, 10, Int32(MSG_WAITALL)) == 3)
            #expect(send(pair.raw, "answer", 6, 0) == 6)
            close(pair.raw)
            #expect(await pair.side.waitForEnd() == .endOfStream)
            #expect(await loop.on { pair.side.bytes } == Array("answer".utf8))
        }
    }

    @Test("What a delegate answers in the turn that also brings the end still goes out")
    func lastWords() async throws {
        try await withLoop { loop in
            let pair = try await RawPair.make(loop)
            await loop.on {
                pair.side.onReceive = { channel, bytes in
                    channel.write("answer")
                    return bytes.count
                }
                pair.channel.isReading = false
            }
            send(pair.raw, "farewell", 8, 0)
            Glibc.shutdown(pair.raw, Int32(SHUT_WR))
            await loop.on { pair.channel.isReading = true }
            var buffer = [UInt8](repeating: 0, count: 10)
            #expect(recv(pair.raw, &buffer, 10, Int32(MSG_WAITALL)) == 6)
            #expect(await pair.side.waitForEnd() == .endOfStream)
            close(pair.raw)
        }
    }

    @Test("A peer that does not read holds the writer back; when it does, the writer is told once and all arrives")
    func backpressure() async throws {
        try await withLoop { loop in
            let pair = try await Pair.make(loop)
            let bytes = pattern(20_000_000)
            await loop.on {
                pair.server.isReading = false
                pair.client.write(bytes)
            }
            await loop.turns(5)
            #expect(await loop.on { pair.client.queuedBytes } > 0)
            #expect(await loop.on { pair.clientSide.drained } == 0)
            let waiting = await loop.on { pair.client.queuedBytes }
            await loop.on { pair.client.write("more") }
            await loop.turns(2)
            #expect(await loop.on { pair.client.queuedBytes } == waiting + 4)
            await loop.on { pair.server.isReading = true }
            await pair.clientSide.wait { $0.drained == 1 }
            await pair.serverSide.wait { $0.bytes.count == bytes.count + 4 }
            #expect(await loop.on { pair.serverSide.bytes == bytes + Array("more".utf8) })
            #expect(await loop.on { pair.clientSide.drained } == 1)
        }
    }

    @Test("Edge case 105: a reset on a socket that is not read does not spin, and is told when it is read again")
    func resetWhilePaused() async throws {
        try await withLoop { loop in
            let pair = try await RawPair.make(loop)
            await loop.on { pair.channel.isReading = false }
            send(pair.raw, "last", 4, 0)
            Raw.reset(pair.raw)
            let before = await loop.on { loop.statistics.turns }
            // Each `on` is one turn; a spinning loop would have had thousands in 20 ms.
            let other = EventLoop(name: "other", userTimeout: 0)
            try await other.sleep(for: .milliseconds(20))
            await other.shutdown()
            #expect(await loop.on { loop.statistics.turns } - before <= 4)
            #expect(await loop.on { pair.side.end } == nil)
            await loop.on { pair.channel.isReading = true }
            guard case .failed(let error)? = await pair.side.waitForEnd() else {
                Issue.record("no failure was told")
                return
            }
            #expect(error.code == .reset)
            #expect(error.message.contains("127.0.0.1:"))
        }
    }

    @Test("Edge case 105: the same with bytes waiting to be sent")
    func resetWhilePausedAndBlocked() async throws {
        try await withLoop { loop in
            let pair = try await RawPair.make(loop)
            await loop.on {
                pair.channel.isReading = false
                pair.channel.write([UInt8](repeating: 0, count: 20_000_000))
            }
            await loop.turns(3)
            Raw.reset(pair.raw)
            let before = await loop.on { loop.statistics.turns }
            let other = EventLoop(name: "other", userTimeout: 0)
            try await other.sleep(for: .milliseconds(20))
            await other.shutdown()
            #expect(await loop.on { loop.statistics.turns } - before <= 6)
            await loop.on { pair.channel.isReading = true }
            guard case .failed(let error)? = await pair.side.waitForEnd() else {
                Issue.record("no failure was told")
                return
            }
            #expect(error.code == .reset)
            #expect(await loop.on { pair.channel.queuedBytes } == 0)
        }
    }

    @Test("Bytes that came before a write failed are delivered before the failure")
    func bytesBeforeFailedWrite() async throws {
        try await withLoop { loop in
            let path = temporarySocketPath()
            let pair = try await Pair.make(loop, on: .unix(path: path))
            await loop.on {
                // All in one turn: the bytes are in the socket, its other end is closed, and then a write fails.
                pair.server.isReading = false
                pair.client.write("answer")
            }
            await loop.turns(2)
            await loop.on {
                pair.client.close()
                pair.server.write("question")
            }
            await loop.turns(2)
            #expect(await loop.on { pair.serverSide.end } == nil)
            await loop.on { pair.server.isReading = true }
            guard case .failed(let error)? = await pair.serverSide.waitForEnd() else {
                Issue.record("no failure was told")
                return
            }
            #expect(error.code == .reset)
            #expect(await loop.on { pair.serverSide.bytes } == Array("answer".utf8))
        }
    }

    @Test("A shutdown ends every channel and tells its delegate, the listener is gone, nothing can be connected")
    func shutdown() async throws {
        let loop = EventLoop(name: "test", userTimeout: 0)
        let pairs = [try await Pair.make(loop), try await Pair.make(loop)]
        let pending = Recorder(loop)
        // Nobody accepts there, so this one is still connecting.
        let path = temporarySocketPath()
        let full = FullBacklog(path: path)
        let waiting = await loop.on { loop.connect(to: .unix(path: path), delegate: pending) }
        await loop.turns(2)
        await loop.shutdown()
        for side in pairs.flatMap({ [$0.clientSide, $0.serverSide] }) + [pending] {
            guard case .failed(let error)? = await loop.on({ side.end }) else {
                Issue.record("no failure was told")
                return
            }
            #expect(error.code == .loopIsShutDown)
            #expect(await loop.on { side.endings } == 1)
        }
        full.close()
        _ = waiting
        let late = Recorder(loop)
        _ = await loop.on { loop.connect(to: .host("127.0.0.1", port: 1), delegate: late) }
        guard case .failed(let error)? = await late.waitForEnd() else {
            Issue.record("no failure was told")
            return
        }
        #expect(error.code == .loopIsShutDown)
        #expect(
            await loop.on {
                do throws(SocketError) {
                    _ = try loop.listen(on: .host("127.0.0.1", port: 0)) { _ in late }
                    return nil
                } catch {
                    return error.code
                }
            } == SocketError.Code.loopIsShutDown
        )
        #expect(loop.statistics.openSockets == 0)
    }

    @Test("Random bytes differ and fill every size")
    func random() async {
        await withLoop { loop in
            let drawn = await loop.on {
                (0..<3000).map { index in
                    withUnsafeTemporaryAllocation(byteCount: 16, alignment: 8) { buffer in
                        loop.fillRandom(buffer)
                        return buffer.load(as: UInt64.self)
                    }
                }
            }
            #expect(Set(drawn).count == drawn.count)
            let large = await loop.on {
                var bytes = [UInt8](repeating: 0, count: 10_000)
                bytes.withUnsafeMutableBytes { loop.fillRandom($0) }
                return bytes
            }
            #expect(Set(large).count == 256)
        }
    }
}

/// Bytes of which no stretch stands at two places less than 65,537 apart.
private func pattern(_ count: Int) -> [UInt8] {
    var random = SplitMix(1)
    let period = (0..<65_537).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + period.count)
    while bytes.count < count { bytes += period }
    bytes.removeLast(bytes.count - count)
    return bytes
}

/// A Unix socket whose backlog is full.
struct FullBacklog: Sendable {
    let listener: Int32
    private let waiting: [Int32]
    private let path: String

    init(path: String) {
        self.path = path
        let listener = Raw.socket(AF_UNIX)
        _ = Raw.withAddress(path: path) { bind(listener, $0, $1) }
        listen(listener, 0)
        var waiting: [Int32] = []
        while waiting.count < 10 {
            let descriptor = Raw.socket(AF_UNIX, nonblocking: true)
            waiting.append(descriptor)
            if Raw.withAddress(path: path, { connect(descriptor, $0, $1) }) != 0 { break }
        }
        self.listener = listener
        self.waiting = waiting
    }

    /// Takes connections out of the backlog, which makes room.
    func accept(_ count: Int) -> [Int32] {
        (0..<count).map { _ in Glibc.accept(self.listener, nil, nil) }
    }

    /// How many connections the backlog holds.
    var count: Int { self.waiting.count - 1 }

    func close() {
        for descriptor in self.waiting + [self.listener] { Glibc.close(descriptor) }
        unlink(self.path)
    }
}
