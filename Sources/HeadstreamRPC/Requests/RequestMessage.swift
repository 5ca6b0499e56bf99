package import HeadstreamJSON

/// Writes requests (JSON-RPC 2.0 §4 and §6).
package enum RequestMessage {
    /// What stands before a request's id.
    private static let head: StaticString = #"{"jsonrpc":"2.0","id":"#
    /// The most digits of an id.
    private static let idDigits = 20

    /// What stands behind a request's id, to be used for any id: `,"method":…,"params":…}`.
    ///
    /// - Parameter isNamed: parameters are members of an object, `parameters` writes their keys too (JSON-RPC 2.0 §4.2).
    package static func tail(
        method: String,
        isNamed: Bool = false,
        parameters: (inout JSONWriter) -> Void
    ) -> [UInt8] {
        var start: [UInt8] = []
        start.reserveCapacity(method.utf8.count + 64)
        start.append(UInt8(ascii: ","))
        var writer = JSONWriter(appendingTo: start)
        writer.key("method")
        writer.write(method)
        writer.key("params")
        if isNamed { writer.beginObject() } else { writer.beginArray() }
        parameters(&writer)
        if isNamed { writer.endObject() } else { writer.endArray() }
        writer.endObject()
        return writer.bytes
    }

    /// One request.
    package static func encode(id: RequestID, tail: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(Self.head.utf8CodeUnitCount + Self.idDigits + tail.count)
        Self.append(id: id, tail: tail, to: &text)
        return text
    }

    /// Appends one request.
    package static func append(id: RequestID, tail: [UInt8], to text: inout [UInt8]) {
        text.append(contentsOf: UnsafeBufferPointer(start: Self.head.utf8Start, count: Self.head.utf8CodeUnitCount))
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.idDigits) { digits in
            var first = Self.idDigits
            var rest = id.rawValue
            repeat {
                first -= 1
                digits[first] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            text.append(contentsOf: UnsafeBufferPointer(rebasing: digits[first...]))
        }
        tail.withUnsafeBufferPointer { text.append(contentsOf: $0) }
    }

    package static func encode(
        id: RequestID,
        method: String,
        isNamed: Bool = false,
        parameters: (inout JSONWriter) -> Void
    ) -> [UInt8] {
        Self.encode(id: id, tail: Self.tail(method: method, isNamed: isNamed, parameters: parameters))
    }

    /// A batch of requests whose ids are in sequence.
    package static func encodeBatch(firstID: RequestID, tails: [[UInt8]]) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(tails.reduce(2) { $0 + Self.head.utf8CodeUnitCount + Self.idDigits + $1.count + 1 })
        text.append(UInt8(ascii: "["))
        for (index, tail) in tails.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            Self.append(id: firstID.advanced(by: index), tail: tail, to: &text)
        }
        text.append(UInt8(ascii: "]"))
        return text
    }
}

/// What a request's message is: whole, or by what stands behind its id (``RequestMessage/tail(method:isNamed:parameters:)``),
/// so that the whole need not be put together before it is written.
package enum RequestText: Sendable {
    case whole([UInt8])
    case tail([UInt8])

    /// All of it.
    package func bytes(for id: RequestID) -> [UInt8] {
        switch self {
        case .whole(let bytes): bytes
        case .tail(let tail): RequestMessage.encode(id: id, tail: tail)
        }
    }
}
