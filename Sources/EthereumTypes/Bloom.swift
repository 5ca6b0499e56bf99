public import HeadstreamJSON

/// The 2,048-bit bloom filter of a block's or a receipt's logs (Yellow Paper §4.3.1): 256 bytes, inline.
///
/// It can be asked whether an address or a topic may be in the logs: `false` is certain, `true` is not. Some chains
/// send a bloom of zeros for blocks with logs; on those `false` means nothing.
public struct Bloom: Hashable, Sendable {
    package var part0 = Words8()
    package var part1 = Words8()
    package var part2 = Words8()
    package var part3 = Words8()

    /// The bloom of no logs.
    public init() {}

    /// Reads `0x` and 512 hex digits.
    public init(_ string: some StringProtocol) throws(ValueError) {
        self = try withUTF8(of: string) { (text) throws(ValueError) in try Bloom(hex: text) }
    }

    package init(hex text: UnsafeRawBufferPointer) throws(ValueError) {
        try Hex.decodeFixed(text, into: &self, size: 256, type: "a bloom of 256 bytes")
    }

    /// The bloom with these bytes.
    /// - Throws: `ValueError` unless there are 256.
    public init(bytes: some Collection<UInt8>) throws(ValueError) {
        guard bytes.count == 256 else {
            throw ValueError(value: "\(bytes.count) bytes", reason: "are not a bloom of 256 bytes")
        }
        withUnsafeMutableBytes(of: &self) { $0.copyBytes(from: bytes) }
    }

    /// The bloom of these logs.
    public init(of logs: some Sequence<Log>) {
        for log in logs { self.insert(log) }
    }

    /// Whether no bit is set: no log was added.
    public var isEmpty: Bool { self == Bloom() }

    /// Whether logs of this address may be in it.
    public func contains(_ address: Address) -> Bool {
        self.contains(BloomBits(hash: address.withBytes { Keccak256.hash(bytes: $0) }))
    }

    /// Whether logs with this topic, in any position, may be in it.
    public func contains(_ topic: Hash32) -> Bool {
        self.contains(BloomBits(hash: topic.withBytes { Keccak256.hash(bytes: $0) }))
    }

    /// Whether every bit of `other` is set here too.
    public func isSuperset(of other: Bloom) -> Bool {
        withUnsafeBytes(of: self) { mine in
            withUnsafeBytes(of: other) { theirs in
                for index in 0..<256 where mine[index] & theirs[index] != theirs[index] { return false }
                return true
            }
        }
    }

    public mutating func insert(_ address: Address) {
        self.insert(BloomBits(hash: address.withBytes { Keccak256.hash(bytes: $0) }))
    }

    public mutating func insert(_ topic: Hash32) {
        self.insert(BloomBits(hash: topic.withBytes { Keccak256.hash(bytes: $0) }))
    }

    /// Adds a log's address and its topics.
    public mutating func insert(_ log: Log) {
        self.insert(log.address)
        for topic in log.topics { self.insert(topic) }
    }

    /// Sets every bit that is set in `other`: a block's bloom is the union of its receipts'.
    public mutating func formUnion(_ other: Bloom) {
        withUnsafeMutableBytes(of: &self) { mine in
            withUnsafeBytes(of: other) { theirs in
                for index in 0..<256 { mine[index] |= theirs[index] }
            }
        }
    }

    /// Calls `body` with the 256 bytes.
    public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withUnsafeBytes(of: self) { try body($0) }
    }

    package func contains(_ bits: BloomBits) -> Bool {
        withUnsafeBytes(of: self) { bytes in
            bytes[bits.byte0] & bits.mask0 != 0 && bytes[bits.byte1] & bits.mask1 != 0
                && bytes[bits.byte2] & bits.mask2 != 0
        }
    }

    package mutating func insert(_ bits: BloomBits) {
        withUnsafeMutableBytes(of: &self) { bytes in
            bytes[bits.byte0] |= bits.mask0
            bytes[bits.byte1] |= bits.mask1
            bytes[bits.byte2] |= bits.mask2
        }
    }
}

/// The three bits of one entry, worked out once and asked of many blooms: one Keccak an address, not one a block.
package struct BloomBits: Hashable, Sendable {
    let byte0: Int
    let byte1: Int
    let byte2: Int
    let mask0: UInt8
    let mask1: UInt8
    let mask2: UInt8

    /// - Parameter hash: Keccak-256 of the entry.
    init(hash: Hash32) {
        (self.byte0, self.mask0) = Self.bit(hash[0], hash[1])
        (self.byte1, self.mask1) = Self.bit(hash[2], hash[3])
        (self.byte2, self.mask2) = Self.bit(hash[4], hash[5])
    }

    package init(_ address: Address) {
        self.init(hash: address.withBytes { Keccak256.hash(bytes: $0) })
    }

    package init(_ topic: Hash32) {
        self.init(hash: topic.withBytes { Keccak256.hash(bytes: $0) })
    }

    /// The low 11 bits of two bytes count bits from the end of the filter.
    private static func bit(_ high: UInt8, _ low: UInt8) -> (Int, UInt8) {
        let index = Int(high & 0x07) << 8 | Int(low)
        return (255 &- index >> 3, 1 &<< UInt8(index & 7))
    }
}

extension Bloom: CustomStringConvertible {
    /// `0x` and 512 lower-case hex digits.
    public var description: String { self.withBytes { Hex.string($0) } }
}

extension Bloom: Codable {
    public init(from decoder: any Decoder) throws {
        self = try JSONCoding.decodeText(from: decoder) { (text) throws(ValueError) in try Bloom(text) }
    }

    public func encode(to encoder: any Encoder) throws {
        try self.description.encode(to: encoder)
    }
}
