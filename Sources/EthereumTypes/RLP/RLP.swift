/// A value of Recursive Length Prefix encoding (Yellow Paper, appendix B): bytes, or a list of values.
public enum RLP: Hashable, Sendable {
    case bytes(Bytes)
    case list([RLP])

    /// A number as its big-endian bytes without leading zeros, none for zero.
    public static func number(_ value: UInt256) -> RLP {
        var writer = RLPWriter()
        writer.append(value)
        // One byte below 0x80 stands for itself, all others follow a byte that tells how many they are.
        return .bytes(
            writer.bytes.count == 1 && writer.bytes[0] < 0x80 ? Bytes(writer.bytes) : Bytes(writer.bytes.dropFirst())
        )
    }

    /// The encoding.
    public var encoded: Bytes {
        var writer = RLPWriter()
        writer.append(self)
        return Bytes(writer.bytes)
    }
}

/// Appends values in Recursive Length Prefix encoding.
package struct RLPWriter: Sendable {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    package mutating func append(_ value: RLP) {
        switch value {
        case .bytes(let bytes): bytes.withBytes { self.append($0) }
        case .list(let values):
            self.list { list in
                for value in values { list.append(value) }
            }
        }
    }

    package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        if bytes.count == 1, bytes[0] < 0x80 {
            self.bytes.append(bytes[0])
        } else {
            self.prefix(0x80, length: bytes.count)
            self.bytes.append(contentsOf: bytes)
        }
    }

    package mutating func append(_ hash: Hash32) { hash.withBytes { self.append($0) } }
    package mutating func append(_ hash: Hash32?) {
        if let hash { self.append(hash) } else { self.bytes.append(0x80) }
    }
    package mutating func append(_ address: Address) { address.withBytes { self.append($0) } }
    package mutating func append(_ bytes: Bytes) { bytes.withBytes { self.append($0) } }
    package mutating func append(_ bloom: Bloom) { bloom.withBytes { self.append($0) } }

    /// A number, big-endian without leading zeros.
    package mutating func append(_ value: UInt256) {
        let leading = value.leadingZeroBitCount / 8
        withUnsafeBytes(of: value.byteSwapped) { bytes in
            self.append(UnsafeRawBufferPointer(rebasing: bytes[leading...]))
        }
    }

    package mutating func append(_ value: UInt64) {
        let leading = value.leadingZeroBitCount / 8
        withUnsafeBytes(of: value.bigEndian) { self.append(UnsafeRawBufferPointer(rebasing: $0[leading...])) }
    }

    /// A list of what `body` appends.
    package mutating func list(_ body: (inout RLPWriter) -> Void) {
        var payload = RLPWriter()
        body(&payload)
        self.prefix(0xc0, length: payload.bytes.count)
        self.bytes += payload.bytes
    }

    private mutating func prefix(_ base: UInt8, length: Int) {
        if length < 56 {
            self.bytes.append(base &+ UInt8(truncatingIfNeeded: length))
            return
        }
        let leading = UInt64(length).leadingZeroBitCount / 8
        self.bytes.append(base &+ 55 &+ UInt8(8 &- leading))
        withUnsafeBytes(of: UInt64(length).bigEndian) { self.bytes.append(contentsOf: $0[leading...]) }
    }
}
