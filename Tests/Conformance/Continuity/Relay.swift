import Headstream
import HeadstreamSockets

/// A bad network in front of a real node: passes bytes on, and cuts, freezes and refuses.
actor Relay {
    nonisolated let loop: any Loop
    private let target: SocketAddress
    private var listener: (any Listener)?
    private var links: [RelayLink] = []
    var refuses = false
    private(set) var cuts = 0

    nonisolated var unownedExecutor: UnownedSerialExecutor { self.loop.asUnownedSerialExecutor() }

    init(to target: SocketAddress, loop: any Loop) {
        self.target = target
        self.loop = loop
    }

    /// Begins to listen; returns where.
    func listen() throws -> SocketAddress {
        let listener = try self.loop.listen(on: .host("127.0.0.1", port: 0)) { channel in
            self.assumeIsolated { $0.accept(channel) }
        }
        self.listener = listener
        return listener.address
    }

    private func accept(_ channel: any Channel) -> RelayEnd {
        let link = RelayLink(client: channel)
        if self.refuses {
            link.end()
        } else {
            link.connect(to: self.target, on: self.loop)
            self.links.removeAll(where: \.isGone)
            self.links.append(link)
        }
        return link.client
    }

    /// Ends every connection, after so many more bytes to the client: mostly within a frame.
    func cut(after bytes: Int) {
        for link in self.links { link.cut(after: bytes) }
        self.cuts += 1
    }

    /// Passes nothing on any more, on the connections that are there.
    func freeze() {
        for link in self.links { link.isFrozen = true }
        self.cuts += 1
    }

    func refuse(_ refuses: Bool) {
        self.refuses = refuses
        if refuses { self.cut(after: 0) }
    }

    func close() {
        self.listener?.close()
        for link in self.links { link.drop() }
        self.links = []
    }
}

/// Two channels, and the bytes between them.
///
/// `@unchecked Sendable`: confined to its loop, as channels are.
final class RelayLink: @unchecked Sendable {
    /// What may wait for one side before the other is not read any more.
    private static let highWater = 1 << 20

    let client = RelayEnd()
    private let node = RelayEnd()
    /// How many bytes the client still gets; nil for no limit.
    private var rest: Int?
    var isFrozen = false
    private(set) var isOver = false
    var isGone: Bool { self.client.channel == nil }

    init(client channel: any Channel) {
        self.client.channel = channel
        self.client.link = self
        self.node.link = self
        // Nothing can be passed on yet.
        channel.isReading = false
    }

    func connect(to address: SocketAddress, on loop: any Loop) {
        self.node.channel = loop.connect(to: address, delegate: self.node)
    }

    func opened() {
        self.client.channel?.isReading = true
    }

    func received(_ bytes: UnsafeRawBufferPointer, by end: RelayEnd) {
        guard !self.isFrozen, !self.isOver else { return }
        let other = end === self.client ? self.node : self.client
        if other === self.client, let rest = self.rest, bytes.count >= rest {
            other.channel?.write(UnsafeRawBufferPointer(rebasing: bytes.prefix(rest)))
            return self.end()
        }
        if other === self.client { self.rest? -= bytes.count }
        other.channel?.write(bytes)
        if other.channel?.queuedBytes ?? 0 > Self.highWater { end.channel?.isReading = false }
    }

    func drained(_ end: RelayEnd) {
        let other = end === self.client ? self.node : self.client
        other.channel?.isReading = true
    }

    func cut(after bytes: Int) {
        self.rest = bytes
        if bytes == 0 { self.end() }
    }

    /// What is queued goes out, and both are over.
    func end() {
        self.isOver = true
        self.node.channel?.close()
        self.node.channel = nil
        self.finishClient()
    }

    /// The client reads the end of the stream, and its own is waited for.
    private func finishClient() {
        self.client.channel?.finishWriting()
        self.client.channel?.isReading = true
    }

    /// Both are over at once.
    func drop() {
        self.isOver = true
        for side in [self.client, self.node] {
            side.channel?.close()
            side.channel = nil
            side.link = nil
        }
    }

    func ended(_ end: RelayEnd) {
        self.isOver = true
        end.channel?.close()
        end.channel = nil
        self.node.channel?.close()
        self.node.channel = nil
        self.finishClient()
    }
}

/// One side of a link.
///
/// `@unchecked Sendable`: confined to its loop, as channels are.
final class RelayEnd: ChannelDelegate, @unchecked Sendable {
    var channel: (any Channel)?
    /// The client's end keeps the link; the relay's list of them is pruned.
    var link: RelayLink?

    func channelOpened(_ channel: any Channel) { self.link?.opened() }
    func channelSecured(_ channel: any Channel) {}
    func channelDrained(_ channel: any Channel) { self.link?.drained(self) }

    func channelEnded(_ channel: any Channel, _ reason: ChannelEnd) {
        self.link?.ended(self)
        self.link = nil
    }

    func channel(_ channel: any Channel, received bytes: UnsafeMutableRawBufferPointer) -> Int {
        self.link?.received(UnsafeRawBufferPointer(bytes), by: self)
        return bytes.count
    }
}
