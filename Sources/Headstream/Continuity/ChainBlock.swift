package import EthereumTypes

/// A block of the window: its header, and how it came to be known.
///
/// A class because a header is some 800 bytes and is handed around; nothing of it changes, so it may be shared freely.
package final class ChainBlock: Sendable {
    package let header: BlockHeader
    package let number: UInt64
    package let hash: Hash32
    package let parentHash: Hash32
    /// The place of its own head among the facts, where it was pushed and moved the window by itself; 0 where the block
    /// was asked for. Compared with the place of a filter's acknowledgement, it tells whether the node pushes the block's
    /// logs on this connection.
    package let pushOrder: UInt64
    /// The endpoint beside the authority that pushed it first, where one did.
    package let origin: PeerID?

    package init(_ header: BlockHeader, pushOrder: UInt64 = 0, origin: PeerID? = nil) {
        self.header = header
        self.number = header.number
        self.hash = header.hash
        self.parentHash = header.parentHash
        self.pushOrder = pushOrder
        self.origin = origin
    }

    /// Whether another endpoint's header is all that is known of it.
    var isOfPeer: Bool { self.origin != nil && self.pushOrder == 0 }

    /// The block of an answer: nil for `null`, for a failure, and for a header that cannot be one of a chain's. Numbers that
    /// no chain reaches are refused, so that counting from them cannot overflow.
    convenience init?(_ answer: ChainAnswer) {
        guard case .header(let header?) = answer, header.hasHash, header.hasNumber, Self.isPlausible(header) else {
            return nil
        }
        self.init(header)
    }

    static func isPlausible(_ header: BlockHeader) -> Bool { header.number < 1 << 62 }

    package var ref: BlockRef { BlockRef(number: self.number, hash: self.hash, parentHash: self.parentHash) }

    /// Whether its bloom can be asked at all: one of zeros beside transactions says nothing (Polygon, Monad).
    var hasBloom: Bool {
        self.header.present.contains(.logsBloom)
            && (!self.header.logsBloom.isEmpty || self.header.transactionsRoot == BlockHeader.emptyTrieRoot)
    }

    /// Whether the hash is that of the fields by Ethereum's rule.
    private var hasEthereumHash: Bool { self.header.computedHash() == self.hash }

    /// Whether two headers with different hashes are one block, told by a chain whose pushed hash is not the one that it
    /// answers with (ethermint, go-opera): same number, parent, time and state. Where both hashes follow from their fields
    /// they are siblings, whatever they have in common.
    func isSameBlock(as other: ChainBlock) -> Bool {
        self.hash != other.hash && self.number == other.number && self.parentHash == other.parentHash
            && self.header.timestamp == other.header.timestamp && self.header.stateRoot == other.header.stateRoot
            && !self.header.stateRoot.isZero && !(self.hasEthereumHash && other.hasEthereumHash)
    }
}
