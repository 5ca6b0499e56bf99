/// The header of a block, as `newHeads` tells it and as a block contains it, with every fork's fields up to Amsterdam.
///
/// All but the longest `extraData` and unknown fields is inline, so that a head is decoded and copied without a heap
/// object.
///
/// ## What may be missing
///
/// A fork's fields are optional, since a header from before the fork has none. Of the others, a header cannot be read
/// without `parentHash`, `number`, `stateRoot`, `gasLimit`, `gasUsed` and `timestamp`; the rest reads as zero or empty
/// where a node leaves it out or says null, as for the hash, nonce and miner of a pending block, and on chains without
/// proof of work. ``hasHash``, ``hasNumber`` and ``isComplete`` tell. Null and absent are the same.
///
/// Fields not listed here are kept and written again.
public struct BlockHeader: Hashable, Sendable {
    /// The hash of the block as the node gave it; zero where it gave none (``hasHash``). It is never recomputed
    /// silently: see ``computedHash()``.
    public var hash: Hash32 {
        didSet { self.present.insert(.hash) }
    }
    /// The hash of the block before.
    public var parentHash: Hash32
    /// The hash of the list of uncles, `sha3Uncles` on the wire.
    public var unclesHash: Hash32
    /// The root of the state after the block.
    public var stateRoot: Hash32
    /// The root of the block's transactions.
    public var transactionsRoot: Hash32
    /// The root of the block's receipts.
    public var receiptsRoot: Hash32
    /// The mix hash of proof of work; since the Merge the beacon chain's randomness (EIP-4399).
    public var mixHash: Hash32

    package var withdrawalsRootValue: Hash32
    package var parentBeaconBlockRootValue: Hash32
    package var requestsHashValue: Hash32
    package var blockAccessListHashValue: Hash32

    /// The bloom of the block's logs.
    public var logsBloom: Bloom

    /// Who gets the fees: the fee recipient.
    public var miner: Address
    package var present: Presence

    /// The number of the block; 0 where the node said null (``hasNumber``), as some do for a pending block.
    public var number: UInt64
    /// The time of the block, in seconds since 1970.
    public var timestamp: UInt64
    /// The most gas the block may use.
    public var gasLimit: UInt64
    /// The gas that its transactions used.
    public var gasUsed: UInt64
    /// The nonce of proof of work; 0 since the Merge.
    public var nonce: UInt64

    // Numbers that need more than these words are in `extra`.
    package var difficultyWord: UInt64
    package var baseFeePerGasWord: UInt64
    package var totalDifficultyLow: UInt64
    package var totalDifficultyHigh: UInt64

    package var blobGasUsedValue: UInt64
    package var excessBlobGasValue: UInt64
    package var slotNumberValue: UInt64
    package var sizeValue: UInt64

    /// Up to 32 bytes of the block producer's own; more on proof-of-authority chains.
    public var extraData: Bytes

    package var extra: ExtraFields?

    /// Which fields the node gave.
    package struct Presence: OptionSet, Hashable, Sendable {
        package var rawValue: UInt32

        @inline(__always)
        package init(rawValue: UInt32) { self.rawValue = rawValue }

        package static let hash = Presence(rawValue: 1 << 0)
        package static let unclesHash = Presence(rawValue: 1 << 1)
        package static let transactionsRoot = Presence(rawValue: 1 << 2)
        package static let receiptsRoot = Presence(rawValue: 1 << 3)
        package static let mixHash = Presence(rawValue: 1 << 4)
        package static let logsBloom = Presence(rawValue: 1 << 5)
        package static let miner = Presence(rawValue: 1 << 6)
        package static let number = Presence(rawValue: 1 << 7)
        package static let nonce = Presence(rawValue: 1 << 8)
        package static let difficulty = Presence(rawValue: 1 << 9)
        package static let extraData = Presence(rawValue: 1 << 10)
        package static let withdrawalsRoot = Presence(rawValue: 1 << 11)
        package static let parentBeaconBlockRoot = Presence(rawValue: 1 << 12)
        package static let requestsHash = Presence(rawValue: 1 << 13)
        package static let blockAccessListHash = Presence(rawValue: 1 << 14)
        package static let baseFeePerGas = Presence(rawValue: 1 << 15)
        package static let blobGasUsed = Presence(rawValue: 1 << 16)
        package static let excessBlobGas = Presence(rawValue: 1 << 17)
        package static let slotNumber = Presence(rawValue: 1 << 18)
        package static let totalDifficulty = Presence(rawValue: 1 << 19)
        package static let size = Presence(rawValue: 1 << 20)
        package static let parentHash = Presence(rawValue: 1 << 21)
        package static let stateRoot = Presence(rawValue: 1 << 22)
        package static let gasLimit = Presence(rawValue: 1 << 23)
        package static let gasUsed = Presence(rawValue: 1 << 24)
        package static let timestamp = Presence(rawValue: 1 << 25)

        /// The fields without which a header is refused; a null `number` counts as given.
        package static let required: Presence = [.parentHash, .stateRoot, .gasLimit, .gasUsed, .timestamp]

        /// The fields of the first Ethereum headers, which the hash covers.
        package static let frontier: Presence = [
            .parentHash, .unclesHash, .miner, .stateRoot, .transactionsRoot, .receiptsRoot, .logsBloom, .difficulty,
            .number, .gasLimit, .gasUsed, .timestamp, .extraData, .mixHash, .nonce,
        ]
    }

    /// A header of zeros with no field present, for a decoder to fill.
    @inline(__always)
    package init() {
        self.hash = Hash32()
        self.parentHash = Hash32()
        self.unclesHash = Hash32()
        self.stateRoot = Hash32()
        self.transactionsRoot = Hash32()
        self.receiptsRoot = Hash32()
        self.mixHash = Hash32()
        self.withdrawalsRootValue = Hash32()
        self.parentBeaconBlockRootValue = Hash32()
        self.requestsHashValue = Hash32()
        self.blockAccessListHashValue = Hash32()
        self.logsBloom = Bloom()
        self.miner = Address()
        self.present = []
        self.number = 0
        self.timestamp = 0
        self.gasLimit = 0
        self.gasUsed = 0
        self.nonce = 0
        self.difficultyWord = 0
        self.baseFeePerGasWord = 0
        self.totalDifficultyLow = 0
        self.totalDifficultyHigh = 0
        self.blobGasUsedValue = 0
        self.excessBlobGasValue = 0
        self.slotNumberValue = 0
        self.sizeValue = 0
        self.extraData = Bytes()
        self.extra = nil
    }

    /// A header with the fields that every Ethereum block has; set the forks' own afterwards. Its hash is to be set as
    /// well, for instance to ``computedHash()``.
    public init(
        number: UInt64,
        parentHash: Hash32,
        timestamp: UInt64,
        gasLimit: UInt64,
        gasUsed: UInt64 = 0,
        miner: Address = .zero,
        stateRoot: Hash32 = .zero,
        transactionsRoot: Hash32 = BlockHeader.emptyTrieRoot,
        receiptsRoot: Hash32 = BlockHeader.emptyTrieRoot,
        logsBloom: Bloom = Bloom(),
        unclesHash: Hash32 = BlockHeader.emptyUnclesHash,
        difficulty: UInt256 = 0,
        mixHash: Hash32 = .zero,
        nonce: UInt64 = 0,
        extraData: Bytes = Bytes()
    ) {
        self.init()
        self.present = .frontier
        self.number = number
        self.parentHash = parentHash
        self.timestamp = timestamp
        self.gasLimit = gasLimit
        self.gasUsed = gasUsed
        self.miner = miner
        self.stateRoot = stateRoot
        self.transactionsRoot = transactionsRoot
        self.receiptsRoot = receiptsRoot
        self.logsBloom = logsBloom
        self.unclesHash = unclesHash
        self.difficulty = difficulty
        self.mixHash = mixHash
        self.nonce = nonce
        self.extraData = extraData
    }
}
