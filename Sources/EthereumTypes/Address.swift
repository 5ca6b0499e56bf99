public import HeadstreamJSON

/// The address of an account: 20 bytes, inline.
///
/// Written with its EIP-55 checksum in the case of its letters. ``init(_:)`` reads any case, because nodes write lower
/// case and the checksum was never theirs to give; ``init(checksummed:)`` is for addresses that people typed or pasted.
public struct Address: Hashable, Sendable {
    // In memory order, as in `Hash32`.
    package var w0: UInt64
    package var w1: UInt64
    package var w2: UInt32

    @inline(__always)
    package init(w0: UInt64, w1: UInt64, w2: UInt32) {
        self.w0 = w0
        self.w1 = w1
        self.w2 = w2
    }

    @inline(__always)
    package init() {
        self.init(w0: 0, w1: 0, w2: 0)
    }

    /// The address of 20 zero bytes, which token contracts use for minting and burning.
    public static let zero = Address()

    /// Reads `0x` and 40 hex digits, of any case; a checksum is not checked.
    public init(_ string: some StringProtocol) throws(ValueError) {
        self = try withUTF8(of: string) { (text) throws(ValueError) in try Address(hex: text) }
    }

    package init(hex text: UnsafeRawBufferPointer) throws(ValueError) {
        self.init()
        try Hex.decodeFixed(text, into: &self, size: 20, type: "an address")
    }

    /// Reads `0x` and 40 hex digits whose case is the EIP-55 checksum.
    ///
    /// All lower and all upper case carry no checksum and are accepted, as EIP-55 has it.
    /// - Throws: `ValueError` for mixed case that is not the checksum: a digit was mistyped.
    public init(checksummed string: some StringProtocol) throws(ValueError) {
        let address = try Address(string)
        let digits = string.utf8.dropFirst(2)
        let hasLower = digits.contains { $0 >= 0x61 }
        let hasUpper = digits.contains { $0 >= 0x41 && $0 <= 0x46 }
        if hasLower && hasUpper {
            let expected = address.description
            guard digits.elementsEqual(expected.utf8.dropFirst(2)) else {
                throw ValueError(
                    value: String(string),
                    reason: "has a wrong EIP-55 checksum; the right one is \(expected)"
                )
            }
        }
        self = address
    }

    /// The address with these bytes.
    /// - Throws: `ValueError` unless there are 20.
    public init(bytes: some Collection<UInt8>) throws(ValueError) {
        guard bytes.count == 20 else { throw ValueError(value: "\(bytes.count) bytes", reason: "are not an address") }
        self.init()
        withUnsafeMutableBytes(of: &self) { $0.copyBytes(from: bytes) }
    }

    /// The last 20 bytes of a word, as an indexed `address` argument stands in a topic. The first 12 are not looked at.
    public init(lastBytesOf word: Hash32) {
        self.init()
        withUnsafeMutableBytes(of: &self) { bytes in
            withUnsafeBytes(of: word) { bytes.copyBytes(from: $0[12...]) }
        }
    }

    /// Whether every byte is zero.
    public var isZero: Bool { self.w0 | self.w1 | UInt64(self.w2) == 0 }

    /// Calls `body` with the 20 bytes.
    public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withUnsafeBytes(of: self) { try body(UnsafeRawBufferPointer(rebasing: $0[..<20])) }
    }

    /// `0x` and 40 lower-case digits, as nodes write it.
    public var lowercased: String { self.withBytes { Hex.string($0) } }
}

extension Address: Comparable {
    /// Order as big-endian numbers.
    public static func < (left: Address, right: Address) -> Bool {
        if left.w0 != right.w0 { return left.w0.bigEndian < right.w0.bigEndian }
        if left.w1 != right.w1 { return left.w1.bigEndian < right.w1.bigEndian }
        return left.w2.bigEndian < right.w2.bigEndian
    }
}

extension Address: RandomAccessCollection {
    public var startIndex: Int { 0 }
    public var endIndex: Int { 20 }
    public var indices: Range<Int> { 0..<20 }

    public subscript(position: Int) -> UInt8 {
        precondition(self.indices.contains(position), "index out of range")
        return withUnsafeBytes(of: self) { $0[position] }
    }
}

extension Address: CustomStringConvertible {
    /// `0x` and 40 digits in their EIP-55 case.
    public var description: String {
        var digits = Array(self.lowercased.utf8)
        let hash = Keccak256.hash(digits[2...])
        for index in 0..<40 {
            let nibble = index & 1 == 0 ? hash[index / 2] >> 4 : hash[index / 2] & 0x0f
            if nibble >= 8, digits[2 &+ index] >= 0x61 { digits[2 &+ index] &-= 0x20 }
        }
        return String(decoding: digits, as: UTF8.self)
    }
}

extension Address: Codable {
    public init(from decoder: any Decoder) throws {
        self = try JSONCoding.decodeText(from: decoder) { (text) throws(ValueError) in try Address(text) }
    }

    /// Encodes lower-case hex, as nodes do.
    public func encode(to encoder: any Encoder) throws {
        try self.lowercased.encode(to: encoder)
    }
}
