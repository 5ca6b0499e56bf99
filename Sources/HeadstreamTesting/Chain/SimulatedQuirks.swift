/// What a simulated node does that others do not. Each was seen on a real node. Chances are in percent.
public struct SimulatedQuirks: Hashable, Sendable {
    // MARK: Notifications

    /// A block's logs come before its head.
    public var logsBeforeHead = false
    /// Heads, logs and orphaned logs come in any order among each other, as they do from three channels (geth): each kind in
    /// its own.
    public var mixesKinds = false
    /// No word about orphaned logs (anvil, hardhat).
    public var noRemovedLogs = false
    /// Orphaned logs are told twice.
    public var doubledRemovedLogs = false
    /// Of a branch, every header is announced, not the last alone.
    public var announcesWholeBranch = false
    /// Heads that are never announced (geth under load).
    public var skippedHeads = 0
    /// Logs that are never pushed.
    public var omittedLogs = 0
    /// Of several blocks that come at once, only the last one's logs are pushed (nethermind).
    public var omitsLogsOfEarlierBlocks = false
    /// An ancestor is announced again, with its logs, before the block that comes.
    public var repeatedAncestors = 0
    /// The hash that is pushed is not the one that is answered (ethermint, go-opera).
    public var pushesOtherHashes = false

    // MARK: Blooms and logs

    /// All blooms are zero (Polygon's, in parts).
    public var zeroBlooms = false
    /// The bloom of a head that is pushed is zero; the one that is asked for is right (Monad).
    public var lateBlooms = false
    /// Blooms that lack a log.
    public var wrongBlooms = 0
    /// Log indexes begin anew in each transaction, and some logs of a block share all three parts of their identity.
    public var repeatedLogIndexes = false

    // MARK: Answers

    /// Orphaned blocks are not served.
    public var forgetsOrphans = false
    /// `eth_getLogs` for a block that the backend does not know is `[]`, not an error.
    public var emptyForUnknownBlocks = false
    /// `eth_getLogs` by hash is `[]` for so many of the newest blocks: they are not indexed yet.
    public var unindexedBlocks: UInt64 = 0
    /// Answers come from a backend that is up to so many changes of the head behind.
    public var lag = 0
    /// Answers that come from a backend that stands on a sibling of the newest block, and does not know that.
    public var siblings = 0
    /// The most blocks of an `eth_getLogs` range.
    public var maxRange: UInt64?
    /// The most logs of an answer.
    public var maxResults: Int?
    /// So many blocks below the newest are final.
    public var finalityDepth: UInt64 = 8
    /// Blocks that were told as final are left all the same.
    public var violatesFinality = false
    /// Finality is told as a lower block than before at times (bsc).
    public var finalityMovesBack = 0

    public init() {}
}
