import HeadstreamLocks
import HeadstreamRPC
import HeadstreamSockets
import HeadstreamWebSocket

/// One connection to one node: a socket, its framing and its ``RequestProcessor``.
///
/// Its executor is the loop, so what the socket says, what a deadline says and what callers want are jobs of one
/// thread and cannot interleave. It lives once: connecting, open, closing, ended. What outlives it is ``Session``.
///
/// This file has its beginning and its end; `Connection+reading.swift` follows bytes from the socket to the processor,
/// `Connection+requests.swift` what callers want and what the processor asks for.
actor Connection {
    /// Where it stands.
    enum Phase {
        case idle
        /// Until the socket stands; then a proxy is asked for a tunnel, or with WebSocket the handshake is sent.
        case connecting(ProxyTunnel?, ClientHandshake?)
        /// Until the proxy has opened the tunnel.
        case tunnelling(ProxyTunnel, ClientHandshake)
        /// With `wss`, until the TLS handshake is done.
        case securing(ClientHandshake)
        /// Until the 101.
        case upgrading(ClientHandshake)
        case open
        /// Close frames are exchanged, or this side has finished writing; the end of the stream is awaited.
        case closing
        case ended
    }

    nonisolated let loop: any Loop
    nonisolated let endpoint: Endpoint
    nonisolated let configuration: Configuration
    /// The session it belongs to.
    nonisolated let owner: ConnectionOwner
    nonisolated let ids: RequestIDs
    /// What no error or diagnostic is to show, even where the node quotes it.
    nonisolated let secrets: Secrets
    /// Why the connection ended; read from any thread by those whose requests or streams it ended.
    nonisolated let ending = Locked<Web3Error?>(nil)

    var phase = Phase.idle
    var channel: (any Channel)?
    // What each message and request goes through is not checked for overlapping accesses at run time: the loop is one
    // thread, and what is called meanwhile is told by actions, carried out afterwards.
    @exclusivity(unchecked) var inbound: InboundPath
    @exclusivity(unchecked) var actions = RequestProcessorActions()
    var closing = ClosingHandshake(role: .client)
    var pongs = PongPolicy()
    /// At the end of this turn a look at the pongs that wait is queued.
    var looksAfterPongs = false
    /// Frames on their way into the channel; kept for its memory.
    @exclusivity(unchecked) var outbound: [UInt8] = []
    /// The message that becomes a frame; kept for its memory.
    @exclusivity(unchecked) var scratch: [UInt8] = []
    /// Calls that the loop has not seen to yet, from any thread; and memory for more of them.
    nonisolated let pendingCalls = Locked<[PendingCall]>([])
    var spareCalls: [PendingCall] = []
    /// Where compression was agreed on, what compresses requests, and the last one compressed.
    var deflater: Deflater?
    var compressed: [UInt8] = []
    var metrics = Metrics()
    /// Whether another connection has taken this one's place, and what waits here is waited for.
    var isDraining = false
    /// It goes on with that when it reads again.
    var drainsWhenReading = false
    /// Whether it carries nothing but subscriptions that another connection had no room for.
    let isFurther: Bool
    /// The owner is about to be told that it carries none.
    var isToldEmpty = false
    /// Its streams have another connection, and go on whatever becomes of this one.
    private var isRetired = false
    /// The one callback for all requests' timeouts, and what it is set to.
    var requestDeadline: (id: DeadlineID, instant: UInt64)?
    /// Nil until the connection is open, and where it is not wanted.
    var keepalive: KeepaliveStateMachine?
    var keepaliveDeadline: DeadlineID?
    /// Whether anything was read since the keepalive looked last: all that it costs a read.
    var hasHeard = false
    /// Consumers with something new to read, to be resumed at this turn's end.
    var wakes: [SuspendedConsumer] = []
    var wakesAtTurnEnd = false

    /// The caller of ``open()``.
    private var opening: CheckedContinuation<Result<Void, Web3Error>, Never>?
    /// Callers of ``close()``.
    private var closers: [CheckedContinuation<Void, Never>] = []
    /// For connecting, and later for closing.
    private var phaseDeadline: DeadlineID?
    /// The proxy on the way, for messages.
    private(set) var proxy: Proxy?

    nonisolated var unownedExecutor: UnownedSerialExecutor { self.loop.asUnownedSerialExecutor() }

    init(
        to endpoint: Endpoint,
        configuration: Configuration,
        secrets: Secrets,
        loop: any Loop,
        ids: RequestIDs,
        bufferBudget: BufferBudget,
        owner: ConnectionOwner,
        isFurther: Bool = false
    ) {
        self.owner = owner
        self.isFurther = isFurther
        var limits = configuration.limits
        limits.bufferBudget = bufferBudget
        self.loop = loop
        self.endpoint = endpoint
        self.configuration = configuration
        self.ids = ids
        self.secrets = secrets
        self.inbound = InboundPath(
            framing: endpoint.isIPC ? .ipc : .webSocket,
            maxMessageSize: configuration.maxMessageSize,
            processor: RequestProcessor(limits: limits, ids: ids, seed: 0)
        )
        self.inbound.processor.hold()
    }

    var isOpen: Bool {
        if case .open = self.phase { true } else { false }
    }

    /// Runs `body` on the loop soon, from any thread.
    nonisolated func enqueue(_ body: @escaping @Sendable (isolated Connection) -> Void) {
        self.loop.execute { self.assumeIsolated { body($0) } }
    }

    // MARK: Opening

    /// Connects, with one deadline from the name to the last byte of the handshake. Cancelling ends the attempt.
    func open() async throws(Web3Error) {
        let result: Result<Void, Web3Error> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // Closed before it was opened: it lives once.
                guard case .idle = self.phase else {
                    let error = self.ending.withLock { $0 } ?? Web3Error(.misuse, "a connection is opened once")
                    return continuation.resume(returning: .failure(error))
                }
                self.opening = continuation
                if Task.isCancelled {
                    self.end(Web3Error(.cancelled, "cancelled while connecting"))
                } else {
                    self.connect()
                }
            }
        } onCancel: {
            self.enqueue { connection in
                if connection.opening != nil { connection.end(Web3Error(.cancelled, "cancelled while connecting")) }
            }
        }
        try result.get()
    }

    /// Begins to connect without anybody waiting for it: the owner is told how it ends.
    func begin() {
        self.connect()
    }

    private func connect() {
        if case .invalid(let reason) = self.endpoint.target { return self.end(Web3Error(.invalidEndpoint, reason)) }
        let dialling: Dialling
        do throws(HandshakeError) {
            dialling = try self.endpoint.dialling(with: self.configuration) { self.loop.fillRandom($0) }
        } catch {
            return self.end(Web3Error(error, from: self.endpoint))
        }
        self.inbound.processor.reseed(self.loop.random())
        self.proxy = dialling.proxy
        self.phase = .connecting(dialling.tunnel, dialling.handshake)
        self.setPhaseDeadline(in: self.configuration.connectTimeout) { $0.openingTimedOut() }
        self.channel = self.loop.connect(to: dialling.address, delegate: self)
    }

    /// The socket stands, at the node or at the proxy in front of it.
    func socketOpened(_ channel: any Channel) {
        guard case .connecting(let tunnel, let handshake) = self.phase else { return }
        guard let handshake else { return self.established() }
        if let tunnel {
            self.phase = .tunnelling(tunnel, handshake)
            tunnel.request.withUnsafeBytes { channel.write($0) }
        } else {
            self.beginUpgrade(channel, handshake)
        }
    }

    /// The proxy says what follows; returns how many bytes were its own.
    @discardableResult
    func tunnel(_ action: ProxyTunnel.Action) -> Int {
        switch action {
        case .needMore: return 0
        case .established(let consumed):
            if case .tunnelling(_, let handshake) = self.phase, let channel = self.channel {
                self.beginUpgrade(channel, handshake)
            }
            return consumed
        case .refused(let refusal): self.end(Web3Error(refusal, of: self.proxy, to: self.endpoint))
        case .failed(let error): self.end(Web3Error(error, from: self.endpoint, through: self.proxy))
        }
        return 0
    }

    /// The handshake says what follows; returns how many bytes it took.
    @discardableResult
    func upgrade(_ action: ClientHandshake.Action) -> Int {
        switch action {
        case .needMore: return 0
        case .accepted(let consumed):
            if case .upgrading(let handshake) = self.phase, let agreement = handshake.compression {
                self.inbound.agreed(on: agreement)
                self.deflater = Deflater(agreement)
            }
            self.established()
            return consumed
        case .refused(let refusal): self.end(Web3Error(refusal, from: self.endpoint))
        case .failed(let error): self.end(Web3Error(error, from: self.endpoint))
        }
        return 0
    }

    private func established() {
        self.clearPhaseDeadline()
        self.phase = .open
        if !self.owner.mustKnowChain(of: self) { self.inbound.processor.opened(&self.actions) }
        self.owner.established(self)
        self.perform()
        self.startKeepalive()
        self.opening?.resume(returning: .success(()))
        self.opening = nil
    }

    /// The node is known to be of the right chain: what waits goes out.
    func release() {
        self.inbound.processor.opened(&self.actions)
        self.perform()
    }

    private func openingTimedOut() {
        switch self.phase {
        case .upgrading(var handshake):
            self.upgrade(handshake.deadlineReached())
        case .tunnelling(var tunnel, _):
            self.tunnel(tunnel.deadlineReached())
        default:
            let limit = self.configuration.connectTimeout
            let way = self.proxy.map { " to the proxy \($0)" } ?? ""
            let what = if case .securing = self.phase { "TLS handshake" } else { "connection\(way)" }
            self.end(Web3Error(.timedOut, "\(self.endpoint): no \(what) within \(limit)"))
        }
    }

    // MARK: Closing

    /// Closes, and returns when nothing of it is left: at the latest after the close timeout.
    func close() async {
        await withCheckedContinuation { continuation in
            // Asked in here: on the way to this point the actor may have been left (Docs/Runtime.md).
            if case .ended = self.phase { return continuation.resume() }
            self.closers.append(continuation)
            self.beginClosing()
        }
    }

    /// The last handle was let go of: closes without anybody waiting for it.
    nonisolated func abandon() {
        self.enqueue { $0.beginClosing() }
    }

    /// Another connection has taken this one's place: closes, and leaves the streams alone.
    func retire() {
        self.isRetired = true
        self.beginClosing()
    }

    private func beginClosing() {
        let error = Web3Error(.connectionClosed, "the connection was closed by this side")
        switch self.phase {
        case .idle, .connecting, .tunnelling, .securing, .upgrading:
            self.end(error)
        case .open where self.endpoint.isIPC:
            self.failWaiting(error, streams: .finished)
            self.channel?.finishWriting()
            self.awaitEnd()
        case .open:
            self.failWaiting(error, streams: .finished)
            self.follow(self.closing.close(code: CloseCode.normal, reason: ""))
        case .closing, .ended:
            break
        }
    }

    /// Carries out what the closing handshake asks for.
    func follow(_ action: ClosingHandshake.Action) {
        switch action {
        case .none:
            break
        case .sendClose(let code, let reason):
            self.writeClose(code, reason)
            self.awaitEnd()
        case .sendCloseAndFinishWriting(let code, let reason):
            self.writeClose(code, reason)
            self.channel?.finishWriting()
            self.awaitEnd()
        case .finishWriting:
            self.channel?.finishWriting()
        case .end(let end):
            return self.end(self.error(for: end))
        }
        // The peer's close frame is known before the socket ends: who waits is told at once.
        if let end = self.closing.end { self.failWaiting(self.error(for: end)) }
    }

    private func awaitEnd() {
        self.phase = .closing
        self.stopKeepalive()
        // A suspended reader would not see the other side's end.
        self.channel?.isReading = true
        self.setPhaseDeadline(in: self.configuration.closeTimeout) { connection in
            if connection.endpoint.isIPC {
                connection.end(
                    Web3Error(
                        .connectionClosed,
                        "\(connection.endpoint): the node did not close the connection in time"
                    )
                )
            } else {
                connection.follow(connection.closing.deadlineReached())
            }
        }
    }

    /// Everything that waits ends now, with this error; the first one counts.
    private func failWaiting(_ error: Web3Error, streams: SubscriptionBuffer.End? = nil) {
        let error = error.redacted(by: self.secrets)
        let isFirst = self.ending.withLock { ending in
            defer { ending = ending ?? error }
            return ending == nil
        }
        guard isFirst else { return }
        let streams = self.configuration.endOfConnectionEndsStreams ? .finished : streams
        self.inbound.processor.connectionLost(
            RPCError(.connectionClosed, error.message),
            streams: streams,
            keepsStreams: self.isRetired || (streams == nil && self.owner.keepsStreams(of: self, after: error)),
            actions: &self.actions
        )
        self.perform()
        self.owner.lost(self, error)
    }

    /// The connection is over, in whatever phase it was.
    func end(_ error: Web3Error) {
        if case .ended = self.phase { return }
        self.phase = .ended
        self.clearPhaseDeadline()
        self.stopKeepalive()
        if let deadline = self.requestDeadline {
            self.loop.cancel(deadline.id)
            self.requestDeadline = nil
        }
        self.channel?.close()
        self.channel = nil
        self.failWaiting(error)
        self.opening?.resume(returning: .failure(error.redacted(by: self.secrets)))
        self.opening = nil
        for closer in self.closers { closer.resume() }
        self.closers = []
    }

    /// What a user is told about the end of a WebSocket connection.
    private func error(for end: WebSocketEnd) -> Web3Error {
        var error: Web3Error
        switch end.cause {
        case .local:
            error = Web3Error(.connectionClosed, "the connection was closed by this side")
        case .violation(let violation):
            error = Web3Error(.protocolViolation, "\(self.endpoint): \(violation.message)")
        case .peer, .streamEnded:
            var text =
                end.cause == .peer
                ? "\(self.endpoint): the node closed the connection (code \(end.code))"
                : "\(self.endpoint): the connection ended without a close frame"
            if !end.reason.isEmpty { text += ": \(end.reason)" }
            // What a node complained about before it closed is the likely reason.
            if let last = self.inbound.processor.lastUnattributedError {
                text += "; its last error was \(last.code) \(last.message)"
            }
            error = Web3Error(.connectionClosed, text)
        }
        error.closeCode = end.code
        return error
    }

    // MARK: Deadlines

    private func setPhaseDeadline(in duration: Duration, _ body: @escaping @Sendable (isolated Connection) -> Void) {
        self.clearPhaseDeadline()
        self.phaseDeadline = self.loop.schedule(at: self.loop.now.advanced(by: duration)) { [weak self] in
            self?.assumeIsolated { body($0) }
        }
    }

    private func clearPhaseDeadline() {
        if let deadline = self.phaseDeadline { self.loop.cancel(deadline) }
        self.phaseDeadline = nil
    }
}

extension Endpoint {
    package var isIPC: Bool {
        if case .ipc = self.target { true } else { false }
    }
}
