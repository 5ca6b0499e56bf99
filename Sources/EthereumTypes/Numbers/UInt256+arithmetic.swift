extension UInt256 {
    public func addingReportingOverflow(_ other: UInt256) -> (partialValue: UInt256, overflow: Bool) {
        var result = UInt256()
        var carry: UInt64 = 0
        for index in 0..<4 {
            let (sum, first) = self[limb: index].addingReportingOverflow(other[limb: index])
            let (total, second) = sum.addingReportingOverflow(carry)
            result[limb: index] = total
            carry = first || second ? 1 : 0
        }
        return (result, carry != 0)
    }

    public func subtractingReportingOverflow(_ other: UInt256) -> (partialValue: UInt256, overflow: Bool) {
        var result = UInt256()
        var borrow: UInt64 = 0
        for index in 0..<4 {
            let (difference, first) = self[limb: index].subtractingReportingOverflow(other[limb: index])
            let (total, second) = difference.subtractingReportingOverflow(borrow)
            result[limb: index] = total
            borrow = first || second ? 1 : 0
        }
        return (result, borrow != 0)
    }

    public func multipliedReportingOverflow(by other: UInt256) -> (partialValue: UInt256, overflow: Bool) {
        let (high, low) = self.multipliedFullWidth(by: other)
        return (low, !high.isZero)
    }

    public func multipliedFullWidth(by other: UInt256) -> (high: UInt256, low: UInt256) {
        var low = UInt256()
        var high = UInt256()
        for row in 0..<4 {
            let factor = self[limb: row]
            if factor == 0 { continue }
            var carry: UInt64 = 0
            for column in 0..<4 {
                let position = row &+ column
                let product = factor.multipliedFullWidth(by: other[limb: column])
                let existing = position < 4 ? low[limb: position] : high[limb: position &- 4]
                let (sum, first) = existing.addingReportingOverflow(product.low)
                let (total, second) = sum.addingReportingOverflow(carry)
                // Cannot overflow: (2^64 - 1)^2 + 2 (2^64 - 1) is 2^128 - 1.
                carry = product.high &+ (first ? 1 : 0) &+ (second ? 1 : 0)
                if position < 4 { low[limb: position] = total } else { high[limb: position &- 4] = total }
            }
            high[limb: row] = carry
        }
        return (high, low)
    }

    public func dividedReportingOverflow(by other: UInt256) -> (partialValue: UInt256, overflow: Bool) {
        if other.isZero { return (self, true) }
        return (Self.divide(high: UInt256(), low: self, by: other).quotient, false)
    }

    public func remainderReportingOverflow(dividingBy other: UInt256) -> (partialValue: UInt256, overflow: Bool) {
        if other.isZero { return (self, true) }
        return (Self.divide(high: UInt256(), low: self, by: other).remainder, false)
    }

    /// - Precondition: the receiver is greater than `dividend.high`, as with Swift's own integers.
    public func dividingFullWidth(
        _ dividend: (high: UInt256, low: UInt256)
    ) -> (quotient: UInt256, remainder: UInt256) {
        precondition(!self.isZero, "division by zero")
        precondition(dividend.high < self, "the quotient does not fit UInt256")
        return Self.divide(high: dividend.high, low: dividend.low, by: self)
    }

    public func quotientAndRemainder(
        dividingBy other: UInt256
    ) -> (quotient: UInt256, remainder: UInt256) {
        precondition(!other.isZero, "division by zero")
        return Self.divide(high: UInt256(), low: self, by: other)
    }

    /// Knuth's algorithm D on words of 64 bits (The Art of Computer Programming, volume 2, §4.3.1).
    ///
    /// `divisor` is not zero and greater than `high`.
    private static func divide(
        high: UInt256,
        low: UInt256,
        by divisor: UInt256
    ) -> (quotient: UInt256, remainder: UInt256) {
        if high.isZero {
            if low < divisor { return (UInt256(), low) }
            if divisor.fitsWord { return low.dividedByWord(divisor.l0) }
        }
        let shift = divisor.leadingZeroBitCount
        let count = 4 &- shift / 64
        if count == 1 {
            // Two words at most: the quotient would not fit otherwise.
            var remainder = high.l0
            var quotient = UInt256()
            for index in stride(from: 3, through: 0, by: -1) {
                let step = divisor.l0.dividingFullWidth((remainder, low[limb: index]))
                quotient[limb: index] = step.quotient
                remainder = step.remainder
            }
            return (quotient, UInt256(remainder))
        }
        // Normalised: the divisor's top bit of its top used word is set.
        let bits = UInt64(shift & 63)
        let normal = divisor &<< UInt256(bits)
        let top = normal[limb: count &- 1]
        let second = normal[limb: count &- 2]
        var rest = Wide(high: high, low: low)
        rest.shiftLeft(bits)

        var quotient = UInt256()
        for index in stride(from: 8 &- count, through: 0, by: -1) {
            // Estimate the digit from the top words; it is at most two too large.
            let upper = rest[index &+ count]
            let next = rest[index &+ count &- 1]
            var digit: UInt64
            var remainder: UInt64
            var settled = false
            if upper >= top {
                digit = .max
                let (sum, overflow) = next.addingReportingOverflow(top)
                remainder = sum
                settled = overflow
            } else {
                (digit, remainder) = top.dividingFullWidth((upper, next))
            }
            while !settled {
                let product = digit.multipliedFullWidth(by: second)
                let below = rest[index &+ count &- 2]
                guard product.high > remainder || (product.high == remainder && product.low > below) else { break }
                digit &-= 1
                let (sum, overflow) = remainder.addingReportingOverflow(top)
                remainder = sum
                settled = overflow
            }
            // Subtract digit * divisor; where that goes below zero the digit was one too large.
            var carry: UInt64 = 0
            var borrow: UInt64 = 0
            for limb in 0..<count {
                let product = digit.multipliedFullWidth(by: normal[limb: limb])
                let (part, overflow) = product.low.addingReportingOverflow(carry)
                carry = product.high &+ (overflow ? 1 : 0)
                let (difference, first) = rest[index &+ limb].subtractingReportingOverflow(part)
                let (total, last) = difference.subtractingReportingOverflow(borrow)
                rest[index &+ limb] = total
                borrow = first || last ? 1 : 0
            }
            let (difference, first) = upper.subtractingReportingOverflow(carry)
            let (total, last) = difference.subtractingReportingOverflow(borrow)
            rest[index &+ count] = total
            if first || last {
                digit &-= 1
                var carry: UInt64 = 0
                for limb in 0..<count {
                    let (sum, first) = rest[index &+ limb].addingReportingOverflow(normal[limb: limb])
                    let (total, last) = sum.addingReportingOverflow(carry)
                    rest[index &+ limb] = total
                    carry = first || last ? 1 : 0
                }
                rest[index &+ count] = rest[index &+ count] &+ carry
            }
            quotient[limb: index] = digit
        }
        return (quotient, rest.low &>> UInt256(bits))
    }

    private func dividedByWord(_ divisor: UInt64) -> (quotient: UInt256, remainder: UInt256) {
        var remainder: UInt64 = 0
        var quotient = UInt256()
        for index in stride(from: 3, through: 0, by: -1) {
            let step = divisor.dividingFullWidth((remainder, self[limb: index]))
            quotient[limb: index] = step.quotient
            remainder = step.remainder
        }
        return (quotient, UInt256(remainder))
    }

    /// Nine words: a dividend of 512 bits after normalisation.
    private struct Wide {
        var high: UInt256
        var low: UInt256
        var top: UInt64 = 0

        init(high: UInt256, low: UInt256) {
            self.high = high
            self.low = low
        }

        subscript(index: Int) -> UInt64 {
            get { index < 4 ? self.low[limb: index] : index < 8 ? self.high[limb: index &- 4] : self.top }
            set {
                if index < 4 {
                    self.low[limb: index] = newValue
                } else if index < 8 {
                    self.high[limb: index &- 4] = newValue
                } else {
                    self.top = newValue
                }
            }
        }

        /// - Parameter bits: below 64.
        mutating func shiftLeft(_ bits: UInt64) {
            guard bits > 0 else { return }
            let back = 64 &- bits
            self.top = self.high.l3 &>> back
            self.high = self.high &<< UInt256(bits) | UInt256(self.low.l3 &>> back)
            self.low = self.low &<< UInt256(bits)
        }
    }
}

extension UInt256 {
    // The generic forms of FixedWidthInteger would do all this through reports and words.

    public static func + (left: UInt256, right: UInt256) -> UInt256 {
        let (value, overflow) = left.addingReportingOverflow(right)
        precondition(!overflow, "arithmetic overflow")
        return value
    }

    public static func - (left: UInt256, right: UInt256) -> UInt256 {
        let (value, overflow) = left.subtractingReportingOverflow(right)
        precondition(!overflow, "arithmetic overflow")
        return value
    }

    public static func * (left: UInt256, right: UInt256) -> UInt256 {
        let (value, overflow) = left.multipliedReportingOverflow(by: right)
        precondition(!overflow, "arithmetic overflow")
        return value
    }

    public static func / (left: UInt256, right: UInt256) -> UInt256 {
        left.quotientAndRemainder(dividingBy: right).quotient
    }

    public static func % (left: UInt256, right: UInt256) -> UInt256 {
        left.quotientAndRemainder(dividingBy: right).remainder
    }

    public static func += (left: inout UInt256, right: UInt256) { left = left + right }
    public static func -= (left: inout UInt256, right: UInt256) { left = left - right }
    public static func *= (left: inout UInt256, right: UInt256) { left = left * right }
    public static func /= (left: inout UInt256, right: UInt256) { left = left / right }
    public static func %= (left: inout UInt256, right: UInt256) { left = left % right }

    public static prefix func ~ (value: UInt256) -> UInt256 {
        UInt256(l0: ~value.l0, l1: ~value.l1, l2: ~value.l2, l3: ~value.l3)
    }

    public static func & (left: UInt256, right: UInt256) -> UInt256 {
        UInt256(l0: left.l0 & right.l0, l1: left.l1 & right.l1, l2: left.l2 & right.l2, l3: left.l3 & right.l3)
    }

    public static func | (left: UInt256, right: UInt256) -> UInt256 {
        UInt256(l0: left.l0 | right.l0, l1: left.l1 | right.l1, l2: left.l2 | right.l2, l3: left.l3 | right.l3)
    }

    public static func ^ (left: UInt256, right: UInt256) -> UInt256 {
        UInt256(l0: left.l0 ^ right.l0, l1: left.l1 ^ right.l1, l2: left.l2 ^ right.l2, l3: left.l3 ^ right.l3)
    }

    public static func &= (left: inout UInt256, right: UInt256) { left = left & right }
    public static func |= (left: inout UInt256, right: UInt256) { left = left | right }
    public static func ^= (left: inout UInt256, right: UInt256) { left = left ^ right }

    /// Shifts by `right` modulo 256.
    public static func &<< (left: UInt256, right: UInt256) -> UInt256 {
        let words = Int(right.l0 & 255) / 64
        let bits = right.l0 & 63
        var result = UInt256()
        for index in words..<4 {
            let low = left[limb: index &- words]
            result[limb: index] |= low &<< bits
            if bits > 0, index < 3 { result[limb: index &+ 1] = low &>> (64 &- bits) }
        }
        return result
    }

    /// Shifts by `right` modulo 256.
    public static func &>> (left: UInt256, right: UInt256) -> UInt256 {
        let words = Int(right.l0 & 255) / 64
        let bits = right.l0 & 63
        var result = UInt256()
        for index in 0..<(4 &- words) {
            let low = left[limb: index &+ words] &>> bits
            let high = bits > 0 && index &+ words < 3 ? left[limb: index &+ words &+ 1] &<< (64 &- bits) : 0
            result[limb: index] = low | high
        }
        return result
    }

    public static func &<<= (left: inout UInt256, right: UInt256) { left = left &<< right }
    public static func &>>= (left: inout UInt256, right: UInt256) { left = left &>> right }

    /// `self` to the power of `exponent`, modulo 2^256, as the EVM's EXP has it.
    public func wrappingPower(_ exponent: UInt256) -> UInt256 {
        var result: UInt256 = 1
        var base = self
        var rest = exponent
        while !rest.isZero {
            if rest.l0 & 1 == 1 { result = result &* base }
            base = base &* base
            rest &>>= 1
        }
        return result
    }
}
