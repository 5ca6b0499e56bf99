/// Finds out that heads are no longer pushed while the node's chain moves on, and says step by step what to do about it.
///
/// A struct without I/O and clock; times are nanoseconds of the loop's. Its patience is learnt from the heads that come: two
/// and a half times what usually passes between them, more where they are irregular, so that a subscription that died in
/// silence is found within three block times. When it is at its end the node is asked for its newest block. If that is
/// not newer than the last head, then nothing was to be told, and the subscription lives for all that is known. So neither
/// irregular blocks nor filters that match nothing are taken for a stall.
struct HeadWatchdog: Sendable {
    enum Action: Sendable, Hashable {
        /// The node is to be asked for its newest block, and ``answered(_:now:)`` to be told.
        case ask
        /// Heads are not pushed any more: everything is to be subscribed anew, then on another connection, then at another
        /// endpoint.
        case subscribe, reconnect, nextEndpoint
        /// The node answers nothing: the connection is of no use.
        case abandon
        /// The node's head stands still: the other endpoints are to be asked for theirs. Told again, ever less often, while
        /// it does.
        case compare
    }

    /// What became of the question.
    enum Answer: Sendable {
        case head(UInt64)
        /// An error, or no answer for a reason of our own: nothing newer is known.
        case refused
        /// No answer in time.
        case silence
    }

    /// Until the time between heads is known.
    static let defaultPatience: UInt64 = 60_000_000_000
    /// Where blocks come faster than networks are steady.
    static let leastPatience: UInt64 = 2_000_000_000
    static let mostPatience: UInt64 = 600_000_000_000
    /// As many intervals are enough to go by.
    private static let lesson = 4

    private var isActive = false
    /// When the last head came, the last step was taken or the connection stood.
    private var since: UInt64 = 0
    private var isAsking = false
    /// A newer block than the last head, which the node told when it was asked.
    private var suspect: UInt64?
    /// The last head pushed on this connection, or the newest block that the node is known to have; nil where neither is
    /// known.
    private(set) var mark: UInt64?
    /// When that head came.
    private var lastHead: UInt64?
    /// What usually passes between two heads and how far it differs from that, as in RFC 6298 §2.
    private var mean: Double = 0
    private var deviation: Double = 0
    private var intervals = 0
    /// The longest pauses of late, which count for half as much sixteen of the longest later, and since when.
    private var pauses: (longest: UInt64, second: UInt64, since: UInt64) = (0, 0, 0)
    /// Steps taken since the last head.
    private var steps = 0
    /// How often in a row the node had nothing newer.
    private var stillness = 0

    /// How long no head may come before the node is asked.
    var patience: UInt64 {
        guard self.intervals >= Self.lesson else { return Self.defaultPatience }
        let usual = UInt64(max(0, min(max(2.5 * self.mean, self.mean + 4 * self.deviation), 1e15)))
        // Where pauses are usual, they are not to cost many questions.
        let pause = min(self.pauses.second / 4, Self.mostPatience / 20)
        return min(max(usual, pause, Self.leastPatience), Self.mostPatience)
    }

    /// What usually passes between two heads; nil until it is known.
    var blockTime: UInt64? {
        self.intervals >= Self.lesson ? max(1, UInt64(max(0, min(self.mean, 1e15)))) : nil
    }

    /// When ``deadlineReached(now:)`` is to be called; it may come later than it was told last.
    var nextLook: UInt64? {
        guard self.isActive, !self.isAsking else { return nil }
        if self.suspect != nil { return self.since &+ self.grace }
        // Nothing helped, or there was nothing to help: ever less often.
        let doublings = UInt64(min(max(self.steps - 3, self.stillness - 2, 0), 10))
        return self.since &+ min(self.patience << doublings, Self.mostPatience)
    }

    /// How long a head may be under way that the node has told as its newest when it was asked.
    private var grace: UInt64 { min(max(self.patience / 8, 500_000_000), 5_000_000_000) }

    // MARK: Facts

    /// Whether the node's head stands still: it was asked twice, and no pause of late was half as long. One may have been.
    func isStill(now: UInt64) -> Bool {
        self.isActive && self.stillness >= 2 && now &- (self.lastHead ?? 0) >= self.pauses.second &* 2
    }

    /// Heads are subscribed to. What is known of the chain stays, and so do the steps taken: they count until a head comes.
    mutating func started(now: UInt64) {
        // Anew on the same connection.
        guard !self.isActive else { return }
        self.isActive = true
        self.renewed(now: now)
    }

    /// Another connection has taken the place of the one that heads were subscribed to on.
    mutating func renewed(now: UInt64) {
        self.isAsking = false
        self.suspect = nil
        self.since = now
        self.mark = nil
        self.lastHead = nil
        self.stillness = 0
    }

    /// There is no connection, or nobody wants heads.
    mutating func stopped() {
        self.isActive = false
        self.isAsking = false
        self.suspect = nil
    }

    /// Nothing can be heard for now.
    mutating func postponed(now: UInt64) {
        self.since = now
        self.lastHead = nil
        self.isAsking = false
        self.suspect = nil
    }

    /// The newest block that the node is known to have, where no head has told it yet.
    mutating func level(_ number: UInt64) {
        if self.mark == nil { self.mark = number }
    }

    mutating func headPushed(_ number: UInt64, now: UInt64) {
        guard self.isActive else { return }
        // What a stall or a lost connection lasted says nothing about the chain.
        if let lastHead = self.lastHead, self.steps == 0 { self.learn(now &- lastHead, now: now) }
        self.lastHead = now
        self.since = now
        self.mark = number
        self.isAsking = false
        self.suspect = nil
        self.steps = 0
        self.stillness = 0
    }

    private mutating func learn(_ interval: UInt64, now: UInt64) {
        self.learn(pause: interval, now: now)
        // One long night is not to be taken for the rule.
        let value = Double(min(interval, self.patience &* 2))
        if self.intervals == 0 {
            self.mean = value
            self.deviation = value / 2
        } else {
            self.deviation += (abs(value - self.mean) - self.deviation) / 4
            self.mean += (value - self.mean) / 8
        }
        self.intervals = min(self.intervals + 1, Self.lesson)
    }

    private mutating func learn(pause: UInt64, now: UInt64) {
        let halvings = (now &- self.pauses.since) / max(1, self.pauses.longest &* 16)
        if halvings > 0 {
            self.pauses = (self.pauses.longest >> halvings, self.pauses.second >> halvings, now)
        }
        if pause >= self.pauses.longest {
            self.pauses = (pause, self.pauses.longest, now)
        } else if pause > self.pauses.second {
            self.pauses.second = pause
        }
    }

    // MARK: What to do

    mutating func deadlineReached(now: UInt64) -> Action? {
        guard let look = self.nextLook, look <= now else { return nil }
        if let suspect = self.suspect { return self.stalled(at: suspect, now: now) }
        self.isAsking = true
        return .ask
    }

    private mutating func stalled(at number: UInt64, now: UInt64) -> Action {
        self.suspect = nil
        self.since = now
        self.mark = number
        self.stillness = 0
        self.steps += 1
        switch self.steps {
        case 1: return .subscribe
        case 2: return .reconnect
        default: return .nextEndpoint
        }
    }

    mutating func answered(_ answer: Answer, now: UInt64) -> Action? {
        guard self.isAsking else { return nil }
        self.isAsking = false
        self.since = now
        switch answer {
        case .refused:
            // Once may be a moment's limit; a node that goes on so cannot be told from one that stands still.
            self.stillness += 1
            return self.isStill(now: now) ? .compare : nil
        case .silence:
            self.steps += 1
            return .abandon
        case .head(let number):
            guard let mark = self.mark else {
                self.mark = number
                return nil
            }
            guard number > mark else {
                self.stillness += 1
                return self.isStill(now: now) ? .compare : nil
            }
            self.suspect = number
            return nil
        }
    }
}
