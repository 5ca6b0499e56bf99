import FoundationEssentials
import HeadstreamJSON
import HeadstreamRPC

/// Reads results and notifications as the type that a user asks for.
enum Results {
    /// Types of this package read themselves from the bytes; others go through `Codable`.
    static func decode<Value: Decodable>(
        _ bytes: UnsafeRawBufferPointer,
        as type: Value.Type
    ) throws(ValueError) -> Value {
        if let readable = type as? any JSONReadable.Type {
            if let value = try Self.read(bytes, as: readable) as? Value { return value }
        }
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw ValueError(
                value: Self.excerpt(bytes),
                reason: "cannot be decoded as \(type): \(Self.describe(error))"
            )
        }
    }

    /// The same for a type of this package, without a question to the runtime.
    static func read<Value: JSONReadable>(
        _ bytes: UnsafeRawBufferPointer,
        as type: Value.Type
    ) throws(ValueError) -> Value {
        var reader = JSONReader(bytes)
        let value = try type.init(from: &reader)
        try reader.finish()
        return value
    }

    private static func excerpt(_ bytes: UnsafeRawBufferPointer) -> String {
        String(decoding: bytes.prefix(64), as: UTF8.self)
    }

    /// `Codable`'s errors by the path and the reason.
    private static func describe(_ error: any Error) -> String {
        guard let error = error as? DecodingError else { return "\(error)" }
        let context: DecodingError.Context =
            switch error {
            case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context),
                .dataCorrupted(let context):
                context
            @unknown default: DecodingError.Context(codingPath: [], debugDescription: "\(error)")
            }
        let path = context.codingPath.map(\.stringValue).joined(separator: ".")
        return path.isEmpty ? context.debugDescription : "\(path): \(context.debugDescription)"
    }
}
