/// The shapes that one decoder has met: few, and learnt with restraint.
///
/// A node has one shape for a type, or some (a log with and without `blockTimestamp`). One that writes its keys in a random
/// order has too many to learn: each shape learnt without much use of those before doubles the number of messages until the
/// next one is.
///
/// A decoder tries `plan` and calls `hit()`; where it does not fit it tries `others` and calls `hit(other:)`; where none does it
/// reads the message in another way, and if that went well and `missed()` says so, learns its shape and gives it to `add`.
/// Shapes that are of no use are forgotten, so that nothing is tried for long where nothing fits.
@usableFromInline
package struct JSONShapes: Sendable {
    /// How many shapes are kept; the one learnt first makes way.
    package static let capacity = 4
    /// So many messages that fit are worth a new shape at once.
    static let worthwhileHits = 64
    /// Where so many messages come between two shapes learnt, a shape that does not fit the message behind it is forgotten.
    static let patience = 8
    /// The most messages that do not fit between two shapes learnt.
    static let longestPause = 1024

    /// The shape to try first: the one that fitted last.
    private var current: JSONShape? {
        didSet { self.plan = self.current?.plan }
    }
    /// The plan of that shape, which the property above keeps alive.
    @usableFromInline package private(set) var plan: JSONShape.Plan?
    /// The shapes to try then.
    package private(set) var others: [JSONShape] = []
    /// Messages that fitted since the last shape was learnt.
    @usableFromInline var hits = 0
    private var pause = 1
    private var missesUntilLearning = 0

    /// Gives, for a shape that was learnt, the same one that others use already.
    private let share: (@Sendable (JSONShape) -> JSONShape)?

    /// - Parameter share: gives, for a shape that was learnt, the same one that other decoders use already, so that they read
    ///   by the same memory.
    package init(sharing share: (@Sendable (JSONShape) -> JSONShape)? = nil) {
        self.share = share
    }

    /// The current shape fitted.
    @inlinable @inline(__always)
    package mutating func hit() {
        self.hits &+= 1
    }

    /// Another shape fitted: it is tried first from now on.
    package mutating func hit(other index: Int) {
        self.hits &+= 1
        guard self.others.indices.contains(index), let current = self.current else { return }
        self.current = self.others[index]
        self.others[index] = current
    }

    /// None fitted, and the message is well-formed: whether to learn its shape.
    package mutating func missed() -> Bool {
        if self.hits == 0, self.pause > Self.patience, self.current != nil {
            self.current = nil
            self.others = []
        }
        guard self.missesUntilLearning == 0 else {
            self.missesUntilLearning -= 1
            return false
        }
        self.pause = self.hits >= Self.worthwhileHits ? 1 : min(2 * self.pause, Self.longestPause)
        self.missesUntilLearning = self.pause - 1
        self.hits = 0
        return true
    }

    /// A shape that was learnt; it is tried first from now on.
    package mutating func add(_ shape: JSONShape) {
        if let current = self.current { self.others.append(current) }
        self.current = self.share?(shape) ?? shape
        if self.others.count >= Self.capacity { self.others.removeFirst() }
    }
}
