import HeadstreamJSON

/// `Codable` of the composite types, by way of `JSONValue` and their own reader and writer, so that there is one place
/// where a type's JSON is described. For users' files and tests; what comes off the wire is read directly.
enum JSONCoding {
    static func decode<Value: JSONReadable>(from decoder: any Decoder) throws -> Value {
        try self.read(JSONValue(from: decoder))
    }

    static func encode(_ value: some JSONWritable, to encoder: any Encoder) throws {
        try self.value(of: value).encode(to: encoder)
    }

    static func read<Value: JSONReadable>(_ json: JSONValue) throws(ValueError) -> Value {
        var writer = JSONWriter()
        json.write(to: &writer)
        return try self.read(writer.bytes)
    }

    static func value(of value: some JSONWritable) throws(ValueError) -> JSONValue {
        var writer = JSONWriter()
        value.write(to: &writer)
        return try self.read(writer.bytes)
    }

    static func text(of value: some JSONWritable) -> String {
        var writer = JSONWriter()
        value.write(to: &writer)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    private static func read<Value: JSONReadable>(_ bytes: [UInt8]) throws(ValueError) -> Value {
        try bytes.withUnsafeBytes { (bytes) -> Result<Value, ValueError> in
            var reader = JSONReader(bytes, depthLimit: JSONReader.maximumDepthLimit)
            do throws(ValueError) {
                let value = try Value(from: &reader)
                try reader.finish()
                return .success(value)
            } catch {
                return .failure(error)
            }
        }.get()
    }
}
