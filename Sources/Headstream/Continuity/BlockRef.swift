public import EthereumTypes

/// Which block: its number, its hash, and the hash of the block before it.
public struct BlockRef: Hashable, Sendable, Codable {
    public let number: UInt64
    public let hash: Hash32
    /// Nil where it is not known: of a block that is known only because another names it as its parent.
    public let parentHash: Hash32?

    public init(number: UInt64, hash: Hash32, parentHash: Hash32? = nil) {
        self.number = number
        self.hash = hash
        self.parentHash = parentHash
    }

    /// The block of a header.
    public init(_ header: BlockHeader) {
        self.init(number: header.number, hash: header.hash, parentHash: header.parentHash)
    }
}

extension BlockRef: CustomStringConvertible {
    /// `19000000 (0xcf38…)`: the number, and the first four bytes of the hash.
    public var description: String { "\(self.number) (\(self.hash.description.prefix(10))…)" }
}
