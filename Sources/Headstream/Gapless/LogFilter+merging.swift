import EthereumTypes

// Filters merged to one that matches all that they match, so that one subscription brings the logs of all.
extension LogFilter {
    /// One filter for all of these: in each place it takes the alternatives of all, so it may match more than they do.
    ///
    /// - Returns: nil where they do not make conditions of the same places. A condition would have to be dropped then, and
    ///   the subscription would bring much more than anybody wants. Nil for none, too.
    static func merging(_ filters: [LogFilter]) -> LogFilter? {
        guard let first = filters.first else { return nil }
        guard filters.contains(where: { $0 != first }) else { return first }
        guard let addresses = Self.union(filters.map(\.addresses)) else { return nil }
        var merged = LogFilter(addresses: addresses)
        // A place that takes anything wants a topic to be there all the same: only as far as all filters do.
        let shared = filters.map(\.topics.count).min() ?? 0
        for place in 0..<(filters.map(\.topics.count).max() ?? 0) {
            guard let topics = Self.union(filters.map { $0.alternatives(at: place) }) else { return nil }
            guard place < shared else { continue }
            merged.topics.append(topics.isEmpty ? .any : topics.count == 1 ? .exactly(topics[0]) : .anyOf(topics))
        }
        return merged
    }

    /// Whether it certainly matches all that `other` matches.
    func covers(_ other: LogFilter) -> Bool {
        if self == other { return true }
        guard Self.covers(self.addresses, other.addresses), self.topics.count <= other.topics.count else {
            return false
        }
        return self.topics.indices.allSatisfy {
            Self.covers(self.alternatives(at: $0), other.alternatives(at: $0))
        }
    }

    /// How many alternatives each of its lists has.
    var listLengths: [Int] {
        [self.addresses.count] + self.topics.indices.map { self.alternatives(at: $0).count }
    }

    /// What a place takes; any topic where that is empty.
    private func alternatives(at place: Int) -> [Hash32] {
        guard self.topics.indices.contains(place) else { return [] }
        return switch self.topics[place] {
        case .any: []
        case .exactly(let topic): [topic]
        case .anyOf(let topics): topics
        }
    }

    /// Each once, in the order in which they came; nil where some lists are empty, which stands for anything, and others not.
    private static func union<Value: Hashable>(_ lists: [[Value]]) -> [Value]? {
        guard lists.allSatisfy(\.isEmpty) || !lists.contains(where: \.isEmpty) else { return nil }
        var known: Set<Value> = []
        return lists.joined().filter { known.insert($0).inserted }
    }

    private static func covers<Value: Hashable>(_ one: [Value], _ other: [Value]) -> Bool {
        one.isEmpty || !other.isEmpty && Set(one).isSuperset(of: other)
    }
}
