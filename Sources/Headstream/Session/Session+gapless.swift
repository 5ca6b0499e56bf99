import EthereumTypes
import HeadstreamLocks
import HeadstreamRPC

// What gapless streams need of a session: subscriptions and requests of its own.
extension Session {
    /// The engine of all gapless streams, made when it is first wanted.
    func engine(limit: Continuity.Limit) -> ContinuityEngine {
        if let engine = self.continuityEngine { return engine }
        let limits = ContinuityMachine.Limits(blocks: limit.blocks, requests: limit.requests)
        let engine = ContinuityEngine(self, limits: limits)
        self.continuityEngine = engine
        if case .ended = self.phase {
            engine.end(
                self.losses.withLock { $0.final }
                    ?? Web3Error(.connectionClosed, "the connection was closed by this side")
            )
        }
        return engine
    }

    /// Makes a subscription of the session's own, on this connection and each later one.
    func adopt(_ kept: KeptSubscription) {
        self.subscriptions[kept.local] = kept
        if self.keepsSubscriptions { self.learnChain() }
        if self.isConnected { self.subscribeAgain(kept.local, on: self.connection) }
    }

    /// Ends one of these.
    func dismiss(_ local: LocalSubscriptionID) {
        self.subscriptions[local] = nil
        self.endOnConnections(local)
    }

    /// A gapless consumer is gone; from any thread, without waiting.
    nonisolated func endGapless(_ consumer: ConsumerID) {
        self.enqueue { $0.continuityEngine?.leave(consumer) }
    }

    /// Makes requests of the session's own, as one message, on the connection as it is.
    ///
    /// - Parameter body: gets each call's outcome, on the loop.
    func ask(
        _ requests: [EncodedRequest],
        on connection: Connection,
        passesHold: Bool = false,
        _ body: @escaping @Sendable (Int, Waiter.Outcome) -> Void
    ) {
        let first = self.ids.take(requests.count)
        let waiters = requests.indices.map { index in
            Waiter.callback { [weak self] outcome in body(index, self?.told(outcome, on: connection) ?? outcome) }
        }
        let text =
            requests.count == 1
            ? requests[0].text(for: first) : EncodedRequest.batchText(of: requests, firstID: first)
        connection.assumeIsolated { $0.submit(first, text: text, waiters: waiters, passesHold: passesHold) }
    }

    /// The end of a connection whose place another has taken is told to nobody: what was asked on it was not answered.
    private nonisolated func told(_ outcome: Waiter.Outcome, on connection: Connection) -> Waiter.Outcome {
        guard case .failure(let error) = outcome, error.code == .connectionClosed, connection !== self.connection else {
            return outcome
        }
        return .failure(RPCError(.timedOut, error.message))
    }
}
