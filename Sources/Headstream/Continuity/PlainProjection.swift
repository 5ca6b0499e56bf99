package import EthereumTypes

/// Why a plain sequence, which has items alone, cannot go on. A stream of updates tells each of these and goes on.
package enum PlainStreamFailure: Error, Sendable, Hashable {
    /// Blocks are missing.
    case gap(ClosedRange<UInt64>, GapReason)
    /// Logs are void that are not remembered any more, and so cannot be told again as removed. They are above this block.
    case rollbackBeyondMemory(BlockRef)
    /// The cursor's block is no longer on the chain; this ancestor is.
    case cursorOrphaned(BlockRef)
    /// Blocks of this chain, this one for a beginning, cannot be verified, which was asked for.
    case unverifiable(BlockRef)
    case ended(ContinuityFailure)
}

/// Heads as a plain sequence: a head whose parent is not the head before voids everything from its number up.
package struct PlainHeads: Sendable {
    private var resumed: BlockRef?

    /// - Parameter cursor: where the stream was resumed from.
    package init(resumedFrom cursor: Cursor? = nil) {
        self.resumed = cursor?.block
    }

    /// What an event is in the plain sequence, if anything.
    package mutating func take(_ event: ContinuityEvent) throws(PlainStreamFailure) -> BlockHeader? {
        switch event {
        case .head(let header): return header
        case .rollback(let to, _):
            // The next head tells: its parent is below what was told.
            if let cursor = self.resumed, to.number < cursor.number { throw .cursorOrphaned(to) }
            return nil
        case .gap(let range, let reason): throw .gap(range, reason)
        case .failed(let failure): throw .ended(failure)
        case .passed:
            self.resumed = nil
            return nil
        case .unverified(let block, .unverifiable): throw .unverifiable(block)
        case .logs, .caughtUp, .finalized, .lagged, .progress, .unverified: return nil
        }
    }
}

/// Logs as a plain sequence: those of orphaned blocks are told again with `removed` true, highest first, however the node
/// told them.
package struct PlainLogs: Sendable {
    /// As they came, those of a block, or some of them, together.
    private var told: [(logs: ArraySlice<Log>, weight: Int)] = []
    private var bytes = 0
    /// The highest block of which logs were forgotten.
    private var forgottenTo: UInt64?
    private var resumed: BlockRef?
    /// The most bytes of logs that are remembered: beyond it a rollback cannot be told as logs.
    private let memory: Int

    package init(rollbackMemory: Int = 1 << 22, resumedFrom cursor: Cursor? = nil) {
        self.memory = max(rollbackMemory, 0)
        self.resumed = cursor?.block
    }

    /// What an event is in the plain sequence.
    package mutating func take(_ event: ContinuityEvent) throws(PlainStreamFailure) -> ArraySlice<Log> {
        switch event {
        case .logs(let logs):
            self.resumed = nil
            let weight = ContinuityEvent.weight(of: logs)
            self.told.append((logs, weight))
            self.bytes += weight
            if self.bytes > self.memory { self.forgetOldest() }
            return logs
        case .rollback(let to, _):
            if let cursor = self.resumed, to.number < cursor.number { throw .cursorOrphaned(to) }
            if let forgottenTo, forgottenTo > to.number { throw .rollbackBeyondMemory(to) }
            var removed: [Log] = []
            while let last = self.told.last, Self.number(of: last.logs) > to.number {
                self.told.removeLast()
                self.bytes -= last.weight
                for var log in last.logs.reversed() {
                    log.removed = true
                    removed.append(log)
                }
            }
            return removed[...]
        case .gap(let range, let reason): throw .gap(range, reason)
        case .failed(let failure): throw .ended(failure)
        case .passed:
            self.resumed = nil
            return []
        case .unverified(let block, .unverifiable): throw .unverifiable(block)
        case .head, .caughtUp, .lagged, .progress, .unverified: return []
        case .finalized(let block):
            // What is final is not told again.
            self.forget(self.told.firstIndex { Self.number(of: $0.logs) > block.number } ?? self.told.count)
            return []
        }
    }

    private mutating func forgetOldest() {
        // A quarter at once, so that a log costs no more than its own place.
        let target = self.memory / 4 * 3
        var rest = self.bytes
        var count = 0
        while rest > target, count < self.told.count {
            rest -= self.told[count].weight
            count += 1
        }
        self.forgottenTo = max(self.forgottenTo ?? 0, Self.number(of: self.told[count - 1].logs))
        self.forget(count)
    }

    private mutating func forget(_ count: Int) {
        for (_, weight) in self.told.prefix(count) { self.bytes -= weight }
        self.told.removeFirst(count)
    }

    private static func number(of logs: ArraySlice<Log>) -> UInt64 { logs.first?.blockNumber ?? 0 }
}
