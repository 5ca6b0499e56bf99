/// Growable bytes at a fixed place, with room for 64 initialised bytes behind them (``pad()``).
struct PaddedBytes: ~Copyable, Sendable {
    /// `nonisolated(unsafe)`: the block belongs to this value alone.
    private nonisolated(unsafe) var base: UnsafeMutableRawPointer?
    private var capacity = 0
    private(set) var count = 0

    init() {}

    deinit {
        self.base?.deallocate()
    }

    /// The bytes; valid until the next change.
    var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: UnsafeRawPointer(self.base), count: self.count)
    }

    mutating func append(_ piece: UnsafeRawBufferPointer) {
        guard let source = piece.baseAddress, piece.count > 0 else { return }
        let size = self.count + piece.count
        if size > self.capacity {
            let wanted = max(4096, self.capacity * 2, size)
            let block = UnsafeMutableRawPointer.allocate(byteCount: wanted + Arena.padding, alignment: 64)
            if let base = self.base {
                block.copyMemory(from: base, byteCount: self.count)
                base.deallocate()
            }
            self.base = block
            self.capacity = wanted
        }
        guard let base = self.base else { return }
        (base + self.count).copyMemory(from: source, byteCount: piece.count)
        self.count = size
    }

    /// Initialises what follows the bytes, before they are handed out.
    mutating func pad() {
        guard let base = self.base else { return }
        (base + self.count).initializeMemory(as: UInt8.self, repeating: 0, count: Arena.padding)
    }

    /// Forgets the bytes; the block stays if it is at most `keeping` bytes.
    mutating func removeAll(keeping: Int) {
        self.count = 0
        if self.capacity > keeping {
            self.base?.deallocate()
            self.base = nil
            self.capacity = 0
        }
    }
}
