import HeadstreamSockets

/// Which of a client's endpoints the next connection goes to, and which are left out for good.
///
/// A struct without I/O and clock. A connection that stood for a healthy while is made again to the same endpoint, after
/// the usual delay. In every other case the next endpoint that has not failed in this round is tried at once, in the order
/// of the list; when all have failed, the usual delay passes, and another round begins with the first. So one endpoint alone
/// is called again after the usual delay, whatever happened.
struct Failover: Sendable {
    private struct Candidate: Sendable {
        let endpoint: Endpoint
        /// Why it failed last.
        var reason: Web3Error?
        /// Another attempt would end in the same way.
        var isLeftOut = false
        /// In this round.
        var hasFailed = false
        /// When it asked to be called again.
        var notBefore = LoopInstant(nanoseconds: 0)
    }

    enum Step: Sendable {
        /// ``endpoint`` is to be tried now.
        case atOnce
        /// After the usual delay, which is to be at least so long.
        case later(atLeast: Duration)
        /// No endpoint is left.
        case end(Web3Error)
    }

    private var candidates: [Candidate]
    private var current = 0
    /// Whether a connection that stood for a healthy while is followed by one to the next endpoint at once, because that
    /// has pushed all along.
    private let goesOnAtOnce: Bool

    /// - Parameter endpoints: at least one, the best first.
    init(_ endpoints: [Endpoint], goesOnAtOnce: Bool = false) {
        self.candidates = endpoints.map { Candidate(endpoint: $0) }
        self.goesOnAtOnce = goesOnAtOnce
    }

    /// The one to connect to, or connected to.
    var endpoint: Endpoint { self.candidates[self.current].endpoint }

    /// Those that may still be connected to, but for this one, in their order.
    var others: [Endpoint] { self.othersLeft.map { self.candidates[$0].endpoint } }

    private var othersLeft: [Int] {
        self.candidates.indices.filter { $0 != self.current && !self.candidates[$0].isLeftOut }
    }

    /// Whether there is an attempt after the present endpoint failed with this error.
    func goesOn(after error: Web3Error) -> Bool {
        !error.isEndOfLoop && (error.isTemporary || !self.othersLeft.isEmpty)
    }

    /// The connection to the present endpoint is lost, or did not come about.
    ///
    /// - Parameter wasHealthy: whether it had stood for a while.
    mutating func lost(_ error: Web3Error, wasHealthy: Bool, now: LoopInstant) -> Step {
        self.candidates[self.current].reason = error
        self.candidates[self.current].isLeftOut = !error.isTemporary
        self.candidates[self.current].notBefore = now.advanced(by: error.leastDelay)
        if wasHealthy { self.beginRound() }
        // A host that fell silent may take all the time there is for connecting before it fails.
        if wasHealthy, error.isTemporary, !error.endedInSilence, error.leastDelay == .zero,
            !self.goesOnAtOnce || self.othersLeft.isEmpty
        {
            return .later(atLeast: .zero)
        }
        self.candidates[self.current].hasFailed = true
        let usable = self.candidates.indices.filter { !self.candidates[$0].isLeftOut }
        let next = usable.first { !self.candidates[$0].hasFailed && self.candidates[$0].notBefore <= now }
        if let next {
            self.current = next
            return .atOnce
        }
        self.beginRound()
        guard let earliest = usable.map({ self.candidates[$0].notBefore }).min() else { return .end(self.failure) }
        let instant = max(now, earliest)
        self.current = usable.first { self.candidates[$0].notBefore <= instant } ?? self.current
        return .later(atLeast: instant.since(now))
    }

    /// An attempt to connect to one of the others has failed.
    mutating func failed(_ endpoint: Endpoint, _ error: Web3Error, now: LoopInstant) {
        for index in self.candidates.indices where index != self.current && self.candidates[index].endpoint == endpoint
        {
            self.candidates[index].reason = error
            self.candidates[index].hasFailed = true
            self.candidates[index].isLeftOut = !error.isTemporary
            self.candidates[index].notBefore = now.advanced(by: error.leastDelay)
        }
    }

    /// Where to go when the present endpoint is connected to and of no use: the next one behind it that has not failed
    /// since this was asked first; itself where there is no other.
    mutating func another() -> Endpoint {
        let count = self.candidates.count
        let others = (1..<max(count, 1)).map { (self.current + $0) % count }.filter { !self.candidates[$0].isLeftOut }
        self.candidates[self.current].hasFailed = true
        if others.allSatisfy({ self.candidates[$0].hasFailed }) { self.beginRound() }
        self.candidates[self.current].hasFailed = true
        return self.candidates[others.first { !self.candidates[$0].hasFailed } ?? self.current].endpoint
    }

    /// The next connection goes to this endpoint, if it is one of them.
    mutating func move(to endpoint: Endpoint) {
        let index = self.candidates.indices.first { self.candidates[$0].endpoint == endpoint }
        if let index { self.current = index }
    }

    private mutating func beginRound() {
        for index in self.candidates.indices { self.candidates[index].hasFailed = false }
    }

    /// Why there is no connection: each endpoint with its reason. Of what else an error tells, that of the first endpoint
    /// that may be tried again, or of the first of all.
    var failure: Web3Error {
        let failed = self.candidates.compactMap { candidate in candidate.reason.map { (candidate.endpoint, $0) } }
        let leading = failed.first { $0.1.isTemporary } ?? failed.first
        guard var error = leading?.1 else { return Web3Error(.cannotConnect, "no endpoint was tried") }
        guard self.candidates.count > 1 else { return error }
        let reasons = failed.map { endpoint, error in
            error.message.hasPrefix("\(endpoint)") ? error.message : "\(endpoint): \(error.message)"
        }
        error.message = "none of \(self.candidates.count) endpoints: " + reasons.joined(separator: "; ")
        return error
    }
}
