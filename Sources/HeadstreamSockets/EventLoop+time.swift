extension EventLoop {
    package func schedule(at instant: LoopInstant, _ body: @escaping () -> Void) -> DeadlineID {
        self.schedule(at: instant, .callback(body))
    }

    package func schedule(
        at instant: LoopInstant,
        _ body: @escaping () -> Void,
        ifShutDown ended: @escaping () -> Void
    ) -> DeadlineID {
        guard self.isStopping else { return self.schedule(at: instant, .awaited(body, ifShutDown: ended)) }
        // Not inside this call, as no deadline is.
        self.atTurnEnd(ended)
        return DeadlineID(rawValue: .max)
    }

    func schedule(at instant: LoopInstant, _ action: DeadlineAction) -> DeadlineID {
        assert(self.isCurrent)
        // After the end no deadline is reached; an identity that fits none is harmless to cancel.
        if self.isStopping { return DeadlineID(rawValue: .max) }
        return self.deadlines.insert(at: instant, action)
    }

    package func cancel(_ deadline: DeadlineID) {
        assert(self.isCurrent)
        self.deadlines.cancel(deadline)
    }

    /// Suspends the calling task for `duration`, counting the time the machine is suspended too.
    /// Throws `CancellationError` when the task is cancelled or the loop is shut down.
    public func sleep(for duration: Duration) async throws(CancellationError) {
        try await self.sleep(until: self.now.advanced(by: duration))
    }

    package func sleep(until instant: LoopInstant) async throws(CancellationError) {
        let sleeper = Sleeper()
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                sleeper.begin(continuation)
                self.isCurrent ? self.begin(sleeper, instant) : self.execute { self.begin(sleeper, instant) }
            }
        } onCancel: {
            sleeper.finish(.cancelled)
            // What is left is an entry of the heap. If the sleep has not begun on the loop, it will see that it is over.
            self.execute {
                if let deadline = sleeper.deadline { self.cancel(deadline) }
            }
        }
        if outcome == .cancelled { throw CancellationError() }
    }

    private func begin(_ sleeper: Sleeper, _ instant: LoopInstant) {
        if self.isStopping { return sleeper.finish(.cancelled) }
        _ = sleeper.attach { self.schedule(at: instant, .sleeper(sleeper)) }
    }
}
