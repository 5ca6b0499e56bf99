import HeadstreamLocks
import HeadstreamRPC

/// A subscription that the node has acknowledged, as `web3.eth.subscribe(_:)` gives it. It is live, of heads and logs too:
/// what the node pushes, and no more.
///
/// It is iterated once: a second iteration throws `.misuse`. It ends when it is let go of, when its one iteration ends,
/// or at ``unsubscribe()``.
public final class Subscription<Element: Decodable & Sendable>: AsyncSequence, Sendable {
    public typealias Failure = Web3Error

    private let session: Session
    private let local: LocalSubscriptionID
    /// Until the iteration begins; from then on it is the iterator's, whose end is the subscription's.
    private let lease: Locked<SubscriptionLease?>

    init(_ lease: SubscriptionLease) {
        self.session = lease.session
        self.local = lease.local
        self.lease = Locked(lease)
    }

    /// Ends the subscription and returns when the node has answered, at the latest after five seconds. Iteration ends
    /// with nil after what is buffered. Twice is fine, and so is a node that is gone.
    public func unsubscribe() async {
        await self.session.unsubscribe(self.local)
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(core: self.takeCore())
    }

    /// The same stream with what happens between the items. It is the one iteration that there is.
    public var updates: Updates { Updates(subscription: self) }

    fileprivate func takeCore() -> StreamCore<AnyNotificationDecoder<Element>>? {
        let lease = self.lease.withLock { lease in
            defer { lease = nil }
            return lease
        }
        return lease.map { StreamCore($0, .suited()) }
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
