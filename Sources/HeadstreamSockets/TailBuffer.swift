internal import Glibc

/// What a delegate left of the bytes it was given, owned by the channel; nothing where there is nothing.
struct TailBuffer {
    private(set) var base: UnsafeMutableRawPointer?
    private(set) var capacity = 0
    var count = 0

    /// Room behind `count`, the padding apart.
    var free: Int { self.capacity - self.count }

    /// Makes room for at least `added` bytes more, doubling. The padding is always there.
    mutating func reserve(_ added: Int) {
        if self.free >= added { return }
        let wanted = max(self.count + added, self.base == nil ? 0 : self.capacity * 2)
        let grown = UnsafeMutableRawPointer.allocate(byteCount: wanted + EventLoop.padding, alignment: 16)
        if let base = self.base, self.count > 0 { grown.copyMemory(from: base, byteCount: self.count) }
        self.base?.deallocate()
        self.base = grown
        self.capacity = wanted
    }

    /// Keeps a copy of these bytes in place of what was here. They may be part of the buffer itself.
    mutating func replace(with bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, !bytes.isEmpty else { return self.release() }
        let isOwn = self.base.map { source >= UnsafeRawPointer($0) && source <= UnsafeRawPointer($0 + self.capacity) }
        if isOwn != true {
            self.count = 0
            // A buffer that once held megabytes is not kept for a few bytes.
            if self.capacity / 8 > bytes.count, self.capacity > 4096 { self.release() }
            self.reserve(bytes.count)
        }
        if let base = self.base { memmove(base, source, bytes.count) }
        self.count = bytes.count
    }

    mutating func release() {
        self.base?.deallocate()
        self.base = nil
        self.capacity = 0
        self.count = 0
    }
}
