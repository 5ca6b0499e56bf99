import Headstream
import HeadstreamSockets

/// An HTTP proxy that does what a test says, on any loop: opens tunnels to one place, whatever it is asked for, or answers
/// with a text of the test's.
actor ScriptedProxy {
    enum Answer: Sendable {
        /// Opens the tunnel, to here; the answer comes in one-byte pieces if `inDrops`.
        case relay(to: SocketAddress, inDrops: Bool = false)
        /// With these bytes, and then the end of the stream.
        case refuse(String)
        /// With these bytes, and no more.
        case answer(String)
        case silence
    }

    nonisolated let loop: any Loop
    /// The heads that came.
    private(set) var requests: [String] = []
    private(set) var connections = 0
    private(set) var ended = 0
    private let answer: Answer
    private var listener: (any Listener)?
    private var waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []

    nonisolated var unownedExecutor: UnownedSerialExecutor { self.loop.asUnownedSerialExecutor() }

    init(on loop: any Loop, _ answer: Answer) {
        self.loop = loop
        self.answer = answer
    }

    /// Begins to listen; returns where.
    func listen() throws -> (host: String, port: UInt16) {
        let listener = try self.loop.listen(on: .host("127.0.0.1", port: 0)) { channel in
            self.assumeIsolated { $0.accept(channel) }
        }
        self.listener = listener
        guard case .host(let host, let port) = listener.address else { return ("", 0) }
        return (host, port)
    }

    /// Returns when so many requests have come.
    func untilRequests(_ count: Int) async {
        await withCheckedContinuation { continuation in
            if self.requests.count >= count { return continuation.resume() }
            self.waiters.append((count, continuation))
        }
    }

    func close() {
        self.listener?.close()
        self.listener = nil
    }

    fileprivate func accept(_ channel: any Channel) -> ProxiedClient {
        self.connections += 1
        return ProxiedClient(self, channel, self.answer)
    }

    fileprivate func asked(_ head: String) {
        self.requests.append(head)
        let ready = self.waiters.filter { $0.count <= self.requests.count }
        self.waiters.removeAll { $0.count <= self.requests.count }
        for waiter in ready { waiter.continuation.resume() }
    }

    fileprivate func clientEnded() {
        self.ended += 1
    }
}

/// One connection through a proxy, from the client's side.
///
/// `@unchecked Sendable`: confined to its loop, as channels are.
fileprivate final class ProxiedClient: ChannelDelegate, @unchecked Sendable {
    private let proxy: ScriptedProxy
    private let channel: any Channel
    private let answer: ScriptedProxy.Answer
    private var node: (any Channel)?
    private var hasAsked = false

    init(_ proxy: ScriptedProxy, _ channel: any Channel, _ answer: ScriptedProxy.Answer) {
        self.proxy = proxy
        self.channel = channel
        self.answer = answer
    }

    func channelOpened(_ channel: any Channel) {
        // Of the node: the tunnel stands.
        let text = Array("HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n".utf8)
        guard case .relay(_, let inDrops) = self.answer, inDrops else {
            return text.withUnsafeBytes { self.channel.write($0) }
        }
        self.drip(text[...])
    }

    private func drip(_ text: ArraySlice<UInt8>) {
        guard !text.isEmpty else { return }
        text.prefix(1).withUnsafeBytes { self.channel.write($0) }
        self.proxy.loop.execute { self.drip(text.dropFirst()) }
    }

    func channel(_ channel: any Channel, received bytes: UnsafeMutableRawBufferPointer) -> Int {
        let bytes = UnsafeRawBufferPointer(bytes)
        if let node = self.node {
            (channel === node ? self.channel : node).write(bytes)
            return bytes.count
        }
        guard !self.hasAsked else { return bytes.count }
        let text = String(decoding: bytes, as: UTF8.self)
        guard text.hasSuffix("\r\n\r\n") else { return 0 }
        self.hasAsked = true
        switch self.answer {
        case .relay(let address, _): self.node = self.proxy.loop.connect(to: address, delegate: self)
        case .refuse(let text):
            Array(text.utf8).withUnsafeBytes { channel.write($0) }
            channel.finishWriting()
        case .answer(let text): Array(text.utf8).withUnsafeBytes { channel.write($0) }
        case .silence: break
        }
        self.proxy.assumeIsolated { $0.asked(text) }
        return bytes.count
    }

    func channelDrained(_ channel: any Channel) {}
    func channelSecured(_ channel: any Channel) {}

    func channelEnded(_ channel: any Channel, _ reason: ChannelEnd) {
        if channel === self.node { return self.channel.finishWriting() }
        self.proxy.assumeIsolated { $0.clientEnded() }
        self.channel.close()
        self.node?.close()
    }
}
