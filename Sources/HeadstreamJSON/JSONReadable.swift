/// A type that reads itself from the bytes of a JSON value, without `Codable`.
package protocol JSONReadable {
    /// Reads exactly one value; the reader stands behind it afterwards.
    init(from reader: inout JSONReader) throws(ValueError)
}

/// A type that writes itself as one JSON value.
package protocol JSONWritable {
    func write(to writer: inout JSONWriter)
}
