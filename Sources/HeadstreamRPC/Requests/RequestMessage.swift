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
        let digits = Self.digits(of: id)
        var text = [UInt8](repeating: 0, count: Self.head.utf8CodeUnitCount + digits + tail.count)
        text.withUnsafeMutableBytes { buffer in
            var count = 0
            Self.write(id: id, digits: digits, tail: tail, to: buffer, at: &count)
        }
        return text
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
        let capacity = tails.reduce(2) { $0 + Self.head.utf8CodeUnitCount + Self.idDigits + $1.count + 1 }
        return [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
            let buffer = UnsafeMutableRawBufferPointer(buffer)
            buffer[0] = UInt8(ascii: "[")
            count = 1
            for (index, tail) in tails.enumerated() {
                if index > 0 {
                    buffer[count] = UInt8(ascii: ",")
                    count += 1
                }
                let id = firstID.advanced(by: index)
                Self.write(id: id, digits: Self.digits(of: id), tail: tail, to: buffer, at: &count)
            }
            buffer[count] = UInt8(ascii: "]")
            count += 1
        }
    }

    /// How many digits an id has.
    private static func digits(of id: RequestID) -> Int {
        var digits = 1
        var rest = id.rawValue / 10
        while rest > 0 {
            digits += 1
            rest /= 10
        }
        return digits
    }

    /// Writes one request at `count`, and moves that behind it; there is room.
    private static func write(
        id: RequestID,
        digits: Int,
        tail: [UInt8],
        to buffer: UnsafeMutableRawBufferPointer,
        at count: inout Int
    ) {
        let head = UnsafeRawBufferPointer(start: Self.head.utf8Start, count: Self.head.utf8CodeUnitCount)
        UnsafeMutableRawBufferPointer(rebasing: buffer[count...]).copyMemory(from: head)
        count += head.count
        var rest = id.rawValue
        for place in (count..<count + digits).reversed() {
            buffer[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        count += digits
        tail.withUnsafeBytes { UnsafeMutableRawBufferPointer(rebasing: buffer[count...]).copyMemory(from: $0) }
        count += tail.count
    }
}
