public import CHeadstreamBytes

/// The members that a type's objects may have, found by their keys: for nodes that write them in another order each time.
///
/// The second way of a decoder, between a learnt ``JSONShape`` and reading as any JSON: what stands between the values is
/// compared with the one form that nodes without blanks give it, and the member found by its key's length and first eight
/// bytes, in a table without collisions.
///
/// `@unchecked Sendable`: the memory is filled before `init` returns and only read afterwards.
@usableFromInline
package final class JSONMembers: @unchecked Sendable {
    /// A member that objects of the type may have.
    package struct Member {
        package let key: StaticString
        /// The type's own number of the field, below 64.
        package let field: UInt8
        package let form: JSONShape.Form

        package init(_ key: StaticString, _ field: UInt8, _ form: JSONShape.Form) {
            self.key = key
            self.field = field
            self.form = form
        }
    }

    /// A place of the table; its key is followed by zeros, so that it can be compared by wide loads.
    @usableFromInline
    struct Place {
        @usableFromInline var bytes: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        /// Of the key; 0 in an empty place.
        @usableFromInline var count: UInt8 = 0
        @usableFromInline var field: UInt8 = 0
        @usableFromInline var form = JSONShape.Form.hex
    }

    /// The longest key, in bytes.
    package static let longestKey = 31
    private static let bits: UInt64 = 7

    @usableFromInline let places: UnsafeMutablePointer<Place>
    @usableFromInline let multiplier: UInt64
    @usableFromInline let shift: UInt64

    /// - Parameter members: at most 32, with keys of 1 to ``longestKey`` bytes that differ in length or in their first eight
    ///   bytes; others are left out, and read as any JSON.
    package init(_ members: [Member]) {
        let members = members.filter { (1...Self.longestKey).contains($0.key.utf8CodeUnitCount) }.prefix(32)
        self.places = .allocate(capacity: 1 << Self.bits)
        self.places.initialize(repeating: Place(), count: 1 << Self.bits)
        let shift = 64 - Self.bits
        self.shift = shift
        // One in ten multipliers or so puts each key in a place of its own; the same one for the same keys.
        var multiplier: UInt64 = 0x9E37_79B9_7F4A_7C15
        for _ in 0..<10_000 {
            if Set(members.map { Self.place(of: $0.key, multiplier, shift) }).count == members.count { break }
            multiplier = multiplier &* 0x5851_F42D_4C95_7F2D &+ 0x1405_7B7E_F767_814F | 1
        }
        self.multiplier = multiplier
        for member in members {
            let place = self.places + Self.place(of: member.key, multiplier, shift)
            guard place.pointee.count == 0 else { continue }
            place.pointee.count = UInt8(clamping: member.key.utf8CodeUnitCount)
            place.pointee.field = member.field
            place.pointee.form = member.form
            withUnsafeMutableBytes(of: &place.pointee.bytes) { bytes in
                bytes.copyMemory(
                    from: UnsafeRawBufferPointer(start: member.key.utf8Start, count: member.key.utf8CodeUnitCount)
                )
            }
        }
    }

    deinit {
        self.places.deallocate()
    }

    private static func place(of key: StaticString, _ multiplier: UInt64, _ shift: UInt64) -> Int {
        var word: UInt64 = 0
        for index in 0..<min(8, key.utf8CodeUnitCount) { word |= UInt64(key.utf8Start[index]) << UInt64(8 * index) }
        return Self.place(word, UInt64(key.utf8CodeUnitCount), multiplier, shift)
    }

    @inlinable @inline(__always)
    static func place(_ word: UInt64, _ count: UInt64, _ multiplier: UInt64, _ shift: UInt64) -> Int {
        Int(truncatingIfNeeded: ((word ^ count &* 0xFF51_AFD7_ED55_8CCD) &* multiplier) &>> shift)
    }

    /// The member whose key, without escapes, is the `count` bytes at `key`, with 64 readable bytes behind them.
    @inlinable @inline(__always)
    func find(_ key: UnsafeRawPointer, _ count: Int) -> UnsafePointer<Place>? {
        var word = UInt64(littleEndian: key.loadUnaligned(as: UInt64.self))
        if count < 8 { word &= (1 &<< UInt64(truncatingIfNeeded: 8 &* count)) &- 1 }
        let place = self.places + Self.place(word, UInt64(truncatingIfNeeded: count), self.multiplier, self.shift)
        // Empty places have a count of 0, and so may a key.
        guard count > 0, Int(place.pointee.count) == count, hs_equal_padded(key, place, count) else { return nil }
        return UnsafePointer(place)
    }
}

extension JSONShapeCursor {
    /// A cursor for a message whose members are taken by their keys; see ``takeMember(_:_:)``.
    @inlinable @inline(__always)
    package init(_ bytes: UnsafeRawBufferPointer) {
        let start = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped
        self.init(at: start, end: start + bytes.count)
    }

    /// Takes everything up to a member's value, or to the object's end.
    ///
    /// - Parameters:
    ///   - members: what may come.
    ///   - last: the form of the value that was taken last; nil before the first.
    /// - Returns: the number and form of the field whose value follows, as behind a shape's step; `JSONShape.end` behind the
    ///   object's brace; nil where there is anything else.
    @inlinable @inline(__always)
    package mutating func takeMember(
        _ members: JSONMembers,
        after last: JSONShape.Form?
    ) -> (field: UInt8, form: JSONShape.Form)? {
        switch last {
        case .hex: guard self.takeByte(UInt8(ascii: "\"")) else { return nil }
        case .hexArray: guard self.takeByte(UInt8(ascii: "]")) else { return nil }
        case .bool, nil: break
        }
        if last != nil, self.byte == UInt8(ascii: "}") {
            self.at += 1
            return (JSONShape.end, .bool)
        }
        guard self.takeByte(last == nil ? UInt8(ascii: "{") : UInt8(ascii: ",")), self.takeByte(UInt8(ascii: "\""))
        else {
            return nil
        }
        let count = hs_find_byte(self.at, min(self.end - self.at, 32), UInt8(ascii: "\""))
        guard let member = members.find(self.at, count) else { return nil }
        // The key's quote, a colon and what a value of this form begins with; what was not there is not taken.
        self.at += count
        let word = UInt64(littleEndian: self.at.loadUnaligned(as: UInt64.self))
        let form = member.pointee.form
        switch form {
        case .hex:
            guard self.end - self.at >= 5, word & 0xff_ffff_ffff == 0x78_3022_3a22 else { return nil }  // `":"0x`
            self.at += 5
        case .hexArray:
            guard self.end - self.at >= 3, word & 0xff_ffff == 0x5b_3a22 else { return nil }  // `":[`
            self.at += 3
        case .bool:
            guard self.end - self.at >= 2, word & 0xffff == 0x3a22 else { return nil }  // `":`
            self.at += 2
        }
        return (member.pointee.field, form)
    }

    @inlinable @inline(__always)
    mutating func takeByte(_ byte: UInt8) -> Bool {
        guard self.byte == byte, self.at < self.end else { return false }
        self.at += 1
        return true
    }
}
