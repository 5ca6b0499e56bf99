public import EthereumTypes

/// An error of a simulated node, as JSON-RPC has it.
public struct SimulatedNodeError: Error, Hashable, Sendable {
    public let code: Int
    public let message: String
}

extension SimulatedChain {
    /// What ``drawLag()`` says of a backend that stands on a sibling of the newest block.
    public static let onSibling = -1

    /// A backend as it was some changes of the head ago; 0 is up to date.
    /// - Parameter highest: above it the backend knows nothing.
    func view(_ lag: Int, upTo highest: UInt64? = nil) -> [SimulatedBlock] {
        var chain = self.views[max(self.views.count - 1 - max(lag, 0), 0)]
        if lag == Self.onSibling, let sibling = self.sibling { chain[chain.count - 1] = sibling }
        guard let highest, let last = chain.last, last.number > highest else { return chain }
        return Array(chain.prefix { $0.number <= highest })
    }

    /// How far behind the backend is that answers next, at random within ``SimulatedQuirks/lag``; or ``onSibling``.
    public mutating func drawLag() -> Int {
        if self.quirks.siblings > 0, self.random.below(100) < self.quirks.siblings { return Self.onSibling }
        return self.quirks.lag > 0 ? self.random.below(self.quirks.lag + 1) : 0
    }

    /// The block of a tag or number; nil where the backend has none.
    /// - Parameter highest: above it the backend knows nothing.
    public mutating func block(_ tag: BlockTag, lag: Int = 0, upTo highest: UInt64? = nil) -> SimulatedBlock? {
        let chain = self.view(lag, upTo: highest)
        guard let first = chain.first, let last = chain.last else { return nil }
        let number: UInt64
        switch tag {
        case .latest, .pending: return last
        case .earliest: return first
        case .safe:
            number = last.number >= self.quirks.finalityDepth / 2 ? last.number - self.quirks.finalityDepth / 2 : 0
        case .finalized:
            let depth = self.quirks.finalityDepth
            self.finalized = max(self.finalized, last.number >= depth ? last.number - depth : 0)
            let isBack =
                self.quirks.finalityMovesBack > 0 && self.random.below(100) < self.quirks.finalityMovesBack
            number = isBack ? self.finalized - min(self.finalized, 3) : min(self.finalized, last.number)
        case .number(let wanted): number = wanted
        }
        guard number >= first.number, number <= last.number else {
            return tag == .safe || tag == .finalized ? first : nil
        }
        return chain[Int(number - first.number)]
    }

    /// The block of a hash, orphans included; nil where the backend does not know it.
    /// - Parameter highest: above it the backend knows nothing.
    public func block(_ hash: Hash32, lag: Int = 0, upTo highest: UInt64? = nil) -> SimulatedBlock? {
        if lag == Self.onSibling, let sibling = self.sibling, sibling.hash == hash, sibling.number <= highest ?? .max {
            return sibling
        }
        guard let block = self.blocks[hash], block.number <= highest ?? .max else { return nil }
        let chain = self.view(lag)
        if let first = chain.first, let last = chain.last, block.number >= first.number, block.number <= last.number,
            chain[Int(block.number - first.number)] === block
        {
            return block
        }
        // A backend that lags has not heard of newer blocks; it may have seen those that were left.
        if self.quirks.forgetsOrphans || lag != 0 { return nil }
        return block
    }

    /// The answer to `eth_getLogs`: of a range what the backend has of it, without an error where that is not all.
    /// - Parameter highest: above it the backend knows nothing.
    public mutating func logs(
        _ filter: LogFilter,
        lag: Int = 0,
        upTo highest: UInt64? = nil
    ) throws(SimulatedNodeError) -> [Log] {
        let chain = self.view(lag, upTo: highest)
        guard let first = chain.first, let last = chain.last else { return [] }
        var found: [Log] = []
        switch filter.blocks {
        case .hash(let hash):
            guard let block = self.block(hash, lag: lag, upTo: highest) else {
                if self.quirks.emptyForUnknownBlocks { return [] }
                throw SimulatedNodeError(code: -32000, message: "unknown block")
            }
            if block.number + self.quirks.unindexedBlocks > last.number { return [] }
            found = block.logs
        case .unspecified: found = last.logs
        case .range(let from, let to):
            let lowest = self.number(from, first, last)
            let highest = self.number(to, first, last)
            guard lowest <= highest else { return [] }
            if let most = self.quirks.maxRange, highest - lowest >= most {
                throw SimulatedNodeError(code: -32600, message: "block range too large, limit \(most) blocks")
            }
            for block in chain where block.number >= lowest && block.number <= highest {
                if block.number + self.quirks.unindexedBlocks <= last.number { found += block.logs }
            }
        }
        var wanted = filter
        wanted.blocks = .unspecified
        let matching = found.filter { wanted.matches($0) }
        if let most = self.quirks.maxResults, matching.count > most {
            throw SimulatedNodeError(code: -32005, message: "query returned more than \(most) results")
        }
        return matching
    }

    private func number(_ tag: BlockTag, _ first: SimulatedBlock, _ last: SimulatedBlock) -> UInt64 {
        switch tag {
        case .number(let number): number
        case .earliest: first.number
        case .latest, .pending, .safe, .finalized: last.number
        }
    }

    /// The logs of the whole chain that a filter matches, from a block on.
    public func canonicalLogs(_ filter: LogFilter, from number: UInt64 = 0) -> [Log] {
        self.canonical.lazy.filter { $0.number >= number }.flatMap(\.logs).filter { filter.matches($0) }
    }
}

extension SimulatedChain {
    /// A block that the chain has or had, by either of its hashes where it is pushed with another than it is answered with.
    public func anyBlock(_ hash: Hash32) -> SimulatedBlock? {
        self.blocks[hash] ?? self.byPushedHash[hash] ?? self.siblings[hash]
    }
}
