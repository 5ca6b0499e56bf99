/// A consumer's request for a subscription: what is asked for, where its notifications go, and who waits.
struct SubscribeRequest: Sendable {
    let local: LocalSubscriptionID
    let methods: SubscriptionMethods
    /// What equal requests have in common; nil for a subscription that is not shared.
    let key: SubscriptionKey?
    let id: RequestID
    /// The whole message, encoded with this id.
    let text: [UInt8]
    let buffer: SubscriptionBuffer
    /// On the loop's clock, in nanoseconds.
    let deadline: UInt64
    let waiter: Waiter
}

/// What equal subscribe requests have in common: those of one connection may share one of the server's subscriptions.
package struct SubscriptionKey: Hashable, Sendable {
    /// Parts ended by a zero byte, which no JSON holds: a slot has room for one word.
    private let bytes: [UInt8]

    /// - Parameter request: what stands behind the request's id, method and parameters.
    package init(_ methods: SubscriptionMethods, request: [UInt8]) {
        // How it is ended is the server's affair too; how a consumer's records are kept is not.
        self.bytes =
            request + [0] + methods.unsubscribe.utf8 + [0] + (methods.unsubscribeParameter ?? "").utf8
            + [0, methods.sharesIDs ? 1 : 0]
    }
}
