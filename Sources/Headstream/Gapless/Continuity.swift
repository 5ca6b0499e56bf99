public import EthereumTypes

/// How a gapless stream of heads or logs, which is what these are by default, treats what it missed. The other kind is
/// ``LiveContinuity``.
public struct Continuity: Hashable, Sendable {
    /// The most that is caught up with; beyond it a gap is told.
    public struct Limit: Hashable, Sendable {
        /// Blocks. Default 1,024.
        public var blocks: UInt64
        /// Requests spent to come level again. Default 512.
        public var requests: Int

        public init(blocks: UInt64 = 1024, requests: Int = 512) {
            self.blocks = blocks
            self.requests = requests
        }
    }

    let limit: Limit

    /// What was missed is fetched, what left the chain is taken back, and each item comes once, in the chain's order.
    ///
    /// Of a client's gapless streams the largest limit holds for all.
    public static func gapless(limit: Limit = Limit()) -> Continuity { Continuity(limit: limit) }
}

/// The streams that are what the node pushes and no more: `newHeads(continuity: .live)`. They ask for nothing, they choose
/// what a slow consumer costs, and what a lost connection costs is told.
public struct LiveContinuity: Hashable, Sendable {
    public static let live = LiveContinuity()

    private init() {}
}

/// Where a gapless stream begins.
public enum StreamStart: Hashable, Sendable {
    /// Above the newest block.
    case latest
    /// With this block, which may be in the past; joins the live stream without a seam.
    case block(UInt64)
    /// Behind what an earlier stream had told.
    case cursor(Cursor)

    var origin: ConsumerOptions.Origin {
        switch self {
        case .latest: .latest
        case .block(let number): .block(number)
        case .cursor(let cursor): .cursor(cursor)
        }
    }

    /// The cursor that a stream is resumed from.
    package var cursor: Cursor? {
        if case .cursor(let cursor) = self { cursor } else { nil }
    }
}

/// What a gapless stream is asked for.
struct GaplessWish: Sendable {
    /// Nil for heads.
    var filter: LogFilter?
    var continuity: Continuity
    var start = StreamStart.latest
    var finality = Finality.latest
    var audit = 32
    var delivery = LogDelivery.pushed
    var verify = Verification.off
    /// Whether the node is asked how far its chain is final: updates tell it, items alone do not.
    var isToldFinality = false
    /// Nil for the configuration's.
    var bufferLimit: Int?

    var origin: ConsumerOptions.Origin { self.start.origin }
}

extension Eth {
    /// New heads of the chain, none missing: each links to the one before.
    ///
    /// ```swift
    /// for try await head in web3.eth.newHeads() { print(head.number) }
    /// ```
    ///
    /// Heads that were missed, while the connection was down, because the node skipped them or because the consumer was
    /// slow, are fetched; where nothing was, that costs no request. A head whose parent is not the head before voids
    /// everything from its number up. At a gap, which is told where more is missing than the limit allows, the loop throws;
    /// ``GaplessHeads/updates`` tell it and go on. What the node pushes and no more is
    /// ``newHeads(continuity:whenFull:bufferLimit:priority:)``.
    ///
    /// - Parameters:
    ///   - continuity: with the most to catch up with.
    ///   - start: where to begin; above the newest block by default.
    ///   - finality: until when a head is held back; not at all by default.
    ///   - verify: how far what the node says is checked; `.logs` is no more than `.headers` here.
    ///   - bufferLimit: the most bytes that wait for a slow consumer; the configuration's by default (16 MiB).
    public func newHeads(
        continuity: Continuity = .gapless(),
        from start: StreamStart = .latest,
        finality: Finality = .latest,
        verify: Verification = .off,
        bufferLimit: Int? = nil
    ) -> GaplessHeads {
        let wish = GaplessWish(
            continuity: continuity,
            start: start,
            finality: finality,
            verify: verify,
            bufferLimit: bufferLimit
        )
        return GaplessHeads(source: GaplessSource(session: self.web3.session, wish: wish))
    }

    /// Logs that match a filter, none missing and none twice, in the chain's order.
    ///
    /// Logs of blocks that leave the chain are told again with `removed` true, highest first, whatever the node does. What
    /// the node pushes and no more is ``logs(_:continuity:whenFull:bufferLimit:priority:)``.
    ///
    /// - Parameters:
    ///   - filter: all logs by default; its block range is not used.
    ///   - continuity: with the most to catch up with.
    ///   - start: where to begin; above the newest block by default.
    ///   - finality: until when a block's logs are held back; not at all by default.
    ///   - audit: pushed logs are compared with what `eth_getLogs` gives every so many blocks, at most half of the limit; 1
    ///     holds each block until then. In a burst of logs that waits until it is over, five seconds at most, and the cursor
    ///     with it.
    ///   - delivery: whether logs are pushed, or asked for block by block, which is cheaper for filters with several logs a
    ///     block on hosted nodes.
    ///   - verify: how far what the node says is checked.
    ///   - bufferLimit: the most bytes that wait for a slow consumer; the configuration's by default (16 MiB). Beyond it logs
    ///     are let go, and fetched again as it reads.
    public func logs(
        _ filter: LogFilter = LogFilter(),
        continuity: Continuity = .gapless(),
        from start: StreamStart = .latest,
        finality: Finality = .latest,
        audit: Int = 32,
        delivery: LogDelivery = .pushed,
        verify: Verification = .off,
        bufferLimit: Int? = nil
    ) -> GaplessLogs {
        var filter = filter
        filter.blocks = .unspecified
        let wish = GaplessWish(
            filter: filter,
            continuity: continuity,
            start: start,
            finality: finality,
            audit: audit,
            delivery: delivery,
            verify: verify,
            bufferLimit: bufferLimit
        )
        return GaplessLogs(source: GaplessSource(session: self.web3.session, wish: wish))
    }
}
