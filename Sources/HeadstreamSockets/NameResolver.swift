internal import HeadstreamLocks
internal import Synchronization

/// Looks names up on at most two threads of its own, because `getaddrinfo` blocks, for half a minute where no server
/// answers. The threads are made when there is a name and end when there is none.
final class NameResolver: Sendable {
    /// One look-up, which can be given up while it waits; one that has begun ends in its own time.
    final class Request: Sendable {
        let host: String
        let port: UInt16
        private let isCancelled = Atomic(false)
        private let body: @Sendable (Result<[RawAddress], SocketError>) -> Void

        init(
            host: String,
            port: UInt16,
            _ body: @escaping @Sendable (Result<[RawAddress], SocketError>) -> Void
        ) {
            self.host = host
            self.port = port
            self.body = body
        }

        func cancel() {
            self.isCancelled.store(true, ordering: .relaxed)
        }

        fileprivate func run() {
            guard !self.isCancelled.load(ordering: .relaxed) else { return }
            self.body(RawAddress.resolve(self.host, port: self.port, mayAsk: true))
        }

        fileprivate func fail(_ error: SocketError) {
            self.body(.failure(error))
        }
    }

    private struct Queue {
        var waiting: [Request] = []
        var threads = 0
    }

    private static let threadLimit = 2
    private let queue = Locked(Queue())

    /// Looks `request` up; its body is called on a thread of the resolver.
    func resolve(_ request: Request) {
        let needsThread = self.queue.withLock { queue in
            queue.waiting.append(request)
            guard queue.threads < Self.threadLimit else { return false }
            queue.threads += 1
            return true
        }
        guard needsThread, LoopThread.start(name: "headstream-dns", detached: true, { self.run() }) == nil else {
            return
        }
        // No thread to be had. If the other one lives it takes the request; else nobody would.
        let orphans: [Request] = self.queue.withLock { queue in
            queue.threads -= 1
            guard queue.threads == 0 else { return [] }
            let waiting = queue.waiting
            queue.waiting = []
            return waiting
        }
        for orphan in orphans {
            orphan.fail(
                SocketError(.nameNotResolved, message: "the system has no thread left to look up \(orphan.host)")
            )
        }
    }

    private func run() {
        while true {
            let request: Request? = self.queue.withLock { queue in
                if queue.waiting.isEmpty {
                    queue.threads -= 1
                    return nil
                }
                return queue.waiting.removeFirst()
            }
            guard let request else { return }
            request.run()
        }
    }
}
