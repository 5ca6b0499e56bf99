import EthereumTypes
import HeadstreamLocks
import HeadstreamRPC
import HeadstreamSockets

/// An endpoint beside the session's own that pushes heads and logs for gapless streams too: ``EndpointPolicy/firstArrival``.
///
/// It has one connection at a time, made anew after a backoff. What it pushes goes to the machine as a peer's; whatever
/// becomes of it concerns no stream.
///
/// `@unchecked Sendable`: touched on the session's loop alone.
final class Racer: @unchecked Sendable {
    /// So many blocks may the session's endpoint have pushed without this one before it counts as silent.
    private static let mostSilence: UInt64 = 64

    let endpoint: Endpoint
    let id: PeerID
    private weak var engine: ContinuityEngine?
    private weak var session: Session?
    private let loop: any Loop
    private var connection: Connection?
    private var backoff: Backoff
    private var retry: DeadlineID?
    /// When it was subscribed to; nil until then.
    private var since: LoopInstant?
    private var chainID: UInt64?
    private var heads: PushedStream<BlockHeader.Decoder>?
    private var logs: [FilterID: PushedStream<Log.Decoder>] = [:]
    /// The newest block that it has pushed on this connection, or that was pushed elsewhere when it was subscribed to.
    private var newest: UInt64?

    init(_ endpoint: Endpoint, _ id: PeerID, for engine: ContinuityEngine, _ session: Session) {
        self.endpoint = endpoint
        self.id = id
        self.engine = engine
        self.session = session
        self.loop = session.loop
        self.backoff = session.configuration.reconnect.backoff
    }

    // MARK: The connection

    func begin() {
        guard let session = self.session else { return }
        session.assumeIsolated { session in
            let connection = session.newConnection(to: self.endpoint, owner: RacerOwner(self, session))
            session.connections.withLock { $0.racing.append(connection) }
            self.connection = connection
            connection.assumeIsolated { $0.begin() }
        }
    }

    /// Nobody wants it any more.
    func stop() {
        if let retry { self.loop.cancel(retry) }
        self.retry = nil
        self.letGo()?.abandon()
    }

    /// Forgets the connection and what was made on it. - Returns: the connection.
    private func letGo() -> Connection? {
        let connection = self.connection
        self.connection = nil
        self.heads = nil
        self.logs = [:]
        self.since = nil
        self.chainID = nil
        self.newest = nil
        if connection != nil { self.engine?.handle(.peerLost(self.id)) }
        return connection
    }

    fileprivate func established(_ connection: Connection) {
        guard connection === self.connection, let session = self.session else { return }
        session.assumeIsolated { session in
            session.askForChain(connection) { outcome in
                guard connection === self.connection else { return }
                switch outcome {
                case .success(let chain): self.chainID = chain
                // One that does not know the question is believed; the heads show what it stands on.
                case .failure(let error) where error.node != nil: break
                case .failure(let error): return self.failed(Web3Error(error))
                }
                self.subscribe(on: connection)
            }
        }
    }

    /// The connection is over, or did not come about.
    fileprivate func lost(_ connection: Connection, _ error: Web3Error) {
        if connection === self.connection { self.failed(error) }
    }

    /// Subscriptions of its own were ended by the node.
    fileprivate func ended(on connection: Connection) {
        guard connection === self.connection else { return }
        self.failed(Web3Error(.subscriptionEnded, "\(self.endpoint): the node ended a subscription"))
    }

    /// Closes what there is, and tries again later unless that would end in the same way.
    private func failed(_ error: Web3Error) {
        let lifetime = self.since.map { max(1, self.loop.now.nanoseconds &- $0.nanoseconds) } ?? 0
        self.letGo()?.abandon()
        guard let session = self.session, !error.isEndOfLoop else { return }
        guard error.isTemporary else {
            session.assumeIsolated { session in
                session.failover.failed(self.endpoint, error, now: self.loop.now)
                session.tellLeftOut(self.endpoint, error)
            }
            // Not from here: a connection may end while it is begun.
            return self.loop.execute { [weak engine = self.engine] in engine?.updateRacers() }
        }
        let delay = self.backoff.delay(
            afterLifetime: lifetime,
            random: self.loop.random(),
            atLeast: error.leastDelay.nanoseconds
        )
        let instant = self.loop.now.advanced(by: .nanoseconds(Int64(clamping: delay)))
        self.retry = self.loop.schedule(at: instant) { [weak self] in
            self?.retry = nil
            self?.begin()
        }
    }

    // MARK: Subscriptions

    private func subscribe(on connection: Connection) {
        guard let engine = self.engine, let session = self.session, self.isOfTheSameChain else { return }
        self.since = self.loop.now
        let stream = PushedStream(session, NewHeadsRequest(), BlockHeader.Decoder(sharing: session.shapes.share)) {
            [weak self] heads in
            self?.received(heads)
        }
        self.heads = stream
        self.subscribe(stream.kept, on: connection) { racer, outcome in
            if case .failure(let error) = outcome, error.code != .connectionClosed { racer.failed(Web3Error(error)) }
        }
        for (id, filter) in engine.pushedFilters { self.subscribe(id, filter) }
    }

    /// A filter is wanted. Where this node refuses it, it is left to the others.
    func subscribe(_ id: FilterID, _ filter: LogFilter) {
        guard let connection = self.connection, let session = self.session, self.since != nil, self.logs[id] == nil
        else { return }
        let stream = PushedStream(session, LogsRequest(filter), Log.Decoder(sharing: session.shapes.share)) {
            [weak self] logs in
            guard let self, self.isOfTheSameChain else { return }
            self.engine?.together { engine in
                for log in logs { engine.handle(.peerLog(self.id, id, log)) }
            }
        }
        self.logs[id] = stream
        self.subscribe(stream.kept, on: connection) { racer, outcome in
            switch outcome {
            case .success: racer.engine?.handle(.peerAcknowledged(racer.id, id))
            case .failure: racer.logs[id] = nil
            }
        }
    }

    /// A filter is not wanted any more.
    func unsubscribe(_ id: FilterID) {
        guard let stream = self.logs.removeValue(forKey: id) else { return }
        self.connection?.endSubscription(stream.local)
    }

    private func subscribe(
        _ kept: KeptSubscription?,
        on connection: Connection,
        _ body: @escaping (Racer, Waiter.Outcome) -> Void
    ) {
        guard let kept else { return }
        // On the loop, as every waiter of a connection is.
        nonisolated(unsafe) let body = body
        connection.assumeIsolated { isolated in
            isolated.subscribe(kept) { [weak self] outcome in
                guard let self, connection === self.connection else { return }
                body(self, outcome)
            }
        }
    }

    /// Whether nothing is known to the contrary: the session may learn its chain later than this connection stands.
    private var isOfTheSameChain: Bool {
        guard let found = self.chainID, let known = self.session?.assumeIsolated({ $0.chainID }), found != known else {
            return true
        }
        self.failed(Web3Error(.wrongChain, "\(self.endpoint) is of chain \(found), and the client of \(known)"))
        return false
    }

    private func received(_ heads: [BlockHeader]) {
        guard self.isOfTheSameChain else { return }
        if let head = heads.last(where: { $0.hasNumber }) { self.newest = max(self.newest ?? 0, head.number) }
        self.engine?.received(heads, from: self)
    }

    /// The session's endpoint has pushed this block.
    func restartIfSilent(below number: UInt64) {
        guard self.since != nil else { return }
        let newest = self.newest ?? number
        self.newest = newest
        guard number > newest &+ Self.mostSilence else { return }
        self.failed(Web3Error(.connectionClosed, "\(self.endpoint): heads stopped"))
    }
}

/// How a racer's connection reaches it.
///
/// `@unchecked Sendable`: as ``ConnectionOwner``; the reference is weak, and so atomic.
private final class RacerOwner: ConnectionOwner, @unchecked Sendable {
    private weak let racer: Racer?

    init(_ racer: Racer, _ session: Session) {
        self.racer = racer
        super.init()
        self.session = session
    }

    /// Their buffers are the racer's own affair.
    override func keepsStreams(of connection: Connection, after error: Web3Error) -> Bool { true }

    override func mustKnowChain(of connection: Connection) -> Bool { false }

    override func established(_ connection: Connection) { self.racer?.established(connection) }

    override func lost(_ connection: Connection, _ error: Web3Error) {
        self.session?.assumeIsolated { session in
            session.connections.withLock { connections in connections.racing.removeAll { $0 === connection } }
            session.pastMetrics.add(countersOf: connection.assumeIsolated { $0.currentMetrics() })
        }
        self.racer?.lost(connection, error)
    }

    override func drained(_ connection: Connection) {}

    override func ended(_ locals: [LocalSubscriptionID], on connection: Connection) {
        self.racer?.ended(on: connection)
    }
}
