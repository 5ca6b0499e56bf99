public import EthereumTypes
public import HeadstreamJSON

/// A block's header as Starknet's nodes tell it. Hashes are field elements below 2^252, written without leading zeros.
public struct StarknetHead: Hashable, Sendable {
    public var number: UInt64
    public var hash: UInt256
    public var parentHash: UInt256
    /// Seconds since 1970.
    public var timestamp: UInt64
    /// The other members, as they were: `new_root`, `sequencer_address`, gas prices, commitments and what is to come.
    public var otherFields: JSONObject

    public init(
        number: UInt64,
        hash: UInt256,
        parentHash: UInt256,
        timestamp: UInt64,
        otherFields: JSONObject = JSONObject()
    ) {
        self.number = number
        self.hash = hash
        self.parentHash = parentHash
        self.timestamp = timestamp
        self.otherFields = otherFields
    }
}

extension StarknetHead: Decodable, JSONReadable {
    public init(from decoder: any Decoder) throws { self = try PaddedJSON.decode(from: decoder) }

    package init(from reader: inout JSONReader) throws(ValueError) {
        var number: UInt64?
        var hash: UInt256?
        var parentHash: UInt256?
        var timestamp: UInt64?
        var otherFields = JSONObject()
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "block_number": number = try reader.readUInt64()
            case "block_hash": hash = try reader.read(UInt256.self)
            case "parent_hash": parentHash = try reader.read(UInt256.self)
            case "timestamp": timestamp = try reader.readUInt64()
            default: otherFields[key.string] = try reader.read()
            }
        }
        guard let number else { throw reader.missing("block_number") }
        guard let hash else { throw reader.missing("block_hash") }
        guard let parentHash else { throw reader.missing("parent_hash") }
        guard let timestamp else { throw reader.missing("timestamp") }
        self.init(
            number: number,
            hash: hash,
            parentHash: parentHash,
            timestamp: timestamp,
            otherFields: otherFields
        )
    }
}

/// Blocks that have left Starknet's chain: `starknet_subscriptionReorg`.
public struct StarknetReorg: Hashable, Sendable {
    /// The first of them.
    public var startingNumber: UInt64
    public var startingHash: UInt256
    /// The last of them.
    public var endingNumber: UInt64
    public var endingHash: UInt256

    public init(startingNumber: UInt64, startingHash: UInt256, endingNumber: UInt64, endingHash: UInt256) {
        self.startingNumber = startingNumber
        self.startingHash = startingHash
        self.endingNumber = endingNumber
        self.endingHash = endingHash
    }
}

extension StarknetReorg: Decodable, JSONReadable {
    public init(from decoder: any Decoder) throws { self = try PaddedJSON.decode(from: decoder) }

    package init(from reader: inout JSONReader) throws(ValueError) {
        var startingNumber: UInt64?
        var startingHash: UInt256?
        var endingNumber: UInt64?
        var endingHash: UInt256?
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "starting_block_number": startingNumber = try reader.readUInt64()
            case "starting_block_hash": startingHash = try reader.read(UInt256.self)
            case "ending_block_number": endingNumber = try reader.readUInt64()
            case "ending_block_hash": endingHash = try reader.read(UInt256.self)
            default: try reader.skipValue()
            }
        }
        guard let startingNumber else { throw reader.missing("starting_block_number") }
        guard let startingHash else { throw reader.missing("starting_block_hash") }
        guard let endingNumber else { throw reader.missing("ending_block_number") }
        guard let endingHash else { throw reader.missing("ending_block_hash") }
        self.init(
            startingNumber: startingNumber,
            startingHash: startingHash,
            endingNumber: endingNumber,
            endingHash: endingHash
        )
    }
}

/// What comes on a subscription of Starknet's heads.
public enum StarknetHeadUpdate: Hashable, MethodKeyedNotification {
    case head(StarknetHead)
    /// These blocks are void; the heads that follow take their place.
    case reorg(StarknetReorg)

    public init(_ notification: borrowing NotificationMessage) throws {
        switch notification.method {
        case "starknet_subscriptionReorg": self = .reorg(try notification.result())
        default: self = .head(try notification.result())
        }
    }
}

/// Heads of Starknet's chain: `starknet_subscribeNewHeads`.
public struct StarknetHeadsRequest: SubscriptionRequest {
    public typealias Notification = StarknetHeadUpdate

    /// Where the stream begins.
    public enum Block: Hashable, Sendable, Encodable {
        case latest
        /// At most 1024 blocks back.
        case number(UInt64)
        case hash(UInt256)

        public func encode(to encoder: any Encoder) throws {
            switch self {
            case .latest:
                var container = encoder.singleValueContainer()
                try container.encode("latest")
            case .number(let number):
                try ["block_number": number].encode(to: encoder)
            case .hash(let hash):
                try ["block_hash": hash].encode(to: encoder)
            }
        }
    }

    /// The node's default, the latest block, where nil.
    public var start: Block?

    public init(from start: Block? = nil) {
        self.start = start
    }

    public var dialect: SubscriptionDialect { .starknet }
    public var subscribeMethod: String { "starknet_subscribeNewHeads" }

    public var namedParameters: NamedParameters {
        var parameters = NamedParameters()
        parameters["block_id"] = self.start
        return parameters
    }
}

extension SubscriptionRequest where Self == StarknetHeadsRequest {
    /// Heads of Starknet's chain and the reorganisations among them.
    public static func starknetHeads(from start: StarknetHeadsRequest.Block? = nil) -> StarknetHeadsRequest {
        StarknetHeadsRequest(from: start)
    }
}
