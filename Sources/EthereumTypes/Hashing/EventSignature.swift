public import HeadstreamJSON

extension Hash32 {
    /// The first topic of an event: Keccak-256 of its canonical signature.
    ///
    /// `Transfer(address,address,uint256)` and `event Transfer(address indexed from, address indexed to, uint value);`
    /// give the same topic: names, `indexed` and blanks are taken out, and aliases written out (`uint` is `uint256`).
    /// - Throws: `ValueError` for what is no signature, and for a type that the ABI does not know.
    public init(eventSignature: some StringProtocol) throws(ValueError) {
        self = Keccak256.hash(utf8: try EventSignature.canonical(eventSignature))
    }
}

/// Event signatures of Solidity and of the ABI, brought into the one form that is hashed.
package enum EventSignature {
    /// Tuples within tuples deeper than this are refused.
    static let maximumDepth = 32

    /// The signature with nothing but its name and its types.
    package static func canonical(_ signature: some StringProtocol) throws(ValueError) -> String {
        var parser = Parser(text: Array(signature.utf8))
        return try parser.event()
    }

    private struct Parser {
        let text: [UInt8]
        var position = 0

        init(text: [UInt8]) { self.text = text }

        func error(_ reason: String) -> ValueError {
            self.text.withUnsafeBytes {
                ValueError(field: "eventSignature", value: ValueError.excerpt(of: $0), reason: reason)
            }
        }

        var next: UInt8? { self.position < self.text.count ? self.text[self.position] : nil }

        mutating func skipBlanks() {
            while let character = self.next, character == 0x20 || (0x09...0x0d).contains(character) {
                self.position += 1
            }
        }

        mutating func take(_ character: UInt8) -> Bool {
            self.skipBlanks()
            guard self.next == character else { return false }
            self.position += 1
            return true
        }

        /// Letters, digits, `_` and `$`.
        mutating func word() -> String {
            self.skipBlanks()
            let start = self.position
            while let character = self.next {
                switch character {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x5f, 0x24: self.position += 1
                default: return String(decoding: self.text[start..<self.position], as: UTF8.self)
                }
            }
            return String(decoding: self.text[start..<self.position], as: UTF8.self)
        }

        mutating func event() throws(ValueError) -> String {
            var name = self.word()
            self.skipBlanks()
            if name == "event", self.next != 0x28 { name = self.word() }
            guard let first = name.utf8.first, !(0x30...0x39).contains(first) else {
                throw self.error("is not an event signature: it does not start with a name")
            }
            guard self.take(0x28) else { throw self.error("is not an event signature: expected ( after its name") }
            var result = name + (try self.list(depth: 0))
            let rest = self.word()
            guard rest.isEmpty || rest == "anonymous" else { throw self.error("is followed by \(rest)") }
            _ = self.take(0x3b)
            self.skipBlanks()
            guard self.next == nil else { throw self.error("is followed by something else") }
            result.makeContiguousUTF8()
            return result
        }

        /// The types after an opening parenthesis, up to and with the closing one.
        mutating func list(depth: Int) throws(ValueError) -> String {
            guard depth < EventSignature.maximumDepth else { throw self.error("nests tuples too deep") }
            if self.take(0x29) { return "()" }
            var types: [String] = []
            while true {
                types.append(try self.type(depth: depth))
                if self.take(0x2c) { continue }
                guard self.take(0x29) else { throw self.error("lacks a closing parenthesis or a comma") }
                return "(" + types.joined(separator: ",") + ")"
            }
        }

        mutating func type(depth: Int) throws(ValueError) -> String {
            let word = self.word()
            var type: String
            if word.isEmpty || word == "tuple" {
                guard self.take(0x28) else { throw self.error("lacks a type") }
                type = try self.list(depth: depth + 1)
            } else {
                guard let known = EventSignature.elementary(word) else {
                    throw self.error("has a type that the ABI does not know: \(word)")
                }
                type = known
            }
            while self.take(0x5b) {
                let count = self.word()
                guard count.utf8.allSatisfy({ (0x30...0x39).contains($0) }), count.utf8.first != 0x30 else {
                    throw self.error("has an array of \(count) elements")
                }
                guard self.take(0x5d) else { throw self.error("lacks a closing bracket") }
                type += "[\(count)]"
            }
            // What is left is `indexed`, `payable` and a name.
            var words = 0
            while !self.word().isEmpty {
                words += 1
                guard words <= 3 else { throw self.error("has too many words after a type") }
            }
            return type
        }
    }

    /// An elementary type in canonical form, or nil.
    static func elementary(_ word: String) -> String? {
        switch word {
        case "address", "bool", "string", "bytes", "function": return word
        case "uint": return "uint256"
        case "int": return "int256"
        case "fixed": return "fixed128x18"
        case "ufixed": return "ufixed128x18"
        case "byte": return "bytes1"
        default: break
        }
        func number(_ digits: Substring, _ range: ClosedRange<Int>) -> Int? {
            guard digits.utf8.first != 0x30, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            guard let value = Int(digits), range.contains(value) else { return nil }
            return value
        }
        if word.hasPrefix("bytes") { return number(word.dropFirst(5), 1...32) != nil ? word : nil }
        for prefix in ["uint", "int"] where word.hasPrefix(prefix) {
            guard let bits = number(word.dropFirst(prefix.count), 8...256) else { return nil }
            return bits % 8 == 0 ? word : nil
        }
        for prefix in ["ufixed", "fixed"] where word.hasPrefix(prefix) {
            let parts = word.dropFirst(prefix.count).split(separator: "x", omittingEmptySubsequences: false)
            guard parts.count == 2, let bits = number(parts[0], 8...256), bits % 8 == 0, number(parts[1], 1...80) != nil
            else { return nil }
            return word
        }
        return nil
    }
}
