import HeadstreamJSON

extension NodeError {
    /// The error that a caller gets: a rate limit and a used-up quota are told apart from other refusals.
    ///
    /// Providers have no common code, and one code means different things to them: -32005 is a rate limit (Infura), a
    /// result that is too large (Infura, EIP-1474) or a full pool; -32012 and -32016 are rate limits (QuickNode,
    /// Alchemy's peers), a block range and a missing key (Goldsky). So the text is asked first, the code then. What a
    /// contract says when it reverts is not the node's word.
    package var rpcError: RPCError {
        let text = String(self.message.prefix(1024)).lowercased()
        func says(_ phrases: [String]) -> Bool { phrases.contains { text.contains($0) } }
        func error(_ code: RPCError.Code, retryAfter: Duration? = nil) -> RPCError {
            RPCError(code, self.message, node: self, retryAfter: retryAfter)
        }

        if self.code == 3 || says(Self.unrelated) { return error(.node) }
        let isRate = says(Self.rates)
        if !isRate, says(Self.tooLarge) { return error(.node) }
        if !isRate, says(Self.quotas) || (says(Self.periods) && says(Self.exceeded)) { return error(.quotaExhausted) }
        if isRate || self.isLimitCode || says(Self.limits) || text.isOnlyLimitExceeded {
            return error(.rateLimited, retryAfter: self.retryAfter(text))
        }
        return error(.node)
    }

    private var isLimitCode: Bool {
        switch self.code {
        case 429, -32005, -32007, -32012, -32016, -32605, 1008, 1015: true
        default: false
        }
    }

    /// Errors of the call itself, whatever words they use.
    private static let unrelated = [
        "revert", "out of gas", "gas limit", "gas required", "intrinsic gas", "unauthorized", "unauthenticated",
        "invalid api key", "oversized data", "initcode", "nonce", "txpool is full",
    ]
    /// A result or a range of blocks that is too large: to be split, not repeated.
    private static let tooLarge = [
        "returned more than", "more than 10000", "too many results", "too many logs", "block range", "blocks range",
        "range is too", "range too", "range limit", "range exceed", "exceeds the range", "exceeds max", "response size",
        "result size", "response is too", "response too", "too large", "payload", "content length", "maximum block",
        "max block", "max results", "query timeout",
    ]
    /// Rates: refusals that pass within seconds.
    private static let rates = [
        "per second", "/second", "/sec", "per minute", "/minute", "/min", "per-second", "request rate exceeded", " rps",
        "rps limit", "concurrent request", "rate of requests",
    ]
    private static let quotas = [
        "quota", "capacity limit exceeded", "capacity exceeded", "out of credit", "credits exhausted",
        "insufficient credit", "no credits", "usage limit", "plan limit", "limit of your plan", "billing",
    ]
    private static let periods = ["daily", "monthly", "per day", "per month", "/day", "/month"]
    private static let exceeded = ["limit", "exceed", "reached", "used up", "exhausted"]
    private static let limits = [
        "rate limit", "rate-limit", "ratelimit", "rate exceeded", "too many request", "too many connection",
        "too many concurrent", "request limit", "throughput", "throttle", "slow down", "compute units",
    ]

    /// How long the node asks to wait: a member of `data`, or a number of seconds in the text.
    private func retryAfter(_ text: String) -> Duration? {
        if let data = self.data, let found = Self.delay(in: data, depth: 0) { return found }
        for phrase in ["try again in ", "retry after ", "retry in ", "retry-after: ", "wait "] {
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

    /// `10`, `10s`, `1.5 seconds`, `250ms`, `2m`.
    private static func delay(_ text: Substring) -> Duration? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let number = Double(digits) else { return nil }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }
        if unit.hasPrefix("ms") || unit.hasPrefix("milli") { return Self.bounded(number / 1000) }
        if unit.hasPrefix("m") { return Self.bounded(number * 60) }
        if unit.hasPrefix("h") { return Self.bounded(number * 3600) }
        return Self.bounded(number)
    }

    /// At most a day, whatever the node says.
    private static func bounded(_ seconds: Double) -> Duration? {
        guard seconds.isFinite, seconds >= 0 else { return nil }
        return .milliseconds(Int64(min(seconds, 86_400) * 1000))
    }
}

extension String {
    /// `limit exceeded` and nothing more, as public BSC nodes say it.
    fileprivate var isOnlyLimitExceeded: Bool { self == "limit exceeded" || self == "request limit exceeded" }
}
