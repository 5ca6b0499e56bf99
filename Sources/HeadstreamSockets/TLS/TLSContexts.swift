internal import HeadstreamLocks

/// The contexts of this process, one for each setting. They are made on a thread of their own, which lives for that
/// long; who wants the same meanwhile waits for the same.
final class TLSContexts: Sendable {
    typealias Waiter = @Sendable (Result<TLSContext, SocketError>) -> Void

    private struct State {
        /// The one used last is last.
        var ready: [(settings: TLSSettings, context: TLSContext)] = []
        var waiting: [TLSSettings: [Waiter]] = [:]
    }

    static let shared = TLSContexts()
    /// One with the system's certificates has some 2 MB, of which a program has one.
    static let limit = 64
    private let state = Locked(State())

    var count: Int { self.state.withLock { $0.ready.count } }

    /// The context for these settings, if there is one and its files are as they were; the check is a system call a file.
    func ready(for settings: TLSSettings) -> TLSContext? {
        let found: TLSContext? = self.state.withLock { state in
            guard let index = state.ready.firstIndex(where: { $0.settings == settings }) else { return nil }
            let entry = state.ready.remove(at: index)
            state.ready.append(entry)
            return entry.context
        }
        guard let found else { return nil }
        if found.isCurrent { return found }
        self.state.withLock { state in state.ready.removeAll { $0.context === found } }
        return nil
    }

    /// Makes the context for these settings and tells it, from another thread. A failure is not remembered: the next
    /// connection tries again.
    func make(for settings: TLSSettings, _ waiter: @escaping Waiter) {
        let isFirst = self.state.withLock { state in
            state.waiting[settings, default: []].append(waiter)
            return state.waiting[settings]?.count == 1
        }
        guard isFirst else { return }
        let started = LoopThread.start(name: "headstream-tls", detached: true) {
            let result: Result<TLSContext, SocketError>
            do throws(SocketError) {
                result = .success(try TLSContext(settings))
            } catch {
                result = .failure(error)
            }
            self.made(result, for: settings)
        }
        if started == nil {
            self.made(.failure(.tls(.unavailable, "the system has no thread left to begin TLS")), for: settings)
        }
    }

    private func made(_ result: Result<TLSContext, SocketError>, for settings: TLSSettings) {
        let (waiters, dropped): ([Waiter], [TLSContext]) = self.state.withLock { state in
            let waiters = state.waiting.removeValue(forKey: settings) ?? []
            guard case .success(let context) = result else { return (waiters, []) }
            var dropped = state.ready.filter { $0.settings == settings }.map(\.context)
            state.ready.removeAll { $0.settings == settings }
            state.ready.append((settings, context))
            if state.ready.count > Self.limit { dropped.append(state.ready.removeFirst().context) }
            return (waiters, dropped)
        }
        // Released here and not under the lock.
        _ = dropped
        for waiter in waiters { waiter(result) }
    }
}
