import HeadstreamRPC

/// Counters and gauges of a client at one moment; see `Web3.metrics`.
public struct Metrics: Hashable, Sendable {
    /// Bytes of messages and frames that were received, handshake included.
    public var bytesReceived: UInt64 = 0
    /// Bytes of frames handed to the socket.
    public var bytesSent: UInt64 = 0
    /// Requests made, batch items, subscribing and unsubscribing counted.
    public var requests: UInt64 = 0
    /// Answers to them.
    public var responses: UInt64 = 0
    /// Notifications that had a subscription.
    public var notifications: UInt64 = 0
    /// Notifications that were dropped because a consumer was slow.
    public var notificationsLost: UInt64 = 0
    /// Messages that were no JSON-RPC.
    public var malformedMessages: UInt64 = 0

    /// Requests that wait for an answer or for their turn.
    public var requestsWaiting = 0
    /// Subscriptions asked for or active.
    public var subscriptions = 0
    /// Bytes that wait to be written.
    public var bytesUnsent = 0

    public init() {}

    mutating func add(_ statistics: RequestProcessor.Statistics) {
        self.requests += statistics.requests
        self.responses += statistics.responses
        self.notifications += statistics.notifications
        self.notificationsLost += statistics.lost
        self.malformedMessages += statistics.malformed
    }
}
