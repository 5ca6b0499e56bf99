/// Checks UTF-8 that arrives in pieces, and tells the first byte that cannot be part of it (RFC 3629 §4).
///
/// Overlong forms, surrogates and scalars above U+10FFFF are refused at the byte that makes them so, as RFC 6455 §8.1
/// and the Autobahn cases 6.4.* want it.
struct UTF8Validator: Sendable {
    /// Continuation bytes that the scalar begun by the last piece still needs.
    private var needed: UInt8 = 0
    /// The range of the next continuation byte; narrower than 80…BF after E0, ED, F0 and F4.
    private var low: UInt8 = 0x80
    private var high: UInt8 = 0xBF

    /// Whether the bytes so far end with a whole scalar.
    var isComplete: Bool { self.needed == 0 }

    /// Takes the next piece; false as soon as no text can begin with the bytes so far.
    mutating func consume(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let count = bytes.count
        var index = 0
        while self.needed != 0, index < count {
            guard self.step(bytes[index]) else { return false }
            index += 1
        }
        // The bulk ends with the piece, with a scalar cut short, or at an invalid byte: the state tells which.
        index += ByteKernels.utf8Prefix(UnsafeRawBufferPointer(rebasing: bytes[index...]))
        while index < count {
            guard self.step(bytes[index]) else { return false }
            index += 1
        }
        return true
    }

    /// One byte; false if it cannot stand here.
    private mutating func step(_ byte: UInt8) -> Bool {
        if self.needed != 0 {
            guard byte >= self.low, byte <= self.high else { return false }
            self.needed -= 1
            self.low = 0x80
            self.high = 0xBF
            return true
        }
        switch byte {
        case 0x00...0x7F: return true
        case 0xC2...0xDF: self.needed = 1
        case 0xE0...0xEF:
            self.needed = 2
            if byte == 0xE0 { self.low = 0xA0 }
            if byte == 0xED { self.high = 0x9F }
        case 0xF0...0xF4:
            self.needed = 3
            if byte == 0xF0 { self.low = 0x90 }
            if byte == 0xF4 { self.high = 0x8F }
        default: return false
        }
        return true
    }
}
