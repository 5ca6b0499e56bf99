extension JSONReader {
    /// Reads the next value of whatever kind, checks it, and returns its bytes' offsets in `bytes`.
    @discardableResult
    package mutating func skipValue() throws(ValueError) -> Range<Int> {
        self.skipWhitespace()
        let from = self.offset
        try self.skipNested()
        return from..<self.offset
    }

    /// A loop, not a recursion: the open containers are the bits of a word, and only those more than 128 deep begin another.
    private mutating func skipNested() throws(ValueError) {
        let outside = self.depth
        var level = 0
        var objects: UInt128 = 0  // bit 0 is the innermost container: 1 for an object
        while true {
            value: switch self.byte {
            case UInt8(ascii: "\""):
                _ = try self.scanString()
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                guard outside + level < self.depthLimit else { throw self.tooDeep() }
                if level == 128 {
                    self.depth = outside + level
                    try self.skipNested()
                    break value
                }
                let isObject = self.byte == UInt8(ascii: "{")
                self.cursor += 1
                self.skipWhitespace()
                if self.byte == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                    self.cursor += 1
                    break value
                }
                level += 1
                objects = objects << 1 | (isObject ? 1 : 0)
                if isObject { try self.skipName() }
                continue
            case UInt8(ascii: "t"):
                guard self.take("true") else { throw self.unexpected("a value") }
            case UInt8(ascii: "f"):
                guard self.take("false") else { throw self.unexpected("a value") }
            case UInt8(ascii: "n"):
                guard self.take("null") else { throw self.unexpected("a value") }
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                _ = try self.scanNumber()
            default:
                throw self.unexpected("a value")
            }
            // Behind a value: the next one, or the end of as many containers as end here.
            closing: while true {
                guard level > 0 else {
                    self.depth = outside
                    self.isFirst = false
                    return
                }
                let isObject = objects & 1 == 1
                self.skipWhitespace()
                switch self.byte {
                case UInt8(ascii: ","):
                    self.cursor += 1
                    self.skipWhitespace()
                    if isObject { try self.skipName() }
                    break closing
                case UInt8(ascii: "}") where isObject, UInt8(ascii: "]") where !isObject:
                    self.cursor += 1
                    level -= 1
                    objects >>= 1
                default:
                    throw self.unexpected(isObject ? "',' or '}'" : "',' or ']'")
                }
            }
        }
    }

    /// Reads a name, its colon and the blanks behind; the cursor stands where the name must begin.
    private mutating func skipName() throws(ValueError) {
        guard self.byte == UInt8(ascii: "\"") else { throw self.unexpected("a name in quotes") }
        _ = try self.scanString()
        self.skipWhitespace()
        guard self.byte == UInt8(ascii: ":") else { throw self.unexpected("':'") }
        self.cursor += 1
        self.skipWhitespace()
    }
}
