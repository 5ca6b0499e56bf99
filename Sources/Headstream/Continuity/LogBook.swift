import EthereumTypes

/// What is known of one filter's logs, block by block of the window.
///
/// A block without an entry is one whose bloom, trusted, excludes the filter: closed, and empty.
struct LogBook: Sendable {
    /// The logs of one block, in their order in it.
    struct Entry: Sendable {
        /// Which logs are known.
        var keys: [LogKey] = []
        /// The logs themselves, a place for each key; or none, where they were told to everyone or let go for want of room.
        var logs = LogRuns()
        var state = State.open
        /// Contradicted by something the node said; only an answer by hash settles it.
        var isDisputed = false
        /// Was sealed, and is wanted again: what an answer says of it is no news to those that it was told to.
        var isReopened = false
        /// So many logs were pushed and let go before anybody was told of them: keys are missing, and an answer is needed.
        var letGo = 0
        /// What all its logs take, or took, in bytes.
        var weight = 0
        /// An answer that does not count until it is repeated.
        var doubt: [LogKey]?
        /// How often the window had moved when the doubt came; it is asked again after the next move.
        var doubtedAt: UInt64 = 0

        enum State: Sendable {
            case open
            /// An answer agreed with what is here.
            case closed
            /// The node does not give it.
            case missing
            /// Closed and audited, and its logs are forgotten: who wants it asks again.
            case sealed
        }

        /// Whether all logs that are known of are here to be told.
        var isWhole: Bool { self.letGo == 0 && self.logs.count == self.keys.count && self.state != .sealed }

        /// The same without its logs, which are not wanted any more.
        var sealed: Self {
            var entry = Self()
            entry.state = .sealed
            entry.weight = self.weight
            return entry
        }

        /// One that was sealed, or given up, and is wanted after all.
        var reopened: Self {
            var entry = Self()
            entry.isReopened = self.state == .sealed
            entry.weight = self.weight
            return entry
        }

        /// What the logs in it take.
        var bytes: Int { self.logs.count == 0 ? 0 : self.weight }
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
    /// Of the keys' digests.
    let seed: UInt64
    private let bloomTest: BloomTest
    var entries = LogEntries()
    /// The most bytes of whole logs, but for those of the blocks that consumers are being told.
    var limit = 1 << 22
    /// With more than so many, those that everyone was told of go, the oldest first: they serve whom a reorganisation gives
    /// the block again, and memory that has just been read is cheap to give back.
    var toldLimit: Int { self.limit / 8 }
    /// What the logs of a block take on average, in bytes, by the answers so far.
    var meanWeight: Int?
    /// Where this connection's subscription was acknowledged, among the facts.
    var acknowledgedAt: UInt64?
    /// Blocks from here on are covered, if their head was pushed after the acknowledgement: the block behind the `latest`
    /// that was asked for after it.
    var coveredFrom = UInt64.max
    /// Where its logs are pushed on another connection than heads: blocks from here on may be covered, the block behind the
    /// newest that was told there after the acknowledgement; `.max` until it is. Nil where they come on one connection.
    var coveredApartFrom: UInt64?
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
    /// When the last audit began, or else the book.
    var auditedAt: UInt64
    /// When logs were last pushed for it, and since when they have been without a pause.
    var pushedAt: UInt64 = 0
    var burstBeganAt: UInt64 = 0
    /// When it is seen whether an audit that waits may begin.
    var auditAt: UInt64?

    init(_ id: FilterID, _ options: FilterOptions, seed: UInt64, now: UInt64) {
        self.id = id
        self.options = options
        self.seed = seed
        self.bloomTest = BloomTest(options.filter)
        self.auditedAt = now
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
        guard block.pushOrder > acknowledgedAt, block.number >= max(self.coveredFrom, self.coveredApartFrom ?? 0) else {
            return false
        }
        return !self.waiting.mayHaveDropped(block.number)
    }

    /// Whether its logs come on another connection than heads.
    var isApart: Bool { self.coveredApartFrom != nil }

    func isClosed(_ number: UInt64) -> Bool {
        self.entries[number]?.state != .open
    }

    func mayMatch(_ block: ChainBlock, bloomsAreTrusted: Bool) -> Bool {
        guard bloomsAreTrusted, block.hasBloom else { return true }
        return self.bloomTest.mayMatch(block.header.logsBloom)
    }

    /// Whether everything has been told of a block, all known logs of which have been, as far as can be known before its
    /// audit.
    ///
    /// - Parameters:
    ///   - tip: the authority's newest block.
    ///   - isPassed: whether the endpoint that brought the block has pushed what comes behind its logs.
    func mayLeave(_ block: ChainBlock, tip: UInt64, isPassed: Bool) -> Bool {
        guard let entry = self.entries[block.number] else { return true }
        guard self.mayTell(entry) else { return false }
        guard entry.state == .open else { return true }
        guard !entry.keys.isEmpty else { return false }
        if isPassed { return true }
        guard self.isCovered(block) else { return false }
        return self.hasPassed(block, tip: tip)
    }

    /// Whether what is pushed says that all logs of a covered block have come. They may come after the next head. They come
    /// before those of later blocks, on one subscription; heads of another connection say nothing.
    func hasPassed(_ block: ChainBlock, tip: UInt64) -> Bool {
        self.highestPushed > block.number || (!self.isApart && tip >= block.number &+ 2)
    }

    /// Whether a block's logs may be told, also while it is open: as they are pushed.
    func mayTell(_ entry: Entry) -> Bool {
        guard entry.isWhole else { return false }
        return entry.state == .closed || (entry.state == .open && !self.holds && !entry.isDisputed)
    }

    // MARK: - Blocks come and go

    /// A block has come into the window. - Returns: whether a log of it contradicts its bloom.
    mutating func blockAdded(_ block: ChainBlock, bloomsAreTrusted: Bool) -> Bool {
        let waited = self.options.delivery == .pushed ? self.waiting.take(block.number, block.hash) : nil
        let mayMatch = self.mayMatch(block, bloomsAreTrusted: bloomsAreTrusted)
        // Where it was forgotten that logs waited, one of this block's may have: whatever its bloom says, it is asked for.
        let isInDoubt = self.waiting.mayHaveDropped(block.number)
        guard waited != nil || mayMatch || isInDoubt else { return false }
        var entry = Entry()
        entry.letGo = waited?.letGo ?? 0
        for run in waited?.logs.runs ?? [] { entry.insert(run, seed: self.seed) }
        // What the bloom excludes is no contradiction where another endpoint says it.
        if mayMatch, entry.letGo == 0, let others = self.waitingOfPeers.take(block.number, block.hash) {
            for run in others.logs.runs { entry.insert(run, seed: self.seed) }
        }
        self.entries[block.number] = entry
        return waited != nil && !mayMatch
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

    /// Blocks leave the window.
    mutating func blocksRemoved(_ numbers: ClosedRange<UInt64>, _ window: ChainWindow) {
        for number in numbers {
            guard let entry = self.entries[number] else { continue }
            self.entries[number] = nil
            guard self.acknowledgedAt != nil, let block = window[number] else { continue }
            // A block that comes back may be announced again while some of its logs, pushed again, have come already: only
            // together with those of before are they all.
            if entry.isWhole {
                self.waiting.add(entry.logs, number, block.hash)
            } else {
                self.waiting.noteLetGo(entry.letGo + entry.keys.count, number, block.hash)
            }
        }
        self.disputes.removeAll { numbers.contains($0) }
        self.highestPushed = min(self.highestPushed, numbers.lowerBound)
    }

    /// The window has forgotten the blocks below a number.
    mutating func forget(below number: UInt64) {
        self.entries.forget(below: number)
        self.disputes.removeAll { $0 < number }
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
        self.unacknowledged()
        self.waiting.removeAll()
        self.pending = nil
        self.retryAt = nil
        self.auditAt = nil
        self.failures = 0
    }

    /// Its logs are pushed no more.
    mutating func unacknowledged() {
        self.acknowledgedAt = nil
        self.coveredFrom = .max
        self.coveredApartFrom = nil
        self.highestPushed = 0
        self.doubtPushed()
    }

    // MARK: - Logs come

    /// A change of a block's logs: those before `prefix` are as they were.
    struct Change: Sendable {
        let number: UInt64
        let prefix: Int
    }

    /// Logs were pushed for a block of the window.
    mutating func pushed(_ run: ArraySlice<Log>, in block: ChainBlock) -> Change? {
        guard self.options.delivery == .pushed else { return nil }
        if self.entries[block.number] == nil { self.entries[block.number] = Entry() }
        guard let taken = self.entries[block.number]?.take(pushed: run, seed: self.seed) else { return nil }
        if taken.isContradiction { self.noteDispute(block.number) }
        return Change(number: block.number, prefix: taken.place)
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
        ordered.insert(answer[...], seed: self.seed)
        let isEqual = entry.isEqual(to: ordered.keys)
        let isComplete = entry.keys.allSatisfy { ordered.contains($0) } && ordered.keys.count >= entry.letGo
        let isRepeated = entry.doubt.map { ordered.isEqual(to: $0) } ?? false
        let isFresh = answer.isEmpty && depth < 2
        let isSettled = entry.isDisputed || (entry.state == .closed && !entry.isWhole)
        let agrees = isComplete && (!isSettled || isEqual)
        guard !isFresh && (agrees || isRepeated) else {
            entry.doubt = ordered.keys
            entry.doubtedAt = move
            self.entries[block.number] = entry
            return nil
        }
        let prefix = entry.commonPrefix(with: ordered.keys)
        if isEqual { entry.restore(from: ordered) } else { entry.replace(by: ordered) }
        entry.state = .closed
        let isNews = !entry.isReopened
        entry.isReopened = false
        entry.isDisputed = false
        entry.doubt = nil
        self.entries[block.number] = entry
        self.disputes.removeAll { $0 == block.number }
        return !isEqual && isNews ? Change(number: block.number, prefix: prefix) : nil
    }

    /// An audited range says otherwise of a block: an answer by hash is to settle it.
    mutating func dispute(_ number: UInt64, _ answer: [LogKey]) {
        var entry = self.entries[number] ?? Entry()
        entry.state = .open
        entry.isDisputed = true
        entry.doubt = answer
        // It may be asked at once: the range answer is the first, the one by hash the second.
        entry.doubtedAt = 0
        self.entries[number] = entry
        self.noteDispute(number)
    }

    /// What was pushed and not checked may be less than all.
    mutating func doubtPushed() {
        for number in self.entries.numbers {
            if let entry = self.entries[number], entry.state == .open, !entry.keys.isEmpty { self.noteDispute(number) }
        }
        self.disputes.sort()
    }

    // MARK: - Room

    /// So many bytes were the logs of so many blocks.
    mutating func learn(weight: Int, of blocks: Int) {
        guard blocks > 0 else { return }
        let mean = weight / blocks
        self.meanWeight = self.meanWeight.map { ($0 * 3 + mean) / 4 } ?? mean
    }

    /// What the logs of a block will take in an answer, by what is known.
    func expectedWeight(_ number: UInt64) -> Int {
        guard let entry = self.entries[number] else { return 0 }
        guard entry.state == .open else { return entry.weight }
        return max(entry.weight, self.meanWeight ?? self.limit / 16)
    }

    private mutating func noteDispute(_ number: UInt64) {
        if !self.disputes.contains(number) { self.disputes.append(number) }
    }
}

extension LogBook.Entry {
    /// The index behind all logs that stand before or beside this one.
    private func upperBound(_ key: LogKey) -> Int {
        guard let last = self.keys.last, key.place < last.place else { return self.keys.count }
        var low = 0
        var high = self.keys.count
        while low < high {
            let middle = (low + high) / 2
            if key.place < self.keys[middle].place { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// The index of a log; nil where it is not here.
    private func index(of key: LogKey) -> Int? {
        var index = self.upperBound(key)
        while index > 0, self.keys[index - 1].place == key.place {
            index -= 1
            if self.keys[index].digest == key.digest { return index }
        }
        return nil
    }

    func contains(_ key: LogKey) -> Bool { self.index(of: key) != nil }

    /// Where a log would stand; nil where it does.
    func place(of key: LogKey) -> Int? { self.contains(key) ? nil : self.upperBound(key) }

    /// Puts logs in their places. - Returns: the lowest place of one that was not here; nil where all were.
    @discardableResult
    mutating func insert(_ run: ArraySlice<Log>, seed: UInt64) -> Int? {
        let isWhole = self.isWhole
        var lowest: Int?
        // Nearly all stand behind those before: they are kept as they came, up to here.
        var kept = run.startIndex
        func keep(upTo end: Int) {
            guard end > kept else { return }
            let part = run[kept..<end]
            let weight = ContinuityEvent.weight(of: part)
            self.weight += weight
            // A small part of a large run does not hold all of it.
            if isWhole { self.logs.append(part.count < run.count / 4 ? Array(part)[...] : part, weight: weight) }
        }
        if self.keys.isEmpty { self.keys.reserveCapacity(run.count) }
        run.withUnsafeBufferPointer { logs in
            guard let first = logs.baseAddress else { return }
            for offset in logs.indices {
                let key = LogKey(at: first + offset, seed: seed)
                if self.keys.last.map({ $0.place < key.place }) ?? true {
                    lowest = lowest ?? self.keys.count
                    self.keys.append(key)
                    continue
                }
                let index = run.startIndex + offset
                keep(upTo: index)
                kept = index + 1
                guard let place = self.place(of: key) else { continue }
                lowest = min(lowest ?? place, place)
                if isWhole { self.logs.insert(run[index], at: place) }
                self.keys.insert(key, at: place)
                self.weight += ContinuityEvent.weight(of: run[index])
            }
        }
        keep(upTo: run.endIndex)
        return lowest
    }

    /// Logs were pushed. - Returns: the lowest place of one that is new, and whether an answer had denied it; nil where
    /// nothing is new, or all of the block is to be asked for.
    mutating func take(pushed run: ArraySlice<Log>, seed: UInt64) -> (place: Int, isContradiction: Bool)? {
        guard !self.isReopened, self.state == .open || self.state == .closed else { return nil }
        guard self.letGo == 0 else {
            self.letGo += run.count
            self.weight += ContinuityEvent.weight(of: run)
            return nil
        }
        guard let place = self.insert(run, seed: seed) else { return nil }
        guard self.state == .closed else { return (place, false) }
        self.state = .open
        self.isDisputed = true
        return (place, true)
    }

    /// An answer's logs become the block's.
    mutating func replace(by answer: Self) {
        self.keys = answer.keys
        self.logs = answer.logs
        self.weight = answer.weight
        self.letGo = 0
    }

    /// The logs are here again, from an answer that has the same: in the order in which they may have been told in part. An
    /// answer may give those of equal places in another.
    mutating func restore(from answer: Self) {
        guard !self.isWhole else { return }
        guard self.keys != answer.keys else {
            self.logs = answer.logs
            return
        }
        let logs = answer.logs.joined
        self.logs = LogRuns(self.keys.compactMap { key in answer.index(of: key).map { logs[$0] } }[...])
    }

    /// The logs go, for want of room or because everyone was told of them. Where somebody was told of them, what is known of
    /// them stays.
    mutating func forget(isTold: Bool) {
        self.logs = LogRuns()
        guard !isTold else { return }
        self.letGo += self.keys.count
        self.keys = []
        if self.state == .closed { self.state = .open }
    }

    func isEqual(to other: [LogKey]) -> Bool {
        self.letGo == 0 && self.keys.count == other.count
            && (self.keys == other || other.allSatisfy { self.contains($0) })
    }

    func commonPrefix(with other: [LogKey]) -> Int {
        zip(self.keys, other).prefix { $0 == $1 }.count
    }
}
