import HeadstreamRPC

/// A connection's way to its session, which it does not keep. Every call is on their loop.
///
/// `@unchecked Sendable`: the reference is set once, before any connection is opened, and weak ones are atomic.
final class ConnectionOwner: @unchecked Sendable {
    weak var session: Session?

    /// Whether the streams of a connection that is lost wait for the next one.
    func keepsStreams(after error: Web3Error) -> Bool {
        self.session?.assumeIsolated { $0.willReconnect(after: error) } ?? false
    }

    func established(_ connection: Connection) {
        self.session?.assumeIsolated { $0.established(connection) }
    }

    func lost(_ connection: Connection, _ error: Web3Error) {
        self.session?.assumeIsolated { $0.lost(connection, error) }
    }

    func acknowledged(_ kept: KeptSubscription) {
        self.session?.assumeIsolated { $0.acknowledged(kept) }
    }

    /// Ended by the node, or because its consumer was too slow.
    func ended(_ locals: [LocalSubscriptionID]) {
        self.session?.assumeIsolated { $0.subscriptionsEnded(locals) }
    }
}
