public import HeadstreamJSON

extension Log: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) {
        self.init()
        var seen: UInt16 = 0
        // Gathered apart: setting the shared box member by member would be quadratic.
        var unknown: JSONObject?
        try reader.beginObject()
        while let key = try reader.nextKey() {
            guard let field = Field.of(key) else {
                unknown = unknown ?? JSONObject()
                unknown?[key.string] = try JSONValue(from: &reader)
                continue
            }
            seen |= 1 &<< UInt16(field.rawValue)
            try self.readField(field, from: &reader)
        }
        if let unknown { self.unknownFields = unknown }
        if seen & (1 &<< UInt16(Field.address.rawValue)) == 0 { throw reader.missing("address") }
        if seen & (1 &<< UInt16(Field.topics.rawValue)) == 0 { throw reader.missing("topics") }
        if seen & (1 &<< UInt16(Field.data.rawValue)) == 0 { throw reader.missing("data") }
    }

    /// Reads one member's value. For what says where the log stands, null and absent are the same.
    private mutating func readField(_ field: Field, from reader: inout JSONReader) throws(ValueError) {
        switch field {
        case .address:
            self.address = try Address(from: &reader)
            return
        case .topics:
            try self.readTopics(from: &reader)
            return
        case .data:
            self.data = try Bytes(from: &reader)
            return
        default: break
        }
        if try reader.readNullIfPresent() { return }
        switch field {
        case .address, .topics, .data: break
        case .blockNumber: self.blockNumber = try reader.readLenientQuantity()
        case .transactionHash: self.transactionHash = try Hash32(from: &reader)
        case .transactionIndex: self.transactionIndex = try reader.readLenientQuantity()
        case .blockHash: self.blockHash = try Hash32(from: &reader)
        case .blockTimestamp: self.blockTimestamp = try reader.readLenientQuantity()
        case .logIndex: self.logIndex = try reader.readLenientQuantity()
        case .removed: self.removed = try reader.readBool()
        }
    }

    private mutating func readTopics(from reader: inout JSONReader) throws(ValueError) {
        self.topicCount = 0
        try reader.beginArray()
        while try reader.nextElement() {
            switch self.topicCount {
            case 0: self.topic0 = try Hash32(from: &reader)
            case 1: self.topic1 = try Hash32(from: &reader)
            case 2: self.topic2 = try Hash32(from: &reader)
            case 3: self.topic3 = try Hash32(from: &reader)
            default: throw reader.error("is a fifth topic; a log has at most 4", at: nil)
            }
            self.topicCount &+= 1
        }
    }

    package func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.field("address", self.address)
        writer.key("topics")
        writer.beginArray()
        for topic in self.topics { topic.write(to: &writer) }
        writer.endArray()
        writer.field("data", self.data)
        writer.field("blockNumber", quantityOrNull: self.blockNumber)
        writer.field("transactionHash", self.transactionHash)
        writer.field("transactionIndex", quantityOrNull: self.transactionIndex)
        writer.field("blockHash", self.blockHash)
        writer.field("blockTimestamp", quantity: self.blockTimestamp)
        writer.field("logIndex", quantityOrNull: self.logIndex)
        writer.field("removed", self.removed)
        writer.fields(self.extra?.unknown)
        writer.endObject()
    }
}

extension Log: Codable, CustomStringConvertible {
    /// Members that are not fields of this type, as they were: other chains' own. Written again after the fields.
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
