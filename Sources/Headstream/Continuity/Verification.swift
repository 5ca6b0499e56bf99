import EthereumTypes

/// How far a gapless stream checks what the node says, beyond the links between blocks.
public enum Verification: Sendable, Hashable, CaseIterable {
    /// A block is its hash, as the node tells it.
    case off
    /// A header's fields give its hash (RLP and Keccak-256), and logs are in its bloom.
    case headers
    /// Besides, the logs of each block of a stream of logs are asked for without a filter, and make up the bloom exactly. So
    /// no address and no topic can be withheld. It costs a call for each block whose bloom may match.
    case logs
}

/// What a check found.
public enum VerificationFailure: Sendable, Hashable {
    /// The header's fields do not give its hash. It is not used; the node is asked.
    case header
    /// A log is not in its block's bloom, or with `.logs` the logs do not make it up. They are not used; the node is asked.
    case logs
    /// The chain's hashes follow another rule than Ethereum's, as far as is known: they cannot be checked. Told once.
    case unverifiable
}

/// Checks headers of one chain.
struct HeaderCheck: Sendable {
    enum Verdict: Sendable, Hashable {
        case verified
        case wrong
        /// Not by Ethereum's rule, on a chain where no header has been so far.
        case unverifiable
    }

    /// Whether a header has matched: from then on one that does not is wrong.
    private(set) var hasMatched = false

    mutating func check(_ header: BlockHeader) -> Verdict {
        if header.computedHash() == header.hash {
            self.hasMatched = true
            return .verified
        }
        return self.hasMatched ? .wrong : .unverifiable
    }

    /// Whether these logs, all of one block, may be all or some of the block's.
    ///
    /// - Parameter areAll: whether there are no others.
    func admits(_ logs: [Log], in header: BlockHeader, areAll: Bool) -> Bool {
        guard self.hasMatched, header.present.contains(.logsBloom) else { return true }
        let bloom = Bloom(of: logs)
        return areAll ? header.logsBloom == bloom : header.logsBloom.isSuperset(of: bloom)
    }
}
