public import HeadstreamJSON

extension Log: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) {
        self.init()
        var seen: UInt8 = 0
        // Gathered apart: setting the shared box member by member would be quadratic.
        var unknown = JSONObject()
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "address":
                self.address = try reader.read()
                seen |= 1
            case "topics":
                try self.readTopics(from: &reader)
                seen |= 2
            case "data":
                self.data = try reader.read()
                seen |= 4
            default:
                try self.readPlace(key, from: &reader, unknown: &unknown)
            }
        }
        if !unknown.isEmpty { self.unknownFields = unknown }
        if seen & 1 == 0 { throw reader.missing("address") }
        if seen & 2 == 0 { throw reader.missing("topics") }
        if seen & 4 == 0 { throw reader.missing("data") }
    }

    /// Reads what says where the log stands: null and absent are the same.
    private mutating func readPlace(
        _ key: JSONString,
        from reader: inout JSONReader,
        unknown: inout JSONObject
    ) throws(ValueError) {
        switch key {
        case "blockNumber":
            if try !reader.readNullIfPresent() { self.blockNumber = try reader.readLenientQuantity() }
        case "transactionHash":
            if try !reader.readNullIfPresent() { self.transactionHash = try reader.read() }
        case "transactionIndex":
            if try !reader.readNullIfPresent() { self.transactionIndex = try reader.readLenientQuantity() }
        case "blockHash":
            if try !reader.readNullIfPresent() { self.blockHash = try reader.read() }
        case "blockTimestamp":
            if try !reader.readNullIfPresent() { self.blockTimestamp = try reader.readLenientQuantity() }
        case "logIndex":
            if try !reader.readNullIfPresent() { self.logIndex = try reader.readLenientQuantity() }
        case "removed":
            if try !reader.readNullIfPresent() { self.removed = try reader.readBool() }
        default:
            unknown[key.string] = try reader.read()
        }
    }

    private mutating func readTopics(from reader: inout JSONReader) throws(ValueError) {
        self.topicCount = 0
        try reader.beginArray()
        while try reader.nextElement() {
            switch self.topicCount {
            case 0: self.topic0 = try reader.read()
            case 1: self.topic1 = try reader.read()
            case 2: self.topic2 = try reader.read()
            case 3: self.topic3 = try reader.read()
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

    /// The log as JSON.
    public var description: String { JSONCoding.text(of: self) }
}
