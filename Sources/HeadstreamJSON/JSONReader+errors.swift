extension JSONReader {
    /// An error about the value that a place within `bytes` belongs to, with its path and an excerpt.
    ///
    /// - Parameter reason: a clause, such as `is not an integer`.
    @usableFromInline @inline(never)
    package func error(_ reason: String, at place: UnsafeRawPointer?) -> ValueError {
        let place = min(max(place ?? self.cursor, self.start), self.end)
        return ValueError(
            field: self.path(to: place),
            value: ValueError.excerpt(of: UnsafeRawBufferPointer(start: place, count: self.tokenLength(at: place))),
            reason: reason
        )
    }

    /// An error about a string that was read, shown without its quotes.
    @inline(never)
    package func error(_ reason: String, about string: JSONString) -> ValueError {
        ValueError(
            field: self.path(to: min(max(string.start, self.start), self.end)),
            value: ValueError.excerpt(of: string.bytes),
            reason: reason
        )
    }

    /// An error about a member that the object just read to its end should have had.
    @inline(never)
    package func missing(_ name: StaticString) -> ValueError {
        let path = self.path(to: self.cursor)
        return ValueError(field: path.isEmpty ? "\(name)" : "\(path).\(name)", reason: "is missing")
    }

    @usableFromInline @inline(never)
    func unexpected(_ wanted: StaticString) -> ValueError {
        guard self.cursor < self.end else {
            return ValueError(field: self.path(to: self.cursor), reason: "ends where \(wanted) is expected")
        }
        return self.error("stands at byte \(self.offset) where \(wanted) is expected", at: self.cursor)
    }

    @usableFromInline @inline(never)
    func tooDeep() -> ValueError {
        ValueError(
            field: self.path(to: self.cursor),
            reason: "nests deeper than \(self.depthLimit) levels at byte \(self.offset)"
        )
    }

    /// How much of the bytes at a place to show: a string with its quotes, a word up to a delimiter.
    private func tokenLength(at place: UnsafeRawPointer) -> Int {
        let rest = UnsafeRawBufferPointer(start: place, count: min(self.end - place, 2 * ValueError.shownBytes))
        guard let first = rest.first else { return 0 }
        if first == UInt8(ascii: "\"") {
            return (rest.dropFirst().firstIndex(of: first) ?? rest.count - 1) + 1
        }
        let stops: [UInt8] = [0x09, 0x0a, 0x0d, 0x20, UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}")]
        return max(1, rest.firstIndex(where: stops.contains) ?? rest.count)
    }

    /// The path of the value at a place, outermost first, as in `transactions[3].value`: found by a second pass over the
    /// bytes before it. They were read once without an error, so that this pass need not check them.
    private func path(to place: UnsafeRawPointer) -> String {
        enum Step {
            case member(UnsafeRawBufferPointer)
            case element(Int)
        }
        var steps: [Step] = []
        var expectsName = false
        let bytes = UnsafeRawBufferPointer(start: self.start, count: place - self.start)
        var at = 0
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            switch byte {
            case UInt8(ascii: "{"):
                steps.append(.member(.init(start: nil, count: 0)))
                expectsName = true
            case UInt8(ascii: "["):
                steps.append(.element(0))
                expectsName = false
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                _ = steps.popLast()
                expectsName = false
            case UInt8(ascii: ","):
                switch steps.last {
                case .element(let index): steps[steps.count - 1] = .element(index + 1)
                case .member:
                    steps[steps.count - 1] = .member(.init(start: nil, count: 0))
                    expectsName = true
                case nil: break
                }
            case UInt8(ascii: "\""):
                let from = at
                while at < bytes.count, bytes[at] != UInt8(ascii: "\"") {
                    at += bytes[at] == UInt8(ascii: "\\") ? 2 : 1
                }
                if expectsName, at < bytes.count, !steps.isEmpty {
                    steps[steps.count - 1] = .member(.init(rebasing: bytes[from..<at]))
                    expectsName = false
                }
                at += 1
            default: break
            }
        }
        var path = ""
        for step in steps {
            switch step {
            case .element(let index): path += "[\(index)]"
            case .member(let name) where name.isEmpty: break
            case .member(let name): path += (path.isEmpty ? "" : ".") + ValueError.excerpt(of: name)
            }
            if path.utf8.count > 4 * ValueError.shownBytes { return path + "…" }
        }
        return path
    }
}

extension ValueError {
    /// How many bytes of a value an error shows.
    package static let shownBytes = 64

    /// A value's text for an error: its first 64 bytes, control characters and what is not UTF-8 escaped.
    package static func excerpt(of bytes: UnsafeRawBufferPointer) -> String {
        var shown = bytes.prefix(self.shownBytes)
        if shown.count < bytes.count {
            // Not within a character: drop its bytes that were cut.
            while let last = shown.last, last & 0xc0 == 0x80, shown.count > self.shownBytes - 4 { shown.removeLast() }
            if let last = shown.last, last >= 0xc0 { shown.removeLast() }
        }
        var text = ""
        for scalar in String(decoding: shown, as: UTF8.self).unicodeScalars {
            let isControl = scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value)
            text += isControl ? scalar.escaped(asASCII: true) : String(scalar)
        }
        return shown.count < bytes.count ? text + "…" : text
    }

    /// The same error, one level further out: `field` is put in front of the path.
    package func within(_ field: String) -> ValueError {
        var error = self
        if error.field.isEmpty || field.isEmpty {
            error.field = field + error.field
        } else {
            error.field = field + (error.field.hasPrefix("[") ? "" : ".") + error.field
        }
        return error
    }
}
