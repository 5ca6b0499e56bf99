package import HeadstreamJSON

/// Which logs are wanted: of some contracts, with some topics, and, for those already mined, from which blocks.
///
///     LogFilter(address: usdc, topics: [.exactly(transfer), .any, .exactly(Hash32(me))])
///
/// A topic's place in the list is its place in the log. A log with fewer topics than the filter has places does not
/// match, even where the place takes any topic; places that the filter leaves out at its end take everything.
public struct LogFilter: Hashable, Sendable {
    /// The contracts; of all where it is empty.
    public var addresses: [Address]
    /// What is asked of each topic, at most four.
    public var topics: [Topic]
    /// The blocks that `eth_getLogs` looks at. A subscription tells new blocks' logs whatever this is: it is not sent.
    public var blocks: Blocks

    /// What is asked of the topic in one place.
    public enum Topic: Hashable, Sendable {
        case any
        case exactly(Hash32)
        /// One of these; of none where the list is empty, which is how nodes read it: any.
        case anyOf([Hash32])

        func matches(_ topic: Hash32) -> Bool {
            switch self {
            case .any: true
            case .exactly(let wanted): topic == wanted
            case .anyOf(let wanted): wanted.isEmpty || wanted.contains(topic)
            }
        }
    }

    /// The blocks to look at.
    public enum Blocks: Hashable, Sendable {
        /// A node's default, its latest block.
        case unspecified
        case range(from: BlockTag, to: BlockTag)
        /// One block by its hash (EIP-234).
        case hash(Hash32)
    }

    public init(addresses: [Address] = [], topics: [Topic] = [], blocks: Blocks = .unspecified) {
        self.addresses = addresses
        self.topics = topics
        self.blocks = blocks
    }

    public init(address: Address, topics: [Topic] = [], blocks: Blocks = .unspecified) {
        self.init(addresses: [address], topics: topics, blocks: blocks)
    }

    /// Whether a log is wanted, by its address, its topics and, where the filter names numbers or a hash, its block.
    ///
    /// Tags such as `latest` are not known here and exclude nothing.
    public func matches(_ log: Log) -> Bool {
        guard self.addresses.isEmpty || self.addresses.contains(log.address) else { return false }
        if !self.topics.isEmpty {
            let topics = log.topics
            guard self.topics.count <= topics.count else { return false }
            for (index, wanted) in self.topics.enumerated() where !wanted.matches(topics[index]) { return false }
        }
        switch self.blocks {
        case .unspecified: return true
        case .hash(let hash): return log.blockHash == hash
        case .range(let from, let to):
            guard let number = log.blockNumber else { return true }
            if case .number(let first) = from, number < first { return false }
            if case .number(let last) = to, number > last { return false }
            return true
        }
    }

    /// Whether a block of this bloom may have logs that are wanted; false is certain where the chain's blooms are.
    public func mayMatch(_ bloom: Bloom) -> Bool {
        guard self.addresses.isEmpty || self.addresses.contains(where: { bloom.contains($0) }) else { return false }
        return self.topics.allSatisfy { topic in
            switch topic {
            case .any: true
            case .exactly(let hash): bloom.contains(hash)
            case .anyOf(let hashes): hashes.isEmpty || hashes.contains { bloom.contains($0) }
            }
        }
    }
}

extension LogFilter: JSONReadable, JSONWritable {
    /// Reads a filter as nodes take it: one address or several, null or several topics in a place. Other members are
    /// passed over.
    package init(from reader: inout JSONReader) throws(ValueError) {
        self.init()
        var from: BlockTag?
        var to: BlockTag?
        var hash: Hash32?
        try reader.beginObject()
        while let key = try reader.nextKey() {
            if try reader.readNullIfPresent() { continue }
            switch key {
            case "address":
                self.addresses = try reader.peek() == .array ? reader.read() : [reader.read()]
            case "topics": self.topics = try Self.readTopics(from: &reader)
            case "fromBlock": from = try reader.read(BlockTag.self)
            case "toBlock": to = try reader.read(BlockTag.self)
            case "blockHash": hash = try reader.read(Hash32.self)
            default: try reader.skipValue()
            }
        }
        if let hash {
            guard from == nil, to == nil else {
                throw ValueError(field: "blockHash", reason: "stands beside fromBlock or toBlock (EIP-234)")
            }
            self.blocks = .hash(hash)
        } else if from != nil || to != nil {
            self.blocks = .range(from: from ?? .latest, to: to ?? .latest)
        }
    }

    private static func readTopics(from reader: inout JSONReader) throws(ValueError) -> [Topic] {
        var topics: [Topic] = []
        try reader.beginArray()
        while try reader.nextElement() {
            guard topics.count < 4 else { throw reader.error("is a fifth topic; a log has at most 4", at: nil) }
            switch try reader.peek() {
            case .null:
                try reader.readNull()
                topics.append(.any)
            case .array: topics.append(.anyOf(try reader.read()))
            default: topics.append(.exactly(try reader.read()))
            }
        }
        return topics
    }

    /// The filter as `eth_getLogs` takes it.
    package func write(to writer: inout JSONWriter) {
        writer.beginObject()
        switch self.blocks {
        case .unspecified: break
        case .hash(let hash): writer.field("blockHash", hash)
        case .range(let from, let to):
            writer.field("fromBlock", from)
            writer.field("toBlock", to)
        }
        self.writeConditions(to: &writer)
        writer.endObject()
    }

    /// The filter as `eth_subscribe` takes it: without blocks, which some nodes refuse and others ignore.
    package func writeForSubscription(to writer: inout JSONWriter) {
        writer.beginObject()
        self.writeConditions(to: &writer)
        writer.endObject()
    }

    private func writeConditions(to writer: inout JSONWriter) {
        switch self.addresses.count {
        case 0: break
        case 1: writer.field("address", self.addresses[0])
        default: writer.field("address", self.addresses)
        }
        guard !self.topics.isEmpty else { return }
        writer.key("topics")
        writer.beginArray()
        for topic in self.topics {
            switch topic {
            case .any: writer.writeNull()
            case .exactly(let hash): hash.write(to: &writer)
            case .anyOf(let hashes):
                if hashes.isEmpty { writer.writeNull() } else { hashes.write(to: &writer) }
            }
        }
        writer.endArray()
    }
}

extension LogFilter: Codable, CustomStringConvertible {
    public init(from decoder: any Decoder) throws { self = try JSONCoding.decode(from: decoder) }
    public func encode(to encoder: any Encoder) throws { try JSONCoding.encode(self, to: encoder) }

    /// The filter as `eth_getLogs` takes it.
    public var description: String { JSONCoding.text(of: self) }
}
