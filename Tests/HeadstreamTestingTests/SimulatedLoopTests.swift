import HeadstreamLocks
import HeadstreamSockets
import Synchronization
import Testing

@testable import HeadstreamTesting

/// An actor whose executor is the loop, as connections are.
private actor Counter {
    private let loop: SimulatedLoop
    private(set) var values: [Int] = []

    init(loop: SimulatedLoop) { self.loop = loop }

    nonisolated var unownedExecutor: UnownedSerialExecutor { self.loop.asUnownedSerialExecutor() }

    func append(_ value: Int) {
        self.values.append(value)
        self.loop.note("append \(value)")
    }

    func scheduleAppend(_ value: Int, after duration: Duration) {
        _ = self.loop.schedule(at: self.loop.now.advanced(by: duration)) {
            // A callback is no job of the actor: this traps unless the loop tells that it is current (SE-0471).
            self.assumeIsolated { $0.append(value) }
        }
    }
}

@Suite("SimulatedLoop")
struct SimulatedLoopTests {
    /// Ten tasks, an actor, sleeps and random bytes: enough for the order to matter.
    @Sendable private static func busyRun(_ loop: SimulatedLoop) async throws -> UInt64 {
        let counter = Counter(loop: loop)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<10 {
                group.addTask {
                    await counter.append(index)
                    try await loop.sleep(for: .milliseconds(index % 3))
                    await counter.append(100 + index)
                }
            }
            try await group.waitForAll()
        }
        var bytes = [UInt8](repeating: 0, count: 13)
        bytes.withUnsafeMutableBytes { loop.fillRandom($0) }
        loop.note("\(bytes)")
        return loop.traceDigest
    }

    @Test("The same seed gives the same run, byte for byte")
    func sameSeed() async throws {
        for seed: UInt64? in [nil, 1, 2, 0xFFFF_FFFF_FFFF_FFFF] {
            var traces: [[String]] = []
            for _ in 0..<3 {
                traces.append(
                    try await SimulatedLoop.run(seed: seed) { loop in
                        loop.keepsTrace = true
                        _ = try await Self.busyRun(loop)
                        return loop.trace
                    }
                )
            }
            #expect(traces[0].count > 40)
            #expect(traces[1] == traces[0], "seed \(String(describing: seed))")
            #expect(traces[2] == traces[0], "seed \(String(describing: seed))")
        }
    }

    @Test("A seed's run is the same in every process: its digest is the one checked in")
    func acrossProcesses() async throws {
        let seeded = try await SimulatedLoop.run(seed: 42, Self.busyRun)
        let plain = try await SimulatedLoop.run(Self.busyRun)
        #expect(seeded == 8_392_957_180_710_147_058)
        #expect(plain == 17_661_061_211_620_337_685)
    }

    @Test("Different seeds run jobs in different orders")
    func differentSeeds() async throws {
        var digests: Set<UInt64> = []
        for seed in 1...20 { digests.insert(try await SimulatedLoop.run(seed: UInt64(seed), Self.busyRun)) }
        #expect(digests.count > 15)
    }

    @Test("Without a seed, tasks and callbacks run in the order they came")
    func plainOrder() async throws {
        let values = try await SimulatedLoop.run { loop in
            let counter = Counter(loop: loop)
            await withTaskGroup(of: Void.self) { group in
                for index in 0..<20 { group.addTask { await counter.append(index) } }
            }
            return await counter.values
        }
        #expect(values == Array(0..<20))
    }

    @Test("The body, its children and an actor all run on the loop's thread")
    func isolation() async throws {
        try await SimulatedLoop.run(seed: 3) { loop in
            #expect(loop.isCurrent)
            let counter = Counter(loop: loop)
            await counter.append(1)
            #expect(loop.isCurrent)
            async let child = { loop.isCurrent }()
            #expect(await child)
            try await loop.sleep(for: .seconds(1))
            #expect(loop.isCurrent)
        }
    }

    @Test("A callback of the loop is isolated to the loop's actors")
    func callbacks() async throws {
        let values = try await SimulatedLoop.run(seed: 9) { loop in
            let counter = Counter(loop: loop)
            await counter.scheduleAppend(2, after: .seconds(2))
            await counter.scheduleAppend(1, after: .seconds(1))
            try await loop.sleep(for: .seconds(3))
            return await counter.values
        }
        #expect(values == [1, 2])
    }

    @Test("Time moves to the next deadline when nothing else is ready: a simulated week takes no time")
    func time() async throws {
        let elapsed = try await SimulatedLoop.run(seed: 5) { loop in
            let start = loop.now
            for _ in 0..<7 { try await loop.sleep(for: .seconds(86_400)) }
            return loop.now.since(start)
        }
        #expect(elapsed == .seconds(7 * 86_400))
    }

    @Test("Deadlines run by time, at one time by the order they were set, and not once cancelled")
    func deadlines() async throws {
        let order = try await SimulatedLoop.run(seed: 11) { loop in
            let counter = Counter(loop: loop)
            let start = loop.now
            var cancelled: [DeadlineID] = []
            for index in 0..<1000 {
                let id = loop.schedule(at: start.advanced(by: .milliseconds(index * 7919 % 100))) {
                    counter.assumeIsolated { $0.append(index * 7919 % 100 * 1000 + index) }
                }
                if index % 10 == 0 { cancelled.append(id) }
            }
            for id in cancelled { loop.cancel(id) }
            for id in cancelled { loop.cancel(id) }
            try await loop.sleep(for: .seconds(1))
            return await counter.values
        }
        #expect(order.count == 900)
        #expect(order == order.sorted())
    }

    @Test("A manual clock moves as far as it is told, and no further")
    func manualClock() async throws {
        try await SimulatedLoop.run(seed: 6, clock: .manual) { loop in
            let counter = Counter(loop: loop)
            for second in 1...4 { await counter.scheduleAppend(second, after: .seconds(second)) }
            await loop.settle()
            #expect(await counter.values == [])
            try await loop.advance(by: .milliseconds(2500))
            #expect(await counter.values == [1, 2])
            try await loop.advance(by: .milliseconds(500))
            #expect(await counter.values == [1, 2, 3])
        }
    }

    @Test("A cancelled sleep ends at once, also if the task was cancelled before")
    func cancelledSleep() async throws {
        try await SimulatedLoop.run(seed: 8) { loop in
            let start = loop.now
            await withTaskGroup(of: Bool.self) { group in
                group.addTask {
                    do { try await loop.sleep(for: .seconds(60)) } catch { return true }
                    return false
                }
                await loop.settle()
                group.cancelAll()
                group.addTask {
                    do { try await loop.sleep(for: .seconds(60)) } catch { return true }
                    return false
                }
                for await ended in group { #expect(ended) }
            }
            #expect(loop.now == start)
        }
    }

    @Test("What waits for the turn's end runs after the turn's callbacks, in order")
    func turnEnd() async throws {
        let trace = try await SimulatedLoop.run { loop in
            let counter = Counter(loop: loop)
            for index in 0..<3 {
                loop.execute {
                    counter.assumeIsolated { $0.append(index) }
                    loop.atTurnEnd { counter.assumeIsolated { $0.append(10 + index) } }
                }
            }
            await loop.settle()
            return await counter.values
        }
        #expect(trace == [0, 1, 2, 10, 11, 12])
    }

    @Test("Callbacks of one origin keep their order under every seed")
    func callbackOrder() async throws {
        for seed in 0..<50 {
            let values = try await SimulatedLoop.run(seed: UInt64(seed)) { loop in
                let counter = Counter(loop: loop)
                for index in 0..<20 { loop.execute { counter.assumeIsolated { $0.append(index) } } }
                await loop.settle()
                return await counter.values
            }
            #expect(values == Array(0..<20), "seed \(seed)")
        }
    }

    @Test("A body that waits for what never comes fails the run and is told what is open")
    func deadlock() async throws {
        let error = await #expect(throws: SimulationError.self) {
            try await SimulatedLoop.run(seed: 1) { loop in
                let listener = try loop.listen(on: .host("localhost", port: 0)) { _ in Silent() }
                loop.note("waiting for a miracle")
                await withTaskCancellationHandler {
                    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                        stuck.withLock { $0 = continuation }
                    }
                } onCancel: {
                    stuck.withLock { $0.take() }?.resume()
                }
                listener.close()
            }
        }
        guard case .deadlock(let text) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(text.contains("listening on 127.0.0.1:49152"))
        #expect(text.contains("waiting for a miracle"))
    }

    @Test("A body that sleeps for ever runs out of virtual time")
    func outOfTime() async throws {
        let error = await #expect(throws: SimulationError.self) {
            try await SimulatedLoop.run(timeLimit: .seconds(3600)) { loop in
                while true { try await loop.sleep(for: .seconds(10)) }
            }
        }
        guard case .outOfTime = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("Work that comes from another thread fails the run")
    func escape() async throws {
        let error = await #expect(throws: SimulationError.self) {
            try await SimulatedLoop.run(seed: 1) { loop in
                // A detached task runs on the global pool, and awaiting it resumes this one from there.
                await Task.detached { loop.execute {} }.value
            }
        }
        switch error {
        // The second is told where the loop saw its queue empty before the other thread came.
        case .escaped, .deadlock: break
        default: Issue.record("\(String(describing: error))")
        }
    }

    @Test("A run lets go of every callback, deadline and delegate at its end")
    func leavesNothing() async throws {
        let living = Living()
        try await SimulatedLoop.run(seed: 1) { loop in
            let deadline = Token(living)
            _ = loop.schedule(at: loop.now.advanced(by: .seconds(60))) { _ = deadline }
            let fault = Token(living)
            loop.setFaults { [loop] _, _ in
                _ = (fault, loop)
                return LinkFaults()
            }
            let accept = Token(living)
            let listener = try loop.listen(on: .host("a", port: 1)) { _ in
                _ = accept
                return Silent()
            }
            _ = loop.connect(to: listener.address, delegate: Silent(Token(living)))
            await loop.settle()
            let late = Token(living)
            loop.atTurnEnd { _ = late }
            let never = Token(living)
            _ = loop.connect(to: .host("nowhere", port: 1), delegate: Silent(never))
        }
        #expect(living.count.load(ordering: .relaxed) == 0)
    }

    @Test("Errors of the body are thrown as they are")
    func bodyError() async {
        struct Mine: Error {}
        await #expect(throws: Mine.self) { try await SimulatedLoop.run { _ in throw Mine() } }
    }

    @Test("The generator is the published one: its first numbers for a seed")
    func generator() {
        // xoshiro256** seeded by SplitMix64, as in the authors' C code.
        var mixer: UInt64 = 1_234_567
        #expect(SeededGenerator.splitMix(&mixer) == 6_457_827_717_110_365_317)
        #expect(SeededGenerator.splitMix(&mixer) == 3_203_168_211_198_807_973)
        var generator = SeededGenerator(seed: 1)
        #expect((0..<1000).allSatisfy { _ in (0..<7).contains(generator.below(7)) })
        #expect(generator.below(1) == 0)
        #expect(generator.below(0) == 0)
    }
}

private let stuck = Locked<CheckedContinuation<Void, Never>?>(nil)

/// Counts the tokens alive.
private final class Living: Sendable {
    let count = Atomic<Int>(0)
}

private final class Token: Sendable {
    private let living: Living

    init(_ living: Living) {
        self.living = living
        living.count.add(1, ordering: .relaxed)
    }

    deinit { self.living.count.subtract(1, ordering: .relaxed) }
}

private final class Silent: ChannelDelegate {
    private let token: Token?

    init(_ token: Token? = nil) { self.token = token }

    func channelOpened(_ channel: any Channel) {}
    func channel(_ channel: any Channel, received bytes: UnsafeMutableRawBufferPointer) -> Int { bytes.count }
    func channelSecured(_ channel: any Channel) {}

    func channelDrained(_ channel: any Channel) {}
    func channelEnded(_ channel: any Channel, _ reason: ChannelEnd) {}
}
