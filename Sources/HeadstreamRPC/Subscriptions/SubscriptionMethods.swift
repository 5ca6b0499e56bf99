/// The names by which a kind of subscription is made and ended.
///
/// Notifications are routed by their subscription id alone, so their method name plays no part.
package struct SubscriptionMethods: Hashable, Sendable {
    package var subscribe: String
    package var unsubscribe: String

    package init(subscribe: String, unsubscribe: String) {
        self.subscribe = subscribe
        self.unsubscribe = unsubscribe
    }

    /// geth's pub/sub, which Ethereum nodes share.
    package static let ethereum = SubscriptionMethods(subscribe: "eth_subscribe", unsubscribe: "eth_unsubscribe")
}

/// A subscription's identity with this client. It outlives the server's id, which belongs to one connection.
package struct LocalSubscriptionID: Hashable, Sendable {
    package let rawValue: UInt64

    package init(rawValue: UInt64) {
        self.rawValue = rawValue
    }
}
