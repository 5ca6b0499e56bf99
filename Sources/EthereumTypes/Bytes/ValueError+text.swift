package import HeadstreamJSON

extension ValueError {
    /// An error about a text as it was found: cut to 64 bytes, control characters escaped.
    package init(text: UnsafeRawBufferPointer, reason: String) {
        self.init(value: text.isEmpty ? "\"\"" : ValueError.excerpt(of: text), reason: reason)
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
