import Glibc
import HeadstreamLocks
import HeadstreamSockets
import Synchronization
import Testing

@Suite("Deadlines and sleep")
struct DeadlineTests {
    /// What the tests below note on the loop.
    private final class Log: @unchecked Sendable {
        var seen: [Int] = []
        var ids: [DeadlineID] = []
    }

    @Test("100,000 deadlines come in the order of their instants, cancelled ones never, rescheduled ones later")
    func hundredThousand() async {
        let seed = UInt64.random(in: 0...UInt64.max)
        await withLoop { loop in
            let log = Log()
            // Instants in the past, so that all are due in one turn and the order is the heap's alone.
            let expected: [Int] = await withCheckedContinuation { continuation in
                loop.execute {
                    var random = SplitMix(seed)
                    let instants = (0..<100_000).map { _ in UInt64(1 + random.next() % 5000) }
                    for (index, instant) in instants.enumerated() {
                        log.ids.append(
                            loop.schedule(at: LoopInstant(nanoseconds: instant)) { log.seen.append(index) }
                        )
                    }
                    var isCancelled = [Bool](repeating: false, count: instants.count)
                    for _ in 0..<30_000 {
                        let index = Int(random.next() % 100_000)
                        loop.cancel(log.ids[index])
                        isCancelled[index] = true
                    }
                    let expected = instants.indices.filter { !isCancelled[$0] }
                        .sorted { (instants[$0], $0) < (instants[$1], $1) }
                    loop.execute { continuation.resume(returning: expected) }
                }
            }
            let seen = await loop.on { log.seen }
            #expect(seen == expected, "seed \(seed)")
        }
    }

    @Test("A callback may cancel one that is due with it, and schedule: what it schedules comes in a later turn")
    func cancelInside() async {
        await withLoop { loop in
            let log = Log()
            let turns: [Int] = await withCheckedContinuation { continuation in
                loop.execute {
                    let past = LoopInstant(nanoseconds: 1)
                    _ = loop.schedule(at: past) {
                        log.seen.append(1)
                        loop.cancel(log.ids[0])
                        let turn = loop.statistics.turns
                        _ = loop.schedule(at: past) { continuation.resume(returning: [turn, loop.statistics.turns]) }
                    }
                    log.ids.append(loop.schedule(at: past) { log.seen.append(2) })
                    _ = loop.schedule(at: past) {
                        log.seen.append(3)
                        // Its own identity, and one of the past, are harmless.
                        loop.cancel(log.ids[0])
                    }
                }
            }
            #expect(await loop.on { log.seen } == [1, 3])
            #expect(turns[1] > turns[0])
        }
    }

    @Test("An old identity does not cancel the deadline that took its place")
    func staleIdentity() async {
        await withLoop { loop in
            await withCheckedContinuation { continuation in
                loop.execute {
                    let old = loop.schedule(at: LoopInstant(nanoseconds: .max)) {}
                    loop.cancel(old)
                    _ = loop.schedule(at: loop.now) { continuation.resume() }
                    loop.cancel(old)
                }
            }
        }
    }

    @Test("A deadline is not reached early, and the timer is set once for a thousand later ones")
    func timer() async {
        await withLoop { loop in
            let start = loop.now
            let target = start.advanced(by: .milliseconds(5))
            let arms = await loop.on { loop.statistics.timerArms }
            let reached: LoopInstant = await withCheckedContinuation { continuation in
                loop.execute {
                    _ = loop.schedule(at: target) { continuation.resume(returning: loop.now) }
                    for _ in 0..<1000 {
                        let later = loop.schedule(at: target.advanced(by: .seconds(60))) {}
                        loop.cancel(later)
                    }
                }
            }
            #expect(reached >= target)
            #expect(await loop.on { loop.statistics.timerArms } == arms + 1)
        }
    }

    @Test("A deadline is reached although an earlier one was cancelled, and after the heap was empty")
    func rearm() async throws {
        try await withLoop { loop in
            for _ in 0..<3 {
                let soon = await loop.on { loop.schedule(at: loop.now.advanced(by: .milliseconds(1))) {} }
                await loop.on { loop.cancel(soon) }
                try await loop.sleep(for: .milliseconds(3))
            }
        }
    }

    @Test("Edge cases 58, 119: the clock is the one that counts the time the machine slept")
    func clock() async {
        await withLoop { loop in
            var time = timespec()
            clock_gettime(7, &time)  // CLOCK_BOOTTIME
            let system = UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
            let now = loop.now.nanoseconds
            #expect(now >= system)
            #expect(now - system < 60_000_000_000)
        }
    }

    @Test("Sleep ends after its time, at once for an instant in the past, and never early")
    func sleep() async throws {
        try await withLoop { loop in
            try await loop.sleep(until: LoopInstant(nanoseconds: 0))
            try await loop.sleep(for: .zero)
            try await loop.sleep(for: .seconds(-1))
            let target = loop.now.advanced(by: .milliseconds(2))
            try await loop.sleep(until: target)
            #expect(loop.now >= target)
        }
    }

    @Test("Sleep throws when the task was cancelled before")
    func cancelledBefore() async {
        await withLoop { loop in
            let isThrown = await Task {
                withUnsafeCurrentTask { $0?.cancel() }
                do {
                    try await loop.sleep(for: .seconds(3600))
                    return false
                } catch {
                    return true
                }
            }.value
            #expect(isThrown)
        }
    }

    @Test("Sleep throws when the task is cancelled meanwhile, on the loop and off it, and leaves no deadline")
    func cancelledWhileAsleep() async {
        await withLoop { loop in
            for index in 0..<200 {
                let isAsleep = Atomic(false)
                let body: @Sendable () async -> Bool = {
                    do {
                        try await loop.sleep(for: .seconds(3600))
                        return false
                    } catch {
                        return true
                    }
                }
                let task =
                    index.isMultiple(of: 2)
                    ? Task(executorPreference: loop.executor, operation: body) : Task { await body() }
                // After none, one, two… turns: before, during and after the sleep's beginning.
                await loop.turns(index % 4)
                task.cancel()
                #expect(await task.value)
                _ = isAsleep
            }
            await loop.turns(3)
        }
    }

    @Test("Sleep throws when the loop is shut down, and after that")
    func shutdownEndsSleep() async {
        let loop = EventLoop(name: "test", userTimeout: 0)
        let task = Task { () -> Bool in
            do {
                try await loop.sleep(for: .seconds(3600))
                return false
            } catch {
                return true
            }
        }
        await loop.turns(2)
        await loop.shutdown()
        #expect(await task.value)
        await #expect(throws: CancellationError.self) { try await loop.sleep(for: .seconds(3600)) }
    }

    @Test("Edge case 21: an idle loop with sockets and a far deadline does not wake up")
    func idle() async throws {
        try await withLoop { loop in
            let pair = try await Pair.make(loop)
            let other = EventLoop(name: "other", userTimeout: 0)
            await loop.on { _ = loop.schedule(at: loop.now.advanced(by: .seconds(3600))) {} }
            let before = await loop.on { loop.statistics.wakeUps }
            // The other loop measures the time, so that this one has no reason to wake.
            try await other.sleep(for: .milliseconds(100))
            // But for this question.
            #expect(await loop.on { loop.statistics.wakeUps } <= before + 1)
            await other.shutdown()
            await loop.on { pair.client.close() }
        }
    }
}

/// A generator with a seed (Steele, Lea, Flood 2014).
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) {
        self.state = seed
    }

    mutating func next() -> UInt64 {
        self.state &+= 0x9e37_79b9_7f4a_7c15
        var value = self.state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
