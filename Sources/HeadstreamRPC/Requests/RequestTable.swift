/// What is kept of requests, by their ids, O(1).
///
/// Open addressing with half of the places empty. The ids are ours and in sequence, so their hash needs no seed: a
/// multiplication spreads them evenly, and a node can only ask for them, not choose them. A look-up touches the id and the
/// place it is in; the standard library's dictionary hashes each time as if an enemy had chosen the key.
struct RequestTable<Entry>: Sequence {
    /// A place that holds an entry, until the next change.
    struct Place {
        fileprivate let index: Int
    }

    /// Ids by place; 0, which is no request's id, in an empty one.
    private var ids: [UInt64]
    private var entries: [Entry?]
    private(set) var count = 0
    /// What is left of a hash's 64 bits are those of a place.
    private var shift: UInt64

    private static var leastBits: UInt64 { 4 }
    /// 2^64 divided by the golden ratio: Knuth, The Art of Computer Programming 3, 6.4.
    private static var multiplier: UInt64 { 0x9E37_79B9_7F4A_7C15 }

    init() {
        self.shift = 64 - Self.leastBits
        self.ids = Array(repeating: 0, count: 1 << Self.leastBits)
        self.entries = Array(repeating: nil, count: 1 << Self.leastBits)
    }

    var isEmpty: Bool { self.count == 0 }

    private var mask: Int { self.ids.count &- 1 }

    @inline(__always)
    private func home(of id: UInt64) -> Int {
        Int(truncatingIfNeeded: (id &* Self.multiplier) &>> self.shift)
    }

    // MARK: Look-up

    @inline(__always)
    func place(of id: RequestID) -> Place? {
        guard id.rawValue != 0 else { return nil }
        var index = self.home(of: id.rawValue)
        while self.ids[index] != id.rawValue {
            if self.ids[index] == 0 { return nil }
            index = (index &+ 1) & self.mask
        }
        return Place(index: index)
    }

    func contains(_ id: RequestID) -> Bool { self.place(of: id) != nil }

    subscript(id: RequestID) -> Entry? {
        guard let place = self.place(of: id) else { return nil }
        return self.entries[place.index]
    }

    @inline(__always)
    subscript(place: Place) -> Entry? { self.entries[place.index] }

    /// Each entry once, in no order.
    func makeIterator() -> AnyIterator<(key: RequestID, value: Entry)> {
        var index = 0
        return AnyIterator {
            while index < self.ids.count {
                defer { index += 1 }
                if let entry = self.entries[index] { return (RequestID(rawValue: self.ids[index]), entry) }
            }
            return nil
        }
    }

    // MARK: Changing

    /// Changes what is kept of a request; does nothing where there is none.
    mutating func update(_ id: RequestID, _ body: (inout Entry) -> Void) {
        guard let place = self.place(of: id), var entry = self.entries[place.index] else { return }
        body(&entry)
        self.entries[place.index] = entry
    }

    /// - Parameter id: not 0, and not in the table.
    @inline(__always)
    mutating func insert(_ entry: Entry, for id: RequestID) {
        if 2 * (self.count + 1) > self.ids.count { self.resize(bits: 64 - self.shift + 1) }
        self.place(entry, for: id.rawValue)
        self.count += 1
    }

    @inline(__always)
    private mutating func place(_ entry: Entry, for id: UInt64) {
        var index = self.home(of: id)
        while self.ids[index] != 0 { index = (index &+ 1) & self.mask }
        self.ids[index] = id
        self.entries[index] = entry
    }

    @inline(__always)
    mutating func remove(at place: Place) -> Entry? {
        var hole = place.index
        let entry = self.entries[hole].take()
        self.count -= 1
        // Those behind that would not be found past the hole move into it (Knuth, algorithm R).
        var index = hole
        while true {
            index = (index &+ 1) & self.mask
            let id = self.ids[index]
            if id == 0 { break }
            let distance = (index &- self.home(of: id)) & self.mask
            if distance < (index &- hole) & self.mask { continue }
            self.ids[hole] = id
            self.entries.swapAt(hole, index)
            hole = index
        }
        self.ids[hole] = 0
        if self.count * 16 < self.ids.count, self.ids.count > 1 << 10 { self.resize(bits: 64 - self.shift - 2) }
        return entry
    }

    mutating func removeAll() {
        self = RequestTable()
    }

    private mutating func resize(bits: UInt64) {
        let ids = self.ids
        let entries = self.entries
        self.shift = 64 - bits
        self.ids = Array(repeating: 0, count: 1 << bits)
        self.entries = Array(repeating: nil, count: 1 << bits)
        for (id, entry) in zip(ids, entries) {
            if let entry { self.place(entry, for: id) }
        }
    }
}
