public import HeadstreamRPC
package import HeadstreamSockets

/// What can be set about a client. The defaults suit a hosted node and a subscriber that must not miss anything.
public struct Configuration: Sendable {
    /// From the name to the finished handshake. Default 30 s.
    public var connectTimeout: Duration = .seconds(30)
    /// From a request to its answer, waiting for its turn included. Default 30 s.
    public var requestTimeout: Duration = .seconds(30)
    /// How long `close()` waits for the node's part of it. Default 5 s.
    public var closeTimeout: Duration = .seconds(5)

    /// How a silent connection is kept open and a dead one noticed. Default: a ping every 20 s, over when no byte follows
    /// one within 20 s.
    public var keepalive = Keepalive.ping()
    /// How old a connection grows before another one takes its place, made and subscribed on before the old one is closed.
    /// Default `nil`: any age.
    ///
    /// For providers that cut connections at an age: Amazon's API Gateway after two hours, others after one. Set it some
    /// minutes lower. Up to a tenth of it is taken off at random. Gapless streams notice nothing. Live ones are told nothing
    /// either: they lose no notification, but those that come while both connections stand, for a round trip or two, may
    /// come twice, and not in their order; one that the new connection refuses, or that is not made on it yet when the old
    /// one is cut, is told `.disconnected`. With ``ReconnectPolicy/never`` nothing is replaced.
    public var maxConnectionAge: Duration?
    /// What a client of several endpoints makes of them. Default ``EndpointPolicy/ordered``.
    public var endpointPolicy = EndpointPolicy.ordered
    /// How many connections to an endpoint a client has at most, where that takes only so many subscriptions on each.
    /// Default 8; 1 for no further ones.
    ///
    /// A subscription that is refused because its connection has as many as it may have is made on a further connection.
    /// When there are so many connections, the node's refusal is told. With ``ReconnectPolicy/never`` there are no further ones.
    public var maxConnections = 8
    /// The HTTP proxy on the way to a `ws://` or `wss://` endpoint. Default: as the environment says.
    public var proxy = ProxyConfiguration.environment

    /// The longest message a node may send, in bytes. Default 32 MiB, which is geth's own limit.
    public var maxMessageSize = 32 << 20
    /// Whether messages may be compressed on the wire. Default ``Compression/off``.
    public var compression = Compression.off
    /// How many bytes may wait to be written before requests fail with `.sendBufferFull`. Default 8 MiB.
    public var maxUnsentBytes = 8 << 20
    /// How many requests are on the wire at once; a batch counts its items. Default 100.
    public var maxInFlight = 100
    /// How many requests may wait for their turn. Default 10,000.
    public var maxQueuedRequests = 10_000
    /// How many requests one batch message holds; larger batches are split. Default 100.
    public var maxBatch = 100
    /// How many bytes of notifications are kept until the response that tells their subscription. Default 1 MiB.
    public var maxOrphanBytes = 1 << 20

    /// How many bytes of notifications one subscription buffers for its consumer. Default 16 MiB.
    public var bufferLimit = 16 << 20
    /// How many bytes of memory the buffers of all subscriptions take together. Default 128 MiB. When they are used up,
    /// subscriptions of low ``BufferPriority`` give way, each as its policy has it.
    public var maxBufferedBytes = 128 << 20
    /// How many bytes may wait for one consumer before ``diagnostics`` gets a warning `slow consumer`; once, and again
    /// when it had caught up in between. Default `nil`: no warning.
    public var warnsAboveBufferedBytes: Int?
    /// What happens when a subscription's buffer is used up. Default `.fail`.
    public var whenFull = BufferPolicy.fail

    /// Whether log filters of gapless streams are merged into fewer subscriptions of the node's, and their logs told apart
    /// here. Default `false`.
    ///
    /// For many narrow filters, where a node or its price list limits subscriptions: filters that make conditions of the same
    /// places, such as each an address, share one, with at most 256 alternatives in a place. Each stream is told what its own
    /// filter matches. The node pushes what all of them match together, which may be more where they make several conditions;
    /// and a stream that comes or goes may have the shared subscription replaced, for which the newest blocks are asked for
    /// again, filter by filter. Blocks are fetched and audited for each filter by itself in any case.
    public var mergeFilters = false

    /// What is done when the connection is lost. Default: it is made anew, and everything is subscribed again.
    public var reconnect = ReconnectPolicy.automatic

    /// Further headers of the WebSocket handshake. Values may be secret: they appear in no error, description or dump.
    /// A line break or NUL in one is refused, and so are the handshake's own: `Host`, `Upgrade`, `Connection`,
    /// `Sec-WebSocket-*`.
    public var headers: [(name: String, value: String)] = []
    /// The name in the handshake's `User-Agent` header.
    public var userAgent = "headstream/\(Web3.version)"

    /// The environment's variables, by name, for what is set there: proxies, certificates to trust. Default: those of the
    /// process.
    public var environment = ProcessEnvironment.variables

    /// Whom `wss://` trusts, and who this side says that it is. Default: what the system trusts, and nobody.
    public var tls = TLSConfiguration()

    /// The loop that the connection lives on; the process's shared one by default.
    public var eventLoop: EventLoop {
        get { (self.loop as? EventLoop) ?? .shared }
        set { self.loop = newValue }
    }

    /// Called with what an operator may want to know, on the loop: be quick. The library itself prints nothing.
    public var diagnostics: (@Sendable (Diagnostic) -> Void)?

    /// `nil` for the shared event loop; tests put a simulated one here.
    package var loop: (any Loop)?
    /// A replay is over when its node closes: streams end with nil then and not with an error.
    package var endOfConnectionEndsStreams = false

    public init() {}

    package var limits: RequestProcessor.Limits {
        var limits = RequestProcessor.Limits()
        limits.maxInFlight = max(1, self.maxInFlight)
        limits.maxQueued = max(0, self.maxQueuedRequests)
        limits.orphanBytes = max(0, self.maxOrphanBytes)
        if let threshold = self.warnsAboveBufferedBytes { limits.warningThreshold = max(0, threshold) }
        return limits
    }
}

/// Something worth knowing that no caller was told, in the shape of swift-log's messages.
public struct Diagnostic: Sendable, CustomStringConvertible {
    public enum Level: String, Sendable {
        case debug, warning
    }

    public var level: Level
    /// One of a fixed set of texts, fit for grouping.
    public var message: String
    /// What is particular about this one.
    public var metadata: [String: String]

    public var description: String {
        let details = self.metadata.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        return "\(self.level.rawValue): \(self.message)\(details)"
    }
}
