import EthereumTypes

/// What is known of one filter's logs, block by block of the window.
///
/// A block without an entry is one whose bloom, trusted, excludes the filter: closed, and empty.
struct LogBook: Sendable {
    /// The logs of one block, in their order in it.
    struct Entry: Sendable {
        var logs: [Log] = []
        var state = State.open
        /// Contradicted by something the node said; only an answer by hash settles it.
        var isDisputed = false
        /// Was sealed, and is wanted again: what an answer says of it is no news to those that it was told to.
        var isReopened = false
        /// An answer that does not count until it is repeated.
        var doubt: [Log]?
        /// How often the window had moved when the doubt came; it is asked again after the next move.
        var doubtedAt: UInt64 = 0

        enum State: Sendable {
            case open
            /// An answer agreed with what is here.
            case closed
            /// The node does not give it.
            case missing
            /// Closed, told to every consumer, audited: its logs are forgotten.
            case sealed
        }
    }

    /// What a request in flight asks for.
    struct Pending: Sendable {
        let token: UInt64
        let purpose: Purpose
        /// How often the window had moved, and where its tip stood, when it was asked.
        let askedAt: UInt64
        let tip: UInt64
    }

    enum Purpose: Sendable {
        /// Single blocks by their hashes, a call each.
        case blocks([BlockRef])
        /// A range between two askings for the header of a witness, a block that is ours and stands above it where one does:
        /// what the range says of the newest blocks may be less than all.
        case range(ClosedRange<UInt64>, witness: BlockRef, isAudit: Bool)
    }

    let id: FilterID
    let options: FilterOptions
    private let bloomTest: BloomTest
    var entries: [UInt64: Entry] = [:]
    /// Where this connection's subscription was acknowledged, among the facts.
    var acknowledgedAt: UInt64?
    /// Blocks from here on are covered, if their head was pushed after the acknowledgement: the block behind the `latest`
    /// that was asked for after it.
    var coveredFrom = UInt64.max
    /// Logs of blocks that are not in the window.
    var waiting = WaitingLogs()
    /// The same, pushed by endpoints beside the authority.
    var waitingOfPeers = WaitingLogs()
    var pending: Pending?
    var retryAt: UInt64?
    var failures = 0
    /// Requests spent since the filter was last level with the tip.
    var spent = 0
    /// The highest block of which a log was pushed on this connection.
    var highestPushed: UInt64 = 0
    /// The numbers of blocks that an answer is needed for although they may have been told: disputed ones, and those of
    /// which logs may have been lost with a connection.
    var disputes: [UInt64] = []
    /// The move at which an audit was last refused as inconclusive; the next waits for another.
    var auditRefusedAt: UInt64?

    init(_ id: FilterID, _ options: FilterOptions) {
        self.id = id
        self.options = options
        self.bloomTest = BloomTest(options.filter)
    }

    var filter: LogFilter { self.options.filter }
    /// Whether each block is held back until an answer by hash has closed it.
    var holds: Bool {
        self.options.audit <= 1 || self.options.delivery == .fetched || self.options.verify == .logs
    }
    var auditInterval: UInt64 { self.options.audit <= 1 ? 32 : UInt64(self.options.audit) }

    // MARK: - What is known of a block

    func isCovered(_ block: ChainBlock) -> Bool {
        guard let acknowledgedAt, self.options.delivery == .pushed else { return false }
        guard block.pushOrder > acknowledgedAt, block.number >= self.coveredFrom else { return false }
        return self.waiting.droppedTo.map { block.number > $0 } ?? true
    }

    func isClosed(_ number: UInt64) -> Bool {
        guard let entry = self.entries[number] else { return true }
        return entry.state != .open
    }

    func mayMatch(_ block: ChainBlock, bloomsAreTrusted: Bool) -> Bool {
        guard bloomsAreTrusted, block.hasBloom else { return true }
        return self.bloomTest.mayMatch(block.header.logsBloom)
    }

    /// Whether everything of an open block has been told that will be, as far as can be known before its audit.
    ///
    /// - Parameters:
    ///   - tip: the authority's newest block.
    ///   - isPassed: whether the endpoint that brought the block has pushed what comes behind its logs.
    func mayLeave(_ block: ChainBlock, tip: UInt64, isPassed: Bool) -> Bool {
        guard let entry = self.entries[block.number] else { return true }
        if entry.state != .open { return true }
        guard !self.holds, !entry.isDisputed, !entry.logs.isEmpty else { return false }
        if isPassed { return true }
        guard self.isCovered(block) else { return false }
        // A block's logs may come after the next head. They come before those of later blocks, on one subscription.
        return tip >= block.number &+ 2 || self.highestPushed > block.number
    }

    /// Whether a block's logs may be told although it is open: as they are pushed.
    func mayTell(_ entry: Entry) -> Bool {
        entry.state == .closed || (entry.state == .open && !self.holds && !entry.isDisputed)
    }

    // MARK: - Blocks come and go

    /// A block has come into the window. - Returns: whether a log of it contradicts its bloom.
    mutating func blockAdded(_ block: ChainBlock, bloomsAreTrusted: Bool) -> Bool {
        let logs = self.options.delivery == .pushed ? self.waiting.take(block.number, block.hash) : []
        let mayMatch = self.mayMatch(block, bloomsAreTrusted: bloomsAreTrusted)
        guard !logs.isEmpty || mayMatch else { return false }
        var entry = Entry()
        for log in logs { entry.insert(log) }
        // What the bloom excludes is no contradiction where another endpoint says it.
        if mayMatch { for log in self.waitingOfPeers.take(block.number, block.hash) { entry.insert(log) } }
        self.entries[block.number] = entry
        return !mayMatch
    }

    /// The authority's header of a block that another endpoint had brought: where that one's bloom excluded the filter and
    /// this one does not, the block is asked for, whoever has passed it.
    mutating func confirmed(_ block: ChainBlock, bloomsAreTrusted: Bool) {
        guard self.entries[block.number] == nil, self.mayMatch(block, bloomsAreTrusted: bloomsAreTrusted) else {
            return
        }
        var entry = Entry()
        entry.isDisputed = true
        self.entries[block.number] = entry
        self.noteDispute(block.number)
    }

    /// A block of which only another endpoint's header is known: it is asked for, whoever has passed it.
    mutating func suspect(_ number: UInt64) {
        if self.entries[number] == nil { self.entries[number] = Entry() }
        if self.entries[number]?.state == .open { self.noteDispute(number) }
    }

    /// The blocks of these numbers have left the window.
    mutating func blocksRemoved(_ numbers: ClosedRange<UInt64>) {
        for number in numbers {
            guard let entry = self.entries.removeValue(forKey: number) else { continue }
            // A block that comes back may be announced again while some of its logs, pushed again, have come already: only
            // together with those of before are they all.
            if self.acknowledgedAt != nil { for log in entry.logs { self.waiting.add(log) } }
        }
        self.disputes.removeAll { numbers.contains($0) }
        self.highestPushed = min(self.highestPushed, numbers.lowerBound)
    }

    /// The window begins anew elsewhere.
    mutating func windowReset() {
        self.entries.removeAll()
        self.disputes = []
    }

    /// The blooms of this chain are not trusted any more: what they alone had closed is open.
    mutating func reopen(_ window: ChainWindow, from: UInt64) {
        guard let tip = window.tip, from <= tip.number else { return }
        for number in from...tip.number where self.entries[number] == nil { self.entries[number] = Entry() }
    }

    /// The connection is gone: nothing is on its way any more.
    mutating func connectionLost() {
        self.acknowledgedAt = nil
        self.coveredFrom = .max
        self.highestPushed = 0
        // What was pushed and not checked may be less than all.
        for (number, entry) in self.entries where entry.state == .open && !entry.logs.isEmpty {
            self.noteDispute(number)
        }
        self.disputes.sort()
        self.waiting.removeAll()
        self.pending = nil
        self.retryAt = nil
        self.failures = 0
    }

    // MARK: - Logs come

    /// A change of a block's logs: those before `prefix` are as they were.
    struct Change: Sendable {
        let number: UInt64
        let prefix: Int
    }

    /// A log was pushed for a block of the window.
    mutating func pushed(_ log: Log, in block: ChainBlock) -> Change? {
        guard self.options.delivery == .pushed else { return nil }
        let known = self.entries[block.number]
        var entry = known ?? Entry()
        // One that was sealed is to be asked for, whole.
        guard !entry.isReopened, entry.state == .open || entry.state == .closed, let index = entry.insert(log) else {
            return nil
        }
        if entry.state == .closed {
            // It says what an answer denied.
            entry.state = .open
            entry.isDisputed = true
            self.noteDispute(block.number)
        }
        self.entries[block.number] = entry
        return Change(number: block.number, prefix: index)
    }

    /// An answer for one block, in the node's order. - Returns: what changed, if anything did.
    mutating func settle(
        _ block: ChainBlock,
        _ answer: [Log],
        depth: UInt64,
        move: UInt64
    ) -> Change? {
        guard var entry = self.entries[block.number], entry.state == .open || entry.state == .closed else { return nil }
        var ordered = Entry()
        for log in answer { ordered.insert(log) }
        let isComplete = entry.logs.allSatisfy { ordered.contains($0) }
        let isRepeated = entry.doubt.map { ordered.isEqual(to: $0) } ?? false
        let isFresh = answer.isEmpty && depth < 2
        let agrees = isComplete && (!entry.isDisputed || ordered.isEqual(to: entry.logs))
        guard !isFresh && (agrees || isRepeated) else {
            entry.doubt = ordered.logs
            entry.doubtedAt = move
            self.entries[block.number] = entry
            return nil
        }
        // Logs of equal places may come in another order; that is no difference.
        let isChanged = !ordered.isEqual(to: entry.logs)
        let prefix = entry.commonPrefix(with: ordered.logs)
        if isChanged { entry.logs = ordered.logs }
        entry.state = .closed
        let isNews = !entry.isReopened
        entry.isReopened = false
        entry.isDisputed = false
        entry.doubt = nil
        self.entries[block.number] = entry
        self.disputes.removeAll { $0 == block.number }
        return isChanged && isNews ? Change(number: block.number, prefix: prefix) : nil
    }

    /// An audited range says otherwise of a block: an answer by hash is to settle it.
    mutating func dispute(_ number: UInt64, _ answer: [Log]) {
        var entry = self.entries[number] ?? Entry()
        entry.state = .open
        entry.isDisputed = true
        entry.doubt = answer
        // It may be asked at once: the range answer is the first, the one by hash the second.
        entry.doubtedAt = 0
        self.entries[number] = entry
        self.noteDispute(number)
    }

    private mutating func noteDispute(_ number: UInt64) {
        if !self.disputes.contains(number) { self.disputes.append(number) }
    }
}

extension LogBook.Entry {
    /// A log's place in its block.
    static func isOrdered(_ left: Log, before right: Log) -> Bool {
        let first = left.transactionIndex ?? 0
        let second = right.transactionIndex ?? 0
        return first != second ? first < second : (left.logIndex ?? 0) < (right.logIndex ?? 0)
    }

    /// Whether two logs of one block are one: equal keys with different content are two (erigon 17249).
    static func isSame(_ left: Log, _ right: Log) -> Bool {
        left.logIndex == right.logIndex && left.transactionHash == right.transactionHash
            && left.address == right.address && left.topics == right.topics && left.data == right.data
    }

    /// The index behind all logs that stand before or beside this one.
    private func upperBound(_ log: Log) -> Int {
        if let last = self.logs.last, !Self.isOrdered(log, before: last) { return self.logs.count }
        var low = 0
        var high = self.logs.count
        while low < high {
            let middle = (low + high) / 2
            if Self.isOrdered(log, before: self.logs[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    func contains(_ log: Log) -> Bool {
        var index = self.upperBound(log)
        while index > 0, !Self.isOrdered(self.logs[index - 1], before: log) {
            index -= 1
            if Self.isSame(self.logs[index], log) { return true }
        }
        return false
    }

    /// Where a log would stand; nil where it does.
    func place(of log: Log) -> Int? { self.contains(log) ? nil : self.upperBound(log) }

    /// Puts a log in its place. - Returns: where; nil where it was there.
    @discardableResult
    mutating func insert(_ log: Log) -> Int? {
        guard let index = self.place(of: log) else { return nil }
        self.logs.insert(log, at: index)
        return index
    }

    func isEqual(to other: [Log]) -> Bool {
        self.logs.count == other.count && other.allSatisfy { self.contains($0) }
    }

    func commonPrefix(with other: [Log]) -> Int {
        var index = 0
        while index < min(self.logs.count, other.count), Self.isSame(self.logs[index], other[index]) { index += 1 }
        return index
    }
}
