public import HeadstreamRPC

/// Counters, gauges and histograms of a client at one moment, as `Web3.metrics` gives them.
///
/// ``prometheusText(labels:)`` writes them for a monitoring system. Making one costs a look at each subscription.
public struct Metrics: Hashable, Sendable {
    // MARK: Counters, since the client was made

    /// Bytes of messages and frames that were received, handshake included.
    public var bytesReceived: UInt64 = 0
    /// Bytes of frames handed to the socket.
    public var bytesSent: UInt64 = 0
    /// Requests made, batch items, subscribing and unsubscribing counted.
    public var requests: UInt64 = 0
    /// Answers to them.
    public var responses: UInt64 = 0
    /// How long those took, from the request to its answer.
    public var latencies = LatencyHistogram()
    /// Notifications that had a subscription; one for several consumers counts once.
    public var notifications: UInt64 = 0
    /// Those of them that came before the answer that told their subscription, as some nodes send them.
    public var notificationsEarly: UInt64 = 0
    /// Notifications that were dropped because a consumer was slow.
    public var notificationsLost: UInt64 = 0
    /// How often reading was suspended for a slow consumer.
    public var readingPauses: UInt64 = 0
    /// Messages that were no JSON-RPC.
    public var malformedMessages: UInt64 = 0
    /// How often the connection was made anew.
    public var reconnects: UInt64 = 0
    /// How often another connection took the place of one that stood: ``Configuration/maxConnectionAge``.
    public var renewals: UInt64 = 0
    /// How often an endpoint was found on another branch than the one with authority: ``EndpointPolicy/firstArrival``.
    public var divergences: UInt64 = 0

    // MARK: Gauges

    /// Connections that carry streams, those that are being made included: more than one where the endpoint takes only so
    /// many subscriptions on each, see ``Configuration/maxConnections``. The gauges below are of all of them.
    public var connections = 1
    /// Requests that wait for an answer or for their turn.
    public var requestsWaiting = 0
    /// Subscriptions asked for or active, each consumer's counted.
    public var subscriptions = 0
    /// The node's subscriptions asked for or active: fewer where equal ones share one.
    public var serverSubscriptions = 0
    /// Bytes that wait to be written.
    public var bytesUnsent = 0
    /// Bytes of memory that the buffers of all subscriptions take; at most ``Configuration/maxBufferedBytes``, but for
    /// what one read brings to a stream with `.suspendReading`; and what gapless streams hold for their consumers, each at
    /// most its `bufferLimit` and the block that it is being told.
    public var bufferMemory = 0
    /// The active subscriptions, the oldest first.
    public var streams: [StreamMetrics] = []

    public init() {}

    /// Adds the counters of a connection that is over.
    mutating func add(countersOf other: Metrics) {
        self.bytesReceived += other.bytesReceived
        self.bytesSent += other.bytesSent
        self.requests += other.requests
        self.responses += other.responses
        self.latencies.add(other.latencies)
        self.notifications += other.notifications
        self.notificationsEarly += other.notificationsEarly
        self.notificationsLost += other.notificationsLost
        self.readingPauses += other.readingPauses
        self.malformedMessages += other.malformedMessages
    }

    /// Adds a connection beside the main one.
    mutating func add(further other: Metrics) {
        self.add(countersOf: other)
        self.requestsWaiting += other.requestsWaiting
        self.subscriptions += other.subscriptions
        self.serverSubscriptions += other.serverSubscriptions
        self.bytesUnsent += other.bytesUnsent
        self.streams += other.streams
        self.streams.sort { $0.id < $1.id }
    }

    mutating func add(_ statistics: RequestProcessor.Statistics) {
        self.requests += statistics.requests
        self.responses += statistics.responses
        self.latencies = statistics.latencies
        self.notifications += statistics.notifications
        self.notificationsEarly += statistics.early
        self.notificationsLost += statistics.lost
        self.readingPauses += statistics.pauses
        self.malformedMessages += statistics.malformed
    }
}

/// How one subscription's consumer keeps up.
public struct StreamMetrics: Hashable, Sendable {
    /// Counted by this client from 1.
    public var id: UInt64
    /// `newHeads`, `logs`…, or the method that subscribes.
    public var kind: String
    public var policy: BufferPolicy
    public var priority: BufferPriority
    /// Notifications that wait; those that the consumer has taken in one go count until it asks for more.
    public var depth: Int
    /// The same in bytes.
    public var bufferedBytes: Int
    /// The most bytes that ever waited.
    public var highWaterMark: Int
    /// The most bytes that may wait.
    public var limit: Int
    /// Notifications that were dropped.
    public var lost: UInt64
    /// How often it made the connection stop reading.
    public var pauses: UInt64

    init(_ statistics: SubscriptionStatistics) {
        self.id = statistics.local.rawValue
        self.kind = statistics.kind
        self.policy = statistics.policy
        self.priority = statistics.priority
        self.depth = statistics.depth.count
        self.bufferedBytes = statistics.depth.bytes
        self.highWaterMark = statistics.highWater
        self.limit = statistics.limit
        self.lost = statistics.lost
        self.pauses = statistics.pauses
    }
}
