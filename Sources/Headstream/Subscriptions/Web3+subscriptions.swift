public import HeadstreamRPC

extension Web3 {
    /// Makes a live subscription: what the node pushes from its acknowledgement on, and no more. Returns once the node has
    /// acknowledged it, so that a refused one throws here.
    ///
    /// - Parameters:
    ///   - whenFull: what happens when the consumer is slow; the configuration's policy by default.
    ///   - bufferLimit: in bytes; the configuration's by default.
    ///   - priority: which streams give way first when the buffers of all of them are full together.
    public func subscribe<Request: SubscriptionRequest>(
        _ request: Request,
        whenFull: BufferPolicy? = nil,
        bufferLimit: Int? = nil,
        priority: BufferPriority = .normal
    ) async throws(Web3Error) -> Subscription<Request.Notification> {
        let options = BufferOptions(whenFull, bufferLimit, priority, self.session.configuration)
        return Subscription(try await SubscriptionLease.take(request, options, in: self.session))
    }

    /// A cold stream of notifications of any kind; see ``SubscriptionRequest``.
    public func notifications<Request: SubscriptionRequest>(
        _ request: Request,
        whenFull: BufferPolicy? = nil,
        bufferLimit: Int? = nil,
        priority: BufferPriority = .normal
    ) -> NotificationSequence<Request.Notification> {
        let options = BufferOptions(whenFull, bufferLimit, priority, self.session.configuration)
        return NotificationSequence(session: self.session, request: request, options: options)
    }
}
