public import EthereumTypes

/// Heads with none missing, as `web3.eth.newHeads()` gives them. Cold: each iteration is a stream of its own; all of a
/// client's share one server subscription.
public struct GaplessHeads: AsyncSequence, Sendable {
    public typealias Element = BlockHeader
    public typealias Failure = Web3Error

    let source: GaplessSource

    public func makeAsyncIterator() -> Iterator {
        Iterator(core: GaplessCore(self.source), plain: PlainHeads(resumedFrom: self.source.wish.start.cursor))
    }

    /// The same stream with everything that happens on it: rollbacks, gaps, finality, losses of the connection,
    /// cursors.
    public var updates: GaplessUpdates<BlockHeader> { self.updates(isToldFinality: true) }

    /// - Parameter isToldFinality: whether the node is asked for its final block now and then.
    package func updates(isToldFinality: Bool) -> GaplessUpdates<BlockHeader> {
        GaplessUpdates(source: self.source.toldFinality(isToldFinality), Self.items)
    }

    /// The same stream block by block, each with its one head.
    public var blocks: GaplessBlocks<BlockHeader> {
        GaplessBlocks(source: self.source, items: Self.items) { $0.number }
    }

    private static let items: @Sendable (ContinuityEvent) -> ArraySlice<BlockHeader> = {
        if case .head(let head) = $0 { [head] } else { [] }
    }

    /// Belongs to one task at a time; copies share its place in the stream.
    public struct Iterator: AsyncIteratorProtocol {
        let core: GaplessCore<BlockHeader>
        private var plain: PlainHeads

        init(core: GaplessCore<BlockHeader>, plain: PlainHeads) {
            self.core = core
            self.plain = plain
        }

        /// The next head; nil at the end, or when the task is cancelled.
        public nonisolated(nonsending) mutating func next(isolation: (any Actor)? = #isolation) async throws(Web3Error)
            -> BlockHeader?
        {
            while let update = try await self.core.nextUpdate() {
                if let head = try self.take(update) { return head }
            }
            return nil
        }

        /// The next head of those that are there; nil where there is none.
        mutating func nextInHand() throws(Web3Error) -> BlockHeader? {
            while let update = self.core.nextBuffered() {
                if let head = try self.take(update) { return head }
            }
            return nil
        }

        private mutating func take(_ update: GaplessFeed.Update) throws(Web3Error) -> BlockHeader? {
            guard case .event(let event) = update else { return nil }
            do throws(PlainStreamFailure) { return try self.plain.take(event) } catch { throw Web3Error(error) }
        }
    }
}

/// Logs with none missing and none twice, as `web3.eth.logs(_:)` gives them.
public struct GaplessLogs: AsyncSequence, Sendable {
    public typealias Element = Log
    public typealias Failure = Web3Error

    let source: GaplessSource

    public func makeAsyncIterator() -> Iterator {
        Iterator(core: GaplessCore(self.source), plain: PlainLogs(resumedFrom: self.source.wish.start.cursor))
    }

    /// The same stream with everything that happens on it: rollbacks, gaps, finality, losses of the connection,
    /// cursors. Logs of orphaned blocks are not told again here: the rollback voids them.
    public var updates: GaplessUpdates<Log> { self.updates(isToldFinality: true) }

    /// - Parameter isToldFinality: whether the node is asked for its final block now and then.
    package func updates(isToldFinality: Bool) -> GaplessUpdates<Log> {
        GaplessUpdates(source: self.source.toldFinality(isToldFinality), Self.items)
    }

    /// The same stream block by block, empty ones included.
    public var blocks: GaplessBlocks<Log> {
        GaplessBlocks(source: self.source, items: Self.items) { $0.blockNumber }
    }

    private static let items: @Sendable (ContinuityEvent) -> ArraySlice<Log> = {
        if case .logs(let logs) = $0 { logs } else { [] }
    }

    /// Belongs to one task at a time; copies share its place in the stream.
    public struct Iterator: AsyncIteratorProtocol {
        let core: GaplessCore<Log>
        private var plain: PlainLogs
        @usableFromInline
        let blank = Log.Decoder.blank

        init(core: GaplessCore<Log>, plain: PlainLogs) {
            self.core = core
            self.plain = plain
        }

        /// The next log; nil at the end, or when the task is cancelled.
        @inlinable
        public nonisolated(nonsending) mutating func next(isolation: (any Actor)? = #isolation) async throws(Web3Error)
            -> Log?
        {
            while true {
                var log = self.blank.value
                if self.take(into: &log) { return log }
                guard try await self.refill() else { return nil }
            }
        }

        @usableFromInline
        func take(into log: inout Log) -> Bool { self.core.takeItem(into: &log) }

        @usableFromInline
        nonisolated(nonsending) mutating func refill() async throws(Web3Error) -> Bool {
            repeat {
                guard let update = try await self.core.nextUpdate() else { return false }
                try self.take(update)
            } while !self.core.hasItem
            return true
        }

        /// The next log of those that are there; nil where there is none.
        mutating func nextInHand() throws(Web3Error) -> Log? {
            while true {
                if let log = self.core.nextItem() { return log }
                guard let update = self.core.nextBuffered() else { return nil }
                try self.take(update)
            }
        }

        private mutating func take(_ update: GaplessFeed.Update) throws(Web3Error) {
            guard case .event(let event) = update else { return }
            do throws(PlainStreamFailure) { self.core.hold(try self.plain.take(event)) } catch {
                throw Web3Error(error)
            }
        }
    }
}

/// What happens on a gapless stream, in order.
public enum GaplessUpdate<Item: Sendable>: Sendable {
    /// A head, or a log.
    case item(Item)
    /// All of this block has been told, items or none.
    case block(BlockRef)
    /// What was told above this block is void; `removed` has the blocks of which something had been told, highest first.
    case rollback(to: BlockRef, removed: [BlockRef])
    /// These blocks are missing. The stream goes on behind them.
    case gap(ClosedRange<UInt64>, GapReason)
    /// All that the node had has been told; from here on it is live.
    case caughtUp
    /// From here on so many blocks wait whose logs were let go, because the consumer was slow and its buffer full: they are
    /// fetched again as it reads. Nothing is lost.
    case lagged(blocks: UInt64)
    /// This block, which was told before, and all below it cannot be reorganised any more. The node is asked now and then
    /// when a head comes, as seldom as its finality moves; of a chain without finality nothing is told.
    case finalized(BlockRef)
    /// The place to resume from has moved: keep it with what was made of the items before.
    case progress(Cursor)
    /// Something that the node said of this block did not stand up to ``Verification``. What is wrong is not used.
    case unverified(BlockRef, VerificationFailure)
    /// The connection is lost; what is missed meanwhile is fetched.
    case disconnected(Web3Error)
    /// It stands again.
    case reconnected
    /// No endpoint has a newer block than the last for a while, so that nothing can be told. Once, until a block comes.
    case stalled
    /// This endpoint's head is not on the branch of the one that the client is connected to: ``EndpointPolicy/firstArrival``.
    /// Once until it is again. What is told is the latter's.
    case diverged(Endpoint, BlockRef)
}

/// A gapless stream's updates.
public struct GaplessUpdates<Item: Sendable>: AsyncSequence, Sendable {
    public typealias Element = GaplessUpdate<Item>
    public typealias Failure = Web3Error

    let source: GaplessSource
    /// The items of an event; none where it is another.
    let items: @Sendable (ContinuityEvent) -> ArraySlice<Item>

    init(source: GaplessSource, _ items: @escaping @Sendable (ContinuityEvent) -> ArraySlice<Item>) {
        self.source = source
        self.items = items
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(core: GaplessCore(self.source), items: self.items)
    }

    /// Belongs to one task at a time; copies share its place in the stream.
    public struct Iterator: AsyncIteratorProtocol {
        let core: GaplessCore<Item>
        let items: @Sendable (ContinuityEvent) -> ArraySlice<Item>

        /// The next update; nil at the end, or when the task is cancelled.
        public nonisolated(nonsending) mutating func next(isolation: (any Actor)? = #isolation) async throws(Web3Error)
            -> GaplessUpdate<Item>?
        {
            while true {
                if let item = self.core.nextItem() { return .item(item) }
                guard let update = try await self.core.nextUpdate() else { return nil }
                switch update {
                case .disconnected(let error): return .disconnected(error)
                case .reconnected: return .reconnected
                case .stalled: return .stalled
                case .diverged(let endpoint, let block): return .diverged(endpoint, block)
                case .event(let event): if let told = try self.update(event) { return told }
                }
            }
        }

        private func update(_ event: ContinuityEvent) throws(Web3Error) -> GaplessUpdate<Item>? {
            switch event {
            case .head, .logs:
                self.core.hold(self.items(event))
                return nil
            case .passed(let block): return .block(block)
            case .rollback(let to, let removed): return .rollback(to: to, removed: removed)
            case .gap(let range, let reason): return .gap(range, reason)
            case .caughtUp: return .caughtUp
            case .lagged(let blocks): return .lagged(blocks: blocks)
            case .finalized(let block): return .finalized(block)
            case .progress(let cursor): return .progress(cursor)
            case .unverified(let block, let failure): return .unverified(block, failure)
            case .failed(let failure): throw Web3Error(failure)
            }
        }
    }
}
