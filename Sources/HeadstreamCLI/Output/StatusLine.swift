import Glibc
import HeadstreamLocks

/// The last line of a terminal: what is connected, how fast items come, what waits and what was dropped.
///
/// It is drawn when something has changed, at most four times a second, and once more when items have stopped: nothing
/// runs while nothing comes.
final class StatusLine: Sendable {
    /// Back to the line's begin, and all of it cleared.
    static let erase = Array("\r\u{1B}[K".utf8)
    /// The shortest time between two drawings, in milliseconds.
    private static let interval: UInt64 = 250
    /// So long after the last item the line is drawn once more, with the average rate, in milliseconds.
    private static let rest: UInt64 = 1000

    /// What it tells.
    struct Counts: Hashable {
        enum State: String {
            case connected
            case reconnecting
            /// A gapless stream fetches what it missed.
            case catchingUp = "catching up"
        }

        var state = State.connected
        /// To whom the command is connected, clean.
        var endpoint = ""
        /// What items are called: `heads`.
        var unit = "items"
        /// Items printed.
        var taken: UInt64 = 0
        /// Items received but not yet printed.
        var buffered: UInt64 = 0
        var dropped: UInt64 = 0
        var reconnects: UInt64 = 0
        /// How often everything that was missed while there was no connection has been fetched.
        var filled: UInt64 = 0
        /// Gaps that stay.
        var gaps: UInt64 = 0
        /// How often an endpoint was found on another branch.
        var divergences: UInt64 = 0
        /// Requests made, subscribing counted.
        var requests: UInt64 = 0
        /// How old the newest head is, in seconds.
        var lag: UInt64?
    }

    private struct State {
        var counts = Counts()
        /// When the connection stood; nil before.
        var began: UInt64?
        var drawn = Counts()
        var drawnAt: UInt64 = 0
        var isResting = true
        var cached: [UInt8] = []
    }

    private let state = Locked(State())
    private let hasColor: Bool

    init(hasColor: Bool) {
        self.hasColor = hasColor
    }

    static func milliseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(clamping: time.tv_sec) &* 1000 &+ UInt64(clamping: time.tv_nsec) / 1_000_000
    }

    /// The connection stands.
    func connected(to endpoint: String, unit: String) {
        self.state.withLock { state in
            state.counts.endpoint = endpoint
            state.counts.unit = unit
            state.began = Self.milliseconds()
        }
    }

    func update(_ body: (inout Counts) -> Void) {
        self.state.withLock { body(&$0.counts) }
    }

    /// When ``text(_:isDrawn:)`` has something new to tell; nil if nothing is to come by itself.
    var due: UInt64? {
        self.state.withLock { state in
            guard state.began != nil else { return nil }
            if state.counts != state.drawn { return state.drawnAt + Self.interval }
            return state.isResting ? nil : state.drawnAt + Self.rest
        }
    }

    /// What is to be written now.
    ///
    /// - Parameters:
    ///   - now: milliseconds of a clock that never goes back.
    ///   - isDrawn: whether the line stands on the terminal.
    func text(_ now: UInt64, isDrawn: Bool) -> [UInt8]? {
        self.state.withLock { state in
            guard let began = state.began else { return nil }
            let hasChanged = state.counts != state.drawn
            let age = now &- state.drawnAt
            guard hasChanged && age >= Self.interval || !hasChanged && !state.isResting && age >= Self.rest else {
                return isDrawn ? nil : state.cached
            }
            let count = state.counts.taken
            let rate =
                hasChanged && state.drawnAt > began
                ? Self.rate(count &- state.drawn.taken, in: age) : Self.rate(count, in: now &- began)
            state.isResting = !hasChanged
            state.drawn = state.counts
            state.drawnAt = now
            let line = Self.line(state.counts, rate: rate, columns: Descriptor.columns(of: STDERR_FILENO) ?? 80)
            state.cached = Self.erase + Array((self.hasColor ? "\u{1B}[2m\(line)\u{1B}[0m" : line).utf8)
            return state.cached
        }
    }

    /// One line that fits into `columns`.
    static func line(_ counts: Counts, rate: String, columns: Int) -> String {
        let unit = counts.taken == 1 && counts.unit.hasSuffix("s") ? String(counts.unit.dropLast()) : counts.unit
        func count(_ number: UInt64, _ one: String, _ many: String) -> String {
            number == 0 ? "" : "\(TableText.grouped(number)) \(number == 1 ? one : many)"
        }
        // The least important comes last, where a narrow terminal cuts.
        let parts = [
            counts.state.rawValue, "\(TableText.grouped(counts.taken)) \(unit)", rate,
            "\(TableText.grouped(counts.buffered)) buffered", "\(TableText.grouped(counts.dropped)) dropped",
            count(counts.gaps, "gap", "gaps"), count(counts.divergences, "divergence", "divergences"),
            count(counts.reconnects, "reconnect", "reconnects"), count(counts.filled, "gap filled", "gaps filled"),
            counts.lag.map { "lag \($0) s" } ?? "",
            count(counts.requests, "request", "requests"), counts.endpoint,
        ]
        let line = parts.filter { !$0.isEmpty }.joined(separator: " · ")
        // The last column stays empty: some terminals wrap when it is written.
        return line.count < columns ? line : String(line.prefix(max(0, columns - 2))) + "…"
    }

    /// `12.5/s`, `5.0/min`; empty where there is nothing to tell, or too little time to tell it from.
    static func rate(_ count: UInt64, in milliseconds: UInt64) -> String {
        guard count > 0, milliseconds >= 200 else { return "" }
        let second = Double(count) * 1000 / Double(milliseconds)
        if second >= 100 { return TableText.grouped(UInt64(second.rounded())) + "/s" }
        return second >= 1 ? TableText.decimal(second, 1) + "/s" : TableText.decimal(second * 60, 1) + "/min"
    }
}
