package import HeadstreamJSON

/// Writes requests (JSON-RPC 2.0 §4 and §6).
package enum RequestMessage {
    /// One request.
    ///
    /// - Parameter isNamed: parameters are members of an object, `parameters` writes their keys too (JSON-RPC 2.0 §4.2).
    package static func encode(
        id: RequestID,
        method: String,
        isNamed: Bool = false,
        parameters: (inout JSONWriter) -> Void
    ) -> [UInt8] {
        var writer = JSONWriter()
        Self.write(id: id, method: method, isNamed: isNamed, parameters: parameters, to: &writer)
        return writer.bytes
    }

    /// A batch of requests whose ids are in sequence.
    package static func encodeBatch(
        firstID: RequestID,
        count: Int,
        item: (Int) -> (method: String, parameters: (inout JSONWriter) -> Void)
    ) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginArray()
        for index in 0..<count {
            let (method, parameters) = item(index)
            Self.write(id: firstID.advanced(by: index), method: method, parameters: parameters, to: &writer)
        }
        writer.endArray()
        return writer.bytes
    }

    private static func write(
        id: RequestID,
        method: String,
        isNamed: Bool = false,
        parameters: (inout JSONWriter) -> Void,
        to writer: inout JSONWriter
    ) {
        writer.beginObject()
        writer.key("jsonrpc")
        writer.write("2.0")
        writer.key("id")
        writer.writeInteger(id.rawValue)
        writer.key("method")
        writer.write(method)
        writer.key("params")
        if isNamed { writer.beginObject() } else { writer.beginArray() }
        parameters(&writer)
        if isNamed { writer.endObject() } else { writer.endArray() }
        writer.endObject()
    }
}
