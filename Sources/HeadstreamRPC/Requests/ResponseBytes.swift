/// The bytes of a `result`, with 64 initialised bytes behind them for readers that load wide words.
package struct ResponseBytes: Hashable, Sendable {
    @usableFromInline
    package let storage: [UInt8]

    package init(_ bytes: UnsafeRawBufferPointer) {
        // Not `unsafeUninitializedCapacity`, which asks the runtime for the array's type each time.
        var storage = [UInt8](repeating: 0, count: bytes.count + Arena.padding)
        storage.withUnsafeMutableBytes { $0.copyMemory(from: bytes) }
        self.storage = storage
    }

    package init(_ text: String) {
        self = Array(text.utf8).withUnsafeBytes { Self($0) }
    }

    @inlinable
    package var count: Int { self.storage.count - Arena.padding }

    @inlinable
    package func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let count = self.count
        return try self.storage.withUnsafeBufferPointer { (buffer) throws(Failure) in
            try body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count]))
        }
    }
}
