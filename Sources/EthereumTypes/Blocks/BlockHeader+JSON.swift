public import HeadstreamJSON

extension BlockHeader: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) {
        self.init()
        var rest = Rest()
        try reader.beginObject()
        while let key = try reader.nextKey() { try self.readField(key, from: &reader, rest: &rest) }
        try self.finish(rest, reader)
    }

    /// What the header itself does not hold while it is read.
    struct Rest {
        var sawNumber = false
        // Gathered apart: setting the shared box member by member would be quadratic.
        var unknown = JSONObject()
    }

    mutating func finish(_ rest: Rest, _ reader: JSONReader) throws(ValueError) {
        if !rest.unknown.isEmpty { self.unknownFields = rest.unknown }
        guard self.present.isSuperset(of: .required), rest.sawNumber else {
            if !self.present.contains(.parentHash) { throw reader.missing("parentHash") }
            if !self.present.contains(.stateRoot) { throw reader.missing("stateRoot") }
            if !self.present.contains(.gasLimit) { throw reader.missing("gasLimit") }
            if !self.present.contains(.gasUsed) { throw reader.missing("gasUsed") }
            if !self.present.contains(.timestamp) { throw reader.missing("timestamp") }
            throw reader.missing("number")
        }
    }

    /// Reads one member's value. A null reads as absent, except for the fields without which a header is refused.
    mutating func readField(
        _ key: JSONString,
        from reader: inout JSONReader,
        rest: inout Rest
    ) throws(ValueError) {
        switch key {
        case "parentHash":
            self.parentHash = try reader.read()
            self.present.insert(.parentHash)
            return
        case "stateRoot":
            self.stateRoot = try reader.read()
            self.present.insert(.stateRoot)
            return
        case "gasLimit":
            self.gasLimit = try reader.readLenientQuantity()
            self.present.insert(.gasLimit)
            return
        case "gasUsed":
            self.gasUsed = try reader.readLenientQuantity()
            self.present.insert(.gasUsed)
            return
        case "timestamp":
            self.timestamp = try reader.readLenientQuantity()
            self.present.insert(.timestamp)
            return
        case "number":
            rest.sawNumber = true
            if try reader.readNullIfPresent() { return }
            self.number = try reader.readLenientQuantity()
            self.present.insert(.number)
            return
        default: break
        }
        if try self.readFrontierField(key, from: &reader) { return }
        if try self.readForkField(key, from: &reader) { return }
        rest.unknown[key.string] = try reader.read()
    }

    private mutating func readFrontierField(
        _ key: JSONString,
        from reader: inout JSONReader
    ) throws(ValueError) -> Bool {
        switch key {
        case "sha3Uncles":
            if try reader.readNullIfPresent() { return true }
            self.unclesHash = try reader.read()
            self.present.insert(.unclesHash)
        case "miner":
            if try reader.readNullIfPresent() { return true }
            self.miner = try reader.read()
            self.present.insert(.miner)
        case "transactionsRoot":
            if try reader.readNullIfPresent() { return true }
            self.transactionsRoot = try reader.read()
            self.present.insert(.transactionsRoot)
        case "receiptsRoot":
            if try reader.readNullIfPresent() { return true }
            self.receiptsRoot = try reader.read()
            self.present.insert(.receiptsRoot)
        case "logsBloom":
            if try reader.readNullIfPresent() { return true }
            self.logsBloom = try reader.read()
            self.present.insert(.logsBloom)
        case "difficulty":
            if try reader.readNullIfPresent() { return true }
            self.difficulty = try reader.readUInt256()
        case "extraData":
            if try reader.readNullIfPresent() { return true }
            self.extraData = try reader.read()
            self.present.insert(.extraData)
        case "mixHash":
            if try reader.readNullIfPresent() { return true }
            self.mixHash = try reader.read()
            self.present.insert(.mixHash)
        case "nonce":
            if try reader.readNullIfPresent() { return true }
            self.nonce = try reader.readLenientQuantity()
            self.present.insert(.nonce)
        case "hash":
            if try reader.readNullIfPresent() { return true }
            self.hash = try reader.read()
        default: return false
        }
        return true
    }

    private mutating func readForkField(_ key: JSONString, from reader: inout JSONReader) throws(ValueError) -> Bool {
        switch key {
        case "baseFeePerGas":
            if try reader.readNullIfPresent() { return true }
            self.baseFeePerGas = try reader.readUInt256()
        case "withdrawalsRoot":
            if try reader.readNullIfPresent() { return true }
            self.withdrawalsRoot = try reader.read(Hash32.self)
        case "blobGasUsed":
            if try reader.readNullIfPresent() { return true }
            self.blobGasUsed = try reader.readLenientQuantity()
        case "excessBlobGas":
            if try reader.readNullIfPresent() { return true }
            self.excessBlobGas = try reader.readLenientQuantity()
        case "parentBeaconBlockRoot":
            if try reader.readNullIfPresent() { return true }
            self.parentBeaconBlockRoot = try reader.read(Hash32.self)
        case "requestsHash":
            if try reader.readNullIfPresent() { return true }
            self.requestsHash = try reader.read(Hash32.self)
        case "blockAccessListHash":
            if try reader.readNullIfPresent() { return true }
            self.blockAccessListHash = try reader.read(Hash32.self)
        case "slotNumber":
            if try reader.readNullIfPresent() { return true }
            self.slotNumber = try reader.readLenientQuantity()
        case "totalDifficulty":
            if try reader.readNullIfPresent() { return true }
            self.totalDifficulty = try reader.readUInt256()
        case "size":
            if try reader.readNullIfPresent() { return true }
            self.size = try reader.readLenientQuantity()
        default: return false
        }
        return true
    }

    package func write(to writer: inout JSONWriter) {
        writer.beginObject()
        self.writeFields(to: &writer)
        writer.endObject()
    }

    /// The members in geth's order, without the braces.
    func writeFields(to writer: inout JSONWriter) {
        let present = self.present
        writer.field("parentHash", self.parentHash)
        if present.contains(.unclesHash) { writer.field("sha3Uncles", self.unclesHash) }
        if present.contains(.miner) { writer.field("miner", self.miner) }
        writer.field("stateRoot", self.stateRoot)
        if present.contains(.transactionsRoot) { writer.field("transactionsRoot", self.transactionsRoot) }
        if present.contains(.receiptsRoot) { writer.field("receiptsRoot", self.receiptsRoot) }
        if present.contains(.logsBloom) { writer.field("logsBloom", self.logsBloom) }
        if present.contains(.difficulty) { writer.field("difficulty", self.difficulty) }
        writer.field("number", quantityOrNull: self.hasNumber ? self.number : nil)
        writer.field("gasLimit", quantity: self.gasLimit)
        writer.field("gasUsed", quantity: self.gasUsed)
        writer.field("timestamp", quantity: self.timestamp)
        if present.contains(.extraData) { writer.field("extraData", self.extraData) }
        if present.contains(.mixHash) { writer.field("mixHash", self.mixHash) }
        if present.contains(.nonce) {
            writer.key("nonce")
            withUnsafeBytes(of: self.nonce.bigEndian) { writer.writeHex($0) }
        }
        writer.field("baseFeePerGas", ifPresent: self.baseFeePerGas)
        writer.field("withdrawalsRoot", ifPresent: self.withdrawalsRoot)
        writer.field("blobGasUsed", quantity: self.blobGasUsed)
        writer.field("excessBlobGas", quantity: self.excessBlobGas)
        writer.field("parentBeaconBlockRoot", ifPresent: self.parentBeaconBlockRoot)
        writer.field("requestsHash", ifPresent: self.requestsHash)
        writer.field("blockAccessListHash", ifPresent: self.blockAccessListHash)
        writer.field("slotNumber", quantity: self.slotNumber)
        writer.field("totalDifficulty", ifPresent: self.totalDifficulty)
        writer.field("size", quantity: self.size)
        if present.contains(.hash) { writer.field("hash", self.hash) }
        writer.fields(self.extra?.unknown)
    }
}

extension BlockHeader: Codable, CustomStringConvertible {
    /// Members that are not fields of this type, as they were: other chains' own, and those of forks to come. Written
    /// again after the fields.
    public var unknownFields: JSONObject {
        get { self.extra?.unknown ?? JSONObject() }
        set { self.extra = ExtraFields.replacing(newValue, in: self.extra) }
    }

    public init(from decoder: any Swift.Decoder) throws { self = try JSONCoding.decode(from: decoder) }
    public func encode(to encoder: any Encoder) throws { try JSONCoding.encode(self, to: encoder) }

    /// The header as JSON.
    public var description: String { JSONCoding.text(of: self) }
}
