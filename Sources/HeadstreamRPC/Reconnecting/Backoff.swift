/// How long to wait before each attempt to connect again: exponential, with full jitter.
///
/// The delay before attempt n is drawn evenly from nothing to `base · 2ⁿ`, at most `cap`: of a thousand clients that lost
/// one node together, no two come back together. It begins anew only when a connection has been healthy for a while, so a
/// node that accepts and closes at once is not called in a hot loop.
package struct Backoff: Sendable {
    /// The bounds, in nanoseconds.
    package struct Limits: Hashable, Sendable {
        package var base: UInt64
        package var cap: UInt64
        /// How long a connection must have lasted for the delays to begin anew.
        package var healthy: UInt64

        package init(base: UInt64, cap: UInt64, healthy: UInt64) {
            self.base = max(1, base)
            self.cap = max(1, cap)
            self.healthy = healthy
        }
    }

    private let limits: Limits
    /// Attempts since the last healthy connection.
    package private(set) var attempts: UInt64 = 0

    package init(_ limits: Limits) {
        self.limits = limits
    }

    /// A connection is lost, or did not come about.
    ///
    /// - Parameters:
    ///   - lifetime: how long it stood, in nanoseconds; 0 where it never did.
    ///   - random: of the loop's generator.
    ///   - atLeast: what the node asks to wait for, in nanoseconds.
    /// - Returns: how long to wait, in nanoseconds: less than the cap and a second, or what the node asks for.
    package mutating func delay(afterLifetime lifetime: UInt64, random: UInt64, atLeast: UInt64 = 0) -> UInt64 {
        if lifetime > 0, lifetime >= self.limits.healthy { self.attempts = 0 }
        // Shifts beyond the width give 0 in Swift, and nothing here can overflow, however long it goes on.
        let shift = min(self.attempts, 63)
        let (grown, overflow) = self.limits.base.multipliedReportingOverflow(by: 1 << shift)
        let bound = overflow ? self.limits.cap : min(grown, self.limits.cap)
        if self.attempts < .max { self.attempts += 1 }
        let (high, _) = random.multipliedFullWidth(by: bound)
        return max(high, atLeast)
    }
}
