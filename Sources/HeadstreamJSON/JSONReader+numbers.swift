extension JSONReader {
    /// A number as it stands in the bytes.
    @usableFromInline
    package struct Number {
        /// Its text, RFC 8259 section 6.
        @usableFromInline package let bytes: UnsafeRawBufferPointer
        /// Whether it has neither fraction nor exponent.
        @usableFromInline package let isInteger: Bool

        @inlinable
        init(bytes: UnsafeRawBufferPointer, isInteger: Bool) {
            self.bytes = bytes
            self.isInteger = isInteger
        }
    }

    /// Reads a number and returns its text, exactly.
    package mutating func readNumber() throws(ValueError) -> Number {
        self.skipWhitespace()
        return try self.scanNumber()
    }

    /// Reads an integer; `1.0` and `1e3` are none.
    package mutating func readInteger<Value: FixedWidthInteger>(
        _ type: Value.Type = Value.self
    ) throws(ValueError) -> Value {
        let number = try self.readNumber()
        guard number.isInteger else { throw self.error("is not an integer", at: number.bytes.baseAddress) }
        guard let value: Value = parseInteger(number.bytes) else {
            throw self.error("is out of range \(Value.min)...\(Value.max)", at: number.bytes.baseAddress)
        }
        return value
    }

    package mutating func readInt64() throws(ValueError) -> Int64 { try self.readInteger() }
    package mutating func readUInt64() throws(ValueError) -> UInt64 { try self.readInteger() }

    /// Reads a number as the nearest `Double`; one beyond its range is refused.
    package mutating func readDouble() throws(ValueError) -> Double {
        let number = try self.readNumber()
        guard let value = Double(String(decoding: number.bytes, as: UTF8.self)), value.isFinite else {
            throw self.error("is out of a double's range", at: number.bytes.baseAddress)
        }
        return value
    }

    /// Reads a number; the cursor stands at its first byte.
    @usableFromInline
    mutating func scanNumber() throws(ValueError) -> Number {
        let from = self.cursor
        if self.byte == UInt8(ascii: "-") { self.cursor += 1 }
        switch self.byte {
        case UInt8(ascii: "0"): self.cursor += 1  // no digit may follow; what comes next is refused by whoever reads it
        case UInt8(ascii: "1")...UInt8(ascii: "9"): _ = self.skipDigits()
        default:
            self.cursor = from
            throw self.unexpected("a number")
        }
        var isInteger = true
        var isWhole = true
        if self.byte == UInt8(ascii: ".") {
            self.cursor += 1
            isInteger = false
            isWhole = self.skipDigits()
        }
        if isWhole, self.byte == UInt8(ascii: "e") || self.byte == UInt8(ascii: "E") {
            self.cursor += 1
            isInteger = false
            if self.byte == UInt8(ascii: "+") || self.byte == UInt8(ascii: "-") { self.cursor += 1 }
            isWhole = self.skipDigits()
        }
        guard isWhole else {
            self.cursor = from
            throw self.error("is not a number of JSON", at: from)
        }
        return Number(bytes: UnsafeRawBufferPointer(start: from, count: self.cursor - from), isInteger: isInteger)
    }

    private mutating func skipDigits() -> Bool {
        let from = self.cursor
        while self.cursor < self.end, case UInt8(ascii: "0")...UInt8(ascii: "9") = self.cursor.load(as: UInt8.self) {
            self.cursor += 1
        }
        return self.cursor > from
    }
}

/// The value of an optional `-` and decimal digits; nil where it is out of range or they are something else.
func parseInteger<Value: FixedWidthInteger>(_ text: some Collection<UInt8>) -> Value? {
    var digits = text[...]
    let isNegative = digits.first == UInt8(ascii: "-")
    if isNegative { digits = digits.dropFirst() }
    guard !digits.isEmpty else { return nil }
    var value: Value = 0
    for byte in digits {
        guard case UInt8(ascii: "0")...UInt8(ascii: "9") = byte else { return nil }
        let digit = Value(truncatingIfNeeded: byte &- UInt8(ascii: "0"))
        let (shifted, overflow) = value.multipliedReportingOverflow(by: 10)
        let (sum, carry) =
            isNegative ? shifted.subtractingReportingOverflow(digit) : shifted.addingReportingOverflow(digit)
        guard !overflow, !carry else { return nil }
        value = sum
    }
    return value
}
