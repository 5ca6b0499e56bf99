public import HeadstreamJSON

/// An event that a contract emitted, as `eth_subscribe` and `eth_getLogs` tell it.
///
/// Up to four topics and 64 bytes of ``data`` are inline: such a log is decoded and copied without a heap object.
///
/// A log is identified by block hash, transaction hash and log index together; the index alone repeats on some chains.
/// The fields that say where it stands are nil for a pending log, and where a node leaves them out.
public struct Log: Hashable, Sendable {
    /// The contract that emitted it.
    public var address: Address

    package var topicCount: UInt8
    package var flags: Flags

    // Topics beyond `topicCount` are zero.
    package var topic0: Hash32
    package var topic1: Hash32
    package var topic2: Hash32
    package var topic3: Hash32

    /// The arguments that are not indexed, ABI-encoded.
    public var data: Bytes
    /// Beside the reference in ``data``, which is its last member: to let go of many logs touches one line of each.
    package var extra: ExtraFields?

    // Zero where the flag says that there is none.
    package var blockHashValue: Hash32
    package var transactionHashValue: Hash32
    package var blockNumberValue: UInt64
    package var blockTimestampValue: UInt64
    package var transactionIndexValue: UInt64
    package var logIndexValue: UInt64

    /// Which optional fields are there.
    package struct Flags: OptionSet, Hashable, Sendable {
        package var rawValue: UInt8

        @inline(__always)
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        package static let removed = Flags(rawValue: 1 << 0)
        package static let blockHash = Flags(rawValue: 1 << 1)
        package static let transactionHash = Flags(rawValue: 1 << 2)
        package static let blockNumber = Flags(rawValue: 1 << 3)
        package static let blockTimestamp = Flags(rawValue: 1 << 4)
        package static let transactionIndex = Flags(rawValue: 1 << 5)
        package static let logIndex = Flags(rawValue: 1 << 6)
    }

    /// A log of the zero address with no topics and no data, for a decoder to fill.
    @inline(__always)
    package init() {
        self.address = Address()
        self.topicCount = 0
        self.flags = []
        self.topic0 = Hash32()
        self.topic1 = Hash32()
        self.topic2 = Hash32()
        self.topic3 = Hash32()
        self.data = Bytes()
        self.extra = nil
        self.blockHashValue = Hash32()
        self.transactionHashValue = Hash32()
        self.blockNumberValue = 0
        self.blockTimestampValue = 0
        self.transactionIndexValue = 0
        self.logIndexValue = 0
    }

    /// - Parameter topics: at most four.
    /// - Throws: `ValueError` for more than four topics.
    public init(
        address: Address,
        topics: [Hash32],
        data: Bytes = Bytes(),
        blockNumber: UInt64? = nil,
        blockHash: Hash32? = nil,
        blockTimestamp: UInt64? = nil,
        transactionHash: Hash32? = nil,
        transactionIndex: UInt64? = nil,
        logIndex: UInt64? = nil,
        removed: Bool = false
    ) throws(ValueError) {
        self.init()
        self.address = address
        self.topics = try Topics(topics)
        self.data = data
        self.blockNumber = blockNumber
        self.blockHash = blockHash
        self.blockTimestamp = blockTimestamp
        self.transactionHash = transactionHash
        self.transactionIndex = transactionIndex
        self.logIndex = logIndex
        self.removed = removed
    }

    /// The topics; for all but anonymous events the first is the hash of the event's signature.
    public var topics: Topics {
        get {
            Topics(
                topic0: self.topic0,
                topic1: self.topic1,
                topic2: self.topic2,
                topic3: self.topic3,
                count: Int(self.topicCount)
            )
        }
        set {
            self.topic0 = newValue.topic0
            self.topic1 = newValue.topic1
            self.topic2 = newValue.topic2
            self.topic3 = newValue.topic3
            self.topicCount = UInt8(truncatingIfNeeded: newValue.count)
        }
    }

    /// Whether a reorganisation took the log's block off the chain. False where a node leaves it out.
    public var removed: Bool {
        get { self.flags.contains(.removed) }
        set { self.set(.removed, newValue) }
    }

    /// The number of its block.
    public var blockNumber: UInt64? {
        get { self.flags.contains(.blockNumber) ? self.blockNumberValue : nil }
        set {
            self.set(.blockNumber, newValue != nil)
            self.blockNumberValue = newValue ?? 0
        }
    }

    /// The hash of its block.
    public var blockHash: Hash32? {
        get { self.flags.contains(.blockHash) ? self.blockHashValue : nil }
        set {
            self.set(.blockHash, newValue != nil)
            self.blockHashValue = newValue ?? Hash32()
        }
    }

    /// The time of its block, in seconds since 1970. Younger nodes send it.
    public var blockTimestamp: UInt64? {
        get { self.flags.contains(.blockTimestamp) ? self.blockTimestampValue : nil }
        set {
            self.set(.blockTimestamp, newValue != nil)
            self.blockTimestampValue = newValue ?? 0
        }
    }

    /// The hash of its transaction.
    public var transactionHash: Hash32? {
        get { self.flags.contains(.transactionHash) ? self.transactionHashValue : nil }
        set {
            self.set(.transactionHash, newValue != nil)
            self.transactionHashValue = newValue ?? Hash32()
        }
    }

    /// The position of its transaction in the block, from 0.
    public var transactionIndex: UInt64? {
        get { self.flags.contains(.transactionIndex) ? self.transactionIndexValue : nil }
        set {
            self.set(.transactionIndex, newValue != nil)
            self.transactionIndexValue = newValue ?? 0
        }
    }

    /// Its position in the block, from 0.
    public var logIndex: UInt64? {
        get { self.flags.contains(.logIndex) ? self.logIndexValue : nil }
        set {
            self.set(.logIndex, newValue != nil)
            self.logIndexValue = newValue ?? 0
        }
    }

    private mutating func set(_ flag: Flags, _ isSet: Bool) {
        if isSet { self.flags.insert(flag) } else { self.flags.remove(flag) }
    }
}
