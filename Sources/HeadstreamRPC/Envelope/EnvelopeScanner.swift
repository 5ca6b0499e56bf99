import CHeadstreamBytes

/// Finds the parts of JSON-RPC messages in one pass, in any order of keys, without decoding them.
///
/// Brackets and strings are followed, so that nothing inside a value is mistaken for the envelope; what stands between
/// them is left to whoever decodes the value. It never reads outside the bytes and never traps.
struct EnvelopeScanner {
    /// Nesting beyond this is refused.
    static let maxDepth = 512

    private let base: UnsafeRawPointer
    private let end: Int
    private(set) var offset: Int

    /// Scans `bytes` from `offset` on.
    init(_ bytes: UnsafeRawBufferPointer, from offset: Int = 0) {
        self.end = bytes.count
        // An empty buffer may have no address; nothing is read from it.
        self.base = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped
        self.offset = offset
    }

    // MARK: Bytes

    private func byte(_ index: Int) -> UInt8 {
        self.base.load(fromByteOffset: index, as: UInt8.self)
    }

    private func fail(_ reason: String) -> EnvelopeError {
        EnvelopeError(offset: self.offset, reason: reason)
    }

    private mutating func skipBlanks() {
        while self.offset < self.end {
            switch self.byte(self.offset) {
            case 0x20, 0x0A, 0x0D, 0x09: self.offset += 1
            default: return
            }
        }
    }

    /// The next byte that is not blank, without taking it; `nil` at the end.
    mutating func peek() -> UInt8? {
        self.skipBlanks()
        return self.offset < self.end ? self.byte(self.offset) : nil
    }

    /// Takes `byte` if it is next.
    mutating func take(_ byte: UInt8) -> Bool {
        guard self.peek() == byte else { return false }
        self.offset += 1
        return true
    }

    /// Takes a string and returns the place of its contents.
    private mutating func string() throws(EnvelopeError) -> Range<Int> {
        guard self.take(0x22) else { throw self.fail("a string was expected") }
        let start = self.offset
        while let quote = find(0x22, self.base, from: self.offset, to: self.end) {
            self.offset = quote + 1
            // A quote behind an odd number of backslashes is part of the string.
            var slashes = 0
            while quote - 1 - slashes >= start, self.byte(quote - 1 - slashes) == 0x5C { slashes += 1 }
            if slashes % 2 == 0 { return start..<quote }
        }
        self.offset = self.end
        throw self.fail("a string does not end")
    }

    /// Takes any value and returns its place.
    mutating func value() throws(EnvelopeError) -> Range<Int> {
        guard let first = self.peek() else { throw self.fail("a value was expected") }
        let start = self.offset
        switch first {
        case 0x22:
            _ = try self.string()
        case 0x7B, 0x5B:
            try self.nested()
        case 0x2D, 0x30...0x39, 0x74, 0x66, 0x6E:
            self.scalar()
        default:
            throw self.fail("a value was expected")
        }
        return start..<self.offset
    }

    /// Takes what can be in a number or a literal.
    private mutating func scalar() {
        while self.offset < self.end {
            switch self.byte(self.offset) {
            case 0x2B, 0x2D, 0x2E, 0x30...0x39, 0x41...0x5A, 0x61...0x7A: self.offset += 1
            default: return
            }
        }
    }

    /// Takes an object or an array: only its brackets and strings are followed. Which kind of bracket is open is one
    /// bit of a word for the first 64 levels; below, an unequal pair is found by whoever decodes the value.
    private mutating func nested() throws(EnvelopeError) {
        var depth = 0
        var kinds: UInt64 = 0
        var place = self.offset
        defer { self.offset = place }
        while place < self.end {
            let byte = self.byte(place)
            switch byte {
            case 0x22:
                let start = place &+ 1
                let quote = start &+ hs_find_byte(self.base + start, self.end &- start, 0x22)
                if quote < self.end, self.byte(quote &- 1) != 0x5C {
                    place = quote &+ 1
                } else {
                    // Escapes before the quote, or no end: looked at closely.
                    self.offset = place
                    defer { place = self.offset }
                    _ = try self.string()
                }
            case 0x7B, 0x5B:
                place &+= 1
                if depth < 64 {
                    let bit: UInt64 = 1 << UInt64(depth)
                    kinds = byte == 0x7B ? kinds | bit : kinds & ~bit
                }
                depth &+= 1
                if depth > Self.maxDepth { throw self.fail("nested deeper than \(Self.maxDepth) levels") }
            case 0x7D, 0x5D:
                depth &-= 1
                if depth < 64, (kinds >> UInt64(depth)) & 1 != (byte == 0x7D ? 1 : 0) {
                    throw self.fail("a bracket is closed by one of the other kind")
                }
                place &+= 1
                if depth == 0 { return }
            default:
                place &+= 1
            }
        }
        throw self.fail("an object or array does not end")
    }

    // MARK: Envelopes

    /// Takes one message, an object.
    mutating func envelope() throws(EnvelopeError) -> Envelope {
        var envelope = Envelope()
        _ = self.peek()
        let start = self.offset
        try self.members { (scanner, key) throws(EnvelopeError) in
            switch key.count {
            case 2 where scanner.text(key, is: "id"):
                let place = try scanner.value()
                envelope.id = scanner.id(place)
                envelope.idPlace = scanner.unquoted(place)
            case 5 where scanner.text(key, is: "error"):
                let place = try scanner.value()
                envelope.error = scanner.text(place, is: "null") ? nil : place
            case 6 where scanner.text(key, is: "result"):
                envelope.result = try scanner.value()
            case 6 where scanner.text(key, is: "method"):
                envelope.method = scanner.unquoted(try scanner.value())
            case 6 where scanner.text(key, is: "params") && scanner.peek() == 0x7B:
                try scanner.parameters(into: &envelope)
            default:
                _ = try scanner.value()
            }
        }
        envelope.bounds = start..<self.offset
        return envelope
    }

    private mutating func parameters(into envelope: inout Envelope) throws(EnvelopeError) {
        try self.members { (scanner, key) throws(EnvelopeError) in
            switch key.count {
            case 12 where scanner.text(key, is: "subscription"):
                envelope.subscription = scanner.unquoted(try scanner.value())
            case 15 where scanner.text(key, is: "subscription_id"):
                // Starknet's name for it.
                let place = try scanner.value()
                envelope.subscription = envelope.subscription ?? scanner.unquoted(place)
            case 6 where scanner.text(key, is: "result"):
                envelope.notification = try scanner.value()
            case 5 where scanner.text(key, is: "error"):
                let place = try scanner.value()
                envelope.notificationError = scanner.text(place, is: "null") ? nil : place
            default:
                _ = try scanner.value()
            }
        }
    }

    /// Takes an object and calls `body` for each key, in front of its value.
    private mutating func members(
        _ body: (inout EnvelopeScanner, Range<Int>) throws(EnvelopeError) -> Void
    ) throws(EnvelopeError) {
        guard self.take(0x7B) else { throw self.fail("an object was expected") }
        if self.take(0x7D) { return }
        repeat {
            _ = self.peek()
            let key = try self.string()
            guard self.take(0x3A) else { throw self.fail("a colon was expected") }
            try body(&self, key)
        } while self.take(0x2C)
        guard self.take(0x7D) else { throw self.fail("a comma or closing brace was expected") }
    }

    private func text(_ place: Range<Int>, is text: StaticString) -> Bool {
        guard place.count == text.utf8CodeUnitCount else { return false }
        for index in 0..<place.count where text.utf8Start[index] != self.byte(place.lowerBound + index) {
            return false
        }
        return true
    }

    /// A string's contents, or the text of any other value.
    func unquoted(_ place: Range<Int>) -> Range<Int> {
        guard place.count >= 2, self.byte(place.lowerBound) == 0x22 else { return place }
        return place.lowerBound + 1..<place.upperBound - 1
    }

    /// An id's value, with or without its quotes.
    func id(_ place: Range<Int>) -> Envelope.ID {
        if self.text(place, is: "null") { return .null }
        let digits = self.unquoted(place)
        guard !digits.isEmpty, digits.count <= 40 else { return .other }
        var number: UInt64 = 0
        for index in digits {
            let digit = self.byte(index) &- 0x30
            guard digit < 10 else { return .other }
            let (scaled, overflow) = number.multipliedReportingOverflow(by: 10)
            let (sum, carry) = scaled.addingReportingOverflow(UInt64(digit))
            guard !overflow, !carry else { return .other }
            number = sum
        }
        return .number(number)
    }
}

/// The first place of `byte` in `from..<to`.
@inline(__always)
func find(_ byte: UInt8, _ base: UnsafeRawPointer, from: Int, to: Int) -> Int? {
    guard from < to else { return nil }
    let place = from &+ hs_find_byte(base + from, to &- from, byte)
    return place < to ? place : nil
}
