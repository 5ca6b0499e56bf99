import CHeadstreamOpenSSL
import Glibc
import HeadstreamLocks
import HeadstreamTesting
import Testing

@testable import HeadstreamSockets

@Suite("Bytes over TLS", .timeLimit(.minutes(15)))
struct TLSBytesTests {
    @Test("Megabytes go both ways at once, in order, with messages cut anywhere")
    func bothWays() async throws {
        try await withLoop { loop in
            let pair = try await TLSPair.make(loop)
            let block = (0..<1_000_003).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
            await loop.on {
                // Whole records of 1,000 bytes are taken, the rest is left.
                for side in [pair.clientSide, pair.serverSide] {
                    side.onReceive = { _, bytes in bytes.count >= 1000 ? bytes.count / 1000 * 1000 : 0 }
                }
                for _ in 0..<5 {
                    pair.client.write(block)
                    pair.server.write(block)
                }
            }
            let whole = block + block + block + block + block
            for side in [pair.clientSide, pair.serverSide] {
                await side.wait { $0.bytes.count == 5_000_000 || $0.end != nil }
                #expect(await loop.on { side.bytes == Array(whole.prefix(5_000_000)) })
            }
            await loop.on { pair.client.close() }
            #expect(await pair.serverSide.waitForEnd() == .endOfStream)
        }
    }

    @Test("A message larger than the loop's buffer is read in linear time, then small ones as before")
    func large() async throws {
        try await withLoop { loop in
            let pair = try await TLSPair.make(loop)
            let message = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 >> 4) }
            await loop.on {
                pair.clientSide.onReceive = { _, bytes in bytes.count >= 3_000_000 ? 3_000_000 : 0 }
                pair.server.write(message)
                pair.server.write([1, 2, 3])
            }
            await pair.clientSide.wait { $0.bytes.count == 3_000_000 || $0.end != nil }
            await loop.on {
                #expect(pair.clientSide.bytes == message)
                pair.clientSide.onReceive = nil
                pair.server.write([4])
            }
            await pair.clientSide.wait { $0.bytes.count == 3_000_004 }
            #expect(await loop.on { pair.clientSide.bytes.suffix(4) } == [1, 2, 3, 4])
        }
    }

    @Test("Behind what is delivered lie 64 zero bytes, as without TLS")
    func padding() async throws {
        try await withLoop { loop in
            let pair = try await TLSPair.make(loop)
            let padding = Locked<[UInt8]>([1])
            await loop.on {
                pair.server.write([UInt8](repeating: 0xFF, count: 100_000))
                pair.clientSide.onReceive = { _, bytes in
                    let behind = UnsafeRawBufferPointer(start: bytes.baseAddress.map { $0 + bytes.count }, count: 64)
                    padding.withLock { $0 = Array(behind) }
                    return bytes.count
                }
            }
            await pair.clientSide.wait { $0.bytes.count == 100_000 }
            #expect(padding.withLock { $0 } == [UInt8](repeating: 0, count: 64))
        }
    }

    @Test("A delegate that pauses in a call gets the rest when it reads on, and the end behind it")
    func pausing() async throws {
        try await withLoop { loop in
            let pair = try await TLSPair.make(loop)
            await loop.on {
                pair.clientSide.onReceive = { channel, _ in
                    channel.isReading = false
                    return 1
                }
                pair.server.write("abc")
                pair.server.finishWriting()
            }
            for count in 1...3 {
                await pair.clientSide.wait { $0.bytes.count == count }
                await loop.turns(3)
                #expect(await loop.on { pair.clientSide.calls } == count)
                #expect(await loop.on { pair.clientSide.end } == nil)
                await loop.on { pair.client.isReading = true }
            }
            #expect(await pair.clientSide.waitForEnd() == .endOfStream)
        }
    }

    @Test("Paused for megabytes, nothing is lost, and the writer is held back")
    func heldBack() async throws {
        try await withLoop { loop in
            let pair = try await TLSPair.make(loop)
            let message = (0..<20_000_000).map { UInt8(truncatingIfNeeded: $0 >> 8) }
            await loop.on {
                pair.client.isReading = false
                pair.server.write(message)
            }
            await loop.turns(20)
            let queued = await loop.on { pair.server.queuedBytes }
            #expect(queued > 1_000_000)
            await loop.on {
                #expect(pair.clientSide.bytes.isEmpty)
                #expect(pair.serverSide.drained == 0)
                pair.client.isReading = true
            }
            await pair.clientSide.wait { $0.bytes.count == message.count }
            #expect(await loop.on { pair.clientSide.bytes == message })
            await pair.serverSide.wait { $0.drained == 1 }
            #expect(await loop.on { pair.server.queuedBytes } == 0)
        }
    }

    @Test(
        "Edge case 106: behind a write that could not go out in full, later ones keep their place, and so do tickets, key updates and the farewell",
        arguments: [UInt64(1), 2, 3, 4, 5, 6, 7, 8]
    )
    func order(seed: UInt64) async throws {
        try await withLoop { loop in
            let pair = try await TLSPair.make(loop)
            var random = SeededGenerator(seed: seed)
            var expected: [UInt8] = []
            // The peer does not read: soon nothing goes out in full.
            await loop.on { pair.server.isReading = false }
            for step in 0..<60 {
                let size =
                    step % 7 == 0
                    ? Int.random(in: 1...400_000, using: &random) : Int.random(in: 1...200, using: &random)
                let piece = (0..<size).map { UInt8(truncatingIfNeeded: $0 &+ step) }
                let updatesKey = Int.random(in: 0..<4, using: &random) == 0
                let reads = Int.random(in: 0..<5, using: &random) == 0
                let turns = Int.random(in: 0..<3, using: &random)
                expected += piece
                await loop.on {
                    if updatesKey, let engine = pair.engine { SSL_key_update(engine.ssl, SSL_KEY_UPDATE_REQUESTED) }
                    pair.client.write(piece)
                    // The other direction goes on meanwhile: answers to key updates fall due on the blocked one.
                    pair.server.write([UInt8(step)])
                    if updatesKey, let engine = (pair.server as? SocketChannel)?.tls?.engine {
                        SSL_key_update(engine.ssl, SSL_KEY_UPDATE_REQUESTED)
                    }
                    pair.server.isReading = reads
                }
                await loop.turns(turns)
            }
            await loop.on {
                pair.client.finishWriting()
                pair.server.isReading = true
            }
            #expect(await pair.serverSide.waitForEnd() == .endOfStream, "seed \(seed)")
            let isRight = await loop.on { [expected] in pair.serverSide.bytes == expected }
            #expect(isRight, "seed \(seed)")
            await pair.clientSide.wait { $0.bytes.count == 60 || $0.end != nil }
            #expect(await loop.on { pair.clientSide.bytes } == (0..<60).map { UInt8($0) }, "seed \(seed)")
        }
    }

    @Test(
        "Edge case 107: an end with and without close_notify is the end of the stream, behind all bytes",
        arguments: [true, false]
    )
    func ends(withFarewell: Bool) async throws {
        try await withLoop { loop in
            let pair = try await TLSPair.make(loop)
            await loop.on {
                pair.server.write([UInt8](repeating: 7, count: 300_000))
                if withFarewell { return pair.server.finishWriting() }
            }
            if !withFarewell {
                await pair.clientSide.wait { $0.bytes.count == 300_000 }
                await loop.on {
                    guard let socket = pair.server as? SocketChannel else { return }
                    shutdown(socket.descriptor, Int32(SHUT_WR))
                }
            }
            #expect(await pair.clientSide.waitForEnd() == .endOfStream)
            #expect(await loop.on { pair.clientSide.bytes.count } == 300_000)
        }
    }

    @Test("Edge case 107: a connection that is reset later is a broken connection, not a refusal of TLS")
    func reset() async throws {
        try await withLoop { loop in
            let pair = try await TLSPair.make(loop)
            await loop.on {
                guard let socket = pair.server as? SocketChannel else { return }
                var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
                setsockopt(
                    socket.descriptor,
                    SOL_SOCKET,
                    SO_LINGER,
                    &linger,
                    socklen_t(MemoryLayout<Glibc.linger>.size)
                )
                // Nothing may be said before the reset.
                socket.tls?.hasSaidFarewell = true
                socket.close()
            }
            guard case .failed(let error)? = await pair.clientSide.waitForEnd() else {
                Issue.record("not failed")
                return
            }
            #expect(error.code == .reset)
        }
    }

    @Test("Half-closed, the other direction goes on")
    func halfClosed() async throws {
        try await withLoop { loop in
            let pair = try await TLSPair.make(loop)
            await loop.on {
                pair.client.write("question")
                pair.client.finishWriting()
                pair.serverSide.onEnd = nil
            }
            await pair.serverSide.wait { $0.bytes.count == 8 }
            // The server's channel ends with its peer's end; what it wrote before goes out.
            #expect(await pair.serverSide.waitForEnd() == .endOfStream)
            #expect(await pair.clientSide.waitForEnd() == .endOfStream)
        }
    }

    @Test("Records that were changed on the way break the connection")
    func tampered() async throws {
        try await withLoop { loop in
            let pair = try await TLSPair.make(loop)
            await loop.on {
                guard let socket = pair.server as? SocketChannel else { return }
                let record: [UInt8] = [23, 3, 3, 0, 40] + [UInt8](repeating: 1, count: 40)
                send(socket.descriptor, record, record.count, Int32(MSG_NOSIGNAL))
            }
            guard case .failed(let error)? = await pair.clientSide.waitForEnd() else {
                Issue.record("not failed")
                return
            }
            #expect(error.tlsFailure == .broken)
        }
    }

    // MARK: In the middle of a connection

    /// A plain listener that answers the first line and then speaks TLS, as a proxy does.
    private func withProxy(
        _ loop: EventLoop,
        answer: String,
        _ body: (UInt16, TLSSettings, Recorder) async throws -> Void
    ) async throws {
        let certificate = try TestAuthority().certificate()
        let server = try TLSServer(certificate.identity)
        let side = Recorder(loop)
        let listener = try await loop.onThrowing {
            try loop.listen(on: .host("127.0.0.1", port: 0)) { _ in
                side.onReceive = { channel, bytes in
                    guard let socket = channel as? SocketChannel, socket.tls == nil else { return bytes.count }
                    guard bytes.contains(10) else { return 0 }
                    channel.write(answer)
                    socket.startTLS(as: server)
                    return bytes.count
                }
                return side
            }
        }
        try await body(listener.address.port, .trusting(certificate), side)
        await loop.on { listener.close() }
    }

    @Test("A plain channel goes over to TLS inside a delivery; what was written before goes out as it was")
    func upgradeInPlace() async throws {
        try await withLoop { loop in
            try await self.withProxy(loop, answer: "200\n") { port, settings, server in
                let side = Recorder(loop)
                let client = await loop.on {
                    side.onOpen = { $0.write("CONNECT\n") }
                    side.onReceive = { channel, bytes in
                        if !side.isSecured {
                            guard bytes.contains(10) else { return 0 }
                            channel.startTLS(TLSClient(settings: settings, host: "localhost", port: 443))
                            // Waits until it is protected.
                            channel.write("secret")
                        }
                        return bytes.count
                    }
                    return loop.connect(to: .host("127.0.0.1", port: port), delegate: side)
                }
                await server.wait { $0.bytes.count == 14 }
                await loop.on {
                    #expect(String(decoding: server.bytes, as: UTF8.self) == "CONNECT\nsecret")
                    #expect(String(decoding: side.bytes, as: UTF8.self) == "200\n")
                    client.close()
                    // A second time is ignored.
                    client.startTLS(TLSClient(settings: settings, host: "localhost", port: 443))
                }
            }
        }
    }

    @Test("Bytes that came in plain text behind the point of going over are refused")
    func injected() async throws {
        try await withLoop { loop in
            try await self.withProxy(loop, answer: "200\nHTTP/1.1 101 evil") { port, settings, _ in
                let side = Recorder(loop)
                await loop.on {
                    side.onOpen = { $0.write("CONNECT\n") }
                    side.onReceive = { channel, bytes in
                        guard let end = bytes.firstIndex(of: 10) else { return 0 }
                        channel.startTLS(TLSClient(settings: settings, host: "localhost", port: 443))
                        return end + 1
                    }
                    _ = loop.connect(to: .host("127.0.0.1", port: port), delegate: side)
                }
                guard case .failed(let error)? = await side.waitForEnd() else {
                    Issue.record("not failed")
                    return
                }
                #expect(error.tlsFailure == .injected)
                #expect(await loop.on { side.bytes.count } == 4)
            }
        }
    }

    @Test("Closed in every phase: nothing is left, and nobody is called again")
    func closedInEveryPhase() async throws {
        let certificate = try TestAuthority().certificate()
        let server = try OpenSSLServer(certificate)
        await withLoop { loop in
            for phase in 0..<4 {
                let side = Recorder(loop)
                // A setting nobody had before, so that its context has to be made.
                var settings = TLSSettings.trusting(certificate)
                settings.trust = .only(.pem(certificate.authorityPEM + "\n# \(phase)"))
                let client = TLSClient(settings: settings, host: "localhost", port: server.port)
                await loop.on {
                    side.onOpen = { channel in
                        channel.startTLS(client)
                        if phase == 0 { channel.close() }
                        if phase == 1 { loop.execute { channel.close() } }
                    }
                    side.onSecured = { channel in
                        if phase == 2 { channel.close() }
                        channel.write("hello\n")
                    }
                    side.onReceive = { channel, bytes in
                        channel.close()
                        return bytes.count
                    }
                    _ = loop.connect(to: .host("127.0.0.1", port: server.port), delegate: side)
                }
                await side.wait { phase < 2 ? $0.isOpen : phase == 2 ? $0.isSecured : !$0.bytes.isEmpty }
                await loop.turns(5)
                await loop.on {
                    #expect(loop.statistics.openSockets == 0)
                    #expect(side.end == nil)
                    #expect(side.isSecured == (phase >= 2))
                }
            }
        }
    }

    @Test("A hundred handshakes at once: all come about, a few in each turn, and others go on meanwhile")
    func many() async throws {
        let certificate = try TestAuthority().certificate()
        let server = try TLSServer(certificate.identity)
        let settings = TLSSettings.trusting(certificate)
        try await withLoop { loop in
            let serverSide = Recorder(loop)
            let listener = try await loop.onThrowing {
                try loop.listen(on: .host("127.0.0.1", port: 0), tls: server) { _ in serverSide }
            }
            let sides = (0..<100).map { _ in Recorder(loop) }
            await loop.on {
                for side in sides {
                    side.onOpen = {
                        $0.startTLS(TLSClient(settings: settings, host: "localhost", port: listener.address.port))
                    }
                    _ = loop.connect(to: listener.address, delegate: side)
                }
            }
            for side in sides { await side.wait { $0.isSecured || $0.end != nil } }
            await loop.on {
                for side in sides { #expect(side.end == nil) }
                listener.close()
            }
        }
    }

    @Test("Every descriptor of a TLS connection is closed on exec, and SIGPIPE's disposition is what it was")
    func descriptors() async throws {
        var before = sigaction()
        sigaction(SIGPIPE, nil, &before)
        try await withLoop { loop in
            let pair = try await TLSPair.make(loop)
            for channel in [pair.client, pair.server] {
                let flags = await loop.on { fcntl((channel as? SocketChannel)?.descriptor ?? -1, F_GETFD) }
                #expect(flags >= 0 && flags & FD_CLOEXEC != 0)
            }
            // A peer that is gone: writing must not raise the signal, whose default would end this process.
            await loop.on {
                (pair.server as? SocketChannel)?.tls?.hasSaidFarewell = true
                pair.server.close()
                pair.client.write([UInt8](repeating: 0, count: 100_000))
            }
            _ = await pair.clientSide.waitForEnd()
        }
        var after = sigaction()
        sigaction(SIGPIPE, nil, &after)
        #expect(
            unsafeBitCast(before.__sigaction_handler, to: Int.self)
                == unsafeBitCast(after.__sigaction_handler, to: Int.self)
        )
    }
}
