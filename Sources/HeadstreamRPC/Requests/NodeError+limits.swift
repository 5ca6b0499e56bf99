import HeadstreamJSON

extension NodeError {
    /// The error that a caller gets: a rate limit and a used-up quota are told apart from other refusals.
    ///
    /// Providers have no common code. Known ones: 429; -32005, -32007, -32012, -32016 and 1008 (Infura, QuickNode,
    /// Alchemy and others), where -32005 also stands for a result that is too large; some say it in the text alone.
    package var rpcError: RPCError {
        let text = self.message.lowercased()
        func says(_ phrases: [String]) -> Bool { phrases.contains { text.contains($0) } }

        if says(Self.tooLarge) { return RPCError(.node, self.message, node: self) }
        if says(Self.quota) { return RPCError(.quotaExhausted, self.message, node: self) }
        if Self.limitCodes.contains(self.code) || says(Self.limits) {
            return RPCError(.rateLimited, self.message, node: self, retryAfter: self.retryAfter(text))
        }
        return RPCError(.node, self.message, node: self)
    }

    private static let limitCodes: Set<Int64> = [429, -32005, -32007, -32012, -32016, 1008]
    private static let tooLarge = [
        "more than", "too many results", "range", "response size", "result size", "too large", "log response",
    ]
    private static let quota = [
        "daily request count", "daily limit", "monthly", "quota", "capacity limit exceeded", "out of credits",
        "credits exhausted", "upgrade your plan", "usage limit",
    ]
    private static let limits = [
        "rate limit", "rate-limit", "ratelimit", "too many requests", "compute units per second", "request limit",
        "requests per second", "limit exceeded", "throughput", "slow down", "try again in",
    ]

    /// How long the node asks to wait: a member of `data`, or a number of seconds in the text.
    private func retryAfter(_ text: String) -> Duration? {
        if let data = self.data, let found = Self.delay(in: data, depth: 0) { return found }
        for phrase in ["try again in ", "retry after ", "retry in "] {
            guard let range = text.firstRange(of: phrase) else { continue }
            if let found = Self.delay(text[range.upperBound...]) { return found }
        }
        return nil
    }

    private static let delayKeys: Set<String> = [
        "backoff_seconds", "retry_after", "retryafter", "retry-after", "try_again_in", "retry_after_seconds",
    ]

    private static func delay(in value: JSONValue, depth: Int) -> Duration? {
        guard depth < 4, case .object(let members) = value else { return nil }
        for (key, member) in members {
            if Self.delayKeys.contains(key.lowercased()) {
                switch member {
                case .number(let number):
                    if let seconds = number.double { return Self.bounded(seconds) }
                case .string(let string):
                    if let found = Self.delay(Substring(string)) { return found }
                default: break
                }
            }
            if let found = Self.delay(in: member, depth: depth + 1) { return found }
        }
        return nil
    }

    /// `10`, `10s`, `1.5 seconds`, `250ms`.
    private static func delay(_ text: Substring) -> Duration? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let number = Double(digits) else { return nil }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }
        if unit.hasPrefix("ms") || unit.hasPrefix("milli") { return Self.bounded(number / 1000) }
        if unit.hasPrefix("m") { return Self.bounded(number * 60) }
        return Self.bounded(number)
    }

    /// At most a day, whatever the node says.
    private static func bounded(_ seconds: Double) -> Duration? {
        guard seconds.isFinite, seconds >= 0 else { return nil }
        return .milliseconds(Int64(min(seconds, 86_400) * 1000))
    }
}
