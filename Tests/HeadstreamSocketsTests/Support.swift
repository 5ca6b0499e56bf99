import Glibc
import HeadstreamLocks
import Testing

@testable import HeadstreamSockets

extension EventLoop {
    /// Runs `body` on the loop and returns what it returns.
    func on<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
        await withCheckedContinuation { continuation in
            self.execute { continuation.resume(returning: body()) }
        }
    }

    func onThrowing<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await self.on { Swift.Result(catching: body) }.get()
    }

    /// Returns when the loop has gone through `count` whole turns.
    func turns(_ count: Int) async {
        for _ in 0..<count { await self.on {} }
    }
}

/// Runs a test on a loop of its own, which is shut down at the end.
func withLoop(_ body: (EventLoop) async throws -> Void) async rethrows {
    let loop = EventLoop(name: "test", userTimeout: 0, tlsContexts: TLSContexts())
    do {
        try await body(loop)
    } catch {
        await loop.shutdown()
        throw error
    }
    await loop.shutdown()
}

/// A delegate that keeps what it was told and wakes who waits for it.
///
/// `@unchecked Sendable`: confined to its loop; tests look at it through `loop.on` and `wait(for:)`.
final class Recorder: ChannelDelegate, @unchecked Sendable {
    let loop: EventLoop
    private(set) var isOpen = false
    private(set) var isSecured = false
    private(set) var bytes: [UInt8] = []
    private(set) var calls = 0
    private(set) var drained = 0
    private(set) var end: ChannelEnd?
    private(set) var endings = 0
    private(set) var endedTurn = 0
    /// Off where they come without end.
    var keepsBytes = true
    /// Replaces what is done with bytes: returns how many are consumed.
    var onReceive: ((any Channel, UnsafeMutableRawBufferPointer) -> Int)?
    var onOpen: ((any Channel) -> Void)?
    var onSecured: ((any Channel) -> Void)?
    var onDrained: ((any Channel) -> Void)?
    var onEnd: ((any Channel, ChannelEnd) -> Void)?
    private var waiters: [(condition: (Recorder) -> Bool, continuation: CheckedContinuation<Void, Never>)] = []

    init(_ loop: EventLoop) {
        self.loop = loop
    }

    /// Suspends until the condition holds; it is looked at after each event.
    func wait(for condition: @escaping @Sendable (Recorder) -> Bool) async {
        await withCheckedContinuation { continuation in
            self.loop.execute {
                if condition(self) { return continuation.resume() }
                self.waiters.append((condition, continuation))
            }
        }
    }

    func waitForEnd() async -> ChannelEnd? {
        await self.wait { $0.end != nil }
        return await self.loop.on { self.end }
    }

    func changed() {
        let waiting = self.waiters
        self.waiters = []
        for waiter in waiting {
            if waiter.condition(self) { waiter.continuation.resume() } else { self.waiters.append(waiter) }
        }
    }

    func channelOpened(_ channel: any Channel) {
        self.isOpen = true
        self.onOpen?(channel)
        self.changed()
    }

    func channelSecured(_ channel: any Channel) {
        self.isSecured = true
        self.onSecured?(channel)
        self.changed()
    }

    func channel(_ channel: any Channel, received bytes: UnsafeMutableRawBufferPointer) -> Int {
        self.calls += 1
        if let onReceive {
            let count = onReceive(channel, bytes)
            if self.keepsBytes { self.bytes += bytes[..<count] }
            self.changed()
            return count
        }
        self.bytes += bytes
        self.changed()
        return bytes.count
    }

    func channelDrained(_ channel: any Channel) {
        self.drained += 1
        self.onDrained?(channel)
        self.changed()
    }

    func channelEnded(_ channel: any Channel, _ reason: ChannelEnd) {
        self.end = reason
        self.endings += 1
        self.onEnd?(channel, reason)
        self.changed()
    }
}

extension Channel {
    func write(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { self.write($0) }
    }

    func write(_ text: String) {
        self.write(Array(text.utf8))
    }
}

/// A client and a server channel of one connection, over TCP or a Unix socket.
struct Pair: Sendable {
    let listener: any Listener
    let client: any Channel
    let clientSide: Recorder
    let server: any Channel
    let serverSide: Recorder

    static func make(
        _ loop: EventLoop,
        on address: SocketAddress = .host("127.0.0.1", port: 0)
    ) async throws -> Pair {
        let accepted = Locked<(any Channel)?>(nil)
        let serverSide = Recorder(loop)
        let clientSide = Recorder(loop)
        let listener = try await loop.onThrowing {
            try loop.listen(on: address) { channel in
                accepted.withLock { $0 = channel }
                loop.execute { serverSide.changed() }
                return serverSide
            }
        }
        let client = await loop.on { loop.connect(to: listener.address, delegate: clientSide) }
        await clientSide.wait { $0.isOpen }
        await serverSide.wait { _ in accepted.withLock { $0 != nil } }
        let server = try #require(accepted.withLock { $0 })
        return Pair(listener: listener, client: client, clientSide: clientSide, server: server, serverSide: serverSide)
    }
}

/// A path for a Unix socket that nothing else uses, short enough for one.
func temporarySocketPath(_ name: String = #function) -> String {
    "/tmp/hs-\(getpid())-\(UInt64.random(in: 0...UInt64.max)).sock"
}

/// A blocking socket of the test's own, for what a channel does not do: resets, small backlogs.
enum Raw {
    static func withAddress<Result>(
        port: UInt16,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    static func withAddress<Result>(
        path: String,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    static func socket(_ family: Int32 = AF_INET, nonblocking: Bool = false) -> Int32 {
        let flags = SOCK_CLOEXEC.rawValue | (nonblocking ? SOCK_NONBLOCK.rawValue : 0)
        return Glibc.socket(family, Int32(SOCK_STREAM.rawValue | flags), 0)
    }

    /// A connected socket.
    static func connect(port: UInt16) -> Int32 {
        let descriptor = Self.socket()
        let status = Self.withAddress(port: port) { Glibc.connect(descriptor, $0, $1) }
        return status == 0 ? descriptor : -1
    }

    /// A socket that listens on a free port of 127.0.0.1.
    static func listen(isListening: Bool = true) -> (descriptor: Int32, port: UInt16) {
        let descriptor = Self.socket()
        _ = Self.withAddress(port: 0) { Glibc.bind(descriptor, $0, $1) }
        if isListening { Glibc.listen(descriptor, 16) }
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    /// Closes with a reset.
    static func reset(_ descriptor: Int32) {
        var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
        close(descriptor)
    }
}

extension SocketAddress {
    var port: UInt16 {
        if case .host(_, let port) = self { return port }
        return 0
    }
}

/// A server channel whose peer is a raw socket.
struct RawPair: Sendable {
    let raw: Int32
    let channel: any Channel
    let side: Recorder

    static func make(_ loop: EventLoop) async throws -> RawPair {
        let accepted = Locked<(any Channel)?>(nil)
        let side = Recorder(loop)
        let listener = try await loop.onThrowing {
            try loop.listen(on: .host("127.0.0.1", port: 0)) { channel in
                accepted.withLock { $0 = channel }
                loop.execute { side.changed() }
                return side
            }
        }
        let raw = Raw.connect(port: listener.address.port)
        await side.wait { _ in accepted.withLock { $0 != nil } }
        await loop.on { listener.close() }
        return RawPair(raw: raw, channel: try #require(accepted.withLock { $0 }), side: side)
    }
}
