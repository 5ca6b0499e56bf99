import Glibc
import HeadstreamLocks
import Testing

@testable import HeadstreamSockets

@Suite("Connecting and listening")
struct ConnectTests {
    private func failure(_ loop: EventLoop, _ address: SocketAddress) async -> SocketError? {
        let side = Recorder(loop)
        let channel = await loop.on { loop.connect(to: address, delegate: side) }
        let end = await side.waitForEnd()
        await loop.on { channel.close() }
        if case .failed(let error)? = end { return error }
        Issue.record("\(address) did not fail")
        return nil
    }

    @Test("A port that nobody listens on: refused, with the address in the message")
    func refused() async throws {
        try await withLoop { loop in
            // Bound, so that no other test gets the port, and not listening.
            let (descriptor, port) = Raw.listen(isListening: false)
            defer { close(descriptor) }
            let error = try #require(await self.failure(loop, .host("127.0.0.1", port: port)))
            #expect(error.code == .refused)
            #expect(error.message == "nobody listens on 127.0.0.1:\(port) (connection refused)")
            #expect(error.errno == ECONNREFUSED)
        }
    }

    @Test("A Unix socket that is not there, or that nobody serves any more: refused")
    func unixRefused() async throws {
        try await withLoop { loop in
            let path = temporarySocketPath()
            var error = try #require(await self.failure(loop, .unix(path: path)))
            #expect(error.code == .refused)
            #expect(error.message.contains(path))
            let stale = Raw.socket(AF_UNIX)
            _ = Raw.withAddress(path: path) { bind(stale, $0, $1) }
            close(stale)
            error = try #require(await self.failure(loop, .unix(path: path)))
            #expect(error.code == .refused)
            unlink(path)
        }
    }

    @Test("Edge case 109: a path of 107 bytes works, one of 108 is an invalid address; so are empty ones and a bare @")
    func unixPaths() async throws {
        try await withLoop { loop in
            let longest = "/tmp/" + String(repeating: "x", count: 90) + "-\(UInt32.random(in: 0...(.max)) % 1_000_000)"
            let path = longest + String(repeating: "y", count: 107 - longest.utf8.count)
            let pair = try await Pair.make(loop, on: .unix(path: path))
            await loop.on {
                pair.client.close()
                pair.listener.close()
            }
            for wrong in [path + "z", "", "@", "a\0b"] {
                let error = try #require(await self.failure(loop, .unix(path: wrong)))
                #expect(error.code == .invalidAddress)
            }
            let error = try #require(await self.failure(loop, .unix(path: path + "z")))
            #expect(error.message.contains("at most 107 bytes, this one has 108"))
        }
    }

    @Test("An empty host and port 0 are invalid addresses", arguments: [("", 80), ("127.0.0.1", 0), ("a\0b", 80)])
    func invalid(host: String, port: Int) async throws {
        try await withLoop { loop in
            let error = try #require(await self.failure(loop, .host(host, port: UInt16(port))))
            #expect(error.code == .invalidAddress)
        }
    }

    @Test("A name without an address: an error that says so")
    func unknownName() async throws {
        try await withLoop { loop in
            // Reserved never to exist (RFC 6761 §6.4); without a network the resolver says that it cannot tell.
            let error = try #require(await self.failure(loop, .host("name.invalid", port: 80)))
            #expect(error.code == .nameNotResolved)
            #expect(error.message.hasPrefix("the name name.invalid was not resolved: "))
        }
    }

    @Test("A name is resolved and its addresses tried until one stands")
    func localhost() async throws {
        try await withLoop { loop in
            let side = Recorder(loop)
            let listener = try await loop.onThrowing {
                try loop.listen(on: .host("localhost", port: 0)) { _ in Recorder(loop) }
            }
            let client = await loop.on {
                loop.connect(to: .host("localhost", port: listener.address.port), delegate: side)
            }
            await side.wait { $0.isOpen }
            await loop.on { client.close() }
        }
    }

    @Test("A connection given up before it stands is never told anything, whatever it was waiting for")
    func closeWhileConnecting() async {
        await withLoop { loop in
            let path = temporarySocketPath()
            let full = FullBacklog(path: path)
            let (descriptor, port) = Raw.listen()
            let addresses: [SocketAddress] = [
                .unix(path: path), .host("127.0.0.1", port: port), .host("localhost", port: port),
                .host("name.invalid", port: 1), .host("127.0.0.1", port: 1), .unix(path: "/none"), .unix(path: ""),
            ]
            for turns in 0..<4 {
                for address in addresses {
                    let side = Recorder(loop)
                    side.onOpen = { $0.close() }
                    let channel = await loop.on { loop.connect(to: address, delegate: side) }
                    await loop.turns(turns)
                    let before = await loop.on {
                        channel.close()
                        return side.endings
                    }
                    await loop.turns(3)
                    #expect(await loop.on { side.endings } == before)
                }
            }
            #expect(await loop.on { loop.statistics.openSockets } == 0)
            #expect(await loop.on { loop.slots.count } == 0)
            #expect(await loop.on { loop.deadlines.isEmpty })
            close(descriptor)
            full.close()
        }
    }

    @Test("A delegate that is connecting is told outside the call, and can write before the connection stands")
    func writeBeforeOpen() async throws {
        try await withLoop { loop in
            let serverSide = Recorder(loop)
            let side = Recorder(loop)
            let listener = try await loop.onThrowing {
                try loop.listen(on: .host("127.0.0.1", port: 0)) { _ in serverSide }
            }
            _ = await loop.on {
                let channel = loop.connect(to: listener.address, delegate: side)
                #expect(!side.isOpen)
                channel.write("early")
                channel.finishWriting()
                #expect(channel.queuedBytes == 5)
                return true
            }
            #expect(await serverSide.waitForEnd() == .endOfStream)
            #expect(await loop.on { serverSide.bytes } == Array("early".utf8))
        }
    }

    @Test("Edge case 109: a full backlog of a Unix socket is waited for, without an event in between")
    func fullBacklog() async throws {
        try await withLoop { loop in
            let path = temporarySocketPath()
            let full = FullBacklog(path: path)
            let side = Recorder(loop)
            let channel = await loop.on { loop.connect(to: .unix(path: path), delegate: side) }
            // Two tries later it is still waiting.
            try await loop.sleep(for: .milliseconds(40))
            #expect(await loop.on { !side.isOpen && side.end == nil })
            let accepted = full.accept(full.count)
            await side.wait { $0.isOpen }
            await loop.on { channel.close() }
            for descriptor in accepted { close(descriptor) }
            full.close()
        }
    }

    @Test("A Unix socket left by a process that died is replaced; a live one, and a file, are not")
    func staleSocket() async throws {
        try await withLoop { loop in
            let path = temporarySocketPath()
            let stale = Raw.socket(AF_UNIX)
            _ = Raw.withAddress(path: path) { bind(stale, $0, $1) }
            close(stale)
            let listener = try await loop.onThrowing {
                try loop.listen(on: .unix(path: path)) { _ in Recorder(loop) }
            }
            await #expect(throws: SocketError.self) {
                try await loop.onThrowing { _ = try loop.listen(on: .unix(path: path)) { _ in Recorder(loop) } }
            }
            await loop.on { listener.close() }
            #expect(access(path, F_OK) != 0)

            let file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600)
            close(file)
            await #expect(throws: SocketError.self) {
                try await loop.onThrowing { _ = try loop.listen(on: .unix(path: path)) { _ in Recorder(loop) } }
            }
            #expect(access(path, F_OK) == 0)
            unlink(path)
        }
    }

    @Test("A listener removes its own file only, not the one that took its place")
    func foreignFile() async throws {
        try await withLoop { loop in
            let path = temporarySocketPath()
            let first = try await loop.onThrowing {
                try loop.listen(on: .unix(path: path)) { _ in Recorder(loop) }
            }
            unlink(path)
            let second = try await loop.onThrowing {
                try loop.listen(on: .unix(path: path)) { _ in Recorder(loop) }
            }
            await loop.on { first.close() }
            #expect(access(path, F_OK) == 0)
            await loop.on { second.close() }
            #expect(access(path, F_OK) != 0)
        }
    }

    @Test("A port that is taken, and a name, cannot be listened on")
    func cannotListen() async throws {
        await withLoop { loop in
            let (descriptor, port) = Raw.listen()
            for (address, code) in [
                (SocketAddress.host("127.0.0.1", port: port), SocketError.Code.cannotListen),
                (.host("example.com", port: 0), .invalidAddress),
                (.unix(path: "/none/at/all.sock"), .cannotListen),
            ] {
                let error = await loop.on { () -> SocketError? in
                    do throws(SocketError) {
                        _ = try loop.listen(on: address) { _ in Recorder(loop) }
                        return nil
                    } catch {
                        return error
                    }
                }
                #expect(error?.code == code)
            }
            close(descriptor)
        }
    }

    @Test("Accepting may close the channel or write to it at once")
    func acceptCallback() async throws {
        try await withLoop { loop in
            let count = Locked(0)
            let listener = try await loop.onThrowing {
                try loop.listen(on: .host("::1", port: 0)) { channel in
                    let first = count.withLock { count in
                        count += 1
                        return count == 1
                    }
                    channel.write("hello")
                    if first { channel.close() }
                    return Recorder(loop)
                }
            }
            #expect(listener.address.description.hasPrefix("[::1]:"))
            let sides = [Recorder(loop), Recorder(loop)]
            for side in sides {
                await loop.on { _ = loop.connect(to: listener.address, delegate: side) }
                await side.wait { $0.end != nil || $0.bytes.count == 5 }
            }
            #expect(await loop.on { sides[0].end } == .endOfStream)
            #expect(await loop.on { sides[1].bytes } == Array("hello".utf8))
        }
    }

    @Test("Edge case 109: without a descriptor connecting fails by name and accepting pauses; with one it goes on")
    func noDescriptors() async {
        // In a process of its own, because the limit is the process's.
        await #expect(processExitsWith: .success) {
            let loop = EventLoop(name: "test", userTimeout: 0)
            let serverSide = Recorder(loop)
            let listener = try await loop.onThrowing {
                try loop.listen(on: .host("127.0.0.1", port: 0)) { _ in serverSide }
            }
            let raw = Raw.socket()
            var limit = rlimit(rlim_cur: 64, rlim_max: 64)
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            var taken: [Int32] = []
            while true {
                let descriptor = Raw.socket()
                if descriptor < 0 { break }
                taken.append(descriptor)
            }
            // Connecting.
            let side = Recorder(loop)
            await loop.on { _ = loop.connect(to: listener.address, delegate: side) }
            guard case .failed(let error)? = await side.waitForEnd(), error.code == .noDescriptors else { exit(2) }
            // Accepting: the connection waits in the backlog, and nothing spins.
            guard Raw.withAddress(port: listener.address.port, { connect(raw, $0, $1) }) == 0 else { exit(3) }
            await loop.turns(2)
            let before = await loop.on { loop.statistics.turns }
            try await loop.sleep(for: .milliseconds(20))
            let after = await loop.on { loop.statistics.turns }
            guard after - before <= 6 else { exit(4) }
            for descriptor in taken { close(descriptor) }
            send(raw, "x", 1, 0)
            await serverSide.wait { $0.bytes.count == 1 }
            // And the loop's own.
            await loop.shutdown()
            exit(0)
        }
    }

    @Test("A listener that paused goes on as soon as its loop closes a descriptor")
    func resumeAccepting() async {
        await #expect(processExitsWith: .success) {
            let loop = EventLoop(name: "test", userTimeout: 0)
            let pair = try await Pair.make(loop)
            let raw = Raw.socket()
            var limit = rlimit(rlim_cur: 64, rlim_max: 64)
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            while Raw.socket() >= 0 {}
            guard Raw.withAddress(port: pair.listener.address.port, { connect(raw, $0, $1) }) == 0 else { exit(3) }
            await loop.turns(3)
            guard await loop.on({ loop.pausedListeners.count }) == 1 else { exit(4) }
            await loop.on { pair.client.close() }
            send(raw, "x", 1, 0)
            await pair.serverSide.wait { $0.bytes.count == 1 }
            exit(0)
        }
    }
}

@Suite("The race of addresses (RFC 8305)")
struct AddressRaceTests {
    private let error = SocketError(.refused, message: "first")
    private let later = SocketError(.unreachable, message: "later")

    @Test("Families take turns, beginning with the first")
    func interleaved() {
        let order = AddressRace.interleaved(["6a", "6b", "6c", "4a", "6d", "4b"]) { $0.hasPrefix("6") }
        #expect(order == ["6a", "4a", "6b", "4b", "6c", "6d"])
        #expect(AddressRace.interleaved([String]()) { _ in true }.isEmpty)
    }

    @Test("The next starts after the delay, or at once when one fails; all failed is the first's error")
    func order() {
        var race = AddressRace(count: 3)
        #expect(race.delayPassed() == .start(0))
        #expect(race.hasMore)
        #expect(race.delayPassed() == .start(1))
        #expect(race.attemptFailed(self.error) == .start(2))
        #expect(!race.hasMore)
        #expect(race.delayPassed() == .wait)
        #expect(race.attemptFailed(self.later) == .wait)
        #expect(race.attemptFailed(self.later) == .fail(self.error))
    }

    @Test("One address: its failure is the end")
    func single() {
        var race = AddressRace(count: 1)
        #expect(race.delayPassed() == .start(0))
        #expect(!race.hasMore)
        #expect(race.attemptFailed(self.error) == .fail(self.error))
    }
}
