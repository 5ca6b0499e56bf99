public import CHeadstreamBytes

/// Reads the values of a message along a `JSONShape`.
///
/// It lives in registers: never pass it `inout` to a function that is not inlined. Each read that finds something else than it should clears `fits` and stands still; the reads after it may then return
/// anything. So a decoder checks `take`'s result at each step and `fits` at the end, and nothing in between:
///
///     var cursor = JSONShapeCursor(bytes, plan)
///     for step in plan.steps {
///         guard cursor.take(step) else { return false }
///         switch step.field {
///         case Field.number: number = cursor.quantity()
///         …
///         default: break
///         }
///     }
///     return cursor.isAtEnd
///
/// At least 64 readable and initialised bytes must follow those of the message; what they hold does not matter.
@usableFromInline
package struct JSONShapeCursor {
    @usableFromInline var at: UnsafeRawPointer
    @usableFromInline let end: UnsafeRawPointer
    @usableFromInline let runs: UnsafeRawPointer
    /// Whether every read so far found what it should.
    package private(set) var fits: Bool {
        @inlinable get { self.stillFits }
        set { self.stillFits = newValue }
    }
    @usableFromInline var stillFits = true

    @inlinable @inline(__always)
    package init(_ bytes: UnsafeRawBufferPointer, _ plan: JSONShape.Plan) {
        self.at = bytes.baseAddress ?? plan.runs
        self.end = self.at + bytes.count
        self.runs = plan.runs
    }

    @inlinable @inline(__always)
    init(at: UnsafeRawPointer, end: UnsafeRawPointer) {
        self.at = at
        self.end = end
        self.runs = at
    }

    /// Whether everything fitted and the message ends here.
    @inlinable package var isAtEnd: Bool {
        @inline(__always) get { self.stillFits && self.at == self.end }
    }

    /// Takes the run of bytes of a step; false where other bytes stand there.
    @inlinable @inline(__always)
    package mutating func take(_ step: JSONShape.Step) -> Bool {
        let count = Int(step.count)
        // The bytes past the end may look like the run, hence the first check.
        guard self.end - self.at >= count, hs_equal_padded(self.at, self.runs + Int(step.offset), count) else {
            return false
        }
        self.at += count
        return true
    }

    /// Takes 2 × `count` hex digits into `count` bytes.
    @inlinable @inline(__always)
    package mutating func hex(into target: UnsafeMutableRawPointer, count: Int) {
        guard self.end - self.at >= 2 * count, hs_hex_decode(self.at, target, count) else {
            self.stillFits = false
            return
        }
        self.at += 2 * count
    }

    /// Takes 1 to 16 hex digits up to a quote, leading zeros included.
    @inlinable @inline(__always)
    package mutating func quantity() -> UInt64 {
        var value: UInt64 = 0
        let count = hs_hex_quantity_to_quote(self.at, &value)
        // A quote past the end ends nothing of this message.
        guard count > 0, self.end - self.at > count else {
            self.stillFits = false
            return 0
        }
        self.at += count
        return value
    }

    /// Takes so many hex digits, 1 to 16, wherever a quote stands.
    @inlinable @inline(__always)
    package mutating func quantity(digits count: Int) -> UInt64 {
        var value: UInt64 = 0
        guard self.end - self.at >= count, count > 0, hs_hex_quantity(self.at, count, &value) else {
            self.stillFits = false
            return 0
        }
        self.at += count
        return value
    }

    /// The number of bytes up to the next quote, which are not taken; 0 and not fitting where there is none.
    @inlinable @inline(__always)
    package mutating func lengthToQuote() -> Int {
        let rest = self.end - self.at
        let count = hs_find_byte(self.at, rest, UInt8(ascii: "\""))
        if count == rest { self.stillFits = false }
        return count == rest ? 0 : count
    }

    /// Takes `true` or `false`.
    @inlinable @inline(__always)
    package mutating func bool() -> Bool {
        let word = UInt32(littleEndian: self.at.loadUnaligned(as: UInt32.self))
        if word == 0x6575_7274 {  // "true"
            self.advance(4)
            return true
        }
        let isFalse =
            word == 0x736c_6166 && self.at.load(fromByteOffset: 4, as: UInt8.self) == UInt8(ascii: "e")
        self.advance(isFalse ? 5 : 0)
        if !isFalse { self.stillFits = false }
        return false
    }

    /// Takes the `"0x` of an array's next string and returns true, or returns false at its `]`, which is not taken.
    ///
    /// - Parameter isFirst: whether none was taken before.
    @inlinable @inline(__always)
    package mutating func beginHexElement(isFirst: Bool) -> Bool {
        if !isFirst {
            // Behind the digits of the string before: its quote, and a comma with or without blanks.
            guard self.byte == UInt8(ascii: "\"") else { return self.doesNotFit() }
            self.advance(1)
            if self.byte == UInt8(ascii: "]") { return false }
            if self.byte != UInt8(ascii: ",") {
                self.skipBlanks()
                if self.byte == UInt8(ascii: "]") { return false }
                guard self.byte == UInt8(ascii: ",") else { return self.doesNotFit() }
            }
            self.advance(1)
            self.skipBlanks()
        } else if self.byte == UInt8(ascii: "]") {
            return false
        }
        let prefix = UInt32(littleEndian: self.at.loadUnaligned(as: UInt32.self)) & 0xff_ffff
        guard prefix == 0x78_3022 else { return self.doesNotFit() }  // `"0x`
        self.advance(3)
        return self.stillFits
    }

    @inlinable var byte: UInt8 {
        @inline(__always) get { self.at < self.end ? self.at.load(as: UInt8.self) : 0 }
    }

    @inlinable @inline(__always)
    mutating func skipBlanks() {
        while self.byte <= 0x20, self.byte == 0x20 || self.byte == 0x0a || self.byte == 0x0d || self.byte == 0x09 {
            self.at += 1
        }
    }

    /// Moves on within the message.
    @inlinable @inline(__always)
    mutating func advance(_ count: Int) {
        guard self.end - self.at >= count else {
            self.stillFits = false
            return
        }
        self.at += count
    }

    @inlinable @inline(__always)
    mutating func doesNotFit() -> Bool {
        self.stillFits = false
        return false
    }
}

extension JSONShape.Plan {
    /// Whether a message begins as the shape does: worth asking before room is made for a value. As for the cursor, at least 64
    /// readable bytes must follow the message.
    @inlinable @inline(__always)
    package func begins(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let first = self.steps.first else { return false }
        var cursor = JSONShapeCursor(bytes, self)
        return cursor.take(first)
    }
}
