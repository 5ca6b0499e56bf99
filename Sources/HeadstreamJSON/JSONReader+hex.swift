public import CHeadstreamBytes

/// The RPC's two ways to write bytes and integers as strings (execution-apis, schemas/base-types).
extension JSONReader {
    /// Reads a string of `0x` and exactly 2 × `count` hex digits of any case into `count` bytes at `target`.
    ///
    /// - Throws: `ValueError` where it is something else; `target` then holds anything.
    @inlinable
    package mutating func readHex(into target: UnsafeMutableRawPointer, count: Int) throws(ValueError) {
        self.skipWhitespace()
        let text = self.cursor + 3
        // The usual form, found by its length: no search for the quote.
        if self.end - self.cursor >= 2 * count + 4, self.byte == UInt8(ascii: "\""),
            self.cursor.loadUnaligned(fromByteOffset: 1, as: UInt16.self).littleEndian == 0x7830,
            text.load(fromByteOffset: 2 * count, as: UInt8.self) == UInt8(ascii: "\""),
            hs_hex_decode(text, target, count)
        {
            self.cursor = text + (2 * count + 1)
            return
        }
        try self.readUnusualHex(into: target, count: count)
    }

    @usableFromInline @inline(never)
    mutating func readUnusualHex(into target: UnsafeMutableRawPointer, count: Int) throws(ValueError) {
        let string = try self.readRawString()
        let isHex = string.withDigits { digits in
            guard let digits, digits.count == 2 * count, let from = digits.baseAddress else { return false }
            return hs_hex_decode(from, target, count)
        }
        guard isHex else { throw self.error("is not 0x and \(2 * count) hex digits", about: string) }
    }

    /// Reads a string of `0x` and an even number of hex digits, of any case, as bytes.
    package mutating func readHexBytes() throws(ValueError) -> [UInt8] {
        let string = try self.readRawString()
        let bytes: [UInt8]? = string.withDigits { digits in
            guard let digits, digits.count.isMultiple(of: 2) else { return nil }
            let count = digits.count / 2
            guard count > 0, let from = digits.baseAddress else { return [] }
            var isHex = false
            let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
                if let target = buffer.baseAddress { isHex = hs_hex_decode(from, target, count) }
                initialized = count
            }
            return isHex ? bytes : nil
        }
        guard let bytes else { throw self.error("is not 0x and an even number of hex digits", about: string) }
        return bytes
    }

    /// Reads a string of `0x` and hex digits of any case that fit 64 bits.
    ///
    /// `0x` alone is 0 and leading zeros are accepted: the specification forbids both, and nodes send them all the same.
    @inlinable
    package mutating func readQuantity() throws(ValueError) -> UInt64 {
        if let value = self.readUsualQuantity() { return value }
        return try self.readUnusualQuantity()
    }

    /// Reads a string of `0x` and 1 to 16 hex digits of any case; reads nothing and returns nil where something else follows, or
    /// the end is near.
    @inlinable
    package mutating func readUsualQuantity() -> UInt64? {
        self.skipWhitespace()
        var value: UInt64 = 0
        guard self.end - self.cursor >= 40, self.byte == UInt8(ascii: "\""),
            self.cursor.loadUnaligned(fromByteOffset: 1, as: UInt16.self).littleEndian == 0x7830
        else { return nil }
        let count = hs_hex_quantity_to_quote(self.cursor + 3, &value)
        guard count > 0 else { return nil }
        self.cursor += count + 4
        return value
    }

    @usableFromInline @inline(never)
    mutating func readUnusualQuantity() throws(ValueError) -> UInt64 {
        let string = try self.readRawString()
        let value: UInt64? = string.withDigits { digits in
            guard let digits else { return nil }
            var value: UInt64 = 0
            for byte in digits {
                let digit = hs_hex_value(byte)
                guard digit <= 15, value >> 60 == 0 else { return nil }
                value = value << 4 | UInt64(digit)
            }
            return value
        }
        guard let value else {
            throw self.error("is not 0x and hex digits of at most 64 bits", about: string)
        }
        return value
    }
}

extension JSONString {
    /// Calls with what follows the string's `0x`, or with nil where it begins otherwise. Escapes are resolved.
    package func withDigits<Result>(_ body: (UnsafeRawBufferPointer?) -> Result) -> Result {
        if self.hasEscapes {
            return self.unescaped().withUnsafeBytes { body(Self.digits($0)) }
        }
        return body(Self.digits(self.bytes))
    }

    private static func digits(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard text.count >= 2, text[0] == UInt8(ascii: "0"), text[1] | 0x20 == UInt8(ascii: "x") else { return nil }
        return UnsafeRawBufferPointer(rebasing: text[2...])
    }
}
