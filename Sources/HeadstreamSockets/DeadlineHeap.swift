/// What happens when a deadline is reached.
enum DeadlineAction {
    case callback(() -> Void)
    /// With what runs in its place where the loop is shut down before.
    case awaited(() -> Void, ifShutDown: () -> Void)
    case sleeper(Sleeper)
}

/// Deadlines in order of their instants, those of one instant in the order they were scheduled.
///
/// A binary heap whose nodes know their slot and whose slots know their place in the heap, so that cancelling removes
/// an entry at once (O(log n)) and nothing cancelled is carried along. Slots are reused; an identity has the slot's
/// generation in its upper half, so an old identity never hits a new deadline.
struct DeadlineHeap {
    private struct Node {
        var instant: UInt64
        var sequence: UInt64
        var slot: UInt32
    }

    private struct Slot {
        var generation: UInt32
        /// Index into `heap`; -1 when free or taken out as due.
        var position: Int
        var action: DeadlineAction?
    }

    private var heap: [Node] = []
    private var slots: [Slot] = []
    private var free: [UInt32] = []
    private var sequence: UInt64 = 0

    var isEmpty: Bool { self.heap.isEmpty }
    var count: Int { self.heap.count }

    /// The earliest instant in nanoseconds.
    var earliest: UInt64? { self.heap.first?.instant }

    mutating func insert(at instant: LoopInstant, _ action: DeadlineAction) -> DeadlineID {
        let slot: UInt32
        if let reused = self.free.popLast() {
            slot = reused
        } else {
            slot = UInt32(self.slots.count)
            self.slots.append(Slot(generation: 0, position: -1, action: nil))
        }
        self.slots[Int(slot)].action = action
        self.heap.append(Node(instant: instant.nanoseconds, sequence: self.sequence, slot: slot))
        self.sequence &+= 1
        self.moveUp(self.heap.count - 1)
        return DeadlineID(rawValue: UInt64(self.slots[Int(slot)].generation) << 32 | UInt64(slot))
    }

    /// Forgets a deadline; one that is not there any more is ignored.
    mutating func cancel(_ id: DeadlineID) {
        guard let slot = self.slot(of: id) else { return }
        let position = self.slots[slot].position
        if position >= 0 { self.removeNode(at: position) }
        self.release(slot)
    }

    /// Takes the deadlines that are due at `now` out of the order, without forgetting what they do: until
    /// ``claim(_:)`` they can still be cancelled by those that run before them.
    mutating func takeDue(at now: UInt64, into due: inout [DeadlineID]) {
        while let first = self.heap.first, first.instant <= now {
            let slot = Int(first.slot)
            self.removeNode(at: 0)
            self.slots[slot].position = -1
            due.append(DeadlineID(rawValue: UInt64(self.slots[slot].generation) << 32 | UInt64(slot)))
        }
    }

    /// What a due deadline does; nil if it was cancelled since.
    mutating func claim(_ id: DeadlineID) -> DeadlineAction? {
        guard let slot = self.slot(of: id) else { return nil }
        let action = self.slots[slot].action
        self.release(slot)
        return action
    }

    /// Empties the heap and returns what was in it.
    mutating func removeAll() -> [DeadlineAction] {
        let actions = self.slots.compactMap(\.action)
        for index in self.slots.indices where self.slots[index].action != nil { self.release(index) }
        self.heap.removeAll()
        return actions
    }

    private func slot(of id: DeadlineID) -> Int? {
        let index = Int(truncatingIfNeeded: id.rawValue & 0xffff_ffff)
        guard index < self.slots.count, self.slots[index].action != nil,
            self.slots[index].generation == UInt32(truncatingIfNeeded: id.rawValue >> 32)
        else { return nil }
        return index
    }

    private mutating func release(_ slot: Int) {
        self.slots[slot].action = nil
        self.slots[slot].position = -1
        self.slots[slot].generation &+= 1
        self.free.append(UInt32(slot))
    }

    private mutating func removeNode(at position: Int) {
        let last = self.heap.removeLast()
        guard position < self.heap.count else { return }
        self.heap[position] = last
        self.slots[Int(last.slot)].position = position
        if !self.moveUp(position) { self.moveDown(position) }
    }

    private static func precedes(_ left: Node, _ right: Node) -> Bool {
        left.instant != right.instant ? left.instant < right.instant : left.sequence < right.sequence
    }

    /// Returns whether the node moved.
    @discardableResult
    private mutating func moveUp(_ start: Int) -> Bool {
        let node = self.heap[start]
        var position = start
        while position > 0 {
            let parent = (position - 1) / 2
            guard Self.precedes(node, self.heap[parent]) else { break }
            self.place(self.heap[parent], at: position)
            position = parent
        }
        self.place(node, at: position)
        return position != start
    }

    private mutating func moveDown(_ start: Int) {
        let node = self.heap[start]
        var position = start
        while true {
            var child = 2 * position + 1
            guard child < self.heap.count else { break }
            if child + 1 < self.heap.count, Self.precedes(self.heap[child + 1], self.heap[child]) { child += 1 }
            guard Self.precedes(self.heap[child], node) else { break }
            self.place(self.heap[child], at: position)
            position = child
        }
        self.place(node, at: position)
    }

    private mutating func place(_ node: Node, at position: Int) {
        self.heap[position] = node
        self.slots[Int(node.slot)].position = position
    }
}
