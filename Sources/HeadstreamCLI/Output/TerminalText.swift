/// Text of a node's made fit for a terminal.
///
/// Control characters could move the cursor, change the title or worse; characters that reorder text could show another
/// address than the one that is there.
enum TerminalText {
    /// Controls (C0, DEL, C1), line and paragraph separators, and characters that reorder what is shown.
    static func isHarmful(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0...0x1F, 0x7F...0x9F, 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: true
        default: false
        }
    }

    /// `text` as one line, what is harmful as `\u{1b}`.
    static func line(_ text: String, limit: Int = 1024) -> String {
        var line = ""
        for scalar in text.unicodeScalars.prefix(limit) {
            if self.isHarmful(scalar) {
                line += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                line.unicodeScalars.append(scalar)
            }
        }
        return text.unicodeScalars.count > limit ? line + "…" : line
    }
}
