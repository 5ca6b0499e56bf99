internal import Glibc
internal import HeadstreamLocks
internal import Synchronization

/// A thread that waits for sockets, jobs and deadlines, and on which connections live.
///
/// The thread is blocked in the kernel until a socket is ready, a job is enqueued or the earliest deadline is due;
/// nothing polls. A loop is the serial executor of the connection actors. Through ``executor`` your own tasks can run on
/// it too, which saves a change of threads for each batch of elements:
///
/// ```swift
/// await withTaskExecutorPreference(loop.executor) { … }
/// ```
///
/// Such a task must not block and must not compute for long, because everything else on the loop waits for it.
///
/// One loop, ``shared``, started at its first use, serves a process. Others end by ``shutdown()`` and not by being let
/// go of: a running loop keeps itself.
//
// `@unchecked Sendable`: `inbox` is behind a lock and `thread` is atomic; `poller` is used from other threads for
// `wake()` only, a system call on a descriptor that is closed with the loop. All other state is touched on the loop's
// thread only, which every entry point asserts: by `run()`, and after its end by `runLate()`, of which one runs at a
// time and which takes over through the lock.
public final class EventLoop: SerialExecutor, Loop, @unchecked Sendable {
    /// Bytes one socket is read per turn, so that a busy one does not starve the quiet ones.
    static let bytesPerTurn = 512 * 1024
    /// Size of the one read buffer.
    static let readBufferSize = 256 * 1024
    /// Initialised bytes behind what a delegate is given.
    static let padding = 64
    /// Steps of TLS handshakes taken in a turn.
    static let handshakeStepsPerTurn = 4
    /// Rounds of turn-end bodies that add turn-end bodies; what is left waits for the next turn.
    private static let turnEndRounds = 16
    /// Turns in which a stopping loop runs jobs that make jobs.
    private static let stoppingTurns = 1000

    /// Turns that follow each other within these nanoseconds share one look at the descriptors.
    private static let pollInterval: UInt64 = 20_000

    let name: String
    let userTimeout: Int32
    /// What is known of TLS settings, and the sessions that may be resumed.
    let tlsContexts: TLSContexts
    let inbox = Locked(LoopInbox())
    /// The thread that runs the loop now; 0 where none does.
    private let thread = Atomic<UInt>(0)
    let poller: Poller?
    /// Why the loop could not be started.
    let startError: SocketError?

    // On the loop's thread only.
    var counters = LoopStatistics()
    var slots = SlotTable()
    var deadlines = DeadlineHeap()
    /// The instant the timer is set to; `.max` where it is not. It may be earlier than the earliest deadline: the timer
    /// is not set anew when a deadline is cancelled, so that a request which is answered costs no system call.
    var armed = UInt64.max
    var isStopping = false
    /// Somebody asked for the end, and this turn's jobs are run.
    private var isStopRequested = false
    /// When the descriptors were last looked at without blocking.
    private var lastPoll: UInt64 = 0
    private var due: [DeadlineID] = []
    /// Set while a job of a task that prefers this loop runs. On the loop.
    private var runningTaskExecutor: UnownedTaskExecutor?
    // Not checked for overlapping accesses at run time: no access lasts beyond a call that runs nothing of others.
    @exclusivity(unchecked) private var local: [LoopEntry] = []
    private var runningLocal: [LoopEntry] = []
    private var incoming: [LoopEntry] = []
    private var turnEnd: [() -> Void] = []
    /// Channels with bytes to send or with something else to be waited for.
    var toFlush: [SocketChannel] = []
    /// Channels to be read although epoll may not name them.
    var toRead: [SocketChannel] = []
    /// Listeners that paused because no descriptor was left.
    var pausedListeners: [SocketListener] = []
    let readBuffer: UnsafeMutableRawPointer
    /// Write buffer that no channel uses now.
    var spareWriteBuffer: WriteBuffer?
    var random = RandomPool()
    /// Steps of TLS handshakes taken in this turn.
    var handshakeSteps = 0
    var madeTLSStream: TLSStream?
    let resolver = NameResolver()

    private static let sharedLoop = Locked<EventLoop?>(nil)

    /// The loop of this process, started at its first use, and anew at the next use after its end.
    public static var shared: EventLoop {
        self.sharedLoop.withLock { loop in
            // One for which there was no descriptor or thread, or that was shut down, is replaced at the next use.
            if let loop, loop.inbox.withLock({ $0.phase != .stopped }) { return loop }
            let started = EventLoop(name: "headstream")
            loop = started
            return started
        }
    }

    /// Starts a loop with a thread of its own.
    ///
    /// Where the system has no descriptor or thread left, the loop cannot have sockets and every connection on it fails
    /// with that error; jobs still run.
    /// - Parameter name: the thread's name, of which Linux shows 15 bytes.
    public convenience init(name: String) {
        self.init(name: name, userTimeout: 30_000)
    }

    /// - Parameter userTimeout: how long, in milliseconds, a peer that was connected to may acknowledge or read nothing
    ///   while there are bytes to send; 0 for the system's own patience, in tests where nobody reads for as long as it takes.
    package convenience init(name: String, userTimeout: Int32) {
        self.init(name: name, userTimeout: userTimeout, tlsContexts: .shared)
    }

    /// - Parameter tlsContexts: the process's but in tests, which are many in one process, each with its own authority.
    init(name: String, userTimeout: Int32, tlsContexts: TLSContexts) {
        self.name = name
        self.userTimeout = userTimeout
        self.tlsContexts = tlsContexts
        self.readBuffer = .allocate(byteCount: Self.readBufferSize + Self.padding, alignment: 64)
        self.readBuffer.initializeMemory(as: UInt8.self, repeating: 0, count: Self.readBufferSize + Self.padding)
        var failure: SocketError?
        var poller: Poller?
        do throws(SocketError) { poller = try Poller() } catch { failure = error }
        self.poller = poller
        // Decided before the thread is there, so that `startError` is constant; a thread is what systems run out of
        // last, and then jobs run where they are enqueued.
        self.startError = failure
        guard failure == nil, LoopThread.start(name: name, detached: false, { self.run() }) != nil else {
            self.isStopping = true
            self.inbox.withLock {
                $0.phase = .stopped
                $0.isJoined = true
            }
            return
        }
    }

    deinit {
        self.readBuffer.deallocate()
    }

    // MARK: Executors

    /// The executor for tasks that shall run on this loop.
    public var executor: any TaskExecutor { self.taskExecutor }

    package var taskExecutor: any TaskExecutor {
        self.inbox.withLock { inbox in
            if let executor = inbox.taskExecutor { return executor }
            let executor = LoopTaskExecutor(self)
            inbox.taskExecutor = executor
            return executor
        }
    }

    public func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        UnownedSerialExecutor(ordinary: self)
    }

    /// Queues an actor's job. After ``shutdown()`` it still runs, in order, on a thread made for it.
    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if self.isCurrent, let executor = self.runningTaskExecutor {
            self.local.append(.actorJobOfTask(job, executor))
        } else {
            self.push(.actorJob(job))
        }
    }

    public func checkIsolated() {
        precondition(self.isCurrent, "not on the event loop \(self.name)")
    }

    /// True in callbacks of the loop too, which are no jobs: so `assumeIsolated` holds there (SE-0471).
    public func isIsolatingCurrentContext() -> Bool? {
        self.isCurrent
    }

    package var isCurrent: Bool {
        self.thread.load(ordering: .relaxed) == LoopThread.current
    }

    package var now: LoopInstant {
        LoopInstant(nanoseconds: Poller.now)
    }

    package func execute(_ body: @escaping @Sendable () -> Void) {
        self.push(.body(body))
    }

    package func atTurnEnd(_ body: @escaping () -> Void) {
        assert(self.isCurrent)
        self.turnEnd.append(body)
    }

    /// Counts as of now on the loop, and as of its last sleep from elsewhere.
    package var statistics: LoopStatistics {
        self.isCurrent ? self.counters : self.inbox.withLock { $0.statistics }
    }

    func push(_ entry: LoopEntry) {
        if self.isCurrent {
            self.local.append(entry)
            return
        }
        enum Next { case nothing, wake, startLateThread }
        let next: Next = self.inbox.withLock { inbox in
            inbox.entries.append(entry)
            if inbox.phase == .stopped {
                if inbox.lateThreadRuns { return .nothing }
                inbox.lateThreadRuns = true
                return .startLateThread
            }
            if inbox.isAwake { return .nothing }
            inbox.isAwake = true
            return .wake
        }
        switch next {
        case .nothing: break
        case .wake: self.poller?.wake()
        case .startLateThread: self.startLateThread()
        }
    }

    // MARK: Shutdown

    /// Ends the loop: its connections and listeners are closed, tasks asleep on it are woken as cancelled, what is queued
    /// runs, and the thread ends. Returns when it has.
    ///
    /// Jobs enqueued afterwards are not lost: they run one after the other on a thread started for them, so that an actor
    /// whose executor this is can be used on. Connections cannot be made any more. Calling it again is harmless.
    public func shutdown() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            enum Next { case resume, wait, wake }
            let next: Next = self.inbox.withLock { inbox in
                if inbox.isJoined { return .resume }
                inbox.shutdownWaiters.append(continuation)
                if inbox.phase == .running { inbox.phase = .stopping }
                if inbox.isAwake { return .wait }
                inbox.isAwake = true
                return .wake
            }
            switch next {
            case .resume: continuation.resume()
            case .wait: break
            case .wake: self.poller?.wake()
            }
        }
    }

    /// Ends everything that lives on the loop. The descriptors go at once; deadlines never come.
    private func endEverything() {
        self.isStopping = true
        for object in self.slots.objects { object.loopShutsDown() }
        for action in self.deadlines.removeAll() {
            switch action {
            case .sleeper(let sleeper): sleeper.finish(.cancelled)
            case .awaited(_, let ended): ended()
            case .callback: break
            }
        }
        self.pausedListeners = []
        self.toRead = []
    }

    /// The last act of the loop's thread: another one waits for its end and then tells who waits. It lets go of the loop
    /// before, so that nothing of ours keeps a loop whose `shutdown()` has returned.
    private func handOver() {
        let own = LoopThread.current
        let held = Locked<EventLoop?>(self)
        let tell: @Sendable () -> Void = {
            let waiters = held.withLock { loop in
                let waiters = loop?.takeShutdownWaiters() ?? []
                loop = nil
                return waiters
            }
            for waiter in waiters { waiter.resume() }
        }
        let started = LoopThread.start(name: self.name, detached: true) {
            LoopThread.join(own)
            tell()
        }
        if started == nil { tell() }
    }

    private func takeShutdownWaiters() -> [CheckedContinuation<Void, Never>] {
        self.inbox.withLock { inbox in
            inbox.isJoined = true
            let waiters = inbox.shutdownWaiters
            inbox.shutdownWaiters = []
            return waiters
        }
    }

    // MARK: After the end

    private func startLateThread() {
        // Without a thread the entries run here: late is better than never.
        if LoopThread.start(name: self.name, detached: true, { self.runLate() }) == nil { self.runLate() }
    }

    /// Runs what was enqueued after the end, until nothing is left.
    private func runLate() {
        self.thread.store(LoopThread.current, ordering: .relaxed)
        while true {
            self.runJobs()
            self.runTurnEnd()
            self.toFlush.removeAll()
            let isOver = self.inbox.withLock { inbox in
                guard inbox.entries.isEmpty, self.local.isEmpty, self.turnEnd.isEmpty else { return false }
                inbox.lateThreadRuns = false
                inbox.statistics = self.counters
                // Before the lock is given up, so that the next late thread is not overwritten.
                self.thread.store(0, ordering: .relaxed)
                return true
            }
            if isOver { return }
        }
    }

    // MARK: Turns

    private func run() {
        self.thread.store(LoopThread.current, ordering: .relaxed)
        guard let poller = self.poller else { return }
        var blocking = false
        var stoppingTurns = 0
        while true {
            let count = self.isPollDue(blocking) ? poller.wait(blocking: blocking) : 0
            self.counters.turns += 1
            self.handshakeSteps = 0
            if blocking { self.counters.wakeUps += 1 }
            for index in 0..<count {
                guard let event = poller.event(index) else { continue }
                // A callback may have closed what the event is for, and its slot may serve another by now.
                self.slots[event.token]?.ready(event.readiness)
            }
            if !self.toRead.isEmpty { self.readAgain() }
            self.runDeadlines()
            self.runJobs()
            self.runTurnEnd()
            self.flush()
            // Who was woken by what the loop woke up for goes on before it looks for more.
            if blocking { self.lastPoll = Poller.now }
            if self.isStopping {
                stoppingTurns += 1
                if self.hasStopped(force: stoppingTurns >= Self.stoppingTurns) { break }
                blocking = false
            } else {
                blocking = self.prepareToWait(poller)
            }
        }
        self.handOver()
    }

    /// Whether the turn begins with a look at the descriptors. Steps of one task that follow each other closely, from an
    /// actor and back say, share one: the call costs as much as the rest of such a turn.
    private func isPollDue(_ blocking: Bool) -> Bool {
        if blocking { return true }
        let now = Poller.now
        if now &- self.lastPoll < Self.pollInterval { return false }
        self.lastPoll = now
        return true
    }

    /// Whether the next wait may block; then entries that come from now on wake the loop.
    private func prepareToWait(_ poller: Poller) -> Bool {
        let isIdle = self.local.isEmpty && self.turnEnd.isEmpty && self.toRead.isEmpty && self.toFlush.isEmpty
        if isIdle, let earliest = self.deadlines.earliest, earliest < self.armed {
            poller.arm(at: earliest)
            self.armed = earliest
            self.counters.timerArms += 1
        }
        if self.isStopRequested { self.endEverything() }
        guard isIdle, !self.isStopping else { return false }
        return self.inbox.withLock { inbox in
            inbox.statistics = self.counters
            guard inbox.entries.isEmpty, inbox.phase == .running else { return false }
            inbox.isAwake = false
            return true
        }
    }

    /// Whether the queue is empty, or its rest is to run on a thread of its own, and the loop is at its end.
    private func hasStopped(force: Bool) -> Bool {
        enum Next { case goOn, end, endAndStartLateThread }
        let next: Next = self.inbox.withLock { inbox in
            let isEmpty = inbox.entries.isEmpty && self.local.isEmpty && self.turnEnd.isEmpty
            guard isEmpty || force else { return .goOn }
            inbox.phase = .stopped
            inbox.statistics = self.counters
            self.thread.store(0, ordering: .relaxed)
            inbox.lateThreadRuns = !isEmpty
            return isEmpty ? .end : .endAndStartLateThread
        }
        if case .endAndStartLateThread = next { self.startLateThread() }
        if case .goOn = next { return false }
        return true
    }

    private func runDeadlines() {
        if self.deadlines.isEmpty, self.armed == .max { return }
        let now = Poller.now
        // The timer has fired, or will be found to have: it has to be set anew.
        if now >= self.armed { self.armed = .max }
        guard let earliest = self.deadlines.earliest, earliest <= now else { return }
        // What a callback schedules for an instant in the past runs in the next turn.
        var due = self.due
        self.due = []
        self.deadlines.takeDue(at: now, into: &due)
        for id in due {
            guard let action = self.deadlines.claim(id) else { continue }
            self.counters.deadlines += 1
            switch action {
            case .callback(let body), .awaited(let body, _): body()
            case .sleeper(let sleeper): sleeper.finish(.slept)
            }
        }
        due.removeAll(keepingCapacity: due.capacity <= 4096)
        self.due = due
    }

    /// Runs the entries that are there now; those they enqueue run in the next turn.
    private func runJobs() {
        self.isStopRequested = self.inbox.withLock { inbox in
            inbox.isAwake = true
            swap(&inbox.entries, &self.incoming)
            return inbox.phase == .stopping
        }
        swap(&self.local, &self.runningLocal)
        self.run(&self.incoming)
        self.run(&self.runningLocal)
    }

    private func run(_ queue: inout [LoopEntry]) {
        if queue.isEmpty { return }
        var entries: [LoopEntry] = []
        swap(&entries, &queue)
        let serial = self.asUnownedSerialExecutor()
        var jobs = 0
        for entry in entries {
            switch entry {
            case .actorJob(let job):
                job.runSynchronously(on: serial)
                jobs += 1
            case .actorJobOfTask(let job, let executor):
                self.runningTaskExecutor = executor
                job.runSynchronously(isolatedTo: serial, taskExecutor: executor)
                self.runningTaskExecutor = nil
                jobs += 1
            case .taskJob(let job, let executor):
                self.runningTaskExecutor = executor
                job.runSynchronously(on: executor)
                self.runningTaskExecutor = nil
                jobs += 1
            case .body(let body):
                body()
            }
        }
        self.counters.jobs += jobs
        self.counters.bodies += entries.count - jobs
        entries.removeAll(keepingCapacity: entries.capacity <= 4096)
        swap(&entries, &queue)
    }

    private func runTurnEnd() {
        for _ in 0..<Self.turnEndRounds {
            if self.turnEnd.isEmpty { return }
            var bodies: [() -> Void] = []
            swap(&bodies, &self.turnEnd)
            for body in bodies { body() }
        }
    }
}
