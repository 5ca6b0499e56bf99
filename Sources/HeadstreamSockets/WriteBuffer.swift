/// Bytes that wait to be sent, in one piece. One channel, or the loop's spare place, owns it at a time.
final class WriteBuffer {
    private var base: UnsafeMutableRawPointer
    private(set) var capacity: Int
    private var start = 0
    private var end = 0

    init() {
        self.capacity = 4096
        self.base = .allocate(byteCount: self.capacity, alignment: 16)
    }

    deinit {
        self.base.deallocate()
    }

    var count: Int { self.end - self.start }

    var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: self.base + self.start, count: self.count)
    }

    func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, !bytes.isEmpty else { return }
        if self.capacity - self.end < bytes.count { self.makeRoom(for: bytes.count) }
        (self.base + self.end).copyMemory(from: source, byteCount: bytes.count)
        self.end += bytes.count
    }

    func consume(_ count: Int) {
        self.start += count
        if self.start == self.end { self.removeAll() }
    }

    func removeAll() {
        self.start = 0
        self.end = 0
    }

    private func makeRoom(for added: Int) {
        let needed = self.count + added
        // Moving to the front is worth it only where at least half is free there, so each byte moves once on average.
        if needed <= self.capacity, self.start >= self.capacity / 2 {
            self.base.copyMemory(from: self.base + self.start, byteCount: self.count)
        } else {
            let capacity = max(self.capacity * 2, needed)
            let grown = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
            grown.copyMemory(from: self.base + self.start, byteCount: self.count)
            self.base.deallocate()
            self.base = grown
            self.capacity = capacity
        }
        self.end = self.count
        self.start = 0
    }
}
