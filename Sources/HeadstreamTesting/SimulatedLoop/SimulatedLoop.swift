package import HeadstreamSockets

/// A loop without a socket or a clock, for tests: time is virtual, channels are in memory, and the order in which jobs
/// run and bytes arrive is drawn from a seed. A whole run of client, node, faults and consumers on it is one function
/// of the seed.
///
/// ```swift
/// let heads = try await SimulatedLoop.run(seed: 7) { loop in … }
/// ```
///
/// What would leave the loop makes a run fail or its order not the seed's: default actors, `Task {}`, `Task.detached`,
/// `Task.sleep` (``sleep(for:)`` instead), the main actor, and results that depend on the order of a `Set`.
///
/// `@unchecked Sendable`: its state is touched by the run's thread only, which ``Schedule`` checks at every entry point
/// that other threads can reach.
public final class SimulatedLoop: SerialExecutor, @unchecked Sendable {
    let schedule: Schedule
    let network: SimulatedNetwork
    private let executor: SimulatedTaskExecutor
    private let callbacks = CallbackLane(label: "callback")
    private var turnEnd: [() -> Void] = []
    private var random: SeededGenerator
    private var sleepers: [UInt64: (deadline: UInt64, continuation: CheckedContinuation<Bool, Never>)] = [:]
    private var lastSleeper: UInt64 = 0
    private var settling: [CheckedContinuation<Void, Never>] = []
    private var lastNote = ""
    /// How far time may move by itself.
    var horizon: UInt64

    /// Whether the trace is kept as text (``trace``) and not only as a digest.
    public var keepsTrace = false
    /// What happened, a line a step, since ``keepsTrace`` was set.
    public private(set) var trace: [String] = []
    /// A digest of the whole trace: two runs with the same one did the same in the same order.
    public private(set) var traceDigest: UInt64 = 0xCBF2_9CE4_8422_2325
    /// How many steps were made.
    public private(set) var steps = 0

    init(seed: UInt64?, clock: ClockMode) {
        self.schedule = Schedule(seed: seed)
        self.executor = SimulatedTaskExecutor(self.schedule)
        self.network = SimulatedNetwork(self.schedule)
        self.random = SeededGenerator(seed: (seed ?? 0) ^ 0x5EED_5EED_5EED_5EED)
        self.horizon = clock == .automatic ? .max : self.schedule.now
    }

    /// How virtual time moves.
    public enum ClockMode: Sendable {
        /// To the next deadline, whenever nothing else is ready.
        case automatic
        /// As far as ``SimulatedLoop/advance(by:)`` allows, and no further.
        case manual
    }

    // MARK: Executors

    /// The executor for tasks that shall run on this loop.
    public var taskExecutor: any TaskExecutor { self.executor }

    public func enqueue(_ job: consuming ExecutorJob) {
        self.schedule.enqueue(UnownedJob(job), .actor)
    }

    public func checkIsolated() {
        precondition(self.isCurrent, "not on the simulated loop")
    }

    public func isIsolatingCurrentContext() -> Bool? { self.isCurrent }

    // MARK: Time

    /// Suspends the calling task for a stretch of virtual time.
    public func sleep(for duration: Duration) async throws(CancellationError) {
        try await self.sleep(until: self.now.advanced(by: duration))
    }

    /// Moves the clock, lets everything happen that is due by then, and returns when nothing is left to do at that
    /// time. The run's clock should be ``ClockMode/manual``, or it would have moved by itself.
    public func advance(by duration: Duration) async throws(CancellationError) {
        let target = self.now.advanced(by: duration)
        guard self.schedule.admits("advance(by:) was called from another thread") else { throw CancellationError() }
        self.horizon = max(self.horizon, target.nanoseconds)
        try await self.sleep(until: target)
        await self.settle()
    }

    /// Returns when everything has happened that can without time moving.
    public func settle() async {
        guard self.schedule.admits("settle() was called from another thread") else { return }
        await withCheckedContinuation { self.settling.append($0) }
    }

    // MARK: Trace

    /// Adds a line of the test's own to the trace. On the loop.
    public func note(_ text: String) {
        guard self.schedule.admits("note(_:) was called from another thread") else { return }
        self.lastNote = text
        self.record("note \(text)")
    }

    private func record(_ line: String) {
        let text = "\(self.now.nanoseconds) \(line)"
        for byte in text.utf8 { self.traceDigest = (self.traceDigest ^ UInt64(byte)) &* 0x100_0000_01B3 }
        self.traceDigest = (self.traceDigest ^ 0x0A) &* 0x100_0000_01B3
        if self.keepsTrace { self.trace.append(text) }
    }
}

extension SimulatedLoop: Loop {
    package var now: LoopInstant { LoopInstant(nanoseconds: self.schedule.now) }

    package var isCurrent: Bool { self.schedule.isCurrent }

    package func execute(_ body: @escaping @Sendable () -> Void) {
        guard self.schedule.admits("a callback was given to execute(_:) from another thread") else { return }
        // Without a seed everything runs in the order it came, so each callback stands in the queue by itself; with one
        // they are a lane, since callbacks must not change places among themselves.
        let lane = self.schedule.seed == nil ? CallbackLane(label: "callback") : self.callbacks
        lane.append(body)
        self.schedule.wake(lane)
    }

    package func atTurnEnd(_ body: @escaping () -> Void) {
        guard self.schedule.admits("atTurnEnd(_:) was called from another thread") else { return }
        self.turnEnd.append(body)
    }

    package func schedule(at instant: LoopInstant, _ body: @escaping () -> Void) -> DeadlineID {
        guard self.schedule.admits("schedule(at:_:) was called from another thread") else {
            return DeadlineID(rawValue: 0)
        }
        let id = self.schedule.deadlines.schedule(at: instant.nanoseconds, body)
        self.schedule.wake(self.schedule.deadlines)
        return DeadlineID(rawValue: id)
    }

    /// A simulated loop is not shut down.
    package func schedule(
        at instant: LoopInstant,
        _ body: @escaping () -> Void,
        ifShutDown ended: @escaping () -> Void
    ) -> DeadlineID {
        self.schedule(at: instant, body)
    }

    package func cancel(_ deadline: DeadlineID) {
        guard self.schedule.admits("cancel(_:) was called from another thread") else { return }
        self.schedule.deadlines.cancel(deadline.rawValue)
    }

    package func sleep(until instant: LoopInstant) async throws(CancellationError) {
        guard self.schedule.admits("sleep(until:) was called from another thread") else { throw CancellationError() }
        self.lastSleeper += 1
        let id = self.lastSleeper
        let slept = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // Cancelled before it is registered: the handler has run already and found nothing to wake.
                if Task.isCancelled { return continuation.resume(returning: false) }
                let deadline = self.schedule.deadlines.schedule(at: instant.nanoseconds) {
                    self.wakeSleeper(id, slept: true)
                }
                self.sleepers[id] = (deadline, continuation)
                self.schedule.wake(self.schedule.deadlines)
            }
        } onCancel: {
            guard self.schedule.admits("a sleeping task was cancelled from another thread") else { return }
            self.wakeSleeper(id, slept: false)
        }
        if !slept { throw CancellationError() }
    }

    package func fillRandom(_ bytes: UnsafeMutableRawBufferPointer) {
        var word: UInt64 = 0
        for index in bytes.indices {
            if index % 8 == 0 { word = self.random.next() }
            bytes[index] = UInt8(truncatingIfNeeded: word)
            word >>= 8
        }
    }

    package func connect(to address: SocketAddress, delegate: any ChannelDelegate) -> any Channel {
        self.network.connect(to: address, delegate: delegate)
    }

    package func listen(
        on address: SocketAddress,
        tls: TLSServer?,
        accept: @escaping (any Channel) -> any ChannelDelegate
    ) throws(SocketError) -> any Listener {
        if tls != nil { throw .noSimulatedTLS }
        return try self.network.listen(on: address, accept: accept)
    }

    private func wakeSleeper(_ id: UInt64, slept: Bool) {
        guard let sleeper = self.sleepers.removeValue(forKey: id) else { return }
        self.schedule.deadlines.cancel(sleeper.deadline)
        sleeper.continuation.resume(returning: slept)
    }
}

// MARK: - Turns

extension SimulatedLoop {
    /// Whether something can happen without time moving.
    var hasWork: Bool {
        self.schedule.readyCount > 0 || !self.turnEnd.isEmpty || self.network.hasWrites
    }

    /// A turn: some of what is ready, then what waits for the turn's end, then the turn's writes.
    func turn() {
        var count = self.schedule.drawAmount(of: self.schedule.readyCount)
        while count > 0, let item = self.schedule.takeNext() {
            count -= 1
            self.steps += 1
            switch item {
            case .job(let job):
                self.record("\(job.origin == .actor ? "actor" : "task") job \(job.number)")
                switch job.origin {
                case .actor: job.job.runSynchronously(on: self.asUnownedSerialExecutor())
                case .task: job.job.runSynchronously(on: self.executor.asUnownedTaskExecutor())
                }
            case .lane(let lane):
                let told = lane.step()
                self.record(told.isEmpty ? lane.label : "\(lane.label) \(told)")
                self.schedule.wake(lane)
            }
        }
        let callbacks = self.turnEnd
        self.turnEnd = []
        for callback in callbacks { callback() }
        self.network.flushWrites()
    }

    /// Resumes who waits for quiet; false if nobody does.
    func wakeSettling() -> Bool {
        guard !self.settling.isEmpty else { return false }
        let waiting = self.settling
        self.settling = []
        for continuation in waiting { continuation.resume() }
        return true
    }

    /// Moves the clock to the next deadline; false if there is none, or none that the clock may reach.
    func moveTime() -> Bool {
        let deadlines = self.schedule.deadlines
        guard let next = deadlines.next, next <= self.horizon else { return false }
        self.schedule.now = max(next, self.schedule.now)
        self.schedule.wake(deadlines)
        return true
    }

    /// What is open, for the errors of a run that cannot go on.
    var waiting: String {
        var parts: [String] = []
        let deadlines = self.schedule.deadlines
        if deadlines.count > 0 {
            parts.append("\(deadlines.count) deadlines beyond the clock, \(self.sleepers.count) of them sleeping tasks")
        }
        parts += self.network.openEnds
        if !self.lastNote.isEmpty { parts.append("the last note was \"\(self.lastNote)\"") }
        return parts.isEmpty ? "no channel, listener or deadline is open" : parts.joined(separator: "; ")
    }

    /// Lets cancelled tasks come to their end, without time moving, then forgets everything.
    func windDown() {
        var bound = 100_000
        for id in self.sleepers.keys.sorted() { self.wakeSleeper(id, slept: false) }
        while bound > 0, self.hasWork || self.wakeSettling() {
            let before = self.steps
            self.turn()
            bound -= max(1, self.steps - before)
        }
        self.network.removeAll()
        self.callbacks.removeAll()
        self.turnEnd = []
        self.schedule.removeAll()
    }
}
