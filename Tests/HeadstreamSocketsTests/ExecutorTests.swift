import Glibc
import HeadstreamLocks
import HeadstreamSockets
import Synchronization
import Testing

private actor OnLoop {
    private let loop: EventLoop
    private var count = 0

    init(_ loop: EventLoop) {
        self.loop = loop
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor { self.loop.asUnownedSerialExecutor() }

    func add() -> Int {
        #expect(self.loop.isCurrent)
        self.count += 1
        return self.count
    }

    func addAfterSleep(_ instant: LoopInstant) async throws {
        try await self.loop.sleep(until: instant)
        #expect(self.loop.isCurrent)
        self.count += 1
    }

    nonisolated func addSynchronously() -> Int {
        self.assumeIsolated {
            $0.count += 1
            return $0.count
        }
    }
}

/// A sequence that holds `count` elements ready, as a subscription's batch does.
private struct Buffered: AsyncSequence {
    struct Iterator: AsyncIteratorProtocol {
        var left: Int

        mutating func next() async -> Int? { await self.next(isolation: nil) }

        mutating func next(isolation actor: isolated (any Actor)?) async -> Int? {
            guard self.left > 0 else { return nil }
            self.left -= 1
            return self.left
        }
    }

    let count: Int

    func makeAsyncIterator() -> Iterator { Iterator(left: self.count) }
}

@Suite("The loop as executor")
struct ExecutorTests {
    @Test("Jobs of many threads run once each and one at a time")
    func manyThreads() async {
        await withLoop { loop in
            let counter = OnLoop(loop)
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<50 {
                    group.addTask {
                        for _ in 0..<200 { _ = await counter.add() }
                    }
                }
            }
            #expect(await counter.add() == 10_001)
        }
    }

    @Test("Bodies of one thread run in their order")
    func order() async {
        await withLoop { loop in
            let seen = Locked<[Int]>([])
            for index in 0..<10_000 {
                loop.execute { seen.withLock { $0.append(index) } }
            }
            await loop.on {}
            #expect(seen.withLock { $0 } == Array(0..<10_000))
        }
    }

    @Test("What a job enqueues runs in the next turn")
    func nextTurn() async {
        await withLoop { loop in
            let turns: [Int] = await withCheckedContinuation { continuation in
                loop.execute {
                    let first = loop.statistics.turns
                    loop.execute {
                        let second = loop.statistics.turns
                        loop.execute { continuation.resume(returning: [first, second, loop.statistics.turns]) }
                    }
                }
            }
            #expect(turns == [turns[0], turns[0] + 1, turns[0] + 2])
        }
    }

    @Test("Turn-end bodies run in the turn that made them, after its jobs, those they add too")
    func turnEnd() async {
        await withLoop { loop in
            let seen: [String] = await withCheckedContinuation { continuation in
                let log = Locked<[String]>([])
                // One body enqueues, so that the ones below are in one turn.
                loop.execute {
                    let first = loop.statistics.turns + 1
                    let turn = { @Sendable in "in turn \(loop.statistics.turns - first)" }
                    loop.execute {
                        loop.atTurnEnd {
                            log.withLock { $0.append("end \(turn())") }
                            loop.atTurnEnd { log.withLock { $0.append("end of end \(turn())") } }
                        }
                        log.withLock { $0.append("job 1 \(turn())") }
                        loop.execute { continuation.resume(returning: log.withLock { $0 }) }
                    }
                    loop.execute { log.withLock { $0.append("job 2 \(turn())") } }
                }
            }
            #expect(
                seen == ["job 1 in turn 0", "job 2 in turn 0", "end in turn 0", "end of end in turn 0"]
            )
        }
    }

    @Test("assumeIsolated holds in bodies, deadlines and socket callbacks, which are no jobs")
    func assumeIsolated() async throws {
        try await withLoop { loop in
            let counter = OnLoop(loop)
            #expect(await loop.on { counter.addSynchronously() } == 1)
            let inDeadline: Int = await withCheckedContinuation { continuation in
                loop.execute {
                    _ = loop.schedule(at: loop.now) { continuation.resume(returning: counter.addSynchronously()) }
                }
            }
            #expect(inDeadline == 2)
            let pair = try await Pair.make(loop)
            await loop.on {
                pair.serverSide.onReceive = { _, bytes in
                    #expect(counter.addSynchronously() == 3)
                    return bytes.count
                }
                pair.client.write("x")
            }
            await pair.serverSide.wait { $0.calls == 1 }
            #expect(!loop.isCurrent)
            #expect(loop.isIsolatingCurrentContext() == false)
        }
    }

    @Test("A task that prefers the loop runs on it, and returns to it from an actor, a sleep and a continuation")
    func taskExecutor() async {
        await withLoop { loop in
            let counter = OnLoop(loop)
            await Task(executorPreference: loop.executor) {
                #expect(loop.isCurrent)
                _ = await counter.add()
                #expect(loop.isCurrent)
                try? await loop.sleep(for: .milliseconds(1))
                #expect(loop.isCurrent)
                await withCheckedContinuation { continuation in loop.execute { continuation.resume() } }
                #expect(loop.isCurrent)
                async let child = loop.isCurrent
                #expect(await child)
                #expect(
                    await withTaskGroup(of: Bool.self) { group in
                        group.addTask { loop.isCurrent }
                        return await group.next() ?? false
                    }
                )
            }.value
        }
    }

    @Test("Draining 10,000 buffered items on the loop enqueues fewer than 10 jobs")
    func draining() async {
        await withLoop { loop in
            let jobs = await Task(executorPreference: loop.executor) {
                let before = loop.statistics.jobs
                var sum = 0
                for await item in Buffered(count: 10_000) { sum += item }
                #expect(sum == 49_995_000)
                return loop.statistics.jobs - before
            }.value
            #expect(jobs < 10)
        }
    }

    @Test("10,000 resumed continuations of a task on the loop enqueue fewer than 10 jobs if they are resumed at once")
    func continuations() async {
        await withLoop { loop in
            let jobs = await Task(executorPreference: loop.executor) {
                let before = loop.statistics.jobs
                for _ in 0..<10_000 { await withCheckedContinuation { $0.resume() } }
                return loop.statistics.jobs - before
            }.value
            #expect(jobs < 10)
        }
    }

    @Test("A job enqueued after the shutdown still runs, one at a time, and counts as on the loop")
    func afterShutdown() async {
        let loop = EventLoop(name: "test", userTimeout: 0)
        let counter = OnLoop(loop)
        #expect(await counter.add() == 1)
        await loop.shutdown()
        await loop.shutdown()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    for _ in 0..<50 { _ = await counter.add() }
                }
            }
        }
        #expect(await counter.add() == 1002)
        await Task(executorPreference: loop.executor) { #expect(loop.isCurrent) }.value
    }

    @Test("A task on the loop may shut it down")
    func shutdownFromItself() async {
        let loop = EventLoop(name: "test", userTimeout: 0)
        await Task(executorPreference: loop.executor) { await loop.shutdown() }.value
    }

    @Test("Loops start and end, and nothing is left of one that was shut down")
    func manyLoops() async throws {
        for _ in 0..<50 {
            weak var gone: EventLoop?
            do {
                let loop = EventLoop(name: "test", userTimeout: 0)
                gone = loop
                let pair = try await Pair.make(loop)
                await loop.on { pair.client.write("left unread") }
                await loop.shutdown()
            }
            #expect(gone == nil)
        }
    }

    @Test("The shared loop is one")
    func shared() async {
        #expect(EventLoop.shared === EventLoop.shared)
        #expect(await EventLoop.shared.on { EventLoop.shared.isCurrent })
    }
}
