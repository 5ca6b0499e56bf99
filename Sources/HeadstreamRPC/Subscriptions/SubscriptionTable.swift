import CHeadstreamBytes

/// From a server's subscription id to its slot, O(1) with any number of subscriptions.
///
/// Open addressing over the bytes of the id; the hash is seeded, so that a node cannot choose ids that collide. The
/// subscription found last is tried first. A place holds the hash beside the slot, so that a look-up touches the
/// memory of one slot only.
struct SubscriptionTable: ~Copyable {
    typealias Slot = UnsafeMutablePointer<SubscriptionSlot>

    private struct Place {
        var hash: UInt64 = 0
        var slot: Slot?
    }

    private var places: UnsafeMutablePointer<Place>
    /// The number of places, a power of two, less one.
    private var mask: Int
    /// Ids that have a slot.
    private(set) var count = 0
    private var last: Slot?
    /// Multipliers drawn from the seed: a fixed one would let ids be chosen that collide whatever the seed is.
    private let keys: (UInt64, UInt64)

    init(seed: UInt64) {
        let first = Self.fold(seed &+ 0x9E37_79B9_7F4A_7C15, 0xBF58_476D_1CE4_E5B9)
        self.keys = (first | 1, Self.fold(first &+ 0x9E37_79B9_7F4A_7C15, 0x94D0_49BB_1331_11EB) | 1)
        self.mask = 7
        self.places = .allocate(capacity: 8)
        self.places.initialize(repeating: Place(), count: 8)
    }

    deinit {
        for place in 0...self.mask {
            var next = self.places[place].slot
            while let slot = next {
                next = slot.pointee.sibling
                Self.free(slot)
            }
        }
        self.places.deallocate()
    }

    // MARK: Hashing

    /// Multiply-and-fold over 8-byte words, in the manner of wyhash; ids are short.
    @inline(__always)
    func hash(_ id: UnsafeRawBufferPointer) -> UInt64 {
        guard let base = id.baseAddress else { return 0 }
        let count = id.count
        var hash = self.keys.0 ^ UInt64(truncatingIfNeeded: count)
        var offset = 0
        while offset &+ 8 <= count {
            hash = Self.fold(hash ^ base.loadUnaligned(fromByteOffset: offset, as: UInt64.self), self.keys.1)
            offset &+= 8
        }
        var rest: UInt64 = 0
        while offset < count {
            rest = rest << 8 | UInt64(base.load(fromByteOffset: offset, as: UInt8.self))
            offset &+= 1
        }
        return Self.fold(Self.fold(hash ^ rest, self.keys.1), self.keys.0)
    }

    @inline(__always)
    private static func fold(_ value: UInt64, _ key: UInt64) -> UInt64 {
        let (high, low) = value.multipliedFullWidth(by: key)
        return high ^ low
    }

    // MARK: Look-up

    /// The slot of `id`: the first of several that share it.
    @inline(__always)
    mutating func find(_ id: UnsafeRawBufferPointer) -> Slot? {
        if let last = self.last, Self.matches(last, id) { return last }
        guard let found = self.search(id, self.hash(id)) else { return nil }
        self.last = found
        return found
    }

    @inline(__always)
    private func search(_ id: UnsafeRawBufferPointer, _ hash: UInt64) -> Slot? {
        var place = Int(truncatingIfNeeded: hash) & self.mask
        while let slot = self.places[place].slot {
            if self.places[place].hash == hash, Self.matches(slot, id) { return slot }
            place = (place &+ 1) & self.mask
        }
        return nil
    }

    @inline(__always)
    private static func matches(_ slot: Slot, _ id: UnsafeRawBufferPointer) -> Bool {
        let own = slot.pointee.serverID
        guard own.count == id.count, let base = id.baseAddress, let ownBase = own.baseAddress else { return false }
        return hs_equal(ownBase, base, own.count)
    }

    /// How many places a look-up of `id` visits when its slot was not the last one found.
    func probes(_ id: UnsafeRawBufferPointer) -> Int {
        let hash = self.hash(id)
        var place = Int(truncatingIfNeeded: hash) & self.mask
        var visited = 1
        while let slot = self.places[place].slot, !(self.places[place].hash == hash && Self.matches(slot, id)) {
            place = (place &+ 1) & self.mask
            visited += 1
        }
        return visited
    }

    // MARK: Changing

    /// Makes a slot for `id`; where others have the same id, behind the first of them.
    ///
    /// - Parameter isAcknowledged: whether the server has answered a request of its own with this id.
    mutating func insert(
        _ id: UnsafeRawBufferPointer,
        isQuoted: Bool,
        isAcknowledged: Bool = true,
        _ request: SubscribeRequest
    ) -> Slot {
        let hash = self.hash(id)
        let slot = Self.allocate(id) { copy in
            SubscriptionSlot(request, serverID: copy, serverIDIsQuoted: isQuoted, hash: hash)
        }
        if let first = self.search(id, hash) {
            let next = first.pointee.sibling
            slot.pointee.sibling = next
            slot.pointee.previousSibling = first
            next?.pointee.previousSibling = slot
            first.pointee.sibling = slot
            if isAcknowledged { first.pointee.shares += 1 }
            return slot
        }
        if (self.count + 1) * 2 > self.mask + 1 { self.grow() }
        self.place(slot, hash: hash)
        self.count += 1
        return slot
    }

    /// Removes a slot and frees it.
    ///
    /// - Returns: whether the server's id has no slot any more, so that it is to be unsubscribed.
    mutating func remove(_ slot: Slot) -> Bool {
        defer { Self.free(slot) }
        if self.last == slot { self.last = nil }
        let next = slot.pointee.sibling
        next?.pointee.previousSibling = slot.pointee.previousSibling
        if let previous = slot.pointee.previousSibling {
            previous.pointee.sibling = next
            return false
        }
        var place = Int(truncatingIfNeeded: slot.pointee.hash) & self.mask
        while let first = self.places[place].slot {
            if first == slot {
                if let next {
                    next.pointee.shares = slot.pointee.shares
                    self.places[place].slot = next
                    return false
                }
                self.vacate(place)
                self.count -= 1
                return true
            }
            place = (place + 1) & self.mask
        }
        return false
    }

    /// Empties a place and moves up what was displaced by it.
    private mutating func vacate(_ place: Int) {
        var hole = place
        var next = (hole + 1) & self.mask
        while self.places[next].slot != nil {
            let home = Int(truncatingIfNeeded: self.places[next].hash) & self.mask
            if (next - home) & self.mask >= (next - hole) & self.mask {
                self.places[hole] = self.places[next]
                hole = next
            }
            next = (next + 1) & self.mask
        }
        self.places[hole] = Place()
    }

    private mutating func place(_ slot: Slot, hash: UInt64) {
        var place = Int(truncatingIfNeeded: hash) & self.mask
        while self.places[place].slot != nil { place = (place + 1) & self.mask }
        self.places[place] = Place(hash: hash, slot: slot)
    }

    private mutating func grow() {
        let old = self.places
        let oldCount = self.mask + 1
        self.mask = 2 * oldCount - 1
        self.places = .allocate(capacity: 2 * oldCount)
        self.places.initialize(repeating: Place(), count: 2 * oldCount)
        for place in 0..<oldCount {
            if let slot = old[place].slot { self.place(slot, hash: old[place].hash) }
        }
        old.deallocate()
    }

    // MARK: Slots

    /// A slot and the bytes of its id, in one block.
    private static func allocate(
        _ id: UnsafeRawBufferPointer,
        _ make: (UnsafeRawBufferPointer) -> SubscriptionSlot
    ) -> Slot {
        let size = MemoryLayout<SubscriptionSlot>.stride
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: size + id.count, alignment: 64)
        let copy = UnsafeMutableRawBufferPointer(rebasing: block[size...])
        copy.copyMemory(from: id)
        // The block holds at least a slot, so it has an address.
        let slot = block.baseAddress.unsafelyUnwrapped.bindMemory(to: SubscriptionSlot.self, capacity: 1)
        slot.initialize(to: make(UnsafeRawBufferPointer(copy)))
        return slot
    }

    private static func free(_ slot: Slot) {
        slot.deinitialize(count: 1)
        UnsafeMutableRawPointer(slot).deallocate()
    }

    /// Every slot, in the order of their local ids, whatever the places are.
    func sorted() -> [Slot] {
        var slots: [Slot] = []
        for place in 0...self.mask {
            var next = self.places[place].slot
            while let slot = next {
                slots.append(slot)
                next = slot.pointee.sibling
            }
        }
        return slots.sorted { $0.pointee.local.rawValue < $1.pointee.local.rawValue }
    }
}
