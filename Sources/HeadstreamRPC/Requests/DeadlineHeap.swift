/// The deadlines of requests, earliest first, behind one scheduled callback.
///
/// Requests that were answered leave their entry behind; when such entries outnumber the live ones the heap is made
/// anew, so it stays within a constant factor of the requests that wait.
struct DeadlineHeap {
    private struct Entry {
        var instant: UInt64
        var id: RequestID
    }

    private var entries: [Entry] = []

    var count: Int { self.entries.count }

    /// The earliest deadline, which may be of a request that is already answered.
    var earliest: UInt64? { self.entries.first?.instant }

    mutating func insert(_ id: RequestID, at instant: UInt64) {
        self.entries.append(Entry(instant: instant, id: id))
        var child = self.entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard self.entries[child].instant < self.entries[parent].instant else { break }
            self.entries.swapAt(child, parent)
            child = parent
        }
    }

    /// Removes and returns one request whose deadline is due.
    mutating func popDue(at now: UInt64) -> RequestID? {
        guard let first = self.entries.first, first.instant <= now else { return nil }
        let last = self.entries.removeLast()
        if !self.entries.isEmpty {
            self.entries[0] = last
            self.sink(from: 0)
        }
        return first.id
    }

    /// Whether the entries of requests that were answered have come to outnumber the live ones.
    func isOvergrown(liveCount: Int) -> Bool { self.entries.count > 2 * liveCount + 64 }

    /// Drops the entries that `isLive` does not know.
    mutating func compact(isLive: (RequestID) -> Bool) {
        self.entries.removeAll { !isLive($0.id) }
        for index in stride(from: self.entries.count / 2 - 1, through: 0, by: -1) { self.sink(from: index) }
    }

    /// Drops the earliest entries that `isLive` does not know, so that nobody is woken for them.
    mutating func dropStale(isLive: (RequestID) -> Bool) {
        while let first = self.entries.first, !isLive(first.id) { _ = self.popDue(at: first.instant) }
    }

    mutating func removeAll(keepingCapacity: Bool = false) {
        self.entries.removeAll(keepingCapacity: keepingCapacity)
    }

    private mutating func sink(from index: Int) {
        var parent = index
        while true {
            var least = parent
            for child in (2 * parent + 1)...(2 * parent + 2)
            where child < self.entries.count && self.entries[child].instant < self.entries[least].instant {
                least = child
            }
            guard least != parent else { return }
            self.entries.swapAt(parent, least)
            parent = least
        }
    }
}
