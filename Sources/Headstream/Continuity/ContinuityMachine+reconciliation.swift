import EthereumTypes

extension ContinuityMachine {
    /// One reconciliation of the window with the newest head, from asking for it to the block where the branches meet.
    struct Round: Sendable {
        var phase: Phase
        /// The branch towards the target, the target first, each the parent of the one before.
        var branch: [ChainBlock] = []
        /// Headers that came along and may be parents, ascending in the number of requests that asked for them.
        var extras: [ChainBlock] = []
        /// The filters whose coverage begins above the `latest` asked for.
        var acknowledged: [FilterID] = []
        /// The pushed head that this round began with.
        var hint: ChainBlock?
        /// The fact at which `latest` was asked for: heads pushed later are newer.
        var askedAt: UInt64 = 0
        /// How often the branch did not come to an end, and how often anything failed.
        var restarts = 0
        var failures = 0
        var requests = 0
        var retryAt: UInt64?

        enum Phase: Sendable {
            /// `latest` is to be asked for, at `retryAt` where there is one.
            case idle
            case askingLatest
            /// Parents of the branch are to be asked for.
            case descending
            case askingParents
            /// Blocks that the node and the window may have in common are being asked for, the last attempt.
            case probing
        }
    }

    /// The most restarts of a round that does not come to an end.
    private static let maxRestarts = 6
    /// The most headers asked for at once.
    private static let batch: UInt64 = 32

    // MARK: - Heads

    mutating func headReceived(_ header: BlockHeader) {
        guard self.isConnected, header.hasNumber, ChainBlock.isPlausible(header) else { return }
        // A head without a hash, or with one that nobody else uses, only says that there is a newer one.
        guard header.hasHash, !self.hashesDiffer else {
            self.wantsLatest = true
            return
        }
        let block = ChainBlock(header, pushOrder: self.order)
        guard let tip = self.window.tip else {
            self.remember(block)
            self.wantsLatest = true
            return
        }
        if block.number == tip.number &+ 1, self.window.links(block.number, parent: block.parentHash) {
            self.extend(block)
            self.extendByEarlyHeads(after: self.order)
            self.suspect = nil
            if !self.isUnconfirmed { self.checkAt = nil }
        } else if self.window.contains(block.number, block.hash) {
            let settled = tip.number &- self.ahead
            if block.number > settled {
                self.confirm(block)
                self.suspect = nil
                if !self.isUnconfirmed { self.checkAt = nil }
            } else if block.number != settled {
                self.suspectRewind(to: block.ref)
            }
        } else if self.ahead > 0, block.number == tip.number &- self.ahead &+ 1,
            self.window.links(block.number, parent: block.parentHash)
        {
            // A child of the authority's newest block, and not the one that another endpoint put there.
            self.truncate(above: block.number &- 1)
            self.extend(block)
            self.suspect = nil
        } else {
            self.remember(block)
            self.hint = block
            self.wantsLatest = true
        }
    }

    /// Keeps a head that does not fit yet: its turn may come, or it is a parent that need not be asked for.
    private mutating func remember(_ block: ChainBlock) {
        if self.early.count >= 64 { self.early.removeFirst() }
        self.early.append(block)
    }

    /// Heads that came too early may follow now. Only those pushed after the fact `order`: older ones may be orphans.
    private mutating func extendByEarlyHeads(after order: UInt64) {
        while let tip = self.window.tip,
            let next = self.early.first(where: {
                $0.number == tip.number &+ 1 && $0.pushOrder > order
                    && self.window.links($0.number, parent: $0.parentHash)
            })
        {
            self.extend(next)
        }
        if let tip = self.window.tip {
            self.early.removeAll { $0.number <= tip.number && self.window.contains($0.number, $0.hash) }
        }
    }

    /// A child of the tip becomes the tip.
    ///
    /// - Parameter isSettled: whether the authority says so, and with it that all below is its own.
    mutating func extend(_ block: ChainBlock, isSettled: Bool = true) {
        let lowest = self.window.base?.number
        guard self.window.append(block) else { return }
        if self.ahead > 0 || !isSettled { self.ahead += 1 }
        if isSettled { self.settle(to: block.number) }
        self.move += 1
        var contradicted = false
        for index in self.books.indices {
            if self.books[index].blockAdded(block, bloomsAreTrusted: self.bloomsAreTrusted) { contradicted = true }
        }
        if contradicted, !block.isOfPeer { self.distrustBlooms() }
        if let lowest, let base = self.window.base, base.number > lowest {
            for index in self.books.indices { self.books[index].forget(below: base.number) }
        }
    }

    /// The window loses all above a number.
    private mutating func truncate(above number: UInt64) {
        guard let tip = self.window.tip, let base = self.window.base, tip.number > number else { return }
        let removed = max(number &+ 1, base.number)...tip.number
        let settled = tip.number - self.ahead
        self.withdrawPeers(above: max(number, settled))
        for index in self.books.indices { self.books[index].blocksRemoved(removed, self.window) }
        self.window.truncate(above: number)
        self.ahead = number > settled ? number - settled : 0
        self.move += 1
        for index in self.consumers.indices { self.consumers[index].invalidate(above: number) }
        self.finalityTruncated(above: number)
    }

    // MARK: - Rewinds

    /// A block below the tip was named as the newest. A backend that lags says so too; one that still does two block times
    /// later means it.
    private mutating func suspectRewind(to ref: BlockRef) {
        if self.suspect?.ref.hash != ref.hash { self.suspect = (ref, self.now) }
        self.check()
    }

    /// Asks for `latest` two block times from now.
    private mutating func check() {
        let time = self.now &+ self.blockTime &* 2
        self.checkAt = min(self.checkAt ?? .max, time)
    }

    /// The time between blocks, in nanoseconds, from the window's own timestamps: a quarter of a second to 15.
    var blockTime: UInt64 {
        guard let tip = self.window.tip, self.window.count > 2,
            let earlier = self.window[tip.number &- UInt64(min(self.window.count - 1, 32))],
            tip.header.timestamp >= earlier.header.timestamp
        else { return 12_000_000_000 }
        let seconds = min(tip.header.timestamp - earlier.header.timestamp, 10_000)
        return min(max(seconds * 1_000_000_000 / (tip.number - earlier.number), 250_000_000), 15_000_000_000)
    }

    // MARK: - Asking

    mutating func requestForRound() {
        if self.round == nil, self.wantsLatest { self.round = Round(phase: .idle) }
        guard var round = self.round else { return }
        if let retryAt = round.retryAt, retryAt > self.now { return }
        round.retryAt = nil
        switch round.phase {
        case .idle:
            self.wantsLatest = false
            round.acknowledged = self.acknowledged
            self.acknowledged = []
            round.hint = self.hint
            self.hint = nil
            var calls = [ChainCall.header(.latest)]
            // The parent comes along: where the head pushed is the newest, that saves a round trip.
            if let hint = round.hint, hint.number > 0, self.known(hint.parentHash, hint.number - 1, round) == nil,
                !self.window.links(hint.number, parent: hint.parentHash)
            {
                calls.append(.headerByHash(hint.parentHash))
            }
            round.phase = .askingLatest
            round.askedAt = self.order
            round.requests += 1
            self.round = round
            _ = self.request(.round, calls)
        case .descending:
            guard let lowest = round.branch.last, lowest.number > 0 else { return self.restart(round) }
            var count: UInt64
            if let tip = self.window.tip, lowest.number - 1 > tip.number {
                count = min(Self.batch, lowest.number - 1 - tip.number)
            } else {
                // Below the fork: one by hash, then more with each round trip.
                count = min(Self.batch, 1 << UInt64(min(round.branch.count - 1, 5)))
            }
            count = min(count, lowest.number)
            var calls = [ChainCall.headerByHash(lowest.parentHash)]
            for below in 1..<max(count, 1) { calls.append(.header(.number(lowest.number - 1 - below))) }
            round.phase = .askingParents
            round.requests += 1
            self.round = round
            _ = self.request(.round, calls)
        case .probing:
            var calls = [ChainCall.header(.latest)]
            for number in self.landmarks { calls.append(.header(.number(number))) }
            round.requests += 1
            self.round = round
            _ = self.request(.round, calls)
        case .askingLatest, .askingParents: break
        }
    }

    /// Numbers at which window and node may agree: the tip, and 1, 2, 4, 8… below it, down to the base.
    private var landmarks: [UInt64] {
        guard let tip = self.window.tip, let base = self.window.base else { return [] }
        var numbers = [tip.number]
        var distance: UInt64 = 1
        while distance < tip.number - base.number {
            numbers.append(tip.number - distance)
            distance *= 2
        }
        if base.number < tip.number { numbers.append(base.number) }
        return numbers
    }

    // MARK: - Answers

    mutating func roundAnswered(_ answers: [ChainAnswer]) {
        guard var round = self.round else { return }
        var headers: [ChainBlock?] = answers.map { ChainBlock($0) }
        switch round.phase {
        case .askingLatest:
            guard let latest = headers.first ?? nil else { return self.restart(round) }
            headers.removeFirst()
            round.extras += headers.compactMap { $0 }
            self.latestAnswered(latest, round)
        case .askingParents:
            let before = round.branch.count
            for case let block? in headers {
                guard let lowest = round.branch.last, lowest.number > 0 else { break }
                guard block.number == lowest.number - 1, block.hash == lowest.parentHash else { break }
                round.branch.append(block)
                if self.window.links(block.number, parent: block.parentHash) { break }
                if let base = self.window.base, block.number <= base.number { break }
            }
            guard round.branch.count > before else { return self.restart(round) }
            self.descend(round)
        case .probing: self.probeAnswered(headers, round)
        case .idle, .descending: break
        }
    }

    private mutating func latestAnswered(_ latest: ChainBlock, _ answered: Round) {
        var round = answered
        for id in round.acknowledged {
            guard let index = self.books.firstIndex(where: { $0.id == id }) else { continue }
            if self.books[index].acknowledgedAt != nil { self.books[index].coveredFrom = latest.number &+ 1 }
        }
        round.acknowledged = []
        defer { self.isLevel = true }
        guard let tip = self.window.tip, let base = self.window.base else {
            self.extend(latest)
            self.extendByEarlyHeads(after: round.askedAt)
            self.round = nil
            return
        }
        let settled = tip.number - self.ahead
        let isKnown = self.window.contains(latest.number, latest.hash)
        if let hint = round.hint, !self.window.contains(hint.number, hint.hash), hint.number > latest.number {
            // A backend that lags answered: the head pushed is newer.
            self.isUnconfirmed = true
            round.branch = [hint]
            return self.descend(round)
        }
        if isKnown {
            self.round = nil
            self.belowSince = nil
            if let hint = round.hint, !self.window.contains(hint.number, hint.hash) {
                // A late head of a branch that was left, or the answer of a backend that lags: asked again later.
                self.isUnconfirmed = true
                self.check()
            } else if latest.number >= settled {
                self.suspect = nil
                self.isUnconfirmed = false
                self.checkAt = nil
            }
            if latest.number >= settled {
                self.settle(to: latest.number)
                self.suspect = nil
            } else if self.isRewind(latest) {
                self.truncate(above: latest.number)
                self.suspect = nil
            } else {
                self.suspectRewind(to: latest.ref)
            }
            return
        }
        // Below everything known: a backend far behind, or another chain; the same patience.
        // Not for the same block each time, though: a chain that was set back goes on meanwhile.
        if latest.number < base.number {
            let since = self.belowSince ?? self.now
            self.belowSince = since
            guard self.now >= since &+ self.blockTime &* 2 else {
                self.round = nil
                return self.suspectRewind(to: latest.ref)
            }
        }
        self.belowSince = nil
        self.isUnconfirmed = false
        round.branch = [latest]
        self.descend(round)
    }

    private func isRewind(_ latest: ChainBlock) -> Bool {
        guard let suspect, suspect.ref.hash == latest.hash else { return false }
        return self.now >= suspect.since &+ self.blockTime &* 2
    }

    /// Follows the branch down with what is known; asks for more where that does not reach the window.
    private mutating func descend(_ descending: Round) {
        var round = descending
        guard let tip = self.window.tip, let base = self.window.base, let target = round.branch.first else {
            return self.restart(round)
        }
        if target.number > tip.number, target.number - tip.number > self.limits.blocks {
            return self.giveUp(round, .beyondLimit)
        }
        while let lowest = round.branch.last {
            if let known = self.window[lowest.number], known.isSameBlock(as: lowest) {
                self.hashesDiffer = true
                self.window.setAlias(lowest.hash, for: lowest.number)
                round.branch.removeLast()
                return self.apply(round, fork: lowest.number)
            }
            if self.window.links(lowest.number, parent: lowest.parentHash) {
                return self.apply(round, fork: lowest.number &- 1)
            }
            // Down at the base without a common block: all of the window is another branch.
            if lowest.number <= base.number { return self.applyWithoutCommonBlock(round) }
            guard let parent = self.known(lowest.parentHash, lowest.number - 1, round) else { break }
            round.branch.append(parent)
        }
        guard round.requests < self.limits.requests else { return self.giveUp(round, .beyondLimit) }
        round.phase = .descending
        self.round = round
    }

    /// A header that need not be asked for: pushed early, or come along.
    private func known(_ hash: Hash32, _ number: UInt64, _ round: Round) -> ChainBlock? {
        self.early.last { $0.hash == hash && $0.number == number }
            ?? round.extras.last { $0.hash == hash && $0.number == number }
    }

    // MARK: - Ends of a round

    private mutating func apply(_ answered: Round, fork lowest: UInt64) {
        var round = answered
        var fork = lowest
        // Heads pushed meanwhile may have brought the window here already, or beyond.
        if let known = round.branch.firstIndex(where: { self.window.contains($0.number, $0.hash) }) {
            fork = round.branch[known].number
            round.branch.removeSubrange(known...)
            if round.branch.isEmpty {
                self.settle(to: fork)
                self.round = nil
                return
            }
        }
        let isReorganisation = self.window.tip.map { $0.number > fork } ?? false
        self.truncate(above: fork)
        // A head of the branch that was pushed itself keeps the place of its push: its logs are pushed as well.
        for block in round.branch.reversed() {
            self.extend(self.early.last { $0.hash == block.hash && $0.number == block.number } ?? block)
        }
        self.suspect = nil
        let newest = round.branch.first?.pushOrder ?? 0
        self.extendByEarlyHeads(after: max(newest, round.askedAt))
        self.round = nil
        // A branch may have been left again meanwhile without a word.
        if isReorganisation || self.isUnconfirmed {
            self.isUnconfirmed = true
            self.check()
        }
    }

    private mutating func applyWithoutCommonBlock(_ round: Round) {
        guard let base = self.window.base, let target = round.branch.first else { return }
        self.beginAnew(below: min(base.number, target.number))
        self.isUnconfirmed = true
        self.apply(round, fork: base.number)
    }

    /// The window loses everything: nothing of it is on the chain any more, nor anything at or above a number, at most its
    /// base; and of what is below, nothing is known. Streams that began below it are told so; for the others, all that they
    /// were told is void, and they begin again.
    private mutating func beginAnew(below number: UInt64) {
        for index in self.consumers.indices where self.consumers[index].state == .running {
            let consumer = self.consumers[index]
            self.consumers[index].invalidate(above: number > 0 ? number - 1 : 0)
            guard consumer.start < number || number == 0, consumer.next > consumer.start else { continue }
            var lowest = max(consumer.start, self.finality.known.map { $0.number &+ 1 } ?? 0)
            if let pending = consumer.gap { lowest = min(lowest, pending.range.lowerBound) }
            // Below block 0 there is no place to roll back to: it is named as missing.
            let last = number > 0 ? number - 1 : 0
            guard lowest <= last else { continue }
            self.consumers[index].gap = (lowest...last, .reorganisationTooDeep)
        }
        self.finalityTruncated(above: number > 0 ? number - 1 : 0)
        self.window.removeAll()
        self.ahead = 0
        self.move += 1
        for index in self.books.indices { self.books[index].windowReset() }
    }

    /// The branch did not come to an end: asks for the newest head anew, not at once, and not for ever.
    private mutating func restart(_ round: Round) {
        var next = Round(phase: .idle)
        next.restarts = round.restarts + (round.branch.isEmpty ? 0 : 1)
        next.failures = round.failures + 1
        next.requests = round.requests
        self.acknowledged = round.acknowledged + self.acknowledged
        self.wantsLatest = true
        guard let target = round.branch.first, next.restarts > Self.maxRestarts, !self.window.isEmpty else {
            next.retryAt = self.backoff(next.failures - 1)
            self.round = next
            return
        }
        next.branch = [target]
        self.giveUp(next, .unavailable)
    }

    /// What is between the window and the newest head cannot be had. Finds out which of the window's blocks the node still
    /// has, then begins anew with the newest head.
    private mutating func giveUp(_ round: Round, _ reason: GapReason) {
        var next = Round(phase: .probing)
        next.restarts = round.restarts
        self.resetReason = reason
        self.round = next
    }

    private mutating func probeAnswered(_ headers: [ChainBlock?], _ round: Round) {
        guard let latest = headers.first ?? nil else {
            // Without any head there is nothing to begin anew with. Asked again, ever more slowly.
            var next = round
            next.failures += 1
            next.retryAt = self.backoff(next.failures)
            self.round = next
            return
        }
        let common = headers.dropFirst().lazy.compactMap { $0 }.first {
            $0.number < latest.number && self.window.contains($0.number, $0.hash)
        }
        self.round = nil
        if self.window.contains(latest.number, latest.hash) {
            self.wantsLatest = true
            return
        }
        if let base = self.window.base {
            if let common {
                self.truncate(above: common.number)
            } else {
                self.beginAnew(below: min(base.number, latest.number))
            }
            if !self.window.isEmpty, !self.window.links(latest.number, parent: latest.parentHash) {
                self.window.removeAll()
                self.ahead = 0
                for index in self.books.indices { self.books[index].windowReset() }
            }
        }
        self.extend(latest)
        self.move += 1
        self.suspect = nil
        self.extendByEarlyHeads(after: self.order - 1)
    }
}
