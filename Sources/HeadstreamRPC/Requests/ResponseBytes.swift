/// The bytes of a `result`, with 64 initialised bytes behind them for readers that load wide words.
package struct ResponseBytes: Hashable, Sendable {
    /// Count and bytes in one piece of memory. Not an array, which asks the runtime for its type each time.
    ///
    /// `nonisolated(unsafe)`: written by the initialiser only.
    private nonisolated(unsafe) let storage: ManagedBuffer<Int, UInt8>

    package init(_ bytes: UnsafeRawBufferPointer) {
        let count = bytes.count
        self.storage = .create(minimumCapacity: count + Arena.padding) { _ in count }
        self.storage.withUnsafeMutablePointerToElements { start in
            let target = UnsafeMutableRawPointer(start)
            if let source = bytes.baseAddress { target.copyMemory(from: source, byteCount: count) }
            (target + count).initializeMemory(as: UInt8.self, repeating: 0, count: Arena.padding)
        }
    }

    package init(_ text: String) {
        self = Array(text.utf8).withUnsafeBytes { Self($0) }
    }

    package var count: Int { self.storage.header }

    package func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try self.storage.withUnsafeMutablePointers { (count, start) throws(Failure) in
            try body(UnsafeRawBufferPointer(start: start, count: count.pointee))
        }
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.withBytes { left in right.withBytes { right in left.elementsEqual(right) } }
    }

    package func hash(into hasher: inout Hasher) {
        self.withBytes { hasher.combine(bytes: $0) }
    }
}
