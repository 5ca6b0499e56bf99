import EthereumTypes

/// Logs of blocks that are not in the window, waiting for their block: a bounded place. Nodes push logs before their head,
/// and logs of branches that win later.
struct WaitingLogs: Sendable {
    /// The most logs that wait.
    static let capacity = 4096

    private var logs: [Log] = []
    var count: Int { self.logs.count }
    /// The highest block of which a log was dropped here: up to it, pushed logs may be incomplete.
    private(set) var droppedTo: UInt64?

    mutating func add(_ log: Log) {
        if self.logs.count >= Self.capacity {
            // The lowest half goes: blocks that have not come yet are the higher ones.
            let sorted = self.logs.sorted { ($0.blockNumber ?? 0) < ($1.blockNumber ?? 0) }
            let dropped = sorted.prefix(Self.capacity / 2)
            self.droppedTo = max(self.droppedTo ?? 0, dropped.last?.blockNumber ?? 0)
            self.logs = Array(sorted.dropFirst(Self.capacity / 2))
        }
        self.logs.append(log)
    }

    /// The logs of a block that has come, in the order in which they were pushed.
    mutating func take(_ number: UInt64, _ hash: Hash32) -> [Log] {
        guard !self.logs.isEmpty else { return [] }
        let taken = self.logs.filter { $0.blockNumber == number && $0.blockHash == hash }
        if !taken.isEmpty { self.logs.removeAll { $0.blockNumber == number && $0.blockHash == hash } }
        return taken
    }

    /// A log of a block so far down that it is not waited for.
    mutating func drop(_ number: UInt64) {
        self.droppedTo = max(self.droppedTo ?? 0, number)
    }

    mutating func removeAll() {
        self.logs.removeAll()
        self.droppedTo = nil
    }
}

/// A filter's entries as bits of a bloom, worked out once.
struct BloomTest: Sendable {
    private let addresses: [BloomBits]
    private let topics: [[BloomBits]]

    init(_ filter: LogFilter) {
        self.addresses = filter.addresses.map { BloomBits($0) }
        self.topics = filter.topics.compactMap { topic in
            switch topic {
            case .any: nil
            case .exactly(let hash): [BloomBits(hash)]
            case .anyOf(let hashes): hashes.isEmpty ? nil : hashes.map { BloomBits($0) }
            }
        }
    }

    /// A filter of all logs of all contracts may match any block that has logs at all.
    func mayMatch(_ bloom: Bloom) -> Bool {
        if self.addresses.isEmpty && self.topics.isEmpty { return !bloom.isEmpty }
        guard self.addresses.isEmpty || self.addresses.contains(where: { bloom.contains($0) }) else { return false }
        return self.topics.allSatisfy { alternatives in alternatives.contains { bloom.contains($0) } }
    }
}
