/// A JSON object: its members in the order they were written, found by name in constant time.
///
/// Names are compared byte by byte. A name occurs once: of names that occur twice in a text, the last value wins and the first place is kept. Two objects are
/// equal when they have the same members, in whatever order.
public struct JSONObject: Sendable {
    /// The names, in order.
    public private(set) var keys: [String] = []
    private var values: [Name: JSONValue] = [:]

    /// A name by its bytes: `String`'s own equality takes the two ways to write `é` for one.
    private struct Name: Hashable, Sendable {
        var text: String

        init(_ text: String) { self.text = text }

        static func == (left: Name, right: Name) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

        func hash(into hasher: inout Hasher) {
            var text = self.text
            text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        }
    }

    public init() {}

    /// The value of a name. Setting a new name puts it last; setting nil removes the member.
    public subscript(key: String) -> JSONValue? {
        get { self.values[Name(key)] }
        set {
            let name = Name(key)
            let old = self.values[name]
            self.values[name] = newValue
            switch (old, newValue) {
            case (nil, .some): self.keys.append(key)
            case (.some, nil): self.keys.removeAll { Name($0) == name }
            case (nil, nil), (.some, .some): break
            }
        }
    }
}

extension JSONObject: RandomAccessCollection {
    public var startIndex: Int { 0 }
    public var endIndex: Int { self.keys.count }

    public subscript(position: Int) -> (key: String, value: JSONValue) {
        let key = self.keys[position]
        return (key, self.values[Name(key)] ?? .null)
    }
}

extension JSONObject: Hashable {
    public static func == (left: JSONObject, right: JSONObject) -> Bool { left.values == right.values }
    public func hash(into hasher: inout Hasher) { hasher.combine(self.values) }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        for (key, value) in elements { self[key] = value }
    }
}

extension JSONObject: CustomStringConvertible {
    /// Compact JSON.
    public var description: String { JSONValue.object(self).description }
}

extension JSONObject: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) {
        try reader.beginObject()
        while let key = try reader.nextKey() { self[key.string] = try JSONValue(from: &reader) }
    }

    package func write(to writer: inout JSONWriter) {
        writer.beginObject()
        for (key, value) in self {
            writer.key(key)
            value.write(to: &writer)
        }
        writer.endObject()
    }
}
