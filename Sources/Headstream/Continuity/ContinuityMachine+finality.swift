import EthereumTypes

extension ContinuityMachine {
    /// What is known of finality, and when to ask again.
    struct FinalityWatch: Sendable {
        var known: BlockRef?
        var safe: BlockRef?
        var token: UInt64?
        /// What was asked, a call each.
        var asked: [BlockTag] = []
        /// The move at which it was last asked, and how many moves pass before it is asked again: learnt.
        var askedAt: UInt64?
        var interval: UInt64 = 1

        mutating func connectionLost() {
            self.token = nil
            self.askedAt = nil
        }
    }

    /// The highest block that may be told at this level; nil where it is not known yet.
    func ceiling(_ finality: Finality) -> UInt64? {
        guard let tip = self.window.tip else { return nil }
        switch finality {
        case .latest: return tip.number
        case .confirmations(let count): return self.settled.flatMap { $0 >= count ? $0 - count : nil }
        case .safe: return self.finality.safe.map { min($0.number, tip.number) }
        case .finalized: return self.finality.known.map { min($0.number, tip.number) }
        }
    }

    mutating func requestForFinality() {
        guard self.isLevel, self.finality.token == nil else { return }
        let wanted = self.wantedFinality
        guard !wanted.isEmpty else { return }
        let isNew = !wanted.allSatisfy { self.finality.asked.contains($0) }
        if !isNew, let askedAt = self.finality.askedAt, self.move < askedAt &+ self.finality.interval { return }
        self.finality.askedAt = self.move
        self.finality.asked = wanted
        self.finality.token = self.request(.finality, wanted.map { .header($0) })
    }

    /// What some consumer is told of, or waits for; hosted nodes charge each call.
    private var wantedFinality: [BlockTag] {
        var wanted: Set<BlockTag> = []
        for consumer in self.consumers where consumer.state != .ended {
            if consumer.options.isToldFinality || consumer.options.finality == .finalized { wanted.insert(.finalized) }
            if consumer.options.finality == .safe { wanted.insert(.safe) }
        }
        return [.safe, .finalized].filter { wanted.contains($0) }
    }

    mutating func finalityAnswered(_ answers: [ChainAnswer]) {
        self.finality.token = nil
        var hasMoved = false
        for (tag, answer) in zip(self.finality.asked, answers) {
            // Without an answer: a chain without finality, or without these names for it.
            guard let block = ChainBlock(answer) else { continue }
            guard self.isOnChain(block) else { return }
            // Neither moves back here, even where the node's does (bsc 1683). Safety is taken back by a reorganisation.
            if tag == .safe, self.finality.safe.map({ block.number > $0.number }) ?? true {
                self.finality.safe = block.ref
                hasMoved = true
            } else if tag == .finalized, self.finality.known.map({ block.number > $0.number }) ?? true {
                self.finality.known = block.ref
                hasMoved = true
            }
        }
        let interval = self.finality.interval
        self.finality.interval = hasMoved ? max(interval / 2, 1) : min(interval &* 2, 32)
    }

    /// Finality of a block that the window contradicts is another backend's.
    private func isOnChain(_ block: ChainBlock) -> Bool {
        guard let tip = self.window.tip, let base = self.window.base, block.number <= tip.number else { return false }
        return block.number < base.number || self.window.contains(block.number, block.hash)
    }

    /// The window loses what is above a number: what was safe, or final, above it is not any more.
    mutating func finalityTruncated(above number: UInt64) {
        if let safe = self.finality.safe, safe.number > number { self.finality.safe = self.window.ref(number) }
        if let known = self.finality.known, known.number > number { self.finality.known = self.window.ref(number) }
    }
}
