import FoundationEssentials
import HeadstreamJSON
import HeadstreamRPC

/// Writes what a user passes as parameters of a request.
enum Parameters {
    /// Encodes a request. Values of this package write themselves; others go through `Codable`.
    ///
    /// - Throws: `.invalidArgument` for a value that does not encode.
    static func request(
        id: RequestID,
        method: String,
        _ parameters: [any Encodable & Sendable]
    ) throws(Web3Error) -> [UInt8] {
        let encoded = try Self.encode(parameters, of: method)
        return RequestMessage.encode(id: id, method: method) { writer in
            for bytes in encoded { writer.writeRaw(bytes) }
        }
    }

    /// Each parameter as JSON.
    static func encode(_ parameters: [any Encodable & Sendable], of method: String) throws(Web3Error) -> [[UInt8]] {
        var encoded: [[UInt8]] = []
        for (index, parameter) in parameters.enumerated() {
            do {
                encoded.append(try Self.encode(parameter))
            } catch {
                throw Web3Error(.invalidArgument, "parameter \(index) of \(method) does not encode as JSON: \(error)")
            }
        }
        return encoded
    }

    private static func encode(_ value: any Encodable) throws -> [UInt8] {
        if let value = value as? any JSONWritable {
            var writer = JSONWriter()
            value.write(to: &writer)
            return try writer.finish()
        }
        return [UInt8](try JSONEncoder().encode(value))
    }
}
