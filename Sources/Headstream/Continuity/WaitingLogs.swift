import EthereumTypes

/// Logs of blocks that are not in the window, waiting for their block: a bounded place. Nodes push logs before their head,
/// and logs of branches that win later.
struct WaitingLogs: Sendable {
    /// The logs of one block, in the order in which they were pushed.
    struct Block: Sendable {
        var logs = LogRuns()
        /// So many are not here any more: the block is to be asked for.
        var letGo = 0
    }

    private struct Name: Hashable, Sendable {
        let number: UInt64
        let hash: Hash32
    }

    /// What a block takes beside its logs.
    private static let weightOfBlock = 128

    private var blocks: [Name: Block] = [:]
    private(set) var bytes = 0
    /// The most bytes that wait.
    var limit = 1 << 22
    /// The highest block of which a log was dropped here: up to it, pushed logs may be incomplete.
    private(set) var droppedTo: UInt64?

    /// Whether it may have been forgotten that logs of this block waited.
    func mayHaveDropped(_ number: UInt64) -> Bool { self.droppedTo.map { number <= $0 } ?? false }

    mutating func add(_ logs: ArraySlice<Log>, _ number: UInt64, _ hash: Hash32) {
        self.add(LogRuns(logs), number, hash)
    }

    mutating func add(_ logs: LogRuns, _ number: UInt64, _ hash: Hash32) {
        let weight = self.change(number, hash) { block in
            guard block.letGo == 0 else {
                block.letGo += logs.count
                return 0
            }
            block.logs.append(logs)
            return logs.weight
        }
        self.bytes += weight
        self.makeRoom()
    }

    /// Logs of a block were known that are not here any more.
    mutating func noteLetGo(_ count: Int, _ number: UInt64, _ hash: Hash32) {
        self.change(number, hash) { $0.letGo += count }
        self.makeRoom()
    }

    private mutating func change<Result>(
        _ number: UInt64,
        _ hash: Hash32,
        _ body: (inout Block) -> Result
    ) -> Result {
        let known = self.blocks.count
        defer { self.bytes += (self.blocks.count - known) * Self.weightOfBlock }
        return body(&self.blocks[Name(number: number, hash: hash), default: Block()])
    }

    /// The lowest go, since blocks that have not come yet are the higher ones: of each its logs, and only where that is not
    /// enough that there were any.
    private mutating func makeRoom() {
        guard self.bytes > self.limit else { return }
        let names = Dictionary(grouping: self.blocks.keys, by: \.number).sorted { $0.key < $1.key }
        for (_, names) in names where self.bytes > self.limit / 2 {
            for name in names { self.letGo(name) }
        }
        for (number, names) in names where self.bytes > self.limit {
            for name in names { _ = self.remove(name) }
            self.drop(number)
        }
    }

    private mutating func letGo(_ name: Name) {
        guard let block = self.remove(name) else { return }
        self.blocks[name] = Block(letGo: block.letGo + block.logs.count)
        self.bytes += Self.weightOfBlock
    }

    private mutating func remove(_ name: Name) -> Block? {
        guard let block = self.blocks.removeValue(forKey: name) else { return nil }
        self.bytes -= Self.weightOfBlock + block.logs.weight
        return block
    }

    /// The logs of a block that has come; nil where there are none.
    mutating func take(_ number: UInt64, _ hash: Hash32) -> Block? {
        self.blocks.isEmpty ? nil : self.remove(Name(number: number, hash: hash))
    }

    /// A log of a block so far down that it is not waited for.
    mutating func drop(_ number: UInt64) {
        self.droppedTo = max(self.droppedTo ?? 0, number)
    }

    mutating func removeAll() {
        self.blocks.removeAll()
        self.bytes = 0
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
