import HeadstreamJSON

/// `Codable` of the composite types, by way of `JSONValue` and their own reader and writer, so that there is one place
/// where a type's JSON is described. For users' files and tests; what comes off the wire is read directly.
enum JSONCoding {
    static func decode<Value: JSONReadable>(from decoder: any Decoder) throws -> Value {
        let json = try JSONValue(from: decoder)
        return try self.decode(from: decoder) { () throws(ValueError) in try self.read(json) }
    }

    /// A scalar's value from its text.
    static func decodeText<Value>(
        from decoder: any Decoder,
        _ read: (String) throws(ValueError) -> Value
    ) throws -> Value {
        let text = try String(from: decoder)
        return try self.decode(from: decoder) { () throws(ValueError) in try read(text) }
    }

    /// `Codable`'s own error with the place that it knows, and ours beneath.
    private static func decode<Value>(
        from decoder: any Decoder,
        _ read: () throws(ValueError) -> Value
    ) throws -> Value {
        do throws(ValueError) { return try read() } catch {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: error.description, underlyingError: error)
            )
        }
    }

    static func encode(_ value: some JSONWritable, to encoder: any Encoder) throws {
        try self.value(of: value).encode(to: encoder)
    }

    static func read<Value: JSONReadable>(_ json: JSONValue) throws(ValueError) -> Value {
        var writer = JSONWriter()
        json.write(to: &writer)
        return try self.read(writer.bytes)
    }

    static func value(of value: some JSONWritable) -> JSONValue {
        var writer = JSONWriter()
        value.write(to: &writer)
        // What our writers write reads back.
        return (try? self.read(writer.bytes)) ?? .null
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
