package import HeadstreamJSON

/// A block by its number or by its role.
public enum BlockTag: Hashable, Sendable {
    /// The newest block that the node knows.
    case latest
    /// The block that the node would build next.
    case pending
    /// The first block.
    case earliest
    /// The newest block that the consensus layer holds safe from reorganisations under honest majority.
    case safe
    /// The newest block that cannot be reorganised.
    case finalized
    case number(UInt64)
}

extension BlockTag: ExpressibleByIntegerLiteral, CustomStringConvertible {
    public init(integerLiteral value: UInt64) { self = .number(value) }

    /// As on the wire: `latest`, `0x10`.
    public var description: String {
        switch self {
        case .latest: "latest"
        case .pending: "pending"
        case .earliest: "earliest"
        case .safe: "safe"
        case .finalized: "finalized"
        case .number(let number): Hex.quantity(number)
        }
    }
}

extension BlockTag {
    /// Reads a tag's name or a quantity.
    public init(_ string: some StringProtocol) throws(ValueError) {
        switch String(string) {
        case "latest": self = .latest
        case "pending": self = .pending
        case "earliest": self = .earliest
        case "safe": self = .safe
        case "finalized": self = .finalized
        default:
            self = .number(try withUTF8(of: string) { (text) throws(ValueError) in try Hex.quantity(text) })
        }
    }
}

extension BlockTag: JSONReadable, JSONWritable {
    package init(from reader: inout JSONReader) throws(ValueError) {
        self = try reader.readText { (text) throws(ValueError) in try BlockTag(String(decoding: text, as: UTF8.self)) }
    }

    package func write(to writer: inout JSONWriter) { writer.write(self.description) }
}

extension BlockTag: Codable {
    public init(from decoder: any Decoder) throws {
        self = try JSONCoding.decodeText(from: decoder) { (text) throws(ValueError) in try BlockTag(text) }
    }
    public func encode(to encoder: any Encoder) throws { try self.description.encode(to: encoder) }
}

/// The block that a state is asked of: by tag or number, or by hash (EIP-1898).
public enum BlockSelector: Hashable, Sendable {
    case tag(BlockTag)
    /// A block by hash; `requireCanonical` refuses one that is no longer on the chain.
    case hash(Hash32, requireCanonical: Bool = false)

    public static let latest = BlockSelector.tag(.latest)
    public static let pending = BlockSelector.tag(.pending)
    public static let earliest = BlockSelector.tag(.earliest)
    public static let safe = BlockSelector.tag(.safe)
    public static let finalized = BlockSelector.tag(.finalized)

    public static func number(_ number: UInt64) -> BlockSelector { .tag(.number(number)) }
}

extension BlockSelector: JSONWritable {
    package func write(to writer: inout JSONWriter) {
        switch self {
        case .tag(let tag): tag.write(to: &writer)
        case .hash(let hash, let requireCanonical):
            writer.beginObject()
            writer.field("blockHash", hash)
            if requireCanonical { writer.field("requireCanonical", true) }
            writer.endObject()
        }
    }
}
