import HeadstreamLocks
import HeadstreamRPC
import HeadstreamSockets

// Subscriptions beyond an endpoint's cap for a connection. They are made on further connections to the same endpoint, which
// carry nothing else and belong to the main one: they are made anew with it, and its loss is theirs.
extension Session {
    /// A connection beside the main one.
    struct FurtherConnection: Sendable {
        let connection: Connection
        /// When it stood; nil until then.
        var since: LoopInstant?
    }

    // MARK: Where

    /// Makes a subscription on whichever connection takes it; returns when the node has acknowledged it. From then on its
    /// items are in its buffer, and the session keeps it. Where the connection is lost meanwhile, on the next one.
    nonisolated func subscribe(_ kept: KeptSubscription) async -> Waiter.Outcome {
        let cancelled = Waiter.Outcome.failure(RPCError(.cancelled, "cancelled"))
        return await self.call(isRepeatable: true) { _, time in
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    // Cancelled already: it is not sent. Cancelled from here on: the handler's job comes behind this one.
                    if Task.isCancelled { return continuation.resume(returning: cancelled) }
                    self.onLoop { session in
                        let target = session.place(kept) ?? session.connection
                        session.subscribe(kept, on: target, time) { continuation.resume(returning: $0) }
                    }
                    // The handler may have run meanwhile, and its job have come before this one.
                    if Task.isCancelled { self.cancelSubscribing(kept.local) }
                }
            } onCancel: {
                self.cancelSubscribing(kept.local)
            }
        }
    }

    /// Whoever waits for the acknowledgement does no more; from any thread.
    private nonisolated func cancelSubscribing(_ local: LocalSubscriptionID) {
        // On the loop: until then the subscription may go to another connection.
        self.loop.execute {
            for connection in self.connections.withLock({ $0.subscribable }) {
                connection.assumeIsolated { $0.end(local) }
            }
        }
    }

    /// A caller's subscription, on the loop. Where this connection has no room for it, on another one.
    private func subscribe(
        _ kept: KeptSubscription,
        on target: Connection,
        _ time: RequestTime,
        _ body: @escaping @Sendable (Waiter.Outcome) -> Void
    ) {
        target.assumeIsolated { connection in
            connection.subscribe(kept, time: time) { [weak self] outcome in
                guard let self else { return body(outcome) }
                self.assumeIsolated { session in
                    switch outcome {
                    case .success:
                        session.acknowledged(kept, on: target)
                        body(outcome)
                    case .failure(let error):
                        if let next = session.place(kept, refusedBy: target, error) {
                            session.subscribe(kept, on: next, time, body)
                        } else {
                            body(.failure(session.refusal(of: target, error)))
                        }
                    }
                }
            }
        }
    }

    /// A further connection that was lost, or did not come about, leaves its subscriptions with the refusal that it was made
    /// for.
    private func refusal(of target: Connection, _ error: RPCError) -> RPCError {
        guard error.code == .connectionClosed, self.isFurther(target) else { return error }
        return self.caps.refusal(of: target.endpoint) ?? error
    }

    /// The connection that a subscription is to be made on: that of an equal one, else the first that has room, else a new
    /// one; nil where there may be no more of them.
    func place(_ kept: KeptSubscription) -> Connection? {
        let main = self.connection
        guard self.isConnected, self.keepsSubscriptions, !kept.staysOnMain, let cap = self.caps[main.endpoint] else {
            return main
        }
        let all = [main] + self.connections.withLock { $0.further.map(\.connection) }
        if let key = kept.key {
            let sharing = all.first { $0.assumeIsolated { $0.inbound.processor.shares(key) } }
            if let sharing { return sharing }
        }
        let withRoom = all.first { $0.assumeIsolated { $0.inbound.processor.serverSubscriptionCount < cap } }
        if let withRoom { return withRoom }
        return all.count < self.configuration.maxConnections ? self.openFurther(to: main.endpoint) : nil
    }

    /// Where to make a subscription that a connection has refused; nil where another one would not take it either.
    func place(_ kept: KeptSubscription, refusedBy connection: Connection, _ error: RPCError) -> Connection? {
        guard self.keepsSubscriptions, !kept.staysOnMain, self.learnCap(of: connection, from: error) else { return nil }
        let next = self.place(kept)
        return next === connection ? nil : next
    }

    /// Learns how many subscriptions the endpoint takes on a connection. - Returns: whether it was that which it refused.
    func learnCap(of connection: Connection, from error: RPCError) -> Bool {
        guard let node = error.node, node.isSubscriptionCap, self.isCurrent(connection) else { return false }
        let count = connection.assumeIsolated { $0.inbound.processor.acknowledgedCount }
        // One that is refused where there is none is not refused for its connection.
        guard count > 0 else { return false }
        if self.caps[connection.endpoint] != count {
            let metadata = ["endpoint": "\(connection.endpoint)", "subscriptions": "\(count)"]
            self.tell(.debug, "subscriptions are limited", metadata)
        }
        self.caps.refused(by: connection.endpoint, having: count, error)
        return true
    }

    /// A subscription was acknowledged on this connection.
    ///
    /// - Returns: the connection, where it is a further one.
    func noteAcknowledged(on connection: Connection) -> Connection? {
        let count = connection.assumeIsolated { $0.inbound.processor.acknowledgedCount }
        self.caps.acknowledged(by: connection.endpoint, having: count)
        return self.isFurther(connection) ? connection : nil
    }

    /// Whether it is the main connection, or a further one beside it.
    func isCurrent(_ connection: Connection) -> Bool {
        connection === self.connection || self.isFurther(connection)
    }

    func isFurther(_ connection: Connection) -> Bool {
        self.connections.withLock { $0.further.contains { $0.connection === connection } }
    }

    /// The connection that carries a subscription; nil where it is made on none at the moment.
    func carrier(of local: LocalSubscriptionID) -> Connection? {
        let all = self.connections.withLock { [$0.newest] + $0.further.map(\.connection) }
        return all.first { $0.assumeIsolated { $0.carries(local) } }
    }

    // MARK: Beginning and end

    private func openFurther(to endpoint: Endpoint) -> Connection {
        let connection = self.newConnection(to: endpoint, owner: self.owner, isFurther: true)
        self.connections.withLock { $0.further.append(FurtherConnection(connection: connection)) }
        // Not from here: where it cannot even begin it ends at once, before anything waits on it.
        self.loop.execute {
            connection.assumeIsolated { connection in
                if case .idle = connection.phase { connection.begin() }
            }
        }
        return connection
    }

    /// A further connection stands. What waits on it goes out when it is known to be of the same chain, where the chain is
    /// known.
    func furtherEstablished(_ connection: Connection) {
        self.connections.withLock { connections in
            guard let index = connections.further.firstIndex(where: { $0.connection === connection }) else { return }
            connections.further[index].since = self.loop.now
        }
        self.checkChain(ofFurther: connection)
    }

    /// The chain is known from here on: those that stood before are asked for theirs.
    func checkFurther() {
        for further in self.connections.withLock({ $0.further }) where further.since != nil {
            self.checkChain(ofFurther: further.connection)
        }
    }

    private func checkChain(ofFurther connection: Connection) {
        guard let known = self.chainID else { return }
        self.askForChain(connection) { outcome in
            guard self.isFurther(connection) else { return }
            if case .failure(let error) = outcome, error.code == .connectionClosed { return }
            if case .success(let found?) = outcome, found != known {
                let text = "\(connection.endpoint) is of chain \(found), and the client of \(known)"
                return connection.assumeIsolated { $0.end(Web3Error(.wrongChain, text)) }
            }
            connection.assumeIsolated { $0.release() }
        }
    }

    /// A further connection is lost, or did not come about: its streams are told, and what was made on it is made again
    /// after a delay, on whichever connection has room then.
    func furtherLost(_ connection: Connection, _ error: Web3Error) {
        guard let gone = self.removeFurther(connection) else { return }
        let metadata = ["endpoint": "\(connection.endpoint)", "reason": error.message]
        self.tell(.warning, "further connection lost", metadata)
        let lifetime = gone.since.map { max(1, self.loop.now.nanoseconds &- $0.nanoseconds) } ?? 0
        let random: UInt64 = self.loop.random()
        let delay = self.furtherBackoff.delay(
            afterLifetime: lifetime,
            random: random,
            atLeast: error.leastDelay.nanoseconds
        )
        let main = self.connection
        for var kept in self.subscriptions.values.sorted(by: KeptSubscription.isBefore)
        where kept.further === connection {
            kept.further = nil
            self.subscriptions[kept.local] = kept
            self.cut(kept.local, error)
            self.subscribe(kept.local, on: main, after: .nanoseconds(Int64(clamping: delay)))
        }
    }

    /// A further connection carries nothing any more.
    func emptied(_ connection: Connection) {
        guard self.removeFurther(connection) != nil else { return }
        connection.assumeIsolated { $0.retire() }
    }

    private func removeFurther(_ connection: Connection) -> FurtherConnection? {
        let gone = self.connections.withLock { connections -> FurtherConnection? in
            let index = connections.further.firstIndex { $0.connection === connection }
            return index.map { connections.further.remove(at: $0) }
        }
        if gone != nil { self.pastMetrics.add(countersOf: connection.assumeIsolated { $0.currentMetrics() }) }
        return gone
    }

    /// The main connection is over: those beside it, and beside the one before it, go with it.
    func endFurther() {
        let gone = self.connections.withLock { connections in
            defer {
                connections.further = []
                connections.furtherLeaving = []
            }
            return connections.further + connections.furtherLeaving
        }
        self.forgetCarriers()
        for further in gone { self.retire(further.connection) }
    }

    private func retire(_ connection: Connection) {
        self.pastMetrics.add(countersOf: connection.assumeIsolated { $0.currentMetrics() })
        connection.assumeIsolated { $0.retire() }
    }

    private func forgetCarriers() {
        for local in self.subscriptions.keys { self.subscriptions[local]?.further = nil }
    }

    // MARK: Make before break

    /// Another connection takes the place of the main one: those beside it deliver until everything is made anew.
    func leaveFurther() {
        self.connections.withLock { connections in
            connections.furtherLeaving += connections.further
            connections.further = []
        }
    }

    /// Everything is subscribed beside the new connection: those beside the last one are closed when nothing is on its way
    /// on them.
    func drainFurther() {
        for further in self.connections.withLock({ $0.furtherLeaving }) {
            if further.connection.assumeIsolated({ $0.isOpen }) {
                further.connection.assumeIsolated { $0.drain() }
            } else {
                self.furtherDrained(further.connection)
            }
        }
    }

    /// Nothing comes any more on a connection beside the last one. - Returns: whether it is one.
    @discardableResult
    func furtherDrained(_ connection: Connection) -> Bool {
        let isLeaving = self.connections.withLock { $0.furtherLeaving.contains { $0.connection === connection } }
        guard isLeaving else { return false }
        // As for the main one: what is not made anew yet is delivered there.
        guard self.due.isEmpty, self.outstanding.isEmpty else { return true }
        self.connections.withLock { $0.furtherLeaving.removeAll { $0.connection === connection } }
        self.retire(connection)
        return true
    }

    /// A connection beside the last one is lost before everything was made anew. - Returns: whether it was one.
    func furtherLeavingLost(_ connection: Connection, _ error: Web3Error) -> Bool {
        let isLeaving = self.connections.withLock { connections in
            defer { connections.furtherLeaving.removeAll { $0.connection === connection } }
            return connections.furtherLeaving.contains { $0.connection === connection }
        }
        guard isLeaving else { return false }
        self.pastMetrics.add(countersOf: connection.assumeIsolated { $0.currentMetrics() })
        // What is not acknowledged anew yet was delivered by this one alone.
        let waiting = self.outstanding.union(self.due)
        self.tellBreak(error, of: waiting.filter { self.subscriptions[$0]?.further === connection })
        return true
    }

    /// The newest connection is lost, and the one before is the main one again, with those beside it.
    func goBackToFurther() {
        let gone = self.connections.withLock { connections in
            defer {
                connections.further = connections.furtherLeaving
                connections.furtherLeaving = []
            }
            return connections.further
        }
        self.forgetCarriers()
        for further in gone { self.retire(further.connection) }
        for further in self.connections.withLock({ $0.further }) {
            further.connection.assumeIsolated { $0.stay() }
            for local in self.subscriptions.keys where further.connection.assumeIsolated({ $0.carries(local) }) {
                self.subscriptions[local]?.further = further.connection
            }
        }
    }
}
