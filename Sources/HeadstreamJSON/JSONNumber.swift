/// A JSON number, kept exactly as it was written.
///
/// Two numbers are equal when their texts are: `1.0`, `1` and `1e0` are three.
public struct JSONNumber: Sendable, Hashable, CustomStringConvertible {
    /// The number's text, RFC 8259 section 6: `-0`, `1.50`, `6.02e23`.
    public let text: String

    /// The number that a text is; nil where it is none of JSON's (`+1`, `01`, `.5`, `NaN`, blanks around).
    public init?(_ text: String) {
        var copy = text
        let isNumber = copy.withUTF8 { utf8 -> Bool in
            var reader = JSONReader(UnsafeRawBufferPointer(utf8))
            guard let number = try? reader.scanNumber() else { return false }
            return number.bytes.count == utf8.count
        }
        guard isNumber else { return nil }
        self.text = copy
    }

    public init(_ value: some BinaryInteger) {
        self.text = value.description
    }

    /// The shortest text that reads back as the same number; nil for infinities and NaN, which JSON does not have.
    public init?(_ value: Double) {
        guard value.isFinite else { return nil }
        self.text = value.description
    }

    init(_ number: JSONReader.Number) {
        self.text = String(decoding: number.bytes, as: UTF8.self)
    }

    /// The value, where the text is an integer without fraction and exponent that fits; else nil.
    public var int64: Int64? { parseInteger(self.text.utf8) }
    /// The value, where the text is an integer without sign, fraction and exponent that fits; else nil.
    public var uint64: UInt64? { parseInteger(self.text.utf8) }
    /// The value, where the text is an integer without fraction and exponent that fits; else nil.
    public var int: Int? { parseInteger(self.text.utf8) }

    /// The nearest double; nil beyond a double's range.
    public var double: Double? {
        guard let value = Double(self.text), value.isFinite else { return nil }
        return value
    }

    public var description: String { self.text }
}

extension JSONNumber: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) { self.init(try reader.readNumber()) }
    package func write(to writer: inout JSONWriter) { writer.writeRaw(self.text.utf8) }
}
