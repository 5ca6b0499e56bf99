import HeadstreamLocks
import HeadstreamRPC
import HeadstreamSockets

// From a connection that stands to the next, make before break: that is opened and everything subscribed on it before the
// last one is closed. Streams are told nothing.
extension Session {
    /// The connections of a session: the one that requests go to, and the others while one takes the place of another.
    struct Connections: Sendable {
        /// Whatever its state.
        var newest: Connection
        /// To be the newest when it stands.
        var coming: Connection?
        /// The last one, until nothing waits on it any more.
        var leaving: Connection?
        /// To the same endpoint as the newest, for subscriptions that it has no room for, the oldest first; and those beside
        /// the last one, while everything is made anew.
        var further: [FurtherConnection] = []
        var furtherLeaving: [FurtherConnection] = []
        /// Other endpoints, on which nothing but one question is asked.
        var asking: [Connection] = []
        /// Other endpoints that push for gapless streams too.
        var racing: [Connection] = []

        /// All but the newest.
        var others: [Connection] { Array(self.subscribable.dropFirst()) + self.asking + self.racing }

        /// Those that subscriptions of the session's may be on, the newest first; on the one that is coming too, which may
        /// take over before something is done.
        var subscribable: [Connection] {
            [self.newest] + [self.leaving, self.coming].compactMap { $0 }
                + (self.further + self.furtherLeaving).map(\.connection)
        }
    }

    // MARK: When

    /// The connection stands: when its age is reached, another one takes its place.
    func scheduleRenewal() {
        guard let age = self.configuration.maxConnectionAge, self.keepsSubscriptions else { return }
        let random: UInt64 = self.loop.random()
        // Clients that connected together, after a provider's restart say, do not come back together.
        let nanoseconds = max(age, .seconds(1)).nanoseconds
        let earlier = random.multipliedFullWidth(by: nanoseconds / 10).high
        self.scheduleRenewal(in: .nanoseconds(Int64(clamping: nanoseconds - earlier)))
    }

    private func scheduleRenewal(in duration: Duration) {
        self.cancelRenewal()
        self.renewalDeadline = self.loop.schedule(at: self.loop.now.advanced(by: duration)) { [weak self] in
            self?.assumeIsolated { session in
                session.renewalDeadline = nil
                session.renew(to: session.connection.endpoint)
            }
        }
    }

    func cancelRenewal() {
        if let deadline = self.renewalDeadline { self.loop.cancel(deadline) }
        self.renewalDeadline = nil
    }

    // MARK: How

    /// Puts a connection to this endpoint in the place of the one that stands, if it comes about. If it does not, the one
    /// that stands stays, and another attempt is made later where connections are renewed by age.
    ///
    /// - Parameter isStep: whether the connection that stands is of no use: where it is being replaced already, another
    ///   replacement follows that one, unless a head comes before.
    func renew(to endpoint: Endpoint, isStep: Bool = false) {
        guard self.isConnected, self.keepsSubscriptions else { return }
        let (coming, leaving) = self.connections.withLock { ($0.coming, $0.leaving) }
        guard coming == nil, leaving == nil else {
            if isStep { self.pendingRenewal = endpoint } else { self.renewLater() }
            return
        }
        let next = self.newConnection(to: endpoint, owner: self.owner)
        self.connections.withLock { $0.coming = next }
        next.assumeIsolated { $0.begin() }
    }

    /// A tenth of the age from now, where connections are renewed by age.
    private func renewLater() {
        guard let age = self.configuration.maxConnectionAge, self.isConnected else { return }
        self.scheduleRenewal(in: .nanoseconds(Int64(clamping: max(age, .seconds(10)).nanoseconds / 10)))
    }

    /// The next connection stands. It takes over when it is known to be of the same chain.
    func renewalEstablished(_ connection: Connection) {
        guard let known = self.chainID else { return self.takeOver(connection) }
        self.askForChain(connection) { outcome in
            guard self.connections.withLock({ $0.coming === connection }) else { return }
            switch outcome {
            case .success(let found?) where found != known:
                let text = "\(connection.endpoint) is of chain \(found), and the client of \(known)"
                self.renewalFailed(connection, Web3Error(.wrongChain, text))
            // A node that does not answer is no better than the one that stands; one that refuses the question may be.
            case .failure(let error) where error.node == nil:
                self.renewalFailed(connection, Web3Error(error))
            default:
                self.takeOver(connection)
            }
        }
    }

    /// The next connection did not come about, or is of no use: the one that stands stays.
    func renewalFailed(_ connection: Connection, _ error: Web3Error) {
        self.connections.withLock { $0.coming = nil }
        connection.abandon()
        self.failover.failed(connection.endpoint, error, now: self.loop.now)
        if !error.isTemporary, connection.endpoint != self.connection.endpoint {
            self.tellLeftOut(connection.endpoint, error)
        }
        self.renewLater()
        self.renewPending()
    }

    /// Does what was wanted while another connection took over.
    private func renewPending() {
        guard let endpoint = self.pendingRenewal else { return }
        self.pendingRenewal = nil
        self.renew(to: endpoint, isStep: true)
    }

    private func takeOver(_ connection: Connection) {
        guard self.isConnected else {
            self.connections.withLock { $0.coming = nil }
            return connection.abandon()
        }
        self.connections.withLock { connections in
            connections.leaving = connections.newest
            connections.newest = connection
            connections.coming = nil
        }
        self.leaveFurther()
        self.failover.move(to: connection.endpoint)
        if self.pendingRenewal == connection.endpoint { self.pendingRenewal = nil }
        self.phase = .connected(since: self.loop.now)
        self.pastMetrics.renewals += 1
        self.scheduleRenewal()
        self.continuityEngine?.renewed()
        // Until each of them is acknowledged here, it is delivered by the last connection, and a little longer by both.
        self.subscribeAll(Array(self.subscriptions.keys), on: connection)
        self.resumeWaiters(true)
    }

    /// Everything is subscribed on the new connection: what waits on the last one is waited for, and then it is closed.
    func settleRenewal() {
        guard self.due.isEmpty, self.outstanding.isEmpty else { return }
        self.connections.withLock { $0.leaving }?.assumeIsolated { $0.drain() }
        self.drainFurther()
    }

    /// Nothing waits on this connection any more, and all that the node had sent on it before is delivered.
    func drained(_ connection: Connection) {
        if self.furtherDrained(connection) { return }
        guard self.connections.withLock({ $0.leaving === connection }) else { return }
        // What was subscribed on it last has to be made on the next one first; `settleRenewal` comes back here.
        guard self.due.isEmpty, self.outstanding.isEmpty else { return }
        self.left(connection)
        connection.assumeIsolated { $0.retire() }
    }

    /// The last connection is over: its counters stay.
    func left(_ connection: Connection) {
        self.connections.withLock { $0.leaving = nil }
        self.pastMetrics.add(countersOf: connection.assumeIsolated { $0.currentMetrics() })
        self.renewPending()
    }

    /// The newest connection is lost while the last one still answers and pushes: that is the newest again. Only streams
    /// that were subscribed to on the lost one alone are told.
    func goBack(to leaving: Connection, from lost: Connection, _ error: Web3Error) {
        self.losses.withLock { $0.last = error }
        self.pastMetrics.add(countersOf: lost.assumeIsolated { $0.currentMetrics() })
        self.connections.withLock { connections in
            connections.newest = leaving
            connections.leaving = nil
        }
        leaving.assumeIsolated { $0.stay() }
        self.goBackToFurther()
        self.failover.move(to: leaving.endpoint)
        self.failover.failed(lost.endpoint, error, now: self.loop.now)
        if !error.isTemporary, lost.endpoint != leaving.endpoint { self.tellLeftOut(lost.endpoint, error) }
        self.phase = .connected(since: self.loop.now)
        self.cancelRenewal()
        let all = Set(self.subscriptions.keys)
        let known = all.filter { self.carrier(of: $0) != nil }
        let cut = all.subtracting(known)
        self.tellStreams(.disconnected(error), only: cut)
        self.tellStreams(.reconnected, only: cut)
        self.continuityEngine?.wentBack(known)
        self.subscribeAll(Array(cut), on: leaving)
        self.resumeWaiters(true)
        self.renewLater()
        self.renewPending()
    }

    /// Ends what is under way: the newest connection is lost, or the session is over.
    func endRenewal() {
        self.cancelRenewal()
        self.pendingRenewal = nil
        let (coming, leaving) = self.connections.withLock { connections in
            defer { connections.coming = nil }
            return (connections.coming, connections.leaving)
        }
        coming?.abandon()
        guard let leaving else { return }
        self.left(leaving)
        leaving.assumeIsolated { $0.retire() }
    }

    /// Subscriptions are made anew on each connection, which can be replaced therefore.
    var keepsSubscriptions: Bool {
        self.configuration.reconnect.isEnabled && !self.configuration.endOfConnectionEndsStreams
    }
}
