/// What a header, log, transaction or receipt carries beyond its fixed fields, behind one reference.
///
/// Nil for what Ethereum's nodes send today; made for other chains' fields, for fields of forks to come, and for numbers
/// too large for the fixed layout. Immutable, so that copies of its owner may share it.
package final class ExtraFields: Hashable, Sendable {
    package struct Content: Hashable, Sendable {
        /// Difficulty, where it needs more than 64 bits.
        package var difficulty: UInt256?
        /// Base fee, where it needs more than 64 bits.
        package var baseFeePerGas: UInt256?
        /// Total difficulty, where it needs more than 128 bits.
        package var totalDifficulty: UInt256?

        package init() {}
    }

    package let content: Content

    package var difficulty: UInt256? { self.content.difficulty }
    package var baseFeePerGas: UInt256? { self.content.baseFeePerGas }
    package var totalDifficulty: UInt256? { self.content.totalDifficulty }

    /// Nil where there is nothing to keep.
    package init?(_ content: Content) {
        guard content != Content() else { return nil }
        self.content = content
    }

    package static func == (left: ExtraFields, right: ExtraFields) -> Bool {
        left === right || left.content == right.content
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(self.content)
    }
}
