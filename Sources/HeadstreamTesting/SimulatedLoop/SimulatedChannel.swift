import HeadstreamSockets

/// One end of an in-memory link.
///
/// `@unchecked Sendable`: confined to its loop, like every channel.
final class SimulatedChannel: Channel, Lane, @unchecked Sendable {
    let label: String
    let remoteName: String
    var isScheduled = false
    /// Whether the network knows that this end has something to hand over at the turn's end.
    var isWriter = false
    private(set) var isClosed = false

    private let network: SimulatedNetwork
    private var delegate: (any ChannelDelegate)?
    /// The other end; let go of by closing, which undoes the cycle.
    private var peer: SimulatedChannel?
    private var fault = LinkFault()

    /// What this end wrote and the link has not yet taken.
    private var outgoing: [UInt8] = []
    private var outgoingHead = 0
    private var isBlocked = false
    private var writingFinished = false
    private var endSent = false
    private var sentBytes = 0

    /// What is under way to this end, and when it arrives.
    private var inbound: [(bytes: ArraySlice<UInt8>, arrives: UInt64)] = []
    private var inboundHead = 0
    private var inboundCount = 0
    private var ending: (reason: ChannelEnd, arrives: UInt64)?
    /// What the delegate left of the last call.
    private var leftover: [UInt8] = []
    /// The delegate stopped reading with bytes left: it gets them again when it reads on, without new ones.
    private var leftoverAwaitsReading = false

    private var isOpen = false
    private var opening = false
    private var drained = false

    init(label: String, remoteName: String, network: SimulatedNetwork, delegate: (any ChannelDelegate)?) {
        self.label = label
        self.remoteName = remoteName
        self.network = network
        self.delegate = delegate
    }

    static func link(_ connector: SimulatedChannel, _ acceptor: SimulatedChannel, _ faults: LinkFaults) {
        connector.peer = acceptor
        acceptor.peer = connector
        connector.fault = faults.toListener
        acceptor.fault = faults.toConnector
        connector.isOpen = true
        acceptor.isOpen = true
    }

    // MARK: Channel

    var queuedBytes: Int { self.outgoing.count - self.outgoingHead }

    var isReading = true {
        didSet { self.wake() }
    }

    func write(_ bytes: UnsafeRawBufferPointer) {
        guard !self.isClosed, !self.writingFinished else { return }
        self.outgoing += bytes
        self.network.hasBytes(self)
    }

    /// A handshake's random numbers are OpenSSL's own, so no run with them would be a function of its seed.
    func startTLS(_ client: TLSClient) {
        guard !self.isClosed else { return }
        self.fail(.noSimulatedTLS)
    }

    func finishWriting() {
        guard !self.isClosed, !self.writingFinished else { return }
        self.writingFinished = true
        self.network.hasBytes(self)
    }

    func close() {
        guard !self.isClosed else { return }
        self.isClosed = true
        if let peer = self.peer, !self.isSilent {
            // A system resets a connection whose receiver left bytes unread, and ends it in order otherwise.
            let unread = self.inboundCount > 0
            peer.ends(
                unread
                    ? .failed(SocketError(.reset, message: "\(peer.remoteName) reset the connection")) : .endOfStream,
                at: self.arrival
            )
        }
        self.forget()
    }

    func forget() {
        self.isClosed = true
        self.delegate = nil
        self.peer = nil
        self.outgoing = []
        self.outgoingHead = 0
        self.inbound = []
        self.inboundHead = 0
        self.inboundCount = 0
        self.leftover = []
        self.leftoverAwaitsReading = false
        self.ending = nil
        self.opening = false
        self.drained = false
    }

    // MARK: From the network

    func open() {
        self.opening = true
        self.wake()
        if self.queuedBytes > 0 || self.writingFinished { self.network.hasBytes(self) }
    }

    func fail(_ error: SocketError) {
        self.ends(.failed(error), at: 0)
    }

    func accepted(by delegate: any ChannelDelegate) {
        // The callback may have closed the channel before it returned.
        guard !self.isClosed else { return }
        self.delegate = delegate
        self.wake()
    }

    /// Hands over what was written, as far as the link has room; called at the turn's end.
    func flush() {
        guard self.isOpen, !self.isClosed else { return }
        self.handOver()
        if self.queuedBytes > 0 {
            self.isBlocked = true
            return
        }
        if self.isBlocked {
            self.isBlocked = false
            self.drained = true
            self.wake()
        }
        if self.writingFinished, !self.endSent {
            self.endSent = true
            if !self.isSilent { self.peer?.ends(.endOfStream, at: self.arrival) }
        }
    }

    private func handOver() {
        guard let peer = self.peer, !peer.isClosed else {
            self.outgoing.removeAll()
            self.outgoingHead = 0
            return
        }
        let room = SimulatedNetwork.capacity - peer.inboundCount
        var count = min(room, self.queuedBytes)
        guard count > 0 else { return }
        var delivered = count
        if let limit = self.fault.cutAfter, self.sentBytes + count >= limit {
            delivered = max(0, limit - self.sentBytes)
            count = self.queuedBytes
        }
        if let limit = self.fault.silentAfter { delivered = min(delivered, max(0, limit - self.sentBytes)) }
        if delivered > 0 {
            let end = self.outgoingHead + delivered
            peer.arrives(Array(self.outgoing[self.outgoingHead..<end])[...], at: self.arrival)
        }
        self.sentBytes += count
        self.outgoingHead += count
        if self.outgoingHead == self.outgoing.count || self.outgoingHead > 1 << 20 {
            self.outgoing.removeFirst(self.outgoingHead)
            self.outgoingHead = 0
        }
        if let limit = self.fault.cutAfter, self.sentBytes >= limit {
            let error = SocketError(.reset, message: "the connection was cut after \(limit) bytes")
            peer.ends(.failed(error), at: self.arrival)
            self.ends(.failed(error), at: 0)
        }
    }

    private var isSilent: Bool { self.fault.silentAfter.map { self.sentBytes >= $0 } ?? false }

    private var arrival: UInt64 {
        LoopInstant(nanoseconds: self.network.schedule.now).advanced(by: self.fault.delay).nanoseconds
    }

    private func arrives(_ bytes: ArraySlice<UInt8>, at time: UInt64) {
        self.inbound.append((bytes, time))
        self.inboundCount += bytes.count
        self.wake(at: time)
    }

    private func ends(_ reason: ChannelEnd, at time: UInt64) {
        guard !self.isClosed else { return }
        // A break overtakes an orderly end that has not been told yet.
        if case .endOfStream = reason, self.ending != nil { return }
        self.ending = (reason, time)
        self.wake(at: time)
    }

    private func wake(at time: UInt64 = 0) {
        let schedule = self.network.schedule
        if time > schedule.now {
            _ = schedule.deadlines.schedule(at: time) { [weak self] in self?.wake() }
        } else {
            schedule.wake(self)
        }
    }

    // MARK: Lane

    private var hasBytes: Bool {
        self.inboundHead < self.inbound.count && self.inbound[self.inboundHead].arrives <= self.network.schedule.now
    }

    private var hasEnded: Bool {
        guard let ending = self.ending else { return false }
        return self.inboundCount == 0 && ending.arrives <= self.network.schedule.now
    }

    var hasWork: Bool {
        guard !self.isClosed, self.delegate != nil else { return false }
        return self.opening || self.drained
            || (self.isReading && (self.leftoverAwaitsReading || self.hasBytes || self.hasEnded))
    }

    func step() -> String {
        guard let delegate = self.delegate, self.hasWork else { return "nothing" }
        if self.opening {
            self.opening = false
            delegate.channelOpened(self)
            return "opened"
        }
        if self.drained {
            self.drained = false
            delegate.channelDrained(self)
            return "drained"
        }
        if self.hasBytes || self.leftoverAwaitsReading { return self.deliver(to: delegate) }
        guard let ending = self.ending else { return "nothing" }
        self.ending = nil
        self.delegate = nil
        if case .endOfStream = ending.reason {
            // As on a socket: what was written so far goes out as far as there is room, then this end is over too.
            self.handOver()
            if let peer = self.peer, !self.endSent, !self.isSilent { peer.ends(.endOfStream, at: self.arrival) }
        }
        self.forget()
        delegate.channelEnded(self, ending.reason)
        return "ended"
    }

    private func deliver(to delegate: any ChannelDelegate) -> String {
        var available = 0
        var index = self.inboundHead
        while index < self.inbound.count, self.inbound[index].arrives <= self.network.schedule.now {
            available += self.inbound[index].bytes.count
            index += 1
        }
        let count = self.network.schedule.drawChunk(of: min(available, 512 << 10))
        var buffer = self.leftover
        buffer.reserveCapacity(buffer.count + count + 64)
        var rest = count
        while rest > 0 {
            let segment = self.inbound[self.inboundHead].bytes
            buffer += segment.prefix(rest)
            if segment.count > rest {
                self.inbound[self.inboundHead].bytes = segment.dropFirst(rest)
                rest = 0
            } else {
                rest -= segment.count
                self.inboundHead += 1
            }
        }
        self.inbound.removeFirst(self.inboundHead)
        self.inboundHead = 0
        self.inboundCount -= count
        if let peer = self.peer, peer.queuedBytes > 0 { self.network.hasBytes(peer) }

        let total = buffer.count
        buffer += repeatElement(0, count: 64)
        let done = buffer.withUnsafeMutableBytes { bytes in
            delegate.channel(self, received: UnsafeMutableRawBufferPointer(rebasing: bytes[..<total]))
        }
        if !self.isClosed { self.leftover = Array(buffer[min(max(done, 0), total)..<total]) }
        self.leftoverAwaitsReading = !self.isReading && !self.leftover.isEmpty
        return "received \(count)"
    }

    /// What an error tells of an end that waits.
    var state: String {
        var text = "\(self.label) to \(self.remoteName)"
        if !self.isOpen { text += ", not connected" }
        if self.queuedBytes > 0 { text += ", \(self.queuedBytes) bytes not taken" }
        if self.inboundCount > 0 { text += ", \(self.inboundCount) bytes not read" }
        if !self.isReading { text += ", not reading" }
        return text
    }
}

extension SocketError {
    static var noSimulatedTLS: Self {
        Self(.tls(.unavailable), message: "a simulated loop has no TLS; use ws:// there, or a real loop")
    }
}
