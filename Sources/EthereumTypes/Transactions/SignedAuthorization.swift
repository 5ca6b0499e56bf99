package import HeadstreamJSON

/// An account's signed word that it lets a contract's code stand for its own (EIP-7702).
public struct SignedAuthorization: Hashable, Sendable {
    /// The chain it is for; 0 for any.
    public var chainID: UInt256
    /// The contract whose code is used.
    public var address: Address
    /// The account's nonce.
    public var nonce: UInt64
    public var yParity: UInt64
    public var r: UInt256
    public var s: UInt256

    /// Members that are not fields of this type, as they were: some nodes name the `authority`.
    public var unknownFields = JSONObject()

    public init(chainID: UInt256, address: Address, nonce: UInt64, yParity: UInt64, r: UInt256, s: UInt256) {
        self.chainID = chainID
        self.address = address
        self.nonce = nonce
        self.yParity = yParity
        self.r = r
        self.s = s
    }
}

extension SignedAuthorization: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) {
        var chainID: UInt256?
        var address: Address?
        var nonce: UInt64?
        var yParity: UInt64?
        var r: UInt256?
        var s: UInt256?
        var unknown = JSONObject()
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            // Substrate's nodes write `chain_id`, a JSON number, and an object for the signature.
            case "chainId", "chain_id": chainID = try reader.readUInt256()
            case "address": address = try reader.read(Address.self)
            case "nonce": nonce = try reader.readLenientQuantity()
            // Some nodes of Prague's first days wrote `v`.
            case "yParity", "v": yParity = try reader.readLenientQuantity()
            case "r": r = try reader.readUInt256()
            case "s": s = try reader.readUInt256()
            case "signature": try Self.readSignature(from: &reader, &yParity, &r, &s)
            default: unknown[key.string] = try reader.read()
            }
        }
        guard let chainID else { throw reader.missing("chainId") }
        guard let address else { throw reader.missing("address") }
        guard let nonce else { throw reader.missing("nonce") }
        guard let yParity else { throw reader.missing("yParity") }
        guard let r else { throw reader.missing("r") }
        guard let s else { throw reader.missing("s") }
        self.init(chainID: chainID, address: address, nonce: nonce, yParity: yParity, r: r, s: s)
        self.unknownFields = unknown
    }

    private static func readSignature(
        from reader: inout JSONReader,
        _ yParity: inout UInt64?,
        _ r: inout UInt256?,
        _ s: inout UInt256?
    ) throws(ValueError) {
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "odd_y_parity": yParity = try reader.readBool() ? 1 : 0
            case "r": r = try reader.readUInt256()
            case "s": s = try reader.readUInt256()
            default: try reader.skipValue()
            }
        }
    }

    package func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.field("chainId", self.chainID)
        writer.field("address", self.address)
        writer.field("nonce", quantity: self.nonce)
        writer.field("yParity", quantity: self.yParity)
        writer.field("r", self.r)
        writer.field("s", self.s)
        writer.fields(self.unknownFields)
        writer.endObject()
    }
}

extension SignedAuthorization: Codable, CustomStringConvertible {
    public init(from decoder: any Decoder) throws { self = try JSONCoding.decode(from: decoder) }
    public func encode(to encoder: any Encoder) throws { try JSONCoding.encode(self, to: encoder) }

    public var description: String { JSONCoding.text(of: self) }
}
