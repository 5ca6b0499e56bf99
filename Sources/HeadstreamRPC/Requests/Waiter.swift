/// Who waits for the outcome of a request. Resumed exactly once, by the shell, after the state has changed.
package enum Waiter: Sendable {
    package typealias Outcome = Result<ResponseBytes, RPCError>

    /// A task that is suspended.
    case task(SuspendedRequest)
    /// A closure on the loop.
    case callback(@Sendable (Outcome) -> Void)
    /// One item of a batch.
    case item(BatchCollector, Int)
    /// Nobody.
    case nobody

    package func resume(with outcome: Outcome) {
        switch self {
        case .task(let task): task.resume(with: outcome)
        case .callback(let body): body(outcome)
        case .item(let collector, let index): collector.received(outcome, at: index)
        case .nobody: break
        }
    }
}

/// A task that is suspended until its request has an outcome, which it finds here.
///
/// The outcome does not go through the continuation, nor is that one of the checked kind: both are generic code of the
/// runtime's and cost more than all that a request does on the loop. What the checked kind checks is checked here.
///
/// `@unchecked Sendable`: made by the task, which hands it to the loop when it suspends and touches it again when it was
/// resumed.
package final class SuspendedRequest: @unchecked Sendable {
    private var continuation: UnsafeContinuation<Void, Never>?
    private var outcome: Waiter.Outcome?

    package init() {}

    deinit {
        assert(self.continuation == nil, "a request was forgotten")
    }

    /// The task suspends; before anybody else has this.
    package func suspend(_ continuation: UnsafeContinuation<Void, Never>) {
        self.continuation = continuation
    }

    package func resume(with outcome: Waiter.Outcome) {
        self.settle(outcome)?.resume()
    }

    /// The request has ended. - Returns: what is to be resumed, by the caller.
    func settle(_ outcome: Waiter.Outcome) -> UnsafeContinuation<Void, Never>? {
        assert(self.continuation != nil, "a request ended twice")
        guard let continuation = self.continuation.take() else { return nil }
        self.outcome = outcome
        return continuation
    }

    /// For the task, once it was resumed.
    package func takeOutcome() -> Waiter.Outcome {
        self.outcome.take() ?? .failure(RPCError(.cancelled, "cancelled"))
    }
}

/// Gathers the outcomes of a batch's items and resumes its caller when the last is there.
///
/// `@unchecked Sendable`: it is made on the caller's task, handed to the loop, and touched only there until the caller
/// is resumed with its outcomes.
package final class BatchCollector: @unchecked Sendable {
    private var outcomes: [Waiter.Outcome?]
    private var missing: Int
    private var continuation: CheckedContinuation<[Waiter.Outcome], Never>?

    package init(count: Int, continuation: CheckedContinuation<[Waiter.Outcome], Never>) {
        self.outcomes = Array(repeating: nil, count: count)
        self.missing = count
        self.continuation = continuation
        // An empty batch has nothing to wait for, and nobody would resume it.
        if count == 0 {
            self.continuation = nil
            continuation.resume(returning: [])
        }
    }

    fileprivate func received(_ outcome: Waiter.Outcome, at index: Int) {
        guard self.outcomes.indices.contains(index), self.outcomes[index] == nil else { return }
        self.outcomes[index] = outcome
        self.missing -= 1
        guard self.missing == 0, let continuation = self.continuation else { return }
        self.continuation = nil
        continuation.resume(returning: self.outcomes.compactMap { $0 })
    }
}
