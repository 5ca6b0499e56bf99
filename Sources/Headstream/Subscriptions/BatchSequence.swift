public import EthereumTypes

/// A stream's items in batches, as `batches(upTo:)` gives them: for consumers that write to a database.
///
/// ```swift
/// for try await logs in web3.eth.logs(filter).batches(upTo: 1000) {
///     try await database.insert(logs)
/// }
/// ```
///
/// A batch is what is there now, at least one item and at most as many as asked for: it never waits to fill up. A
/// consumer that keeps up gets items one by one; a slow one gets ever larger batches, and so catches up.
///
/// An item that cannot be read ends its batch: the items before it are given first, then its error is thrown, and an
/// iterator that is asked again goes on behind it.
public struct BatchSequence<Item: Sendable>: AsyncSequence, Sendable {
    public typealias Element = [Item]
    public typealias Failure = Web3Error

    private let limit: Int
    private let makeSource: @Sendable () -> (any BatchSource<Item>)?

    /// - Parameter makeSource: gives nil where the stream was iterated already.
    init(upTo limit: Int, _ makeSource: @escaping @Sendable () -> (any BatchSource<Item>)?) {
        self.limit = Swift.max(1, limit)
        self.makeSource = makeSource
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(source: self.makeSource(), limit: self.limit)
    }

    /// Belongs to one task at a time; copies share its place in the stream.
    public struct Iterator: AsyncIteratorProtocol {
        let source: (any BatchSource<Item>)?
        let limit: Int

        /// The next batch, never empty; nil at the end, or when the task is cancelled.
        public nonisolated(nonsending) mutating func next(isolation: (any Actor)? = #isolation) async throws(Web3Error)
            -> [Item]?
        {
            guard let source = self.source else {
                throw Web3Error(.misuse, "a subscription is iterated once; use the cold streams for independent ones")
            }
            return try await source.nextBatch(upTo: self.limit)
        }
    }
}

/// What batches are taken from.
protocol BatchSource<Item>: AnyObject {
    associatedtype Item: Sendable

    func nextBatch(upTo limit: Int) async throws(Web3Error) -> [Item]?
}

extension StreamCore: BatchSource {
    typealias Item = Decoder.Element
}

/// Batches of a gapless stream.
private final class GaplessBatchSource<Item: Sendable, Base: GaplessItemIterator<Item>>: BatchSource {
    private var base: Base
    /// What ended a batch, to be thrown behind it.
    private var failure: Web3Error?

    init(_ base: Base) {
        self.base = base
    }

    func nextBatch(upTo limit: Int) async throws(Web3Error) -> [Item]? {
        if let failure = self.failure.take() { throw failure }
        guard let first = try await self.base.next(isolation: #isolation) else { return nil }
        var batch = [first]
        do throws(Web3Error) {
            while batch.count < limit, let item = try self.base.nextInHand() { batch.append(item) }
        } catch {
            self.failure = error
        }
        return batch
    }
}

/// An iterator that knows what is there without waiting.
protocol GaplessItemIterator<Item> {
    associatedtype Item: Sendable

    nonisolated(nonsending) mutating func next(isolation: (any Actor)?) async throws(Web3Error) -> Item?
    mutating func nextInHand() throws(Web3Error) -> Item?
}

extension GaplessHeads.Iterator: GaplessItemIterator {}
extension GaplessLogs.Iterator: GaplessItemIterator {}

extension GaplessHeads {
    /// The same stream in batches of what is there, at most `limit` heads and never none; see ``BatchSequence``. A gap comes
    /// behind the heads before it.
    public func batches(upTo limit: Int) -> BatchSequence<BlockHeader> {
        BatchSequence(upTo: limit) { GaplessBatchSource(self.makeAsyncIterator()) }
    }
}

extension GaplessLogs {
    /// The same stream in batches of what is there, at most `limit` logs and never none; see ``BatchSequence``. A gap comes
    /// behind the logs before it.
    public func batches(upTo limit: Int) -> BatchSequence<Log> {
        BatchSequence(upTo: limit) { GaplessBatchSource(self.makeAsyncIterator()) }
    }
}

extension HeadSequence {
    /// The same stream in batches of what is there, at most `limit` heads and never none; see ``BatchSequence``.
    public func batches(upTo limit: Int) -> BatchSequence<BlockHeader> {
        BatchSequence(upTo: limit) { self.makeAsyncIterator().core }
    }
}

extension LogSequence {
    /// The same stream in batches of what is there, at most `limit` logs and never none; see ``BatchSequence``.
    public func batches(upTo limit: Int) -> BatchSequence<Log> {
        BatchSequence(upTo: limit) { self.makeAsyncIterator().core }
    }
}

extension NotificationSequence {
    /// The same stream in batches of what is there, at most `limit` items and never none; see ``BatchSequence``.
    public func batches(upTo limit: Int) -> BatchSequence<Element> {
        BatchSequence(upTo: limit) { self.makeAsyncIterator().core }
    }
}

extension Subscription {
    /// The same stream in batches of what is there, at most `limit` items and never none; see ``BatchSequence``. It is
    /// the one iteration that there is.
    public func batches(upTo limit: Int) -> BatchSequence<Element> {
        BatchSequence(upTo: limit) { self.makeAsyncIterator().core }
    }
}
