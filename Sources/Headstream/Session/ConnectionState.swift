import HeadstreamLocks
import HeadstreamRPC

/// Where a client's connection stands, as `web3.connectionStates` tells it.
public enum ConnectionState: Sendable, Hashable {
    /// An attempt is under way.
    case connecting
    /// The connection stands, and subscriptions are being made anew on it.
    case connected
    /// It was lost, or an attempt failed; the next attempt begins after this time, which is zero where another endpoint is
    /// tried.
    case waiting(Duration, Web3Error)
    /// It is closed for good; with the reason where it was not the user's wish. The last state.
    case closed(Web3Error?)
}

/// The states of a client's connection, from the present one on, as `web3.connectionStates` gives them.
///
/// It ends after ``ConnectionState/closed(_:)``. A consumer that is slow misses states between, never the newest: at most
/// 16 wait for it.
public struct ConnectionStates: AsyncSequence, Sendable {
    public typealias Element = ConnectionState
    public typealias Failure = Never

    let broadcaster: StateBroadcaster

    public func makeAsyncIterator() -> Iterator {
        Iterator(watcher: self.broadcaster.watch())
    }

    /// Belongs to one task at a time.
    public struct Iterator: AsyncIteratorProtocol {
        let watcher: StateWatcher

        /// The next state; nil after the last, or when the task is cancelled.
        public nonisolated(nonsending) mutating func next(isolation: (any Actor)? = #isolation) async
            -> ConnectionState?
        {
            await self.watcher.next()
        }
    }
}

/// Tells states to all that watch.
final class StateBroadcaster: Sendable {
    private struct State {
        var newest: ConnectionState?
        var isFinished = false
        var watchers: [WeakWatcher] = []
    }

    private struct WeakWatcher: @unchecked Sendable {
        // Weak references are atomic.
        weak var watcher: StateWatcher?
    }

    private let state = Locked(State())

    func watch() -> StateWatcher {
        let watcher = StateWatcher()
        self.state.withLock { state in
            if let newest = state.newest { _ = watcher.add(newest) }
            if state.isFinished {
                _ = watcher.finish()
            } else {
                state.watchers.removeAll { $0.watcher == nil }
                state.watchers.append(WeakWatcher(watcher: watcher))
            }
        }
        return watcher
    }

    func tell(_ newest: ConnectionState) {
        let watchers = self.state.withLock { state -> [WeakWatcher] in
            guard !state.isFinished else { return [] }
            state.newest = newest
            return state.watchers
        }
        for watcher in watchers { watcher.watcher?.add(newest)?.resume() }
    }

    func finish() {
        let watchers = self.state.withLock { state -> [WeakWatcher] in
            defer { state.watchers = [] }
            state.isFinished = true
            return state.watchers
        }
        for watcher in watchers { watcher.watcher?.finish()?.resume() }
    }
}

/// One iterator's place: the states that it has yet to take.
final class StateWatcher: Sendable {
    private struct State: AwaitedState {
        var waiting: [ConnectionState] = []
        var isFinished = false
        var consumer: SuspendedConsumer?

        var isReady: Bool { !self.waiting.isEmpty || self.isFinished }
    }

    private let state = Locked(State())

    /// - Returns: the consumer to resume.
    func add(_ newest: ConnectionState) -> SuspendedConsumer? {
        self.state.withLock { state in
            if state.waiting.count == 16 { state.waiting.removeFirst() }
            state.waiting.append(newest)
            return state.takeConsumer()
        }
    }

    /// - Returns: the consumer to resume.
    func finish() -> SuspendedConsumer? {
        self.state.withLock { state in
            state.isFinished = true
            return state.takeConsumer()
        }
    }

    func next() async -> ConnectionState? {
        while !Task.isCancelled {
            let (taken, isFinished) = self.state.withLock { state -> (ConnectionState?, Bool) in
                if state.waiting.isEmpty { return (nil, state.isFinished) }
                return (state.waiting.removeFirst(), false)
            }
            if let taken { return taken }
            if isFinished { return nil }
            await self.state.waitUntilReady()
        }
        return nil
    }
}
