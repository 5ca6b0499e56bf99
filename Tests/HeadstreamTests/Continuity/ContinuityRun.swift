import EthereumTypes
import HeadstreamTesting

@testable import Headstream

/// A simulated node and a continuity machine with consumers, driven by hand or by a seed.
struct ContinuityRun {
    var chain: SimulatedChain
    var machine: ContinuityMachine
    var random: SeededGenerator
    var now: UInt64 = 1_000_000_000
    /// Answers take less than so many milliseconds.
    var slowestAnswer = 400
    var folds: [ConsumerFold] = []
    var filters: [(id: FilterID, filter: LogFilter, options: FilterOptions)] = []
    var requests: [ContinuityRequest] = []
    /// What the node has pushed and the connection not delivered: heads, then each filter's logs.
    var pushed: [[SimulatedChain.Notification]] = [[]]
    var isConnected = false
    var acknowledged: [Bool] = []
    /// The places of filters whose logs come on connections of their own, and the newest blocks that were asked for there
    /// behind the acknowledgements, on their way.
    var apart: Set<Int> = []
    var newestApart: [(place: Int, number: UInt64)] = []
    /// In percent.
    var lostPushes = 0
    var doubledPushes = 0
    var swappedPushes = 0
    var failedAnswers = 0
    var nullAnswers = 0
    /// The node knows neither `safe` nor `finalized`.
    var nullFinality = false
    /// Whether every push comes.
    var honesty = true
    /// Logs that answers leave out.
    var withheld: LogFilter?
    /// What other endpoints have pushed and their connections not delivered; of those that are.
    var peers: [[SimulatedChain.Notification]] = []
    /// In percent, of what they push.
    var lostByPeers = 0
    /// What other endpoints were found on.
    var divergences: [(peer: PeerID, block: BlockRef)] = []
    /// What happened, for a failing seed.
    var journal: [String] = []
    var keepsJournal = false
    var requestCount = 0
    var callCount = 0
    private var nextConsumer: UInt64 = 1
    /// Of consumers that join.
    var bufferLimit = 1 << 24
    /// Consumers that take nothing of what they are told.
    private var paused: Set<ConsumerID> = []
    /// Blocks that the node has announced though it does not answer for them.
    var announced: [Hash32: SimulatedBlock] = [:]

    struct ContinuityRequest {
        let request: ChainRequest
        let due: UInt64
    }

    init(
        seed: UInt64,
        quirks: SimulatedQuirks = SimulatedQuirks(),
        limits: ContinuityMachine.Limits = .init(),
        number: UInt64 = 100
    ) {
        self.random = SeededGenerator(seed: seed)
        self.chain = SimulatedChain(seed: seed ^ 0x5eed, quirks: quirks, number: number)
        self.machine = ContinuityMachine(limits: limits)
    }

    // MARK: - The machine

    mutating func handle(_ fact: ContinuityMachine.Fact) {
        if self.keepsJournal { self.journal.append("\(self.now / 1_000_000) " + Self.text(fact)) }
        let differences = self.machine.differences
        var actions = self.machine.handle(fact, at: self.now)
        // Who is not paused takes what it is told at once, and has room for more.
        for fold in self.folds where !self.paused.contains(fold.id) {
            while self.machine.isPaused(fold.id) {
                let taken = ContinuityMachine.Fact.taken(fold.id, upTo: self.machine.toldBytes(fold.id))
                let more = self.machine.handle(taken, at: self.now)
                actions += more
                if more.isEmpty { break }
            }
        }
        if self.keepsJournal, self.machine.differences > differences {
            let disputes = self.machine.books.map { "\($0.disputes)" }.joined()
            self.journal.append("    finds differences, of \(disputes)")
        }
        for action in actions {
            switch action {
            case .request(let request):
                self.requestCount += 1
                self.callCount += request.calls.count
                if self.keepsJournal { self.journal.append("    asks \(Self.text(request))") }
                let delay = UInt64(self.random.below(self.slowestAnswer)) * 1_000_000
                self.requests.append(.init(request: request, due: self.now + delay))
            case .tell(let id, let event):
                if self.keepsJournal { self.journal.append("    tells \(id.rawValue) \(Self.text(event))") }
                guard let index = self.folds.firstIndex(where: { $0.id == id }) else { continue }
                let shown = self.shown
                self.folds[index].take(event, shown)
            case .diverged(let peer, let block):
                self.divergences.append((peer, block))
            }
        }
    }

    /// The block of a hash as the node knows it, orphans too, under either hash.
    var shown: (Hash32) -> SimulatedBlock? {
        let chain = self.chain
        let announced = self.announced
        return { chain.anyBlock($0) ?? announced[$0] }
    }

    var problems: [String] { self.folds.flatMap(\.problems) }

    // MARK: - Consumers

    mutating func addFilter(
        _ filter: LogFilter,
        audit: Int = 32,
        delivery: LogDelivery = .pushed,
        verify: Verification = .off
    ) -> FilterID {
        let id = FilterID(rawValue: UInt64(self.filters.count + 1))
        let options = FilterOptions(filter: filter, audit: audit, delivery: delivery, verify: verify)
        self.filters.append((id, filter, options))
        self.pushed.append([])
        self.acknowledged.append(false)
        self.handle(.filterAdded(id, options))
        return id
    }

    @discardableResult
    mutating func join(
        _ filter: FilterID? = nil,
        finality: Finality = .latest,
        origin: ConsumerOptions.Origin = .latest,
        isToldFinality: Bool = false,
        verify: Verification = .off
    ) -> ConsumerID {
        let id = ConsumerID(rawValue: self.nextConsumer)
        self.nextConsumer += 1
        var fold = ConsumerFold(id: id, filter: filter.flatMap { id in self.filters.first { $0.id == id }?.filter })
        fold.level = finality
        self.folds.append(fold)
        let options = ConsumerOptions(
            filter: filter,
            finality: finality,
            origin: origin,
            isToldFinality: isToldFinality,
            verify: verify,
            bufferLimit: self.bufferLimit
        )
        self.handle(.joined(id, options))
        return id
    }

    mutating func leave(_ id: ConsumerID) {
        self.handle(.left(id))
        self.folds.removeAll { $0.id == id }
    }

    mutating func pause(_ id: ConsumerID) {
        self.paused.insert(id)
    }

    mutating func resume(_ id: ConsumerID) {
        self.paused.remove(id)
        self.handle(.taken(id, upTo: self.machine.toldBytes(id)))
    }

    func fold(_ id: ConsumerID) -> ConsumerFold {
        self.folds.first { $0.id == id } ?? ConsumerFold(id: id, filter: nil)
    }

    // MARK: - The connection

    mutating func connect() {
        guard !self.isConnected else { return }
        self.isConnected = true
        self.handle(.connected)
        _ = self.chain.takeNotifications()
    }

    mutating func acknowledgeAll() {
        self.acknowledge(heads: true, self.filters.indices.filter { !self.apart.contains($0) })
    }

    mutating func acknowledge(heads: Bool, _ places: [Int]) {
        self.collect()
        for place in places { self.acknowledged[place] = true }
        self.handle(.acknowledged(heads: heads, filters: places.map { self.filters[$0].id }))
    }

    /// The same on a connection of the filter's own; a node may have pushed some of the logs that it is about to push.
    mutating func acknowledgeApart(_ place: Int) {
        guard self.isConnected, !self.acknowledged[place] else { return }
        let told = self.chain.takeNotifications()
        let passed = told.isEmpty ? 0 : self.random.below(told.count + 1)
        self.collect(Array(told[..<passed]))
        self.acknowledged[place] = true
        self.handle(.acknowledgedApart([self.filters[place].id]))
        self.collect(Array(told[passed...]))
        self.newestApart.append((place, self.chain.head.number))
    }

    /// The further connection of a filter is lost.
    mutating func cutApart(_ place: Int) {
        guard self.acknowledged[place] else { return }
        self.acknowledged[place] = false
        self.pushed[place + 1] = []
        self.newestApart.removeAll { $0.place == place }
        self.handle(.unacknowledged([self.filters[place].id]))
    }

    /// Delivers an answer of a further connection. - Returns: false where there is none.
    mutating func answerApart() -> Bool {
        guard !self.newestApart.isEmpty else { return false }
        let (place, number) = self.newestApart.remove(at: self.random.below(self.newestApart.count))
        self.handle(.newestApart([self.filters[place].id], number))
        return true
    }

    mutating func disconnect() {
        guard self.isConnected else { return }
        self.isConnected = false
        self.newestApart = []
        self.requests = []
        for index in self.pushed.indices { self.pushed[index] = [] }
        for index in self.acknowledged.indices { self.acknowledged[index] = false }
        self.handle(.connectionLost)
    }

    /// What the chain has notified goes to the queues of the subscriptions.
    mutating func collect() {
        self.collect(self.chain.takeNotifications())
    }

    private mutating func collect(_ notifications: [SimulatedChain.Notification]) {
        for notification in notifications {
            for peer in self.peers.indices where self.lostByPeers == 0 || self.random.below(100) >= self.lostByPeers {
                self.peers[peer].append(notification)
            }
            guard self.isConnected else { continue }
            switch notification {
            case .head: self.push(notification, to: 0)
            case .log(let log):
                for (place, filter) in self.filters.enumerated()
                where self.acknowledged[place] && filter.filter.matches(log) && filter.options.delivery == .pushed {
                    self.push(notification, to: place + 1)
                }
            }
        }
    }

    private mutating func push(_ notification: SimulatedChain.Notification, to queue: Int) {
        if self.random.below(100) < self.lostPushes { return }
        self.pushed[queue].append(notification)
        if self.random.below(100) < self.doubledPushes { self.pushed[queue].append(notification) }
        if self.random.below(100) < self.swappedPushes, self.pushed[queue].count > 1 {
            let last = self.pushed[queue].count - 1
            self.pushed[queue].swapAt(last, last - 1)
        }
    }

    /// Delivers one notification, of a queue at random, or several logs that a turn brought. - Returns: false where there is none.
    @discardableResult
    mutating func deliverOne() -> Bool {
        let talking = self.peers.indices.filter { !self.peers[$0].isEmpty }
        if !talking.isEmpty, self.pushed.allSatisfy(\.isEmpty) || self.random.below(2) == 0 {
            self.deliver(ofPeer: talking[self.random.below(talking.count)])
            return true
        }
        let waiting = self.pushed.indices.filter { !self.pushed[$0].isEmpty }
        guard !waiting.isEmpty else { return false }
        let queue = waiting[self.random.below(waiting.count)]
        switch self.pushed[queue].removeFirst() {
        case .head(let header): self.handle(.head(header))
        case .log(let log):
            var logs = [log]
            var more = self.random.below(4) == 0 ? self.random.below(12) : 0
            while more > 0, case .log(let next)? = self.pushed[queue].first {
                logs.append(next)
                self.pushed[queue].removeFirst()
                more -= 1
            }
            self.handle(.logs(self.filters[queue - 1].id, logs))
        }
        return true
    }

    /// Delivers a peer's next notification, a log on each filter's subscription.
    private mutating func deliver(ofPeer place: Int) {
        let peer = PeerID(rawValue: place)
        switch self.peers[place].removeFirst() {
        case .head(let header): self.handle(.peerHead(peer, header))
        case .log(let log):
            for filter in self.filters where filter.filter.matches(log) && filter.options.delivery == .pushed {
                self.handle(.peerLog(peer, filter.id, log))
            }
        }
    }

    /// So many other endpoints push too.
    mutating func race(_ count: Int) {
        self.peers = Array(repeating: [], count: count)
        for place in 0..<count {
            for filter in self.filters { self.handle(.peerAcknowledged(PeerID(rawValue: place), filter.id)) }
        }
    }

    /// A peer announces a block on the newest one that nobody else knows.
    mutating func lie(ofPeer place: Int) {
        var fork = self.chain
        fork.mine(fork.randomEvents(2))
        self.announced[fork.head.hash] = fork.head
        self.peers[place].append(.head(fork.head.header))
    }

    // MARK: - Requests

    @discardableResult
    mutating func answerOne() -> Bool {
        guard !self.requests.isEmpty else { return false }
        let place = self.random.below(self.requests.count)
        let request = self.requests.remove(at: place)
        self.now = max(self.now, request.due)
        if self.random.below(100) < self.failedAnswers {
            self.handle(.failed(request.request.token, .other))
            return true
        }
        let lag = self.chain.drawLag()
        let answers = request.request.calls.map { self.answer($0, lag) }
        self.handle(.answered(request.request.token, answers))
        return true
    }

    mutating func answer(_ call: ChainCall, _ lag: Int) -> ChainAnswer {
        if self.random.below(100) < self.nullAnswers {
            switch call {
            case .logs, .logKeys: return .failure(.other)
            case .header, .headerByHash: return .header(nil)
            }
        }
        switch call {
        case .header(.safe) where self.nullFinality, .header(.finalized) where self.nullFinality: return .header(nil)
        case .header(let tag): return .header(self.chain.block(tag, lag: lag)?.header)
        case .headerByHash(let hash): return .header(self.chain.block(hash, lag: lag)?.header)
        case .logs(let filter), .logKeys(let filter):
            do throws(SimulatedNodeError) {
                let logs = try self.chain.logs(filter, lag: lag).filter { self.withheld?.matches($0) != true }
                guard case .logKeys = call else { return .logs(logs) }
                return BlockLogKeys.gathered(logs, filter, seed: self.machine.seed).map { .logKeys($0) }
                    ?? .failure(.other)
            } catch {
                return .failure(ChainFailure(code: error.code, message: error.message))
            }
        }
    }

    /// Delivers and answers until nothing is left to do; deadlines come too.
    /// - Returns: false where it did not come to rest.
    @discardableResult
    mutating func settle(deadlines: Int = 40) -> Bool {
        self.collect()
        var left = deadlines
        for _ in 0..<20_000 {
            if self.deliverOne() { continue }
            if self.answerOne() || self.answerApart() { continue }
            guard left > 0, let deadline = self.machine.nextDeadline else { return true }
            left -= 1
            self.now = max(self.now, deadline)
            self.handle(.deadlineReached)
        }
        return false
    }

    /// Connected, everything acknowledged, everything answered.
    mutating func start() {
        self.connect()
        self.acknowledgeAll()
        self.settle()
    }

    /// A block a second, each followed by whatever it brings about.
    mutating func mine(_ count: Int = 1, logs: Int = 0) {
        for _ in 0..<count { self.mine(1, of: self.chain.randomEvents(logs)) }
    }

    /// The same with these events in each.
    mutating func mine(_ count: Int, of events: [SimulatedEvent]) {
        for _ in 0..<count {
            self.now += 1_000_000_000
            self.chain.mine(events)
            self.settle()
        }
    }

    /// A block whose head is pushed, and of whose logs these alone are, each by itself to the first filter.
    @discardableResult
    mutating func mine(_ events: [SimulatedEvent], pushing places: Range<Int>) -> SimulatedBlock {
        let block = self.inSilence { $0.mine(events) }
        self.handle(.head(block.header))
        self.push(block, places)
        return block
    }

    /// Only these of a block's logs are pushed, each by itself to the first filter.
    mutating func push(_ block: SimulatedBlock, _ places: Range<Int>) {
        for log in block.logs[places] { self.handle(.logs(self.filters[0].id, [log])) }
    }

    // MARK: - Looking

    /// The numbers of the blocks that a consumer has been told.
    func numbers(_ id: ConsumerID) -> [UInt64] { self.fold(id).blocks.map(\.ref.number) }

    /// The logs that a consumer has been told and that are not void.
    func logs(_ id: ConsumerID) -> [Log] {
        let fold = self.fold(id)
        return fold.blocks.flatMap(\.logs) + (fold.current?.logs ?? [])
    }

    /// The promises broken so far, and what is missing of the node's chain up to some blocks below its head.
    mutating func check(upTo depth: UInt64 = 0) -> [String] {
        let last = self.chain.head.number - depth
        let shown = self.shown
        for index in self.folds.indices { self.folds[index].checkComplete(self.chain, through: last, shown) }
        return self.problems
    }

    /// Answers with something else than the chain would, once.
    mutating func answer(with answers: [ChainAnswer]) {
        guard !self.requests.isEmpty else { return }
        let request = self.requests.removeFirst()
        self.now = max(self.now, request.due)
        self.handle(.answered(request.request.token, answers))
    }

    /// The same for each request, in their order, until a consumer is told of a gap; so many steps at most.
    mutating func answerUntilGap(
        of id: ConsumerID,
        steps: Int,
        with answer: (inout Self, ChainCall) -> ChainAnswer
    ) {
        for _ in 0..<steps where self.fold(id).gaps.isEmpty {
            guard let request = self.requests.first else {
                self.now = max(self.now, self.machine.nextDeadline ?? 0)
                self.handle(.deadlineReached)
                continue
            }
            var answers: [ChainAnswer] = []
            for call in request.request.calls { answers.append(answer(&self, call)) }
            self.answer(with: answers)
        }
    }

    /// The blocks that the chain is given come with nothing pushed.
    @discardableResult
    mutating func inSilence<Result>(_ change: (inout SimulatedChain) -> Result) -> Result {
        self.collect()
        defer { _ = self.chain.takeNotifications() }
        return change(&self.chain)
    }

    // MARK: - Text

    static func text(_ fact: ContinuityMachine.Fact) -> String {
        switch fact {
        case .head(let header): "head \(BlockRef(header)) on \(header.parentHash.description.prefix(10))"
        case .logs(let id, let logs):
            logs.map { log in
                "log \(id.rawValue): \(log.blockNumber ?? 0) \(log.blockHash?.description.prefix(10) ?? "") "
                    + "\(log.transactionIndex ?? 0)/\(log.logIndex ?? 0)\(log.removed ? " removed" : "")"
            }.joined(separator: ", ")
        case .answered(let token, let answers):
            "answered \(token): "
                + answers.map { answer in
                    switch answer {
                    case .header(let header): header.map { BlockRef($0).description } ?? "null"
                    case .logs(let logs): "\(logs.count) logs"
                    case .logKeys(let blocks): "\(blocks.reduce(0) { $0 + $1.keys.count }) keys"
                    case .failure(let failure): "\(failure)"
                    }
                }.joined(separator: ", ")
        default: "\(fact)"
        }
    }

    static func text(_ request: ChainRequest) -> String {
        "\(request.token): "
            + request.calls.map { call in
                switch call {
                case .header(let tag): "\(tag)"
                case .headerByHash(let hash): "\(hash.description.prefix(10))"
                case .logs(let filter), .logKeys(let filter):
                    switch filter.blocks {
                    case .hash(let hash):
                        "logs[\(filter.addresses.count),\(filter.topics.count)] \(hash.description.prefix(10))"
                    case .range(let from, let to):
                        "logs[\(filter.addresses.count),\(filter.topics.count)] \(from)…\(to)"
                    case .unspecified: "logs"
                    }
                }
            }.joined(separator: ", ")
    }

    static func text(_ event: ContinuityEvent) -> String {
        switch event {
        case .head(let header): "head \(BlockRef(header))"
        case .logs(let logs):
            logs.map {
                "log \($0.blockNumber ?? 0) \($0.blockHash?.description.prefix(10) ?? "") "
                    + "\($0.transactionIndex ?? 0)/\($0.logIndex ?? 0)"
            }.joined(separator: ", ")
        case .passed(let ref): "passed \(ref)"
        case .rollback(let to, let removed): "rollback to \(to), \(removed.count) removed"
        case .gap(let range, let reason): "gap \(range) \(reason)"
        case .progress(let cursor): "progress \(cursor.block)"
        default: "\(event)"
        }
    }
}
