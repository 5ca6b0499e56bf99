import FoundationEssentials
import HeadstreamJSON

/// Writes what a user passes as parameters of a request: values of this package write themselves, others go through
/// `Codable`.
enum Parameters {
    /// Each parameter as JSON.
    ///
    /// - Throws: `.invalidArgument` for a value that does not encode.
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
