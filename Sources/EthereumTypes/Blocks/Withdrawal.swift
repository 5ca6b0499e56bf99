package import HeadstreamJSON

/// A validator's withdrawal from the consensus layer (EIP-4895).
public struct Withdrawal: Hashable, Sendable {
    /// Its number, counted over all withdrawals.
    public var index: UInt64
    public var validatorIndex: UInt64
    /// Who gets it.
    public var address: Address
    /// The amount in gwei.
    public var amount: UInt64

    public init(index: UInt64, validatorIndex: UInt64, address: Address, amount: UInt64) {
        self.index = index
        self.validatorIndex = validatorIndex
        self.address = address
        self.amount = amount
    }
}

extension Withdrawal: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) {
        var index: UInt64?
        var validatorIndex: UInt64?
        var address: Address?
        var amount: UInt64?
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "index": index = try reader.readLenientQuantity()
            case "validatorIndex": validatorIndex = try reader.readLenientQuantity()
            case "address": address = try reader.read(Address.self)
            case "amount": amount = try reader.readLenientQuantity()
            default: try reader.skipValue()
            }
        }
        guard let index else { throw reader.missing("index") }
        guard let validatorIndex else { throw reader.missing("validatorIndex") }
        guard let address else { throw reader.missing("address") }
        guard let amount else { throw reader.missing("amount") }
        self.init(index: index, validatorIndex: validatorIndex, address: address, amount: amount)
    }

    package func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.field("index", quantity: self.index)
        writer.field("validatorIndex", quantity: self.validatorIndex)
        writer.field("address", self.address)
        writer.field("amount", quantity: self.amount)
        writer.endObject()
    }
}

extension Withdrawal: Codable, CustomStringConvertible {
    public init(from decoder: any Decoder) throws { self = try JSONCoding.decode(from: decoder) }
    public func encode(to encoder: any Encoder) throws { try JSONCoding.encode(self, to: encoder) }

    public var description: String { JSONCoding.text(of: self) }
}
