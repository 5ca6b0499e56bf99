public import HeadstreamJSON

/// A transaction's log messages, as Solana's `logsNotification` tells them.
public struct SolanaLogs: Hashable, Sendable {
    /// The slot the node speaks of (`context.slot`).
    public var slot: UInt64
    /// The transaction's first signature, in base 58.
    public var signature: String
    /// Why the transaction failed, as the node writes it; nil where it did not.
    public var error: JSONValue?
    /// What the programs logged.
    public var logs: [String]

    public init(slot: UInt64, signature: String, error: JSONValue? = nil, logs: [String] = []) {
        self.slot = slot
        self.signature = signature
        self.error = error
        self.logs = logs
    }
}

extension SolanaLogs: Decodable, JSONReadable {
    public init(from decoder: any Decoder) throws { self = try PaddedJSON.decode(from: decoder) }

    package init(from reader: inout JSONReader) throws(ValueError) {
        var slot: UInt64?
        var signature: String?
        self.init(slot: 0, signature: "")
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "context":
                try reader.beginObject()
                while let key = try reader.nextKey() {
                    if key == "slot" { slot = try reader.readUInt64() } else { try reader.skipValue() }
                }
            case "value":
                try reader.beginObject()
                while let key = try reader.nextKey() {
                    switch key {
                    case "signature": signature = try reader.readString()
                    case "err":
                        // Not in one expression with nil, which would be read as JSON's null.
                        if try !reader.readNullIfPresent() { self.error = try reader.read(JSONValue.self) }
                    case "logs": self.logs = try reader.readNullIfPresent() ? [] : reader.read()
                    default: try reader.skipValue()
                    }
                }
                guard signature != nil else { throw reader.missing("signature") }
            default: try reader.skipValue()
            }
        }
        guard let slot else { throw reader.missing("context.slot") }
        guard let signature else { throw reader.missing("value") }
        self.slot = slot
        self.signature = signature
    }
}

/// Log messages of Solana's transactions: `logsSubscribe`.
public struct SolanaLogsRequest: SubscriptionRequest {
    public typealias Notification = SolanaLogs

    /// Of which transactions.
    public enum Filter: Hashable, Sendable {
        /// All but votes.
        case all
        case allWithVotes
        /// Those that name this account, in base 58. Nodes take one.
        case mentions(String)
    }

    /// How certain a block must be.
    public enum Commitment: String, Hashable, Sendable, Encodable {
        case processed, confirmed, finalized
    }

    public var filter: Filter
    /// The node's default, `finalized`, where nil.
    public var commitment: Commitment?

    public init(_ filter: Filter = .all, commitment: Commitment? = nil) {
        self.filter = filter
        self.commitment = commitment
    }

    public var dialect: SubscriptionDialect { .solana }
    public var subscribeMethod: String { "logsSubscribe" }

    public var parameters: [any Encodable & Sendable] {
        let filter: any Encodable & Sendable =
            switch self.filter {
            case .all: "all"
            case .allWithVotes: "allWithVotes"
            case .mentions(let account): ["mentions": [account]]
            }
        guard let commitment = self.commitment else { return [filter] }
        return [filter, ["commitment": commitment]]
    }
}

extension SubscriptionRequest where Self == SolanaLogsRequest {
    /// Log messages of Solana's transactions.
    public static func solanaLogs(
        _ filter: SolanaLogsRequest.Filter = .all,
        commitment: SolanaLogsRequest.Commitment? = nil
    ) -> SolanaLogsRequest {
        SolanaLogsRequest(filter, commitment: commitment)
    }
}
