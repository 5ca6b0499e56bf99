/// Text from a peer, made fit for an error message or a terminal.
package enum CleanText {
    /// `bytes` as one line: runs of white space become one space, other control characters, direction overrides and
    /// bytes that are not UTF-8 become escapes (`\u{1b}`, `\xff`).
    ///
    /// - Parameter limit: bytes looked at; what is beyond is left out and shown as `…`.
    package static func line(_ bytes: UnsafeRawBufferPointer, limit: Int) -> String {
        var end = min(bytes.count, max(0, limit))
        let isCut = end < bytes.count
        if isCut {
            // Not inside a scalar: go back over at most three continuation bytes.
            var back = 0
            while back < 3, end > 0, bytes[end] & 0xC0 == 0x80 {
                end -= 1
                back += 1
            }
        }
        var line = ""
        var pendingSpace = false
        var index = 0
        func emit(_ piece: some StringProtocol) {
            if pendingSpace, !line.isEmpty { line += " " }
            pendingSpace = false
            line += piece
        }
        while index < end {
            let byte = bytes[index]
            let length = byte < 0x80 ? 1 : byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2
            guard index + length <= end,
                let scalar = String(
                    validating: UnsafeRawBufferPointer(rebasing: bytes[index..<index + length]),
                    as: UTF8.self
                )?.unicodeScalars.first
            else {
                emit(Self.hexEscape("\\x", UInt32(byte), ""))
                index += 1
                continue
            }
            index += length
            switch scalar.value {
            case 0x20, 0x09, 0x0A, 0x0D: pendingSpace = true
            case _ where Self.isHarmful(scalar): emit(Self.hexEscape("\\u{", scalar.value, "}"))
            default: emit(String(scalar))
            }
        }
        if isCut { line += "…" }
        return line
    }

    /// As ``line(_:limit:)``, for a text.
    package static func line(_ text: String, limit: Int = 512) -> String {
        var text = text
        return text.withUTF8 { Self.line(UnsafeRawBufferPointer($0), limit: limit) }
    }

    /// Controls (C0, DEL, C1), line and paragraph separators, and characters that reorder what is shown.
    private static func isHarmful(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0...0x1F, 0x7F...0x9F, 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: true
        default: false
        }
    }

    private static func hexEscape(_ prefix: String, _ value: UInt32, _ suffix: String) -> String {
        let digits = String(value, radix: 16)
        return prefix + (digits.count < 2 ? "0" : "") + digits + suffix
    }
}
