/// Which subscriptions give way first when the buffers of a connection are full together.
///
/// The lowest priority gives way first, and the fullest of equals. It says nothing about the order of delivery: every
/// consumer has a buffer of its own.
public struct BufferPriority: RawRepresentable, Comparable, Hashable, Sendable {
    public let rawValue: Int

    public init(rawValue: Int) {
        self.rawValue = rawValue
    }

    /// For displays and the like, whose losses harm nobody.
    public static let low = BufferPriority(rawValue: -1)
    /// The default.
    public static let normal = BufferPriority(rawValue: 0)
    /// Gives way last.
    public static let high = BufferPriority(rawValue: 1)

    public static func < (left: Self, right: Self) -> Bool {
        left.rawValue < right.rawValue
    }
}
