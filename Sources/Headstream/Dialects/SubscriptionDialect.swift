/// What a family of nodes does in its own way about subscriptions. The way of a notification is the same for all: it is
/// routed by its subscription's id, `params.subscription` or `params.subscription_id`, whatever its method is called.
///
/// ```swift
/// struct SlotNotifications: SubscriptionRequest {
///     typealias Notification = Slot
///     var dialect: SubscriptionDialect { .solana }
///     var subscribeMethod: String { "slotSubscribe" }     // ended by slotUnsubscribe
/// }
/// for try await slot in web3.notifications(SlotNotifications()) { … }
/// ```
public struct SubscriptionDialect: Hashable, Sendable {
    /// How the method that ends a subscription is called.
    public enum Unsubscribing: Hashable, Sendable {
        /// One method for a namespace: `eth_subscribe` is ended by `eth_unsubscribe`, `starknet_subscribeNewHeads` by
        /// `starknet_unsubscribe`.
        case byNamespace
        /// One for each method, of its name: `chain_subscribeNewHead` is ended by `chain_unsubscribeNewHead`,
        /// `logsSubscribe` by `logsUnsubscribe`, `chainHead_v1_follow` by `chainHead_v1_unfollow`.
        case byMethod
    }

    public var unsubscribing: Unsubscribing
    /// What the id is called among the parameters of unsubscribing; nil where parameters go by their places.
    public var unsubscribeParameter: String?
    /// Whether the node gives equal requests of one connection one id. Then it sends one notification for all of them,
    /// which each of their streams gets, and is told to end it when the last of them has left.
    public var sharesIDs: Bool
    /// Whether subscriptions begin by telling how things stand: the newest head, a value, an extrinsic's way. Streams of
    /// equal requests do not share one of the node's then, of which the later ones would miss the beginning.
    public var beginsWithState: Bool

    public init(
        unsubscribing: Unsubscribing = .byNamespace,
        unsubscribeParameter: String? = nil,
        sharesIDs: Bool = false,
        beginsWithState: Bool = false
    ) {
        self.unsubscribing = unsubscribing
        self.unsubscribeParameter = unsubscribeParameter
        self.sharesIDs = sharesIDs
        self.beginsWithState = beginsWithState
    }

    /// Ethereum's nodes: geth's pub/sub.
    public static let ethereum = SubscriptionDialect()
    /// Polkadot, Kusama and all others built with Substrate.
    public static let substrate = SubscriptionDialect(unsubscribing: .byMethod, beginsWithState: true)
    /// Solana.
    public static let solana = SubscriptionDialect(unsubscribing: .byMethod, sharesIDs: true)
    /// Starknet, since version 0.8 of its specification.
    public static let starknet = SubscriptionDialect(
        unsubscribeParameter: "subscription_id",
        beginsWithState: true
    )

    /// The dialect that a method's name belongs to, by its look: for tools that are given a name and nothing else.
    public init(ofMethod method: String) {
        if method.hasPrefix("starknet_") {
            self = .starknet
        } else if method.hasSuffix("_subscribe") {
            self = .ethereum
        } else {
            self = method.contains("_") ? .substrate : .solana
        }
    }

    /// The method that ends what `method` makes.
    public func unsubscribeMethod(for method: String) -> String {
        switch self.unsubscribing {
        case .byNamespace:
            guard let end = method.firstIndex(of: "_") else { return "unsubscribe" }
            return method[..<end] + "_unsubscribe"
        case .byMethod:
            for (verb, opposite) in Self.verbs {
                guard let place = Self.place(of: verb, in: method) else { continue }
                return method[..<place.lowerBound] + opposite + method[place.upperBound...]
            }
            return method
        }
    }

    private static let verbs = [
        ("subscribe", "unsubscribe"), ("Subscribe", "Unsubscribe"), ("submitAndWatchExtrinsic", "unwatchExtrinsic"),
        ("submitAndWatch", "unwatch"), ("follow", "unfollow"),
    ]

    private static func place(of verb: String, in method: String) -> Range<String.Index>? {
        var rest = method[...]
        while rest.utf8.count >= verb.utf8.count {
            if rest.hasPrefix(verb) { return rest.startIndex..<rest.index(rest.startIndex, offsetBy: verb.count) }
            rest = rest.dropFirst()
        }
        return nil
    }
}
