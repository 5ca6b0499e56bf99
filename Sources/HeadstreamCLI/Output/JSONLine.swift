import HeadstreamJSON

/// JSON of a node's on one line of its own.
///
/// The bytes stay as the node wrote them, so that nothing is lost, not even the order of names. Only blanks between
/// tokens that would break the line are left out, and characters that are harmful on a terminal become JSON's own
/// escapes, which say the same.
enum JSONLine {
    /// Appends `json`, which must be valid JSON, and a newline.
    static func append(_ json: [UInt8], to line: inout [UInt8]) {
        if json.withUnsafeBytes(self.isPlain) {
            line += json
        } else {
            line += self.cleaned(json)
        }
        line.append(0x0A)
    }

    /// `text` without control characters outside of escapes.
    static func cleaned(_ text: String) -> [UInt8] { self.cleaned(Array(text.utf8)) }

    static func cleaned(_ json: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(json.count)
        for scalar in String(decoding: json, as: UTF8.self).unicodeScalars {
            switch scalar.value {
            // Within strings JSON forbids them: these are blanks between tokens.
            case 0..<0x20: continue
            case _ where TerminalText.isHarmful(scalar):
                let digits = String(scalar.value, radix: 16)
                result += Array(("\\u" + String(repeating: "0", count: 4 - digits.count) + digits).utf8)
            default: result += Array(UTF8.encode(scalar) ?? .init())
            }
        }
        return result
    }

    /// Whether it is ASCII without control characters: nearly always. Without a branch a byte, so that it is done wide.
    private static func isPlain(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var found: UInt8 = 0
        for byte in bytes { found |= byte &- 0x20 >= 0x5F ? 1 : 0 }
        return found == 0
    }
}
