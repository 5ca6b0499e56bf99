import EthereumTypes

extension ContinuityMachine {
    /// What is checked, and what was told of it.
    struct Verifying: Sendable {
        var check = HeaderCheck()
        /// Whether a consumer wants it.
        var isOn = false
        /// Blocks of the window up to this number may have come before it was wanted.
        var uncheckedTo: UInt64?
        /// Blocks that were told as wrong lately, so that asking again does not tell again.
        var told: [BlockRef] = []
    }

    mutating func consumersChanged() {
        let isWanted = self.consumers.contains { $0.state != .ended && $0.options.verify != .off }
        if isWanted, !self.verifying.isOn { self.verifying.uncheckedTo = self.window.tip?.number }
        self.verifying.isOn = isWanted
        for index in self.books.indices {
            let id = self.books[index].id
            let share = self.consumers.lazy.filter { $0.options.filter == id }.map(\.options.share).max()
            if let share { self.books[index].limit = share }
            self.books[index].waiting.limit = self.books[index].limit
            self.books[index].waitingOfPeers.limit = self.books[index].limit
        }
    }

    /// Whether a head may be used; where not, the node is asked. Of heads that lack fields nothing is told: some nodes push
    /// them so. Where the chain pushes other hashes than it answers with, heads are hints anyway.
    mutating func admits(pushed header: BlockHeader) -> Bool {
        guard self.verifying.isOn, !self.hashesDiffer else { return true }
        return header.isComplete && self.admits(header)
    }

    /// Whether a header that came in may be used.
    mutating func admits(_ header: BlockHeader) -> Bool {
        guard self.verifying.isOn, header.hasHash, header.hasNumber else { return true }
        switch self.verifying.check.check(header) {
        case .verified: return true
        case .unverifiable:
            self.tellUnverifiable(BlockRef(header))
            return true
        case .wrong:
            self.tellWrong(BlockRef(header), .header)
            return false
        }
    }

    /// - Parameter isOfLatest: whether the first answer is the newest block.
    mutating func admitted(_ answers: [ChainAnswer], isOfLatest: Bool) -> [ChainAnswer] {
        let admitted = answers.map { self.admitted($0) }
        if isOfLatest, case .header(_?)? = answers.first {
            if case .header? = admitted.first { self.wrongInARow = 0 } else { self.wrongInARow += 1 }
        }
        return admitted
    }

    /// An answer with what cannot be used taken out: a header that is wrong is as good as none.
    mutating func admitted(_ answer: ChainAnswer) -> ChainAnswer {
        guard self.verifying.isOn, case .header(let header?) = answer, !self.admits(header) else { return answer }
        return .failure(.other)
    }

    /// Whether logs of one block may be used for a filter.
    ///
    /// - Parameter areAll: whether the node gives them as all that the block has.
    mutating func admits(_ logs: [Log], of block: ChainBlock, for book: LogBook, areAll: Bool = false) -> Bool {
        guard book.options.verify != .off,
            !self.verifying.check.admits(logs, in: block.header, areAll: areAll && book.options.verify == .logs)
        else { return true }
        self.tellWrong(block.ref, .logs, book.id)
        return false
    }

    /// Whether a block of the window may be told to a consumer that wants it checked.
    mutating func mayTell(_ block: ChainBlock, to index: Int) -> Bool {
        guard self.consumers[index].options.verify != .off, let uncheckedTo = self.verifying.uncheckedTo,
            block.number <= uncheckedTo
        else { return true }
        return self.admits(block.header)
    }

    private mutating func tellWrong(_ ref: BlockRef, _ failure: VerificationFailure, _ filter: FilterID? = nil) {
        guard !self.verifying.told.contains(ref) else { return }
        if self.verifying.told.count >= 64 { self.verifying.told.removeFirst(32) }
        self.verifying.told.append(ref)
        for index in self.consumers.indices where self.isTold(index) {
            if let filter, self.consumers[index].options.filter != filter { continue }
            self.tell(index, .unverified(ref, failure))
        }
    }

    private mutating func tellUnverifiable(_ ref: BlockRef) {
        for index in self.consumers.indices where self.isTold(index) && !self.consumers[index].isToldUnverifiable {
            self.consumers[index].isToldUnverifiable = true
            self.tell(index, .unverified(ref, .unverifiable))
        }
    }

    /// Not while it pauses: its feed is bounded by that.
    private func isTold(_ index: Int) -> Bool {
        let consumer = self.consumers[index]
        return consumer.options.verify != .off && consumer.state != .ended && !consumer.isPaused
    }
}
