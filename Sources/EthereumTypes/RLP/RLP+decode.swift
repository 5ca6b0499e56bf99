public import HeadstreamJSON

extension RLP {
    /// Lists within lists deeper than this are refused.
    public static let maximumDepth = 128

    /// Decodes exactly one value, strictly: each value has one encoding, and nothing may follow.
    ///
    /// - Throws: `ValueError` for a length beyond the input, a length or a byte not in its shortest form, bytes that
    ///   follow, and lists nested deeper than ``maximumDepth``.
    public static func decode(_ bytes: some Sequence<UInt8>) throws(ValueError) -> RLP {
        let array = ContiguousArray(bytes)
        var decoder = RLPDecoder(bytes: array)
        let value = try decoder.value(end: array.count, depth: 0)
        guard decoder.position == array.count else { throw decoder.error("is followed by more bytes") }
        return value
    }

    /// The bytes, or an error that says that it is a list.
    package func asBytes() throws(ValueError) -> Bytes {
        guard case .bytes(let bytes) = self else { throw ValueError(reason: "is an RLP list where bytes are expected") }
        return bytes
    }

    /// A number without leading zeros, of at most 256 bits.
    package func asNumber() throws(ValueError) -> UInt256 {
        let bytes = try self.asBytes()
        if let first = bytes.first, first == 0 {
            throw ValueError(value: bytes.description, reason: "is an RLP number with a leading zero")
        }
        return try UInt256(bigEndian: bytes)
    }

    package func asWord() throws(ValueError) -> UInt64 {
        let number = try self.asNumber()
        guard number.fitsWord else { throw ValueError(value: number.hexString, reason: "does not fit 64 bits") }
        return number.l0
    }
}

private struct RLPDecoder {
    let bytes: ContiguousArray<UInt8>
    var position = 0

    func error(_ reason: String) -> ValueError {
        ValueError(value: "RLP at byte \(self.position)", reason: reason)
    }

    mutating func value(end: Int, depth: Int) throws(ValueError) -> RLP {
        guard depth <= RLP.maximumDepth else { throw self.error("is nested deeper than \(RLP.maximumDepth) lists") }
        guard self.position < end else { throw self.error("is missing") }
        let first = self.bytes[self.position]
        switch first {
        case ..<0x80:
            self.position &+= 1
            return .bytes([first])
        case ..<0xc0:
            let length = try self.length(first &- 0x80, end: end)
            if length == 1, self.bytes[self.position] < 0x80 {
                throw self.error("is a byte that should stand for itself")
            }
            let start = self.position
            self.position &+= length
            return .bytes(Bytes(self.bytes[start..<self.position]))
        default:
            let length = try self.length(first &- 0xc0, end: end)
            let listEnd = self.position &+ length
            var values: [RLP] = []
            while self.position < listEnd { values.append(try self.value(end: listEnd, depth: depth &+ 1)) }
            return .list(values)
        }
    }

    /// Reads a prefix; afterwards the position is that of the payload, and the payload is known to be there.
    private mutating func length(_ short: UInt8, end: Int) throws(ValueError) -> Int {
        var length = Int(short)
        var payload = self.position &+ 1
        if short > 55 {
            let digits = Int(short) &- 55
            guard digits <= end &- payload else { throw self.error("is cut off in its length") }
            guard self.bytes[payload] != 0 else { throw self.error("has a length with a leading zero") }
            guard digits <= 6 else { throw self.error("has a length beyond the input") }
            length = 0
            for index in 0..<digits { length = length << 8 | Int(self.bytes[payload &+ index]) }
            payload &+= digits
            guard length > 55 else { throw self.error("has a length that is not in its shortest form") }
        }
        guard length <= end &- payload else { throw self.error("has a length beyond the input") }
        self.position = payload
        return length
    }
}
