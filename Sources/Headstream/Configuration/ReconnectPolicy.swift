import HeadstreamRPC

/// What is done when the connection to the node is lost.
///
/// By default it is made anew, after a delay that grows from ``base`` to ``cap`` with full jitter, for as long as anybody
/// holds the client or a stream of it. Failures that another attempt would not change end the client at once: a refused
/// handshake of 3xx or 400 to 404, a certificate that is not trusted, a node of another chain.
public struct ReconnectPolicy: Hashable, Sendable {
    /// Whether to connect again at all.
    public var isEnabled: Bool
    /// The longest first delay. Default 500 ms.
    public var base: Duration
    /// The longest delay. Default 30 s.
    public var cap: Duration
    /// How long a connection must have lasted for the delays to begin anew. Default 60 s.
    public var healthyAfter: Duration

    public init(
        isEnabled: Bool = true,
        base: Duration = .milliseconds(500),
        cap: Duration = .seconds(30),
        healthyAfter: Duration = .seconds(60)
    ) {
        self.isEnabled = isEnabled
        self.base = base
        self.cap = cap
        self.healthyAfter = healthyAfter
    }

    /// Connects again, with the default delays.
    public static let automatic = ReconnectPolicy()
    /// A lost connection ends the client: streams throw the reason, and so do requests.
    public static let never = ReconnectPolicy(isEnabled: false)

    var backoff: Backoff {
        Backoff(
            Backoff.Limits(
                base: self.base.nanoseconds,
                cap: self.cap.nanoseconds,
                healthy: self.healthyAfter.nanoseconds
            )
        )
    }
}
