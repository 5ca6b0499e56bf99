/// An unsigned integer of 256 bits, Ethereum's word.
///
/// It works as Swift's own integers do: `+`, `-` and `*` trap on overflow, `&+`, `&-` and `&*` wrap, and
/// `addingReportingOverflow(_:)` and its kin tell. Four words inline, no heap object.
public struct UInt256: Hashable, Sendable {
    /// Bits 0 to 63.
    package var l0: UInt64
    /// Bits 64 to 127.
    package var l1: UInt64
    /// Bits 128 to 191.
    package var l2: UInt64
    /// Bits 192 to 255.
    package var l3: UInt64

    @inline(__always)
    package init(l0: UInt64, l1: UInt64, l2: UInt64, l3: UInt64) {
        self.l0 = l0
        self.l1 = l1
        self.l2 = l2
        self.l3 = l3
    }

    @inline(__always)
    public init() {
        self.init(l0: 0, l1: 0, l2: 0, l3: 0)
    }

    @inline(__always)
    public init(_ value: UInt64) {
        self.init(l0: value, l1: 0, l2: 0, l3: 0)
    }

    /// A word's 32 bytes as a big-endian number.
    public init(_ word: Hash32) {
        self.init(
            l0: UInt64(bigEndian: word.w3),
            l1: UInt64(bigEndian: word.w2),
            l2: UInt64(bigEndian: word.w1),
            l3: UInt64(bigEndian: word.w0)
        )
    }

    public static let zero = UInt256()
    public static let max = UInt256(l0: .max, l1: .max, l2: .max, l3: .max)
    public static let min = UInt256()

    /// Whether it is 0.
    public var isZero: Bool { self.l0 | self.l1 | self.l2 | self.l3 == 0 }

    /// Whether it fits one 64-bit word.
    package var fitsWord: Bool { self.l1 | self.l2 | self.l3 == 0 }

    @inline(__always)
    package subscript(limb index: Int) -> UInt64 {
        get {
            switch index {
            case 0: self.l0
            case 1: self.l1
            case 2: self.l2
            case 3: self.l3
            default: 0
            }
        }
        set {
            switch index {
            case 0: self.l0 = newValue
            case 1: self.l1 = newValue
            case 2: self.l2 = newValue
            case 3: self.l3 = newValue
            default: break
            }
        }
    }
}

extension UInt256: Comparable {
    // Written out: the default that would be taken is `Strideable`'s, by a distance that does not fit Int.
    public static func == (left: UInt256, right: UInt256) -> Bool {
        left.l0 == right.l0 && left.l1 == right.l1 && left.l2 == right.l2 && left.l3 == right.l3
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(self.l0)
        hasher.combine(self.l1)
        hasher.combine(self.l2)
        hasher.combine(self.l3)
    }

    public static func < (left: UInt256, right: UInt256) -> Bool {
        if left.l3 != right.l3 { return left.l3 < right.l3 }
        if left.l2 != right.l2 { return left.l2 < right.l2 }
        if left.l1 != right.l1 { return left.l1 < right.l1 }
        return left.l0 < right.l0
    }
}

extension UInt256: FixedWidthInteger, UnsignedInteger {
    public typealias Magnitude = UInt256
    public typealias IntegerLiteralType = StaticBigInt

    public static var bitWidth: Int { 256 }

    /// The four words, least significant first.
    public struct Words: RandomAccessCollection, Sendable {
        private let value: UInt256

        init(_ value: UInt256) { self.value = value }

        public var startIndex: Int { 0 }
        public var endIndex: Int { 4 }
        public var indices: Range<Int> { 0..<4 }

        public subscript(position: Int) -> UInt {
            precondition(position >= 0 && position < 4, "index out of range")
            return UInt(truncatingIfNeeded: self.value[limb: position])
        }
    }

    public var words: Words { Words(self) }

    public init(integerLiteral value: StaticBigInt) {
        precondition(value.signum() >= 0 && value.bitWidth <= 257, "literal does not fit UInt256")
        self.init(
            l0: UInt64(value[0]),
            l1: UInt64(value[1]),
            l2: UInt64(value[2]),
            l3: UInt64(value[3])
        )
    }

    public init(_truncatingBits bits: UInt) {
        self.init(UInt64(bits))
    }

    public init<Source: BinaryInteger>(truncatingIfNeeded source: Source) {
        if let same = source as? UInt256 {
            self = same
            return
        }
        let fill: UInt64 = source < (0 as Source) ? .max : 0
        self.init(l0: fill, l1: fill, l2: fill, l3: fill)
        var index = 0
        for word in source.words {
            guard index < 4 else { return }
            self[limb: index] = UInt64(word)
            index &+= 1
        }
    }

    public init?<Source: BinaryInteger>(exactly source: Source) {
        guard source >= (0 as Source) else { return nil }
        var index = 0
        for word in source.words {
            guard index < 4 || word == 0 else { return nil }
            index &+= 1
        }
        self.init(truncatingIfNeeded: source)
    }

    public init<Source: BinaryInteger>(clamping source: Source) {
        if source < (0 as Source) {
            self = .min
        } else {
            self = UInt256(exactly: source) ?? .max
        }
    }

    public init<Source: BinaryInteger>(_ source: Source) {
        guard let value = UInt256(exactly: source) else {
            preconditionFailure("the value is negative or does not fit UInt256")
        }
        self = value
    }

    public init?<Source: BinaryFloatingPoint>(exactly source: Source) {
        guard source.isFinite, source >= 0, source.rounded(.towardZero) == source else { return nil }
        guard source != 0 else {
            self.init()
            return
        }
        let exponent = Int(source.exponent)
        guard exponent < 256 else { return nil }
        let significandBits = Source.significandBitCount
        let significand = UInt256(truncatingIfNeeded: source.significandBitPattern) | 1 << UInt256(significandBits)
        self =
            exponent >= significandBits
            ? significand << UInt256(exponent &- significandBits) : significand >> UInt256(significandBits &- exponent)
    }

    public init<Source: BinaryFloatingPoint>(_ source: Source) {
        guard let value = UInt256(exactly: source.rounded(.towardZero)) else {
            preconditionFailure("the value is negative, not finite, or does not fit UInt256")
        }
        self = value
    }

    public var nonzeroBitCount: Int {
        self.l0.nonzeroBitCount &+ self.l1.nonzeroBitCount &+ self.l2.nonzeroBitCount &+ self.l3.nonzeroBitCount
    }

    public var leadingZeroBitCount: Int {
        if self.l3 != 0 { return self.l3.leadingZeroBitCount }
        if self.l2 != 0 { return 64 &+ self.l2.leadingZeroBitCount }
        if self.l1 != 0 { return 128 &+ self.l1.leadingZeroBitCount }
        return 192 &+ self.l0.leadingZeroBitCount
    }

    public var trailingZeroBitCount: Int {
        if self.l0 != 0 { return self.l0.trailingZeroBitCount }
        if self.l1 != 0 { return 64 &+ self.l1.trailingZeroBitCount }
        if self.l2 != 0 { return 128 &+ self.l2.trailingZeroBitCount }
        return 192 &+ self.l3.trailingZeroBitCount
    }

    public var byteSwapped: UInt256 {
        UInt256(
            l0: self.l3.byteSwapped,
            l1: self.l2.byteSwapped,
            l2: self.l1.byteSwapped,
            l3: self.l0.byteSwapped
        )
    }
}
