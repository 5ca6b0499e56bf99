package import HeadstreamJSON

extension Hash32: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) {
        self.init()
        try withUnsafeMutablePointer(to: &self) { (bytes) throws(ValueError) in
            try reader.readHex(into: bytes, count: 32)
        }
    }

    package func write(to writer: inout JSONWriter) {
        self.withBytes { writer.writeHex($0) }
    }
}

extension Address: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) {
        self.init()
        try withUnsafeMutablePointer(to: &self) { (bytes) throws(ValueError) in
            try reader.readHex(into: bytes, count: 20)
        }
    }

    package func write(to writer: inout JSONWriter) {
        self.withBytes { writer.writeHex($0) }
    }
}

extension Bloom: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) {
        self.init()
        try withUnsafeMutablePointer(to: &self) { (bytes) throws(ValueError) in
            try reader.readHex(into: bytes, count: 256)
        }
    }

    package func write(to writer: inout JSONWriter) {
        self.withBytes { writer.writeHex($0) }
    }
}

extension Bytes: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) {
        self = try reader.readText { (text) throws(ValueError) in try Bytes(hex: text) }
    }

    package func write(to writer: inout JSONWriter) {
        self.withBytes { writer.writeHex($0) }
    }
}

extension UInt256: JSONReadable, JSONWritable {
    /// Accepts leading zeros, `0x` alone and a JSON integer, as for every quantity.
    package init(from reader: inout JSONReader) throws(ValueError) {
        self = try reader.readUInt256()
    }

    package func write(to writer: inout JSONWriter) {
        writer.writeQuantity(self)
    }
}
