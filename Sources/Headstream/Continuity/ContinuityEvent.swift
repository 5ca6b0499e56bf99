package import EthereumTypes

/// Why blocks are missing from a stream.
public enum GapReason: Sendable, Hashable {
    /// More blocks, or requests, than the stream's limit allows for catching up.
    case beyondLimit
    /// The node did not give the blocks that it told of.
    case unavailable
    /// The node's headers of these blocks do not give their hashes (``Verification``).
    case unverified
    /// A reorganisation went deeper than what is remembered: what was told of these blocks may be void.
    case reorganisationTooDeep
}

/// Until when a stream holds a block back.
public enum Finality: Sendable, Hashable {
    /// Told as soon as it is known.
    case latest
    /// Told when so many blocks stand on it.
    case confirmations(UInt64)
    /// Told when the consensus layer holds it safe.
    case safe
    /// Told when it cannot be reorganised any more.
    case finalized
}

/// What a consumer is told, in this order.
///
/// Boxed: an event passes through several queues, and is copied in each.
package indirect enum ContinuityEvent: Sendable {
    case head(BlockHeader)
    /// Logs of one block, one or more, in their order in it. They share their storage with the machine's own.
    case logs(ArraySlice<Log>)
    /// All of the block has been told, items or none. Every block from the stream's start comes once, linked to the one
    /// before.
    case passed(BlockRef)
    /// What was told above this block is void. `removed` has the blocks of which something had been told, highest first,
    /// as far as they are remembered.
    case rollback(to: BlockRef, removed: [BlockRef])
    /// These blocks are missing; what was told of them before, if anything, is void. The stream goes on behind them.
    case gap(ClosedRange<UInt64>, GapReason)
    /// Everything that the node had has been told; from here on it is live. Once per connection and after each gap.
    case caughtUp
    /// This block cannot be reorganised any more.
    case finalized(BlockRef)
    /// From here on so many blocks wait, whose logs were let go because the consumer was slow: they are fetched again as it
    /// reads. Nothing is lost.
    case lagged(blocks: UInt64)
    /// The place to resume from has moved.
    case progress(Cursor)
    /// Something that the node said of this block did not stand up to ``Verification``.
    case unverified(BlockRef, VerificationFailure)
    /// The stream ends here.
    case failed(ContinuityFailure)
}

extension ContinuityEvent {
    /// What it takes in memory, in bytes.
    package var weight: Int {
        switch self {
        case .logs(let logs): Self.weight(of: logs)
        case .head(let header): MemoryLayout<BlockHeader>.stride + header.extraData.length + Self.overhead
        case .rollback(_, let removed): (removed.count + 1) * MemoryLayout<BlockRef>.stride + Self.overhead
        case .progress(let cursor): (cursor.ancestors.count + 1) * MemoryLayout<BlockRef>.stride + Self.overhead
        case .passed, .gap, .caughtUp, .finalized, .lagged, .unverified, .failed:
            MemoryLayout<BlockRef>.stride + Self.overhead
        }
    }

    static func weight(of log: Log) -> Int { self.weight(ofLogWithData: log.data.length) }

    @inline(__always)
    private static func weight(ofLogWithData length: Int) -> Int {
        MemoryLayout<Log>.stride + Self.overhead + (length > Bytes.inlineCapacity ? length : 0)
    }

    static func weight(of logs: ArraySlice<Log>) -> Int {
        self.prefix(of: logs, thatFills: .max).weight
    }

    /// So many logs as take up the room, and what they take, in bytes.
    static func prefix(of logs: ArraySlice<Log>, thatFills room: Int) -> (count: Int, weight: Int) {
        // Of each log one field is read where it lies: a loop over the slice would copy them whole.
        let logs = logs.span
        var weight = 0
        var count = 0
        while count < logs.count, weight < room {
            weight += Self.weight(ofLogWithData: logs[count].data.length)
            count += 1
        }
        return (count, weight)
    }

    /// Of a box, and of its places in two queues; of a log by itself, its array.
    private static let overhead = 64
}

package enum ContinuityFailure: Sendable, Hashable {
    /// The chain knows neither the cursor's block nor one of its ancestors.
    case cursorUnknown
    /// The node took back a block that it had called final.
    case finalityViolated(BlockRef)
}
