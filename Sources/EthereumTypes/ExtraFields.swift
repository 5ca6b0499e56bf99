package import HeadstreamJSON

/// What a header, log, transaction or receipt carries beyond its fixed fields, behind one reference.
///
/// Nil for what Ethereum's nodes send today; made for other chains' fields, for fields of forks to come, and for numbers
/// too large for the fixed layout. Immutable, so that copies of its owner may share it.
package final class ExtraFields: Hashable, Sendable {
    package struct Content: Hashable, Sendable {
        /// Members that the type does not know, as they were.
        package var unknown = JSONObject()
        /// Difficulty, where it needs more than 64 bits.
        package var difficulty: UInt256?
        /// Base fee, where it needs more than 64 bits.
        package var baseFeePerGas: UInt256?
        /// Total difficulty, where it needs more than 128 bits.
        package var totalDifficulty: UInt256?

        package init() {}

        var isEmpty: Bool {
            self.unknown.isEmpty && self.difficulty == nil && self.baseFeePerGas == nil && self.totalDifficulty == nil
        }
    }

    package let content: Content

    package var unknown: JSONObject { self.content.unknown }
    package var difficulty: UInt256? { self.content.difficulty }
    package var baseFeePerGas: UInt256? { self.content.baseFeePerGas }
    package var totalDifficulty: UInt256? { self.content.totalDifficulty }

    /// Nil where there is nothing to keep.
    package init?(_ content: Content) {
        guard !content.isEmpty else { return nil }
        self.content = content
    }

    package static func == (left: ExtraFields, right: ExtraFields) -> Bool {
        left === right || left.content == right.content
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(self.content)
    }

    /// The same with other unknown members; nil where nothing is left.
    static func replacing(_ unknown: JSONObject, in extra: ExtraFields?) -> ExtraFields? {
        if extra == nil && unknown.isEmpty { return nil }
        var content = extra?.content ?? Content()
        content.unknown = unknown
        return ExtraFields(content)
    }
}
