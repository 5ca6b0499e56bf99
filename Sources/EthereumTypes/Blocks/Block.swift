public import HeadstreamJSON

/// A block as `eth_getBlockByHash` and its kin give it: its header, and its transactions as hashes or in full.
public struct Block: Hashable, Sendable {
    /// The header; members of the block that neither it nor this type knows are among its ``BlockHeader/unknownFields``.
    public var header: BlockHeader
    public var transactions: Transactions
    /// The hashes of its uncles; none since the Merge.
    public var uncles: [Hash32]
    /// The withdrawals, since Shanghai (EIP-4895).
    public var withdrawals: [Withdrawal]?

    /// A block's transactions, as they were asked for.
    public enum Transactions: Hashable, Sendable {
        case hashes([Hash32])
        case full([Transaction])

        /// The hashes, whichever were asked for.
        public var hashes: [Hash32] {
            switch self {
            case .hashes(let hashes): hashes
            case .full(let transactions): transactions.map(\.hash)
            }
        }

        public var count: Int {
            switch self {
            case .hashes(let hashes): hashes.count
            case .full(let transactions): transactions.count
            }
        }
    }

    public init(
        header: BlockHeader,
        transactions: Transactions = .hashes([]),
        uncles: [Hash32] = [],
        withdrawals: [Withdrawal]? = nil
    ) {
        self.header = header
        self.transactions = transactions
        self.uncles = uncles
        self.withdrawals = withdrawals
    }

    /// The header's ``BlockHeader/hash``.
    public var hash: Hash32 { self.header.hash }
    /// The header's ``BlockHeader/number``.
    public var number: UInt64 { self.header.number }
}

extension Block: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) {
        self.init(header: BlockHeader())
        var rest = BlockHeader.Rest()
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "transactions": self.transactions = try reader.read()
            case "uncles": self.uncles = try reader.readNullIfPresent() ? [] : reader.read()
            case "withdrawals": self.withdrawals = try reader.read()
            default: try self.header.readField(key, from: &reader, rest: &rest)
            }
        }
        try self.header.finish(rest, reader)
    }

    package func write(to writer: inout JSONWriter) {
        writer.beginObject()
        self.header.writeFields(to: &writer)
        writer.field("transactions", self.transactions)
        writer.field("uncles", self.uncles)
        writer.field("withdrawals", ifPresent: self.withdrawals)
        writer.endObject()
    }
}

extension Block.Transactions: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) {
        var hashes: [Hash32] = []
        var transactions: [Transaction] = []
        try reader.beginArray()
        while try reader.nextElement() {
            if try reader.peek() == .object {
                guard hashes.isEmpty else {
                    throw reader.error("is a transaction in full among hashes", at: nil)
                }
                transactions.append(try reader.read())
            } else {
                guard transactions.isEmpty else {
                    throw reader.error("is a hash among transactions in full", at: nil)
                }
                hashes.append(try reader.read())
            }
        }
        self = transactions.isEmpty ? .hashes(hashes) : .full(transactions)
    }

    package func write(to writer: inout JSONWriter) {
        switch self {
        case .hashes(let hashes): hashes.write(to: &writer)
        case .full(let transactions): transactions.write(to: &writer)
        }
    }
}

extension Block: Codable, CustomStringConvertible {
    public init(from decoder: any Decoder) throws { self = try JSONCoding.decode(from: decoder) }
    public func encode(to encoder: any Encoder) throws { try JSONCoding.encode(self, to: encoder) }

    /// Reads the value from a node's JSON.
    public init(json: JSONValue) throws(ValueError) { self = try JSONCoding.read(json) }

    /// The value as a node writes it.
    public var json: JSONValue { JSONCoding.value(of: self) }

    /// The JSON as text.
    public var description: String { JSONCoding.text(of: self) }
}
