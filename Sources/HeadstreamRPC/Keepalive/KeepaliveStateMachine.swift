/// Decides when to ask whether a connection lives, and when it does not. No clock, no I/O: the shell has one deadline at
/// ``nextLook``, tells it whether any byte was read since the last, and does what comes back.
///
/// - Any byte that arrives is life, not only the answer: a pong may stand behind a minute of notifications.
/// - Nothing this side writes postpones anything. Clients that count their own writes as life never notice a link
///   without a return path while requests flow.
/// - Only consecutive silence counts: one byte between two questions, and the first of them is forgotten.
/// - A look that comes much too late says that the machine or the loop stood still. That time proves nothing, so the
///   connection is asked once more before it is called dead.
///
/// Times are nanoseconds of the loop's clock, which counts the time a machine was suspended.
package struct KeepaliveStateMachine: Sendable {
    /// What the shell does.
    package enum Action: Hashable, Sendable {
        /// Nothing, until ``nextLook``.
        case wait
        /// Send a ping or a small request now; then nothing until ``nextLook``.
        case ask
        /// Nothing came within the timeout of a question. The connection is over.
        case dead
    }

    private let interval: UInt64
    private let timeout: UInt64
    private var nextQuestion: UInt64
    /// When the first question was asked since the last byte.
    private var unansweredSince: UInt64?
    /// When the shell is to look again.
    package private(set) var nextLook: UInt64

    /// Begins with a connection that has just been heard.
    ///
    /// - Parameters:
    ///   - interval: from a question to the next, in nanoseconds.
    ///   - timeout: from a question to the end, if no byte follows.
    package init(interval: UInt64, timeout: UInt64, now: UInt64) {
        self.interval = max(1, interval)
        self.timeout = max(1, timeout)
        self.nextQuestion = Self.sum(now, self.interval)
        self.nextLook = self.nextQuestion
    }

    /// The clock has reached ``nextLook``.
    ///
    /// - Parameter hasHeard: whether any byte was read since the last look.
    package mutating func deadlineReached(now: UInt64, hasHeard: Bool) -> Action {
        let isLate = now > Self.sum(self.nextLook, self.timeout / 4)
        if hasHeard { self.unansweredSince = nil }
        var asks = now >= self.nextQuestion
        if let since = self.unansweredSince {
            if isLate {
                self.unansweredSince = nil
                asks = true
            } else if now >= Self.sum(since, self.timeout) {
                self.nextLook = .max
                return .dead
            }
        }
        if asks {
            self.unansweredSince = self.unansweredSince ?? now
            self.nextQuestion = Self.sum(now, self.interval)
        }
        self.nextLook = min(self.nextQuestion, self.unansweredSince.map { Self.sum($0, self.timeout) } ?? .max)
        return asks ? .ask : .wait
    }

    /// Reading goes on after it was suspended on this side: what was not heard meanwhile says nothing.
    package mutating func resumed(now: UInt64) {
        self = Self(interval: self.interval, timeout: self.timeout, now: now)
    }

    private static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : sum
    }
}
