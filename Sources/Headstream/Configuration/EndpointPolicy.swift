/// What a client of several endpoints makes of them.
public enum EndpointPolicy: Hashable, Sendable {
    /// The client is connected to one, in the order of the list, and goes on at the next where that fails or falls behind.
    case ordered
    /// The same, and meanwhile gapless streams are subscribed to at all endpoints at once: an item is told when the first of
    /// them pushes it, once.
    ///
    /// Only the endpoint that the client is connected to may take anything back; the others add. Where one of them stands on
    /// another chain's branch, ``GaplessUpdate/diverged(_:_:)`` tells it. Streams that are not gapless, and requests, are
    /// the first one's alone. Hosted endpoints charge what they push, so this costs as much as there are endpoints.
    case firstArrival
}
