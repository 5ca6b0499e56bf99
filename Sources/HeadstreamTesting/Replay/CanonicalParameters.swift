import HeadstreamJSON

/// The one form of all parameters that mean the same: keys in order, hex in lower case, a one-element array like its
/// element, null like absent.
enum CanonicalParameters {
    /// The key that a request is matched by.
    static func key(method: String, params: ArraySlice<UInt8>?) -> String {
        method + "\u{0}" + self.text(params)
    }

    /// The canonical text of a `params` member; empty where it is missing or holds nothing.
    static func text(_ params: ArraySlice<UInt8>?) -> String {
        guard let params, let value = try? JSONValue(parsing: Array(params)), let canonical = self.canonical(value)
        else {
            return ""
        }
        switch canonical {
        case .array(let elements) where elements.isEmpty: return ""
        case .object(let members) where members.isEmpty: return ""
        default: return canonical.description
        }
    }

    /// The canonical text of the one parameter that there is, whether it goes by its place or by a name.
    static func onlyText(_ params: ArraySlice<UInt8>?) -> String {
        if let params, let value = try? JSONValue(parsing: Array(params)),
            case .object(let members)? = self.canonical(value), members.count == 1, let name = members.keys.first
        {
            return members[name]?.description ?? ""
        }
        return self.text(params)
    }

    /// The canonical text of any message, or its bytes without surrounding blanks where it is not JSON.
    static func text(ofMessage bytes: [UInt8]) -> String {
        if let value = try? JSONValue(parsing: bytes) { return (self.canonical(value) ?? .null).description }
        let blanks: [UInt8] = [0x20, 0x09, 0x0A, 0x0D]
        let tail = bytes.drop { blanks.contains($0) }
        let trimmed = tail.dropLast(tail.reversed().prefix { blanks.contains($0) }.count)
        return String(decoding: trimmed, as: UTF8.self)
    }

    /// nil for null, which is like nothing at all.
    private static func canonical(_ value: JSONValue) -> JSONValue? {
        switch value {
        case .null: return nil
        case .bool, .number: return value
        case .string(let text): return .string(self.isHex(text) ? text.lowercased() : text)
        case .array(let elements):
            // A null before other elements keeps their places: a topic filter's wildcard.
            var canonical = elements.map { self.canonical($0) }
            while let last = canonical.last, last == nil { canonical.removeLast() }
            if canonical.count == 1, let only = canonical[0] { return only }
            return .array(canonical.map { $0 ?? .null })
        case .object(let members):
            var canonical = JSONObject()
            for key in members.keys.sorted() {
                if let member = members[key].flatMap(self.canonical) { canonical[key] = member }
            }
            return .object(canonical)
        }
    }

    private static func isHex(_ text: String) -> Bool {
        let bytes = text.utf8
        guard bytes.starts(with: "0x".utf8) || bytes.starts(with: "0X".utf8) else { return false }
        return bytes.dropFirst(2).allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
                UInt8(ascii: "A")...UInt8(ascii: "F"):
                true
            default: false
            }
        }
    }
}
