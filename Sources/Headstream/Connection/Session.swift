import HeadstreamLocks
import HeadstreamRPC
import HeadstreamSockets
import Synchronization

/// What a client and its streams share, and what outlives one ``Connection``: identities, settings, the way to the node.
///
/// The last handle, stream or subscription that lets go of it closes the connection.
final class Session: Sendable {
    let endpoint: Endpoint
    let configuration: Configuration
    let loop: any Loop
    let ids = RequestIDs()
    /// What the streams' buffers may take together.
    let bufferBudget: BufferBudget
    let connection: Connection
    private let nextLocalID = Atomic<UInt64>(1)

    init(to endpoint: Endpoint, configuration: Configuration) {
        let loop = configuration.loop ?? EventLoop.shared
        self.endpoint = endpoint
        self.configuration = configuration
        self.loop = loop
        self.bufferBudget = BufferBudget(limit: configuration.maxBufferedBytes)
        self.connection = Connection(
            to: endpoint,
            configuration: configuration,
            loop: loop,
            ids: self.ids,
            bufferBudget: self.bufferBudget
        )
    }

    deinit {
        self.connection.abandon()
    }

    func newLocalID() -> LocalSubscriptionID {
        LocalSubscriptionID(rawValue: self.nextLocalID.wrappingAdd(1, ordering: .relaxed).oldValue)
    }

    /// What the caller of a request is told. A lost connection is told by its reason.
    func error(_ error: RPCError) -> Web3Error {
        guard error.code == .connectionClosed, let ending = self.connection.ending.withLock({ $0 }) else {
            return Web3Error(error)
        }
        var told = ending
        told.wasSent = error.wasSent
        return told
    }

    /// In a replay, a stream that ends with the recording ends with nil.
    func endsQuietly(_ error: RPCError) -> Bool {
        self.configuration.endOfConnectionEndsStreams && error.code == .subscriptionEnded
    }
}
