/// The first and the last of the notifications that a buffer lost, so that whoever tells the loss can say which blocks it
/// spans.
///
/// `@unchecked Sendable`: it belongs to one ``Arena``, and so to one owner at a time.
package final class LostRecords: @unchecked Sendable {
    private var firstBytes: [UInt8]
    private var lastBytes: [UInt8]
    /// Where the copies end; what follows is for wide loads.
    private var firstCount: Int
    private var lastCount: Int

    init(_ record: UnsafeRawBufferPointer) {
        self.firstBytes = []
        self.lastBytes = []
        self.firstCount = record.count
        self.lastCount = record.count
        Self.copy(record, to: &self.firstBytes)
        Self.copy(record, to: &self.lastBytes)
    }

    func add(_ record: UnsafeRawBufferPointer) {
        self.lastCount = record.count
        Self.copy(record, to: &self.lastBytes)
    }

    private static func copy(_ record: UnsafeRawBufferPointer, to bytes: inout [UInt8]) {
        bytes.removeAll(keepingCapacity: true)
        bytes.append(contentsOf: record)
        bytes.append(contentsOf: repeatElement(0, count: Arena.padding))
    }

    /// Reads the first one; 64 readable bytes follow it.
    package func withFirst<Value>(_ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        self.firstBytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[..<self.firstCount])) }
    }

    /// Reads the last one; 64 readable bytes follow it.
    package func withLast<Value>(_ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        self.lastBytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[..<self.lastCount])) }
    }
}
