public import HeadstreamJSON

/// Bytes as a node gives them: a log's `data`, a transaction's `input`, a header's `extraData`.
///
/// Up to 64 bytes are kept inline, more in one heap buffer, which copies share. Text is `0x` and two hex digits a byte.
public struct Bytes: Sendable {
    /// The number of bytes that need no heap buffer.
    @inlinable package static var inlineCapacity: Int { 64 }

    // Unused inline bytes are zero, and all of them while `heap` is used.
    package var inline: Words8
    package var length: Int
    package var heap: [UInt8]?

    /// No bytes.
    @inline(__always)
    public init() {
        self.inline = Words8()
        self.length = 0
        self.heap = nil
    }

    /// Bytes that the caller has already put where they belong; `length` is at most 64.
    @inline(__always)
    package init(inline: Words8, length: Int) {
        self.inline = inline
        self.length = length
        self.heap = nil
    }

    /// A heap buffer of more than 64 bytes.
    @inline(__always)
    package init(heap: [UInt8]) {
        self.inline = Words8()
        self.length = heap.count
        self.heap = heap
    }

    /// The bytes of a sequence.
    public init(_ bytes: some Sequence<UInt8>) {
        let copied: Bytes? = bytes.withContiguousStorageIfAvailable { Bytes(copying: UnsafeRawBufferPointer($0)) }
        if let copied {
            self = copied
        } else {
            let array = Array(bytes)
            self = array.withUnsafeBytes { Bytes(copying: $0) }
        }
    }

    package init(copying bytes: UnsafeRawBufferPointer) {
        if bytes.count <= Self.inlineCapacity {
            self.init()
            self.length = bytes.count
            withUnsafeMutableBytes(of: &self.inline) { $0.copyBytes(from: bytes) }
        } else {
            self.init(heap: Array(bytes))
        }
    }

    /// Reads `0x` and an even number of hex digits; `0x` alone is no bytes.
    public init(_ string: some StringProtocol) throws(ValueError) {
        self = try withUTF8(of: string) { (text) throws(ValueError) in try Bytes(hex: text) }
    }

    package init(hex text: UnsafeRawBufferPointer) throws(ValueError) {
        guard Hex.hasPrefix(text) else { throw ValueError(text: text, reason: "does not start with 0x") }
        guard text.count & 1 == 0 else { throw ValueError(text: text, reason: "is not an even number of hex digits") }
        let digits = UnsafeRawBufferPointer(rebasing: text[2...])
        let count = digits.count / 2
        var decoded: Bool
        if count <= Self.inlineCapacity {
            self.init()
            self.length = count
            decoded = withUnsafeMutableBytes(of: &self.inline) {
                Hex.decode(digits, into: UnsafeMutableRawBufferPointer(rebasing: $0[..<count]))
            }
        } else {
            decoded = false
            let heap = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
                decoded = Hex.decode(
                    digits,
                    into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count])
                )
                initialized = count
            }
            self.init(heap: heap)
        }
        guard decoded else { throw ValueError(text: text, reason: "is not hex: a character is not a hex digit") }
    }

    /// Calls `body` with the bytes, contiguous.
    public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        if let heap = self.heap {
            try heap.withUnsafeBytes { try body($0) }
        } else {
            try withUnsafeBytes(of: self.inline) { try body(UnsafeRawBufferPointer(rebasing: $0[..<self.length])) }
        }
    }

    /// One after the other.
    public static func + (left: Bytes, right: Bytes) -> Bytes {
        if left.isEmpty { return right }
        if right.isEmpty { return left }
        return Bytes(Array(left) + Array(right))
    }
}

extension Bytes: RandomAccessCollection {
    public var startIndex: Int { 0 }
    public var endIndex: Int { self.length }
    public var count: Int { self.length }
    public var indices: Range<Int> { 0..<self.length }

    public subscript(position: Int) -> UInt8 {
        precondition(position >= 0 && position < self.length, "index out of range")
        if let heap = self.heap { return heap[position] }
        return withUnsafeBytes(of: self.inline) { $0[position] }
    }

    public func withContiguousStorageIfAvailable<Result>(
        _ body: (UnsafeBufferPointer<UInt8>) throws -> Result
    ) rethrows -> Result? {
        try self.withBytes { try $0.withMemoryRebound(to: UInt8.self) { try body($0) } }
    }
}

extension Bytes: Hashable {
    public static func == (left: Bytes, right: Bytes) -> Bool {
        left.length == right.length && left.inline == right.inline && left.heap == right.heap
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(self.length)
        self.withBytes { hasher.combine(bytes: $0) }
    }
}

extension Bytes: CustomStringConvertible {
    /// `0x` and two lower-case hex digits a byte.
    public var description: String { self.withBytes { Hex.string($0) } }
}

extension Bytes: ExpressibleByArrayLiteral {
    public init(arrayLiteral elements: UInt8...) {
        self.init(elements)
    }
}

extension Bytes: Codable {
    public init(from decoder: any Decoder) throws {
        self = try JSONCoding.decodeText(from: decoder) { (text) throws(ValueError) in try Bytes(text) }
    }

    public func encode(to encoder: any Encoder) throws {
        try self.description.encode(to: encoder)
    }
}
