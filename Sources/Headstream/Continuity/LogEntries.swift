import EthereumTypes

/// What a book knows of the blocks of the window, by their numbers, and how many bytes of whole logs that holds.
///
/// An array, because numbers are contiguous and it is looked into for each log.
struct LogEntries: Sendable {
    private struct Slot: Sendable {
        var entry: LogBook.Entry?
        /// What its whole logs take, and how many keys it has.
        var bytes = 0
        var keys = 0
    }

    private var slots: [Slot] = []
    /// The number of the first slot.
    private var first: UInt64 = 0
    /// Slots at the front that are forgotten and not yet moved out.
    private var dropped = 0
    /// No slot before this one has whole logs.
    private var whole = 0
    /// What the whole logs in it take, and how many keys it has.
    private(set) var bytes = 0
    private(set) var keys = 0

    /// The numbers that may have an entry.
    var numbers: Range<UInt64> { self.first + UInt64(self.dropped)..<self.first + UInt64(self.slots.count) }

    private func place(_ number: UInt64) -> Int? {
        guard number >= self.first, number - self.first < UInt64(self.slots.count) else { return nil }
        return Int(number - self.first)
    }

    subscript(number: UInt64) -> LogBook.Entry? {
        get { self.place(number).flatMap { self.slots[$0].entry } }
        _modify {
            let place = self.place(number) ?? self.makePlace(number)
            self.dropped = min(self.dropped, place)
            defer { self.count(place) }
            yield &self.slots[place].entry
        }
    }

    /// What the whole logs of a block take.
    func bytes(of number: UInt64) -> Int { self.place(number).map { self.slots[$0].bytes } ?? 0 }

    /// The numbers from the lowest that has whole logs on.
    mutating func numbersFromFirstWhole() -> Range<UInt64> {
        while self.whole < self.slots.count, self.slots[self.whole].bytes == 0 { self.whole += 1 }
        return self.first + UInt64(self.whole)..<self.first + UInt64(self.slots.count)
    }

    private mutating func count(_ place: Int) {
        let bytes = self.slots[place].entry?.bytes ?? 0
        let keys = self.slots[place].entry?.keys.count ?? 0
        self.bytes += bytes - self.slots[place].bytes
        self.keys += keys - self.slots[place].keys
        self.slots[place].bytes = bytes
        self.slots[place].keys = keys
        if bytes > 0 { self.whole = min(self.whole, place) }
    }

    /// Numbers are those of the window's blocks, and so near each other: what is further away is of another window.
    private mutating func makePlace(_ number: UInt64) -> Int {
        let isNear = max(number, self.first) - min(number, self.first) < 1 << 21
        if !isNear { self.removeAll() }
        if self.slots.isEmpty {
            self.first = number
            self.slots.append(Slot())
        } else if number < self.first {
            self.slots.insert(contentsOf: repeatElement(Slot(), count: Int(self.first - number)), at: 0)
            self.first = number
            self.dropped = 0
            self.whole = 0
        } else {
            self.slots.append(contentsOf: repeatElement(Slot(), count: Int(number - self.first) + 1 - self.slots.count))
        }
        return Int(number - self.first)
    }

    mutating func removeAll() {
        self = LogEntries()
    }

    /// Forgets the blocks below a number.
    mutating func forget(below number: UInt64) {
        for forgotten in self.numbers where forgotten < number {
            self[forgotten] = nil
            self.dropped += 1
        }
        guard self.dropped > 64, self.dropped > self.slots.count / 4 else { return }
        self.slots.removeFirst(self.dropped)
        self.first += UInt64(self.dropped)
        self.whole = max(self.whole - self.dropped, 0)
        self.dropped = 0
    }
}
