/// The start line and header fields of an HTTP/1 message (RFC 9112 §2 to §5).
package struct HTTPHead: Hashable, Sendable {
    /// The most that a head may take, in bytes, before it is refused.
    package static let maxSize = 16 * 1024

    /// One header field.
    package struct Field: Hashable, Sendable {
        /// As it came; compared without regard to case.
        package let name: String
        /// Without the white space around it.
        package let value: String
    }

    /// The first line, without its end.
    package let startLine: String
    /// In order, doubles included.
    package let fields: [Field]
    /// The first breach of the rules that did not hinder the reading, such as a folded line.
    let defect: String?

    /// The values of all fields of this name, in order.
    package func values(of name: String) -> [String] {
        self.fields.filter { Self.isSame($0.name, name) }.map(\.value)
    }

    /// The value of the first field of this name.
    package func first(_ name: String) -> String? {
        self.fields.first { Self.isSame($0.name, name) }?.value
    }

    /// The elements of a comma-separated list, over all fields of this name (RFC 9110 §5.6.1), in lower case.
    package func list(of name: String) -> [String] {
        self.values(of: name).flatMap { value in
            value.split(separator: ",").map { Self.trimmed($0).lowercased() }.filter { !$0.isEmpty }
        }
    }

    /// Where the head that begins at `start` ends: the offset behind its empty line.
    ///
    /// `scanned` remembers how far earlier calls looked, so that a head in one-byte pieces costs linear time.
    static func end(in bytes: UnsafeRawBufferPointer, from start: Int, scanned: inout Int) -> Int? {
        var index = max(start, scanned)
        while index < bytes.count {
            if bytes[index] == 0x0A {
                // An empty line: CRLF CRLF, or bare line feeds, which the reading complains about later.
                let previous = index > start && bytes[index - 1] == 0x0D ? index - 1 : index
                if previous == start || bytes[previous - 1] == 0x0A {
                    scanned = index + 1
                    return index + 1
                }
            }
            index += 1
        }
        scanned = index
        return nil
    }

    /// Reads a head that is complete, or one that is cut off, as far as it goes.
    init(_ bytes: UnsafeRawBufferPointer) {
        var startLine: String?
        var fields: [Field] = []
        var defect: String?
        func note(_ text: String) { defect = defect ?? text }

        var rest = bytes[...]
        while let feed = rest.firstIndex(of: 0x0A) {
            var line = rest[..<feed]
            rest = rest[(feed + 1)...]
            if line.last == 0x0D { line.removeLast() } else { note("a line that ends without a carriage return") }
            if line.contains(where: { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }) { note("a control character") }
            guard startLine != nil else {
                startLine = String(decoding: line, as: UTF8.self)
                continue
            }
            if line.isEmpty { break }
            if line.first == 0x20 || line.first == 0x09 {
                note("a folded header line")
                continue
            }
            guard let colon = line.firstIndex(of: 0x3A) else {
                note("a header line without a colon")
                continue
            }
            let name = line[..<colon]
            guard !name.isEmpty, name.allSatisfy(Self.isTokenByte) else {
                note("an invalid header name")
                continue
            }
            let value = String(decoding: line[(colon + 1)...], as: UTF8.self)
            fields.append(Field(name: String(decoding: name, as: UTF8.self), value: Self.trimmed(value)))
        }
        self.startLine = startLine ?? ""
        self.fields = fields
        self.defect = defect
    }

    /// Whether `byte` may stand in a header's name (RFC 9110 §5.6.2).
    static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E, 0x5F, 0x60, 0x7C, 0x7E: true
        default: false
        }
    }

    /// `text` without the spaces and tabs around it.
    static func trimmed(_ text: some StringProtocol) -> String {
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
        let bytes = Array(text.utf8)
        guard let first = bytes.firstIndex(where: { !isBlank($0) }),
            let last = bytes.lastIndex(where: { !isBlank($0) })
        else { return "" }
        return String(decoding: bytes[first...last], as: UTF8.self)
    }

    /// Whether two header names are the same.
    static func isSame(_ left: String, _ right: String) -> Bool {
        left.utf8.count == right.utf8.count && left.lowercased() == right.lowercased()
    }
}
