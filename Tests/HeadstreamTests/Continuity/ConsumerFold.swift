import EthereumTypes
import HeadstreamTesting

@testable import Headstream

/// What a consumer has made of what it was told, with every promise checked at every event.
struct ConsumerFold {
    struct Block {
        var ref: BlockRef
        var logs: [Log]
    }

    let id: ConsumerID
    let filter: LogFilter?
    /// Told to their end, ascending.
    private(set) var blocks: [Block] = []
    /// The block whose logs are being told.
    private(set) var current: Block?
    private(set) var start: UInt64?
    private(set) var gaps: [ClosedRange<UInt64>] = []
    private(set) var cursor: Cursor?
    private(set) var isCaughtUp = false
    private(set) var finalized: UInt64 = 0
    private(set) var failure: ContinuityFailure?
    private(set) var rollbacks = 0
    private(set) var lags = 0
    private(set) var unverified: [(ref: BlockRef, failure: VerificationFailure)] = []
    private(set) var problems: [String] = []
    /// The lowest block told so far that a rollback has not reached.
    private var next: UInt64?
    /// Behind a gap the next block need not link.
    private var isLoose = true
    var level = Finality.latest

    init(id: ConsumerID, filter: LogFilter?) {
        self.id = id
        self.filter = filter
    }

    private mutating func problem(_ text: String) {
        self.problems.append("consumer \(self.id.rawValue): \(text)")
    }

    /// - Parameters:
    ///   - shown: the block of a hash, if the node has ever shown it, under the hash that it answers with.
    mutating func take(_ event: ContinuityEvent, _ shown: (Hash32) -> SimulatedBlock?) {
        if self.failure != nil { self.problem("told \(event) after its end") }
        switch event {
        case .head(let header):
            if self.filter != nil { self.problem("a head for a log consumer") }
            guard let block = shown(header.hash) else { return self.problem("head \(header.number) was never shown") }
            if block.number != header.number { self.problem("another number") }
            if self.current != nil { self.problem("a head before the last was passed") }
            self.current = Block(ref: BlockRef(header), logs: [])
            self.checkNext(header.number)
        case .logs(let logs): for log in logs { self.take(log, shown) }
        case .passed(let ref):
            self.checkNext(ref.number)
            guard let block = shown(ref.hash) else { return self.problem("block \(ref) was never shown") }
            if let current, shown(current.ref.hash)?.hash != block.hash {
                self.problem("\(ref) passed, \(current.ref) told")
            }
            if self.filter == nil, self.current == nil { self.problem("passed without its head") }
            if let last = self.blocks.last, !self.isLoose {
                let parent = shown(last.ref.hash)?.hash ?? last.ref.hash
                if block.parentHash != parent { self.problem("\(ref) does not link to \(last.ref)") }
            }
            self.blocks.append(Block(ref: ref, logs: self.current?.logs ?? []))
            if self.start == nil { self.start = ref.number }
            self.current = nil
            self.isLoose = false
            self.next = ref.number + 1
        case .rollback(let to, let removed): self.rollBack(to, removed) { shown($0)?.hash ?? $0 }
        case .gap(let range, _):
            self.gaps.append(range)
            while let last = self.blocks.last, last.ref.number >= range.lowerBound { self.blocks.removeLast() }
            self.current = nil
            self.next = range.upperBound + 1
            self.isLoose = true
            if self.start == nil { self.start = range.lowerBound }
        case .caughtUp: self.isCaughtUp = true
        case .lagged: self.lags += 1
        case .unverified(let ref, let failure): self.unverified.append((ref, failure))
        case .finalized(let ref):
            if ref.number < self.finalized { self.problem("finality moved back") }
            self.finalized = ref.number
        case .progress(let cursor):
            self.cursor = cursor
            if let last = self.blocks.last, cursor.block.number > last.ref.number, self.next != cursor.block.number + 1
            {
                self.problem("cursor \(cursor) ahead of what was told")
            }
        case .failed(let failure): self.failure = failure
        }
    }

    private mutating func checkNext(_ number: UInt64) {
        if let next, number != next { self.problem("block \(number) where \(next) comes next") }
    }

    private mutating func take(_ log: Log, _ shown: (Hash32) -> SimulatedBlock?) {
        guard let filter else { return self.problem("a log for a consumer of heads") }
        guard let number = log.blockNumber, let hash = log.blockHash, let block = shown(hash) else {
            return self.problem("a log of a block never shown")
        }
        self.checkNext(number)
        if log.removed { self.problem("a removed log") }
        if !filter.matches(log) { self.problem("a log that the filter does not match") }
        if !block.logs.contains(log) { self.problem("a log that its block does not have") }
        if var current = self.current {
            if shown(current.ref.hash)?.hash != block.hash { self.problem("logs of two blocks at \(number)") }
            if current.logs.contains(log) { self.problem("log told twice in \(number)") }
            if let last = current.logs.last {
                let earlier = (last.transactionIndex ?? 0, last.logIndex ?? 0)
                if (log.transactionIndex ?? 0, log.logIndex ?? 0) < earlier {
                    self.problem("out of order in \(number)")
                }
            }
            current.logs.append(log)
            self.current = current
        } else {
            if let last = self.blocks.last, !self.isLoose {
                let parent = shown(last.ref.hash)?.hash ?? last.ref.hash
                if block.parentHash != parent { self.problem("log of \(number) does not link to \(last.ref)") }
            }
            self.current = Block(
                ref: BlockRef(number: number, hash: hash, parentHash: block.parentHash),
                logs: [log]
            )
            if self.start == nil { self.start = number }
        }
    }

    private mutating func rollBack(_ to: BlockRef, _ removed: [BlockRef], _ name: (Hash32) -> Hash32) {
        if !removed.isEmpty { self.rollbacks += 1 }
        var expected: [Hash32] = []
        if let current { expected.append(current.ref.hash) }
        self.current = nil
        while let last = self.blocks.last, last.ref.number > to.number {
            expected.append(last.ref.hash)
            self.blocks.removeLast()
        }
        // Blocks have two names where a chain pushes other hashes than it answers with.
        if self.start != nil, expected.map(name) != removed.map({ name($0.hash) }) {
            self.problem(
                "rollback to \(to) removes \(removed), told were \(expected.map { $0.description.prefix(10) })"
            )
        }
        if let last = self.blocks.last, last.ref.number == to.number, name(last.ref.hash) != name(to.hash) {
            self.problem("rollback to \(to), told was \(last.ref)")
        }
        self.next = to.number &+ 1
        self.isLoose = self.blocks.last?.ref.number != to.number
    }

    /// Everything that is canonical has been told, but for what gaps name.
    mutating func checkComplete(_ chain: SimulatedChain, through last: UInt64, _ shown: (Hash32) -> SimulatedBlock?) {
        guard let start, self.failure == nil else { return }
        var told: [UInt64: Block] = [:]
        for block in self.blocks { told[block.ref.number] = block }
        for block in chain.canonical where block.number >= start && block.number <= last {
            guard let mine = told[block.number] else {
                if !self.gaps.contains(where: { $0.contains(block.number) }) {
                    self.problem("block \(block.number) is missing, without a gap; next is \(self.next ?? 0)")
                }
                continue
            }
            if shown(mine.ref.hash)?.hash != block.hash {
                if !self.gaps.contains(where: { $0.contains(block.number) }) {
                    self.problem("block \(block.number) is an orphan")
                }
                continue
            }
            guard let filter else { continue }
            let wanted = block.logs.filter { filter.matches($0) }
            if wanted.count != mine.logs.count || !wanted.allSatisfy(mine.logs.contains) {
                self.problem("block \(block.number) has \(wanted.count) logs, told were \(mine.logs.count)")
            }
        }
        if let last = self.blocks.last, last.ref.number > chain.head.number { self.problem("told beyond the head") }
    }
}
