/// The bytes of a `result`, with 64 initialised bytes behind them for readers that load wide words.
package struct ResponseBytes: Hashable, Sendable {
    private let storage: [UInt8]

    package init(_ bytes: UnsafeRawBufferPointer) {
        self.storage = [UInt8](unsafeUninitializedCapacity: bytes.count + Arena.padding) { buffer, count in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            raw.copyMemory(from: bytes)
            raw[bytes.count...].initializeMemory(as: UInt8.self, repeating: 0)
            count = bytes.count + Arena.padding
        }
    }

    package init(_ text: String) {
        self = Array(text.utf8).withUnsafeBytes { Self($0) }
    }

    package var count: Int { self.storage.count - Arena.padding }

    package func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let count = self.count
        return try self.storage.withUnsafeBufferPointer { (buffer) throws(Failure) in
            try body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count]))
        }
    }
}
