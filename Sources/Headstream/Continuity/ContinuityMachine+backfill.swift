import EthereumTypes

extension ContinuityMachine {
    /// The way down from the window's base to where a stream begins.
    struct Backfill: Sendable {
        var token: UInt64?
        /// What was asked: parents of the base, or the blocks of a cursor too far below.
        var isProbe = false
        var numbers: [UInt64] = []
        var failures = 0
        var retryAt: UInt64?
        /// The node does not give what is below the base.
        var isExhausted = false
        /// The node's hashes of numbers too far below the window to link; zero where it has none.
        var vouched: [UInt64: Hash32] = [:]

        mutating func connectionLost() {
            self = Backfill()
        }
    }

    mutating func requestForBackfill() {
        guard self.isLevel, self.round == nil, self.backfill.token == nil else { return }
        if let retryAt = self.backfill.retryAt, retryAt > self.now { return }
        self.backfill.retryAt = nil
        if let wanted = self.lowestWanted, let base = self.window.base, !self.backfill.isExhausted {
            let count = min(32, base.number - wanted)
            guard count > 0 else { return }
            var calls = [ChainCall.headerByHash(base.parentHash)]
            for below in 1..<max(count, 1) { calls.append(.header(.number(base.number - 1 - below))) }
            self.backfill.isProbe = false
            self.backfill.token = self.request(.backfill, calls)
            return
        }
        let far = self.farCandidates
        guard !far.isEmpty else { return }
        self.backfill.isProbe = true
        self.backfill.numbers = far
        self.backfill.token = self.request(.backfill, far.map { .header(.number($0)) })
    }

    /// The cursors' blocks that are too far below the tip to be linked to the window.
    private var farCandidates: [UInt64] {
        guard let tip = self.window.tip else { return [] }
        var numbers: [UInt64] = []
        for case .cursor(let cursor) in self.consumers.lazy.filter({ $0.state == .starting }).map(\.options.origin) {
            for candidate in cursor.candidates where candidate.number < tip.number {
                guard self.window.ref(candidate.number) == nil, self.backfill.vouched[candidate.number] == nil else {
                    continue
                }
                if numbers.count < 32 { numbers.append(candidate.number) }
            }
        }
        return numbers
    }

    mutating func backfillAnswered(_ answers: [ChainAnswer]) {
        self.backfill.token = nil
        let blocks: [ChainBlock?] = answers.map { ChainBlock($0) }
        if self.backfill.isProbe {
            guard blocks.contains(where: { $0 != nil }) || self.backfill.failures >= 4 else {
                return self.backfillFailed()
            }
            self.backfill.failures = 0
            for (number, block) in zip(self.backfill.numbers, blocks) {
                self.backfill.vouched[number] = block?.number == number ? block?.hash : .zero
            }
            for number in self.backfill.numbers where self.backfill.vouched[number] == nil {
                self.backfill.vouched[number] = .zero
            }
            return
        }
        var isLinked = false
        for case let block? in blocks {
            guard self.window.prepend(block) else { break }
            isLinked = true
            for index in self.books.indices {
                _ = self.books[index].blockAdded(block, bloomsAreTrusted: self.bloomsAreTrusted)
            }
        }
        if isLinked { self.backfill.failures = 0 } else { self.backfillFailed() }
    }

    private mutating func backfillFailed() {
        // The window itself may stand on a branch that was left: only where `latest` has confirmed it does this count.
        guard self.round == nil, !self.wantsLatest, self.suspect == nil else {
            self.backfill.retryAt = self.backoff(3)
            return
        }
        self.wantsLatest = true
        self.backfill.failures += 1
        self.backfill.retryAt = self.backoff(self.backfill.failures - 1)
        if self.backfill.failures > 6 {
            self.backfill.isExhausted = true
            self.backfill.failures = 0
        }
    }
}
