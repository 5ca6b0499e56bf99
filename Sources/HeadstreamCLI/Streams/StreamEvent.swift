import Headstream

/// What comes on a stream, whatever its kind: an item, or what happens between items.
enum StreamEvent<Item: Sendable>: Sendable {
    case item(Item)
    case notice(StreamNotice)
    /// All of this block has been told.
    case block(BlockRef)
    /// Where to resume from.
    case progress(Cursor)
}

/// What happens between a stream's items.
enum StreamNotice: Sendable {
    case lagged(count: UInt64, blocks: ClosedRange<UInt64>?)
    case undecodable(Web3Error)
    case disconnected(Web3Error)
    case reconnected
    /// No node has a newer block than the last, for a while.
    case stalled
    /// An endpoint stands on another branch than the one that is told.
    case diverged(Endpoint, BlockRef)
    case refused(Web3Error)
    case rollback(to: BlockRef, removed: [BlockRef])
    case gap(ClosedRange<UInt64>, GapReason)
    case caughtUp
    /// So many blocks wait that are fetched again, because the output is slower than the chain.
    case isBehind(blocks: UInt64)
    case finalized(BlockRef)
    case unverified(BlockRef, VerificationFailure)
}

/// An update of any kind of stream.
protocol StreamUpdate<Item> {
    associatedtype Item: Sendable
    var event: StreamEvent<Item> { get }
}

extension SubscriptionUpdate: StreamUpdate {
    var event: StreamEvent<Item> {
        switch self {
        case .item(let item): .item(item)
        case .lagged(let count, let blocks): .notice(.lagged(count: count, blocks: blocks))
        case .undecodable(let error): .notice(.undecodable(error))
        case .disconnected(let error): .notice(.disconnected(error))
        case .reconnected: .notice(.reconnected)
        case .refused(let error): .notice(.refused(error))
        }
    }
}

extension GaplessUpdate: StreamUpdate {
    var event: StreamEvent<Item> {
        switch self {
        case .item(let item): .item(item)
        case .block(let block): .block(block)
        case .rollback(let to, let removed): .notice(.rollback(to: to, removed: removed))
        case .gap(let range, let reason): .notice(.gap(range, reason))
        case .caughtUp: .notice(.caughtUp)
        case .lagged(let blocks): .notice(.isBehind(blocks: blocks))
        case .finalized(let block): .notice(.finalized(block))
        case .progress(let cursor): .progress(cursor)
        case .unverified(let block, let failure): .notice(.unverified(block, failure))
        case .disconnected(let error): .notice(.disconnected(error))
        case .reconnected: .notice(.reconnected)
        case .stalled: .notice(.stalled)
        case .diverged(let endpoint, let block): .notice(.diverged(endpoint, block))
        }
    }
}

extension StreamEvent {
    /// As the projections of gapless streams take it; nil for what does not concern them.
    func continuityEvent(_ item: (Item) -> ContinuityEvent) -> ContinuityEvent? {
        switch self {
        case .item(let told): item(told)
        case .block(let block): .passed(block)
        case .progress(let cursor): .progress(cursor)
        case .notice(.rollback(let to, let removed)): .rollback(to: to, removed: removed)
        case .notice(.gap(let range, let reason)): .gap(range, reason)
        case .notice(.caughtUp): .caughtUp
        case .notice(.finalized(let block)): .finalized(block)
        case .notice(.unverified(let block, let failure)): .unverified(block, failure)
        case .notice: nil
        }
    }
}

// MARK: - As output

extension StreamNotice {
    /// An object with the key `update`, in one line; numbers are as the node writes them.
    var json: JSONValue {
        switch self {
        case .lagged(let count, let blocks):
            var object: JSONObject = ["update": "lagged", "count": .number(JSONNumber(count))]
            if let blocks {
                object["from"] = Self.quantity(blocks.lowerBound)
                object["to"] = Self.quantity(blocks.upperBound)
            }
            return .object(object)
        case .undecodable(let error): return ["update": "undecodable", "error": .string("\(error)")]
        case .disconnected(let error): return ["update": "disconnected", "error": .string("\(error)")]
        case .reconnected: return ["update": "reconnected"]
        case .stalled: return ["update": "stalled"]
        case .diverged(let endpoint, let block):
            return ["update": "diverged", "endpoint": .string("\(endpoint)"), "block": Self.value(block)]
        case .refused(let error): return ["update": "refused", "error": .string("\(error)")]
        case .rollback(let to, let removed):
            return ["update": "rollback", "to": Self.value(to), "removed": .array(removed.map(Self.value))]
        case .gap(let range, let reason):
            return [
                "update": "gap", "from": Self.quantity(range.lowerBound), "to": Self.quantity(range.upperBound),
                "reason": .string("\(reason)"),
            ]
        case .caughtUp: return ["update": "caughtUp"]
        case .isBehind(let blocks): return ["update": "lagged", "behind": .number(JSONNumber(blocks))]
        case .finalized(let block): return ["update": "finalized", "block": Self.value(block)]
        case .unverified(let block, let failure):
            return ["update": "unverified", "block": Self.value(block), "failure": .string("\(failure)")]
        }
    }

    private static func quantity(_ number: UInt64) -> JSONValue { .string("0x" + String(number, radix: 16)) }

    private static func value(_ block: BlockRef) -> JSONValue {
        var object: JSONObject = ["number": self.quantity(block.number), "hash": .string("\(block.hash)")]
        if let parent = block.parentHash { object["parentHash"] = .string("\(parent)") }
        return .object(object)
    }

    /// A line between a table's.
    var text: String {
        switch self {
        case .lagged(let count, let blocks):
            let place = blocks.map { " (\(Self.named($0)))" } ?? ""
            return "\(count) dropped here\(place): the output is slower than the node"
        case .undecodable(let error): return "not readable: \(ExitCode.outcome(of: error).text)"
        case .disconnected(let error): return "disconnected: \(ExitCode.outcome(of: error).text)"
        case .reconnected: return "connected again"
        case .stalled: return "stalled: no node has a newer block"
        case .diverged(let endpoint, let block): return "\(endpoint) stands on another branch, at \(block)"
        case .refused(let error): return "refused: \(ExitCode.outcome(of: error).text)"
        case .rollback(let to, let removed):
            return "rollback to \(to), \(removed.count) block\(removed.count == 1 ? "" : "s") removed"
        case .gap(let range, let reason): return "gap: \(Self.named(range)) missing (\(reason))"
        case .caughtUp: return "caught up"
        case .isBehind(let blocks):
            return "\(blocks) block\(blocks == 1 ? "" : "s") behind, fetched again: the output is slower than the chain"
        case .finalized(let block): return "finalized \(block)"
        case .unverified(let block, .header): return "the header of block \(block) does not give its hash; not used"
        case .unverified(let block, .logs): return "logs of block \(block) are not those of its bloom; not used"
        case .unverified(let block, .unverifiable):
            return "block \(block) follows another rule than Ethereum's: this chain cannot be verified"
        }
    }

    private static func named(_ blocks: ClosedRange<UInt64>) -> String {
        blocks.count == 1 ? "block \(blocks.lowerBound)" : "blocks \(blocks.lowerBound) to \(blocks.upperBound)"
    }
}
