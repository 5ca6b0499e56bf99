/// One entry of a loop's queue, with where it came from: an actor's job is run as a job of the serial executor and a
/// task's as one of the task executor, or the runtime would queue the task again at each of its steps.
enum LoopEntry: Sendable {
    case actorJob(UnownedJob)
    /// An actor's job that a task of the loop's executor came to: it is run as a job of both, or the runtime would queue
    /// it again at each `withCheckedContinuation` and `withTaskCancellationHandler` in the actor (Docs/Runtime.md).
    case actorJobOfTask(UnownedJob, UnownedTaskExecutor)
    case taskJob(UnownedJob, UnownedTaskExecutor)
    case body(@Sendable () -> Void)
}

/// What other threads hand to a loop, behind its one lock.
struct LoopInbox {
    enum Phase {
        case running
        /// Ends its sockets and runs what is queued.
        case stopping
        /// The loop's thread is at its end; entries run on a thread made for them.
        case stopped
    }

    var phase = Phase.running
    var entries: [LoopEntry] = []
    /// False from just before a wait that blocks until the first entry after it: who turns it writes the eventfd, so
    /// that is written once per sleep.
    var isAwake = true
    /// Whether a thread runs entries that came after the end.
    var lateThreadRuns = false
    var shutdownWaiters: [CheckedContinuation<Void, Never>] = []
    var isJoined = false
    /// As of the last sleep.
    var statistics = LoopStatistics()
    /// Alive as long as anyone uses it. It holds the loop, so the loop must not hold it.
    weak var taskExecutor: LoopTaskExecutor?
}

/// The task executor of a loop: a second object on the same queue.
final class LoopTaskExecutor: TaskExecutor {
    private let loop: EventLoop

    init(_ loop: EventLoop) {
        self.loop = loop
    }

    func enqueue(_ job: consuming ExecutorJob) {
        self.loop.push(.taskJob(UnownedJob(job), self.asUnownedTaskExecutor()))
    }
}
