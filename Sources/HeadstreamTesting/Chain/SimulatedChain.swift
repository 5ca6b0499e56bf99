public import EthereumTypes

/// A chain without an EVM: blocks with correct hashes, parent links and blooms, logs, reorganisations on command, and what
/// a node tells and answers about them.
///
///     var chain = SimulatedChain(seed: 1)
///     chain.mine([SimulatedEvent(address: token, topics: [transfer])])
///     chain.reorganise(depth: 2, events: [[], [], []])
///     for notification in chain.takeNotifications() { … }
///
/// Everything is a function of the seed and of what is called. Blocks that were left stay known, as orphans. A copy is a
/// chain of its own.
public struct SimulatedChain: Sendable {
    /// What a node pushes, in its order. Which logs a subscription gets, its filter says.
    public enum Notification: Sendable {
        case head(BlockHeader)
        case log(Log)
    }

    public var quirks: SimulatedQuirks
    /// The seconds between blocks; 0 for chains with several blocks a second.
    public var secondsPerBlock: UInt64
    /// The chain that the node stands on, the lowest block first.
    public private(set) var canonical: [SimulatedBlock]
    var blocks: [Hash32: SimulatedBlock] = [:]
    /// The chains of the last changes of the head, the newest last: what backends that lag still stand on.
    var views: [[SimulatedBlock]] = []
    /// The newest block's sibling, which backends that stand on it know and no others, and those of before.
    var sibling: SimulatedBlock?
    var siblings: [Hash32: SimulatedBlock] = [:]
    var random: SeededGenerator
    private var notifications: [Notification] = []
    private var bloomBits: [Hash32: BloomBits] = [:]
    private var addressBits: [Address: BloomBits] = [:]
    /// Blocks by the hash that is pushed, where that is another.
    var byPushedHash: [Hash32: SimulatedBlock] = [:]
    /// What was told as final last.
    var finalized: UInt64 = 0

    /// A chain of one block.
    /// - Parameter number: the number of that block.
    public init(
        seed: UInt64,
        quirks: SimulatedQuirks = SimulatedQuirks(),
        number: UInt64 = 0,
        secondsPerBlock: UInt64 = 1
    ) {
        self.random = SeededGenerator(seed: seed)
        self.quirks = quirks
        self.secondsPerBlock = secondsPerBlock
        self.canonical = []
        let block = self.makeBlock(
            number: number,
            parent: number == 0 ? .zero : self.randomHash(),
            timestamp: 1_600_000_000,
            []
        )
        self.canonical = [block]
        self.views = [self.canonical]
    }

    /// A chain that begins with a block of your own.
    public init(seed: UInt64, quirks: SimulatedQuirks = SimulatedQuirks(), startingWith block: SimulatedBlock) {
        self.random = SeededGenerator(seed: seed)
        self.quirks = quirks
        self.secondsPerBlock = 1
        self.canonical = [block]
        self.blocks[block.hash] = block
        self.views = [self.canonical]
    }

    /// The newest block.
    public var head: SimulatedBlock { self.canonical[self.canonical.count - 1] }

    /// What has happened since this was last asked, as the node pushes it.
    public mutating func takeNotifications() -> [Notification] {
        defer { self.notifications = [] }
        return self.notifications
    }

    // MARK: - What happens

    /// A block is found.
    @discardableResult
    public mutating func mine(_ events: [SimulatedEvent] = []) -> SimulatedBlock {
        self.mine(blocks: [events])
        return self.head
    }

    /// Several blocks come at once.
    public mutating func mine(blocks: [[SimulatedEvent]]) {
        self.setHead(keeping: self.canonical.count, self.makeBranch(on: self.head, blocks))
    }

    /// Another branch wins: the newest `depth` blocks are left for these, fewer or more than there were. The lowest block and
    /// what was told as final stay.
    public mutating func reorganise(depth: Int, events: [[SimulatedEvent]]) {
        let kept = self.leastKept(self.canonical.count - max(depth, 0))
        self.setHead(keeping: kept, self.makeBranch(on: self.canonical[kept - 1], events))
    }

    /// Blocks of your own win, the lowest first: its parent is a block of the chain, and each is the next one's parent.
    /// - Returns: false where they do not link, and nothing is changed.
    @discardableResult
    public mutating func adopt(_ branch: [SimulatedBlock]) -> Bool {
        guard let first = branch.first, first.number > 0, let place = self.place(of: first.number - 1),
            self.canonical[place].hash == first.parentHash,
            zip(branch, branch.dropFirst()).allSatisfy({ $0.hash == $1.parentHash && $0.number + 1 == $1.number })
        else { return false }
        for block in branch {
            self.blocks[block.hash] = block
            if self.quirks.pushesOtherHashes { self.byPushedHash[self.pushed(block.header).hash] = block }
        }
        self.setHead(keeping: place + 1, branch)
        return true
    }

    /// The newest `depth` blocks are taken back, as `evm_revert` does and some nodes on restart. An ancestor is the head.
    public mutating func rewind(depth: Int) {
        self.setHead(keeping: self.leastKept(self.canonical.count - max(depth, 0)), [])
    }

    /// A branch that was left wins again.
    /// - Returns: false where the block is not known, or on the chain already.
    @discardableResult
    public mutating func `return`(to hash: Hash32) -> Bool {
        var branch: [SimulatedBlock] = []
        var next = self.blocks[hash]
        while let block = next {
            if let place = self.place(of: block.number), self.canonical[place] === block {
                guard !branch.isEmpty, self.leastKept(place + 1) == place + 1 else { return false }
                self.setHead(keeping: place + 1, branch.reversed())
                return true
            }
            branch.append(block)
            next = self.blocks[block.parentHash]
        }
        return false
    }

    /// A rival of the newest block is announced, and left at once without a word.
    /// - Parameter isServed: whether the node answers for it.
    @discardableResult
    public mutating func announceAbandoned(depth: Int = 1, length: Int = 1, isServed: Bool) -> [SimulatedBlock] {
        let kept = max(self.canonical.count - max(depth, 1), 1)
        let branch = self.makeBranch(on: self.canonical[kept - 1], Array(repeating: [], count: max(length, 1)))
        if !isServed { for block in branch { self.blocks[block.hash] = nil } }
        if let last = branch.last { self.announce(last.header) }
        return branch
    }

    /// Logs at random: of 8 contracts with 4 kinds of events, so that filters match some of them.
    public mutating func randomEvents(_ count: Int) -> [SimulatedEvent] {
        (0..<max(count, 0)).map { _ in
            let address = Self.address(self.random.below(8))
            let topic = Self.topic(self.random.below(4))
            let second: [Hash32] = self.random.below(2) == 0 ? [] : [Self.topic(4 + self.random.below(4))]
            return SimulatedEvent(
                address: address,
                topics: [topic] + second,
                data: Bytes([UInt8(truncatingIfNeeded: self.random.next())])
            )
        }
    }

    /// The contracts of ``randomEvents(_:)``.
    public static func address(_ index: Int) -> Address {
        Address(w0: 0xc0de, w1: 0, w2: UInt32(truncatingIfNeeded: index + 1))
    }

    /// The events of ``randomEvents(_:)``.
    public static func topic(_ index: Int) -> Hash32 {
        Hash32(w0: 0x70, w1: 0, w2: 0, w3: UInt64(truncatingIfNeeded: index + 1))
    }

    // MARK: - Blocks

    func place(of number: UInt64) -> Int? {
        guard let base = self.canonical.first, number >= base.number else { return nil }
        let place = number - base.number
        return place < UInt64(self.canonical.count) ? Int(place) : nil
    }

    private mutating func makeBranch(on parent: SimulatedBlock, _ blocks: [[SimulatedEvent]]) -> [SimulatedBlock] {
        var branch: [SimulatedBlock] = []
        var last = parent
        for events in blocks {
            last = self.makeBlock(
                number: last.number + 1,
                parent: last.hash,
                timestamp: last.header.timestamp + self.secondsPerBlock,
                events
            )
            branch.append(last)
        }
        return branch
    }

    private mutating func makeBlock(
        number: UInt64,
        parent: Hash32,
        timestamp: UInt64,
        _ events: [SimulatedEvent]
    ) -> SimulatedBlock {
        var bloom = Bloom()
        for (index, event) in events.enumerated() {
            if index == 0, self.quirks.wrongBlooms > 0, self.random.below(100) < self.quirks.wrongBlooms { continue }
            bloom.insert(self.bits(of: event.address))
            for topic in event.topics { bloom.insert(self.bits(of: topic)) }
        }
        let hasTransactions = !events.isEmpty || self.random.below(2) == 0
        var header = BlockHeader(
            number: number,
            parentHash: parent,
            timestamp: timestamp,
            gasLimit: 30_000_000,
            gasUsed: UInt64(events.count) * 21_000,
            stateRoot: self.randomHash(),
            transactionsRoot: hasTransactions ? self.randomHash() : BlockHeader.emptyTrieRoot,
            receiptsRoot: hasTransactions ? self.randomHash() : BlockHeader.emptyTrieRoot,
            logsBloom: self.quirks.zeroBlooms ? Bloom() : bloom
        )
        header.hash = header.computedHash() ?? .zero
        var logs: [Log] = []
        var transaction: UInt64 = 0
        var transactionHash = self.randomHash()
        var indexInTransaction: UInt64 = 0
        for (index, event) in events.enumerated() {
            if index > 0, self.random.below(2) == 0 {
                transaction += 1
                transactionHash = self.randomHash()
                indexInTransaction = 0
            }
            var log = Log()
            log.address = event.address
            log.topicCount = UInt8(event.topics.count)
            if event.topics.count > 0 { log.topic0 = event.topics[0] }
            if event.topics.count > 1 { log.topic1 = event.topics[1] }
            if event.topics.count > 2 { log.topic2 = event.topics[2] }
            if event.topics.count > 3 { log.topic3 = event.topics[3] }
            log.data = event.data
            log.blockNumber = number
            log.blockHash = header.hash
            log.transactionHash = transactionHash
            log.transactionIndex = transaction
            log.logIndex = self.quirks.repeatedLogIndexes ? indexInTransaction / 2 : UInt64(index)
            indexInTransaction += 1
            // Two logs are two only if something tells them apart.
            if self.quirks.repeatedLogIndexes { log.data = Bytes([UInt8(truncatingIfNeeded: index)]) }
            logs.append(log)
        }
        let block = SimulatedBlock(header: header, logs: logs)
        self.blocks[header.hash] = block
        if self.quirks.pushesOtherHashes { self.byPushedHash[self.pushed(header).hash] = block }
        return block
    }

    mutating func randomHash() -> Hash32 {
        Hash32(w0: self.random.next(), w1: self.random.next(), w2: self.random.next(), w3: self.random.next())
    }

    private mutating func bits(of address: Address) -> BloomBits {
        if let bits = self.addressBits[address] { return bits }
        let bits = BloomBits(address)
        self.addressBits[address] = bits
        return bits
    }

    private mutating func bits(of topic: Hash32) -> BloomBits {
        if let bits = self.bloomBits[topic] { return bits }
        let bits = BloomBits(topic)
        self.bloomBits[topic] = bits
        return bits
    }

    // MARK: - What is pushed

    /// How many blocks a reorganisation leaves at least: the lowest, and those told as final.
    private func leastKept(_ kept: Int) -> Int {
        let final = self.quirks.violatesFinality ? 0 : self.place(of: self.finalized) ?? 0
        return max(kept, final + 1, 1)
    }

    private mutating func setHead(keeping kept: Int, _ branch: [SimulatedBlock]) {
        let left = Array(self.canonical[kept...])
        guard !left.isEmpty || !branch.isEmpty else { return }
        self.canonical.removeSubrange(kept...)
        self.canonical += branch
        self.views.append(self.canonical)
        if self.views.count > 8 { self.views.removeFirst() }
        self.makeSibling()
        let earlier = self.notifications.count
        defer { if self.quirks.mixesKinds { self.mixKinds(from: earlier) } }

        if !self.quirks.noRemovedLogs {
            // geth tells the lowest block's first.
            for _ in 0..<(self.quirks.doubledRemovedLogs ? 2 : 1) {
                for log in left.lazy.flatMap(\.logs) {
                    var removed = log
                    removed.removed = true
                    self.notifications.append(.log(removed))
                }
            }
        }
        if branch.isEmpty {
            self.announce(self.head.header)
            for log in self.head.logs { self.notifications.append(.log(log)) }
            return
        }
        if kept > 1, self.random.below(100) < self.quirks.repeatedAncestors {
            let ancestor = self.canonical[kept - 1 - self.random.below(min(kept - 1, 3))]
            self.announce(ancestor.header)
            self.pushLogs(of: ancestor)
        }
        for (index, block) in branch.enumerated() {
            let isLast = index == branch.count - 1
            let isAnnounced = isLast || self.quirks.announcesWholeBranch
            if isAnnounced, !self.quirks.logsBeforeHead { self.announce(block.header) }
            if isLast || !self.quirks.omitsLogsOfEarlierBlocks { self.pushLogs(of: block) }
            if isAnnounced, self.quirks.logsBeforeHead { self.announce(block.header) }
        }
    }

    private mutating func makeSibling() {
        self.sibling = nil
        guard self.quirks.siblings > 0, self.canonical.count > 1 else { return }
        let parent = self.canonical[self.canonical.count - 2]
        guard let sibling = self.makeBranch(on: parent, [self.randomEvents(2)]).last else { return }
        self.blocks[sibling.hash] = nil
        self.siblings[sibling.hash] = sibling
        self.sibling = sibling
    }

    /// What is to be pushed from this place on is told kind by kind, whichever comes next.
    private mutating func mixKinds(from place: Int) {
        var kinds: [[Notification]] = [[], [], []]
        for notification in self.notifications[place...].reversed() {
            switch notification {
            case .head: kinds[0].append(notification)
            case .log(let log): kinds[log.removed ? 1 : 2].append(notification)
            }
        }
        self.notifications.removeSubrange(place...)
        while true {
            let left = kinds.indices.filter { !kinds[$0].isEmpty }
            guard !left.isEmpty else { return }
            self.notifications.append(kinds[left[self.random.below(left.count)]].removeLast())
        }
    }

    private mutating func pushLogs(of block: SimulatedBlock) {
        for log in block.logs {
            if self.quirks.omittedLogs > 0, self.random.below(100) < self.quirks.omittedLogs { continue }
            self.notifications.append(.log(log))
        }
    }

    private mutating func announce(_ header: BlockHeader) {
        if self.quirks.skippedHeads > 0, self.random.below(100) < self.quirks.skippedHeads { return }
        self.notifications.append(.head(self.pushed(header)))
    }

    /// The header as it is pushed.
    public func pushed(_ header: BlockHeader) -> BlockHeader {
        var pushed = header
        if self.quirks.lateBlooms { pushed.logsBloom = Bloom() }
        if self.quirks.pushesOtherHashes {
            pushed.hash = header.hash.withBytes { Keccak256.hash(bytes: $0) }
        }
        return pushed
    }
}
