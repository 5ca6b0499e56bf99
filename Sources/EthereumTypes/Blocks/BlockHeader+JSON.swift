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
        guard let field = Field.of(key) else {
            rest.unknown[key.string] = try JSONValue(from: &reader)
            return
        }
        if field == .number { rest.sawNumber = true }
        if !Presence.required.contains(field.presence), try reader.readNullIfPresent() { return }
        switch field {
        case .hash: self.hash = try Hash32(from: &reader)
        case .parentHash: self.parentHash = try Hash32(from: &reader)
        case .unclesHash: self.unclesHash = try Hash32(from: &reader)
        case .stateRoot: self.stateRoot = try Hash32(from: &reader)
        case .transactionsRoot: self.transactionsRoot = try Hash32(from: &reader)
        case .receiptsRoot: self.receiptsRoot = try Hash32(from: &reader)
        case .mixHash: self.mixHash = try Hash32(from: &reader)
        case .withdrawalsRoot: self.withdrawalsRootValue = try Hash32(from: &reader)
        case .parentBeaconBlockRoot: self.parentBeaconBlockRootValue = try Hash32(from: &reader)
        case .requestsHash: self.requestsHashValue = try Hash32(from: &reader)
        case .blockAccessListHash: self.blockAccessListHashValue = try Hash32(from: &reader)
        case .logsBloom: try reader.readHex(into: &self.logsBloom, count: 256)
        case .miner: self.miner = try Address(from: &reader)
        case .number: self.number = try reader.readLenientQuantity()
        case .timestamp: self.timestamp = try reader.readLenientQuantity()
        case .gasLimit: self.gasLimit = try reader.readLenientQuantity()
        case .gasUsed: self.gasUsed = try reader.readLenientQuantity()
        case .nonce: self.nonce = try reader.readLenientQuantity()
        case .blobGasUsed: self.blobGasUsedValue = try reader.readLenientQuantity()
        case .excessBlobGas: self.excessBlobGasValue = try reader.readLenientQuantity()
        case .slotNumber: self.slotNumberValue = try reader.readLenientQuantity()
        case .size: self.sizeValue = try reader.readLenientQuantity()
        case .extraData: self.extraData = try Bytes(from: &reader)
        // Numbers of one word are set without a look at `extra`, unless an earlier member of the same name is there.
        case .difficulty:
            if self.extra == nil, let word = reader.readUsualQuantity() {
                self.difficultyWord = word
            } else {
                self.difficulty = try reader.readUInt256()
            }
        case .baseFeePerGas:
            if self.extra == nil, let word = reader.readUsualQuantity() {
                self.baseFeePerGasWord = word
            } else {
                self.baseFeePerGas = try reader.readUInt256()
            }
        case .totalDifficulty: self.totalDifficulty = try reader.readUInt256()
        }
        self.present.insert(field.presence)
    }

    package func write(to writer: inout JSONWriter) {
        writer.beginObject()
        self.writeFields(to: &writer)
        writer.endObject()
    }

    /// Whether to write a field that may be missing: where it was read, or has a value now.
    private func writes(_ field: Presence, _ hasValue: Bool) -> Bool {
        hasValue || self.present.contains(field)
    }

    /// The members in geth's order, without the braces.
    func writeFields(to writer: inout JSONWriter) {
        let present = self.present
        writer.field("parentHash", self.parentHash)
        if self.writes(.unclesHash, !self.unclesHash.isZero) { writer.field("sha3Uncles", self.unclesHash) }
        if self.writes(.miner, !self.miner.isZero) { writer.field("miner", self.miner) }
        writer.field("stateRoot", self.stateRoot)
        if self.writes(.transactionsRoot, !self.transactionsRoot.isZero) {
            writer.field("transactionsRoot", self.transactionsRoot)
        }
        if self.writes(.receiptsRoot, !self.receiptsRoot.isZero) { writer.field("receiptsRoot", self.receiptsRoot) }
        if self.writes(.logsBloom, !self.logsBloom.isEmpty) { writer.field("logsBloom", self.logsBloom) }
        if present.contains(.difficulty) { writer.field("difficulty", self.difficulty) }
        writer.field("number", quantityOrNull: self.writes(.number, self.number != 0) ? self.number : nil)
        writer.field("gasLimit", quantity: self.gasLimit)
        writer.field("gasUsed", quantity: self.gasUsed)
        writer.field("timestamp", quantity: self.timestamp)
        if self.writes(.extraData, !self.extraData.isEmpty) { writer.field("extraData", self.extraData) }
        if self.writes(.mixHash, !self.mixHash.isZero) { writer.field("mixHash", self.mixHash) }
        if self.writes(.nonce, self.nonce != 0) {
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

    /// Reads the value from a node's JSON.
    public init(json: JSONValue) throws(ValueError) { self = try JSONCoding.read(json) }

    /// The value as a node writes it.
    public var json: JSONValue { JSONCoding.value(of: self) }

    /// The JSON as text.
    public var description: String { JSONCoding.text(of: self) }
}
