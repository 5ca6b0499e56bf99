package import EthereumTypes
package import Headstream
import HeadstreamLocks

/// What a consumer makes of a gapless stream's updates: what was told and not taken back, in its order.
package final class UpdateFold: Sendable {
    /// A head, or a log.
    package struct Told: Hashable, Sendable {
        package var number: UInt64
        package var block: Hash32
        /// The log's place in its block; 0 for heads.
        package var index: UInt64

        package init(_ head: BlockHeader) {
            (self.number, self.block, self.index) = (head.number, head.hash, 0)
        }

        package init(_ log: Log) {
            (self.number, self.block) = (log.blockNumber ?? 0, log.blockHash ?? .zero)
            self.index = log.logIndex ?? 0
        }
    }

    package struct State: Sendable {
        package var told: [Told] = []
        package var gaps: [ClosedRange<UInt64>] = []
        /// The first block that was told, or missed.
        package var start: UInt64?
        /// The newest block of which everything has been told.
        package var reached: UInt64 = 0
        package var rollbacks = 0
        package var reconnects = 0
        /// Promises that were broken on the way.
        package var problems: [String] = []
        /// What was told last as a whole, for links.
        fileprivate var last: BlockRef?
    }

    private let locked = Locked(State())

    package init() {}

    package var state: State { self.locked.withLock { $0 } }

    /// Reads until the stream ends, or the task.
    package func read(_ heads: GaplessHeads) async throws(Web3Error) {
        for try await update in heads.updates { self.take(update) { head in Told(head) } }
    }

    package func read(_ logs: GaplessLogs) async throws(Web3Error) {
        for try await update in logs.updates { self.take(update) { log in Told(log) } }
    }

    private static func start<Item>(_ update: GaplessUpdate<Item>, _ told: @Sendable (Item) -> Told) -> UInt64? {
        switch update {
        case .item(let item): told(item).number
        case .block(let block): block.number
        case .gap(let range, _): range.lowerBound
        default: nil
        }
    }

    private func take<Item>(_ update: GaplessUpdate<Item>, _ told: @Sendable (Item) -> Told) {
        self.locked.withLock { state in
            if state.start == nil { state.start = Self.start(update, told) }
            switch update {
            case .item(let item):
                let item = told(item)
                if item.number <= state.reached { state.problem("\(item.number) is told behind \(state.reached)") }
                state.told.append(item)
            case .block(let block):
                if let last = state.last, last.number + 1 != block.number || block.parentHash ?? last.hash != last.hash
                {
                    state.problem("\(block) follows \(last), and is not its child")
                }
                state.last = block
                state.reached = block.number
            case .rollback(let block, _):
                state.rollbacks += 1
                while let last = state.told.last, last.number > block.number { state.told.removeLast() }
                state.last = block
                state.reached = min(state.reached, block.number)
            case .gap(let range, _):
                state.gaps.append(range)
                while let last = state.told.last, last.number >= range.lowerBound { state.told.removeLast() }
                state.last = nil
                state.reached = range.upperBound
            case .reconnected: state.reconnects += 1
            case .caughtUp, .finalized, .lagged, .progress, .unverified, .disconnected, .stalled, .diverged: break
            }
        }
    }
}

extension UpdateFold.State {
    fileprivate mutating func problem(_ text: String) {
        if self.problems.count < 20 { self.problems.append(text) }
    }
}
