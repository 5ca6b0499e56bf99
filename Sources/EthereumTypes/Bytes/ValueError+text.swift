package import HeadstreamJSON

extension ValueError {
    /// An error about a text as it was found: cut to 64 bytes, control characters escaped.
    package init(text: UnsafeRawBufferPointer, reason: String) {
        self.init(value: text.isEmpty ? "\"\"" : ValueError.excerpt(of: text), reason: reason)
    }
}
