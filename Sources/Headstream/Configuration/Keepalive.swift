/// How a connection that carries nothing is kept open, and one that is dead is noticed.
///
/// Load balancers cut what is silent for a minute or so, and a link that broke without a word, a sleeping laptop's say,
/// looks like one on which nothing happens. So the node is asked at intervals. Any byte from it is life, not only the
/// answer, and what this side writes postpones nothing. If no byte follows within the timeout of a question, the
/// connection ends with ``Web3Error/Code/connectionClosed``; after a pause of the whole machine it is asked once more
/// first. While a consumer with `.suspendReading` holds up the reading, the keepalive pauses.
public enum Keepalive: Hashable, Sendable {
    /// With pings of WebSocket (RFC 6455 §5.5.2), the default. Over IPC there are none, and none are needed: the system
    /// tells when the other process has gone, and nothing stands in between. Times below 100 ms count as 100 ms.
    case ping(every: Duration = .seconds(20), timeout: Duration = .seconds(20))
    /// With a small request, `net_version`, over IPC too. For proxies that refuse control frames, and those that count
    /// messages only. Its answer may be an error. Times below 100 ms count as 100 ms.
    case request(every: Duration = .seconds(20), timeout: Duration = .seconds(20))
    /// Not at all: what is dead is noticed at the next write, after 30 s that nothing of it is acknowledged.
    case off
}
