import EthereumTypes
import HeadstreamJSON
import Testing

@Suite("UInt256")
struct UInt256Tests {
    @Test("go-ethereum's vectors of every EVM operation hold")
    func evmVectors() throws {
        var cases = 0
        for file in try Fixture.files(in: "uint256") where file.contains("geth-testcases_") {
            let name = file.split(separator: "_").last.map { String($0.dropLast(5)) } ?? ""
            for vector in try #require(Fixture.json(file).arrayValue) {
                let x = try UInt256("0x" + #require(vector["X"]?.stringValue))
                let y = try UInt256("0x" + #require(vector["Y"]?.stringValue))
                let expected = try UInt256("0x" + #require(vector["Expected"]?.stringValue))
                // Pushed in this order, so that Y is on top and the operation's first operand.
                let result = try #require(EVM.apply(name, y, x), "no operation \(name)")
                #expect(result == expected, "\(name) \(x.hexString) \(y.hexString)")
                cases += 1
            }
        }
        #expect(cases == 1006)
    }

    @Test("arithmetic agrees with Python's integers")
    func againstPython() throws {
        var cases = 0
        for line in try Fixture.text("uint256/arithmetic.txt").split(separator: "\n") {
            let parts = line.split(separator: " ")
            let numbers = try parts[1..<(parts[0] == "text" ? 2 : parts.count)].map {
                try UInt256("0x" + $0)
            }
            let (a, b) = (numbers[0], numbers.count > 1 ? numbers[1] : 0)
            let comment = Comment(rawValue: String(line))
            switch parts[0] {
            case "add":
                let (sum, overflow) = a.addingReportingOverflow(b)
                #expect(sum == numbers[2] && overflow == (numbers[3] == 1), comment)
                #expect(a &+ b == sum, comment)
                if !overflow { #expect(a + b == sum, comment) }
            case "sub":
                let (difference, overflow) = a.subtractingReportingOverflow(b)
                #expect(difference == numbers[2] && overflow == (numbers[3] == 1), comment)
                #expect(a &- b == difference, comment)
            case "mul":
                let product = a.multipliedFullWidth(by: b)
                #expect(product.high == numbers[2] && product.low == numbers[3], comment)
                #expect(a.multipliedReportingOverflow(by: b).overflow == !numbers[2].isZero, comment)
                #expect(a &* b == numbers[3], comment)
            case "cmp":
                #expect((a < b) == (numbers[2] == 1) && (a == b) == (numbers[3] == 1), comment)
            case "bits":
                #expect(a & b == numbers[2] && a | b == numbers[3] && a ^ b == numbers[4], comment)
            case "shift":
                #expect(a << b == numbers[2] && a >> b == numbers[3], comment)
                #expect(a << Int(b) == numbers[2] && a >> Int(b) == numbers[3], comment)
                if b < 256 { #expect(a &<< b == numbers[2] && a &>> b == numbers[3], comment) }
            case "text":
                let decimal = String(parts[2].dropFirst())
                #expect(a.description == decimal, comment)
                #expect(try UInt256(decimal) == a, comment)
                #expect(a.hexString == "0x" + parts[1], comment)
            case "div":
                #expect(a / b == numbers[2] && a % b == numbers[3], comment)
                #expect(a.dividedReportingOverflow(by: b).partialValue == numbers[2], comment)
                #expect(a.remainderReportingOverflow(dividingBy: b).partialValue == numbers[3], comment)
            case "wide":
                let result = numbers[2].dividingFullWidth((numbers[0], numbers[1]))
                #expect(result.quotient == numbers[3] && result.remainder == numbers[4], comment)
            default: Issue.record("unknown operation \(parts[0])")
            }
            cases += 1
        }
        #expect(cases == 3150)
    }

    @Test("it behaves as a Swift integer: literals, conversions, bit counts, division by zero")
    func asInteger() throws {
        let large: UInt256 = 0x1_0000_0000_0000_0000_0000_0000_0000_0001
        #expect(large.words.map { $0 } == [1, 0, 1, 0])
        #expect(UInt256.max.leadingZeroBitCount == 0 && UInt256.zero.leadingZeroBitCount == 256)
        #expect(large.leadingZeroBitCount == 127 && (large << 3).trailingZeroBitCount == 3)
        #expect(large.nonzeroBitCount == 2 && UInt256.zero.trailingZeroBitCount == 256)
        #expect(UInt256(exactly: -1) == nil && UInt256(clamping: -1) == 0 && UInt256(truncatingIfNeeded: -1) == .max)
        #expect(UInt64(exactly: large) == nil && UInt64(truncatingIfNeeded: large) == 1)
        #expect(UInt128(exactly: large) == nil && UInt64(exactly: UInt256(UInt64.max)) == .max)
        #expect(UInt64(clamping: large) == .max && Int(UInt256(7)) == 7)
        #expect(large.byteSwapped.byteSwapped == large && ~large == .max - large)
        #expect(UInt256(exactly: 0x1p200) == 1 << 200 && UInt256(exactly: 0.5) == nil && UInt256(exactly: -1.0) == nil)
        #expect(UInt256(exactly: Double.infinity) == nil && UInt256(exactly: 0x1p256) == nil && UInt256(12.75) == 12)
        #expect(Double(UInt256(1) << 100) == 0x1p100)
        #expect(UInt256(5).dividedReportingOverflow(by: 0).overflow)
        #expect(UInt256(5).remainderReportingOverflow(dividingBy: 0).overflow)
        #expect(UInt256.max.multipliedReportingOverflow(by: 2).overflow)
        #expect(UInt256.bitWidth == 256 && UInt256.max == ~0 && UInt256.min == 0)
        #expect(UInt256(UInt128.max).hexString == "0x" + String(repeating: "f", count: 32))
        var sum: UInt256 = 0
        for number in [UInt256(1), 2, 3] { sum += number }
        #expect(sum == 6 && [UInt256(3), 1].sorted() == [1, 3])
    }

    @Test("texts that are no number of 256 bits are refused with the text in the error")
    func badTexts() {
        for text in ["", " 1", "-1", "+1", "1.0", "1_000", "0xg", "x10", "1e3", "٣"] {
            #expect(throws: ValueError.self, "\(text)") { try UInt256(text) }
        }
        let tooLarge = "0x1" + String(repeating: "0", count: 64)
        #expect(throws: ValueError(value: String(tooLarge.prefix(64)) + "…", reason: "does not fit 256 bits")) {
            try UInt256(tooLarge)
        }
        let decimal = "115792089237316195423570985008687907853269984665640564039457584007913129639936"
        #expect(throws: ValueError.self) { try UInt256(decimal) }
        #expect(throws: Never.self) { try UInt256(String(decimal.dropLast()) + "5") }
    }

    @Test("ethers' amounts in units read and write")
    func units() throws {
        let decimals = ["kwei": 3, "mwei": 6, "gwei": 9, "szabo": 12, "finney": 15, "ether": 18]
        var cases = 0
        for vector in try #require(Fixture.json("uint256/ethers-units.json").arrayValue) {
            let wei = try #require(vector["wei"]?.stringValue)
            for (unit, places) in decimals {
                guard let text = vector[unit]?.stringValue else { continue }
                cases += 1
                guard !wei.hasPrefix("-") else {
                    #expect(throws: ValueError.self) { try UInt256(text, decimals: places) }
                    continue
                }
                let amount = try UInt256(text, decimals: places)
                #expect(amount == (try UInt256(wei)), "\(text) \(unit)")
                // ethers writes at least one digit behind the point.
                guard let formatted = vector[unit + "_format"]?.stringValue else { continue }
                let expected = formatted.hasSuffix(".0") ? String(formatted.dropLast(2)) : formatted
                #expect(amount.formatted(decimals: places) == expected)
            }
        }
        #expect(cases > 12)
        for text in ["", ".", "1.2.3", "1,5", "1.1234567"] {
            #expect(throws: ValueError.self, "\(text)") { try UInt256(text, decimals: 6) }
        }
    }
}

/// The EVM's operations on words, the signed ones made of the unsigned here: the library has no signed type yet.
private enum EVM {
    static func apply(_ name: String, _ x: UInt256, _ y: UInt256) -> UInt256? {
        switch name {
        case "add": x &+ y
        case "sub": x &- y
        case "mul": x &* y
        case "div": y.isZero ? 0 : x / y
        case "mod": y.isZero ? 0 : x % y
        case "exp": x.wrappingPower(y)
        case "and": x & y
        case "or": x | y
        case "xor": x ^ y
        case "lt": x < y ? 1 : 0
        case "gt": x > y ? 1 : 0
        case "eq": x == y ? 1 : 0
        // The shift is the first operand.
        case "shl": y << x
        case "shr": y >> x
        case "sar": isNegative(y) ? ~(~y >> x) : y >> x
        case "slt": signedLess(x, y) ? 1 : 0
        case "sgt": signedLess(y, x) ? 1 : 0
        case "sdiv": y.isZero ? 0 : negate(magnitude(x) / magnitude(y), if: isNegative(x) != isNegative(y))
        case "smod": y.isZero ? 0 : negate(magnitude(x) % magnitude(y), if: isNegative(x))
        case "signext": signExtend(x, y)
        case "byte": x < 32 ? y >> (248 - x * 8) & 0xff : 0
        default: nil
        }
    }

    static func isNegative(_ value: UInt256) -> Bool { value >> 255 == 1 }
    static func negate(_ value: UInt256, if condition: Bool) -> UInt256 { condition ? 0 &- value : value }
    static func magnitude(_ value: UInt256) -> UInt256 { negate(value, if: isNegative(value)) }
    static func signedLess(_ x: UInt256, _ y: UInt256) -> Bool {
        isNegative(x) == isNegative(y) ? x < y : isNegative(x)
    }

    static func signExtend(_ index: UInt256, _ value: UInt256) -> UInt256 {
        guard index < 31 else { return value }
        let bit = index * 8 + 7
        let mask = (UInt256(1) << (bit + 1)) &- 1
        return value >> bit & 1 == 1 ? value | ~mask : value & mask
    }
}
