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
        self.firstCount = 0
        self.lastCount = 0
        self.firstCount = Self.copy(record, to: &self.firstBytes)
        self.lastCount = Self.copy(record, to: &self.lastBytes)
    }

    func add(_ record: UnsafeRawBufferPointer) {
        self.lastCount = Self.copy(record, to: &self.lastBytes)
    }

    /// Longer ones are not kept: two of them for each subscription would be memory beyond every limit.
    private static let longest = 16 << 10

    private static func copy(_ record: UnsafeRawBufferPointer, to bytes: inout [UInt8]) -> Int {
        let kept = record.count <= Self.longest ? record : UnsafeRawBufferPointer(rebasing: record[..<0])
        bytes.removeAll(keepingCapacity: true)
        bytes.append(contentsOf: kept)
        bytes.append(contentsOf: repeatElement(0, count: Arena.padding))
        return kept.count
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
