/// A source of steps that stay in order among themselves: one channel's deliveries, one origin's callbacks, the due
/// deadlines. The schedule picks among lanes and jobs; it never reorders a lane.
protocol Lane: AnyObject {
    /// What the trace calls it; the same in every process.
    var label: String { get }
    /// Whether a step can be made now.
    var hasWork: Bool { get }
    /// Whether the lane stands in the schedule; set by the schedule only.
    var isScheduled: Bool { get set }
    /// Makes one step and returns what the trace tells about it.
    func step() -> String
}

/// Callbacks of one origin in the order they were given.
final class CallbackLane: Lane {
    let label: String
    var isScheduled = false
    private var callbacks: [() -> Void] = []
    private var head = 0

    init(label: String) {
        self.label = label
    }

    var hasWork: Bool { self.head < self.callbacks.count }

    func append(_ callback: @escaping () -> Void) {
        self.callbacks.append(callback)
    }

    func step() -> String {
        let callback = self.callbacks[self.head]
        self.head += 1
        if self.head == self.callbacks.count {
            self.callbacks.removeAll(keepingCapacity: true)
            self.head = 0
        }
        callback()
        return ""
    }

    func removeAll() {
        self.callbacks = []
        self.head = 0
    }
}

/// Deadlines by time and, at one time, by the order they were set; its steps are the ones that are due.
final class DeadlineLane: Lane {
    let label = "deadline"
    var isScheduled = false
    /// The virtual clock, kept up to date by the loop.
    var now: UInt64 = 0
    private var heap: [(time: UInt64, id: UInt64)] = []
    private var callbacks: [UInt64: () -> Void] = [:]
    private var lastID: UInt64 = 0

    var hasWork: Bool { self.next.map { $0 <= self.now } ?? false }

    /// How many are set and neither run nor cancelled.
    var count: Int { self.callbacks.count }

    /// When the next one is due.
    var next: UInt64? {
        while let first = self.heap.first {
            if self.callbacks[first.id] != nil { return first.time }
            self.removeFirst()
        }
        return nil
    }

    func schedule(at time: UInt64, _ callback: @escaping () -> Void) -> UInt64 {
        self.lastID += 1
        self.callbacks[self.lastID] = callback
        self.heap.append((time, self.lastID))
        var child = self.heap.count - 1
        while child > 0, self.heap[child] < self.heap[(child - 1) / 2] {
            self.heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
        return self.lastID
    }

    func cancel(_ id: UInt64) {
        self.callbacks[id] = nil
    }

    func step() -> String {
        guard self.hasWork, let first = self.heap.first else { return "" }
        self.removeFirst()
        let callback = self.callbacks.removeValue(forKey: first.id)
        callback?()
        return "\(first.id)"
    }

    func removeAll() {
        self.heap = []
        self.callbacks = [:]
    }

    private func removeFirst() {
        self.heap.swapAt(0, self.heap.count - 1)
        self.heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < self.heap.count && self.heap[child] < self.heap[least] {
                least = child
            }
            if least == parent { return }
            self.heap.swapAt(parent, least)
            parent = least
        }
    }
}
