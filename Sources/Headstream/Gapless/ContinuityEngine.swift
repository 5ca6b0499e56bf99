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
    private unowned let session: Session
    private var machine: ContinuityMachine
    /// The one subscription of heads, and one for each filter with consumers.
    private var heads: PushedStream<BlockHeader.Decoder>?
    private var filters: [FilterID: PushedFilter] = [:]
    private var feeds: [ConsumerID: GaplessFeed] = [:]
    private var nextID: UInt64 = 1
    private var deadline: DeadlineID?

    private struct PushedFilter {
        let filter: LogFilter
        let options: FilterOptions
        var stream: PushedStream<Log.Decoder>?
        var consumers = 0
    }

    init(_ session: Session, limits: ContinuityMachine.Limits) {
        self.session = session
        self.machine = ContinuityMachine(limits: limits)
        if session.assumeIsolated({ $0.isConnected }) { self.handle(.connected) }
    }

    // MARK: Consumers

    /// A consumer begins. Its feed is told everything, a refusal of the node's too.
    func join(_ feed: GaplessFeed, _ wish: GaplessWish) -> ConsumerID {
        let consumer = ConsumerID(rawValue: self.takeID())
        self.feeds[consumer] = feed
        var options = ConsumerOptions(finality: wish.finality, origin: wish.origin, isToldFinality: wish.isToldFinality)
        if let filter = wish.filter { options.filter = self.filterID(for: filter, wish) }
        self.handle(.joined(consumer, options))
        self.subscribeHeads()
        return consumer
    }

    /// A consumer is gone.
    func leave(_ consumer: ConsumerID, _ filter: LogFilter?) {
        guard self.feeds.removeValue(forKey: consumer) != nil else { return }
        self.handle(.left(consumer))
        if let filter, let (id, pushed) = self.filters.first(where: { $0.value.filter == filter }) {
            if pushed.consumers > 1 {
                self.filters[id]?.consumers -= 1
            } else {
                self.filters[id] = nil
                self.handle(.filterRemoved(id))
                if let stream = pushed.stream { self.session.assumeIsolated { $0.dismiss(stream.local) } }
            }
        }
        if self.feeds.isEmpty, let heads = self.heads {
            self.heads = nil
            self.session.assumeIsolated { $0.dismiss(heads.local) }
        }
    }

    /// A consumer has taken what it had been given.
    func resume(_ consumer: ConsumerID) {
        self.handle(.resumed(consumer))
    }

    private func takeID() -> UInt64 {
        defer { self.nextID += 1 }
        return self.nextID
    }

    private func filterID(for filter: LogFilter, _ wish: GaplessWish) -> FilterID {
        if let (id, _) = self.filters.first(where: { $0.value.filter == filter }) {
            self.filters[id]?.consumers += 1
            return id
        }
        let id = FilterID(rawValue: self.takeID())
        let options = FilterOptions(filter: filter, audit: wish.audit, delivery: wish.delivery)
        self.filters[id] = PushedFilter(filter: filter, options: options, consumers: 1)
        self.handle(.filterAdded(id, options))
        if case .pushed = wish.delivery {
            let stream = PushedStream(self.session, LogsRequest(filter), Log.Decoder()) { [weak self] logs in
                guard let self else { return }
                for log in logs { self.handle(.log(id, log)) }
            }
            self.filters[id]?.stream = stream
            self.subscribe(stream.kept) { .acknowledged(heads: false, filters: [id]) }
        }
        return id
    }

    private func subscribeHeads() {
        guard self.heads == nil else { return }
        let stream = PushedStream(self.session, NewHeadsRequest(), BlockHeader.Decoder()) { [weak self] heads in
            guard let self else { return }
            for head in heads { self.handle(.head(head)) }
        }
        self.heads = stream
        self.subscribe(stream.kept) { .acknowledged(heads: true, filters: []) }
    }

    /// Asks for a subscription, now where there is a connection, and on each later one.
    private func subscribe(_ kept: KeptSubscription?, _ fact: @escaping @Sendable () -> ContinuityMachine.Fact) {
        guard var kept else { return }
        kept.acknowledged = { [weak self] in self?.handle(fact()) }
        kept.refusedFirst = { [weak self] error in self?.fail(error) }
        let adopted = kept
        self.session.assumeIsolated { $0.adopt(adopted) }
    }

    /// A subscription that everything stands on was refused: nobody can be told anything.
    private func fail(_ error: Web3Error) {
        for feed in self.feeds.values { feed.finish(error) }
    }

    // MARK: The connection

    /// The next connection stands; its subscriptions are being made.
    func connected() {
        for feed in self.feeds.values { feed.add(.reconnected) }
        self.handle(.connected)
    }

    func connectionLost(_ error: Web3Error) {
        for feed in self.feeds.values { feed.add(.disconnected(error)) }
        self.handle(.connectionLost)
    }

    /// The session is over.
    func end(_ error: Web3Error?) {
        if let deadline = self.deadline { self.session.loop.cancel(deadline) }
        self.deadline = nil
        for feed in self.feeds.values { feed.finish(error) }
    }

    // MARK: The machine

    private func handle(_ fact: ContinuityMachine.Fact) {
        let actions = self.machine.handle(fact, at: self.session.loop.now.nanoseconds)
        for action in actions {
            switch action {
            case .tell(let consumer, let event):
                if self.feeds[consumer]?.add(.event(event)) == true { self.pause(consumer) }
            case .request(let request):
                self.ask(request)
            }
        }
        self.scheduleDeadline()
    }

    /// A feed is full: the machine keeps references only, and fetches when the consumer comes back.
    private func pause(_ consumer: ConsumerID) {
        // Behind what is being told now.
        self.session.loop.execute { [weak self] in
            guard let self, self.feeds[consumer]?.isFull == true else { return }
            self.handle(.paused(consumer))
            // It may have come back meanwhile.
            if self.feeds[consumer]?.isFull == false { self.handle(.resumed(consumer)) }
        }
    }

    private func scheduleDeadline() {
        if let deadline = self.deadline { self.session.loop.cancel(deadline) }
        self.deadline = nil
        guard let instant = self.machine.nextDeadline else { return }
        self.deadline = self.session.loop.schedule(at: LoopInstant(nanoseconds: instant)) { [weak self] in
            guard let self else { return }
            self.deadline = nil
            self.handle(.deadlineReached)
        }
    }

    // MARK: Requests

    /// Makes a request: one call, or a batch, so that one backend answers it.
    private func ask(_ request: ChainRequest) {
        let collector = AnswerCollector(request) { [weak self] answers in
            self?.handle(.answered(request.token, answers))
        }
        do throws(Web3Error) {
            let texts = try request.calls.map { (call) throws(Web3Error) in try EncodedRequest(call) }
            self.session.assumeIsolated {
                $0.ask(texts) { index, outcome in collector.received(outcome, at: index) }
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
    private var answers: [ChainAnswer?]
    private var missing: Int
    private let body: ([ChainAnswer]) -> Void

    init(_ request: ChainRequest, _ body: @escaping ([ChainAnswer]) -> Void) {
        self.calls = request.calls
        self.answers = Array(repeating: nil, count: request.calls.count)
        self.missing = request.calls.count
        self.body = body
    }

    func received(_ outcome: Waiter.Outcome, at index: Int) {
        guard self.answers.indices.contains(index), self.answers[index] == nil else { return }
        self.answers[index] = Self.answer(outcome, to: self.calls[index])
        self.missing -= 1
        if self.missing == 0 { self.body(self.answers.compactMap { $0 }) }
    }

    private static func answer(_ outcome: Waiter.Outcome, to call: ChainCall) -> ChainAnswer {
        switch outcome {
        case .failure(let error):
            if let node = error.node {
                return .failure(ChainFailure(code: Int(clamping: node.code), message: node.message))
            }
            if error.code == .rateLimited { return .failure(.rateLimited(retryAfter: nil)) }
            return .failure(.other)
        case .success(let bytes):
            do throws(ValueError) {
                return try bytes.withBytes { (bytes) throws(ValueError) in
                    switch call {
                    case .logs: .logs(try Results.decode(bytes, as: [Log].self))
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
        case .logs(let filter): try self.init("eth_getLogs", [filter])
        }
    }
}
