import Testing

@testable import HeadstreamRPC

@Suite("Backoff")
struct BackoffTests {
    private static let limits = Backoff.Limits(base: 500, cap: 30_000, healthy: 60_000)

    @Test("The bound doubles from the base to the cap, and the delay is drawn evenly below it")
    func growth() {
        for share in [0.0, 0.25, 0.5, 0.999] {
            var backoff = Backoff(Self.limits)
            let random = UInt64(share * Double(UInt64.max))
            for attempt in 0..<12 {
                let bound = min(500 * Double(1 << attempt), 30_000)
                let delay = Double(backoff.delay(afterLifetime: 0, random: random))
                #expect(abs(delay - bound * share) <= 1, "attempt \(attempt)")
            }
        }
    }

    @Test("Edge case 38: the arithmetic is safe after any number of attempts, with any limits")
    func forEver() {
        var backoff = Backoff(Self.limits)
        for _ in 0..<100_000 { #expect(backoff.delay(afterLifetime: 0, random: .max) < 30_000) }
        var extreme = Backoff(Backoff.Limits(base: .max, cap: .max, healthy: .max))
        for _ in 0..<100 { #expect(extreme.delay(afterLifetime: 1, random: .max) < .max) }
        var none = Backoff(Backoff.Limits(base: 0, cap: 0, healthy: 0))
        for _ in 0..<100 { #expect(none.delay(afterLifetime: 1, random: .max) == 0) }
    }

    @Test("Edge case 39: a node that accepts and closes at once does not make the delays begin anew")
    func reset() {
        var backoff = Backoff(Self.limits)
        for _ in 0..<20 { _ = backoff.delay(afterLifetime: 59_999, random: .max) }
        #expect(backoff.delay(afterLifetime: 59_999, random: .max) == 29_999)
        #expect(backoff.delay(afterLifetime: 60_000, random: .max) == 499)
        #expect(backoff.delay(afterLifetime: 0, random: .max) == 999)
    }

    @Test("What the node asks for is the least")
    func atLeast() {
        var backoff = Backoff(Self.limits)
        #expect(backoff.delay(afterLifetime: 0, random: 0, atLeast: 7000) == 7000)
        #expect(backoff.delay(afterLifetime: 0, random: .max, atLeast: 1) == 999)
    }
}
