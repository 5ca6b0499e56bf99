import HeadstreamJSON
import HeadstreamLocks

/// The shapes that a client's streams have learnt: a node writes the logs of all subscriptions alike, so a hundred streams
/// that take turns read them by one shape, which stays in the processor's cache.
final class SharedShapes: Sendable {
    /// How many are kept; the one learnt first makes way, and those who have it keep it.
    private static let capacity = 32
    private let shapes = Locked<[JSONShape]>([])

    /// The shape that is the same as `learnt`, if one was shared before; else `learnt`, which is shared from now on.
    func share(_ learnt: JSONShape) -> JSONShape {
        self.shapes.withLock { shapes in
            if let known = shapes.first(where: { $0 == learnt }) { return known }
            if shapes.count >= Self.capacity { shapes.removeFirst() }
            shapes.append(learnt)
            return learnt
        }
    }
}
