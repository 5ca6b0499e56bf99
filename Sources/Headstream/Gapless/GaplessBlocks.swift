/// A block of a gapless stream: which it is, and what of it the stream tells.
public struct GaplessBlock<Item: Sendable>: Sendable {
    public let ref: BlockRef
    /// In their order in the block. Of a stream of logs none where nothing matched; of a stream of heads the one header.
    public let items: [Item]

    public init(ref: BlockRef, items: [Item]) {
        self.ref = ref
        self.items = items
    }
}

extension GaplessBlock: Equatable where Item: Equatable {}
extension GaplessBlock: Hashable where Item: Hashable {}

/// A gapless stream block by block, as ``GaplessLogs/blocks`` gives it: one element a block, empty ones included, each
/// once it is known to its end.
///
/// Each block's parent is the block before it. One whose number is not above that of the block before voids what was told
/// from its number up: its branch has won, or what was told of it was wrong. At a gap the loop throws. ``updates`` tell
/// rollbacks as such, and go on at gaps.
public struct GaplessBlocks<Item: Sendable>: AsyncSequence, Sendable {
    public typealias Element = GaplessBlock<Item>
    public typealias Failure = Web3Error

    let source: GaplessSource
    let items: @Sendable (ContinuityEvent) -> ArraySlice<Item>
    let number: @Sendable (Item) -> UInt64?

    public func makeAsyncIterator() -> Iterator {
        Iterator(
            base: self.updates(isToldFinality: false).makeAsyncIterator(),
            resumed: self.source.wish.start.cursor?.block
        )
    }

    /// The same with everything that happens on the stream. An ``GaplessUpdate/item(_:)`` is a whole block, so
    /// ``GaplessUpdate/block(_:)`` does not come, and rollbacks name blocks that were told whole.
    public var updates: GaplessBlockUpdates<Item> { self.updates(isToldFinality: true) }

    func updates(isToldFinality: Bool) -> GaplessBlockUpdates<Item> {
        let updates = GaplessUpdates(source: self.source.toldFinality(isToldFinality), self.items)
        return GaplessBlockUpdates(updates: updates, number: self.number)
    }

    /// Belongs to one task at a time; copies share its place in the stream.
    public struct Iterator: AsyncIteratorProtocol {
        private var base: GaplessBlockUpdates<Item>.Iterator
        /// The block that the stream was resumed behind, until something was told.
        private var resumed: BlockRef?

        init(base: GaplessBlockUpdates<Item>.Iterator, resumed: BlockRef?) {
            self.base = base
            self.resumed = resumed
        }

        /// The next block; nil at the end, or when the task is cancelled.
        public nonisolated(nonsending) mutating func next(isolation: (any Actor)? = #isolation) async throws(Web3Error)
            -> GaplessBlock<Item>?
        {
            while let update = try await self.base.next() {
                switch update {
                case .item(let block):
                    self.resumed = nil
                    return block
                case .gap(let range, let reason): throw Web3Error(PlainStreamFailure.gap(range, reason))
                case .rollback(let to, _):
                    if let resumed, to.number < resumed.number {
                        throw Web3Error(PlainStreamFailure.cursorOrphaned(to))
                    }
                case .unverified(let block, .unverifiable):
                    throw Web3Error(PlainStreamFailure.unverifiable(block))
                case .block, .caughtUp, .finalized, .lagged, .progress, .unverified, .disconnected, .reconnected,
                    .stalled, .diverged:
                    continue
                }
            }
            return nil
        }
    }
}

/// A gapless stream's updates, block by block.
public struct GaplessBlockUpdates<Item: Sendable>: AsyncSequence, Sendable {
    public typealias Element = GaplessUpdate<GaplessBlock<Item>>
    public typealias Failure = Web3Error

    let updates: GaplessUpdates<Item>
    let number: @Sendable (Item) -> UInt64?

    public func makeAsyncIterator() -> Iterator {
        Iterator(base: self.updates.makeAsyncIterator(), assembly: BlockAssembly(self.number))
    }

    /// Belongs to one task at a time; copies share its place in the stream.
    public struct Iterator: AsyncIteratorProtocol {
        private var base: GaplessUpdates<Item>.Iterator
        private var assembly: BlockAssembly<Item>

        init(base: GaplessUpdates<Item>.Iterator, assembly: BlockAssembly<Item>) {
            self.base = base
            self.assembly = assembly
        }

        /// The next update; nil at the end, or when the task is cancelled.
        public nonisolated(nonsending) mutating func next(isolation: (any Actor)? = #isolation) async throws(Web3Error)
            -> GaplessUpdate<GaplessBlock<Item>>?
        {
            while let update = try await self.base.next() {
                if let told = self.assembly.take(update) { return told }
            }
            return nil
        }
    }
}

/// Makes whole blocks of a stream's items.
package struct BlockAssembly<Item: Sendable>: Sendable {
    private let number: @Sendable (Item) -> UInt64?
    /// Of the block that is being told, and its number.
    private var items: [Item] = []
    private var current: UInt64?

    package init(_ number: @escaping @Sendable (Item) -> UInt64?) {
        self.number = number
    }

    /// What an update is, block by block; nil where it is nothing yet.
    package mutating func take(_ update: GaplessUpdate<Item>) -> GaplessUpdate<GaplessBlock<Item>>? {
        switch update {
        case .item(let item):
            self.current = self.number(item)
            self.items.append(item)
            return nil
        case .block(let ref):
            defer { self.forget() }
            return .item(GaplessBlock(ref: ref, items: self.items))
        case .rollback(let to, var removed):
            let unfinished = self.current
            self.forget()
            if let unfinished, removed.first?.number == unfinished {
                // Nobody was told of it.
                removed.removeFirst()
                if removed.isEmpty, to.number &+ 1 == unfinished { return nil }
            }
            return .rollback(to: to, removed: removed)
        case .gap(let range, let reason):
            self.forget()
            return .gap(range, reason)
        case .caughtUp: return .caughtUp
        case .lagged(let blocks): return .lagged(blocks: blocks)
        case .finalized(let block): return .finalized(block)
        case .progress(let cursor): return .progress(cursor)
        case .unverified(let block, let failure): return .unverified(block, failure)
        case .disconnected(let error): return .disconnected(error)
        case .reconnected: return .reconnected
        case .stalled: return .stalled
        case .diverged(let endpoint, let block): return .diverged(endpoint, block)
        }
    }

    private mutating func forget() {
        self.items = []
        self.current = nil
    }
}
