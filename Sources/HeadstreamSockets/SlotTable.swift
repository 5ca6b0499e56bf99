/// What a loop waits for: something with a descriptor.
protocol Pollable: AnyObject {
    /// The descriptor is ready. Called outside any job.
    func ready(_ readiness: Readiness)
    /// The loop ends.
    func loopShutsDown()
}

/// The objects behind the tokens that the poller carries.
///
/// A token holds the slot's index and generation, so that an event which was fetched before its descriptor was closed
/// never reaches the object that has the slot, or the descriptor's number, now.
struct SlotTable {
    private struct Slot {
        var generation: UInt32 = 0
        var object: (any Pollable)?
    }

    private var slots: [Slot] = []
    private var free: [UInt32] = []

    var objects: [any Pollable] { self.slots.compactMap(\.object) }
    var count: Int { self.slots.count - self.free.count }

    mutating func insert(_ object: any Pollable) -> UInt64 {
        let index: UInt32
        if let reused = self.free.popLast() {
            index = reused
        } else {
            index = UInt32(self.slots.count)
            self.slots.append(Slot())
        }
        self.slots[Int(index)].object = object
        return UInt64(self.slots[Int(index)].generation) << 32 | UInt64(index)
    }

    subscript(token: UInt64) -> (any Pollable)? {
        let index = Int(token & 0xffff_ffff)
        guard index < self.slots.count, self.slots[index].generation == UInt32(token >> 32) else { return nil }
        return self.slots[index].object
    }

    mutating func remove(_ token: UInt64) {
        let index = Int(token & 0xffff_ffff)
        guard self[token] != nil else { return }
        self.slots[index].object = nil
        // 31 bits, so that no token is the poller's own.
        self.slots[index].generation = (self.slots[index].generation &+ 1) & 0x7fff_ffff
        self.free.append(UInt32(index))
    }
}
