import Headstream

/// Tells the status line how a stream goes, if there is one; asks the client at most a few times a second.
struct StreamMeter {
    private let status: StatusLine?
    private let web3: Web3
    private let isGapless: Bool
    private var asked: UInt64 = 0
    private var taken: UInt64 = 0
    private var received: UInt64 = 0
    private var lost: UInt64 = 0
    /// Whether something is missing that is not told as a gap yet.
    private var isBehind = false
    private var hasGap = false

    init(_ status: StatusLine?, _ web3: Web3, isGapless: Bool) {
        self.status = status
        self.web3 = web3
        self.isGapless = isGapless
        if isGapless { status?.update { $0.state = .catchingUp } }
    }

    /// An item was printed.
    mutating func took(_ item: some Sendable) async {
        self.taken &+= 1
        guard let status = self.status else { return }
        let now = StatusLine.milliseconds()
        if now &- self.asked >= 200 {
            self.asked = now
            let metrics = await self.web3.metrics
            self.received = metrics.notifications
            status.update { counts in
                counts.requests = metrics.requests
                counts.reconnects = metrics.reconnects
            }
        }
        let taken = self.taken
        let gone = taken &+ self.lost
        // What gapless streams print is not one to one what was received.
        let waiting = self.received > gone && !self.isGapless ? self.received - gone : 0
        // Of heads it is known how old they are.
        let behind = (item as? BlockHeader).map { head in
            let time = TableText.now()
            return time > head.timestamp ? time - head.timestamp : 0
        }
        status.update { counts in
            counts.taken = taken
            counts.buffered = waiting
            counts.lag = behind
        }
    }

    mutating func noticed(_ notice: StreamNotice) {
        switch notice {
        case .lagged(let count, _):
            self.lost &+= count
            let lost = self.lost
            self.status?.update { $0.dropped = lost }
        case .disconnected:
            self.isBehind = true
            self.status?.update { $0.state = .reconnecting }
        case .reconnected:
            let isGapless = self.isGapless
            self.status?.update { counts in
                counts.state = isGapless ? .catchingUp : .connected
                counts.reconnects += 1
            }
        case .caughtUp:
            let isFilled = self.isBehind && !self.hasGap
            self.isBehind = false
            self.hasGap = false
            self.status?.update { counts in
                counts.state = .connected
                if isFilled { counts.filled += 1 }
            }
        case .gap:
            self.hasGap = true
            self.status?.update { $0.gaps += 1 }
        case .diverged: self.status?.update { $0.divergences += 1 }
        case .rollback, .isBehind, .finalized, .unverified, .undecodable, .refused, .stalled: break
        }
    }
}
