public import HeadstreamJSON

/// What a transaction did, as `eth_getTransactionReceipt` and `eth_getBlockReceipts` give it.
public struct Receipt: Hashable, Sendable {
    public var transactionHash: Hash32
    /// Its transaction's position in the block, from 0.
    public var transactionIndex: UInt64
    public var blockHash: Hash32
    public var blockNumber: UInt64
    /// The transaction's type; nodes left it out before there were types.
    public var kind: Transaction.Kind?
    /// The sender. Some nodes leave it out.
    public var from: Address?
    /// The recipient; nil where a contract was created.
    public var to: Address?
    /// The contract that was created.
    public var contractAddress: Address?
    /// The gas used by this and all transactions before it in the block.
    public var cumulativeGasUsed: UInt64
    /// The gas used by this transaction.
    public var gasUsed: UInt64
    /// What was paid, in wei per gas.
    public var effectiveGasPrice: UInt256?
    /// The blob gas used (EIP-4844).
    public var blobGasUsed: UInt64?
    /// What was paid, in wei per blob gas (EIP-4844).
    public var blobGasPrice: UInt256?
    public var logs: [Log]
    /// The bloom of its logs.
    public var logsBloom: Bloom
    /// Whether it succeeded, since Byzantium (EIP-658); nil before.
    public var succeeded: Bool?
    /// The root of the state after it, before Byzantium.
    public var root: Hash32?
    /// Members that are not fields of this type, as they were. Written again after the fields.
    public var unknownFields: JSONObject

    public init(
        transactionHash: Hash32,
        transactionIndex: UInt64,
        blockHash: Hash32,
        blockNumber: UInt64,
        cumulativeGasUsed: UInt64,
        gasUsed: UInt64,
        logs: [Log] = [],
        succeeded: Bool? = true
    ) {
        self.transactionHash = transactionHash
        self.transactionIndex = transactionIndex
        self.blockHash = blockHash
        self.blockNumber = blockNumber
        self.cumulativeGasUsed = cumulativeGasUsed
        self.gasUsed = gasUsed
        self.logs = logs
        self.logsBloom = Bloom(of: logs)
        self.succeeded = succeeded
        self.unknownFields = JSONObject()
    }
}

extension Receipt: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) {
        var transactionHash: Hash32?
        var transactionIndex: UInt64?
        var blockHash: Hash32?
        var blockNumber: UInt64?
        var cumulativeGasUsed: UInt64?
        var gasUsed: UInt64?
        var logs: [Log]?
        var bloom: Bloom?
        var rest = Receipt(
            transactionHash: .zero,
            transactionIndex: 0,
            blockHash: .zero,
            blockNumber: 0,
            cumulativeGasUsed: 0,
            gasUsed: 0,
            succeeded: nil
        )
        try reader.beginObject()
        while let key = try reader.nextKey() {
            switch key {
            case "transactionHash": transactionHash = try reader.read(Hash32.self)
            case "transactionIndex": transactionIndex = try reader.readLenientQuantity()
            case "blockHash": blockHash = try reader.read(Hash32.self)
            case "blockNumber": blockNumber = try reader.readLenientQuantity()
            case "cumulativeGasUsed": cumulativeGasUsed = try reader.readLenientQuantity()
            case "gasUsed": gasUsed = try reader.readLenientQuantity()
            case "logs": logs = try reader.read([Log].self)
            case "logsBloom": bloom = try reader.readNullIfPresent() ? nil : reader.read(Bloom.self)
            default: try rest.readOptional(key, from: &reader)
            }
        }
        guard let transactionHash else { throw reader.missing("transactionHash") }
        guard let transactionIndex else { throw reader.missing("transactionIndex") }
        guard let blockHash else { throw reader.missing("blockHash") }
        guard let blockNumber else { throw reader.missing("blockNumber") }
        guard let cumulativeGasUsed else { throw reader.missing("cumulativeGasUsed") }
        guard let gasUsed else { throw reader.missing("gasUsed") }
        guard let logs else { throw reader.missing("logs") }
        self = rest
        self.transactionHash = transactionHash
        self.transactionIndex = transactionIndex
        self.blockHash = blockHash
        self.blockNumber = blockNumber
        self.cumulativeGasUsed = cumulativeGasUsed
        self.gasUsed = gasUsed
        self.logs = logs
        self.logsBloom = bloom ?? Bloom(of: logs)
    }

    /// A null reads as absent.
    private mutating func readOptional(_ key: JSONString, from reader: inout JSONReader) throws(ValueError) {
        switch key {
        case "type":
            if try !reader.readNullIfPresent() {
                self.kind = Transaction.Kind(rawValue: try reader.readLenientQuantity())
            }
        case "from": self.from = try reader.read()
        case "to": self.to = try reader.read()
        case "contractAddress": self.contractAddress = try reader.read()
        case "effectiveGasPrice": self.effectiveGasPrice = try reader.read()
        case "blobGasUsed":
            if try !reader.readNullIfPresent() { self.blobGasUsed = try reader.readLenientQuantity() }
        case "blobGasPrice": self.blobGasPrice = try reader.read()
        case "status":
            if try !reader.readNullIfPresent() { self.succeeded = try reader.readLenientQuantity() != 0 }
        case "root":
            // Some nodes still write an empty root beside the status.
            let root: Bytes? = try reader.read()
            if let root, !root.isEmpty {
                do throws(ValueError) { self.root = try Hash32(bytes: root) } catch { throw error.within("root") }
            }
        default: self.unknownFields[key.string] = try reader.read()
        }
    }

    package func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.field("transactionHash", self.transactionHash)
        writer.field("transactionIndex", quantity: self.transactionIndex)
        writer.field("blockHash", self.blockHash)
        writer.field("blockNumber", quantity: self.blockNumber)
        writer.field("from", ifPresent: self.from)
        writer.field("to", self.to)
        writer.field("contractAddress", self.contractAddress)
        writer.field("cumulativeGasUsed", quantity: self.cumulativeGasUsed)
        writer.field("gasUsed", quantity: self.gasUsed)
        writer.field("effectiveGasPrice", ifPresent: self.effectiveGasPrice)
        writer.field("blobGasUsed", quantity: self.blobGasUsed)
        writer.field("blobGasPrice", ifPresent: self.blobGasPrice)
        writer.field("logs", self.logs)
        writer.field("logsBloom", self.logsBloom)
        writer.field("status", quantity: self.succeeded.map { $0 ? 1 : 0 })
        writer.field("root", ifPresent: self.root)
        writer.field("type", quantity: self.kind?.rawValue)
        writer.fields(self.unknownFields)
        writer.endObject()
    }
}

extension Receipt: Codable, CustomStringConvertible {
    public init(from decoder: any Decoder) throws { self = try JSONCoding.decode(from: decoder) }
    public func encode(to encoder: any Encoder) throws { try JSONCoding.encode(self, to: encoder) }

    /// Reads the value from a node's JSON.
    public init(json: JSONValue) throws(ValueError) { self = try JSONCoding.read(json) }

    /// The value as a node writes it.
    public var json: JSONValue { JSONCoding.value(of: self) }

    /// The JSON as text.
    public var description: String { JSONCoding.text(of: self) }
}
