import EthereumTypes
import HeadstreamJSON
import HeadstreamRPC
import HeadstreamSockets

/// The shell around ``ContinuityMachine``: subscriptions and requests go out, pushed heads and logs and answers come in,
/// and what consumers are told goes to their feeds.
///
/// One for a session, made with its first gapless stream. It lives on the session's loop: every function is called there.
///
/// `@unchecked Sendable`: only the session touches it, which is an actor on that loop, and callbacks of that loop.
final class ContinuityEngine: @unchecked Sendable {
    /// Nil when the last handle was let go of while a callback was on its way.
    private(set) weak var session: Session?
    let loop: any Loop
    private(set) var machine: ContinuityMachine
    /// Facts that the machine is to be told at once; nil where each is told as it comes.
    private var gathered: [ContinuityMachine.Fact]?
    /// Of consumers that ask for no other, in bytes.
    private let bufferLimit: Int
    /// The one subscription of heads.
    private var heads: PushedStream<BlockHeader.Decoder>?
    /// The filters with consumers.
    private var filters: [FilterID: WantedFilter] = [:]
    private var consumers: [ConsumerID: Consumer] = [:]
    // The subscriptions of logs, `ContinuityEngine+logs.swift`.
    var groups: FilterGroups
    var logs: [FilterGroups.SubscriptionID: PushedStream<Log.Decoder>] = [:]
    var isSettling = false
    /// Of filters whose logs come on another connection than heads, the question that is to tell how far that one is.
    var questions: [FilterID: UInt64] = [:]
    /// Those of them for which it is asked at the end of the turn.
    var unasked: [(filters: [FilterID], connection: Connection)] = []
    /// The session is over, and why.
    private var ending: Result<Void, Web3Error>?
    private var nextID: UInt64 = 1
    private var deadline: DeadlineID?
    /// When that is.
    private var deadlineInstant: UInt64?
    // The watchdog, `ContinuityEngine+watchdog.swift`.
    var watchdog = HeadWatchdog()
    var watchdogDeadline: (id: DeadlineID, instant: UInt64)?
    /// Whether consumers were told that nothing moves.
    var hasToldStall = false
    /// When the other endpoints are asked how far they are, and how often in a row this one was behind.
    var comparisonDue: UInt64 = 0
    var timesBehind = 0
    /// Requests in a row that the node did not answer.
    var unanswered = 0
    /// The other endpoints while they push too, `ContinuityEngine+racing.swift`, and until when none of them takes over.
    var racers: [Racer] = []
    var takeoverNotBefore: UInt64 = 0
    /// What stands in for `latest` where the node does not tell it, `ContinuityEngine+latest.swift`.
    var withoutLatest = WithoutLatest()

    private struct Consumer {
        let feed: GaplessFeed
        let filter: FilterID?
    }

    private struct WantedFilter {
        let options: FilterOptions
        var consumers = 0
    }

    init(_ session: Session, limits: ContinuityMachine.Limits) {
        self.session = session
        self.loop = session.loop
        self.bufferLimit = session.configuration.bufferLimit
        var limits = limits
        // Of what a node writes, which is up to three times as long, several answers are well below the limit.
        limits.answer = min(limits.answer, max(session.configuration.maxMessageSize / 8, 1))
        self.machine = ContinuityMachine(limits: limits, seed: session.loop.random())
        self.groups = FilterGroups(merges: session.configuration.mergeFilters)
        if session.assumeIsolated({ $0.isConnected }) { self.handle(.connected) }
    }

    // MARK: Consumers

    /// A consumer begins. Its feed is told everything, a refusal of the node's too.
    func join(_ feed: GaplessFeed, _ wish: GaplessWish) -> ConsumerID {
        let consumer = ConsumerID(rawValue: self.takeID())
        if let ending = self.ending {
            feed.finish(ending)
            return consumer
        }
        let filter = wish.filter.map { self.filterID(for: $0, wish) }
        self.consumers[consumer] = Consumer(feed: feed, filter: filter)
        let options = ConsumerOptions(
            filter: filter,
            finality: wish.finality,
            origin: wish.origin,
            isToldFinality: wish.isToldFinality,
            verify: wish.verify,
            bufferLimit: wish.bufferLimit ?? self.bufferLimit
        )
        self.handle(.joined(consumer, options))
        self.subscribeHeads()
        self.updateRacers()
        return consumer
    }

    /// A consumer is gone.
    func leave(_ consumer: ConsumerID) {
        guard let gone = self.consumers.removeValue(forKey: consumer) else { return }
        self.handle(.left(consumer))
        if let id = gone.filter, let wanted = self.filters[id] {
            if wanted.consumers > 1 {
                self.filters[id]?.consumers -= 1
            } else {
                self.filters[id] = nil
                self.questions[id] = nil
                self.handle(.filterRemoved(id))
                self.follow(self.groups.remove(id))
                for racer in self.racers { racer.unsubscribe(id) }
            }
        }
        if self.consumers.isEmpty {
            self.dismiss(self.heads?.local)
            self.heads = nil
            self.withoutLatest = WithoutLatest()
            self.handle(.idle)
            self.hasToldStall = false
            self.watchdog.stopped()
            self.scheduleWatchdog()
            self.updateRacers()
        }
    }

    /// A consumer has taken what it had been given, and waited for room.
    func resume(_ consumer: ConsumerID) {
        guard let feed = self.consumers[consumer]?.feed else { return }
        self.handle(.taken(consumer, upTo: feed.taken))
    }

    func dismiss(_ local: LocalSubscriptionID?) {
        guard let local else { return }
        self.session?.assumeIsolated { $0.dismiss(local) }
    }

    func takeID() -> UInt64 {
        defer { self.nextID += 1 }
        return self.nextID
    }

    /// The filter's name: streams that want the same of it share what is known of its logs.
    private func filterID(for filter: LogFilter, _ wish: GaplessWish) -> FilterID {
        let options = FilterOptions(
            filter: filter,
            audit: wish.audit,
            delivery: wish.delivery,
            verify: wish.verify
        )
        let same = self.filters.first { _, wanted in
            wanted.options.filter == options.filter && wanted.options.audit == options.audit
                && wanted.options.delivery == options.delivery && wanted.options.verify == options.verify
        }
        if let id = same?.key {
            self.filters[id]?.consumers += 1
            return id
        }
        let id = FilterID(rawValue: self.takeID())
        self.filters[id] = WantedFilter(options: options, consumers: 1)
        self.handle(.filterAdded(id, options))
        if case .pushed = wish.delivery {
            self.push(id, options.filter)
            for racer in self.racers { racer.subscribe(id, options.filter) }
        }
        return id
    }

    var hasConsumers: Bool { !self.consumers.isEmpty && self.ending == nil }

    /// The filters whose logs are pushed, in the order in which they came.
    var pushedFilters: [(id: FilterID, filter: LogFilter)] {
        self.filters.filter { $0.value.options.delivery == .pushed }.map { ($0.key, $0.value.options.filter) }
            .sorted { $0.id.rawValue < $1.id.rawValue }
    }

    private func subscribeHeads() {
        guard self.heads == nil, let session = self.session else { return }
        let stream = PushedStream(session, NewHeadsRequest(), BlockHeader.Decoder(sharing: session.shapes.share)) {
            [weak self] heads in
            // A turn may bring several blocks: together with their logs, or they would look as if they had none.
            self?.together { engine in
                for head in heads { engine.handle(.head(head)) }
                engine.takeLogs()
            }
            for head in heads { self?.noteForLatest(head) }
            if let head = heads.last(where: { $0.hasNumber }) { self?.headPushed(head.number) }
        } lost: { [weak self] in
            self?.handle(.stalled)
        }
        self.heads = stream
        var kept = stream.kept
        kept?.staysOnMain = true
        self.subscribe(kept) { [weak self] in
            self?.handle(.acknowledged(heads: true, filters: []))
            self?.beginWatch()
        } refused: { [weak self] in
            self?.refused($0)
        }
    }

    /// Hands the machine all facts of the body at once.
    func together(_ body: (ContinuityEngine) -> Void) {
        guard self.gathered == nil else { return body(self) }
        self.gathered = []
        body(self)
        guard let facts = self.gathered else { return }
        self.gathered = nil
        self.handle(facts)
    }

    private func takeLogs() {
        for id in self.logs.keys.sorted() { self.logs[id]?.take() }
    }

    /// Asks for a subscription, now where there is a connection, and on each later one.
    ///
    /// - Parameter cut: called where nothing comes on it any more while the session's connection stands.
    func subscribe(
        _ kept: KeptSubscription?,
        acknowledged: @escaping @Sendable () -> Void,
        refused: @escaping @Sendable (Web3Error) -> Void,
        cut: (@Sendable () -> Void)? = nil
    ) {
        guard var kept else { return }
        kept.own = KeptSubscription.Own(acknowledged: acknowledged, refusedFirst: refused, cut: cut)
        let adopted = kept
        self.session?.assumeIsolated { $0.adopt(adopted) }
    }

    /// Heads were refused, on which everything stands: nobody can be told anything. Who comes next asks again.
    private func refused(_ error: Web3Error) {
        self.heads = nil
        for consumer in self.consumers.values { consumer.feed.finish(.failure(error)) }
    }

    /// A filter was refused.
    func refused(_ id: FilterID, _ error: Web3Error) {
        for consumer in self.consumers.values where consumer.filter == id { consumer.feed.finish(.failure(error)) }
    }

    // MARK: The connection

    /// The next connection stands; its subscriptions are being made.
    func connected() {
        self.tellAll(.reconnected)
        self.withoutLatest = WithoutLatest()
        self.handle(.connected)
        self.unanswered = 0
        // From here on, and not from the acknowledgement, which may never come from this node.
        if !self.consumers.isEmpty { self.beginWatch() }
        self.updateRacers()
    }

    /// Another connection has taken the place of the last; the machine is told by the acknowledgements on it.
    func renewed() {
        self.unanswered = 0
        self.groups.resubscribed()
        self.renewedForLatest()
        self.watchdog.renewed(now: self.loop.now.nanoseconds)
        self.scheduleWatchdog()
        self.updateRacers()
    }

    /// The newest connection is lost, and the one before stands, with these subscriptions. What was asked on the lost one is
    /// not answered, so it is to the machine as a new one.
    func wentBack(_ known: Set<LocalSubscriptionID>) {
        self.renewed()
        self.handle(.connectionLost)
        self.handle(.connected)
        if let heads = self.heads, known.contains(heads.local) {
            self.handle(.acknowledged(heads: true, filters: []))
        }
        for id in self.logs.filter({ known.contains($0.value.local) }).keys.sorted() {
            self.follow(self.groups.acknowledged(id))
        }
    }

    func connectionLost(_ error: Web3Error) {
        self.tellAll(.disconnected(error))
        self.handle(.connectionLost)
        self.groups.resubscribed()
        self.watchdog.stopped()
        self.scheduleWatchdog()
    }

    func tellAll(_ update: GaplessFeed.Update) {
        for consumer in self.consumers.values { consumer.feed.add(ofConnection: update) }
    }

    /// The session is over.
    func end(_ error: Web3Error?) {
        if let deadline = self.deadline { self.loop.cancel(deadline) }
        self.deadline = nil
        // In a replay the end of a connection is the recording's.
        let failure = self.session?.configuration.endOfConnectionEndsStreams == true ? nil : error
        let ending = failure.map { Result<Void, Web3Error>.failure($0) } ?? .success(())
        self.ending = ending
        self.watchdog.stopped()
        self.scheduleWatchdog()
        self.updateRacers()
        for consumer in self.consumers.values { consumer.feed.finish(ending) }
    }

    /// The recording that is replayed is over. What was pushed at its end may still have to be made sense of: streams end
    /// when everything is told that can be, gaps too.
    func recordingEnded() {
        // Behind what came with the last read, which is published at that read's end and taken at its turn's.
        self.loop.execute { [weak self] in self?.loop.atTurnEnd { self?.handle(.over) } }
    }

    /// Whether nothing will be told any more, unless more comes.
    private var isSettled: Bool {
        if self.withoutLatest.isWaiting { return true }
        return self.machine.isAtRest && !self.machine.wantsLatest && self.machine.inFlight.isEmpty
            && self.machine.quietUntil <= self.machine.now && self.machine.backfill.retryAt == nil
            && self.machine.books.allSatisfy { $0.retryAt == nil }
            && self.machine.consumers.allSatisfy { !$0.isPaused }
    }

    // MARK: The machine

    /// Somebody wants more to be caught up with.
    func raise(_ limits: ContinuityMachine.Limits) {
        self.machine.raise(limits)
    }

    func handle(_ fact: ContinuityMachine.Fact) {
        if self.gathered != nil {
            self.gathered?.append(fact)
        } else {
            self.handle([fact])
        }
    }

    private func handle(_ first: [ContinuityMachine.Fact]) {
        guard self.ending == nil else { return }
        var facts = first
        while !facts.isEmpty {
            var requests: [ChainRequest] = []
            // What one consumer is told goes to its feed together.
            var told: [(id: ConsumerID, updates: [GaplessFeed.Update])] = []
            let actions = self.machine.handle(facts, at: self.loop.now.nanoseconds)
            facts = []
            for action in actions {
                switch action {
                case .tell(let id, let event):
                    if told.last?.id != id {
                        let place = told.firstIndex { $0.id == id }
                        told.append(place.map { told.remove(at: $0) } ?? (id, []))
                    }
                    told[told.count - 1].updates.append(.event(event))
                case .request(let request): requests.append(request)
                case .diverged(let peer, let block): self.tellDivergence(peer, block)
                }
            }
            for (id, updates) in told {
                if let taken = self.deliver(updates, to: id) { facts.append(taken) }
            }
            for request in requests { self.ask(request) }
        }
        if self.machine.wrongInARow >= Self.mostWrong {
            self.machine.wrongInARow = 0
            self.leaveLiar()
        }
        self.scheduleDeadline()
        if self.machine.isAtRest, let newest = self.machine.settled { self.watchdog.level(newest) }
        self.settle()
    }

    /// Ends the streams of a replay that is over, when nothing is left to be told.
    func settle() {
        if self.machine.isOver, self.isSettled { self.end(nil) }
    }

    /// The subscriptions that everything stands on, to be made anew.
    var subscribed: [LocalSubscriptionID] {
        ([self.heads?.local].compactMap { $0 } + self.logs.values.map(\.local)).sorted { $0.rawValue < $1.rawValue }
    }

    /// - Returns: what the consumer has taken meanwhile, where the machine had no room for more.
    private func deliver(_ updates: [GaplessFeed.Update], to id: ConsumerID) -> ContinuityMachine.Fact? {
        guard let feed = self.consumers[id]?.feed else { return nil }
        let wasPaused = self.machine.isPaused(id)
        let taken = feed.add(updates, upTo: self.machine.toldBytes(id), isFull: wasPaused)
        // Nothing comes behind it.
        if case .event(.failed) = updates.last { feed.finish(.success(())) }
        self.machine.taken(id, upTo: taken)
        return wasPaused && !self.machine.isPaused(id) ? .taken(id, upTo: taken) : nil
    }

    private func scheduleDeadline() {
        let instant = self.machine.nextDeadline
        // Most facts change nothing of it.
        guard instant != self.deadlineInstant else { return }
        self.deadlineInstant = instant
        if let deadline = self.deadline { self.loop.cancel(deadline) }
        self.deadline = nil
        guard let instant else { return }
        self.deadline = self.loop.schedule(at: LoopInstant(nanoseconds: instant)) { [weak self] in
            guard let self else { return }
            self.deadline = nil
            self.deadlineInstant = nil
            self.handle(.deadlineReached)
        }
    }

    // MARK: Requests

    /// Makes a request: one call, or a batch, so that one backend answers it.
    private func ask(_ request: ChainRequest) {
        let collector = AnswerCollector(request, seed: self.machine.seed) { [weak self] answers in
            self?.answered(request, answers)
        }
        do throws(Web3Error) {
            let texts = try request.calls.map { (call) throws(Web3Error) in try EncodedRequest(call) }
            self.session?.assumeIsolated {
                let connection = $0.connection
                $0.ask(texts, on: connection) { [weak self] index, outcome in
                    if index == 0 { self?.noteAnswer(outcome, on: connection) }
                    collector.received(outcome, at: index)
                }
            }
        } catch {
            self.handle(.failed(request.token, .other))
        }
    }
}

/// Gathers the answers of one request's calls. On the loop.
///
/// `@unchecked Sendable`: touched on the session's loop alone.
private final class AnswerCollector: @unchecked Sendable {
    private let calls: [ChainCall]
    private let seed: UInt64
    private var answers: [ChainAnswer?]
    private var missing: Int
    private let body: ([ChainAnswer]) -> Void

    init(_ request: ChainRequest, seed: UInt64, _ body: @escaping ([ChainAnswer]) -> Void) {
        self.calls = request.calls
        self.seed = seed
        self.answers = Array(repeating: nil, count: request.calls.count)
        self.missing = request.calls.count
        self.body = body
    }

    func received(_ outcome: Waiter.Outcome, at index: Int) {
        guard self.answers.indices.contains(index), self.answers[index] == nil else { return }
        // The machine is told of the connection's end, which ends all requests.
        if case .failure(let error) = outcome, error.code == .connectionClosed { return }
        self.answers[index] = Self.answer(outcome, to: self.calls[index], self.seed)
        self.missing -= 1
        if self.missing == 0 { self.body(self.answers.compactMap { $0 }) }
    }

    private static func answer(_ outcome: Waiter.Outcome, to call: ChainCall, _ seed: UInt64) -> ChainAnswer {
        switch outcome {
        case .failure(let error):
            if error.code == .rateLimited {
                return .failure(.rateLimited(retryAfter: error.retryAfter?.nanoseconds))
            }
            guard let node = error.node else { return .failure(.other) }
            return .failure(ChainFailure(code: Int(clamping: node.code), message: node.message))
        case .success(let bytes):
            do throws(ValueError) {
                return try bytes.withBytes { (bytes) throws(ValueError) in
                    switch call {
                    case .logs: .logs(try Results.decode(bytes, as: [Log].self))
                    case .logKeys(let filter): .logKeys(try BlockLogKeys.read(bytes, filter, seed: seed))
                    case .header, .headerByHash: .header(try Results.decode(bytes, as: BlockHeader?.self))
                    }
                }
            } catch {
                return .failure(.other)
            }
        }
    }
}

extension EncodedRequest {
    init(_ call: ChainCall) throws(Web3Error) {
        switch call {
        case .header(let tag): try self.init("eth_getBlockByNumber", [tag, false])
        case .headerByHash(let hash): try self.init("eth_getBlockByHash", [hash, false])
        case .logs(let filter), .logKeys(let filter): try self.init("eth_getLogs", [filter])
        }
    }
}
