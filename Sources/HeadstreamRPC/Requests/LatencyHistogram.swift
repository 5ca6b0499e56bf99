/// How long requests took, in a fixed set of ranges: what a monitoring system makes quantiles of.
public struct LatencyHistogram: Hashable, Sendable {
    /// The upper bounds of the ranges, inclusive, in microseconds; what took longer is in one more.
    public static let bounds: [UInt64] = [
        100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
        5_000_000, 10_000_000, 30_000_000,
    ]

    /// How many fell into each range, one more than there are ``bounds``; not cumulative.
    public private(set) var counts: [UInt64] = []
    /// How many there were.
    public private(set) var count: UInt64 = 0
    /// All of them together, in microseconds.
    public private(set) var sum: UInt64 = 0

    public init() {}

    /// - Parameter nanoseconds: what one request took.
    package mutating func add(_ nanoseconds: UInt64) {
        if self.counts.isEmpty { self.counts = Array(repeating: 0, count: Self.bounds.count + 1) }
        let microseconds = nanoseconds / 1000
        var range = 0
        while range < Self.bounds.count, microseconds > Self.bounds[range] { range += 1 }
        self.counts[range] &+= 1
        self.count &+= 1
        self.sum &+= microseconds
    }

    /// Adds what another one has counted.
    package mutating func add(_ other: LatencyHistogram) {
        guard other.count > 0 else { return }
        if self.counts.isEmpty { self.counts = Array(repeating: 0, count: Self.bounds.count + 1) }
        for range in self.counts.indices { self.counts[range] &+= other.counts[range] }
        self.count &+= other.count
        self.sum &+= other.sum
    }

    /// The bound below which at least this share of the requests stayed; nil where there are none, or where it is
    /// beyond the last bound.
    ///
    /// - Parameter share: from 0 to 1, such as 0.99.
    public func quantile(_ share: Double) -> Duration? {
        guard self.count > 0 else { return nil }
        let wanted = (Double(self.count) * min(max(share, 0), 1)).rounded(.up)
        var seen: UInt64 = 0
        for (range, bound) in Self.bounds.enumerated() {
            seen &+= self.counts[range]
            if Double(seen) >= wanted { return .microseconds(Int64(clamping: bound)) }
        }
        return nil
    }
}
