/// A run of notifications as bytes: a ring of records in one block of memory, oldest first.
///
/// It belongs to one owner at a time: the loop fills one, the consumer drains another, and they swap. A record is a
/// 4-byte length and the bytes, rounded up to 8; it is never split, so that a record can be read where it lies. The
/// ring form lets the oldest records give way without moving the others. 64 initialised bytes follow the block, so that
/// readers may load wide words past a record's end.
package struct Arena: ~Copyable, Sendable {
    /// What follows the block, for wide loads past the last record.
    package static let padding = 64
    /// Bytes that a record takes beside its own.
    package static let headerSize = 4
    /// The first byte of records that are no notifications; no JSON begins with it.
    package static let markerLead: UInt8 = 0x01
    /// The capacity of the first block.
    static let firstCapacity = 1024
    /// Blocks of up to so many bytes are kept however little they are used.
    private static let modestCapacity = 1 << 18
    /// A larger block is given back after so many rounds of little use.
    private static let patience: UInt8 = 32

    /// `nonisolated(unsafe)`: the block belongs to this value alone, and this value to one owner at a time.
    private nonisolated(unsafe) var base: UnsafeMutableRawPointer?
    /// Bytes of the block, padding not counted.
    package private(set) var capacity = 0
    /// Where the oldest record begins.
    private var head = 0
    /// Where the next record goes.
    private var tail = 0
    /// Where the records that begin at `head` end, when the ring has wrapped (`tail <= head`, `count > 0`).
    private var wrap = 0
    /// The records held.
    package private(set) var count = 0
    /// The bytes that the records take, headers and rounding counted.
    package private(set) var byteCount = 0
    /// Records that are lost: before the oldest one held, or behind the newest where ``isClosed``. Whoever drains the
    /// arena tells them.
    package private(set) var lost: UInt64 = 0
    /// The first and the last of the lost ones, for whoever tells them; absent where there are none.
    package private(set) var lostRecords: LostRecords?
    // Small ones together: three arenas belong to each subscription, and there may be a hundred thousand.
    private var isWrapped = false
    /// Whether the lost ones are behind those held, so that nothing may be appended any more.
    package private(set) var isClosed = false
    /// How many rounds in a row used less than an eighth of the block.
    private var idleRounds: UInt8 = 0

    package init() {}

    deinit {
        self.base?.deallocate()
    }

    /// The bytes a record of `length` bytes takes.
    @inline(__always)
    package static func size(ofRecord length: Int) -> Int {
        (length + Self.headerSize + 7) & ~7
    }

    /// Appends a record if it fits into `limit` bytes beside those held, and into the block as it is.
    ///
    /// - Returns: whether it was stored.
    @inline(__always)
    package mutating func appendInPlace(_ bytes: UnsafeRawBufferPointer, limit: Int) -> Bool {
        let size = Self.size(ofRecord: bytes.count)
        if !self.isWrapped, self.tail &+ size <= self.capacity, self.byteCount &+ size <= limit,
            let base = self.base, let source = bytes.baseAddress
        {
            Self.store(source, bytes.count, at: base + self.tail)
            self.tail &+= size
            self.byteCount &+= size
            self.count &+= 1
            return true
        }
        return false
    }

    /// Appends a record if it fits into `limit` bytes beside those held; the block grows up to that, and up to
    /// `blockLimit` where that is less.
    ///
    /// - Returns: whether it was stored.
    package mutating func append(_ bytes: UnsafeRawBufferPointer, limit: Int, blockLimit: Int = .max) -> Bool {
        self.appendInPlace(bytes, limit: limit)
            || self.appendSlowly(
                bytes,
                size: Self.size(ofRecord: bytes.count),
                limit: limit,
                blockLimit: max(blockLimit, self.capacity)
            )
    }

    @inline(__always)
    private static func store(_ source: UnsafeRawPointer, _ length: Int, at place: UnsafeMutableRawPointer) {
        place.storeBytes(of: UInt32(truncatingIfNeeded: length), as: UInt32.self)
        (place + Self.headerSize).copyMemory(from: source, byteCount: length)
    }

    @inline(never)
    private mutating func appendSlowly(
        _ bytes: UnsafeRawBufferPointer,
        size: Int,
        limit: Int,
        blockLimit: Int
    ) -> Bool {
        guard bytes.count <= Int(UInt32.max) - 16, self.byteCount + size <= min(limit, blockLimit) else { return false }
        while true {
            if let place = self.room(for: size), let base = self.base {
                if let source = bytes.baseAddress {
                    Self.store(source, bytes.count, at: base + place)
                } else {
                    (base + place).storeBytes(of: 0, as: UInt32.self)
                }
                self.tail = place + size
                self.byteCount += size
                self.count += 1
                return true
            }
            // What is lost to the end of the ring never fits again before the ring turns: grow, by doubling, to at most
            // the limit, or put the records in line where that is reached.
            self.grow(toHold: size, limit: min(limit, blockLimit))
        }
    }

    /// The offset where a record of `size` bytes can go without growing.
    private mutating func room(for size: Int) -> Int? {
        guard self.base != nil else { return nil }
        if self.count == 0 {
            self.head = 0
            self.tail = 0
            self.isWrapped = false
        }
        if self.isWrapped {
            return self.tail + size <= self.head ? self.tail : nil
        }
        if self.tail + size <= self.capacity { return self.tail }
        if size <= self.head {
            self.wrap = self.tail
            self.tail = 0
            self.isWrapped = true
            return 0
        }
        return nil
    }

    /// Moves the records into a larger block, or the same capacity when only the order is in the way.
    private mutating func grow(toHold size: Int, limit: Int) {
        let needed = self.byteCount + size
        // Sizes are multiples of 8, so what is over in `limit` is never used.
        let largest = max(needed, limit & ~7)
        var wanted = max(self.capacity, Self.firstCapacity)
        while wanted < needed || (wanted == self.capacity && wanted < largest) {
            let (doubled, overflow) = wanted.multipliedReportingOverflow(by: 2)
            wanted = overflow ? largest : min(doubled, largest)
        }
        let block = UnsafeMutableRawPointer.allocate(byteCount: wanted + Self.padding, alignment: 64)
        // Initialised so that a wide load past a record's end reads defined bytes.
        (block + wanted).initializeMemory(as: UInt8.self, repeating: 0, count: Self.padding)
        if let base = self.base {
            if self.isWrapped {
                let first = self.wrap - self.head
                block.copyMemory(from: base + self.head, byteCount: first)
                (block + first).copyMemory(from: base, byteCount: self.tail)
            } else {
                block.copyMemory(from: base + self.head, byteCount: self.tail - self.head)
            }
            base.deallocate()
        }
        self.base = block
        self.capacity = wanted
        self.head = 0
        self.tail = self.byteCount
        self.isWrapped = false
    }

    // MARK: Losing

    /// Lets the oldest records go until one of `length` bytes fits beside the others within `limit`.
    ///
    /// - Returns: how many went; `nil`, and nothing is changed, where it would not fit into an empty arena.
    package mutating func makeRoom(forRecord length: Int, limit: Int) -> Int? {
        let size = Self.size(ofRecord: length)
        guard size <= limit else { return nil }
        var gone = 0
        // At full size the record must find one piece of the ring, or each append would have to compact it.
        while self.byteCount + size > limit || (self.capacity >= limit & ~7 && self.room(for: size) == nil) {
            guard let first = self.first else { break }
            if self.lose(first) { gone += 1 }
            self.removeFirst()
        }
        return gone
    }

    /// Counts a record among the lost ones before those held.
    ///
    /// - Returns: whether it is one: a marker is no notification.
    @discardableResult
    package mutating func lose(_ record: UnsafeRawBufferPointer) -> Bool {
        guard record.first != Self.markerLead else { return false }
        self.lost &+= 1
        if let records = self.lostRecords {
            records.add(record)
        } else {
            self.lostRecords = LostRecords(record)
        }
        return true
    }

    /// Counts a record among the lost ones behind those held, and takes no more.
    package mutating func close(losing record: UnsafeRawBufferPointer) {
        self.isClosed = true
        self.lose(record)
    }

    /// Lets all records go; the block stays.
    ///
    /// - Parameter closing: whether the arena is to take no more, so that the loss is of the newest.
    /// - Returns: how many went.
    package mutating func loseAll(closing: Bool = false) -> Int {
        var gone = 0
        while let first = self.first {
            if self.lose(first) { gone += 1 }
            self.removeFirst()
        }
        if closing, self.lost > 0 { self.isClosed = true }
        return gone
    }

    /// The losses to be told now: before the oldest record, or behind the newest when it was taken. Told once.
    package mutating func takeLoss() -> (count: UInt64, records: LostRecords?)? {
        guard self.lost > 0, !self.isClosed || self.count == 0 else { return nil }
        defer {
            self.lost = 0
            self.lostRecords = nil
        }
        return (self.lost, self.lostRecords)
    }

    /// Gives the block back; only where nothing is held.
    package mutating func releaseBlock() {
        guard self.count == 0 else { return }
        self.base?.deallocate()
        self.base = nil
        self.capacity = 0
        self.idleRounds = 0
        self.head = 0
        self.tail = 0
        self.isWrapped = false
    }

    // MARK: Taking

    /// The oldest record, without removing it. Valid until the arena is changed.
    @inline(__always)
    package var first: UnsafeRawBufferPointer? {
        guard self.count > 0, let base = self.base else { return nil }
        let place = UnsafeRawPointer(base + self.head)
        return UnsafeRawBufferPointer(
            start: place + Self.headerSize,
            count: Int(place.load(as: UInt32.self))
        )
    }

    /// Removes the oldest record; its bytes stay readable until something is appended.
    @discardableResult
    @inline(__always)
    package mutating func removeFirst() -> Bool {
        guard self.count > 0, let base = self.base else { return false }
        let size = Self.size(ofRecord: Int((base + self.head).load(as: UInt32.self)))
        self.head &+= size
        self.byteCount &-= size
        self.count &-= 1
        if self.isWrapped, self.head == self.wrap {
            self.head = 0
            self.isWrapped = false
        }
        return true
    }

    /// Records held and lost ones to tell: what a consumer has a reason to look at.
    package var countAndLost: UInt64 {
        UInt64(self.count) &+ self.lost
    }

    /// Forgets everything, and gives a large block back that was hardly used again and again: the memory of a burst goes,
    /// the block that a steady stream needs stays.
    ///
    /// - Parameter isTight: whether memory is short, so that the block goes at once.
    package mutating func recycle(isTight: Bool = false) {
        let isHardlyUsed = !self.isWrapped && self.tail < self.capacity / 8
        self.idleRounds = isHardlyUsed ? min(self.idleRounds, Self.patience) + 1 : 0
        self.removeAll(keeping: isTight ? 0 : self.idleRounds > Self.patience ? Self.modestCapacity : .max)
    }

    /// Forgets everything; the block stays unless it is larger than `keeping` bytes.
    package mutating func removeAll(keeping: Int = .max) {
        self.head = 0
        self.tail = 0
        self.isWrapped = false
        self.count = 0
        self.byteCount = 0
        self.lost = 0
        self.lostRecords = nil
        self.isClosed = false
        if self.capacity > keeping { self.releaseBlock() }
    }
}
