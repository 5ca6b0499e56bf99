import HeadstreamLocks
import HeadstreamRPC

/// What one gapless consumer is to be told, between the loop and its task.
///
/// Bounded by the machine, which counts what it told in bytes: from a share of the consumer's limit on it tells nothing more
/// until some of it is taken. It lets go of logs that wait then, and fetches them again as the consumer reads: nothing is
/// lost, and memory stays flat.
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
        /// How many bytes had been told in all with the last of them, and with the last that was taken.
        var told = 0
        var taken = 0
        /// The machine waits for room.
        var isFull = false
        var end: Result<Void, Web3Error>?
        var consumer: SuspendedConsumer?

        var isReady: Bool { !self.updates.isEmpty || self.end != nil }
    }

    private let state = Locked(State())
    /// So many updates of the connection may wait behind each other; of more the newest counts.
    private static let maxOfConnection = 16

    // MARK: The loop's side

    /// Adds what the machine told.
    ///
    /// - Parameters:
    ///   - told: the bytes told in all, with these.
    ///   - isFull: whether the machine tells no more until something is taken; ``take()`` then says so.
    /// - Returns: the bytes that were taken in all.
    func add(_ updates: [Update], upTo told: Int, isFull: Bool) -> Int {
        let (consumer, taken) = self.state.withLock { state -> (SuspendedConsumer?, Int) in
            guard state.end == nil else { return (nil, told) }
            state.updates += updates
            state.told = told
            state.isFull = isFull
            return (state.takeConsumer(), state.taken)
        }
        consumer?.resume()
        return taken
    }

    /// Adds what happened to the connection, which the machine does not count.
    func add(ofConnection update: Update) {
        let consumer = self.state.withLock { state -> SuspendedConsumer? in
            guard state.end == nil else { return nil }
            let waiting = state.updates.reversed().prefix(Self.maxOfConnection).prefix { $0.isOfConnection }.count
            if waiting >= Self.maxOfConnection { state.updates.removeLast(waiting) }
            state.updates.append(update)
            return state.takeConsumer()
        }
        consumer?.resume()
    }

    /// Ends the feed behind what is in it; the first end counts.
    func finish(_ end: Result<Void, Web3Error>) {
        let consumer = self.state.withLock { state -> SuspendedConsumer? in
            if state.end == nil { state.end = end }
            return state.takeConsumer()
        }
        consumer?.resume()
    }

    /// How many bytes the consumer has taken in all.
    var taken: Int { self.state.withLock { $0.taken } }

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
                        state.taken = state.told
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
