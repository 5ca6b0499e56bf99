package import HeadstreamJSON

/// Why a request, a subscription or a connection failed. `Headstream` wraps it in its public error.
package struct RPCError: Error, Hashable, Sendable {
    package enum Code: Hashable, Sendable {
        /// The node answered with an error object.
        case node
        /// The node refuses for now; ``RPCError/retryAfter`` where it says for how long.
        case rateLimited
        /// The node refuses because a quota (a day's, a month's) is used up: retrying does not help.
        case quotaExhausted
        /// No answer within the time allowed.
        case timedOut
        /// The caller's task was cancelled.
        case cancelled
        /// `maxQueuedRequests` requests already wait for their turn.
        case tooManyRequests
        /// The node does not read: what waits to be written has reached its limit.
        case sendBufferFull
        /// The connection ended, or was closed; ``RPCError/wasSent`` tells whether the node may have acted.
        case connectionClosed
        /// The answer is not what JSON-RPC or the method's result should be.
        case malformedResponse
        /// A batch was answered without this item.
        case missingFromBatch
        /// The consumer was too slow and its policy is `.fail`.
        case consumerTooSlow
        /// The node ended the subscription.
        case subscriptionEnded
    }

    package var code: Code
    package var message: String
    /// The error object of the node.
    package var node: NodeError? {
        get { self.boxedNode?.value }
        set { self.boxedNode = newValue.map { .value($0) } }
    }
    /// So that outcomes of requests, which are seldom errors, are small and cheap to hand on.
    private var boxedNode: Boxed<NodeError>?
    package var retryAfter: Duration?
    /// Whether the request had gone out, so that its effect is unknown.
    package var wasSent: Bool

    package init(
        _ code: Code,
        _ message: String,
        node: NodeError? = nil,
        retryAfter: Duration? = nil,
        wasSent: Bool = false
    ) {
        self.code = code
        self.message = message
        self.boxedNode = node.map { .value($0) }
        self.retryAfter = retryAfter
        self.wasSent = wasSent
    }

    /// The error with the knowledge that its request had gone out.
    package func sent() -> Self {
        var error = self
        error.wasSent = true
        return error
    }
}

/// The error object of a JSON-RPC response (JSON-RPC 2.0 §5.1).
package struct NodeError: Hashable, Sendable {
    package var code: Int64
    package var message: String
    package var data: JSONValue?

    package init(code: Int64, message: String, data: JSONValue? = nil) {
        self.code = code
        self.message = message
        self.data = data
    }
}
