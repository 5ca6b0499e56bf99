import EthereumTypes

extension ContinuityMachine {
    /// Consumers whose start is known, and in the window, begin.
    mutating func startConsumers() {
        guard self.isLevel, self.round == nil, let tip = self.window.tip else { return }
        for index in self.consumers.indices where self.consumers[index].state == .starting {
            switch self.consumers[index].options.origin {
            case .latest: self.begin(index, behind: tip.ref)
            case .block(let number): self.begin(index, with: number)
            case .cursor(let cursor): self.begin(index, at: cursor)
            }
        }
    }

    private mutating func begin(_ index: Int, with number: UInt64) {
        guard let tip = self.window.tip, let base = self.window.base else { return }
        let lowest = tip.number >= self.limits.blocks ? tip.number - self.limits.blocks + 1 : 0
        if number > 0, let before = self.window.ref(number - 1) {
            self.begin(index, behind: before)
        } else if number == 0 && base.number == 0 {
            self.beginWithGenesis(index)
        } else if number > tip.number {
            // Not there yet: it begins when the chain gets there.
            guard number == tip.number + 1 else { return }
            self.begin(index, behind: tip.ref)
        } else if number < lowest, base.number <= lowest || self.backfill.isExhausted {
            self.tell(index, .gap(number...(base.number - 1), .beyondLimit))
            self.begin(index, behind: self.window.ref(base.number - 1) ?? base.ref)
        } else if self.backfill.isExhausted, base.number > 0 {
            self.tell(index, .gap(number...(base.number - 1), .unavailable))
            self.begin(index, behind: self.window.ref(base.number - 1) ?? base.ref)
        }
    }

    private mutating func begin(_ index: Int, at cursor: Cursor) {
        guard let tip = self.window.tip, let base = self.window.base else { return }
        for candidate in cursor.candidates {
            if candidate.number > tip.number { continue }
            if let known = self.window.ref(candidate.number) {
                guard known.hash == candidate.hash || self.window.contains(candidate.number, candidate.hash) else {
                    continue
                }
                return self.resume(index, from: known)
            }
            let isInReach = tip.number - candidate.number < self.limits.blocks && !self.backfill.isExhausted
            if isInReach { return }
            guard let vouched = self.backfill.vouched[candidate.number] else { return }
            guard vouched == candidate.hash else { continue }
            // Too far below to link: the node itself still has the block at its number.
            self.resume(index, from: candidate)
            if candidate.number + 1 < base.number {
                self.consumers[index].gap = (candidate.number + 1...(base.number - 1), .beyondLimit)
            }
            return
        }
        self.consumers[index].state = .ended
        self.tell(index, .failed(.cursorUnknown))
    }

    private mutating func resume(_ index: Int, from block: BlockRef) {
        self.tell(index, .rollback(to: block, removed: []))
        self.consumers[index].resumedBehind = block
        self.begin(index, behind: block)
    }

    private mutating func begin(_ index: Int, behind block: BlockRef) {
        self.consumers[index].begin(behind: block)
        self.openBook(of: index)
    }

    private mutating func beginWithGenesis(_ index: Int) {
        self.consumers[index].begin(behind: BlockRef(number: .max, hash: .zero))
        self.consumers[index].position = nil
        self.openBook(of: index)
    }

    /// The lowest block that a starting consumer needs in the window.
    var lowestWanted: UInt64? {
        guard let tip = self.window.tip, let base = self.window.base else { return nil }
        let lowest = tip.number >= self.limits.blocks ? tip.number - self.limits.blocks + 1 : 0
        var wanted = base.number
        for consumer in self.consumers where consumer.state == .starting {
            switch consumer.options.origin {
            case .latest: break
            case .block(let number): wanted = min(wanted, max(number, lowest))
            case .cursor(let cursor):
                for candidate in cursor.candidates where candidate.number < tip.number {
                    guard candidate.number + 1 < base.number else { continue }
                    wanted = min(wanted, max(candidate.number + 1, lowest))
                    break
                }
            }
        }
        return wanted < base.number ? wanted : nil
    }

    // MARK: - Telling

    mutating func tell(_ index: Int, _ event: ContinuityEvent) { self.tell(index, event, weight: event.weight) }

    private mutating func tell(_ index: Int, _ event: ContinuityEvent, weight: Int) {
        self.consumers[index].told(bytes: weight)
        self.actions.append(.tell(self.consumers[index].id, event))
    }

    /// Tells each consumer what it may know now: first what is void, then what follows.
    mutating func advanceConsumers() {
        for index in self.consumers.indices {
            guard self.consumers[index].state == .running, !self.consumers[index].isPaused else { continue }
            self.advance(index)
        }
    }

    private mutating func advance(_ index: Int) {
        let start = self.consumers[index].start
        if let event = self.consumers[index].rollBack(self.window) {
            if self.consumers[index].start < start { self.openBook(of: index) }
            if self.consumers[index].options.finality == .finalized, case .rollback(_, let removed) = event,
                let lowest = removed.last
            {
                self.consumers[index].state = .ended
                return self.tell(index, .failed(.finalityViolated(lowest)))
            }
            self.tell(index, event)
        }
        if let gap = self.consumers[index].gap {
            self.consumers[index].gap = nil
            // A consumer that was paused may not have got there.
            let first = min(gap.range.lowerBound, self.consumers[index].next)
            self.skip(index, first...gap.range.upperBound, gap.reason)
        }
        self.skipUnaudited(index)
        let ceiling = self.ceiling(self.consumers[index].options.finality)
        while let tip = self.window.tip, let base = self.window.base {
            let next = self.consumers[index].next
            if next < base.number {
                // A reset of the window, or a consumer so slow that the window has left it behind. Logs that were told and
                // cannot be audited any more are as good as missing.
                let isOfLogs = self.consumers[index].options.filter != nil
                let first = isOfLogs ? min(next, self.consumers[index].unaudited) : next
                self.skip(index, first...(base.number - 1), self.resetReason)
                continue
            }
            guard let ceiling, next <= ceiling, next <= tip.number, let block = self.window[next] else { break }
            if let lagsFrom = self.consumers[index].lagsFrom, lagsFrom <= next {
                self.consumers[index].lagsFrom = nil
                self.tell(index, .lagged(blocks: tip.number - next + 1))
            }
            guard self.mayTell(block, to: index) else {
                self.skip(index, next...next, .unverified)
                continue
            }
            guard !self.consumers[index].isPaused, self.tell(index, block, tip: tip.number) else { break }
            // After each block: what is caught up with can be kept block by block.
            self.movePosition(index)
        }
        // What was told before may have been audited since.
        self.movePosition(index)
        if self.consumers[index].options.isToldFinality, let final = self.finality.known,
            final.number >= self.consumers[index].start, final.number < self.consumers[index].next,
            final.number > self.consumers[index].finalized ?? 0
        {
            self.consumers[index].finalized = final.number
            self.tell(index, .finalized(final))
        }
        if !self.consumers[index].isCaughtUp, self.isLevel, self.round == nil, let ceiling,
            self.consumers[index].next > ceiling
        {
            self.consumers[index].isCaughtUp = true
            self.tell(index, .caughtUp)
        }
    }

    /// Logs that were told, and whose blocks the window has begun to forget before an audit: they are as good as missing. All
    /// that wait for it at once, or the next block would bring the next gap.
    private mutating func skipUnaudited(_ index: Int) {
        let first = self.consumers[index].unaudited
        let next = self.consumers[index].next
        guard self.consumers[index].options.filter != nil, let base = self.window.base, first < base.number,
            next >= base.number
        else { return }
        self.skip(index, first...(next - 1), .beyondLimit)
    }

    private mutating func skip(_ index: Int, _ range: ClosedRange<UInt64>, _ reason: GapReason) {
        self.tell(index, .gap(range, reason))
        self.consumers[index].skip(range, self.window)
    }

    /// Tells a block, or as much of it as may be told. - Returns: whether it is told to its end.
    private mutating func tell(_ index: Int, _ block: ChainBlock, tip: UInt64) -> Bool {
        if let filter = self.consumers[index].options.filter {
            guard let book = self.books.firstIndex(where: { $0.id == filter }) else { return false }
            if let entry = self.books[book].entries[block.number] {
                switch entry.state {
                case .missing:
                    var last = block.number
                    while last < tip, self.books[book].entries[last + 1]?.state == .missing { last += 1 }
                    self.skip(index, block.number...last, .unavailable)
                    return true
                case .sealed, .open, .closed: break
                }
                guard self.books[book].mayTell(entry) else { return false }
                guard self.tell(index, logsOf: entry, in: block) else { return false }
            }
            let isPassed = block.origin != nil && self.isPassed(block, filter)
            guard self.books[book].mayLeave(block, tip: tip - self.ahead, isPassed: isPassed) else { return false }
        } else {
            self.tell(index, .head(block.header))
        }
        self.consumers[index].passed(block)
        self.tell(index, .passed(block.ref))
        return true
    }

    /// Tells the logs of a block that it was not told of, as far as there is room. - Returns: whether it has all of them.
    private mutating func tell(_ index: Int, logsOf entry: LogBook.Entry, in block: ChainBlock) -> Bool {
        let first = self.consumers[index].toldInBlock
        guard first < entry.logs.count else { return true }
        self.consumers[index].current = block.ref
        for run in entry.logs.suffix(from: first) {
            var rest = run
            while !rest.isEmpty {
                let room = self.consumers[index].room
                guard room > 0 else { return false }
                let (count, weight) = ContinuityEvent.prefix(of: rest, thatFills: room)
                self.tell(index, .logs(rest.prefix(count)), weight: weight)
                self.consumers[index].toldInBlock += count
                rest = rest.dropFirst(count)
            }
        }
        return true
    }

    // MARK: - The place to resume from

    /// Moves the cursor over all blocks that are told and closed, and tells it.
    private mutating func movePosition(_ index: Int) {
        if let filter = self.consumers[index].options.filter {
            guard let book = self.books.firstIndex(where: { $0.id == filter }) else { return }
            var number = self.consumers[index].position.map { $0.number &+ 1 } ?? self.consumers[index].start
            while number < self.consumers[index].next, let ref = self.window.ref(number),
                self.books[book].isClosed(number)
            {
                self.consumers[index].position = ref
                self.consumers[index].positionHasMoved = true
                number += 1
            }
        } else if let last = self.consumers[index].told.last, self.consumers[index].position != last,
            self.consumers[index].next == last.number &+ 1
        {
            self.consumers[index].position = last
            self.consumers[index].positionHasMoved = true
        }
        guard self.consumers[index].positionHasMoved else { return }
        self.consumers[index].positionHasMoved = false
        if let cursor = self.cursor(of: self.consumers[index]) { self.tell(index, .progress(cursor)) }
    }

    func cursor(of consumer: ContinuityConsumer) -> Cursor? {
        guard let position = consumer.position else { return nil }
        var ancestors: [BlockRef] = []
        var distance: UInt64 = 1
        while distance <= position.number, let ref = self.window.ref(position.number - distance) {
            ancestors.append(ref)
            if let final = self.finality.known, ref.number <= final.number { break }
            distance *= 2
        }
        return Cursor(block: position, ancestors: ancestors)
    }
}
