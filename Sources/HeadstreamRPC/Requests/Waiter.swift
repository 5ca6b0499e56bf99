/// Who waits for the outcome of a request. Resumed exactly once, by the shell, after the state has changed.
package enum Waiter: Sendable {
    package typealias Outcome = Result<ResponseBytes, RPCError>

    /// A task that is suspended; made by ``continuation(_:)``.
    case task(SuspendedTask)
    /// A closure on the loop.
    case callback(@Sendable (Outcome) -> Void)
    /// One item of a batch.
    case item(BatchCollector, Int)
    /// Nobody.
    case nobody

    /// A task that is suspended.
    package static func continuation(_ continuation: CheckedContinuation<Outcome, Never>) -> Waiter {
        .task(SuspendedTask(continuation))
    }

    /// Holds a continuation. The standard library does not tell its layout, and enums and dictionaries that hold one
    /// directly are handled by the runtime's tables, which costs more than a request otherwise does.
    package final class SuspendedTask: Sendable {
        fileprivate let continuation: CheckedContinuation<Outcome, Never>

        fileprivate init(_ continuation: CheckedContinuation<Outcome, Never>) {
            self.continuation = continuation
        }
    }

    package func resume(with outcome: Outcome) {
        switch self {
        case .task(let task): task.continuation.resume(returning: outcome)
        case .callback(let body): body(outcome)
        case .item(let collector, let index): collector.received(outcome, at: index)
        case .nobody: break
        }
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
