import EthereumTypes
import HeadstreamJSON
import HeadstreamRPC
import HeadstreamSockets

// What the watchdog asks for. Nothing here runs while nobody wants heads.
extension ContinuityEngine {
    /// How often the other endpoints are asked how far they are.
    private static let comparisonInterval: UInt64 = 300_000_000_000
    /// So many requests in a row without an answer, and the connection is of no use, whatever is pushed on it.
    private static let mostUnanswered = 3
    /// So many newest blocks in a row that are not what they claim, and the endpoint is left.
    static let mostWrong = 3
    /// How far behind them an endpoint may be: so many blocks, and what comes in so long a time.
    static let blocksBehind: UInt64 = 3
    static let timeBehind: UInt64 = 30_000_000_000

    /// Heads are subscribed to on this connection.
    func beginWatch() {
        let now = self.loop.now.nanoseconds
        self.watchdog.started(now: now)
        if self.comparisonDue == 0 { self.comparisonDue = now &+ Self.comparisonInterval }
        self.scheduleWatchdog()
    }

    func headPushed(_ number: UInt64) {
        self.watchdog.headPushed(number, now: self.loop.now.nanoseconds)
        self.hasToldStall = false
        self.session?.assumeIsolated { $0.pendingRenewal = nil }
        self.scheduleWatchdog()
        self.restartSilentRacers(below: number)
    }

    /// One deadline, which heads do not move: when it is due it is set anew to what they have made of it.
    func scheduleWatchdog() {
        let instant = self.watchdog.nextLook
        if let scheduled = self.watchdogDeadline {
            if let instant, instant >= scheduled.instant { return }
            self.loop.cancel(scheduled.id)
            self.watchdogDeadline = nil
        }
        guard let instant else { return }
        let id = self.loop.schedule(at: LoopInstant(nanoseconds: instant)) { [weak self] in
            guard let self else { return }
            self.watchdogDeadline = nil
            self.look()
        }
        self.watchdogDeadline = (id, instant)
    }

    private func look() {
        let now = self.loop.now.nanoseconds
        // What a consumer holds up cannot be heard.
        guard self.isReading else {
            self.watchdog.postponed(now: now)
            return self.scheduleWatchdog()
        }
        if let action = self.watchdog.deadlineReached(now: now) {
            self.take(action)
        } else if self.comparisonDue <= now {
            self.compareWithOthers()
        }
        self.scheduleWatchdog()
    }

    private var isReading: Bool {
        self.session?.assumeIsolated { $0.connection.assumeIsolated { $0.channel?.isReading ?? false } } ?? false
    }

    /// A request of the machine's was answered, or not.
    func noteAnswer(_ outcome: Waiter.Outcome, on connection: Connection) {
        guard self.session?.connection === connection else { return }
        guard case .failure(let error) = outcome, error.code == .timedOut, error.wasSent, self.isReading else {
            self.unanswered = 0
            return
        }
        self.unanswered += 1
        guard self.unanswered >= Self.mostUnanswered else { return }
        self.unanswered = 0
        // Not while the connection hands out the outcomes of its requests.
        self.loop.execute { [weak self] in
            guard let self, self.session?.connection === connection else { return }
            self.take(.abandon)
        }
    }

    /// The node's newest block does not stand up to verification, again and again: where there are other endpoints, one of
    /// them may be honest.
    func leaveLiar() {
        guard let session = self.session, session.assumeIsolated({ !$0.failover.others.isEmpty }) else { return }
        self.report("newest block is wrong: connecting to the next endpoint")
        session.assumeIsolated { $0.renew(to: $0.failover.another(), isStep: true) }
    }

    private func take(_ action: HeadWatchdog.Action) {
        guard let session = self.session else { return }
        switch action {
        case .ask:
            self.askLatest()
        case .subscribe:
            self.report("heads stopped: subscribing anew")
            self.handle(.stalled)
            let locals = self.subscribed
            self.groups.resubscribed()
            session.assumeIsolated { $0.subscribeAnew(locals) }
        case .reconnect:
            self.report("heads stopped: connecting anew")
            self.handle(.stalled)
            session.assumeIsolated { $0.renew(to: $0.connection.endpoint, isStep: true) }
        case .nextEndpoint:
            self.report("heads stopped: connecting to the next endpoint")
            self.handle(.stalled)
            session.assumeIsolated { $0.renew(to: $0.failover.another(), isStep: true) }
        case .abandon:
            session.assumeIsolated { session in
                let text = "no answer to requests within \(session.configuration.requestTimeout)"
                var error = Web3Error(.connectionClosed, "\(session.connection.endpoint): \(text)")
                error.endedInSilence = true
                let told = error
                session.connection.assumeIsolated { $0.end(told) }
            }
        case .compare:
            self.lookForMovement()
        }
    }

    func report(_ message: String) {
        self.session?.assumeIsolated { $0.tell(.warning, message, ["endpoint": "\($0.connection.endpoint)"]) }
    }

    /// Asks the node for its newest block.
    private func askLatest() {
        guard let request = try? EncodedRequest(.header(.latest)) else { return }
        self.session?.assumeIsolated {
            $0.ask([request], on: $0.connection) { [weak self] _, outcome in self?.answered(outcome) }
        }
    }

    private func answered(_ outcome: Waiter.Outcome) {
        let answer: HeadWatchdog.Answer
        switch outcome {
        // The connection's end is told otherwise.
        case .failure(let error) where error.code == .connectionClosed: return
        // Behind other requests it may not have had its turn, and behind a consumer that holds up the reading no answer.
        case .failure(let error):
            answer = error.code == .timedOut && error.wasSent && self.isReading ? .silence : .refused
        case .success(let bytes): answer = Session.blockNumber(in: bytes).map { .head($0) } ?? .refused
        }
        if let action = self.watchdog.answered(answer, now: self.loop.now.nanoseconds) { self.take(action) }
        self.scheduleWatchdog()
    }

    // MARK: The other endpoints

    /// The node's head stands still. Where another endpoint's does not, it is the node; else nobody can be told anything.
    private func lookForMovement() {
        self.session?.assumeIsolated { session in
            session.askOthers { [weak self] heads in
                guard let self, let mark = self.watchdog.mark else { return }
                guard self.watchdog.isStill(now: self.loop.now.nanoseconds) else { return }
                if let ahead = heads.first(where: { $0.number > mark }) {
                    self.report("head stands still: connecting to another endpoint")
                    self.session?.assumeIsolated { $0.renew(to: ahead.endpoint) }
                } else if !self.hasToldStall {
                    self.hasToldStall = true
                    self.tellAll(.stalled)
                }
            }
        }
    }

    /// An endpoint that is behind another one twice in a row is left for it.
    private func compareWithOthers() {
        self.comparisonDue = self.loop.now.nanoseconds &+ Self.comparisonInterval
        self.session?.assumeIsolated { session in
            guard !session.failover.others.isEmpty else { return }
            session.askOthers { [weak self] heads in
                guard let self, let mark = self.watchdog.mark, let blockTime = self.watchdog.blockTime else { return }
                let limit = mark &+ max(Self.blocksBehind, Self.timeBehind / blockTime)
                guard let ahead = heads.first(where: { $0.number >= limit }) else {
                    self.timesBehind = 0
                    return
                }
                self.timesBehind += 1
                // Once more at the next look before it is believed.
                self.comparisonDue = self.loop.now.nanoseconds
                guard self.timesBehind >= 2 else { return }
                self.timesBehind = 0
                self.comparisonDue &+= Self.comparisonInterval
                self.report("endpoint behind: connecting to another one")
                self.session?.assumeIsolated { $0.renew(to: ahead.endpoint) }
            }
        }
    }
}
