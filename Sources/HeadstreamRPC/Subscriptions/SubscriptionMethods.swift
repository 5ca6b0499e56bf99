/// The names by which a kind of subscription is made and ended, and what else its server does in its own way.
///
/// Notifications are routed by their subscription id alone, so their method name plays no part in that.
package struct SubscriptionMethods: Hashable, Sendable {
    package var subscribe: String
    package var unsubscribe: String
    /// The name of the id among the parameters of unsubscribing; nil where they go by their places.
    package var unsubscribeParameter: String?
    /// Whether equal requests may be given one id, on which one notification comes for all of them (Solana).
    package var sharesIDs: Bool
    /// Whether a notification's record is the whole message, for consumers who want to know its method name
    /// (Starknet); otherwise it is the result alone.
    package var keepsMessages: Bool

    package init(
        subscribe: String,
        unsubscribe: String,
        unsubscribeParameter: String? = nil,
        sharesIDs: Bool = false,
        keepsMessages: Bool = false
    ) {
        self.subscribe = subscribe
        self.unsubscribe = unsubscribe
        self.unsubscribeParameter = unsubscribeParameter
        self.sharesIDs = sharesIDs
        self.keepsMessages = keepsMessages
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
