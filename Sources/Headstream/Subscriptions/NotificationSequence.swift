import HeadstreamRPC

/// Notifications of any kind, as `web3.notifications(_:)` gives them: cold, like ``HeadSequence``.
public struct NotificationSequence<Element: Decodable & Sendable>: AsyncSequence, Sendable {
    public typealias Failure = Web3Error

    let session: Session
    let request: any SubscriptionRequest<Element>
    let options: BufferOptions

    public func makeAsyncIterator() -> Iterator {
        Iterator(core: StreamCore(self.session, self.request, self.options, .suited()))
    }

    /// The same stream with what happens between the items.
    public var updates: Updates { Updates(notifications: self) }

    /// Belongs to one task at a time; copies share its place in the stream.
    public struct Iterator: AsyncIteratorProtocol {
        let core: StreamCore<AnyNotificationDecoder<Element>>

        public nonisolated(nonsending) mutating func next(isolation: (any Actor)? = #isolation) async throws(Web3Error)
            -> Element?
        {
            try await self.core.nextItem()
        }
    }

    /// Items and events, in order.
    public struct Updates: AsyncSequence, Sendable {
        public typealias Failure = Web3Error

        let notifications: NotificationSequence

        public func makeAsyncIterator() -> UpdateIterator<NotificationSequence.Element> {
            UpdateIterator(core: self.notifications.makeAsyncIterator().core)
        }
    }
}

/// Iterates over items and events; belongs to one task at a time.
public struct UpdateIterator<Item: Sendable>: AsyncIteratorProtocol {
    let core: StreamCore<AnyNotificationDecoder<Item>>

    public nonisolated(nonsending) mutating func next(
        isolation: (any Actor)? = #isolation
    ) async throws(Web3Error) -> SubscriptionUpdate<Item>? {
        try await self.core.nextUpdate()
    }
}
