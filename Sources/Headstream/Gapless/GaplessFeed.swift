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
        case diverged(Endpoint, BlockRef)

        /// Whether it is about connections, and not the chain.
        var isOfConnection: Bool {
            switch self {
            case .event: false
            case .disconnected, .reconnected, .stalled, .diverged: true
            }
        }
    }

    enum Batch: Sendable {
        case updates([Update])
        case ended(Web3Error?)
    }

    private struct State: AwaitedState {
        var updates: [Update] = []
        var isFull = false
        var end: Result<Void, Web3Error>?
        var consumer: SuspendedConsumer?

        var isReady: Bool { !self.updates.isEmpty || self.end != nil }
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
            // Of what a full feed is told of connections the newest counts.
            while state.isFull, update.isOfConnection, state.updates.last?.isOfConnection == true {
                state.updates.removeLast()
            }
            state.updates.append(update)
            let becameFull = !state.isFull && state.updates.count >= self.limit
            state.isFull = state.isFull || becameFull
            return (state.takeConsumer(), becameFull)
        }
        consumer?.resume()
        return becameFull
    }

    /// Ends the feed behind what is in it; the first end counts.
    func finish(_ end: Result<Void, Web3Error>) {
        let consumer = self.state.withLock { state -> SuspendedConsumer? in
            if state.end == nil { state.end = end }
            return state.takeConsumer()
        }
        consumer?.resume()
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
            await self.state.waitUntilReady()
        }
        return nil
    }
}
