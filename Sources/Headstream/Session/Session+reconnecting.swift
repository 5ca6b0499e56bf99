import HeadstreamLocks
import HeadstreamRPC
import HeadstreamSockets

// From a lost connection to the next: one attempt at a time, and everything subscribed again.
extension Session {
    /// Whether the loss of a connection with this error is followed by an attempt to make another.
    func willReconnect(after error: Web3Error) -> Bool {
        guard self.keepsSubscriptions else { return false }
        if let leaving = self.connections.withLock({ $0.leaving }), leaving.assumeIsolated({ $0.isOpen }) {
            return true
        }
        switch self.phase {
        case .connected, .connecting: return self.failover.goesOn(after: error)
        case .idle, .waiting, .ended: return false
        }
    }

    /// A connection is lost, or did not come about; told once for each.
    func lost(_ connection: Connection, _ error: Web3Error) {
        let (coming, leaving) = self.connections.withLock { ($0.coming, $0.leaving) }
        if connection === coming { return self.renewalFailed(connection, error) }
        if self.isFurther(connection) { return self.furtherLost(connection, error) }
        if self.furtherLeavingLost(connection, error) { return }
        if connection === leaving {
            self.losses.withLock { $0.last = error }
            // What is not acknowledged on the newest one yet was delivered by this one alone.
            let cut = self.outstanding.union(self.due).filter { self.subscriptions[$0]?.further == nil }
            self.tellBreak(error, of: cut)
            return self.left(connection)
        }
        guard connection === self.connection else { return }
        if let leaving, leaving.assumeIsolated({ $0.isOpen }) {
            return self.goBack(to: leaving, from: connection, error)
        }
        self.endRenewal()
        self.endFurther()
        var lifetime: UInt64 = 0
        switch self.phase {
        case .idle, .waiting, .ended:
            return
        case .connecting:
            break
        case .connected(let since):
            lifetime = max(1, self.loop.now.nanoseconds &- since.nanoseconds)
        }
        self.losses.withLock { $0.last = error }
        let wasHealthy = lifetime > 0 && lifetime >= self.configuration.reconnect.healthyAfter.nanoseconds
        guard self.willReconnect(after: error) else {
            _ = self.failover.lost(error, wasHealthy: wasHealthy, now: self.loop.now)
            return self.end(self.configuration.reconnect.isEnabled ? self.failover.failure : error)
        }
        if lifetime > 0 {
            self.tellStreams(.disconnected(error))
            self.continuityEngine?.connectionLost(error)
        }
        let failed = self.failover.endpoint
        let wait: Duration
        switch self.failover.lost(error, wasHealthy: wasHealthy, now: self.loop.now) {
        case .end(let error): return self.end(error)
        case .later(let least): wait = self.delay(afterLifetime: lifetime, atLeast: least)
        case .atOnce:
            wait = .zero
            if wasHealthy { self.backoff = self.configuration.reconnect.backoff }
        }
        if !error.isTemporary { self.tellLeftOut(failed, error) }
        self.phase = .waiting(
            self.loop.schedule(at: self.loop.now.advanced(by: wait)) { [weak self] in
                self?.assumeIsolated { $0.connectAgain() }
            } ifShutDown: { [weak self] in
                self?.assumeIsolated { $0.end(Web3Error(.connectionClosed, "the event loop is shut down")) }
            }
        )
        self.states.tell(.waiting(wait, error))
    }

    private func delay(afterLifetime lifetime: UInt64, atLeast least: Duration) -> Duration {
        let random: UInt64 = self.loop.random()
        let delay = self.backoff.delay(afterLifetime: lifetime, random: random, atLeast: least.nanoseconds)
        return .nanoseconds(Int64(clamping: delay))
    }

    /// Tells whom it may concern that an endpoint will not be connected to again.
    func tellLeftOut(_ endpoint: Endpoint, _ error: Web3Error) {
        self.tell(.warning, "endpoint left out", ["endpoint": "\(endpoint)", "reason": error.message])
    }

    func tell(_ level: Diagnostic.Level, _ message: String, _ metadata: [String: String]) {
        self.configuration.diagnostics?(Diagnostic(level: level, message: message, metadata: metadata))
    }

    private func connectAgain() {
        guard case .waiting = self.phase else { return }
        self.phase = .connecting
        self.states.tell(.connecting)
        self.replaceConnection().assumeIsolated { $0.begin() }
    }

    /// A connection stands. It counts as the session's own when it is known to be of the same chain.
    func established(_ connection: Connection) {
        if self.connections.withLock({ $0.coming === connection }) { return self.renewalEstablished(connection) }
        if self.isFurther(connection) { return self.furtherEstablished(connection) }
        guard connection === self.connection else { return }
        switch self.phase {
        case .idle:
            self.phase = .connected(since: self.loop.now)
            self.states.tell(.connected)
            // Before there is a subscription: the next connection may be to another endpoint.
            if self.endpoints.count > 1 { self.learnChain() }
            self.scheduleRenewal()
        case .connecting:
            // What users subscribe to from here on is made on this connection by itself.
            let earlier = Set(self.subscriptions.keys)
            self.checkChain(of: connection) { self.goOn(with: connection, earlier) }
        case .connected, .waiting, .ended:
            return
        }
    }

    /// Whether requests wait for the answer of ``checkChain(of:_:)``.
    func mustKnowChain(of connection: Connection) -> Bool {
        if self.isFurther(connection) { return self.chainID != nil }
        guard connection === self.connection, case .connecting = self.phase else { return false }
        return self.chainID != nil
    }

    private func goOn(with connection: Connection, _ earlier: Set<LocalSubscriptionID>) {
        connection.assumeIsolated { $0.release() }
        self.phase = .connected(since: self.loop.now)
        self.states.tell(.connected)
        self.pastMetrics.reconnects += 1
        // In front of all that comes from the new connection.
        self.tellStreams(.reconnected)
        self.continuityEngine?.connected()
        self.scheduleRenewal()
        let due = self.subscriptions.values.filter { earlier.contains($0.local) || $0.isOwn }
        self.subscribeAll(due.map(\.local), on: connection)
        self.resumeWaiters(true)
        if self.endpoints.count > 1 { self.learnChain() }
    }

    func subscribeAll(_ locals: [LocalSubscriptionID], on connection: Connection) {
        self.outstanding = []
        self.due = locals.compactMap { self.subscriptions[$0] }.sorted(by: KeptSubscription.isBefore).map(\.local)[...]
        // A window of them, and the next at each answer: the queue of requests is for those of users too.
        for _ in 0..<max(1, self.configuration.maxInFlight / 2) { self.subscribeNext(on: connection) }
        self.settleRenewal()
    }

    private func subscribeNext(on connection: Connection) {
        guard connection === self.connection else { return }
        while let local = self.due.popFirst() {
            if self.subscriptions[local] != nil { return self.subscribeAgain(local, on: connection) }
        }
    }

    // MARK: The same chain

    /// Asks which chain the node is of, once; so that another one is noticed after a reconnect.
    func learnChain() {
        guard self.chainID == nil, !self.hasAskedForChain else { return }
        guard self.isConnected else { return }
        self.hasAskedForChain = true
        self.askForChain(self.connection) { outcome in
            switch outcome {
            case .success(let chain):
                self.chainID = chain
                self.checkFurther()
            // A node that does not know the question is not asked again.
            case .failure(let error): self.hasAskedForChain = error.node != nil
            }
        }
    }

    /// Goes on with `body` unless the node is of another chain than the one before, which ends the session.
    private func checkChain(of connection: Connection, _ body: @escaping () -> Void) {
        guard let known = self.chainID else { return body() }
        self.askForChain(connection) { outcome in
            guard connection === self.connection, case .connecting = self.phase else { return }
            if case .failure(let error) = outcome, error.code == .connectionClosed { return }
            guard case .success(let found?) = outcome, found != known else { return body() }
            let text =
                self.endpoints.count == 1
                ? "is of chain \(found) now, and was of \(known)" : "is of chain \(found), and the client of \(known)"
            let error = Web3Error(.wrongChain, "\(connection.endpoint) \(text)")
            // What was subscribed on it meanwhile waits for the next one, if there is one.
            if self.failover.goesOn(after: error) { return connection.assumeIsolated { $0.end(error) } }
            self.lost(connection, error)
            connection.abandon()
        }
    }

    /// - Parameter body: gets the id; nil where the answer is none.
    func askForChain(_ connection: Connection, _ body: @escaping (Result<UInt64?, RPCError>) -> Void) {
        // On the loop, as every waiter of a connection is.
        nonisolated(unsafe) let body = body
        guard let request = try? EncodedRequest("eth_chainId") else { return body(.success(nil)) }
        self.ask([request], on: connection, passesHold: true) { _, outcome in
            body(outcome.map { bytes in try? bytes.withBytes { try Results.decode($0, as: Quantity.self).value } })
        }
    }

    // MARK: The same subscriptions

    func subscribeAgain(_ local: LocalSubscriptionID, on connection: Connection) {
        guard connection === self.connection, self.isConnected, let kept = self.subscriptions[local] else { return }
        // Another attempt was made between a refusal and this one.
        guard self.carrier(of: local) == nil else { return }
        self.outstanding.insert(local)
        self.subscribeAgain(kept, at: self.place(kept) ?? connection, beside: connection)
    }

    /// - Parameter main: the main connection, which `target` is or stands beside.
    private func subscribeAgain(_ kept: KeptSubscription, at target: Connection, beside main: Connection) {
        target.assumeIsolated { connection in
            connection.subscribe(kept) { [weak self] outcome in
                self?.assumeIsolated { session in
                    if case .failure(let error) = outcome, let kept = session.subscriptions[kept.local],
                        main === session.connection, let next = session.place(kept, refusedBy: target, error)
                    {
                        return session.subscribeAgain(kept, at: next, beside: main)
                    }
                    session.subscribedAgain(kept.local, at: target, beside: main, outcome)
                }
            }
        }
    }

    /// Makes subscriptions of the session's own anew on the same connection.
    func subscribeAnew(_ locals: [LocalSubscriptionID]) {
        for local in locals {
            self.carrier(of: local)?.assumeIsolated { $0.forget(local) }
            self.subscribeAgain(local, on: self.connection)
        }
    }

    private func subscribedAgain(
        _ local: LocalSubscriptionID,
        at target: Connection,
        beside connection: Connection,
        _ outcome: Waiter.Outcome
    ) {
        if connection === self.connection {
            self.outstanding.remove(local)
            // Not from here: a connection that has ended refuses at once, and the next one after it, and so on.
            self.enqueue { session in
                session.subscribeNext(on: connection)
                session.settleRenewal()
            }
        }
        guard var kept = self.subscriptions[local] else {
            // Its consumer has left meanwhile.
            if case .success = outcome { target.endSubscription(local) }
            return
        }
        guard connection === self.connection else { return }
        switch outcome {
        case .success:
            if kept.isCut { kept.buffer.append(marker: StreamMarker.reconnected.bytes)?.resume() }
            kept.isCut = false
            kept.refusals = 0
            kept.wasAcknowledged = true
            kept.further = self.noteAcknowledged(on: target)
            self.subscriptions[local] = kept
            kept.own?.acknowledged()
        case .failure(let error) where error.code == .connectionClosed && self.isFurther(target):
            // Told before the connection's end is: that one's delay is for all that it was to carry.
            kept.further = target
            self.subscriptions[local] = kept
        case .failure(let error) where error.code == .connectionClosed || error.code == .cancelled:
            // The next connection does it, or nobody wants it any more.
            break
        // On the next connection it comes before all others.
        case .failure(let error)
        where kept.staysOnMain && kept.refusals < 3 && self.learnCap(of: target, from: error):
            kept.refusals += 1
            self.subscriptions[local] = kept
            self.subscribeLater(kept, on: connection, atLeast: .zero)
            self.renew(to: connection.endpoint, isStep: true)
        // An answer that did not come is no refusal, unless it goes on so.
        case .failure(let error)
        where kept.isOwn && !kept.wasAcknowledged && (error.code != .timedOut || kept.refusals >= 3):
            self.subscriptions[local] = nil
            kept.own?.refusedFirst(self.error(error))
        case .failure(let error):
            kept.refusals += 1
            let told = self.error(error)
            self.subscriptions[local] = kept
            // The connection that delivered it is about to be closed.
            if self.connections.withLock({ $0.leaving != nil }) { self.cut(local, told) }
            kept.buffer.append(marker: StreamMarker.refused(told).bytes)?.resume()
            self.subscribeLater(kept, on: connection, atLeast: min(error.retryAfter ?? .zero, .seconds(3600)))
        }
    }

    private func subscribeLater(_ kept: KeptSubscription, on connection: Connection, atLeast least: Duration) {
        let delay = max(.seconds(1 << Int64(min(kept.refusals, 6))), least)
        self.subscribe(kept.local, on: connection, after: delay)
    }

    func subscribe(_ local: LocalSubscriptionID, on connection: Connection, after delay: Duration) {
        _ = self.loop.schedule(at: self.loop.now.advanced(by: delay)) { [weak self] in
            self?.assumeIsolated { $0.subscribeAgain(local, on: connection) }
        }
    }

    /// A stream is told that nothing comes until its subscription is made anew; once.
    func cut(_ local: LocalSubscriptionID, _ error: Web3Error) {
        guard let kept = self.subscriptions[local], !kept.isCut else { return }
        self.subscriptions[local]?.isCut = true
        kept.buffer.append(marker: StreamMarker.disconnected(error).bytes)?.resume()
        kept.own?.cut?()
    }

    /// The connection that delivered these is lost, while the next one is about to: each is told both at once.
    func tellBreak(_ error: Web3Error, of locals: Set<LocalSubscriptionID>) {
        self.tellStreams(.disconnected(error), only: locals)
        self.tellStreams(.reconnected, only: locals)
        for local in locals { self.subscriptions[local]?.own?.cut?() }
    }

    /// Subscriptions that the node has ended, or whose consumer was too slow. One of the session's own is made anew.
    func subscriptionsEnded(_ locals: [LocalSubscriptionID], on connection: Connection) {
        for local in locals {
            guard self.isCurrent(connection) else {
                // The newest one has it too; the session's own goes on there.
                if self.subscriptions[local]?.isOwn == false { self.endSubscription(local) }
                continue
            }
            guard var kept = self.subscriptions.removeValue(forKey: local), kept.isOwn else { continue }
            if self.configuration.endOfConnectionEndsStreams {
                self.continuityEngine?.recordingEnded()
                continue
            }
            kept.refusals += 1
            kept.further = nil
            self.subscriptions[local] = kept
            kept.own?.cut?()
            self.subscribeLater(kept, on: self.connection, atLeast: .zero)
        }
    }

    /// - Parameter locals: nil for all streams.
    func tellStreams(_ marker: StreamMarker, only locals: Set<LocalSubscriptionID>? = nil) {
        let bytes = marker.bytes
        for kept in self.subscriptions.values.sorted(by: { $0.local.rawValue < $1.local.rawValue })
        where locals?.contains(kept.local) ?? true {
            kept.buffer.append(marker: bytes)?.resume()
        }
    }

    // MARK: Those who wait

    /// Returns when another connection than `lost` stands: true; false when there will be none, at the deadline and when
    /// the task is cancelled.
    nonisolated func nextConnection(after lost: Connection, until deadline: LoopInstant) async -> Bool {
        guard self.configuration.reconnect.isEnabled else { return false }
        let cancellation = CancellationFlag()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                self.onLoop { session in
                    guard !cancellation.isSet else { return continuation.resume(returning: false) }
                    session.wait(continuation, cancellation, after: lost, until: deadline)
                }
            }
        } onCancel: {
            cancellation.set()
            self.onLoop { session in
                for (id, waiter) in session.waiters where waiter.cancellation === cancellation {
                    session.resume(waiter: id, false)
                }
            }
        }
    }

    private func wait(
        _ continuation: CheckedContinuation<Bool, Never>,
        _ cancellation: CancellationFlag,
        after lost: Connection,
        until deadline: LoopInstant
    ) {
        if case .ended = self.phase { return continuation.resume(returning: false) }
        if self.isConnected, self.connection !== lost { return continuation.resume(returning: true) }
        // A connection that ended without a word here, as one that was never opened, has no successor.
        guard !self.isIdle, self.waiters.count < self.configuration.maxQueuedRequests, self.loop.now < deadline else {
            return continuation.resume(returning: false)
        }
        let id = self.nextWaiter
        self.nextWaiter += 1
        let timer = self.loop.schedule(at: deadline) { [weak self] in
            self?.assumeIsolated { $0.resume(waiter: id, false) }
        }
        self.waiters[id] = ReconnectWaiter(continuation: continuation, cancellation: cancellation, deadline: timer)
    }

    private func resume(waiter id: UInt64, _ isConnected: Bool) {
        guard let waiter = self.waiters.removeValue(forKey: id) else { return }
        self.loop.cancel(waiter.deadline)
        waiter.continuation.resume(returning: isConnected)
    }

    func resumeWaiters(_ isConnected: Bool) {
        for id in self.waiters.keys.sorted() { self.resume(waiter: id, isConnected) }
    }

    private var isIdle: Bool {
        if case .idle = self.phase { true } else { false }
    }
}

/// Somebody who waits for the next connection.
struct ReconnectWaiter {
    let continuation: CheckedContinuation<Bool, Never>
    let cancellation: CancellationFlag
    let deadline: DeadlineID
}

extension Web3Error {
    /// Whether another attempt to connect may end otherwise.
    var isTemporary: Bool {
        if self.isPermanent { return false }
        switch self.code {
        case .invalidEndpoint, .invalidArgument, .certificateRejected, .wrongChain, .cancelled, .misuse: return false
        case .upgradeRefused:
            guard let status = self.httpStatus else { return true }
            // 408, 425, 429 and what is the server's own fault pass; 401 to 404, 426 and other answers stay.
            return [408, 425, 429].contains(status) || status >= 500
        default: return true
        }
    }

    /// How long to wait at least before the next attempt; what a node asks for counts up to an hour.
    var leastDelay: Duration {
        if let retryAfter { return min(retryAfter, .seconds(3600)) }
        // Policy violation (RFC 6455 §7.4.1): whatever it was, coming back at once is more of it.
        return self.closeCode == 1008 ? .seconds(60) : .zero
    }
}
