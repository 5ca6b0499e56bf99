package import HeadstreamJSON
extension BlockHeader {
    package struct WireDecoder { package init() {}
        package mutating func decode(_ bytes: UnsafeRawBufferPointer) throws(ValueError) -> BlockHeader {
            var reader = JSONReader(bytes); let v = try BlockHeader(from: &reader); try reader.finish(); return v } }
}
extension Log {
    package struct WireDecoder { package init() {}
        package mutating func decode(_ bytes: UnsafeRawBufferPointer) throws(ValueError) -> Log {
            var reader = JSONReader(bytes); let v = try Log(from: &reader); try reader.finish(); return v } }
}
extension ValueError { func within(_ path: String) -> ValueError { ValueError(field: path + field, value: value, reason: reason) } }
