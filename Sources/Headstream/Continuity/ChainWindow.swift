package import EthereumTypes

/// The linked run of blocks `base…tip` that a session knows: each block's parent is the one below it.
///
/// Bounded: past its capacity the lowest blocks are forgotten. Block numbers are contiguous; chains with holes in their
/// numbers are not served.
package struct ChainWindow: Sendable {
    private var blocks: [ChainBlock] = []
    /// Blocks at the front of the array that are forgotten and not yet moved out, so that forgetting costs nothing.
    private var dropped = 0
    /// Second names of blocks, by number: what the chain answers with where that is not what it pushed.
    private var aliases: [UInt64: Hash32] = [:]
    /// The most blocks that are remembered.
    package private(set) var capacity: Int

    package init(capacity: Int) {
        self.capacity = max(capacity, 2)
    }

    /// More blocks are to be remembered from now on, never fewer.
    package mutating func raiseCapacity(to capacity: Int) {
        self.capacity = max(self.capacity, capacity)
    }

    package var isEmpty: Bool { self.blocks.count == self.dropped }
    package var count: Int { self.blocks.count - self.dropped }
    package var base: ChainBlock? { self.isEmpty ? nil : self.blocks[self.dropped] }
    package var tip: ChainBlock? { self.blocks.last }

    package subscript(number: UInt64) -> ChainBlock? {
        guard let base = self.base, number >= base.number, number - base.number < UInt64(self.count) else { return nil }
        return self.blocks[self.dropped + Int(number - base.number)]
    }

    /// Whether the block of this number and hash is in the window, under either of its names.
    package func contains(_ number: UInt64, _ hash: Hash32) -> Bool {
        guard let block = self[number] else { return false }
        return block.hash == hash || self.aliases[number] == hash
    }

    /// Whether a block whose parent has this hash links to the window: the parent is in it, or is the base's own parent.
    package func links(_ number: UInt64, parent: Hash32) -> Bool {
        guard number > 0 else { return false }
        if self.contains(number - 1, parent) { return true }
        guard let base = self.base else { return false }
        return base.number == number && base.parentHash == parent
    }

    /// What is known of a number: the block in the window, or the base's parent by its name.
    package func ref(_ number: UInt64) -> BlockRef? {
        if let block = self[number] { return block.ref }
        guard let base = self.base, base.number > 0, number == base.number - 1 else { return nil }
        return BlockRef(number: number, hash: base.parentHash)
    }

    /// A child of the tip. - Returns: false where it is not one, and nothing is changed.
    @discardableResult
    package mutating func append(_ block: ChainBlock) -> Bool {
        if let tip = self.tip {
            guard block.number == tip.number &+ 1, self.contains(tip.number, block.parentHash) else { return false }
        }
        self.blocks.append(block)
        if self.count > self.capacity { self.forgetLowest() }
        return true
    }

    /// The same block as another endpoint tells it.
    package mutating func replace(with block: ChainBlock) {
        guard let known = self[block.number], known.hash == block.hash, let base = self.base else { return }
        self.blocks[self.dropped + Int(block.number - base.number)] = block
    }

    /// The parent of the base. - Returns: false where it is not, or the window is full.
    @discardableResult
    package mutating func prepend(_ block: ChainBlock) -> Bool {
        guard let base = self.base, base.number > 0, block.number == base.number - 1, block.hash == base.parentHash,
            self.count < self.capacity
        else { return false }
        if self.dropped > 0 {
            self.dropped -= 1
            self.blocks[self.dropped] = block
        } else {
            self.blocks.insert(block, at: 0)
        }
        return true
    }

    /// Forgets all blocks above a number. The window may be empty afterwards.
    package mutating func truncate(above number: UInt64) {
        while let tip = self.tip, !self.isEmpty, tip.number > number {
            self.blocks.removeLast()
            self.aliases[tip.number] = nil
        }
        if self.isEmpty { self.removeAll() }
    }

    package mutating func removeAll() {
        self.blocks.removeAll()
        self.dropped = 0
        self.aliases.removeAll()
    }

    /// Gives the block of a number a second name.
    package mutating func setAlias(_ hash: Hash32, for number: UInt64) {
        self.aliases[number] = hash
    }

    /// The name that the node answers to: of a block that was pushed, the other one where there is one.
    package func answeredHash(_ number: UInt64) -> Hash32? {
        guard let block = self[number] else { return nil }
        return block.pushOrder > 0 || block.isOfPeer ? self.aliases[number] ?? block.hash : block.hash
    }

    private mutating func forgetLowest() {
        self.aliases[self.blocks[self.dropped].number] = nil
        self.dropped += 1
        guard self.dropped > 64, self.dropped > self.blocks.count / 4 else { return }
        self.blocks.removeFirst(self.dropped)
        self.dropped = 0
    }
}
