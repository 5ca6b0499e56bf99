import EthereumTypes

/// The local name of a consumer.
package struct ConsumerID: Hashable, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// What a consumer wants.
package struct ConsumerOptions: Sendable {
    /// Nil: heads.
    package var filter: FilterID?
    package var finality: Finality
    package var origin: Origin
    /// Whether it is told of finality, which costs requests.
    package var isToldFinality: Bool
    package var verify: Verification
    /// The most bytes that wait for it in all. It takes what waits all at once, so that a quarter may wait while it has
    /// another in hand; a quarter is for the logs in the book of its filter, and one for those of blocks to come.
    package var bufferLimit: Int

    package enum Origin: Sendable {
        /// Above the newest block.
        case latest
        /// With this block.
        case block(UInt64)
        /// Behind the cursor's block.
        case cursor(Cursor)
    }

    package init(
        filter: FilterID? = nil,
        finality: Finality = .latest,
        origin: Origin = .latest,
        isToldFinality: Bool = false,
        verify: Verification = .off,
        bufferLimit: Int = 1 << 24
    ) {
        self.filter = filter
        self.finality = finality
        self.origin = origin
        self.isToldFinality = isToldFinality
        self.verify = verify
        self.bufferLimit = max(bufferLimit, 4)
    }

    /// A share of the limit, see there.
    var share: Int { self.bufferLimit / 4 }
}

/// What one consumer has been told, and what comes next.
struct ContinuityConsumer: Sendable {
    let id: ConsumerID
    let options: ConsumerOptions
    var state = State.starting
    /// The first block of the stream.
    var start: UInt64 = 0
    /// For a stream that was resumed: the block up to which what an earlier stream had told holds.
    var resumedBehind: BlockRef?
    /// The block that is told next, or is being told.
    var next: UInt64 = 0
    /// So many logs of `next` have been told, the block of this name.
    var toldInBlock = 0
    var current: BlockRef?
    /// Blocks that were told to their end, ascending, as far as they are remembered.
    var told: [BlockRef] = []
    /// What was told above this number is void.
    var validTo = UInt64.max
    var gap: (range: ClosedRange<UInt64>, reason: GapReason)?
    /// The bytes that it was told, and that it has taken, in all.
    private(set) var toldBytes = 0
    private var takenBytes = 0
    /// The lowest block whose logs were let go before it was told of them.
    var lagsFrom: UInt64?
    var isCaughtUp = false
    /// The last block told and closed, where the cursor stands, and whether that has moved since it was told.
    var position: BlockRef?
    var positionHasMoved = false
    /// Behind it, logs that were told have not been audited; the first of them.
    var unaudited: UInt64 = 0
    /// The highest block that it was told to be final.
    var finalized: UInt64?
    var isToldUnverifiable = false

    enum State: Sendable {
        /// Its start is not known, or not yet in the window.
        case starting
        case running
        case ended
    }

    init(_ id: ConsumerID, _ options: ConsumerOptions) {
        self.id = id
        self.options = options
    }

    /// Whether it is told nothing for the time being: as much as may wait for it does.
    var isPaused: Bool { self.room <= 0 }

    /// So many bytes it may be told, and one item more.
    var room: Int { self.options.share - self.waitingBytes }

    /// What it was told and has not taken, in bytes.
    var waitingBytes: Int { self.toldBytes - self.takenBytes }

    mutating func told(bytes: Int) {
        self.toldBytes += bytes
    }

    mutating func taken(upTo bytes: Int) {
        self.takenBytes = max(self.takenBytes, min(bytes, self.toldBytes))
    }

    /// The most blocks that are remembered for a rollback.
    static let memory = 4096

    mutating func begin(behind block: BlockRef) {
        self.state = .running
        self.start = block.number &+ 1
        self.next = self.start
        self.unaudited = self.start
        self.position = block
        self.positionHasMoved = true
    }

    mutating func passed(_ block: ChainBlock) {
        if self.told.count >= Self.memory { self.told.removeFirst(Self.memory / 4) }
        self.told.append(block.ref)
        self.next = block.number &+ 1
        self.toldInBlock = 0
        self.current = nil
    }

    /// The block that comes next once what is void has been taken back.
    var validNext: UInt64 { self.validTo == .max ? self.next : min(self.next, self.validTo &+ 1) }

    /// Whether a block below the next was told, or may have been, and is not in a gap.
    func hasTold(_ number: UInt64) -> Bool {
        guard number < self.next, number >= self.start, number <= self.validTo, let first = self.told.first?.number
        else { return false }
        if number < first { return first > self.start }
        // Ascending, and contiguous but for gaps.
        var low = 0
        var high = self.told.count
        while low < high {
            let middle = (low + high) / 2
            if self.told[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low < self.told.count && self.told[low].number == number
    }

    /// A range of blocks was compared with an answer, as far as they had been told.
    mutating func audited(_ range: ClosedRange<UInt64>) {
        guard range.lowerBound <= self.unaudited else { return }
        self.unaudited = max(self.unaudited, min(range.upperBound &+ 1, self.validNext))
    }

    /// What was told above a number is void, if anything was.
    mutating func invalidate(above number: UInt64) {
        self.unaudited = max(min(self.unaudited, number &+ 1), self.start)
        self.validTo = min(self.validTo, number)
        if let lagsFrom, lagsFrom > number { self.lagsFrom = nil }
    }

    /// Takes back what is void. - Returns: the event to tell, where anything had been told.
    mutating func rollBack(_ window: ChainWindow) -> ContinuityEvent? {
        let valid = self.validTo
        self.validTo = .max
        guard self.next > valid, self.next &- 1 > valid || self.toldInBlock > 0 else { return nil }
        var removed: [BlockRef] = []
        if self.toldInBlock > 0, let current { removed.append(current) }
        while let last = self.told.last, last.number > valid { removed.append(self.told.removeLast()) }
        self.toldInBlock = 0
        self.current = nil
        if let resumed = self.resumedBehind, valid < resumed.number, let fork = window.ref(valid) {
            // What the earlier stream had told above the fork is void as well, and told anew from here.
            self.resumedBehind = fork
            self.start = fork.number &+ 1
            self.next = self.start
            self.unaudited = self.start
            self.isCaughtUp = false
            self.position = fork
            self.positionHasMoved = true
            return .rollback(to: fork, removed: removed)
        }
        guard let lowest = removed.last else {
            // Only blocks that a gap has named were above; they stay missing.
            if let position, position.number > valid { self.position = window.ref(position.number) ?? position }
            return nil
        }
        self.next = max(valid &+ 1, self.start)
        self.isCaughtUp = false
        let below = self.next &- 1
        if let position, position.number > below {
            self.position = self.ref(below, window, removed) ?? position
            self.positionHasMoved = true
        }
        let to = self.ref(below, window, removed) ?? BlockRef(number: below, hash: lowest.parentHash ?? .zero)
        return .rollback(to: to, removed: removed)
    }

    private func ref(_ number: UInt64, _ window: ChainWindow, _ removed: [BlockRef]) -> BlockRef? {
        if let last = self.told.last, last.number == number { return last }
        if let lowest = removed.last, lowest.number == number &+ 1, let parent = lowest.parentHash {
            return window[number].map(\.ref) ?? BlockRef(number: number, hash: parent)
        }
        return window.ref(number)
    }

    /// Blocks are missing: goes on behind them. Where the one that is being told is behind them too, what was told of it
    /// holds.
    mutating func skip(_ range: ClosedRange<UInt64>, _ window: ChainWindow) {
        while let last = self.told.last, last.number >= range.lowerBound { self.told.removeLast() }
        if self.next != range.upperBound &+ 1 {
            self.toldInBlock = 0
            self.current = nil
        }
        self.next = range.upperBound &+ 1
        self.unaudited = self.next
        self.isCaughtUp = false
        if let ref = window.ref(self.next &- 1) {
            self.position = ref
            self.positionHasMoved = true
        }
    }
}
