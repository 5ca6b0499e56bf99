import EthereumTypes

/// A place in a stream to go on from, in another process if need be.
///
/// Keep it together with what was made of the items before it, in one transaction. A stream that resumes from it first
/// tells a rollback to ``block``, or to the highest of its ``ancestors`` where the block is no longer on the chain; what
/// was made of later items is void. Then it goes on behind that block. So what is folded from before and after is as if
/// there had been one stream.
public struct Cursor: Hashable, Sendable, Codable {
    /// The last block of which everything had been told, and checked.
    public let block: BlockRef
    /// Blocks below it, highest first: 1, 2, 4, 8… below, as far as they are remembered, or down to the finalized one.
    public let ancestors: [BlockRef]

    public init(block: BlockRef, ancestors: [BlockRef] = []) {
        self.block = block
        self.ancestors = ancestors
    }

    /// The block and its ancestors, highest first.
    var candidates: [BlockRef] { [self.block] + self.ancestors }
}

extension Cursor: CustomStringConvertible {
    public var description: String { "behind block \(self.block)" }
}
