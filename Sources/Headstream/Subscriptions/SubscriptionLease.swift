import HeadstreamRPC

/// The right to a subscription: whoever holds it keeps it alive, and letting go of it unsubscribes.
///
/// It belongs to an iterator, not to a sequence: `break`, an error, cancellation and going out of scope all end with
/// its `deinit`, which may run on any thread and only enqueues the local id. It keeps the session, and so the
/// connection, alive.
final class SubscriptionLease: Sendable {
    let session: Session
    let local: LocalSubscriptionID
    let buffer: SubscriptionBuffer

    private init(session: Session, local: LocalSubscriptionID, buffer: SubscriptionBuffer) {
        self.session = session
        self.local = local
        self.buffer = buffer
    }

    deinit {
        self.session.connection.endSubscription(self.local)
    }

    /// Subscribes, and returns once the node has acknowledged.
    static func take(
        _ request: any SubscriptionRequest,
        _ options: BufferOptions,
        in session: Session
    ) async throws(Web3Error) -> SubscriptionLease {
        let methods = request.methods
        let id = session.ids.take(kind: session.ids.kind(of: methods))
        let named = request.namedParameters
        let text =
            named.isEmpty
            ? try Parameters.request(id: id, method: methods.subscribe, request.parameters)
            : try Parameters.request(id: id, method: methods.subscribe, named: named)
        let buffer = SubscriptionBuffer(
            limit: options.limit,
            policy: options.policy,
            priority: options.priority,
            kind: request.kind,
            budget: session.bufferBudget
        )
        // Made before the request, so that whatever ends this function early ends the subscription too.
        let lease = SubscriptionLease(session: session, local: session.newLocalID(), buffer: buffer)
        let outcome = await session.connection.subscribe(
            lease.local,
            methods,
            id: id,
            text: text,
            buffer: buffer,
            timeout: session.configuration.requestTimeout
        )
        if case .failure(let error) = outcome { throw session.error(error) }
        return lease
    }
}

/// How much a subscription buffers, and what happens beyond.
struct BufferOptions: Sendable {
    var policy: BufferPolicy
    /// In bytes.
    var limit: Int
    var priority: BufferPriority

    init(_ policy: BufferPolicy?, _ limit: Int?, _ priority: BufferPriority, _ configuration: Configuration) {
        self.policy = policy ?? configuration.whenFull
        self.limit = limit ?? configuration.bufferLimit
        self.priority = priority
    }
}
