/// The bytes of one message that did not come in one piece.
///
/// It grows by doubling with what has actually arrived, never with what a header announces, so each byte is copied a
/// constant number of times and a lying header costs nothing.
struct AssemblyBuffer: ~Copyable {
    /// Initialised bytes that follow the contents, for readers that load wide.
    static let slack = 64

    /// Memory up to this many bytes is kept for the next message; more is given back.
    static let keptCapacity = 16 * 1024

    private var base: UnsafeMutableRawPointer?
    private(set) var capacity = 0
    private(set) var count = 0

    deinit {
        self.base?.deallocate()
    }

    /// Appends a copy of `source`, unmasked with `key` (bytes in wire order) from its byte `keyOffset` modulo 4 on, and
    /// returns the copy.
    ///
    /// `total` is what the contents will come to if the message ends with the current frame; growth stops there
    /// instead of doubling past it.
    mutating func append(
        _ source: UnsafeRawBufferPointer,
        unmaskingWith key: UInt32?,
        keyOffset: Int,
        total: Int?
    ) -> UnsafeRawBufferPointer {
        guard let from = source.baseAddress, source.count > 0 else {
            return UnsafeRawBufferPointer(start: nil, count: 0)
        }
        let needed = self.count + source.count
        let storage: UnsafeMutableRawPointer
        if let base = self.base, needed <= self.capacity {
            storage = base
        } else {
            storage = self.grow(to: needed, total: total)
        }
        let destination = storage + self.count
        destination.copyMemory(from: from, byteCount: source.count)
        if let key {
            let copy = UnsafeMutableRawBufferPointer(start: destination, count: source.count)
            ByteKernels.applyMask(key, to: copy, offset: keyOffset)
        }
        self.count = needed
        return UnsafeRawBufferPointer(start: destination, count: source.count)
    }

    /// Room for bytes behind the contents, to be told to ``commit(_:)``: at least one byte. When the contents have
    /// reached `limit` it is one, so that a writer who has more shows it.
    mutating func room(limit: Int) -> UnsafeMutableRawBufferPointer {
        let storage: UnsafeMutableRawPointer
        if let base = self.base, self.count < self.capacity || self.count >= limit {
            storage = base
        } else {
            storage = self.grow(to: self.count + 1, total: limit)
        }
        // The byte past the limit lies in the slack.
        let size = max(1, min(self.capacity, limit) - self.count)
        return UnsafeMutableRawBufferPointer(start: storage + self.count, count: size)
    }

    /// So many bytes of the room are filled.
    mutating func commit(_ count: Int) {
        self.count += count
    }

    /// What was appended since there were `start` bytes; valid until the next call.
    func contents(from start: Int) -> UnsafeRawBufferPointer {
        guard let base = self.base else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(start: base + start, count: self.count - start)
    }

    /// The contents, followed by ``slack`` initialised bytes; valid until the next call.
    mutating func contents() -> UnsafeRawBufferPointer {
        let storage: UnsafeMutableRawPointer
        if let base = self.base { storage = base } else { storage = self.grow(to: 0, total: 0) }
        (storage + self.count).initializeMemory(as: UInt8.self, repeating: 0, count: Self.slack)
        return UnsafeRawBufferPointer(start: storage, count: self.count)
    }

    /// Forgets the contents, and gives the memory back if it is much.
    mutating func clear() {
        self.count = 0
        if self.capacity > Self.keptCapacity { self.release() }
    }

    /// Forgets the contents and gives the memory back.
    mutating func release() {
        self.base?.deallocate()
        self.base = nil
        self.capacity = 0
        self.count = 0
    }

    private mutating func grow(to needed: Int, total: Int?) -> UnsafeMutableRawPointer {
        var capacity = max(1024, self.capacity * 2)
        if let total { capacity = min(capacity, total) }
        capacity = max(capacity, needed)
        let storage = UnsafeMutableRawPointer.allocate(byteCount: capacity + Self.slack, alignment: 16)
        if let base = self.base {
            storage.copyMemory(from: base, byteCount: self.count)
            base.deallocate()
        }
        self.base = storage
        self.capacity = capacity
        return storage
    }
}
