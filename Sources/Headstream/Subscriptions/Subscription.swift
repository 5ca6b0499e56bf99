import HeadstreamRPC
import Synchronization

/// A subscription that the node has acknowledged, as `web3.eth.subscribe(_:)` gives it.
///
/// It is iterated once: a second iteration throws `.misuse`. It ends when it is let go of, or at ``unsubscribe()``.
public final class Subscription<Element: Decodable & Sendable>: AsyncSequence, Sendable {
    public typealias Failure = Web3Error

    private let lease: SubscriptionLease
    private let isTaken = Atomic(false)

    init(_ lease: SubscriptionLease) {
        self.lease = lease
    }

    /// Ends the subscription and returns when the node has answered, at the latest after five seconds. Iteration ends
    /// with nil after what is buffered. Twice is fine, and so is a node that is gone.
    public func unsubscribe() async {
        await self.lease.session.connection.unsubscribe(self.lease.local)
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(core: self.takeCore())
    }

    /// The same stream with what happens between the items. It is the one iteration that there is.
    public var updates: Updates { Updates(subscription: self) }

    fileprivate func takeCore() -> StreamCore<AnyNotificationDecoder<Element>>? {
        if self.isTaken.exchange(true, ordering: .relaxed) { return nil }
        return StreamCore(self.lease, .suited())
    }

    static var takenTwice: Web3Error {
        Web3Error(.misuse, "a subscription is iterated once; use newHeads() or logs(_:) for independent streams")
    }

    /// Belongs to one task at a time; copies share its place in the stream.
    public struct Iterator: AsyncIteratorProtocol {
        /// Absent where the subscription was already iterated.
        let core: StreamCore<AnyNotificationDecoder<Element>>?

        public nonisolated(nonsending) mutating func next(isolation: (any Actor)? = #isolation) async throws(Web3Error)
            -> Element?
        {
            guard let core = self.core else { throw Subscription.takenTwice }
            return try await core.nextItem()
        }
    }

    /// Items and events, in order.
    public struct Updates: AsyncSequence, Sendable {
        public typealias Failure = Web3Error

        let subscription: Subscription

        public func makeAsyncIterator() -> Iterator {
            Iterator(core: self.subscription.takeCore())
        }

        /// Belongs to one task at a time; copies share its place in the stream.
        public struct Iterator: AsyncIteratorProtocol {
            let core: StreamCore<AnyNotificationDecoder<Subscription.Element>>?

            public nonisolated(nonsending) mutating func next(
                isolation: (any Actor)? = #isolation
            ) async throws(Web3Error) -> SubscriptionUpdate<Subscription.Element>? {
                guard let core = self.core else { throw Subscription.takenTwice }
                return try await core.nextUpdate()
            }
        }
    }
}
