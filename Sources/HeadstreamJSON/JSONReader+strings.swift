public import CHeadstreamBytes

extension JSONReader {
    /// Reads a string, its escapes resolved.
    package mutating func readString() throws(ValueError) -> String {
        try self.readRawString().string
    }

    /// Reads a string and returns it as it stands in the bytes: for values that are no text, such as hex.
    @inlinable
    package mutating func readRawString() throws(ValueError) -> JSONString {
        self.skipWhitespace()
        guard self.byte == UInt8(ascii: "\"") else { throw self.unexpected("a string") }
        return try self.scanString()
    }

    /// Reads a string; the cursor stands at its opening quote.
    @inlinable
    mutating func scanString() throws(ValueError) -> JSONString {
        let text = self.cursor + 1
        let count = hs_find_string_stop(text, self.end - text)
        let stop = text + count
        guard stop < self.end, stop.load(as: UInt8.self) == UInt8(ascii: "\"") else {
            return try self.scanUnusualString(from: stop)
        }
        self.cursor = stop + 1
        return JSONString(start: text, count: count, hasEscapes: false)
    }

    /// The same where something else than plain ASCII was found at `stop`.
    @usableFromInline @inline(never)
    mutating func scanUnusualString(from stop: UnsafeRawPointer) throws(ValueError) -> JSONString {
        let text = self.cursor + 1
        var at = stop
        var hasEscapes = false
        while true {
            at += hs_find_string_stop(at, self.end - at)
            guard at < self.end else { throw self.error("is a string without an end", at: self.cursor) }
            switch at.load(as: UInt8.self) {
            case UInt8(ascii: "\""):
                self.cursor = at + 1
                return JSONString(start: text, count: at - text, hasEscapes: hasEscapes)
            case UInt8(ascii: "\\"):
                hasEscapes = true
                guard let length = self.escapeLength(at: at) else {
                    throw self.error("has an escape that names no character", at: self.cursor)
                }
                at += length
            case 0x80...:
                // Sequence by sequence, and a run of them without going back to the search for ASCII.
                repeat {
                    let length = hs_utf8_sequence(at, self.end - at)
                    guard length > 0 else { throw self.error("is not valid UTF-8", at: self.cursor) }
                    at += length
                } while at < self.end && at.load(as: UInt8.self) >= 0x80
            default:
                throw self.error("has a control character that is not escaped", at: self.cursor)
            }
        }
    }

    /// How many bytes the escape at a `\` takes: 2, 6, or 12 for a pair of surrogates; nil where it is none.
    private func escapeLength(at place: UnsafeRawPointer) -> Int? {
        let bytes = UnsafeRawBufferPointer(start: place, count: min(12, self.end - place))
        guard bytes.count >= 2 else { return nil }
        switch bytes[1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return 2
        case UInt8(ascii: "u"):
            guard let unit = JSONString.codeUnit(bytes, at: 2) else { return nil }
            guard unit & 0xf800 == 0xd800 else { return 6 }
            // A surrogate: the first of a pair, with the second right behind it, or no character at all.
            guard unit & 0xfc00 == 0xd800, bytes.count == 12, bytes[6] == UInt8(ascii: "\\"),
                bytes[7] == UInt8(ascii: "u"), let low = JSONString.codeUnit(bytes, at: 8), low & 0xfc00 == 0xdc00
            else { return nil }
            return 12
        default:
            return nil
        }
    }
}
