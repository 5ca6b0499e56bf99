package import EthereumTypes

/// A batch of calls that the machine wants made, in this order, as one JSON-RPC batch, so that one backend answers it.
package struct ChainRequest: Sendable, Equatable {
    /// Comes back with the answers. Never used twice, so that an answer from an older connection is known as such.
    package let token: UInt64
    package let calls: [ChainCall]
}

package enum ChainCall: Sendable, Hashable {
    /// `eth_getBlockByNumber`, without transactions, of a number or `latest`, `safe`, `finalized`.
    case header(BlockTag)
    /// `eth_getBlockByHash`, without transactions.
    case headerByHash(Hash32)
    /// `eth_getLogs`; the filter names its blocks, one by hash or a range by numbers.
    case logs(LogFilter)
    /// The same of a range; of the answer only the keys are wanted.
    case logKeys(LogFilter)
}

package enum ChainAnswer: Sendable {
    /// Nil is the node's `null`: it does not know the block.
    case header(BlockHeader?)
    case logs([Log])
    /// Of the logs that the filter wants, block by block in the answer's order.
    case logKeys([BlockLogKeys])
    case failure(ChainFailure)
}

/// Why a call had no result. What only the connection's end explains is not here: `connectionLost` ends all requests.
package enum ChainFailure: Sendable, Hashable {
    /// More results than the node gives at once.
    case tooManyResults
    /// More blocks than the node looks at once; the most it would, where it said.
    case rangeTooLarge(limit: UInt64?)
    /// Nothing is to be asked for so many nanoseconds.
    case rateLimited(retryAfter: UInt64?)
    case other

    /// What a node's error means, by its code and, since codes are shared by many errors, its text (edge cases 74, 114).
    package init(code: Int, message: String) {
        let text = message.lowercased()
        func says(_ parts: String...) -> Bool { parts.contains { text.contains($0) } }
        if code == 429 || code == -32012 || code == -32016 || code == -32007
            || says("rate limit", "too many requests", "request limit", "compute units per second", "capacity")
        {
            self = .rateLimited(retryAfter: nil)
        } else if says("block range", "range is too", "range too", "blocks range", "exceed maximum block", "max range")
        {
            self = .rangeTooLarge(limit: Self.blocks(in: text))
        } else if code == -32005
            || says(
                "more than",
                "too many",
                "response size",
                "limit exceeded",
                "too large",
                "exceeds the limit",
                "timeout"
            )
        {
            self = .tooManyResults
        } else {
            self = .other
        }
    }

    /// The number of blocks that an error's text names as the limit: the first number below 100,000 that it holds.
    private static func blocks(in text: String) -> UInt64? {
        for part in text.split(whereSeparator: { !$0.isASCII || !($0.isNumber || $0 == "," || $0 == "x") }) {
            let digits = part.filter { $0 != "," }
            if let number = UInt64(digits), number > 0, number < 100_000 { return number }
        }
        return nil
    }
}
