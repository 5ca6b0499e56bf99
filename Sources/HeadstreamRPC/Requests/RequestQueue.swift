/// Requests that wait for a place on the wire, in order.
///
/// A cancelled one is struck out by its id elsewhere; here it stays as a name until its turn or until such names
/// outnumber the others.
struct RequestQueue {
    private var ids: [RequestID] = []
    private var head = 0

    var isEmpty: Bool { self.head == self.ids.count }

    mutating func append(_ id: RequestID) {
        self.ids.append(id)
    }

    var first: RequestID? { self.isEmpty ? nil : self.ids[self.head] }

    mutating func removeFirst() {
        guard !self.isEmpty else { return }
        self.head += 1
        if self.head > 64, self.head * 2 > self.ids.count {
            self.ids.removeFirst(self.head)
            self.head = 0
        }
    }

    mutating func compact(liveCount: Int, isLive: (RequestID) -> Bool) {
        guard self.ids.count - self.head > 2 * liveCount + 64 else { return }
        self.ids.removeFirst(self.head)
        self.head = 0
        self.ids.removeAll { !isLive($0) }
    }
}
