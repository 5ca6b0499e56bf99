extension Bool: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) { self = try reader.readBool() }
    package func write(to writer: inout JSONWriter) { writer.write(self) }
}

extension String: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) { self = try reader.readString() }
    package func write(to writer: inout JSONWriter) { writer.write(self) }
}

extension Double: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) { self = try reader.readDouble() }
    package func write(to writer: inout JSONWriter) { writer.write(self) }
}

extension FixedWidthInteger where Self: JSONReadable {
    package init(from reader: inout JSONReader) throws(ValueError) { self = try reader.readInteger() }
}

extension FixedWidthInteger where Self: JSONWritable {
    package func write(to writer: inout JSONWriter) { writer.writeInteger(self) }
}

extension Int: JSONReadable, JSONWritable {}
extension Int8: JSONReadable, JSONWritable {}
extension Int16: JSONReadable, JSONWritable {}
extension Int32: JSONReadable, JSONWritable {}
extension Int64: JSONReadable, JSONWritable {}
extension UInt: JSONReadable, JSONWritable {}
extension UInt8: JSONReadable, JSONWritable {}
extension UInt16: JSONReadable, JSONWritable {}
extension UInt32: JSONReadable, JSONWritable {}
extension UInt64: JSONReadable, JSONWritable {}

/// `null` is nil.
extension Optional: JSONReadable where Wrapped: JSONReadable {
    package init(from reader: inout JSONReader) throws(ValueError) {
        self = try reader.readNullIfPresent() ? nil : reader.read(Wrapped.self)
    }
}

extension Optional: JSONWritable where Wrapped: JSONWritable {
    package func write(to writer: inout JSONWriter) {
        if let self { self.write(to: &writer) } else { writer.writeNull() }
    }
}

extension Array: JSONReadable where Element: JSONReadable {
    package init(from reader: inout JSONReader) throws(ValueError) {
        self = []
        try reader.beginArray()
        while try reader.nextElement() { self.append(try Element(from: &reader)) }
    }
}

extension Array: JSONWritable where Element: JSONWritable {
    package func write(to writer: inout JSONWriter) {
        writer.beginArray()
        for element in self { element.write(to: &writer) }
        writer.endArray()
    }
}

/// Of names that occur twice the last wins. Written in the order of the names, so that the text is the same each time.
extension Dictionary: JSONReadable where Key == String, Value: JSONReadable {
    package init(from reader: inout JSONReader) throws(ValueError) {
        self = [:]
        try reader.beginObject()
        while let key = try reader.nextKey() { self[key.string] = try Value(from: &reader) }
    }
}

extension Dictionary: JSONWritable where Key == String, Value: JSONWritable {
    package func write(to writer: inout JSONWriter) {
        writer.beginObject()
        for (key, value) in self.sorted(by: { $0.key < $1.key }) {
            writer.key(key)
            value.write(to: &writer)
        }
        writer.endObject()
    }
}
