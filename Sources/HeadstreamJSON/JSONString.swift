public import CHeadstreamBytes

/// A string of a JSON text as it stands there, between its quotes: valid UTF-8 with valid escapes, nothing copied.
///
/// It is valid as long as the bytes that its reader was given.
@usableFromInline
package struct JSONString {
    @usableFromInline let start: UnsafeRawPointer
    /// The length in bytes as written, escapes included.
    @usableFromInline package let count: Int
    /// Whether a `\` occurs; if not, the bytes are the string's own.
    @usableFromInline package let hasEscapes: Bool

    @inlinable
    init(start: UnsafeRawPointer, count: Int, hasEscapes: Bool) {
        self.start = start
        self.count = count
        self.hasEscapes = hasEscapes
    }

    /// The bytes between the quotes, as written.
    @inlinable package var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: self.start, count: self.count)
    }

    /// Whether the string, its escapes resolved, is the text given.
    @inlinable
    package static func == (string: JSONString, text: StaticString) -> Bool {
        if string.hasEscapes { return string.isUnescaped(text) }
        return string.count == text.utf8CodeUnitCount && hs_equal(string.start, text.utf8Start, string.count)
    }

    @inlinable
    package static func ~= (text: StaticString, string: JSONString) -> Bool { string == text }

    @usableFromInline @inline(never)
    func isUnescaped(_ text: StaticString) -> Bool {
        // An escape is never shorter than what it stands for.
        guard self.count >= text.utf8CodeUnitCount else { return false }
        return UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
            .elementsEqual(self.unescaped())
    }

    /// The string's text, its escapes resolved.
    package var string: String {
        self.hasEscapes
            ? String(decoding: self.unescaped(), as: UTF8.self) : String(decoding: self.bytes, as: UTF8.self)
    }

    /// The string's UTF-8, its escapes resolved (RFC 8259 section 7).
    package func unescaped() -> [UInt8] {
        guard self.hasEscapes else { return Array(self.bytes) }
        var out: [UInt8] = []
        out.reserveCapacity(self.count)
        let bytes = self.bytes
        var at = 0
        while at < bytes.count {
            let byte = bytes[at]
            guard byte == UInt8(ascii: "\\"), at + 1 < bytes.count else {
                out.append(byte)
                at += 1
                continue
            }
            at += 2
            switch bytes[at - 1] {
            case UInt8(ascii: "b"): out.append(0x08)
            case UInt8(ascii: "f"): out.append(0x0c)
            case UInt8(ascii: "n"): out.append(0x0a)
            case UInt8(ascii: "r"): out.append(0x0d)
            case UInt8(ascii: "t"): out.append(0x09)
            case UInt8(ascii: "u"):
                var unit = Self.codeUnit(bytes, at: at) ?? 0xfffd
                at += 4
                if unit & 0xfc00 == 0xd800, let low = Self.codeUnit(bytes, at: at + 2) {
                    unit = 0x10000 + (unit & 0x3ff) << 10 + low & 0x3ff
                    at += 6
                }
                out.append(contentsOf: String(Unicode.Scalar(unit) ?? "\u{fffd}").utf8)
            case let other: out.append(other)  // `"`, `\` and `/` stand for themselves
            }
        }
        return out
    }

    /// The four hex digits at an index, where there are so many.
    static func codeUnit(_ bytes: UnsafeRawBufferPointer, at index: Int) -> UInt32? {
        guard index >= 0, bytes.count - index >= 4 else { return nil }
        var unit: UInt32 = 0
        for byte in bytes[index..<index + 4] {
            let digit = hs_hex_value(byte)
            guard digit <= 15 else { return nil }
            unit = unit << 4 | UInt32(digit)
        }
        return unit
    }
}
