import HeadstreamRPC
import Testing

@Suite("Keepalive: when to ask, and when a connection is dead")
struct KeepaliveTests {
    private static let second: UInt64 = 1_000_000_000

    /// A machine whose looks are made at the moment it asks for, told by a script what was heard since the last.
    private struct Run {
        var machine: KeepaliveStateMachine
        var now: UInt64 = 1000 * KeepaliveTests.second
        /// Seconds since the beginning, and what came back.
        var log: [String] = []

        init(every interval: UInt64 = 20, timeout: UInt64 = 20) {
            self.machine = KeepaliveStateMachine(
                interval: interval * KeepaliveTests.second,
                timeout: timeout * KeepaliveTests.second,
                now: self.now
            )
        }

        /// Looks when it is time, `late` seconds after it.
        mutating func look(_ hasHeard: Bool, late: UInt64 = 0) -> KeepaliveStateMachine.Action {
            self.now = self.machine.nextLook + late * KeepaliveTests.second
            let action = self.machine.deadlineReached(now: self.now, hasHeard: hasHeard)
            self.log.append("\(self.now / KeepaliveTests.second - 1000) \(action)")
            return action
        }
    }

    @Test("Silence: asked at 20 s, dead at 40 s, and no look in between")
    func silence() {
        var run = Run()
        while run.look(false) != .dead {}
        #expect(run.log == ["20 ask", "40 dead"])
        #expect(run.machine.nextLook == .max)
    }

    @Test("What lives is asked every 20 s, with one look for each question")
    func alive() {
        var run = Run()
        for _ in 0..<5 { _ = run.look(true) }
        #expect(run.log == ["20 ask", "40 ask", "60 ask", "80 ask", "100 ask"])
    }

    @Test("Edge case 55: misses count in a row, not over a lifetime")
    func consecutive() {
        // Three times the interval fits into the timeout.
        var run = Run(every: 10, timeout: 35)
        for hasHeard in [false, false, false, true, false, false, true] { _ = run.look(hasHeard) }
        #expect(run.log == ["10 ask", "20 ask", "30 ask", "40 ask", "50 ask", "60 ask", "70 ask"])
        while run.look(false) != .dead {}
        #expect(run.log.suffix(4) == ["80 ask", "90 ask", "100 ask", "105 dead"])
        var many = Run()
        for _ in 0..<10_000 { #expect(many.look(true) == .ask) }
        #expect(many.look(false) == .dead)
    }

    @Test("A timeout shorter than the interval is looked at in its time")
    func shortTimeout() {
        var run = Run(every: 30, timeout: 5)
        _ = run.look(true)
        _ = run.look(true)
        _ = run.look(true)
        _ = run.look(false)
        #expect(run.log == ["30 ask", "35 wait", "60 ask", "65 dead"])
    }

    @Test("Edge case 119: a machine that slept, or a loop that stood still, asks before it calls anything dead")
    func slept() {
        var run = Run()
        _ = run.look(false)
        _ = run.look(false, late: 8 * 3600)
        _ = run.look(false)
        #expect(run.log == ["20 ask", "28840 ask", "28860 dead"])
        var answered = Run()
        _ = answered.look(false)
        _ = answered.look(false, late: 6)
        _ = answered.look(true)
        #expect(answered.log == ["20 ask", "46 ask", "66 ask"])
        // Asleep with no question open: the first look asks.
        var rested = Run()
        _ = rested.look(false, late: 3600)
        _ = rested.look(false)
        #expect(rested.log == ["3620 ask", "3640 dead"])
    }

    @Test("A little late is not asleep")
    func slightlyLate() {
        var run = Run()
        _ = run.look(false, late: 2)
        _ = run.look(false, late: 2)
        #expect(run.log == ["22 ask", "44 dead"])
    }

    @Test("Suspended reading proves nothing: after it the time begins anew")
    func resumed() {
        var run = Run()
        _ = run.look(false)
        run.now += 3600 * Self.second
        run.machine.resumed(now: run.now)
        _ = run.look(false)
        _ = run.look(false)
        #expect(run.log == ["20 ask", "3640 ask", "3660 dead"])
    }

    @Test("Extreme settings neither trap nor spin")
    func extremes() {
        var never = KeepaliveStateMachine(interval: .max, timeout: .max, now: 5)
        #expect(never.nextLook == .max)
        #expect(never.deadlineReached(now: .max, hasHeard: false) == .ask)
        var zero = KeepaliveStateMachine(interval: 0, timeout: 0, now: 5)
        #expect(zero.nextLook == 6)
        #expect(zero.deadlineReached(now: 6, hasHeard: false) == .ask)
        #expect(zero.nextLook == 7)
    }
}
