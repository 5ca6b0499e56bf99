public import HeadstreamJSON

/// Whether a node is still catching up with its chain, as `eth_syncing` and the `syncing` subscription tell it.
///
/// Read from all the forms that nodes use: `false` and `true`; the progress itself; and `{"syncing": …, "status": …}`,
/// where older ones write the status's names in capitals and its numbers as JSON integers.
public enum SyncStatus: Hashable, Sendable {
    /// The node has caught up.
    case synced
    /// The node is catching up; the progress is nil where it told none.
    case syncing(SyncProgress?)

    public var isSyncing: Bool { self != .synced }
}

/// How far a node has come.
public struct SyncProgress: Hashable, Sendable {
    /// The block where it started.
    public var startingBlock: UInt64?
    /// The block where it is.
    public var currentBlock: UInt64?
    /// The highest block it knows of.
    public var highestBlock: UInt64?
    /// What else the node tells, as it was.
    public var unknownFields: JSONObject

    public init(
        startingBlock: UInt64? = nil,
        currentBlock: UInt64? = nil,
        highestBlock: UInt64? = nil,
        unknownFields: JSONObject = JSONObject()
    ) {
        self.startingBlock = startingBlock
        self.currentBlock = currentBlock
        self.highestBlock = highestBlock
        self.unknownFields = unknownFields
    }
}

extension SyncStatus: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) {
        switch try reader.peek() {
        case .bool:
            self = try reader.readBool() ? .syncing(nil) : .synced
        case .object:
            var progress = SyncProgress()
            var isSyncing = true
            var hasProgress = false
            try reader.beginObject()
            while let key = try reader.nextKey() {
                switch key {
                case "syncing", "isSyncing": isSyncing = try reader.readBool()
                case "status":
                    if try reader.peek() == .object {
                        progress = try reader.read()
                        hasProgress = true
                    } else {
                        try reader.skipValue()
                    }
                default:
                    try progress.readField(key, from: &reader)
                    hasProgress = true
                }
            }
            self = isSyncing ? .syncing(hasProgress ? progress : nil) : .synced
        default:
            throw reader.error("is neither true, false nor an object", at: nil)
        }
    }

    /// `false`, or `{"syncing": true, "status": …}` as geth's subscription has it.
    package func write(to writer: inout JSONWriter) {
        switch self {
        case .synced: writer.write(false)
        case .syncing(nil): writer.write(true)
        case .syncing(let progress?):
            writer.beginObject()
            writer.field("syncing", true)
            writer.field("status", progress)
            writer.endObject()
        }
    }
}

extension SyncProgress: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) {
        self.init()
        try reader.beginObject()
        while let key = try reader.nextKey() { try self.readField(key, from: &reader) }
    }

    mutating func readField(_ key: JSONString, from reader: inout JSONReader) throws(ValueError) {
        switch key {
        case "startingBlock", "StartingBlock":
            if try !reader.readNullIfPresent() { self.startingBlock = try reader.readLenientQuantity() }
        case "currentBlock", "CurrentBlock":
            if try !reader.readNullIfPresent() { self.currentBlock = try reader.readLenientQuantity() }
        case "highestBlock", "HighestBlock":
            if try !reader.readNullIfPresent() { self.highestBlock = try reader.readLenientQuantity() }
        default: self.unknownFields[key.string] = try reader.read()
        }
    }

    package func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.field("startingBlock", quantity: self.startingBlock)
        writer.field("currentBlock", quantity: self.currentBlock)
        writer.field("highestBlock", quantity: self.highestBlock)
        writer.fields(self.unknownFields)
        writer.endObject()
    }
}

extension SyncStatus: Codable, CustomStringConvertible {
    public init(from decoder: any Decoder) throws { self = try JSONCoding.decode(from: decoder) }
    public func encode(to encoder: any Encoder) throws { try JSONCoding.encode(self, to: encoder) }

    public var description: String { JSONCoding.text(of: self) }
}

extension SyncProgress: Codable, CustomStringConvertible {
    public init(from decoder: any Decoder) throws { self = try JSONCoding.decode(from: decoder) }
    public func encode(to encoder: any Encoder) throws { try JSONCoding.encode(self, to: encoder) }

    public var description: String { JSONCoding.text(of: self) }
}
