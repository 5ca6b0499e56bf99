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
    /// As they came, those of a block, or some of them, together. Those before `first` are forgotten.
    private var told: [(logs: ArraySlice<Log>, weight: Int)] = []
    private var first = 0
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
            while self.bytes > self.memory, self.first < self.told.count {
                self.forgottenTo = max(self.forgottenTo ?? 0, Self.number(of: self.told[self.first].logs))
                self.forgetFirst()
            }
            return logs
        case .rollback(let to, _):
            if let cursor = self.resumed, to.number < cursor.number { throw .cursorOrphaned(to) }
            if let forgottenTo, forgottenTo > to.number { throw .rollbackBeyondMemory(to) }
            var removed: [Log] = []
            while self.first < self.told.count, let last = self.told.last, Self.number(of: last.logs) > to.number {
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
            while self.first < self.told.count, Self.number(of: self.told[self.first].logs) <= block.number {
                self.forgetFirst()
            }
            return []
        }
    }

    /// Forgets those that were told first. One by one, as others come: their memory is taken again while it is near.
    private mutating func forgetFirst() {
        self.bytes -= self.told[self.first].weight
        self.told[self.first].logs = []
        self.first += 1
        guard self.first > 64, self.first > self.told.count / 2 else { return }
        self.told.removeFirst(self.first)
        self.first = 0
    }

    private static func number(of logs: ArraySlice<Log>) -> UInt64 { logs.first?.blockNumber ?? 0 }
}
