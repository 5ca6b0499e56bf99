import HeadstreamRPC

/// A connection's way to its session, which it does not keep. Every call is on their loop.
///
/// `@unchecked Sendable`: the reference is set once, before any connection is opened, and weak ones are atomic.
class ConnectionOwner: @unchecked Sendable {
    weak var session: Session?

    init() {}

    /// Whether the streams of a connection that is lost go on: they wait for the next one, or have it already.
    func keepsStreams(of connection: Connection, after error: Web3Error) -> Bool {
        self.session?.assumeIsolated { $0.connection !== connection || $0.willReconnect(after: error) } ?? false
    }

    /// Whether requests wait until the node's chain is known to be the one of the connection before.
    func mustKnowChain(of connection: Connection) -> Bool {
        self.session?.assumeIsolated { $0.mustKnowChain(of: connection) } ?? false
    }

    func established(_ connection: Connection) {
        self.session?.assumeIsolated { $0.established(connection) }
    }

    func lost(_ connection: Connection, _ error: Web3Error) {
        self.session?.assumeIsolated { $0.lost(connection, error) }
    }

    /// Nothing waits on a connection that is to be closed.
    func drained(_ connection: Connection) {
        self.session?.assumeIsolated { $0.drained(connection) }
    }

    /// A further connection carries no subscription any more, and nothing waits on it.
    func emptied(_ connection: Connection) {
        self.session?.assumeIsolated { $0.emptied(connection) }
    }

    /// Ended by the node, or because its consumer was too slow.
    func ended(_ locals: [LocalSubscriptionID], on connection: Connection) {
        self.session?.assumeIsolated { $0.subscriptionsEnded(locals, on: connection) }
    }
}
