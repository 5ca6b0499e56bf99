import HeadstreamLocks
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What a simulated loop has to do, and the order drawn from the seed.
///
/// `@unchecked Sendable`: everything but `owner`, `clock` and `foreign` is touched by the owning thread only. The owner
/// is the thread that made the schedule until the run starts, and the run's thread from then on; starting a thread
/// orders the two. Every entry point that another thread could call compares its thread with the owner first.
final class Schedule: @unchecked Sendable {
    /// Which of the two executors a job was given to, and so on which one it runs.
    enum Origin {
        case actor
        case task
    }

    /// One job, with the number it has in the trace: the runtime's own ids differ between processes.
    struct Job {
        var job: UnownedJob
        var origin: Origin
        var number: Int
    }

    enum Ready {
        case job(Job)
        case lane(any Lane)
    }

    let seed: UInt64?
    /// The virtual clock in nanoseconds, for any thread to read; set through ``now``.
    private let clock: Atomic<UInt64>
    private let owner: Atomic<UInt>
    private let foreign = Locked<Foreign>(Foreign())
    let deadlines = DeadlineLane()

    private var ready: [Ready] = []
    private var head = 0
    private var jobs = 0
    private var order: SeededGenerator

    private struct Foreign {
        var ended = false
        var escape: String?
    }

    init(seed: UInt64?) {
        self.seed = seed
        // The clock does not begin at zero: code that takes "nothing yet" for zero would not be found out.
        self.clock = Atomic(1_000_000_000_000)
        self.owner = Atomic(Self.currentThread)
        self.order = SeededGenerator(seed: seed ?? 0)
        self.deadlines.now = 1_000_000_000_000
    }

    // MARK: Threads

    private static var currentThread: UInt {
        #if canImport(Darwin)
        UInt(bitPattern: pthread_self())
        #else
        UInt(pthread_self())
        #endif
    }

    var isCurrent: Bool { self.owner.load(ordering: .relaxed) == Self.currentThread }

    func becomeOwner() {
        self.owner.store(Self.currentThread, ordering: .sequentiallyConsistent)
    }

    /// After this nothing is accepted, and nothing is an escape any more.
    func end() {
        self.foreign.withLock { $0.ended = true }
        self.owner.store(0, ordering: .sequentiallyConsistent)
    }

    /// Whether the caller may touch the schedule; if not, the first such call is remembered as the run's failure.
    func admits(_ what: @autoclosure () -> String) -> Bool {
        if self.isCurrent { return true }
        let text = what()
        self.foreign.withLock { foreign in
            if !foreign.ended, foreign.escape == nil { foreign.escape = text }
        }
        return false
    }

    var escape: String? { self.foreign.withLock { $0.escape } }

    // MARK: Time

    var now: UInt64 {
        get { self.clock.load(ordering: .relaxed) }
        set {
            self.clock.store(newValue, ordering: .relaxed)
            self.deadlines.now = newValue
        }
    }

    // MARK: What is ready

    var readyCount: Int { self.ready.count - self.head }

    func enqueue(_ job: UnownedJob, _ origin: Origin) {
        guard
            self.admits(
                "\(job) of \(origin == .actor ? "an actor on the loop" : "a task that prefers the loop") was enqueued "
                    + "from another thread; something ran on the global pool (a default actor, Task {}, "
                    + "Task.detached, Task.sleep or the main actor)"
            )
        else { return }
        self.jobs += 1
        self.ready.append(.job(Job(job: job, origin: origin, number: self.jobs)))
    }

    /// Puts a lane that has work into the schedule, once.
    func wake(_ lane: any Lane) {
        guard !lane.isScheduled, lane.hasWork else { return }
        lane.isScheduled = true
        self.ready.append(.lane(lane))
    }

    /// Takes what is next: without a seed the oldest, with one any. A lane leaves the schedule and is put back by
    /// ``wake(_:)`` after its step.
    func takeNext() -> Ready? {
        guard self.head < self.ready.count else { return nil }
        let item: Ready
        if self.seed == nil {
            item = self.ready[self.head]
            self.head += 1
            if self.head == self.ready.count || self.head > 1024 {
                self.ready.removeFirst(self.head)
                self.head = 0
            }
        } else {
            self.ready.swapAt(self.order.below(self.ready.count), self.ready.count - 1)
            item = self.ready.removeLast()
        }
        if case .lane(let lane) = item { lane.isScheduled = false }
        return item
    }

    /// How many of `count` possible steps a turn makes, or how many of `count` available bytes a read returns.
    func drawAmount(of count: Int) -> Int {
        guard self.seed != nil, count > 1 else { return count }
        return 1 + self.order.below(count)
    }

    /// How many of `count` bytes a read returns: mostly all, often few, so that messages are cut anywhere.
    func drawChunk(of count: Int) -> Int {
        guard self.seed != nil, count > 1 else { return count }
        switch self.order.below(4) {
        case 0: return 1 + self.order.below(min(count, 16))
        case 1: return 1 + self.order.below(count)
        default: return count
        }
    }

    func removeAll() {
        self.ready = []
        self.head = 0
        self.deadlines.removeAll()
    }
}

/// The executor of tasks that a user puts on a simulated loop: a second object on the same schedule.
final class SimulatedTaskExecutor: TaskExecutor {
    private let schedule: Schedule

    init(_ schedule: Schedule) {
        self.schedule = schedule
    }

    func enqueue(_ job: consuming ExecutorJob) {
        self.schedule.enqueue(UnownedJob(job), .task)
    }
}
