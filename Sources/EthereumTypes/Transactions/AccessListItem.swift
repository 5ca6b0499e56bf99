package import HeadstreamJSON

/// An address and the storage slots that a transaction will touch there (EIP-2930).
public struct AccessListItem: Hashable, Sendable {
    public var address: Address
    public var storageKeys: [Hash32]

    public init(address: Address, storageKeys: [Hash32] = []) {
        self.address = address
        self.storageKeys = storageKeys
    }
}

extension AccessListItem: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) {
        var address: Address?
        var storageKeys: [Hash32]?
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "address": address = try reader.read(Address.self)
            case "storageKeys": storageKeys = try reader.read()
            default: try reader.skipValue()
            }
        }
        guard let address else { throw reader.missing("address") }
        // Null and absent are no keys.
        self.init(address: address, storageKeys: storageKeys ?? [])
    }

    package func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.field("address", self.address)
        writer.field("storageKeys", self.storageKeys)
        writer.endObject()
    }
}

extension AccessListItem: Codable, CustomStringConvertible {
    public init(from decoder: any Decoder) throws { self = try JSONCoding.decode(from: decoder) }
    public func encode(to encoder: any Encoder) throws { try JSONCoding.encode(self, to: encoder) }

    public var description: String { JSONCoding.text(of: self) }
}
