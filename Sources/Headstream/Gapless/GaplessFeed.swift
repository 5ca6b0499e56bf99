import HeadstreamLocks
import HeadstreamRPC

/// What one gapless consumer is to be told, between the loop and its task.
///
/// Bounded: when it is full the machine is paused for this consumer, keeps the names of blocks only, and fetches what the
/// consumer missed when it comes back. So nothing is lost, and memory stays flat.
final class GaplessFeed: Sendable {
    enum Update: Sendable {
        case event(ContinuityEvent)
        case disconnected(Web3Error)
        case reconnected
        case stalled
    }

    enum Batch: Sendable {
        case updates([Update])
        case ended(Web3Error?)
    }

    private struct State {
        var updates: [Update] = []
        var isFull = false
        var end: Result<Void, Web3Error>?
        var consumer: SuspendedConsumer?
    }

    private final class SuspendedConsumer: Sendable {
        let continuation: CheckedContinuation<Void, Never>

        init(_ continuation: CheckedContinuation<Void, Never>) {
            self.continuation = continuation
        }
    }

    /// Updates that may wait, but for those of one block or one answer, which are told together.
    private let limit: Int
    private let state = Locked(State())

    init(limit: Int) {
        self.limit = max(limit, 16)
    }

    // MARK: The loop's side

    /// - Returns: whether it has just become full.
    @discardableResult
    func add(_ update: Update) -> Bool {
        let (consumer, becameFull) = self.state.withLock { state -> (SuspendedConsumer?, Bool) in
            guard state.end == nil else { return (nil, false) }
            state.updates.append(update)
            let becameFull = !state.isFull && state.updates.count >= self.limit
            state.isFull = state.isFull || becameFull
            defer { state.consumer = nil }
            return (state.consumer, becameFull)
        }
        consumer?.continuation.resume()
        return becameFull
    }

    /// Ends the feed behind what is in it; the first end counts.
    func finish(_ end: Result<Void, Web3Error>) {
        let consumer = self.state.withLock { state -> SuspendedConsumer? in
            if state.end == nil { state.end = end }
            defer { state.consumer = nil }
            return state.consumer
        }
        consumer?.continuation.resume()
    }

    var isFull: Bool { self.state.withLock { $0.isFull } }

    // MARK: The consumer's side

    /// Takes all that is there; waits where there is nothing. Nil when the task is cancelled.
    ///
    /// - Returns: the updates, and whether the machine is to be told that there is room again.
    func take() async -> (Batch, hasRoomAgain: Bool)? {
        while !Task.isCancelled {
            let taken = self.state.withLock { state -> (Batch, Bool)? in
                if !state.updates.isEmpty {
                    defer {
                        state.updates = []
                        state.isFull = false
                    }
                    return (.updates(state.updates), state.isFull)
                }
                switch state.end {
                case nil: return nil
                case .success: return (.ended(nil), false)
                case .failure(let error): return (.ended(error), false)
                }
            }
            if let taken { return taken }
            await self.wait()
        }
        return nil
    }

    private func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                let consumer = SuspendedConsumer(continuation)
                let resumed = self.state.withLock { state -> SuspendedConsumer? in
                    // Asked under the lock: the handler below may have run before, with nobody to resume.
                    if Task.isCancelled || !state.updates.isEmpty || state.end != nil { return consumer }
                    defer { state.consumer = consumer }
                    return state.consumer
                }
                resumed?.continuation.resume()
            }
        } onCancel: {
            let consumer = self.state.withLock { state -> SuspendedConsumer? in
                defer { state.consumer = nil }
                return state.consumer
            }
            consumer?.continuation.resume()
        }
    }
}
