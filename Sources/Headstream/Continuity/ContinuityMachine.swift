package import EthereumTypes

/// The state machine behind gapless streams: it knows the chain's newest blocks, and what each consumer has been told.
///
/// A struct without I/O, clock or executor. It takes facts (``handle(_:at:)``) and returns actions: requests for the
/// shell to make, and events for it to deliver. What it promises and the rules that it keeps are in `Continuity.md`.
package struct ContinuityMachine: Sendable {
    /// What has happened.
    package enum Fact: Sendable {
        /// There is a new connection; nothing has been subscribed on it yet.
        case connected
        /// The node has acknowledged subscriptions on this connection: that for heads, those of filters, or both. A filter
        /// with `.fetched` delivery has none.
        case acknowledged(heads: Bool, filters: [FilterID])
        /// The node has acknowledged subscriptions of filters on another connection than that of heads, and later: its newest
        /// block as it was told there, asked for after that. The two connections may have backends that differ.
        case acknowledgedApart([FilterID])
        case newestApart([FilterID], UInt64)
        /// The logs of these filters are pushed no more, until they are acknowledged again.
        case unacknowledged([FilterID])
        /// The connection is gone. Requests in flight will not be answered, and tokens of before mean nothing.
        case connectionLost
        /// A head was pushed. Boxed, so that a log, which is a third of its size, is not copied as one.
        indirect case head(BlockHeader)
        /// Logs were pushed, `removed` ones included, on the filter's subscription.
        case logs(FilterID, [Log])
        /// Pushed logs were lost on their way.
        case logsLost(FilterID)
        /// Another endpoint than the authority has acknowledged the subscription of a filter.
        case peerAcknowledged(PeerID, FilterID)
        /// Another endpoint pushed a head, or a log.
        indirect case peerHead(PeerID, BlockHeader)
        case peerLog(PeerID, FilterID, Log)
        /// The connection to another endpoint is gone.
        case peerLost(PeerID)
        /// A request was answered, call by call.
        case answered(UInt64, [ChainAnswer])
        /// A request failed as a whole, or timed out.
        case failed(UInt64, ChainFailure)
        /// ``nextDeadline`` has come.
        case deadlineReached
        /// Somebody suspects that heads are missing: the watchdog.
        case stalled
        /// Nobody wants heads any more, and they are not subscribed to: what is known grows old.
        case idle
        /// No block will come any more, as behind a recording: what the node says of the newest ones is its last word.
        case over
        /// A filter may have consumers from now on.
        case filterAdded(FilterID, FilterOptions)
        case filterRemoved(FilterID)
        case joined(ConsumerID, ConsumerOptions)
        case left(ConsumerID)
        /// The consumer has taken what it was told, up to so many bytes in all: there is room for more.
        case taken(ConsumerID, upTo: Int)
    }

    /// What is to be done, in this order.
    package enum Action: Sendable {
        case request(ChainRequest)
        case tell(ConsumerID, ContinuityEvent)
        /// Another endpoint stands on this block, and the authority on another one.
        case diverged(PeerID, BlockRef)
    }

    package struct Limits: Sendable {
        /// The most blocks to catch up with, and to remember.
        package var blocks: UInt64 = 1024
        /// The most requests spent to come level again.
        package var requests = 512
        /// What the logs of one answer may take, in bytes, where that can be foreseen; what a node writes for them is up to
        /// three times as long.
        package var answer = 1 << 22
        /// So many bytes of logs that were told already are asked for again a second, by audits, while others are pushed: in
        /// a burst most of what is read is what was not known.
        package var auditedPerSecond = 1 << 20
        /// The most keys that are kept of a filter's logs whose audit waits for the end of a burst: 4 MiB of them.
        package var unauditedKeys = 1 << 18

        package init(blocks: UInt64 = 1024, requests: Int = 512) {
            self.blocks = max(blocks, 1)
            self.requests = max(requests, 1)
        }
    }

    enum RequestOwner: Sendable {
        case round
        case book(FilterID)
        case backfill
        case finality
    }

    private(set) var limits: Limits
    /// Of the digests by which logs are compared.
    package let seed: UInt64
    var window: ChainWindow
    var books: [LogBook] = []
    var consumers: [ContinuityConsumer] = []
    var planner = LogRangePlanner()
    var actions: [Action] = []

    var now: UInt64 = 0
    /// Counts facts, and so orders pushes and acknowledgements.
    var order: UInt64 = 0
    /// Counts the moves of the window.
    var move: UInt64 = 1
    var lastToken: UInt64 = 0
    /// Blocks of which a range answer, an audit's or another's, said otherwise than what was known: a measure of how far
    /// pushes and blooms of this node can be relied on.
    package internal(set) var differences: UInt64 = 0
    var inFlight: [UInt64: RequestOwner] = [:]
    /// Until when nothing is asked, because the node said so.
    var quietUntil: UInt64 = 0

    var isConnected = false
    var isOver = false
    /// Whether this connection has answered `latest`.
    var isLevel = false
    var bloomsAreTrusted = true
    /// Whether this chain pushes other hashes than it answers with: pushed heads are hints then.
    var hashesDiffer = false
    /// Why the window last began anew.
    var resetReason = GapReason.beyondLimit

    // The reconciliation, `ContinuityMachine+reconciliation.swift`.
    var round: Round?
    var wantsLatest = false
    /// Filters acknowledged, for which no `latest` has been asked yet.
    var acknowledged: [FilterID] = []
    /// The newest pushed head that neither extends the tip nor is in the window.
    var hint: ChainBlock?
    /// Heads pushed on this connection that did not fit when they came, the oldest first.
    var early: [ChainBlock] = []
    /// A block below the tip that was named as the newest, and since when.
    var suspect: (ref: BlockRef, since: UInt64)?
    /// Since when `latest` is a block below everything known.
    var belowSince: UInt64?
    var checkAt: UInt64?
    /// Whether the tip was reached by something other than heads that follow each other or `latest`.
    var isUnconfirmed = false

    /// How many of the newest blocks other endpoints alone have shown.
    var ahead: UInt64 = 0
    var peers: [Peer] = []
    /// The authority's newest block when a divergence was told last.
    var divergenceToldAt: UInt64?

    var backfill = Backfill()
    var finality = FinalityWatch()
    var verifying = Verifying()
    /// How often in a row the node's newest block did not stand up to verification.
    package var wrongInARow = 0

    /// - Parameter seed: known to nobody else, see ``LogKey``.
    package init(limits: Limits = Limits(), seed: UInt64 = 0) {
        self.limits = limits
        self.seed = seed
        self.window = ChainWindow(capacity: Self.capacity(limits))
    }

    /// The blocks of the limit may all wait for their audits; the others come while these are made.
    private static func capacity(_ limits: Limits) -> Int {
        let blocks = Int(clamping: min(limits.blocks, 1 << 20))
        return blocks + blocks / 4 + 64
    }

    /// Somebody wants more to be caught up with: the largest limits count for all.
    package mutating func raise(_ limits: Limits) {
        self.limits.blocks = max(self.limits.blocks, limits.blocks)
        self.limits.requests = max(self.limits.requests, limits.requests)
        self.window.raiseCapacity(to: Self.capacity(self.limits))
    }

    /// When `deadlineReached` is to come, in the nanoseconds of `handle`'s clock.
    package var nextDeadline: UInt64? {
        guard self.isConnected else { return nil }
        if self.quietUntil > self.now { return self.quietUntil }
        var times = [self.checkAt, self.round?.retryAt, self.backfill.retryAt].compactMap { $0 }
        times += self.books.compactMap(\.retryAt) + self.books.compactMap(\.auditAt)
        return times.min()
    }

    /// The newest block that the session stands on.
    package var tip: BlockRef? { self.window.tip?.ref }

    /// Whether it knows this connection's newest block, and follows it.
    var isAtRest: Bool { self.isLevel && self.round == nil }

    /// Where a consumer's stream could be resumed.
    package func cursor(of id: ConsumerID) -> Cursor? {
        self.consumers.first { $0.id == id }.flatMap { self.cursor(of: $0) }
    }

    /// Takes a fact. - Parameter now: nanoseconds of a clock that does not go back.
    package mutating func handle(_ fact: Fact, at now: UInt64) -> [Action] { self.handle([fact], at: now) }

    /// Takes facts that came together: what follows from them follows from all of them.
    package mutating func handle(_ facts: [Fact], at now: UInt64) -> [Action] {
        self.now = max(self.now, now)
        for fact in facts { self.take(fact) }
        if !self.peers.isEmpty { self.followPeers() }
        self.checkDeadlines()
        self.startConsumers()
        self.advanceConsumers()
        self.makeRoom()
        self.makeRequests()
        defer { self.actions = [] }
        return self.actions
    }

    private mutating func take(_ fact: Fact) {
        self.order += 1
        switch fact {
        case .connected:
            self.connectionEnded()
            self.isConnected = true
        case .acknowledged(let heads, let filters): self.acknowledged(heads: heads, filters)
        case .acknowledgedApart(let filters): self.acknowledgedApart(filters)
        case .newestApart(let filters, let number): self.newestApart(filters, number)
        case .unacknowledged(let filters): self.unacknowledged(filters)
        case .connectionLost: self.connectionEnded()
        case .head(let header):
            if self.admits(pushed: header) {
                self.headReceived(header)
            } else if self.isConnected {
                self.wantsLatest = true
            }
        case .logs(let id, let logs): self.logsReceived(id, logs)
        case .logsLost(let id): self.logsLost(id)
        case .peerAcknowledged(let id, let filter): self.peerAcknowledged(id, filter)
        case .peerHead(let id, let header): self.peerHeadReceived(id, header)
        case .peerLog(let id, let filter, let log): self.peerLogReceived(id, filter, log)
        case .peerLost(let id): self.peerLost(id)
        case .answered(let token, let answers): self.answered(token, answers)
        case .failed(let token, let failure): self.answered(token, [.failure(failure)])
        case .deadlineReached: break
        case .stalled: self.wantsLatest = true
        case .idle:
            // Who comes next begins above the newest block of then, and not above that of now.
            let isConnected = self.isConnected
            self.connectionEnded()
            self.isConnected = isConnected
            self.window.removeAll()
            self.move += 1
        case .over:
            self.isOver = true
            self.wantsLatest = true
            // What was in doubt until the next block is asked for again.
            self.move += 1
        case .filterAdded(let id, let options):
            if !self.books.contains(where: { $0.id == id }) {
                self.books.append(LogBook(id, options, seed: self.seed, now: self.now))
            }
        case .filterRemoved(let id):
            self.books.removeAll { $0.id == id }
            self.forgetFilterOfPeers(id)
        case .joined(let id, let options):
            if !self.consumers.contains(where: { $0.id == id }) {
                self.consumers.append(ContinuityConsumer(id, options))
                self.consumersChanged()
            }
        case .left(let id):
            self.consumers.removeAll { $0.id == id }
            self.consumersChanged()
        case .taken(let id, let bytes): self.taken(id, upTo: bytes)
        }
    }

    /// Notes what a consumer has taken. It is told more with the next fact.
    package mutating func taken(_ id: ConsumerID, upTo bytes: Int) {
        guard let index = self.consumers.firstIndex(where: { $0.id == id }) else { return }
        self.consumers[index].taken(upTo: bytes)
    }

    /// How many bytes a consumer was told in all.
    package func toldBytes(_ id: ConsumerID) -> Int { self.consumers.first { $0.id == id }?.toldBytes ?? 0 }

    /// What it was told and has not taken, and the whole logs in all books, in bytes: the two may share some of it.
    package var heldBytes: Int {
        self.consumers.reduce(0) { $0 + $1.waitingBytes }
            + self.books.reduce(0) { $0 + $1.entries.bytes + $1.waiting.bytes + $1.waitingOfPeers.bytes }
    }

    /// Whether a consumer is told nothing until it takes some of what it was told.
    package func isPaused(_ id: ConsumerID) -> Bool { self.consumers.first { $0.id == id }?.isPaused ?? false }

    private mutating func checkDeadlines() {
        if let checkAt, checkAt <= self.now {
            self.checkAt = nil
            self.wantsLatest = true
        }
        for index in self.books.indices {
            if let auditAt = self.books[index].auditAt, auditAt <= self.now { self.books[index].auditAt = nil }
        }
    }

    mutating func acknowledged(heads: Bool, _ filters: [FilterID]) {
        guard self.isConnected else { return }
        for id in filters {
            guard let index = self.books.firstIndex(where: { $0.id == id }) else { continue }
            self.books[index].acknowledgedAt = self.order
            self.books[index].coveredFrom = .max
            self.books[index].coveredApartFrom = nil
            self.acknowledged.append(id)
        }
        self.wantsLatest = true
    }

    /// Everything that belongs to one connection goes; what was told stays.
    private mutating func connectionEnded() {
        self.isConnected = false
        self.isLevel = false
        self.inFlight.removeAll()
        self.round = nil
        self.wantsLatest = false
        self.acknowledged = []
        self.hint = nil
        self.early = []
        self.suspect = nil
        self.belowSince = nil
        self.checkAt = nil
        self.isUnconfirmed = false
        self.quietUntil = 0
        self.backfill.connectionLost()
        self.finality.connectionLost()
        for index in self.books.indices {
            // The answer may have been too long a message for the connection.
            if case .range(let range, _, _) = self.books[index].pending?.purpose {
                _ = self.planner.refused(UInt64(range.count), .tooManyResults)
            }
            self.books[index].connectionLost()
        }
        for index in self.consumers.indices { self.consumers[index].isCaughtUp = false }
    }

    // MARK: - Requests

    mutating func request(_ owner: RequestOwner, _ calls: [ChainCall]) -> UInt64 {
        self.lastToken += 1
        self.inFlight[self.lastToken] = owner
        self.actions.append(.request(ChainRequest(token: self.lastToken, calls: calls)))
        return self.lastToken
    }

    private mutating func answered(_ token: UInt64, _ answers: [ChainAnswer]) {
        guard let owner = self.inFlight.removeValue(forKey: token) else { return }
        let answers = self.verifying.isOn ? self.admitted(answers, isOfLatest: self.asksLatest(owner)) : answers
        for case .failure(.rateLimited(let after)) in answers {
            self.quietUntil = max(self.quietUntil, self.now &+ min(after ?? 1_000_000_000, 60_000_000_000))
        }
        switch owner {
        case .round: self.roundAnswered(answers)
        case .book(let id): self.bookAnswered(id, answers)
        case .backfill: self.backfillAnswered(answers)
        case .finality: self.finalityAnswered(answers)
        }
    }

    private func asksLatest(_ owner: RequestOwner) -> Bool {
        guard case .round = owner, case .askingLatest? = self.round?.phase else { return false }
        return true
    }

    private mutating func makeRequests() {
        guard self.isConnected, self.quietUntil <= self.now else { return }
        self.requestForRound()
        self.requestForBooks()
        self.requestForBackfill()
        self.requestForFinality()
    }

    /// A delay that doubles with each failure, from 100 milliseconds to 10 seconds.
    func backoff(_ failures: Int) -> UInt64 {
        self.now &+ min(100_000_000 << UInt64(min(max(failures, 0), 7)), 10_000_000_000)
    }
}
