public import HeadstreamJSON

/// A 32-byte hash: of a block, a transaction, a state root, an event's topic.
///
/// Four words inline, no heap object. Its text is `0x` and 64 lower-case hex digits; either case is read.
public struct Hash32: Hashable, Sendable {
    // The words hold the bytes in memory order, so that a hash is copied and compared without swapping.
    package var w0: UInt64
    package var w1: UInt64
    package var w2: UInt64
    package var w3: UInt64

    @inline(__always)
    package init(w0: UInt64, w1: UInt64, w2: UInt64, w3: UInt64) {
        self.w0 = w0
        self.w1 = w1
        self.w2 = w2
        self.w3 = w3
    }

    /// The hash of 32 zero bytes.
    public static let zero = Hash32()

    @inline(__always)
    package init() {
        self.init(w0: 0, w1: 0, w2: 0, w3: 0)
    }

    /// Reads `0x` and 64 hex digits.
    public init(_ string: some StringProtocol) throws(ValueError) {
        self = try withUTF8(of: string) { (text) throws(ValueError) in try Hash32(hex: text) }
    }

    package init(hex text: UnsafeRawBufferPointer) throws(ValueError) {
        self.init()
        try Hex.decodeFixed(text, into: &self, size: 32, type: "a 32-byte hash")
    }

    /// The hash with these bytes.
    /// - Throws: `ValueError` unless there are 32.
    public init(bytes: some Collection<UInt8>) throws(ValueError) {
        guard bytes.count == 32 else {
            throw ValueError(value: "\(bytes.count) bytes", reason: "are not a 32-byte hash")
        }
        self.init()
        withUnsafeMutableBytes(of: &self) { $0.copyBytes(from: bytes) }
    }

    /// A number as 32 big-endian bytes, as topics and storage slots hold it.
    public init(_ number: UInt256) {
        self.init(
            w0: number.l3.bigEndian,
            w1: number.l2.bigEndian,
            w2: number.l1.bigEndian,
            w3: number.l0.bigEndian
        )
    }

    /// An address, left-padded with zeros, as an indexed `address` argument is in a topic.
    public init(_ address: Address) {
        self.init()
        withUnsafeMutableBytes(of: &self) { bytes in
            withUnsafeBytes(of: address) { bytes[12...].copyBytes(from: $0[..<20]) }
        }
    }

    /// Whether every byte is zero.
    public var isZero: Bool { self.w0 | self.w1 | self.w2 | self.w3 == 0 }

    /// Calls `body` with the 32 bytes.
    public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withUnsafeBytes(of: self) { try body($0) }
    }
}

extension Hash32: Comparable {
    /// Order as big-endian numbers, which is that of their hex texts.
    public static func < (left: Hash32, right: Hash32) -> Bool {
        if left.w0 != right.w0 { return left.w0.bigEndian < right.w0.bigEndian }
        if left.w1 != right.w1 { return left.w1.bigEndian < right.w1.bigEndian }
        if left.w2 != right.w2 { return left.w2.bigEndian < right.w2.bigEndian }
        return left.w3.bigEndian < right.w3.bigEndian
    }
}

extension Hash32: RandomAccessCollection {
    public var startIndex: Int { 0 }
    public var endIndex: Int { 32 }
    public var indices: Range<Int> { 0..<32 }

    public subscript(position: Int) -> UInt8 {
        precondition(self.indices.contains(position), "index out of range")
        return withUnsafeBytes(of: self) { $0[position] }
    }
}

extension Hash32: CustomStringConvertible {
    /// `0x` and 64 lower-case hex digits.
    public var description: String { self.withBytes { Hex.string($0) } }
}

extension Hash32: Codable {
    public init(from decoder: any Decoder) throws {
        self = try JSONCoding.decodeText(from: decoder) { (text) throws(ValueError) in try Hash32(text) }
    }

    public func encode(to encoder: any Encoder) throws {
        try self.description.encode(to: encoder)
    }
}
