public import EthereumTypes
public import HeadstreamJSON

/// A block's header as nodes built with Substrate tell it (Polkadot, Kusama and others); it does not hold its own hash,
/// which depends on the chain's hash function.
public struct SubstrateHeader: Hashable, Sendable {
    public var number: UInt64
    public var parentHash: Hash32
    public var stateRoot: Hash32
    public var extrinsicsRoot: Hash32
    /// What consensus wrote into the block, as it was: `logs` are SCALE-encoded hex, on old chains objects.
    public var digest: JSONValue
    /// Members that this type does not know, as they were.
    public var unknownFields: JSONObject

    public init(
        number: UInt64,
        parentHash: Hash32,
        stateRoot: Hash32,
        extrinsicsRoot: Hash32,
        digest: JSONValue = .null,
        unknownFields: JSONObject = JSONObject()
    ) {
        self.number = number
        self.parentHash = parentHash
        self.stateRoot = stateRoot
        self.extrinsicsRoot = extrinsicsRoot
        self.digest = digest
        self.unknownFields = unknownFields
    }
}

extension SubstrateHeader: Decodable, JSONReadable {
    public init(from decoder: any Decoder) throws { self = try PaddedJSON.decode(from: decoder) }

    package init(from reader: inout JSONReader) throws(ValueError) {
        var number: UInt64?
        var parentHash: Hash32?
        var stateRoot: Hash32?
        var extrinsicsRoot: Hash32?
        var digest = JSONValue.null
        var unknownFields = JSONObject()
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "number": number = try reader.peek() == .number ? reader.readUInt64() : reader.readQuantity()
            case "parentHash": parentHash = try reader.read(Hash32.self)
            case "stateRoot": stateRoot = try reader.read(Hash32.self)
            case "extrinsicsRoot": extrinsicsRoot = try reader.read(Hash32.self)
            case "digest": digest = try reader.read()
            default: unknownFields[key.string] = try reader.read()
            }
        }
        guard let number else { throw reader.missing("number") }
        guard let parentHash else { throw reader.missing("parentHash") }
        guard let stateRoot else { throw reader.missing("stateRoot") }
        guard let extrinsicsRoot else { throw reader.missing("extrinsicsRoot") }
        self.init(
            number: number,
            parentHash: parentHash,
            stateRoot: stateRoot,
            extrinsicsRoot: extrinsicsRoot,
            digest: digest,
            unknownFields: unknownFields
        )
    }
}

/// Heads of a Substrate chain.
public struct SubstrateHeadsRequest: SubscriptionRequest {
    public typealias Notification = SubstrateHeader

    /// Which heads.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        /// Each new best block; a reorganisation tells the new tip alone.
        case new = "chain_subscribeNewHead"
        /// Every block that the node imports, of every fork.
        case all = "chain_subscribeAllHeads"
        /// Blocks that are final.
        case finalized = "chain_subscribeFinalizedHeads"
    }

    public var kind: Kind

    public init(_ kind: Kind = .new) {
        self.kind = kind
    }

    public var dialect: SubscriptionDialect { .substrate }
    public var subscribeMethod: String { self.kind.rawValue }
}

/// Submits an extrinsic and tells what becomes of it: `author_submitAndWatchExtrinsic`.
///
/// The subscription *is* the submission: iterating twice submits twice.
public struct SubstrateWatchRequest: SubscriptionRequest {
    public typealias Notification = SubstrateExtrinsicStatus

    /// SCALE-encoded and signed.
    public var extrinsic: Bytes

    public init(_ extrinsic: Bytes) {
        self.extrinsic = extrinsic
    }

    public var dialect: SubscriptionDialect { .substrate }
    public var subscribeMethod: String { "author_submitAndWatchExtrinsic" }
    public var parameters: [any Encodable & Sendable] { [self.extrinsic] }
}

/// What became of an extrinsic, as `author_extrinsicUpdate` tells it.
public enum SubstrateExtrinsicStatus: Hashable, Sendable {
    case future
    case ready
    /// To these peers.
    case broadcast([String])
    case inBlock(Hash32)
    /// The block it was in is no longer of the best chain.
    case retracted(Hash32)
    /// Finality was not reached in time.
    case finalityTimeout(Hash32)
    case finalized(Hash32)
    /// Another one took its place.
    case usurped(Hash32)
    case dropped
    case invalid
    /// A status that this package does not know, with what the node says about it.
    case other(String, JSONValue)
}

extension SubstrateExtrinsicStatus: Decodable, JSONReadable {
    public init(from decoder: any Decoder) throws { self = try PaddedJSON.decode(from: decoder) }

    package init(from reader: inout JSONReader) throws(ValueError) {
        guard try reader.peek() == .object else {
            let name = try reader.readString()
            self =
                switch name {
                case "future": .future
                case "ready": .ready
                case "dropped": .dropped
                case "invalid": .invalid
                default: .other(name, .null)
                }
            return
        }
        var status: Self?
        try reader.beginObject()
        while let key = try reader.nextKey() {
            status =
                switch key {
                case "broadcast": .broadcast(try reader.read())
                case "inBlock": .inBlock(try reader.read())
                case "retracted": .retracted(try reader.read())
                case "finalityTimeout": .finalityTimeout(try reader.read())
                case "finalized": .finalized(try reader.read())
                case "usurped": .usurped(try reader.read())
                default: .other(key.string, try reader.read())
                }
        }
        guard let status else { throw ValueError(reason: "is a status without a name") }
        self = status
    }
}

extension SubscriptionRequest where Self == SubstrateHeadsRequest {
    /// Heads of a Substrate chain.
    public static func substrateHeads(_ kind: SubstrateHeadsRequest.Kind = .new) -> SubstrateHeadsRequest {
        SubstrateHeadsRequest(kind)
    }
}

extension SubscriptionRequest where Self == SubstrateWatchRequest {
    /// Submits an extrinsic and tells what becomes of it.
    public static func substrateSubmitAndWatch(_ extrinsic: Bytes) -> SubstrateWatchRequest {
        SubstrateWatchRequest(extrinsic)
    }
}
