public import EthereumTypes
import HeadstreamRPC

/// New heads as the node pushes them: `web3.eth.newHeads(continuity: .live)`.
///
/// It is cold: each iteration subscribes when it begins, and unsubscribes when the iterator goes: by `break`, an error,
/// cancellation or leaving the scope. Equal ones share one of the node's subscriptions, each with its own buffer. The
/// connection stays open meanwhile.
///
/// An item that cannot be read is thrown; an iterator that is asked again goes on behind it. When the connection ends,
/// what is buffered is still delivered, and then the reason is thrown.
public struct HeadSequence: AsyncSequence, Sendable {
    public typealias Element = BlockHeader
    public typealias Failure = Web3Error

    let session: Session
    let request: NewHeadsRequest
    let options: BufferOptions

    public func makeAsyncIterator() -> Iterator {
        Iterator(
            core: StreamCore(
                self.session,
                self.request,
                self.options,
                BlockHeader.Decoder(sharing: self.session.shapes.share)
            )
        )
    }

    /// The same stream with what happens between the items: losses, and items that could not be read.
    public var updates: Updates {
        Updates(heads: self)
    }

    /// Belongs to one task at a time; copies share its place in the stream.
    public struct Iterator: AsyncIteratorProtocol {
        let core: StreamCore<BlockHeader.Decoder>
        @usableFromInline
        let blank = BlockHeader.Decoder.blank

        /// The next head; nil at the end, or when the task is cancelled.
        @inlinable
        public nonisolated(nonsending) mutating func next(isolation: (any Actor)? = #isolation) async throws(Web3Error)
            -> BlockHeader?
        {
            while true {
                var head = self.blank.value
                if self.take(into: &head) { return head }
                guard try await self.refill() else { return nil }
            }
        }

        @usableFromInline
        func take(into head: inout BlockHeader) -> Bool { self.core.takeItem(into: &head) }

        @usableFromInline
        nonisolated(nonsending) func refill() async throws(Web3Error) -> Bool {
            try await self.core.refill()
        }
    }

    /// Heads and events, in order.
    public struct Updates: AsyncSequence, Sendable {
        public typealias Element = SubscriptionUpdate<BlockHeader>
        public typealias Failure = Web3Error

        let heads: HeadSequence

        public func makeAsyncIterator() -> Iterator {
            Iterator(core: self.heads.makeAsyncIterator().core)
        }

        /// Belongs to one task at a time; copies share its place in the stream.
        public struct Iterator: AsyncIteratorProtocol {
            let core: StreamCore<BlockHeader.Decoder>

            public nonisolated(nonsending) mutating func next(
                isolation: (any Actor)? = #isolation
            ) async throws(Web3Error) -> SubscriptionUpdate<BlockHeader>? {
                try await self.core.nextUpdate()
            }
        }
    }
}
