public import HeadstreamJSON

extension UInt256 {
    /// Reads a number: `0x` and hex digits, or decimal digits.
    ///
    /// `0x` alone is 0, and leading zeros are accepted.
    /// - Throws: `ValueError` for anything else, and for more than 256 bits.
    public init(_ string: some StringProtocol) throws(ValueError) {
        self = try withUTF8(of: string) { (text) throws(ValueError) in
            Hex.hasPrefix(text) ? try UInt256(hex: text) : try UInt256(decimal: text)
        }
    }

    /// Reads `0x` and hex digits, as a node writes a quantity; `0x` alone is 0, and leading zeros are accepted.
    package init(hex text: UnsafeRawBufferPointer) throws(ValueError) {
        guard Hex.hasPrefix(text) else {
            throw ValueError(text: text, reason: "is not a quantity: it does not start with 0x")
        }
        self.init()
        for index in 2..<text.count {
            let digit = Hex.digit(text[index])
            guard digit < 16 else {
                throw ValueError(text: text, reason: "is not a quantity: a character is not a hex digit")
            }
            guard self.l3 >> 60 == 0 else { throw ValueError(text: text, reason: "does not fit 256 bits") }
            self.l3 = self.l3 << 4 | self.l2 >> 60
            self.l2 = self.l2 << 4 | self.l1 >> 60
            self.l1 = self.l1 << 4 | self.l0 >> 60
            self.l0 = self.l0 << 4 | UInt64(digit)
        }
    }

    package init(decimal text: UnsafeRawBufferPointer) throws(ValueError) {
        guard !text.isEmpty else { throw ValueError(text: text, reason: "is not a number") }
        self.init()
        for character in text {
            guard character >= 0x30, character <= 0x39 else {
                throw ValueError(text: text, reason: "is not a decimal number, or hex after 0x")
            }
            let (tenfold, first) = self.multipliedReportingOverflow(by: 10)
            let (sum, second) = tenfold.addingReportingOverflow(UInt256(UInt64(character &- 0x30)))
            guard !first, !second else { throw ValueError(text: text, reason: "does not fit 256 bits") }
            self = sum
        }
    }

    /// The number with these big-endian bytes.
    /// - Throws: `ValueError` if there are more than 32.
    public init(bigEndian bytes: some Collection<UInt8>) throws(ValueError) {
        guard bytes.count <= 32 else {
            throw ValueError(value: "\(bytes.count) bytes", reason: "do not fit 256 bits")
        }
        self.init()
        for byte in bytes { self = self &<< 8 | UInt256(UInt64(byte)) }
    }

    /// `0x` and the fewest hex digits, as nodes write a quantity; `0x0` for zero.
    public var hexString: String {
        if self.fitsWord { return Hex.quantity(self.l0) }
        let digits = String(Hash32(self).description.dropFirst(2).drop { $0 == "0" })
        return "0x" + digits
    }
}

extension UInt256: CustomStringConvertible {
    /// The decimal digits.
    public var description: String {
        if self.fitsWord { return String(self.l0) }
        // 19 digits a division.
        var parts: [UInt64] = []
        var rest = self
        while !rest.isZero {
            let step = rest.quotientAndRemainder(dividingBy: 10_000_000_000_000_000_000)
            parts.append(step.remainder.l0)
            rest = step.quotient
        }
        var text = ""
        for (index, part) in parts.reversed().enumerated() {
            let digits = String(part)
            if index > 0 { text += String(repeating: "0", count: 19 - digits.count) }
            text += digits
        }
        return text
    }
}

extension UInt256: Codable {
    public init(from decoder: any Decoder) throws {
        self = try UInt256(String(from: decoder))
    }

    /// Encodes a hex quantity, as nodes do.
    public func encode(to encoder: any Encoder) throws {
        try self.hexString.encode(to: encoder)
    }
}
