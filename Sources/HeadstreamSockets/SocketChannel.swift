internal import Glibc

/// A TCP or Unix socket on a loop.
///
/// The two places that touch the bytes of the descriptor are ``receive(into:count:)`` and ``transmit()``; TLS stands there,
/// between the socket and what is above (`SocketChannel+TLS.swift`).
//
// `@unchecked Sendable`: confined to its loop's thread, as `Channel` says; every entry point asserts it.
final class SocketChannel: Channel, Pollable, @unchecked Sendable {
    enum State {
        case connecting(ConnectAttempt)
        case open
        case closed
    }

    /// From here on an incomplete message is read behind its own beginning, in a buffer of the channel, instead of being
    /// copied into the loop's buffer at each read: so a large one costs linear time.
    static let largeTail = EventLoop.readBufferSize / 2
    /// The longest incomplete message a channel keeps.
    static let tailLimit = 64 * 1024 * 1024

    let loop: EventLoop
    private(set) var remoteName: String
    var state = State.open
    var delegate: (any ChannelDelegate)?
    var descriptor: Int32 = -1
    private var token: UInt64 = 0
    private var registered: Readiness = []
    var tail = TailBuffer()
    var isDelivering = false
    /// The delegate paused in the middle of a call and left bytes: perhaps complete messages, so they are handed over
    /// again when reading goes on, without waiting for more.
    var tailAwaitsReading = false
    var output: WriteBuffer?
    /// A write could not go out in full; epoll tells when there is room.
    var isBlocked = false
    var isFinishing = false
    var hasFinished = false
    /// Writing failed. What the peer sent before is read first, then this is told.
    var writeFailure: SocketError?
    private var isInFlushList = false
    private var isInReadList = false
    /// What there is of TLS; nil on a channel without.
    var tls: ChannelTLS?

    /// A channel that is being connected.
    init(loop: EventLoop, connectingTo address: SocketAddress, delegate: any ChannelDelegate) {
        self.loop = loop
        self.remoteName = address.description
        self.delegate = delegate
        self.token = loop.slots.insert(self)
        loop.counters.openSockets += 1
        let attempt = ConnectAttempt(channel: self, address: address)
        self.state = .connecting(attempt)
        attempt.start()
    }

    /// A channel on an accepted socket. The delegate comes by ``attach(_:)``.
    init(loop: EventLoop, accepted descriptor: Int32, remoteName: String) {
        self.loop = loop
        self.remoteName = remoteName
        self.descriptor = descriptor
        self.token = loop.slots.insert(self)
        loop.counters.openSockets += 1
    }

    deinit {
        self.tail.release()
    }

    /// Gives an accepted channel its delegate, unless it was closed before.
    func attach(_ delegate: any ChannelDelegate) {
        guard case .open = self.state else { return }
        self.delegate = delegate
        self.flushAtTurnEnd()
    }

    // MARK: Channel

    var isReading = true {
        didSet {
            assert(self.loop.isCurrent)
            guard self.isReading != oldValue, case .open = self.state else { return }
            if self.isReading, self.tailAwaitsReading || self.writeFailure != nil || self.tls?.end != nil {
                self.readInNextTurn()
            }
            self.flushAtTurnEnd()
        }
    }

    var queuedBytes: Int { (self.output?.count ?? 0) + (self.tls?.unsentCount ?? 0) }

    func write(_ bytes: UnsafeRawBufferPointer) {
        assert(self.loop.isCurrent)
        if case .closed = self.state { return }
        guard !self.isFinishing, self.writeFailure == nil, !bytes.isEmpty else { return }
        let output: WriteBuffer
        if let own = self.output {
            output = own
        } else {
            output = self.loop.spareWriteBuffer ?? WriteBuffer()
            self.loop.spareWriteBuffer = nil
            self.output = output
        }
        output.append(bytes)
        self.flushAtTurnEnd()
    }

    func finishWriting() {
        assert(self.loop.isCurrent)
        if case .closed = self.state { return }
        self.isFinishing = true
        self.flushAtTurnEnd()
    }

    func close() {
        assert(self.loop.isCurrent)
        if case .closed = self.state { return }
        if case .connecting(let attempt) = self.state { attempt.cancel() }
        self.endTLS()
        self.state = .closed
        if self.descriptor >= 0 {
            self.loop.poller?.change(self.descriptor, from: self.registered, to: [], token: self.token)
            self.registered = []
            self.loop.closeDescriptor(self.descriptor)
            self.descriptor = -1
        }
        self.loop.slots.remove(self.token)
        self.loop.counters.openSockets -= 1
        self.delegate = nil
        self.releaseOutput()
        // During a delivery the bytes still belong to the delegate.
        if !self.isDelivering { self.tail.release() }
    }

    // MARK: Connecting

    func connected(_ descriptor: Int32) {
        guard case .connecting = self.state, let delegate = self.delegate else {
            self.loop.closeDescriptor(descriptor)
            return
        }
        self.descriptor = descriptor
        self.state = .open
        self.flushAtTurnEnd()
        delegate.channelOpened(self)
    }

    /// Closes the channel and tells the delegate, last.
    func end(_ reason: ChannelEnd) {
        if case .closed = self.state { return }
        let delegate = self.delegate
        self.close()
        delegate?.channelEnded(self, reason)
    }

    // MARK: Pollable

    func ready(_ readiness: Readiness) {
        let isBroken = readiness.contains(.peerFinished) || !readiness.isDisjoint(with: .broken)
        if self.registered.contains(.writable), readiness.contains(.writable) || isBroken { self.becameWritable() }
        guard case .open = self.state, self.isReading, self.registered.contains(.readable) else { return }
        if readiness.contains(.readable) || isBroken { self.read(untilEmpty: isBroken) }
    }

    func loopShutsDown() {
        self.end(.failed(self.loop.startError ?? .shutDown))
    }

    // MARK: Reading

    func readInNextTurn() {
        guard !self.isInReadList else { return }
        self.isInReadList = true
        self.loop.toRead.append(self)
    }

    /// Reads although epoll did not name the channel: to hand over what was left, or to find the end after a failed write.
    func readAgain() {
        self.isInReadList = false
        guard case .open = self.state, self.isReading else { return }
        self.read(untilEmpty: self.writeFailure != nil)
    }

    /// Reads and delivers, until the socket is empty or has had its share of the turn.
    ///
    /// A read that came back short has emptied the socket: asking again would only cost a call, unless the end is known
    /// to wait behind the bytes (`untilEmpty`).
    private func read(untilEmpty: Bool) {
        if let tls = self.tls { return self.read(tls, untilEmpty: untilEmpty) }
        var budget = EventLoop.bytesPerTurn
        var base = self.loop.readBuffer
        var capacity = EventLoop.readBufferSize
        var filled = self.tail.count
        if filled >= Self.largeTail, let own = self.tail.base {
            (base, capacity) = (own, self.tail.capacity)
        } else if let own = self.tail.base {
            base.copyMemory(from: own, byteCount: filled)
        }
        if self.tailAwaitsReading {
            self.tailAwaitsReading = false
            guard filled > 0, self.deliver(&base, &capacity, &filled) else {
                return self.keepTail(base, filled)
            }
        }
        while budget > 0 {
            if base == self.tail.base {
                guard filled < Self.tailLimit else { return self.endForTail() }
                self.tail.count = filled
                self.tail.reserve(EventLoop.readBufferSize / 4)
                guard let own = self.tail.base else { return }
                (base, capacity) = (own, self.tail.capacity)
            }
            let wanted = min(capacity - filled, budget)
            let count = self.receive(into: base + filled, count: wanted)
            if count < 0 {
                let code = errno
                if code == EINTR { continue }
                self.keepTail(base, filled)
                if code == EAGAIN {
                    if let failure = self.writeFailure { self.end(.failed(failure)) }
                } else {
                    self.end(.failed(self.writeFailure ?? .broken(self.remoteName, errno: code)))
                }
                return
            }
            if count == 0 {
                // What the delegate wrote in this turn, an answer to the peer's farewell say, still goes out.
                if !self.isBlocked { self.transmit() }
                return self.end(self.writeFailure.map { .failed($0) } ?? .endOfStream)
            }
            self.loop.counters.bytesRead += count
            budget -= count
            filled += count
            guard self.deliver(&base, &capacity, &filled) else { return self.keepTail(base, filled) }
            if count < wanted, !untilEmpty { break }
        }
        self.keepTail(base, filled)
        if self.writeFailure != nil { self.readInNextTurn() }
    }

    func receive(into target: UnsafeMutableRawPointer, count: Int) -> Int {
        self.loop.counters.reads += 1
        return recv(self.descriptor, target, count, 0)
    }

    /// Hands the bytes over and moves what is left to the front, of the loop's buffer or, if it is much, of the
    /// channel's own. Returns whether reading goes on.
    func deliver(
        _ base: inout UnsafeMutableRawPointer,
        _ capacity: inout Int,
        _ filled: inout Int
    ) -> Bool {
        guard let delegate = self.delegate else { return false }
        (base + filled).initializeMemory(as: UInt8.self, repeating: 0, count: EventLoop.padding)
        self.isDelivering = true
        let bytes = UnsafeMutableRawBufferPointer(start: base, count: filled)
        let consumed = min(max(0, delegate.channel(self, received: bytes)), filled)
        self.isDelivering = false
        guard case .open = self.state else {
            self.tail.release()
            return false
        }
        let rest = filled - consumed
        if let tls = self.tls, !tls.isSecured {
            // The delegate went over to TLS: what the socket holds is another's to read.
            self.tail.release()
            filled = 0
            if rest > 0 { self.failForInjectedBytes(tls) }
            return false
        }
        let isOwn = base == self.tail.base
        if rest >= Self.largeTail {
            if !isOwn || consumed > 0 {
                self.tail.replace(with: UnsafeRawBufferPointer(start: base + consumed, count: rest))
            }
            if let own = self.tail.base { (base, capacity) = (own, self.tail.capacity) }
        } else if rest > 0, isOwn || consumed > 0 {
            self.loop.readBuffer.copyMemory(from: base + consumed, byteCount: rest)
            (base, capacity) = (self.loop.readBuffer, EventLoop.readBufferSize)
        } else if rest == 0, isOwn {
            (base, capacity) = (self.loop.readBuffer, EventLoop.readBufferSize)
        }
        filled = rest
        self.tailAwaitsReading = !self.isReading && rest > 0
        return self.isReading
    }

    /// At the end of a turn's reading: the loop's buffer goes to the next socket.
    func keepTail(_ base: UnsafeMutableRawPointer, _ filled: Int) {
        guard case .open = self.state else { return }
        if base == self.tail.base {
            self.tail.count = filled
        } else {
            self.tail.replace(with: UnsafeRawBufferPointer(start: base, count: filled))
        }
    }

    func endForTail() {
        let message = "\(self.remoteName) sent \(Self.tailLimit) bytes of one incomplete message, the most that is kept"
        self.end(.failed(SocketError(.system, message: message)))
    }

    // MARK: Writing

    func flushAtTurnEnd() {
        guard !self.isInFlushList, case .open = self.state else { return }
        self.isInFlushList = true
        self.loop.toFlush.append(self)
    }

    /// The turn is over: sends what it wrote, all at once, and tells epoll what is waited for now.
    func flush() {
        self.isInFlushList = false
        guard case .open = self.state else { return }
        if !self.isBlocked { self.transmit() }
        self.updateInterest()
    }

    private func becameWritable() {
        self.isBlocked = false
        self.transmit()
        // The delegate is told before epoll is, because it may write again.
        if !self.isBlocked, self.writeFailure == nil, self.queuedBytes == 0 { self.delegate?.channelDrained(self) }
        self.flushAtTurnEnd()
    }

    /// Sends until the queue is empty or the system takes no more, then half-closes if that was asked for.
    func transmit() {
        if let tls = self.tls { return self.transmit(tls) }
        while let output = self.output, output.count > 0 {
            let bytes = output.bytes
            self.loop.counters.writes += 1
            let count = send(self.descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            if count >= 0 {
                self.loop.counters.bytesWritten += count
                output.consume(count)
                if output.count > 0 {
                    self.isBlocked = true
                    return
                }
            } else if errno == EAGAIN {
                self.isBlocked = true
                return
            } else if errno != EINTR {
                return self.writingFailed(errno)
            }
        }
        self.releaseOutput()
        if self.isFinishing, !self.hasFinished {
            self.hasFinished = true
            shutdown(self.descriptor, Int32(SHUT_WR))
        }
    }

    /// Bytes that came before the failure are delivered before it is told; while the channel does not read, that waits.
    func writingFailed(_ code: Int32) {
        self.writeFailure = .broken(self.remoteName, errno: code)
        self.isBlocked = false
        self.releaseOutput()
        if self.isReading { self.readInNextTurn() }
    }

    func releaseOutput() {
        guard let output = self.output else { return }
        self.output = nil
        output.removeAll()
        if self.loop.spareWriteBuffer == nil, output.capacity <= EventLoop.readBufferSize {
            self.loop.spareWriteBuffer = output
        }
    }

    /// A socket that is neither read nor waited for to be writable leaves the set: its errors could not be masked, and
    /// a reset would wake the loop for ever.
    private func updateInterest() {
        var wanted: Readiness = []
        if self.isReading, self.tls?.isWaitingForContext != true { wanted.formUnion([.readable, .peerFinished]) }
        if self.isBlocked { wanted.insert(.writable) }
        guard wanted != self.registered, let poller = self.loop.poller else { return }
        self.loop.counters.interestChanges += 1
        let code = poller.change(self.descriptor, from: self.registered, to: wanted, token: self.token)
        self.registered = wanted
        guard code != 0 else { return }
        self.registered = []
        // Only where the system has no memory or watch left (fs.epoll.max_user_watches). The delegate is told outside
        // the turn's end.
        let failure = SocketError(systemError: code, "cannot wait for \(self.remoteName)")
        self.loop.execute { self.end(.failed(failure)) }
    }
}
