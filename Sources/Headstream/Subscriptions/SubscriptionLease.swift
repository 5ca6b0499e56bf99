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
        self.session.endSubscription(self.local)
    }

    /// Subscribes, and returns once the node has acknowledged. Where the connection is lost meanwhile, on the next one.
    ///
    /// - Parameter isShared: whether equal ones share one of the node's subscriptions.
    static func take(
        _ request: any SubscriptionRequest,
        _ options: BufferOptions,
        in session: Session,
        isShared: Bool
    ) async throws(Web3Error) -> SubscriptionLease {
        let methods = request.methods
        let named = request.namedParameters
        let encoded =
            named.isEmpty
            ? try EncodedRequest(methods.subscribe, request.parameters)
            : try EncodedRequest(methods.subscribe, named: named)
        let buffer = SubscriptionBuffer(
            limit: options.limit,
            policy: options.policy,
            priority: options.priority,
            kind: request.kind,
            budget: session.bufferBudget
        )
        // Made before the request, so that whatever ends this function early ends the subscription too.
        let lease = SubscriptionLease(session: session, local: session.newLocalID(), buffer: buffer)
        let kept = KeptSubscription(
            local: lease.local,
            methods: methods,
            buffer: buffer,
            request: encoded,
            isShared: isShared
        )
        let outcome = await session.subscribe(kept)
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
