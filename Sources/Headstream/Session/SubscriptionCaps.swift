import HeadstreamRPC

/// How many subscriptions endpoints take on a connection, as far as their refusals have shown.
struct SubscriptionCaps: Sendable {
    private struct Cap: Sendable {
        var count: Int
        /// What the endpoint said.
        var refusal: RPCError
    }

    private var caps: [Endpoint: Cap] = [:]

    /// Nil where none is known.
    subscript(endpoint: Endpoint) -> Int? { self.caps[endpoint]?.count }

    /// What the endpoint said when it refused one last.
    func refusal(of endpoint: Endpoint) -> RPCError? { self.caps[endpoint]?.refusal }

    /// An endpoint refused a subscription on a connection of which it had acknowledged so many.
    mutating func refused(by endpoint: Endpoint, having count: Int, _ refusal: RPCError) {
        self.caps[endpoint] = Cap(count: count, refusal: refusal)
    }

    /// An endpoint has acknowledged so many on one connection. It may have been set up anew.
    mutating func acknowledged(by endpoint: Endpoint, having count: Int) {
        if let cap = self.caps[endpoint], cap.count < count { self.caps[endpoint]?.count = count }
    }
}
