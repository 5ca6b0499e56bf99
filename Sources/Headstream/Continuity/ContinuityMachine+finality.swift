import EthereumTypes

extension ContinuityMachine {
    /// What is known of finality, and when to ask again.
    struct FinalityWatch: Sendable {
        var known: BlockRef?
        var safe: BlockRef?
        var token: UInt64?
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
        case .confirmations(let count): return tip.number >= count ? tip.number - count : nil
        case .safe: return self.finality.safe.map { min($0.number, tip.number) }
        case .finalized: return self.finality.known.map { min($0.number, tip.number) }
        }
    }

    mutating func requestForFinality() {
        guard self.isLevel, self.finality.token == nil else { return }
        let isWanted = self.consumers.contains {
            $0.state != .ended
                && ($0.options.isToldFinality || $0.options.finality == .safe || $0.options.finality == .finalized)
        }
        guard isWanted else { return }
        if let askedAt = self.finality.askedAt, self.move < askedAt &+ self.finality.interval { return }
        self.finality.askedAt = self.move
        self.finality.token = self.request(.finality, [.header(.safe), .header(.finalized)])
    }

    mutating func finalityAnswered(_ answers: [ChainAnswer]) {
        self.finality.token = nil
        var blocks: [ChainBlock?] = answers.map { ChainBlock($0) }
        while blocks.count < 2 { blocks.append(nil) }
        if let safe = blocks[0], self.isOnChain(safe) {
            // Unlike finality, safety may be taken back, by a reorganisation.
            if safe.number > self.finality.safe?.number ?? 0 || self.finality.safe == nil {
                self.finality.safe = safe.ref
            }
        }
        guard let final = blocks[1], self.isOnChain(final) else { return }
        if let known = self.finality.known, final.number <= known.number {
            // It does not move back here, even where the node's does (bsc 1683).
            self.finality.interval = min(self.finality.interval &* 2, 32)
            return
        }
        let isFirst = self.finality.known == nil
        self.finality.known = final.ref
        if !isFirst { self.finality.interval = max(self.finality.interval / 2, 1) }
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
