import HeadstreamLocks
import HeadstreamSockets

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

extension SimulatedLoop {
    /// Runs `body` on a simulated loop of its own, on a thread of its own, and returns what it returns.
    ///
    /// - Parameters:
    ///   - seed: draws the order of jobs and deliveries, the sizes of reads and the loop's random bytes. nil is the
    ///     plain order of arrival, without cuts.
    ///   - clock: whether virtual time moves by itself when nothing is ready.
    ///   - timeLimit: how much virtual time the run may take.
    ///   - body: runs on the loop's task executor, and so do its child tasks.
    /// - Throws: what `body` throws, or a ``SimulationError`` if the run cannot go on or left the loop.
    public static func run<Value: Sendable>(
        seed: UInt64? = nil,
        clock: ClockMode = .automatic,
        timeLimit: Duration = .seconds(30 * 86_400),
        _ body: @escaping @Sendable (SimulatedLoop) async throws -> Value
    ) async throws -> Value {
        let loop = SimulatedLoop(seed: seed, clock: clock)
        let outcome = Outcome<Value>()
        // The one unstructured task of this module: the root of the run. It is made here and not on the run's thread
        // so that it inherits the caller's task-local values, by which a test framework knows its test.
        let task = Task<Void, Never>(executorPreference: loop.taskExecutor) {
            let result: Result<Value, any Error>
            do { result = .success(try await body(loop)) } catch { result = .failure(error) }
            outcome.value.withLock { $0 = result }
        }
        let failure = await withCheckedContinuation { (continuation: CheckedContinuation<SimulationError?, Never>) in
            let drive = Drive(
                loop: loop,
                task: task,
                limit: loop.now.advanced(by: timeLimit).nanoseconds,
                isFinished: { outcome.value.withLock { $0 != nil } },
                continuation: continuation
            )
            drive.start()
        }
        // An escape counts even if the body came to its end: its order was not the seed's.
        if let failure { throw failure }
        guard let result = outcome.value.withLock({ $0 }) else {
            throw SimulationError.deadlock("the body has no result")
        }
        return try result.get()
    }
}

/// Where the body leaves its result.
private final class Outcome<Value: Sendable>: Sendable {
    let value = Locked<Result<Value, any Error>?>(nil)
}

/// The thread of one run.
///
/// Sendable because everything in it is; it is handed to its thread and not touched by its maker afterwards.
private final class Drive: Sendable {
    private let loop: SimulatedLoop
    private let task: Task<Void, Never>
    private let limit: UInt64
    private let isFinished: @Sendable () -> Bool
    private let continuation: CheckedContinuation<SimulationError?, Never>

    init(
        loop: SimulatedLoop,
        task: Task<Void, Never>,
        limit: UInt64,
        isFinished: @escaping @Sendable () -> Bool,
        continuation: CheckedContinuation<SimulationError?, Never>
    ) {
        self.loop = loop
        self.task = task
        self.limit = limit
        self.isFinished = isFinished
        self.continuation = continuation
    }

    func start() {
        #if canImport(Darwin)
        var thread: pthread_t?
        #else
        var thread = pthread_t()
        #endif
        let retained = Unmanaged.passRetained(self)
        let error = pthread_create(
            &thread,
            nil,
            { argument in
                #if canImport(Darwin)
                let pointer: UnsafeMutableRawPointer? = argument
                #else
                let pointer = argument
                #endif
                if let pointer { Unmanaged<Drive>.fromOpaque(pointer).takeRetainedValue().run() }
                return nil
            },
            retained.toOpaque()
        )
        guard error == 0 else {
            retained.release()
            self.continuation.resume(returning: .deadlock("no thread could be started: error \(error)"))
            return
        }
        #if canImport(Darwin)
        if let thread { pthread_detach(thread) }
        #else
        pthread_detach(thread)
        #endif
    }

    private func run() {
        let loop = self.loop
        loop.schedule.becomeOwner()
        var failure = self.drive()
        if failure != nil { self.task.cancel() }
        loop.windDown()
        if failure == nil { failure = loop.schedule.escape.map { .escaped($0) } }
        loop.schedule.end()
        self.continuation.resume(returning: failure)
    }

    /// Turns until the body has finished. At one instant at most ten million steps are made.
    private func drive() -> SimulationError? {
        let loop = self.loop
        var stepsBefore = loop.steps
        while true {
            if let escape = loop.schedule.escape { return .escaped(escape) }
            if self.isFinished() { return nil }
            if loop.hasWork {
                loop.turn()
                if loop.steps - stepsBefore > 10_000_000 { return .livelock(loop.waiting) }
            } else if loop.wakeSettling() {
                continue
            } else if loop.moveTime() {
                if loop.schedule.now > self.limit { return .outOfTime(loop.waiting) }
                stepsBefore = loop.steps
            } else {
                return .deadlock(
                    "the body waits and nothing can happen any more, unless off the loop; \(loop.waiting)"
                )
            }
        }
    }
}
