import EthereumTypes

extension LogFilter {
    fileprivate func matchesAll(_ logs: ArraySlice<Log>) -> Bool {
        if self.addresses.isEmpty, self.topics.isEmpty, self.blocks == .unspecified { return true }
        return logs.allSatisfy { self.matches($0) }
    }
}

extension ContinuityMachine {
    /// The most single blocks asked for in one batch.
    private static let batchOfBlocks = 8
    /// From so many blocks on a range is asked for instead.
    private static let worthARange = 4
    /// A burst is over when nothing was pushed for so long, in nanoseconds; what goes on for longer than that is none.
    private static let burstPause: UInt64 = 250_000_000
    private static let longestBurst: UInt64 = 5_000_000_000
    /// Answered errors in a row after which a block is given up.
    private static let maxFailures = 8

    // MARK: - Pushed logs

    mutating func logsReceived(_ id: FilterID, _ logs: [Log]) {
        guard self.isConnected, let index = self.books.firstIndex(where: { $0.id == id }) else { return }
        if self.now >= self.books[index].pushedAt &+ Self.burstPause { self.books[index].burstBeganAt = self.now }
        self.books[index].pushedAt = self.now
        let span = logs.span
        var begin = 0
        while begin < logs.count {
            // Those of one block that came together.
            var end = begin + 1
            while end < logs.count, span[end].blockHashValue == span[begin].blockHashValue,
                span[end].blockNumberValue == span[begin].blockNumberValue, span[end].removed == span[begin].removed
            { end += 1 }
            // A few out of many do not hold all of them.
            let run = logs[begin..<end]
            self.logsReceived(index, run.count < logs.count / 4 ? Array(run)[...] : run)
            begin = end
        }
    }

    /// Pushed logs were lost on their way: as if the filter had been acknowledged anew.
    mutating func logsLost(_ id: FilterID) {
        guard self.isConnected, let index = self.books.firstIndex(where: { $0.id == id }) else { return }
        self.books[index].doubtPushed()
        if self.books[index].isApart {
            self.acknowledgedApart([id])
        } else {
            self.acknowledged(heads: false, [id])
        }
    }

    // MARK: - Logs of another connection than heads

    mutating func acknowledgedApart(_ filters: [FilterID]) {
        self.acknowledged(heads: false, filters)
        for index in self.books.indices where self.isConnected && filters.contains(self.books[index].id) {
            self.books[index].coveredApartFrom = .max
            self.books[index].highestPushed = 0
        }
    }

    mutating func newestApart(_ filters: [FilterID], _ number: UInt64) {
        for index in self.books.indices where self.books[index].isApart && filters.contains(self.books[index].id) {
            self.books[index].coveredApartFrom = number == .max ? number : number + 1
        }
    }

    mutating func unacknowledged(_ filters: [FilterID]) {
        for index in self.books.indices where filters.contains(self.books[index].id) {
            self.books[index].unacknowledged()
        }
        self.acknowledged.removeAll { filters.contains($0) }
        self.round?.acknowledged.removeAll { filters.contains($0) }
    }

    /// Takes logs of one block.
    private mutating func logsReceived(_ index: Int, _ run: ArraySlice<Log>) {
        guard let first = run.first, let number = first.blockNumber, let hash = first.blockHash else { return }
        let isInWindow = self.window.contains(number, hash)
        if first.removed {
            // It proves nothing: the heads tell what happened. Where they do not, `latest` does.
            if isInWindow { self.wantsLatest = true }
            return
        }
        // A node's filter is trusted to give too little, never too much.
        let filter = self.books[index].filter
        var run = run
        if !filter.matchesAll(run) { run = run.filter { filter.matches($0) }[...] }
        guard !run.isEmpty else { return }
        self.books[index].highestPushed = max(self.books[index].highestPushed, number)
        guard isInWindow, let block = self.window[number] else {
            if let tip = self.window.tip, number &+ 64 < tip.number {
                return self.books[index].waiting.drop(number)
            }
            self.books[index].waiting.add(run, number, hash)
            return
        }
        if self.books[index].options.verify != .off {
            run = run.filter { self.admits([$0], of: block, for: self.books[index]) }[...]
            guard !run.isEmpty else { return }
        }
        // No entry: the bloom had excluded the filter.
        if self.bloomsAreTrusted, self.books[index].entries[number] == nil, !block.isOfPeer { self.distrustBlooms() }
        if let change = self.books[index].pushed(run, in: block) { self.changed(index, change) }
    }

    /// A log has contradicted a bloom: none is believed any more on this chain. What they alone had closed is asked for,
    /// where it has not been audited.
    mutating func distrustBlooms() {
        self.bloomsAreTrusted = false
        for index in self.books.indices {
            guard let lowest = self.lowestUnaudited(of: self.books[index].id) else { continue }
            self.books[index].reopen(self.window, from: max(lowest, self.window.base?.number ?? 0))
        }
    }

    /// A block's logs have changed: consumers that were told otherwise are told again.
    private mutating func changed(_ book: Int, _ change: LogBook.Change) {
        let id = self.books[book].id
        for index in self.consumers.indices where self.consumers[index].options.filter == id {
            let next = self.consumers[index].next
            let isToldOtherwise =
                next == change.number
                ? self.consumers[index].toldInBlock > change.prefix : self.consumers[index].hasTold(change.number)
            if isToldOtherwise {
                self.consumers[index].invalidate(above: change.number &- 1)
            }
        }
    }

    // MARK: - Consumers of a filter

    /// Numbers of the consumers of a filter that run, of those that have one. They are looked at where they lie: to copy a
    /// consumer costs more.
    func numbers(
        ofRunning id: FilterID,
        _ number: (borrowing ContinuityConsumer) -> UInt64?
    ) -> [UInt64] {
        let consumers = self.consumers.span
        var numbers: [UInt64] = []
        for index in consumers.indices
        where consumers[index].options.filter == id && consumers[index].state == .running {
            if let found = number(consumers[index]) { numbers.append(found) }
        }
        return numbers
    }

    /// The lowest block that a consumer of this filter was told, or will be, and that no audit has confirmed.
    func lowestUnaudited(of id: FilterID) -> UInt64? {
        self.numbers(ofRunning: id) { $0.unaudited }.min()
    }

    /// The lowest block in the window behind which a consumer of this filter has been told so many that no audit has
    /// confirmed.
    private func firstToAudit(of id: FilterID, _ count: UInt64) -> UInt64? {
        guard let base = self.window.base?.number else { return nil }
        return self.numbers(ofRunning: id) {
            $0.unaudited >= base && $0.validNext >= $0.unaudited &+ count ? $0.unaudited : nil
        }.min()
    }

    /// The lowest block that a consumer of this filter waits for.
    func lowestNext(of id: FilterID, includingPaused: Bool) -> UInt64? {
        self.numbers(ofRunning: id) { includingPaused || !$0.isPaused ? $0.validNext : nil }.min()
    }

    /// A consumer has begun: the blocks from its start on are wanted.
    mutating func openBook(of consumer: Int) {
        guard let filter = self.consumers[consumer].options.filter,
            let index = self.books.firstIndex(where: { $0.id == filter }), let tip = self.window.tip,
            let base = self.window.base
        else { return }
        let start = self.consumers[consumer].start
        var number = max(start, base.number)
        while number <= tip.number, let block = self.window[number] {
            defer { number += 1 }
            if let entry = self.books[index].entries[number] {
                if entry.state == .sealed || entry.state == .missing {
                    self.books[index].entries[number] = entry.reopened
                }
            } else if self.books[index].mayMatch(block, bloomsAreTrusted: self.bloomsAreTrusted) {
                self.books[index].entries[number] = .init()
            }
        }
    }

    // MARK: - Asking

    mutating func requestForBooks() {
        // Of what other endpoints alone have shown, the node that is asked need not know yet.
        guard self.isLevel, let tip = self.settled else { return }
        for index in self.books.indices where self.books[index].pending == nil {
            if let retryAt = self.books[index].retryAt {
                guard retryAt <= self.now else { continue }
                self.books[index].retryAt = nil
            }
            let id = self.books[index].id
            let next = self.lowestNext(of: id, includingPaused: false)
            if let next, next > tip { self.books[index].spent = 0 }
            // While nobody reads, what they were told is checked all the same.
            if self.requestBlocks(index, from: next ?? tip &+ 1, tip) { continue }
            self.requestAudit(index, tip)
        }
    }

    /// Whether an answer for a block is needed, now.
    ///
    /// - Parameter isWanted: whether a consumer waits for the block's logs.
    private func needsAnswer(_ book: borrowing LogBook, _ block: ChainBlock, _ tip: UInt64, isWanted: Bool) -> Bool {
        guard block.number <= tip, let entry = book.entries[block.number] else { return false }
        switch entry.state {
        case .missing: return false
        case .sealed: return isWanted
        case .closed: guard isWanted, !entry.isWhole else { return false }
        case .open: break
        }
        if entry.doubt != nil, entry.doubtedAt >= self.move { return false }
        let depth = self.isOver ? 2 : tip - block.number
        // That there is nothing counts when two blocks stand above: until then nodes may not have it yet.
        if let doubt = entry.doubt, doubt.isEmpty, entry.keys.isEmpty, depth < 2 { return false }
        if !entry.isWhole || book.holds || entry.isDisputed || !book.isCovered(block) { return true }
        return depth >= 2 && (entry.keys.isEmpty || (book.isApart && !book.hasPassed(block, tip: tip)))
    }

    /// Blocks for which an answer is needed, the lowest first: those that were told and are in doubt, then those that a
    /// consumer waits for, no more than there is room for, but each that a consumer cannot go on without.
    ///
    /// - Returns: the blocks, and the last for which there is room.
    private func blocksInNeed(_ index: Int, from next: UInt64, _ tip: UInt64) -> ([ChainBlock], last: UInt64) {
        guard let base = self.window.base else { return ([], 0) }
        // Looked at where it lies: it is asked with each fact.
        let books = self.books.span
        var needed: [ChainBlock] = []
        for number in books[index].disputes.sorted() where number < next {
            guard let block = self.window[number] else { continue }
            if self.needsAnswer(books[index], block, tip, isWanted: false) { needed.append(block) }
        }
        let nexts = self.numbers(ofRunning: books[index].id) { $0.isPaused ? nil : $0.validNext }
        var room = min(books[index].limit - books[index].entries.bytes, self.limits.answer)
        var last = tip
        var number = max(next, base.number)
        while number <= tip, needed.isEmpty || number - needed[0].number < 256, let block = self.window[number] {
            let isNeeded = self.needsAnswer(books[index], block, tip, isWanted: true)
            if isNeeded || !needed.isEmpty { room -= books[index].expectedWeight(number) }
            if room <= 0 { last = min(last, number) }
            if isNeeded, room > 0 || nexts.contains(number) { needed.append(block) }
            number += 1
        }
        return (needed, last)
    }

    private mutating func requestBlocks(_ index: Int, from next: UInt64, _ tip: UInt64) -> Bool {
        let (needed, lastWithRoom) = self.blocksInNeed(index, from: next, tip)
        guard let first = needed.first, let base = self.window.base else { return false }
        let book = self.books[index]
        // What was let go for want of room is read again for nothing.
        let isRead = book.entries[first.number]?.isWhole == false
        if book.spent >= self.limits.requests, !isRead {
            for number in max(next, base.number)...max(tip, next) where book.entries[number]?.state == .open {
                self.books[index].entries[number]?.state = .missing
            }
            self.books[index].disputes = []
            self.books[index].spent = 0
            self.advanceConsumers()
            return true
        }
        self.books[index].spent += isRead ? 0 : 1
        for block in needed {
            guard let entry = book.entries[block.number], entry.state == .sealed else { continue }
            self.books[index].entries[block.number] = entry.reopened
        }
        let isPlain: (ChainBlock) -> Bool = { book.entries[$0.number]?.isDisputed == false }
        let inSpan = needed.prefix {
            isPlain($0) && $0.number - first.number < self.planner.span && $0.number <= lastWithRoom
        }
        if inSpan.count >= Self.worthARange, book.options.verify != .logs, let last = inSpan.last {
            self.requestRange(index, first.number...last.number, isAudit: false)
            return true
        }
        let blocks = needed.prefix(Self.batchOfBlocks)
        let token = self.request(
            .book(book.id),
            blocks.map { block in
                // All of them make up the bloom.
                var filter = book.options.verify == .logs ? LogFilter() : book.filter
                filter.blocks = .hash(self.window.answeredHash(block.number) ?? block.hash)
                return .logs(filter)
            }
        )
        self.books[index].pending = .init(
            token: token,
            purpose: .blocks(blocks.map(\.ref)),
            askedAt: self.move,
            tip: tip
        )
        return true
    }

    private mutating func requestRange(_ index: Int, _ range: ClosedRange<UInt64>, isAudit: Bool) {
        guard let tip = self.settled else { return }
        let above = min(range.upperBound &+ 2, tip)
        guard let hash = self.window.answeredHash(above) else { return }
        var filter = self.books[index].filter
        filter.blocks = .range(from: .number(range.lowerBound), to: .number(range.upperBound))
        // The header before and after shows that the backend has the branch, two blocks beyond the range where there are so
        // many, and did not change its mind meanwhile.
        let header = ChainCall.header(.number(above))
        // An audit compares; only where logs are held against blooms are they wanted themselves.
        let isOfKeys = isAudit && self.books[index].options.verify == .off
        let logs = isOfKeys ? ChainCall.logKeys(filter) : .logs(filter)
        let token = self.request(.book(self.books[index].id), [header, logs, header])
        self.books[index].pending = .init(
            token: token,
            purpose: .range(range, witness: BlockRef(number: above, hash: hash), isAudit: isAudit),
            askedAt: self.move,
            tip: tip
        )
    }

    private mutating func requestAudit(_ index: Int, _ tip: UInt64) {
        guard self.books[index].disputes.isEmpty, self.books[index].auditRefusedAt != self.move else { return }
        // An interval at a time, two blocks below the tip, and only what a consumer has passed.
        let interval = min(self.books[index].auditInterval, max(self.limits.blocks / 2, 1))
        guard let first = self.firstToAudit(of: self.books[index].id, interval), tip >= first + interval + 1 else {
            return
        }
        let book = self.books[index]
        let hasRoom = self.mayWait(book, blocks: tip - first)
        if hasRoom, book.auditAt != nil { return }
        let span = min(interval, self.planner.span)
        // What was told is known: an answer is no longer than it need be.
        var last = first
        var weight = book.entries[first]?.weight ?? 0
        while last - first + 1 < span {
            let more = weight + (book.entries[last + 1]?.weight ?? 0)
            guard more <= self.limits.answer else { break }
            weight = more
            last += 1
        }
        let pace = UInt64(min(Double(weight) / Double(self.limits.auditedPerSecond) * 1e9, 1e11))
        let burstEnd = min(book.pushedAt &+ Self.burstPause, book.burstBeganAt &+ Self.longestBurst)
        let due = min(book.auditedAt &+ pace, burstEnd)
        if hasRoom, self.now < due {
            self.books[index].auditAt = due
            return
        }
        self.books[index].auditedAt = self.now
        self.books[index].auditAt = nil
        self.requestRange(index, first...last, isAudit: true)
    }

    /// Whether the audit of so many blocks may wait: not at the end, nor where blocks or keys would have to be forgotten.
    private func mayWait(_ book: LogBook, blocks: UInt64) -> Bool {
        !self.isOver && blocks < self.limits.blocks && book.entries.keys < self.limits.unauditedKeys
    }

    // MARK: - Answers

    mutating func bookAnswered(_ id: FilterID, _ answers: [ChainAnswer]) {
        guard let index = self.books.firstIndex(where: { $0.id == id }) else { return }
        guard let pending = self.books[index].pending else { return }
        self.books[index].pending = nil
        switch pending.purpose {
        case .blocks(let refs): self.blocksAnswered(index, refs, answers, pending)
        case .range(let range, let witness, let isAudit):
            self.rangeAnswered(index, range, witness, isAudit, answers)
        }
    }

    private mutating func blocksAnswered(
        _ index: Int,
        _ refs: [BlockRef],
        _ answers: [ChainAnswer],
        _ pending: LogBook.Pending
    ) {
        var failed: BlockRef?
        var failure = ChainFailure.other
        for (place, ref) in refs.enumerated() {
            guard self.window.contains(ref.number, ref.hash), let block = self.window[ref.number] else { continue }
            let answer = place < answers.count ? answers[place] : answers.last ?? .failure(.other)
            guard case .logs(let logs) = answer,
                logs.allSatisfy({ $0.blockHash.map { self.window.contains(ref.number, $0) } ?? false }),
                self.admits(logs, of: block, for: self.books[index], areAll: true)
            else {
                if failed == nil { failed = ref }
                if case .failure(let told) = answer { failure = told }
                continue
            }
            let wanted = logs.filter { self.books[index].filter.matches($0) }
            self.books[index].learn(weight: ContinuityEvent.weight(of: wanted[...]), of: 1)
            let depth = self.isOver ? 2 : pending.tip >= ref.number ? pending.tip - ref.number : 0
            if let change = self.books[index].settle(block, wanted, depth: depth, move: self.move) {
                self.changed(index, change)
            }
        }
        self.bookFailed(index, failed, failure)
    }

    /// Notes that a request failed, or that it did not where `block` is nil.
    private mutating func bookFailed(_ index: Int, _ block: BlockRef?, _ failure: ChainFailure) {
        guard let block else {
            self.books[index].failures = 0
            return
        }
        // The node may have left this branch, and the head that says so is late or lost: only where `latest` has confirmed the
        // branch since does a failure count.
        if case .rateLimited = failure {
        } else {
            guard self.round == nil, !self.wantsLatest, self.suspect == nil else {
                self.books[index].retryAt = self.backoff(3)
                return
            }
            self.wantsLatest = true
        }
        self.books[index].failures += 1
        self.books[index].retryAt = self.backoff(self.books[index].failures - 1)
        var limit = Self.maxFailures
        if case .rateLimited = failure { limit *= 8 }
        guard self.books[index].failures >= limit else { return }
        self.books[index].failures = 0
        if self.books[index].entries[block.number]?.state == .open {
            self.books[index].entries[block.number]?.state = .missing
            self.books[index].disputes.removeAll { $0 == block.number }
        }
    }

    private mutating func rangeAnswered(
        _ index: Int,
        _ range: ClosedRange<UInt64>,
        _ witness: BlockRef,
        _ isAudit: Bool,
        _ answers: [ChainAnswer]
    ) {
        // The window has left the branch meanwhile.
        guard self.window.contains(witness.number, witness.hash), self.window[range.lowerBound] != nil else { return }
        let count = range.upperBound - range.lowerBound + 1
        for case .failure(let failure) in answers {
            let isSplit =
                switch failure {
                case .tooManyResults, .rangeTooLarge: self.planner.refused(count, failure)
                case .rateLimited, .other: false
                }
            // A smaller range at once; where nothing is left to split, later, and block by block.
            guard !isSplit else { return }
            if isAudit {
                self.books[index].auditRefusedAt = self.move
                // One block, and the node does not give it: it stays as it was told.
                if count == 1, failure == .tooManyResults { self.audited(index, range) }
            }
            let ref = self.window[range.lowerBound]?.ref
            return self.bookFailed(index, isAudit ? nil : ref, failure)
        }
        guard answers.count == 3, case .header(let before?) = answers[0], case .header(let after?) = answers[2],
            before.hash == witness.hash, after.hash == witness.hash,
            let blocks = self.keys(answers[1], of: self.books[index].filter),
            blocks.allSatisfy({ range.contains($0.number) && self.window.contains($0.number, $0.hash) })
        else {
            // Of another branch, or of a backend that does not have it yet: proves nothing about the logs.
            if isAudit {
                self.books[index].auditRefusedAt = self.move
                self.wantsLatest = true
            }
            if !isAudit { self.bookFailed(index, self.window[range.lowerBound]?.ref, .other) }
            return
        }
        var logs: [UInt64: [Log]] = [:]
        if case .logs(let all) = answers[1] {
            logs = Dictionary(grouping: all) { $0.blockNumber ?? 0 }
            self.books[index].learn(weight: ContinuityEvent.weight(of: all[...]), of: range.count)
        }
        for (number, told) in logs.sorted(by: { $0.key < $1.key }) {
            guard let block = self.window[number], !self.admits(told, of: block, for: self.books[index]) else {
                continue
            }
            if isAudit {
                self.books[index].auditRefusedAt = self.move
            } else {
                self.bookFailed(index, block.ref, .other)
            }
            return
        }
        self.planner.answered(count)
        self.books[index].failures = 0
        // An answer need not give its blocks in their order, nor one block's logs together.
        var keys: [UInt64: [LogKey]] = [:]
        for block in blocks { keys[block.number, default: []] += block.keys }
        var isClean = true
        for number in range {
            guard let block = self.window[number] else { return }
            if !isAudit, let entry = self.books[index].entries[number], entry.state == .open || !entry.isWhole {
                let wanted = (logs[number] ?? []).filter { self.books[index].filter.matches($0) }
                let depth = self.isOver ? 2 : witness.number >= number ? witness.number - number : 0
                if let change = self.books[index].settle(block, wanted, depth: depth, move: self.move) {
                    self.changed(index, change)
                }
            } else if !self.compare(index, block, keys[number] ?? []) {
                isClean = false
                self.differences += 1
            }
        }
        guard isAudit, isClean else { return }
        self.audited(index, range)
    }

    /// The keys of an answer's logs, block by block; nil where it is no answer.
    private func keys(_ answer: ChainAnswer, of filter: LogFilter) -> [BlockLogKeys]? {
        switch answer {
        case .logKeys(let blocks): blocks
        case .logs(let logs): BlockLogKeys.gathered(logs, filter, seed: self.seed)
        case .header, .failure: nil
        }
    }

    private mutating func audited(_ index: Int, _ range: ClosedRange<UInt64>) {
        let id = self.books[index].id
        for consumer in self.consumers.indices where self.consumers[consumer].options.filter == id {
            self.consumers[consumer].audited(range)
        }
        self.seal(index)
    }

    /// Whether a consumer of the book's filter was told of a block.
    func isTold(_ number: UInt64, _ book: Int) -> Bool {
        let id = self.books[book].id
        return self.consumers.contains {
            $0.options.filter == id && ($0.hasTold(number) || $0.validNext == number && $0.toldInBlock > 0)
        }
    }

    /// Compares a range answer's part for one block with what is known. - Returns: false where it contradicts that.
    private mutating func compare(_ index: Int, _ block: ChainBlock, _ answer: [LogKey]) -> Bool {
        guard let entry = self.books[index].entries[block.number] else {
            if answer.isEmpty { return true }
            if !block.isOfPeer { self.distrustBlooms() }
            self.books[index].dispute(block.number, answer)
            return false
        }
        switch entry.state {
        case .missing, .sealed: return true
        case .closed: if entry.isEqual(to: answer) { return true }
        case .open:
            // What nobody was told is asked for when somebody is to be.
            guard !entry.isReopened, self.isTold(block.number, index) else { return true }
            if entry.isEqual(to: answer), !entry.isDisputed {
                self.books[index].entries[block.number]?.state = .closed
                self.books[index].entries[block.number]?.doubt = nil
                return true
            }
        }
        self.books[index].dispute(block.number, answer)
        return false
    }
}
