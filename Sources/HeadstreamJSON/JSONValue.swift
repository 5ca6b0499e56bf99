/// Any JSON value.
///
///     let value = try JSONValue(parsing: #"{"block": {"number": 7}}"#)
///     value["block"]?["number"]?.intValue     // 7
///     let params: JSONValue = ["newHeads", ["full": true]]
public enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// Reads one JSON value, with nothing but whitespace around it.
    ///
    /// - Parameter depthLimit: how deep values may nest, at most 512.
    /// - Throws: `ValueError` with the path of what is wrong and its place.
    public init(parsing text: String, depthLimit: Int = 128) throws(ValueError) {
        var text = text
        let result = text.withUTF8 { Self.parse(UnsafeRawBufferPointer($0), depthLimit: depthLimit) }
        self = try result.get()
    }

    /// The same for UTF-8 bytes.
    public init(parsing bytes: [UInt8], depthLimit: Int = 128) throws(ValueError) {
        let result = bytes.withUnsafeBytes { Self.parse($0, depthLimit: depthLimit) }
        self = try result.get()
    }

    private static func parse(
        _ bytes: UnsafeRawBufferPointer,
        depthLimit: Int
    ) -> Result<JSONValue, ValueError> {
        var reader = JSONReader(bytes, depthLimit: depthLimit)
        do throws(ValueError) {
            let value = try JSONValue(from: &reader)
            try reader.finish()
            return .success(value)
        } catch {
            return .failure(error)
        }
    }

    // MARK: Looking in

    /// The value of an object's member; nil where there is none or this is no object.
    public subscript(key: String) -> JSONValue? { self.objectValue?[key] }

    /// An array's element; nil where there is none or this is no array.
    public subscript(index: Int) -> JSONValue? {
        guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    public var isNull: Bool { self == .null }

    public var boolValue: Bool? {
        guard case .bool(let value) = self else { return nil }
        return value
    }

    public var stringValue: String? {
        guard case .string(let value) = self else { return nil }
        return value
    }

    public var numberValue: JSONNumber? {
        guard case .number(let value) = self else { return nil }
        return value
    }

    /// A number that is an integer and fits; see `JSONNumber`.
    public var intValue: Int? { self.numberValue?.int }

    /// A number as the nearest double; see `JSONNumber`.
    public var doubleValue: Double? { self.numberValue?.double }

    public var arrayValue: [JSONValue]? {
        guard case .array(let value) = self else { return nil }
        return value
    }

    public var objectValue: JSONObject? {
        guard case .object(let value) = self else { return nil }
        return value
    }
}

extension JSONValue: CustomStringConvertible {
    /// Compact JSON.
    public var description: String {
        var writer = JSONWriter()
        self.write(to: &writer)
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}

extension JSONValue: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) {
        switch try reader.peek() {
        case .null:
            try reader.readNull()
            self = .null
        case .bool: self = .bool(try reader.readBool())
        case .number: self = .number(try JSONNumber(from: &reader))
        case .string: self = .string(try reader.readString())
        case .array: self = .array(try reader.read())
        case .object: self = .object(try JSONObject(from: &reader))
        }
    }

    package func write(to writer: inout JSONWriter) {
        switch self {
        case .null: writer.writeNull()
        case .bool(let value): writer.write(value)
        case .number(let value): value.write(to: &writer)
        case .string(let value): writer.write(value)
        case .array(let value): value.write(to: &writer)
        case .object(let value): value.write(to: &writer)
        }
    }
}
