public import HeadstreamJSON

/// The topics of a log: none to four, inline.
public struct Topics: Hashable, Sendable {
    package var topic0 = Hash32()
    package var topic1 = Hash32()
    package var topic2 = Hash32()
    package var topic3 = Hash32()
    public private(set) var count: Int

    package init(topic0: Hash32, topic1: Hash32, topic2: Hash32, topic3: Hash32, count: Int) {
        self.topic0 = topic0
        self.topic1 = topic1
        self.topic2 = topic2
        self.topic3 = topic3
        self.count = count
    }

    /// - Throws: `ValueError` for more than four.
    public init(_ topics: [Hash32]) throws(ValueError) {
        guard topics.count <= 4 else {
            throw ValueError(
                field: "topics",
                value: "\(topics.count) topics",
                reason: "are more than a log can have, 4"
            )
        }
        self.count = topics.count
        if topics.count > 0 { self.topic0 = topics[0] }
        if topics.count > 1 { self.topic1 = topics[1] }
        if topics.count > 2 { self.topic2 = topics[2] }
        if topics.count > 3 { self.topic3 = topics[3] }
    }
}

extension Topics: RandomAccessCollection {
    public var startIndex: Int { 0 }
    public var endIndex: Int { self.count }
    public var indices: Range<Int> { 0..<self.count }

    public subscript(position: Int) -> Hash32 {
        precondition(position >= 0 && position < self.count, "index out of range")
        return switch position {
        case 0: self.topic0
        case 1: self.topic1
        case 2: self.topic2
        default: self.topic3
        }
    }
}

extension Topics: CustomStringConvertible {
    public var description: String { "[" + self.map(\.description).joined(separator: ", ") + "]" }
}
