/// Whether a method makes or ends subscriptions, by its name, in any node's dialect.
enum SubscriptionVerb {
    case subscribe
    case unsubscribe

    /// `eth_subscribe`, `logsSubscribe`, `chainHead_v1_follow`, `author_submitAndWatchExtrinsic`… and their opposites;
    /// nil for other methods.
    init?(_ method: String) {
        let method = method.lowercased()
        if ["unsubscribe", "_unfollow", "_unwatch"].contains(where: { method.contains($0) }) {
            self = .unsubscribe
        } else if ["subscribe", "_follow", "_submitandwatch"].contains(where: { method.contains($0) }) {
            self = .subscribe
        } else {
            return nil
        }
    }
}
