public import CHeadstreamBytes

/// A one-pass pull reader of JSON over bytes that stay where they are.
///
/// It is strict: RFC 8259's grammar, UTF-8 (RFC 3629), no byte order mark, escapes that name whole characters (an escaped
/// surrogate without its partner is refused), nesting up to `depthLimit`. No input traps, and no byte outside `bytes` is
/// read. Names that occur twice are both yielded; who is last wins is the caller's business.
///
/// Errors name the path of the field they are about. Nothing is kept for that while all is well: the path is found by a
/// second pass over what was read so far, when there is an error.
///
/// An object is read by `beginObject()` and then `nextKey()` until it returns nil, each key's value being read or skipped
/// before the next; an array by `beginArray()` and then `nextElement()` until it returns false:
///
///     try reader.beginObject()
///     while let key = try reader.nextKey() {
///         switch key {
///         case "number": number = try reader.readUInt64()
///         default: try reader.skipValue()
///         }
///     }
///     try reader.finish()
@usableFromInline
package struct JSONReader {
    /// The deepest nesting any reader accepts, whatever it is asked for; bounds the stack of recursive callers.
    @usableFromInline package static let maximumDepthLimit = 512
    /// How deep values may nest unless told otherwise.
    @usableFromInline package static let defaultDepthLimit = 128

    @usableFromInline let start: UnsafeRawPointer
    @usableFromInline let end: UnsafeRawPointer
    @usableFromInline var cursor: UnsafeRawPointer
    /// Containers open around the cursor.
    @usableFromInline var depth = 0
    @usableFromInline package let depthLimit: Int
    /// Whether the cursor stands right behind an opening bracket, where no comma is due.
    @usableFromInline var isFirst = false

    /// Reads `bytes`, which must stay valid and unchanged while the reader and what it returns are in use.
    ///
    /// - Parameter depthLimit: 0...512; what lies outside is taken to the nearer end.
    @inlinable
    package init(_ bytes: UnsafeRawBufferPointer, depthLimit: Int = JSONReader.defaultDepthLimit) {
        let nothing: StaticString = ""
        self.start = bytes.baseAddress ?? UnsafeRawPointer(nothing.utf8Start)
        self.end = self.start + bytes.count
        self.cursor = self.start
        self.depthLimit = max(0, min(depthLimit, JSONReader.maximumDepthLimit))
    }

    /// The bytes given to the initialiser.
    @inlinable package var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: self.start, count: self.end - self.start)
    }

    /// Where the reader stands, as an offset into `bytes`.
    @inlinable package var offset: Int { self.cursor - self.start }

    /// The bytes at offsets that `skipValue` returned; empty where they are not within `bytes`.
    @inlinable
    package func bytes(in range: Range<Int>) -> UnsafeRawBufferPointer {
        guard range.lowerBound >= 0, range.upperBound <= self.end - self.start else {
            return .init(start: nil, count: 0)
        }
        return UnsafeRawBufferPointer(start: self.start + range.lowerBound, count: range.count)
    }

    // MARK: Bytes

    /// The byte at the cursor, or 0 at the end: no token begins or continues with it.
    @inlinable var byte: UInt8 {
        self.cursor < self.end ? self.cursor.load(as: UInt8.self) : 0
    }

    @inlinable
    mutating func skipWhitespace() {
        while self.cursor < self.end {
            let byte = self.cursor.load(as: UInt8.self)
            guard byte <= 0x20, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 else { return }
            self.cursor += 1
        }
    }

    // MARK: Kinds, null and bool

    /// The kind of the value that comes next, told by its first byte; the value is not read.
    ///
    /// - Throws: `ValueError` where no value begins.
    @inlinable
    package mutating func peek() throws(ValueError) -> JSONKind {
        self.skipWhitespace()
        switch self.byte {
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        default: throw self.unexpected("a value")
        }
    }

    @inlinable
    mutating func take(_ literal: StaticString) -> Bool {
        let count = literal.utf8CodeUnitCount
        guard self.end - self.cursor >= count, hs_equal(self.cursor, literal.utf8Start, count) else { return false }
        self.cursor += count
        return true
    }

    /// Reads `null`.
    @inlinable
    package mutating func readNull() throws(ValueError) {
        self.skipWhitespace()
        guard self.take("null") else { throw self.unexpected("null") }
    }

    /// Reads `null` if that is the next value; else reads nothing and returns false.
    @inlinable
    package mutating func readNullIfPresent() throws(ValueError) -> Bool {
        self.skipWhitespace()
        guard self.byte == UInt8(ascii: "n") else { return false }
        guard self.take("null") else { throw self.unexpected("null") }
        return true
    }

    /// Reads `true` or `false`.
    @inlinable
    package mutating func readBool() throws(ValueError) -> Bool {
        self.skipWhitespace()
        if self.take("true") { return true }
        if self.take("false") { return false }
        throw self.unexpected("true or false")
    }

    // MARK: Objects and arrays

    /// Reads the `{` of an object.
    @inlinable
    package mutating func beginObject() throws(ValueError) {
        self.skipWhitespace()
        guard self.byte == UInt8(ascii: "{") else { throw self.unexpected("an object") }
        try self.enter()
    }

    /// Reads up to the value of the object's next member and returns its key, or reads the `}` and returns nil.
    @inlinable
    package mutating func nextKey() throws(ValueError) -> JSONString? {
        self.skipWhitespace()
        var byte = self.byte
        if byte == UInt8(ascii: "}") {
            self.leave()
            return nil
        }
        if self.isFirst {
            self.isFirst = false
        } else {
            guard byte == UInt8(ascii: ",") else { throw self.unexpected("',' or '}'") }
            self.cursor += 1
            self.skipWhitespace()
            byte = self.byte
        }
        guard byte == UInt8(ascii: "\"") else { throw self.unexpected("a name in quotes") }
        let key = try self.scanString()
        self.skipWhitespace()
        guard self.byte == UInt8(ascii: ":") else { throw self.unexpected("':'") }
        self.cursor += 1
        return key
    }

    /// Reads the `[` of an array.
    @inlinable
    package mutating func beginArray() throws(ValueError) {
        self.skipWhitespace()
        guard self.byte == UInt8(ascii: "[") else { throw self.unexpected("an array") }
        try self.enter()
    }

    /// Reads up to the array's next element and returns true, or reads the `]` and returns false.
    @inlinable
    package mutating func nextElement() throws(ValueError) -> Bool {
        self.skipWhitespace()
        let byte = self.byte
        if byte == UInt8(ascii: "]") {
            self.leave()
            return false
        }
        if self.isFirst {
            self.isFirst = false
        } else {
            guard byte == UInt8(ascii: ",") else { throw self.unexpected("',' or ']'") }
            self.cursor += 1
            self.skipWhitespace()
            guard self.byte != UInt8(ascii: "]") else { throw self.unexpected("a value") }
        }
        return true
    }

    @inlinable
    mutating func enter() throws(ValueError) {
        guard self.depth < self.depthLimit else { throw self.tooDeep() }
        self.depth += 1
        self.cursor += 1
        self.isFirst = true
    }

    @inlinable
    mutating func leave() {
        // A caller that asks for members it is not within gets an error from the next read, not a trap.
        self.depth = max(0, self.depth &- 1)
        self.cursor += 1
        self.isFirst = false
    }

    /// Checks that only whitespace remains.
    @inlinable
    package mutating func finish() throws(ValueError) {
        self.skipWhitespace()
        guard self.cursor == self.end, self.depth == 0 else { throw self.unexpected("the end") }
    }

    /// Reads a value of a type that knows how. A generic call: where speed counts, call `Value(from:)`.
    package mutating func read<Value: JSONReadable>(_ type: Value.Type = Value.self) throws(ValueError) -> Value {
        try Value(from: &self)
    }
}
