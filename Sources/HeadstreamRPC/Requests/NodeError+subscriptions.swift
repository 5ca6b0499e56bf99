import HeadstreamJSON

extension NodeError {
    /// Whether it refuses a subscription because its connection has as many as it may have, so that another connection may
    /// take it.
    ///
    /// There is no common code, and -32006 and -32005 mean other things too, so the text decides:
    ///
    /// - jsonrpsee, and with it Reth and the nodes of Substrate: -32006, `Too many subscriptions on the connection`, with
    ///   `Exceeded max limit of 1024` as data.
    /// - Hedera's JSON-RPC relay: `Exceeded maximum allowed subscriptions`.
    /// - CometBFT, for nodes built on it: `max_subscriptions_per_client 5 reached`.
    /// - Hosted nodes document a number for each connection (Alchemy 1,000) and say it in their own words.
    ///
    /// A filter that is too long, a rate and a plan that is used up are no such cap. Nor is a number for the whole node, but
    /// that cannot always be told: then the next connection refuses its first subscription.
    package var isSubscriptionCap: Bool {
        var text = String(self.message.prefix(1024)).lowercased()
        if case .string(let data)? = self.data { text += " " + String(data.prefix(256)).lowercased() }
        func says(_ phrases: [String]) -> Bool { phrases.contains { text.contains($0) } }
        return says(["subscription"]) && says(Self.caps) && !says(Self.otherLimits)
    }

    private static let caps = ["too many", "limit", "max", "exceed"]
    /// Of the filter, of the rate, of the account, of the node.
    private static let otherLimits = [
        "address", "topic", "too large", "too long", "params", "per second", "/second", "per minute", "/minute", "rate",
        "quota", "plan", "tier", "monthly", "daily", "billing", "credit", "per node", "globally",
    ]
}
