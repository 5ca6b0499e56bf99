public import HeadstreamJSON

extension UInt256 {
    /// Reads a number: `0x` and hex digits, or decimal digits.
    ///
    /// `0x` alone is 0, and leading zeros are accepted.
    /// - Throws: `ValueError` for anything else, and for more than 256 bits.
    public init(_ string: String) throws(ValueError) {
        // Written for `String` itself as well: else `FixedWidthInteger`'s own, which returns an optional, is preferred.
        self = try withUTF8(of: string) { (text) throws(ValueError) in try UInt256(text: text) }
    }

    /// The same for a part of a string.
    public init(_ string: some StringProtocol) throws(ValueError) {
        self = try withUTF8(of: string) { (text) throws(ValueError) in try UInt256(text: text) }
    }

    private init(text: UnsafeRawBufferPointer) throws(ValueError) {
        self = Hex.hasPrefix(text) ? try UInt256(hex: text) : try UInt256(decimal: text)
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
        self = try JSONCoding.decodeText(from: decoder) { (text) throws(ValueError) in try UInt256(text) }
    }

    /// Encodes a hex quantity, as nodes do.
    public func encode(to encoder: any Encoder) throws {
        try self.hexString.encode(to: encoder)
    }
}

extension UInt256 {
    /// Reads an amount in a unit of 10^`decimals`: `1.5` with 18 decimals is 1.5 ether in wei.
    ///
    /// Digits with at most one point, and at most `decimals` digits behind it (more may be zeros).
    /// - Throws: `ValueError` for anything else, and for more than 256 bits.
    public init(_ amount: some StringProtocol, decimals: Int) throws(ValueError) {
        let text = String(amount)
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let whole = parts.first ?? ""
        var fraction = parts.count > 1 ? parts[1] : ""
        guard decimals >= 0, decimals <= 77, !(whole.isEmpty && fraction.isEmpty) else {
            throw ValueError(value: text, reason: "is not a decimal amount")
        }
        while fraction.utf8.count > decimals, fraction.utf8.last == 0x30 { fraction.removeLast() }
        guard fraction.utf8.count <= decimals else {
            throw ValueError(value: text, reason: "has more than \(decimals) decimals")
        }
        let digits = whole + fraction + String(repeating: "0", count: decimals - fraction.utf8.count)
        self = try withUTF8(of: digits) { (digits) throws(ValueError) in
            do throws(ValueError) { return try UInt256(decimal: digits) } catch {
                throw ValueError(value: text, reason: error.reason)
            }
        }
    }

    /// The amount in a unit of 10^`decimals`, exactly and without trailing zeros: 1.5 ether is `1.5`, 2 ether is `2`.
    public func formatted(decimals: Int) -> String {
        guard decimals > 0 else { return self.description }
        var digits = self.description
        if digits.utf8.count <= decimals {
            digits = String(repeating: "0", count: decimals + 1 - digits.utf8.count) + digits
        }
        let whole = digits.dropLast(decimals)
        var fraction = digits.suffix(decimals)
        while fraction.last == "0" { fraction.removeLast() }
        return fraction.isEmpty ? String(whole) : "\(whole).\(fraction)"
    }
}
