/// A point on a loop's clock: nanoseconds since an origin of the loop's own choosing.
///
/// On an ``EventLoop`` it is the system's clock that also counts the time a machine was suspended
/// (`CLOCK_BOOTTIME`); on a simulated loop it is virtual and moves by hand.
package struct LoopInstant: Comparable, Hashable, Sendable {
    package var nanoseconds: UInt64

    package init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    package static func < (left: Self, right: Self) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// This instant and `duration` later, saturating at both ends.
    package func advanced(by duration: Duration) -> Self {
        let (seconds, attoseconds) = duration.components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return Self(nanoseconds: seconds < 0 ? 0 : .max) }
        let (delta, overflow2) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        if overflow2 { return Self(nanoseconds: seconds < 0 ? 0 : .max) }
        if delta < 0 {
            let (value, under) = self.nanoseconds.subtractingReportingOverflow(delta.magnitude)
            return Self(nanoseconds: under ? 0 : value)
        }
        let (value, over) = self.nanoseconds.addingReportingOverflow(delta.magnitude)
        return Self(nanoseconds: over ? .max : value)
    }

    /// The time from `earlier` to this instant; zero if `earlier` is later.
    package func since(_ earlier: Self) -> Duration {
        self.nanoseconds <= earlier.nanoseconds
            ? .zero : .nanoseconds(Int64(clamping: self.nanoseconds - earlier.nanoseconds))
    }
}

/// Names one scheduled callback of a loop, so that it can be cancelled.
package struct DeadlineID: Hashable, Sendable {
    package let rawValue: UInt64

    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }
}

/// Where a connection lives: one thread (or, simulated, one seeded order) on which everything about it happens.
///
/// A loop is the serial executor of the connection actors and, through ``taskExecutor``, a second object on the same
/// queue, the executor of tasks that a user puts there. ``EventLoop`` is the real one; `HeadstreamTesting` has a
/// simulated one. Methods marked *on the loop* may be called from jobs and callbacks of this loop only.
package protocol Loop: SerialExecutor {
    /// The executor for tasks that shall run on this loop.
    var taskExecutor: any TaskExecutor { get }

    /// The clock. It may be read from any thread.
    var now: LoopInstant { get }

    /// Whether the caller is a job or a callback of this loop.
    var isCurrent: Bool { get }

    /// Runs `body` on the loop, soon. From any thread; never runs it inside this call.
    func execute(_ body: @escaping @Sendable () -> Void)

    /// Runs `body` once, at the end of the current turn, before the writes of the turn go out. On the loop.
    ///
    /// Consumers are woken from here, so that a turn of many reads wakes each of them once.
    func atTurnEnd(_ body: @escaping () -> Void)

    /// Runs `body` once, when the clock has reached `instant`. On the loop.
    func schedule(at instant: LoopInstant, _ body: @escaping () -> Void) -> DeadlineID

    /// The same for somebody whom others wait for: where the loop is shut down before that, `ended` runs instead. On the
    /// loop.
    func schedule(
        at instant: LoopInstant,
        _ body: @escaping () -> Void,
        ifShutDown ended: @escaping () -> Void
    ) -> DeadlineID

    /// Forgets a scheduled callback; one that has run or was cancelled is ignored. On the loop.
    func cancel(_ deadline: DeadlineID)

    /// Suspends the calling task until `instant`. From any task.
    func sleep(until instant: LoopInstant) async throws(CancellationError)

    /// Fills `bytes` from a cryptographically secure generator (on a simulated loop: from its seed). On the loop.
    func fillRandom(_ bytes: UnsafeMutableRawBufferPointer)

    /// Begins to connect. The delegate is told ``ChannelDelegate/channelOpened(_:)`` or
    /// ``ChannelDelegate/channelEnded(_:_:)`` later, never inside this call. There is no deadline here: who connects
    /// has one, and ends the attempt with ``Channel/close()``. On the loop.
    func connect(to address: SocketAddress, delegate: any ChannelDelegate) -> any Channel

    /// Begins to listen and calls `accept` for each connection that arrives; the channel is already open, so its delegate
    /// is not told ``ChannelDelegate/channelOpened(_:)``.
    /// Throws where the address cannot be listened on. On the loop.
    ///
    /// - Parameter tls: the server's side of TLS, with which every connection begins. What a delegate writes meanwhile
    ///   waits; it is told ``ChannelDelegate/channelSecured(_:)``.
    func listen(
        on address: SocketAddress,
        tls: TLSServer?,
        accept: @escaping (any Channel) -> any ChannelDelegate
    ) throws(SocketError) -> any Listener
}

extension Loop {
    /// Listens without TLS.
    package func listen(
        on address: SocketAddress,
        accept: @escaping (any Channel) -> any ChannelDelegate
    ) throws(SocketError) -> any Listener {
        try self.listen(on: address, tls: nil, accept: accept)
    }

    /// A number that nobody can foresee. On the loop.
    package func random<Number: FixedWidthInteger & UnsignedInteger>(_: Number.Type = Number.self) -> Number {
        var number: Number = 0
        withUnsafeMutableBytes(of: &number) { self.fillRandom($0) }
        return number
    }
}

/// A byte stream in both directions: a TCP or Unix socket, or one end of an in-memory pair.
///
/// Confined to its loop: every method is *on the loop*.
package protocol Channel: AnyObject, Sendable {
    /// Appends to what is to be written; it goes out at the end of the turn, all at once.
    /// Ignored after ``close()`` and ``finishWriting()``. The caller keeps ``queuedBytes`` within its bound.
    func write(_ bytes: UnsafeRawBufferPointer)

    /// Bytes written but not yet taken by the system.
    var queuedBytes: Int { get }

    /// Whether bytes are to be read. A channel begins reading. While it does not read, the peer is held back by the
    /// system's buffers, and the end of the stream is noticed late. A delegate that stopped reading inside a call and
    /// left bytes of it is handed them again as soon as reading goes on, even if nothing new came.
    var isReading: Bool { get set }

    /// What this end and the other are called, for error messages: `127.0.0.1:8545`, `/run/geth.ipc`.
    var remoteName: String { get }

    /// Goes over to TLS as a client, on a channel that is open. What was written before goes out as it is; what is
    /// written from now on, protected. The delegate is told ``ChannelDelegate/channelSecured(_:)``, or how it failed, with
    /// ``SocketError/Code-swift.enum/tls(_:)``; never inside this call. Once only, and with no byte left unread: a
    /// delegate that calls this while it is given bytes must be done with all of them.
    func startTLS(_ client: TLSClient)

    /// Half-closes: what is queued goes out, then the peer reads the end of the stream.
    func finishWriting()

    /// Ends the channel at once, in any state; what is queued is dropped. The delegate is let go of and is not called
    /// again. Closing twice does nothing.
    func close()
}

/// Who reads a channel. Every call comes on the channel's loop, from outside any job.
package protocol ChannelDelegate: AnyObject {
    /// The connection stands.
    func channelOpened(_ channel: any Channel)

    /// The handshake of TLS is done: what is read and written from now on is protected, and the server is who it should
    /// be.
    func channelSecured(_ channel: any Channel)

    /// Bytes arrived: what the delegate left of the last call, and what was read since, in one piece.
    ///
    /// Returns how many of them it is done with; the channel keeps the rest (which should be short, an incomplete
    /// frame) and hands it over again in front of the next bytes. The bytes may be changed in place (unmasking). They
    /// are valid during the call only, and at least 64 initialised bytes follow them, so that wide loads past the end
    /// are harmless.
    func channel(_ channel: any Channel, received bytes: UnsafeMutableRawBufferPointer) -> Int

    /// ``Channel/queuedBytes`` fell back to zero after a write could not go out in full.
    func channelDrained(_ channel: any Channel)

    /// The channel is over, by no act of this side. It is told once and last, after all bytes were delivered.
    func channelEnded(_ channel: any Channel, _ reason: ChannelEnd)
}

/// Why a channel ended.
package enum ChannelEnd: Error, Sendable, Hashable {
    /// The peer finished writing. Over TLS too it need not have said so (an end without close_notify): who must know
    /// whether everything came knows it from what came.
    case endOfStream
    /// The system refused, or the connection broke.
    case failed(SocketError)
}

/// A socket that others connect to.
package protocol Listener: AnyObject, Sendable {
    /// Where it listens; a port of 0 that was asked for is the real one here. From any thread.
    var address: SocketAddress { get }

    /// Stops listening; channels already accepted go on. On the loop.
    func close()
}
