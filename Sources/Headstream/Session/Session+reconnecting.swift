import HeadstreamLocks
import HeadstreamRPC
import HeadstreamSockets

// From a lost connection to the next: one attempt at a time, and everything subscribed again.
extension Session {
    /// Whether the loss of a connection with this error is followed by an attempt to make another.
    func willReconnect(after error: Web3Error) -> Bool {
        guard self.configuration.reconnect.isEnabled, !self.configuration.endOfConnectionEndsStreams else {
            return false
        }
        switch self.phase {
        case .connected, .connecting: return error.isTemporary
        case .idle, .waiting, .ended: return false
        }
    }

    /// A connection is lost, or did not come about; told once for each.
    func lost(_ connection: Connection, _ error: Web3Error) {
        guard connection === self.connection else { return }
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
        guard self.willReconnect(after: error) else { return self.end(error) }
        if lifetime > 0 {
            self.tellStreams(.disconnected(error))
            self.continuityEngine?.connectionLost(error)
        }
        var random: UInt64 = 0
        withUnsafeMutableBytes(of: &random) { self.loop.fillRandom($0) }
        let delay = self.backoff.delay(
            afterLifetime: lifetime,
            random: random,
            atLeast: LoopInstant(nanoseconds: 0).advanced(by: error.leastDelay).nanoseconds
        )
        let wait = Duration.nanoseconds(Int64(clamping: delay))
        self.phase = .waiting(
            self.loop.schedule(at: self.loop.now.advanced(by: wait)) { [weak self] in
                self?.assumeIsolated { $0.connectAgain() }
            }
        )
        self.states.tell(.waiting(wait, error))
    }

    private func connectAgain() {
        guard case .waiting = self.phase else { return }
        self.phase = .connecting
        self.states.tell(.connecting)
        self.replaceConnection().assumeIsolated { $0.begin() }
    }

    /// A connection stands. It counts as the session's own when it is known to be of the same chain.
    func established(_ connection: Connection) {
        guard connection === self.connection else { return }
        switch self.phase {
        case .idle:
            self.phase = .connected(since: self.loop.now)
            self.states.tell(.connected)
        case .connecting:
            // What users subscribe to from here on is made on this connection by itself.
            let earlier = Set(self.subscriptions.keys)
            self.checkChain(of: connection) { self.goOn(with: connection, earlier) }
        case .connected, .waiting, .ended:
            return
        }
    }

    private func goOn(with connection: Connection, _ earlier: Set<LocalSubscriptionID>) {
        self.phase = .connected(since: self.loop.now)
        self.states.tell(.connected)
        self.pastMetrics.reconnects += 1
        // In front of all that comes from the new connection.
        self.tellStreams(.reconnected)
        self.continuityEngine?.connected()
        let due = self.subscriptions.values.filter { earlier.contains($0.local) || $0.isOwn }
        self.due = due.map(\.local).sorted { $0.rawValue < $1.rawValue }[...]
        // A window of them, and the next at each answer: the queue of requests is for those of users too.
        for _ in 0..<max(1, self.configuration.maxInFlight / 2) { self.subscribeNext(on: connection) }
        self.resumeWaiters(true)
    }

    private func subscribeNext(on connection: Connection) {
        guard connection === self.connection, let local = self.due.popFirst() else { return }
        if self.subscriptions[local] == nil { return self.subscribeNext(on: connection) }
        self.subscribeAgain(local, on: connection)
    }

    // MARK: The same chain

    /// Asks which chain the node is of, once; so that another one is noticed after a reconnect.
    func learnChain() {
        guard self.chainID == nil, !self.hasAskedForChain else { return }
        guard self.isConnected else { return }
        self.hasAskedForChain = true
        self.askForChain(self.connection) { outcome in
            switch outcome {
            case .success(let chain): self.chainID = chain
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
            let error = Web3Error(.wrongChain, "\(self.endpoint) is of chain \(found) now, and was of \(known)")
            self.end(error)
            connection.abandon()
        }
    }

    /// - Parameter body: gets the id; nil where the answer is none.
    private func askForChain(_ connection: Connection, _ body: @escaping (Result<UInt64?, RPCError>) -> Void) {
        nonisolated(unsafe) let body = body
        let id = self.ids.take()
        guard let request = try? EncodedRequest("eth_chainId") else { return body(.success(nil)) }
        let waiter = Waiter.callback { outcome in
            // On the loop, as every waiter of a connection is.
            body(outcome.map { bytes in try? bytes.withBytes { try Results.decode($0, as: Quantity.self).value } })
        }
        connection.assumeIsolated { $0.submit(id, text: request.text(for: id), waiter: waiter) }
    }

    // MARK: The same subscriptions

    func subscribeAgain(_ local: LocalSubscriptionID, on connection: Connection) {
        guard connection === self.connection, self.isConnected, let kept = self.subscriptions[local] else { return }
        connection.assumeIsolated { connection in
            connection.subscribe(kept) { [weak self] outcome in
                self?.assumeIsolated { $0.subscribedAgain(local, on: connection, outcome) }
            }
        }
    }

    private func subscribedAgain(_ local: LocalSubscriptionID, on connection: Connection, _ outcome: Waiter.Outcome) {
        self.subscribeNext(on: connection)
        guard connection === self.connection, var kept = self.subscriptions[local] else { return }
        switch outcome {
        case .success:
            kept.refusals = 0
            kept.refusedFirst = nil
            self.subscriptions[local] = kept
            kept.acknowledged?()
        case .failure(let error) where error.code == .connectionClosed || error.code == .cancelled:
            // The next connection does it, or nobody wants it any more.
            break
        // An answer that did not come is no refusal, unless it goes on so.
        case .failure(let error) where kept.refusedFirst != nil && (error.code != .timedOut || kept.refusals >= 3):
            self.subscriptions[local] = nil
            kept.refusedFirst?(self.error(error))
        case .failure(let error):
            kept.refusals += 1
            self.subscriptions[local] = kept
            kept.buffer.append(marker: StreamMarker.refused(self.error(error)).bytes)?.resume()
            self.subscribeLater(kept, on: connection, atLeast: min(error.retryAfter ?? .zero, .seconds(3600)))
        }
    }

    private func subscribeLater(_ kept: KeptSubscription, on connection: Connection, atLeast least: Duration) {
        let delay = max(.seconds(1 << Int64(min(kept.refusals, 6))), least)
        _ = self.loop.schedule(at: self.loop.now.advanced(by: delay)) { [weak self] in
            self?.assumeIsolated { $0.subscribeAgain(kept.local, on: connection) }
        }
    }

    /// Subscriptions that the node has ended, or whose consumer was too slow. One of the session's own is made anew.
    func subscriptionsEnded(_ locals: [LocalSubscriptionID]) {
        for local in locals {
            guard var kept = self.subscriptions.removeValue(forKey: local), kept.isOwn else { continue }
            kept.refusals += 1
            self.subscriptions[local] = kept
            self.subscribeLater(kept, on: self.connection, atLeast: .zero)
        }
    }

    private func tellStreams(_ marker: StreamMarker) {
        let bytes = marker.bytes
        for kept in self.subscriptions.values.sorted(by: { $0.local.rawValue < $1.local.rawValue }) {
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
