public import EthereumTypes
import HeadstreamRPC

/// Logs of new blocks as the node pushes them: `web3.eth.logs(_:continuity: .live)`.
///
/// It is cold: each iteration subscribes when it begins, and unsubscribes when the iterator goes: by `break`, an error,
/// cancellation or leaving the scope. Equal ones share one of the node's subscriptions, each with its own buffer. The
/// connection stays open meanwhile.
///
/// An item that cannot be read is thrown; an iterator that is asked again goes on behind it. When the connection ends,
/// what is buffered is still delivered, and then the reason is thrown.
public struct LogSequence: AsyncSequence, Sendable {
    public typealias Element = Log
    public typealias Failure = Web3Error

    let session: Session
    let request: LogsRequest
    let options: BufferOptions

    public func makeAsyncIterator() -> Iterator {
        Iterator(
            core: StreamCore(self.session, self.request, self.options, Log.Decoder(sharing: self.session.shapes.share))
        )
    }

    /// The same stream with what happens between the items: losses, and items that could not be read.
    public var updates: Updates {
        Updates(logs: self)
    }

    /// Belongs to one task at a time; copies share its place in the stream.
    public struct Iterator: AsyncIteratorProtocol {
        let core: StreamCore<Log.Decoder>
        @usableFromInline
        let blank = Log.Decoder.blank

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
        nonisolated(nonsending) func refill() async throws(Web3Error) -> Bool {
            try await self.core.refill()
        }
    }

    /// Logs and events, in order.
    public struct Updates: AsyncSequence, Sendable {
        public typealias Element = SubscriptionUpdate<Log>
        public typealias Failure = Web3Error

        let logs: LogSequence

        public func makeAsyncIterator() -> Iterator {
            Iterator(core: self.logs.makeAsyncIterator().core)
        }

        /// Belongs to one task at a time; copies share its place in the stream.
        public struct Iterator: AsyncIteratorProtocol {
            let core: StreamCore<Log.Decoder>

            public nonisolated(nonsending) mutating func next(
                isolation: (any Actor)? = #isolation
            ) async throws(Web3Error) -> SubscriptionUpdate<Log>? {
                try await self.core.nextUpdate()
            }
        }
    }
}
