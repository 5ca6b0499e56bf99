package import HeadstreamJSON

extension ValueError {
    /// An error about a text as it was found: cut to 64 bytes, with control and non-ASCII characters escaped.
    package init(text: UnsafeRawBufferPointer, reason: String) {
        self.init(value: ValueError.excerpt(text), reason: reason)
    }

    /// At most 64 bytes of a text, fit for a terminal or a log.
    package static func excerpt(_ text: UnsafeRawBufferPointer) -> String {
        if text.isEmpty { return "\"\"" }
        var result = ""
        for byte in text.prefix(64) {
            switch byte {
            case 0x20...0x7e: result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                result += "\\x"
                result.unicodeScalars.append(Unicode.Scalar(Hex.character(byte >> 4)))
                result.unicodeScalars.append(Unicode.Scalar(Hex.character(byte & 0x0f)))
            }
        }
        return text.count > 64 ? result + "…" : result
    }

    /// The same error, one level further out: `field` is put in front of the path.
    package func within(_ field: String) -> ValueError {
        var error = self
        if error.field.isEmpty {
            error.field = field
        } else if error.field.hasPrefix("[") {
            error.field = field + error.field
        } else {
            error.field = field + "." + error.field
        }
        return error
    }
}
