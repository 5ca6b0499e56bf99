public import HeadstreamJSON

extension Transaction: JSONReadable, JSONWritable {
    /// A transaction of a known type needs hash, sender, nonce, gas, value and input; one of another type only a hash:
    /// what it lacks reads as zero.
    package init(from reader: inout JSONReader) throws(ValueError) {
        var given: Required = []
        self.init(hash: .zero, kind: .legacy, nonce: 0, from: .zero, to: nil, gas: 0)
        try reader.beginObject()
        while let key = try reader.nextKey() {
            if try self.readRequired(key, from: &reader, given: &given) { continue }
            if try reader.readNullIfPresent() {
                // A null of a field that is known reads as absent; of others it is kept.
                if !Self.isKnown(key) { self.unknownFields[key.string] = .null }
                continue
            }
            if try self.readFees(key, from: &reader) { continue }
            if try self.readPlace(key, from: &reader) { continue }
            self.unknownFields[key.string] = try reader.read()
        }
        self.lacking = Required.all.subtracting(given)
        if !given.contains(.hash) { throw reader.missing("hash") }
        if case .unknown = self.kind { return }
        if !given.contains(.from) { throw reader.missing("from") }
        if !given.contains(.nonce) { throw reader.missing("nonce") }
        if !given.contains(.gas) { throw reader.missing("gas") }
        if !given.contains(.value) { throw reader.missing("value") }
        if !given.contains(.input) { throw reader.missing("input") }
    }

    private mutating func readRequired(
        _ key: JSONString,
        from reader: inout JSONReader,
        given: inout Required
    ) throws(ValueError) -> Bool {
        switch key {
        case "hash":
            self.hash = try reader.read()
            given.insert(.hash)
        case "from":
            self.from = try reader.read()
            given.insert(.from)
        case "nonce":
            self.nonce = try reader.readLenientQuantity()
            given.insert(.nonce)
        case "gas":
            self.gas = try reader.readLenientQuantity()
            given.insert(.gas)
        case "value":
            self.value = try reader.readUInt256()
            given.insert(.value)
        case "input":
            self.input = try reader.read()
            given.insert(.input)
        default: return false
        }
        return true
    }

    private static func isKnown(_ key: JSONString) -> Bool {
        switch key {
        case "type", "to", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "maxFeePerBlobGas", "chainId",
            "accessList", "blobVersionedHashes", "authorizationList", "v", "r", "s", "yParity", "blockHash",
            "blockNumber", "blockTimestamp", "transactionIndex":
            true
        default: false
        }
    }

    private mutating func readFees(_ key: JSONString, from reader: inout JSONReader) throws(ValueError) -> Bool {
        switch key {
        case "type": self.kind = Kind(rawValue: try reader.readLenientQuantity())
        case "to": self.to = try reader.read(Address.self)
        case "gasPrice": self.gasPrice = try reader.readUInt256()
        case "maxFeePerGas": self.maxFeePerGas = try reader.readUInt256()
        case "maxPriorityFeePerGas": self.maxPriorityFeePerGas = try reader.readUInt256()
        case "maxFeePerBlobGas": self.maxFeePerBlobGas = try reader.readUInt256()
        case "chainId": self.chainID = try reader.readLenientQuantity()
        case "accessList": self.accessList = try reader.read([AccessListItem].self)
        case "blobVersionedHashes": self.blobVersionedHashes = try reader.read([Hash32].self)
        case "authorizationList": self.authorizationList = try reader.read([SignedAuthorization].self)
        default: return false
        }
        return true
    }

    private mutating func readPlace(_ key: JSONString, from reader: inout JSONReader) throws(ValueError) -> Bool {
        switch key {
        case "v": self.v = try reader.readUInt256()
        case "r": self.r = try reader.readUInt256()
        case "s": self.s = try reader.readUInt256()
        case "yParity": self.yParity = try reader.readLenientQuantity()
        case "blockHash": self.blockHash = try reader.read(Hash32.self)
        case "blockNumber": self.blockNumber = try reader.readLenientQuantity()
        case "blockTimestamp": self.blockTimestamp = try reader.readLenientQuantity()
        case "transactionIndex": self.transactionIndex = try reader.readLenientQuantity()
        default: return false
        }
        return true
    }

    /// Whether to write a field: where it was read, or has a value now.
    private func writes(_ field: Required, _ hasValue: Bool) -> Bool {
        hasValue || !self.lacking.contains(field)
    }

    package func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.field("blockHash", self.blockHash)
        writer.field("blockNumber", quantityOrNull: self.blockNumber)
        writer.field("blockTimestamp", quantity: self.blockTimestamp)
        if self.writes(.from, self.from != .zero) { writer.field("from", self.from) }
        if self.writes(.gas, self.gas != 0) { writer.field("gas", quantity: self.gas) }
        writer.field("gasPrice", ifPresent: self.gasPrice)
        writer.field("maxFeePerGas", ifPresent: self.maxFeePerGas)
        writer.field("maxPriorityFeePerGas", ifPresent: self.maxPriorityFeePerGas)
        writer.field("maxFeePerBlobGas", ifPresent: self.maxFeePerBlobGas)
        writer.field("hash", self.hash)
        if self.writes(.input, !self.input.isEmpty) { writer.field("input", self.input) }
        if self.writes(.nonce, self.nonce != 0) { writer.field("nonce", quantity: self.nonce) }
        writer.field("to", self.to)
        writer.field("transactionIndex", quantityOrNull: self.transactionIndex)
        if self.writes(.value, !self.value.isZero) { writer.field("value", self.value) }
        writer.field("type", quantity: self.kind.rawValue)
        writer.field("accessList", ifPresent: self.accessList)
        writer.field("chainId", quantity: self.chainID)
        writer.field("blobVersionedHashes", ifPresent: self.blobVersionedHashes)
        writer.field("authorizationList", ifPresent: self.authorizationList)
        writer.field("v", ifPresent: self.v)
        writer.field("r", ifPresent: self.r)
        writer.field("s", ifPresent: self.s)
        writer.field("yParity", quantity: self.yParity)
        writer.fields(self.unknownFields)
        writer.endObject()
    }
}

extension Transaction: Codable, CustomStringConvertible {
    public init(from decoder: any Decoder) throws { self = try JSONCoding.decode(from: decoder) }
    public func encode(to encoder: any Encoder) throws { try JSONCoding.encode(self, to: encoder) }

    /// Reads the value from a node's JSON.
    public init(json: JSONValue) throws(ValueError) { self = try JSONCoding.read(json) }

    /// The value as a node writes it.
    public var json: JSONValue { JSONCoding.value(of: self) }

    /// The JSON as text.
    public var description: String { JSONCoding.text(of: self) }
}
