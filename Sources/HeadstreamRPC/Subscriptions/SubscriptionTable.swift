import CHeadstreamBytes

/// From a server's subscription id to its slot, O(1) with any number of subscriptions.
///
/// Open addressing over the bytes of the id; the hash is seeded, so that a node cannot choose ids that collide. The
/// subscription found last is tried first.
struct SubscriptionTable: ~Copyable {
    typealias Slot = UnsafeMutablePointer<SubscriptionSlot>

    private var places: [Slot?] = Array(repeating: nil, count: 8)
    private(set) var count = 0
    private var last: Slot?
    private let seed: UInt64

    init(seed: UInt64) {
        self.seed = seed
    }

    deinit {
        for slot in self.places {
            var next = slot
            while let slot = next {
                next = slot.pointee.sibling
                slot.deinitialize(count: 1)
                slot.deallocate()
            }
        }
    }

    // MARK: Hashing

    /// Multiply-and-fold over 8-byte words, in the manner of wyhash; ids are short.
    @inline(__always)
    func hash(_ id: UnsafeRawBufferPointer) -> UInt64 {
        var hash = self.seed ^ UInt64(truncatingIfNeeded: id.count)
        var offset = 0
        while offset &+ 8 <= id.count {
            hash = Self.fold(hash ^ id.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset &+= 8
        }
        var rest: UInt64 = 0
        while offset < id.count {
            rest = rest << 8 | UInt64(id[offset])
            offset &+= 1
        }
        return Self.fold(hash ^ rest)
    }

    @inline(__always)
    private static func fold(_ value: UInt64) -> UInt64 {
        let (high, low) = value.multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        return high ^ low
    }

    // MARK: Look-up

    /// The slot of `id`: the first of several that share it.
    @inline(__always)
    mutating func find(_ id: UnsafeRawBufferPointer) -> Slot? {
        if let last = self.last, Self.matches(last, id) { return last }
        let mask = self.places.count &- 1
        var place = Int(truncatingIfNeeded: self.hash(id)) & mask
        while let slot = self.places[place] {
            if Self.matches(slot, id) {
                self.last = slot
                return slot
            }
            place = (place &+ 1) & mask
        }
        return nil
    }

    @inline(__always)
    private static func matches(_ slot: Slot, _ id: UnsafeRawBufferPointer) -> Bool {
        let count = slot.pointee.serverID.count
        guard count == id.count, let base = id.baseAddress else { return false }
        return slot.pointee.serverID.withUnsafeBytes { own in
            guard let ownBase = own.baseAddress else { return false }
            return hs_equal(ownBase, base, count)
        }
    }

    // MARK: Changing

    /// Adds a slot, behind those that have the same id.
    mutating func insert(_ slot: consuming SubscriptionSlot) -> Slot {
        let hash = slot.hash
        let pointer = Slot.allocate(capacity: 1)
        pointer.initialize(to: slot)
        if let first = pointer.pointee.serverID.withUnsafeBytes({ self.find($0) }) {
            pointer.pointee.sibling = first.pointee.sibling
            first.pointee.sibling = pointer
            return pointer
        }
        if (self.count + 1) * 2 > self.places.count { self.grow() }
        self.place(pointer, hash: hash)
        self.count += 1
        return pointer
    }

    /// Removes a slot and frees it.
    ///
    /// - Returns: whether the server's id has no slot any more, so that it is to be unsubscribed.
    mutating func remove(_ slot: Slot) -> Bool {
        defer {
            slot.deinitialize(count: 1)
            slot.deallocate()
        }
        if self.last == slot { self.last = nil }
        let mask = self.places.count - 1
        var place = Int(truncatingIfNeeded: slot.pointee.hash) & mask
        while let first = self.places[place] {
            if first == slot {
                if let sibling = slot.pointee.sibling {
                    self.places[place] = sibling
                    return false
                }
                self.vacate(place)
                self.count -= 1
                return true
            }
            var previous = first
            while let next = previous.pointee.sibling {
                if next == slot {
                    previous.pointee.sibling = slot.pointee.sibling
                    return false
                }
                previous = next
            }
            place = (place + 1) & mask
        }
        return false
    }

    /// Empties a place and moves up what was displaced by it.
    private mutating func vacate(_ place: Int) {
        let mask = self.places.count - 1
        var hole = place
        var next = (hole + 1) & mask
        while let slot = self.places[next] {
            let home = Int(truncatingIfNeeded: slot.pointee.hash) & mask
            if (next - home) & mask >= (next - hole) & mask {
                self.places[hole] = slot
                hole = next
            }
            next = (next + 1) & mask
        }
        self.places[hole] = nil
    }

    private mutating func place(_ slot: Slot, hash: UInt64) {
        let mask = self.places.count - 1
        var place = Int(truncatingIfNeeded: hash) & mask
        while self.places[place] != nil { place = (place + 1) & mask }
        self.places[place] = slot
    }

    private mutating func grow() {
        let old = self.places
        self.places = Array(repeating: nil, count: old.count * 2)
        for slot in old {
            if let slot { self.place(slot, hash: slot.pointee.hash) }
        }
    }

    /// Calls `body` for every slot, in no particular order.
    func forEach(_ body: (Slot) -> Void) {
        for slot in self.places {
            var next = slot
            while let slot = next {
                next = slot.pointee.sibling
                body(slot)
            }
        }
    }
}
