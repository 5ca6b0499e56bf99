import Glibc
import HeadstreamLocks

/// Why a run ends before its time.
enum StopReason: Sendable, Hashable {
    /// `--for` is over.
    case durationReached
    case signal(Int32)
    /// Whoever read the output has closed it.
    case outputClosed
    /// The output cannot be written; the value is `errno`.
    case outputFailed(Int32)
    /// The file of `--resume` cannot be written; the value is `errno`.
    case cursorFailed(Int32)
}

/// Ends a run, for the first reason that comes, by cancelling its task.
final class StopSignal: Sendable {
    private struct State {
        var reason: StopReason?
        var task: Task<Void, Never>?
    }

    private let state = Locked(State())

    /// The first reason given.
    var reason: StopReason? { self.state.withLock { $0.reason } }

    /// From any thread.
    ///
    /// - Returns: whether this is the first reason.
    @discardableResult
    func stop(_ reason: StopReason) -> Bool {
        let (isFirst, task) = self.state.withLock { state in
            defer { state.reason = state.reason ?? reason }
            return (state.reason == nil, state.task)
        }
        task?.cancel()
        return isFirst
    }

    /// The task to be cancelled; at once where there is a reason already.
    func watch(_ task: Task<Void, Never>) {
        let isStopped = self.state.withLock { state in
            state.task = task
            return state.reason != nil
        }
        if isStopped { task.cancel() }
    }
}
