import HeadstreamLocks
import HeadstreamRPC
import HeadstreamSockets
import Synchronization

/// What a client and its streams share, and what outlives one ``Connection``: identities, settings, subscriptions, and the
/// way to the node.
///
/// Its executor is the loop of its connections, so it and they cannot interleave. A subscription belongs to it and keeps
/// its local identity and its buffer; the server's id belongs to one connection. When a connection is lost, the next one
/// is made and everything is subscribed again (`Session+reconnecting.swift`). The last handle, stream or subscription that
/// lets go of it closes the connection.
actor Session {
    /// All that it may connect to, the best first.
    nonisolated let endpoints: [Endpoint]
    nonisolated let configuration: Configuration
    nonisolated let loop: any Loop
    nonisolated let ids: RequestIDs
    /// What the streams' buffers may take together.
    nonisolated let bufferBudget: BufferBudget
    /// The newest connection, read by any thread for each request, and others that come and go.
    nonisolated let connections: Locked<Connections>
    /// How connections reach this, without keeping it.
    nonisolated let owner: ConnectionOwner
    /// What no error or diagnostic is to show, of any endpoint.
    nonisolated let secrets: Secrets
    /// Why the last connection was lost, for those whom it took requests from when the next one already stands; and why the
    /// session ended.
    nonisolated let losses = Locked(Losses())
    private nonisolated let nextLocalID = Atomic<UInt64>(1)
    nonisolated let states = StateBroadcaster()
    nonisolated let shapes = SharedShapes()

    /// What callers are told about connections that are over.
    struct Losses: Sendable {
        var last: Web3Error?
        var final: Web3Error?
    }

    /// Where it stands.
    enum Phase {
        /// Until the first connection is there.
        case idle
        case connected(since: LoopInstant)
        /// Until the next attempt.
        case waiting(DeadlineID)
        /// An attempt is under way.
        case connecting
        /// Closed by the user, or for good.
        case ended
    }

    var phase = Phase.idle
    /// Subscriptions that have been acknowledged once, to be made anew on each connection.
    var subscriptions: [LocalSubscriptionID: KeptSubscription] = [:]
    /// Those of them that are still to be made on the newest connection, in order.
    var due: ArraySlice<LocalSubscriptionID> = []
    var backoff: Backoff
    /// Which endpoint is next.
    var failover: Failover
    /// How many subscriptions each of them takes on a connection, and how long to wait after the loss of a further one.
    var caps = SubscriptionCaps()
    var furtherBackoff: Backoff
    /// Those who wait for the next connection.
    var waiters: [UInt64: ReconnectWaiter] = [:]
    var nextWaiter: UInt64 = 0
    /// How many of those subscriptions have no answer yet.
    var outstanding: Set<LocalSubscriptionID> = []
    /// When the connection is to be replaced for its age.
    var renewalDeadline: DeadlineID?
    /// Where to go when the connection that is being replaced has gone: a step of the watchdog's.
    var pendingRenewal: Endpoint?
    /// The chain that the first connection told; unknown with nodes that do not tell.
    var chainID: UInt64?
    var hasAskedForChain = false
    /// What gapless streams stand on, once there are any.
    var continuityEngine: ContinuityEngine?
    /// Counters of connections that are over.
    var pastMetrics = Metrics()

    nonisolated var unownedExecutor: UnownedSerialExecutor { self.loop.asUnownedSerialExecutor() }

    /// - Parameter endpoints: at least one.
    init(to endpoints: [Endpoint], configuration: Configuration) {
        let loop = configuration.loop ?? EventLoop.shared
        let ids = RequestIDs()
        let budget = BufferBudget(limit: configuration.maxBufferedBytes)
        let owner = ConnectionOwner()
        let secrets = Secrets(of: endpoints, configuration)
        let failover = Failover(endpoints, goesOnAtOnce: configuration.endpointPolicy == .firstArrival)
        self.endpoints = endpoints
        self.configuration = configuration
        self.secrets = secrets
        self.failover = failover
        self.loop = loop
        self.ids = ids
        self.bufferBudget = budget
        self.owner = owner
        self.backoff = configuration.reconnect.backoff
        self.furtherBackoff = configuration.reconnect.backoff
        let first = Connection(
            to: failover.endpoint,
            configuration: configuration,
            secrets: secrets,
            loop: loop,
            ids: ids,
            bufferBudget: budget,
            owner: owner
        )
        self.connections = Locked(Connections(newest: first))
        owner.session = self
    }

    deinit {
        let connections = self.connections.withLock { $0 }
        for connection in [connections.newest] + connections.others { connection.abandon() }
        self.states.finish()
    }

    /// The connection that requests go to.
    nonisolated var connection: Connection { self.connections.withLock { $0.newest } }

    nonisolated func newLocalID() -> LocalSubscriptionID {
        LocalSubscriptionID(rawValue: self.nextLocalID.wrappingAdd(1, ordering: .relaxed).oldValue)
    }

    /// What the caller of a request is told. A lost connection is told by its reason.
    nonisolated func error(_ error: RPCError) -> Web3Error {
        guard error.code == .connectionClosed,
            let ending = self.losses.withLock({ $0.final }) ?? self.connection.ending.withLock({ $0 })
                ?? self.losses.withLock({ $0.last })
        else { return Web3Error(error).redacted(by: self.secrets) }
        var told = ending
        told.wasSent = error.wasSent
        return told
    }

    /// In a replay, a stream that ends with the recording ends with nil.
    nonisolated func endsQuietly(_ error: RPCError) -> Bool {
        self.configuration.endOfConnectionEndsStreams && error.code == .subscriptionEnded
    }

    /// Does `body` on the loop: at once where the caller is on it, else soon.
    nonisolated func onLoop(_ body: @escaping @Sendable (isolated Session) -> Void) {
        if self.loop.isCurrent {
            self.assumeIsolated { body($0) }
        } else {
            self.loop.execute { self.assumeIsolated { body($0) } }
        }
    }

    /// Runs `body` on the loop soon, from any thread; does nothing when the session is gone by then.
    nonisolated func enqueue(_ body: @escaping @Sendable (isolated Session) -> Void) {
        self.loop.execute { [weak self] in self?.assumeIsolated { body($0) } }
    }

    // MARK: Beginning and end

    /// Makes the first connection, to the first endpoint that takes it. None is tried twice here: what is wrong is thrown.
    func open() async throws(Web3Error) {
        self.states.tell(.connecting)
        while true {
            do throws(Web3Error) {
                return try await self.connection.open()
            } catch {
                let step = self.failover.lost(error, wasHealthy: false, now: self.loop.now)
                if error.code != .cancelled, case .atOnce = step {
                    if !error.isTemporary { self.tellLeftOut(self.connection.endpoint, error) }
                    _ = self.replaceConnection()
                    continue
                }
                let failure = error.code == .cancelled ? error : self.failover.failure
                self.end(failure)
                throw failure
            }
        }
    }

    /// Closes; returns when nothing of the connection is left.
    func close() async {
        let others = self.connections.withLock { $0.others }
        self.end(nil)
        await self.connection.close()
        for other in others { await other.close() }
    }

    /// The session is over, for good.
    ///
    /// - Parameter error: what its streams throw; nil where they end with nil.
    func end(_ error: Web3Error?) {
        if case .ended = self.phase { return }
        if case .waiting(let deadline) = self.phase { self.loop.cancel(deadline) }
        self.phase = .ended
        self.endRenewal()
        self.endFurther()
        if let error { self.losses.withLock { $0.final = error } }
        let end = error.map { SubscriptionBuffer.End.failed(RPCError(.connectionClosed, $0.message)) } ?? .finished
        for kept in self.subscriptions.values { kept.buffer.finish(end)?.resume() }
        self.subscriptions = [:]
        self.continuityEngine?.end(error)
        self.resumeWaiters(false)
        self.states.tell(.closed(error))
        self.states.finish()
    }

    /// Puts a new connection in the place of the last.
    func replaceConnection() -> Connection {
        let last = self.connection
        self.pastMetrics.add(countersOf: last.assumeIsolated { $0.currentMetrics() })
        let next = self.newConnection(to: self.failover.endpoint, owner: self.owner)
        self.connections.withLock { $0.newest = next }
        return next
    }

    /// - Parameters:
    ///   - owner: another one than the session's for a connection that carries nothing of the session.
    ///   - isFurther: whether it carries nothing but subscriptions that the main one has no room for.
    func newConnection(to endpoint: Endpoint, owner: ConnectionOwner, isFurther: Bool = false) -> Connection {
        Connection(
            to: endpoint,
            configuration: self.configuration,
            secrets: self.secrets,
            loop: self.loop,
            ids: self.ids,
            bufferBudget: self.bufferBudget,
            owner: owner,
            isFurther: isFurther
        )
    }

    /// The counters of all connections, and the gauges of the newest and of those beside it.
    func currentMetrics() -> Metrics {
        var metrics = self.connection.assumeIsolated { $0.currentMetrics() }
        metrics.add(countersOf: self.pastMetrics)
        let connections = self.connections.withLock { $0 }
        for further in connections.further {
            metrics.add(further: further.connection.assumeIsolated { $0.currentMetrics() })
        }
        metrics.connections = 1 + connections.further.count
        let leaving = [connections.leaving].compactMap { $0 } + connections.furtherLeaving.map(\.connection)
        for other in leaving + connections.racing {
            metrics.add(countersOf: other.assumeIsolated { $0.currentMetrics() })
        }
        metrics.reconnects = self.pastMetrics.reconnects
        metrics.renewals = self.pastMetrics.renewals
        metrics.divergences = self.pastMetrics.divergences
        metrics.bufferMemory += self.continuityEngine?.machine.heldBytes ?? 0
        return metrics
    }

    // MARK: Requests

    /// Makes a request on the connection, and again on the next where it was lost: always where the request had not gone
    /// out, and else where that does no harm. All within the request's time.
    @inline(__always)
    nonisolated func call(
        isRepeatable: @autoclosure () -> Bool,
        _ body: (Connection, RequestTime) async -> Waiter.Outcome
    ) async -> Waiter.Outcome {
        var time = RequestTime(from: self.loop.now, for: self.configuration.requestTimeout)
        var connection = self.connection
        while true {
            let outcome = await body(connection, time)
            guard case .failure(let error) = outcome, error.code == .connectionClosed, !error.wasSent || isRepeatable(),
                await self.nextConnection(after: connection, until: time.deadline)
            else { return outcome }
            connection = self.connection
            time = RequestTime(from: self.loop.now, until: time.deadline)
        }
    }

    // MARK: Subscriptions

    /// A consumer is gone; from any thread, without waiting.
    nonisolated func endSubscription(_ local: LocalSubscriptionID) {
        self.enqueue { $0.subscriptions[local] = nil }
        // Not by way of the session, which may go with its last consumer; the connection then tells the node and closes.
        self.endOnConnections(local)
    }

    /// Ends a subscription wherever it is made; from any thread.
    nonisolated func endOnConnections(_ local: LocalSubscriptionID) {
        for connection in self.connections.withLock({ $0.subscribable }) { connection.endSubscription(local) }
    }

    /// A consumer for which reading was suspended has caught up; from any thread.
    nonisolated func consumerDrained() {
        for connection in self.connections.withLock({ $0.subscribable }) { connection.consumerDrained() }
    }

    /// Ends a subscription and returns when the node has answered, or will not.
    func unsubscribe(_ local: LocalSubscriptionID) async {
        // Its connection may not know it at the moment; the first end counts, and what is buffered comes before it.
        self.subscriptions.removeValue(forKey: local)?.buffer.finish(.finished)?.resume()
        let carrier = self.carrier(of: local) ?? self.connection
        for connection in self.connections.withLock({ $0.subscribable }) where connection !== carrier {
            connection.endSubscription(local)
        }
        await carrier.unsubscribe(local)
    }

    /// A subscription was acknowledged: it is kept from now on.
    func acknowledged(_ kept: KeptSubscription, on connection: Connection) {
        guard self.keepsSubscriptions else { return }
        var kept = kept
        kept.further = self.noteAcknowledged(on: connection)
        self.subscriptions[kept.local] = kept
        // Asked for on a connection whose place another one has taken meanwhile.
        if !self.isCurrent(connection) { self.subscribeAgain(kept.local, on: self.connection) }
        if kept.methods == .ethereum { self.learnChain() }
    }

    var isConnected: Bool {
        if case .connected = self.phase { true } else { false }
    }
}

/// A subscription as it is made anew on each connection.
struct KeptSubscription: Sendable {
    let local: LocalSubscriptionID
    let methods: SubscriptionMethods
    let buffer: SubscriptionBuffer
    let request: EncodedRequest
    /// What equal ones are known by, with which it shares one of the node's; nil where it shares with none.
    let key: SubscriptionKey?
    /// How often the node has refused it in a row.
    var refusals: UInt64 = 0
    /// The connection that carries it where that is not the main one, from its acknowledgement on.
    var further: Connection?
    /// Of one that is the session's own, which no user asked for.
    var own: Own?
    // Together, so that they take one word.
    /// Its stream was told that nothing comes, because it was refused when its connection was replaced.
    var isCut = false
    /// Whether it is made on the main connection or not at all, and before all others.
    var staysOnMain = false
    /// Whether it has been acknowledged since the session keeps it.
    var wasAcknowledged = false

    /// What is called on the loop for one of the session's own. Apart, since users' subscriptions are many and have none.
    final class Own: Sendable {
        /// For each acknowledgement.
        let acknowledged: @Sendable () -> Void
        /// Where the first one does not come.
        let refusedFirst: @Sendable (Web3Error) -> Void
        /// Where nothing comes on it any more while the session's connection stands.
        let cut: (@Sendable () -> Void)?

        init(
            acknowledged: @escaping @Sendable () -> Void,
            refusedFirst: @escaping @Sendable (Web3Error) -> Void,
            cut: (@Sendable () -> Void)?
        ) {
            self.acknowledged = acknowledged
            self.refusedFirst = refusedFirst
            self.cut = cut
        }
    }

    init(
        local: LocalSubscriptionID,
        methods: SubscriptionMethods,
        buffer: SubscriptionBuffer,
        request: EncodedRequest,
        isShared: Bool
    ) {
        self.local = local
        self.methods = methods
        self.buffer = buffer
        self.request = request
        self.key = isShared ? request.key(methods) : nil
    }

    var isOwn: Bool { self.own != nil }

    /// The order in which subscriptions are made anew: what gapless streams stand on goes to the main connection.
    static func isBefore(_ one: Self, _ other: Self) -> Bool {
        if one.staysOnMain != other.staysOnMain { return one.staysOnMain }
        return one.isOwn == other.isOwn ? one.local.rawValue < other.local.rawValue : one.isOwn
    }
}
