internal import HeadstreamLocks

/// One task asleep on a loop: a continuation that is resumed once, whichever of the deadline, a cancellation and the
/// loop's shutdown comes first.
final class Sleeper: Sendable {
    enum Outcome {
        case slept
        case cancelled
    }

    private enum State {
        case new
        case waiting(CheckedContinuation<Outcome, Never>)
        case finished(Outcome)
    }

    private struct Sleep {
        var state = State.new
        var deadline: DeadlineID?
    }

    private let sleep = Locked(Sleep())

    /// Keeps the continuation, unless the sleep is over already: a task that was cancelled before it fell asleep has
    /// had its cancellation handler called by then.
    func begin(_ continuation: CheckedContinuation<Outcome, Never>) {
        let early: Outcome? = self.sleep.withLock { sleep in
            if case .finished(let outcome) = sleep.state { return outcome }
            sleep.state = .waiting(continuation)
            return nil
        }
        if let early { continuation.resume(returning: early) }
    }

    /// Notes the deadline to cancel. Returns false if the sleep is over, and none is needed.
    func attach(_ deadline: () -> DeadlineID) -> Bool {
        // The deadline is made on the loop and both this and the removal run there, so there is no race with it.
        let wanted = self.sleep.withLock { sleep in
            if case .finished = sleep.state { return false }
            return true
        }
        guard wanted else { return false }
        let id = deadline()
        self.sleep.withLock { $0.deadline = id }
        return true
    }

    var deadline: DeadlineID? { self.sleep.withLock { $0.deadline } }

    func finish(_ outcome: Outcome) {
        let continuation: CheckedContinuation<Outcome, Never>? = self.sleep.withLock { sleep in
            let state = sleep.state
            if case .finished = state { return nil }
            sleep.state = .finished(outcome)
            if case .waiting(let continuation) = state { return continuation }
            return nil
        }
        continuation?.resume(returning: outcome)
    }
}
