import HeadstreamRPC

/// A small consumer: drains a buffer as an iterator would.
final class TestConsumer {
    let buffer: SubscriptionBuffer
    private var arena = Arena()
    private(set) var lost: UInt64 = 0
    /// A batch was followed by losses.
    private(set) var hasLostNewest = false
    private(set) var end: SubscriptionBuffer.End?
    private(set) var resumesReading = 0

    init(_ buffer: SubscriptionBuffer) {
        self.buffer = buffer
    }

    /// Everything that is there now.
    func drain() -> [String] {
        var items: [String] = []
        while true {
            switch self.buffer.refill(&self.arena) {
            case .filled(let resumes):
                if resumes { self.resumesReading += 1 }
                self.lost += self.arena.lost
                if self.arena.isClosed { self.hasLostNewest = true }
                while let record = self.arena.first {
                    items.append(text(record))
                    self.arena.removeFirst()
                }
            case .empty:
                return items
            case .ended(let end):
                self.end = end
                return items
            }
        }
    }

    var failure: RPCError? {
        guard case .failed(let error)? = self.end else { return nil }
        return error
    }

    var hasFinished: Bool {
        guard case .finished? = self.end else { return false }
        return true
    }
}
