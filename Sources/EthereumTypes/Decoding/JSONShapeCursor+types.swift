import HeadstreamJSON

extension JSONShapeCursor {
    /// Takes the 64 digits of a hash.
    @inline(__always)
    mutating func hash(into hash: inout Hash32) {
        withUnsafeMutablePointer(to: &hash) { self.hex(into: $0, count: 32) }
    }

    /// Takes the 40 digits of an address.
    @inline(__always)
    mutating func address(into address: inout Address) {
        withUnsafeMutablePointer(to: &address) { self.hex(into: $0, count: 20) }
    }

    /// Takes the digits up to the next quote as bytes; `bytes` must be empty.
    @inline(__always)
    mutating func bytes(into bytes: inout Bytes) {
        let digits = self.lengthToQuote()
        let count = digits / 2
        if digits & 1 == 0, count <= Bytes.inlineCapacity {
            withUnsafeMutablePointer(to: &bytes.inline) { self.hex(into: $0, count: count) }
            bytes.length = count
        } else {
            // A copy, so that this cursor need not live in memory.
            var cursor = self
            bytes = cursor.longBytes(digits: digits)
            self = cursor
        }
    }

    @inline(never)
    private mutating func longBytes(digits: Int) -> Bytes {
        // An odd number leaves a digit where the quote should be, so that the message does not fit.
        var cursor = self
        let count = digits / 2
        let heap = [UInt8](unsafeUninitializedCapacity: max(1, count)) { buffer, initialized in
            guard let target = buffer.baseAddress else { return }
            cursor.hex(into: target, count: count)
            initialized = cursor.fits ? count : 0
        }
        self = cursor
        return cursor.fits ? Bytes(heap: heap) : Bytes()
    }

    /// Takes the digits up to the next quote as a number of at most 128 bits.
    @inline(__always)
    mutating func wideQuantity() -> (high: UInt64, low: UInt64) {
        let digits = self.lengthToQuote()
        guard digits > 16 else { return (0, self.quantity()) }
        let high = self.quantity(digits: digits - 16)
        return (high, self.quantity(digits: 16))
    }
}
