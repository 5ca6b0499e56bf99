/// How many blocks one `eth_getLogs` may span at this endpoint: learnt from its refusals, as small as one.
package struct LogRangePlanner: Sendable {
    /// The most blocks to ask for at once.
    package private(set) var span: UInt64
    /// The span that was refused for its number of blocks, never tried again at this endpoint.
    private var refused: UInt64?
    private var successes = 0

    package init(span: UInt64 = 128) {
        self.span = max(span, 1)
    }

    /// A range of so many blocks was answered.
    package mutating func answered(_ blocks: UInt64) {
        guard blocks >= self.span else { return }
        self.successes += 1
        // Too many results at one place says little about the next: after a while more is tried again, up to what was
        // refused for its number of blocks.
        guard self.successes >= 4, let wider = Optional(self.span &* 2), wider < (self.refused ?? 257) else { return }
        self.successes = 0
        self.span = wider
    }

    /// A range of so many blocks was refused. - Returns: false where a single block was: nothing is left to split.
    package mutating func refused(_ blocks: UInt64, _ failure: ChainFailure) -> Bool {
        self.successes = 0
        guard blocks > 1 else { return false }
        switch failure {
        case .rangeTooLarge(let limit?) where limit < blocks:
            // Some count the difference of the numbers, some the blocks; one less serves both where there is room.
            self.span = max(limit > 2 ? limit - 1 : limit, 1)
            self.refused = min(self.refused ?? .max, limit + 1)
        case .rangeTooLarge:
            self.span = max(blocks / 2, 1)
            self.refused = min(self.refused ?? .max, blocks)
        default:
            self.span = max(blocks / 2, 1)
        }
        return true
    }
}
