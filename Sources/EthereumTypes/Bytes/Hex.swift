import CHeadstreamBytes
package import HeadstreamJSON

/// Hexadecimal text to bytes and back. Input is untrusted: nothing here traps.
package enum Hex {
    /// The value of a hex digit, or `0xff`.
    @inline(__always)
    package static func digit(_ character: UInt8) -> UInt8 {
        switch character {
        case 0x30...0x39: character &- 0x30
        case 0x61...0x66: character &- 0x57
        case 0x41...0x46: character &- 0x37
        default: 0xff
        }
    }

    /// The lower-case hex digit of a nibble.
    @inline(__always)
    package static func character(_ nibble: UInt8) -> UInt8 {
        nibble &+ (nibble < 10 ? 0x30 : 0x57)
    }

    /// Whether the text starts with `0x` or `0X`.
    package static func hasPrefix(_ text: UnsafeRawBufferPointer) -> Bool {
        text.count >= 2 && text[0] == 0x30 && text[1] | 0x20 == 0x78
    }

    /// Decodes exactly `2 * count` digits (no prefix) into `count` bytes.
    /// - Returns: false if a character is not a hex digit or the length differs.
    package static func decode(_ digits: UnsafeRawBufferPointer, into bytes: UnsafeMutableRawBufferPointer) -> Bool {
        guard digits.count == bytes.count &* 2 else { return false }
        guard let source = digits.baseAddress, let target = bytes.baseAddress else { return bytes.isEmpty }
        return hs_hex_decode(source, target, bytes.count)
    }

    /// Writes `2 * bytes.count` lower-case digits.
    package static func encode(_ bytes: UnsafeRawBufferPointer, into digits: UnsafeMutableBufferPointer<UInt8>) {
        guard digits.count >= bytes.count &* 2 else { return }
        guard let source = bytes.baseAddress, let target = digits.baseAddress else { return }
        hs_hex_encode(source, bytes.count, target)
    }

    /// `0x` and two lower-case digits a byte.
    package static func string(_ bytes: UnsafeRawBufferPointer) -> String {
        String(unsafeUninitializedCapacity: 2 &+ bytes.count &* 2) { buffer in
            buffer[0] = 0x30
            buffer[1] = 0x78
            self.encode(bytes, into: UnsafeMutableBufferPointer(rebasing: buffer[2...]))
            return 2 &+ bytes.count &* 2
        }
    }

    /// A quantity: `0x` and the fewest digits, `0x0` for zero.
    package static func quantity(_ value: UInt64) -> String {
        "0x" + String(value, radix: 16)
    }

    /// Decodes `0x` and exactly `2 * size` digits into the bytes of `value`.
    ///
    /// - Parameter type: what the text should be, for the error.
    package static func decodeFixed<Value>(
        _ text: UnsafeRawBufferPointer,
        into value: inout Value,
        size: Int,
        type: StaticString
    ) throws(ValueError) {
        guard self.hasPrefix(text) else { throw ValueError(text: text, reason: "does not start with 0x") }
        guard text.count == 2 &+ size &* 2 else {
            throw ValueError(
                text: text,
                reason: "is not \(type): expected \(size &* 2) hex digits, found \(text.count &- 2)"
            )
        }
        let digits = UnsafeRawBufferPointer(rebasing: text[2...])
        let decoded = withUnsafeMutableBytes(of: &value) { bytes in
            self.decode(digits, into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<size]))
        }
        guard decoded else { throw ValueError(text: text, reason: "is not \(type): a character is not a hex digit") }
    }

    /// Reads a hexadecimal number of at most 64 bits after its `0x`.
    ///
    /// `0x` alone is 0 and leading zeros are accepted: the specification of the execution API forbids both, nodes send
    /// them all the same, and there is one way to read them.
    package static func quantity(_ text: UnsafeRawBufferPointer) throws(ValueError) -> UInt64 {
        guard self.hasPrefix(text) else {
            throw ValueError(text: text, reason: "is not a quantity: it does not start with 0x")
        }
        var value: UInt64 = 0
        var bad: UInt8 = 0
        var overflow: UInt64 = 0
        for index in 2..<text.count {
            let digit = self.digit(text[index])
            bad |= digit
            overflow |= value >> 60
            value = value << 4 | UInt64(digit & 0x0f)
        }
        guard bad & 0xf0 == 0 else {
            throw ValueError(text: text, reason: "is not a quantity: a character is not a hex digit")
        }
        guard overflow == 0 else { throw ValueError(text: text, reason: "does not fit 64 bits") }
        return value
    }
}

/// Calls `body` with the UTF-8 of a string, with a typed error.
package func withUTF8<Result>(
    of text: some StringProtocol,
    _ body: (UnsafeRawBufferPointer) throws(ValueError) -> Result
) throws(ValueError) -> Result {
    var string = String(text)
    return try string.withUTF8 { (buffer) -> Swift.Result<Result, ValueError> in
        do throws(ValueError) {
            return .success(try body(UnsafeRawBufferPointer(buffer)))
        } catch {
            return .failure(error)
        }
    }.get()
}
