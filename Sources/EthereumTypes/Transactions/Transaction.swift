public import HeadstreamJSON

/// A transaction as nodes give it, of any type.
///
/// The fields of a type are optional, since the others have none. Of a type that this package does not know, what it
/// shares with the known ones is in the fields, and the rest in ``unknownFields``: nothing is lost.
///
/// Where a transaction stands in the chain is nil while it is pending.
public struct Transaction: Hashable, Sendable {
    /// The hash, which identifies it.
    public var hash: Hash32
    public var kind: Kind
    /// The chain it is for; nil for a legacy transaction without replay protection (EIP-155).
    public var chainID: UInt64?
    /// How many transactions its sender made before.
    public var nonce: UInt64
    /// The sender, recovered from the signature by the node.
    public var from: Address
    /// The recipient; nil where a contract is created.
    public var to: Address?
    /// The amount in wei.
    public var value: UInt256
    /// The most gas it may use.
    public var gas: UInt64
    /// What it pays, in wei per gas; for EIP-1559's types what it paid, once mined.
    public var gasPrice: UInt256?
    /// The most it pays in wei per gas (EIP-1559).
    public var maxFeePerGas: UInt256?
    /// The most it pays the block's producer in wei per gas (EIP-1559).
    public var maxPriorityFeePerGas: UInt256?
    /// The most it pays in wei per blob gas (EIP-4844).
    public var maxFeePerBlobGas: UInt256?
    /// The call's data, or a new contract's init code.
    public var input: Bytes
    /// What it will touch (EIP-2930).
    public var accessList: [AccessListItem]?
    /// The hashes of its blobs (EIP-4844).
    public var blobVersionedHashes: [Hash32]?
    /// The authorizations that it carries (EIP-7702).
    public var authorizationList: [SignedAuthorization]?

    /// The signature's recovery id; with EIP-155 the chain's id is in it.
    public var v: UInt256?
    public var r: UInt256?
    public var s: UInt256?
    /// The parity of the signature's point; not for legacy transactions.
    public var yParity: UInt64?

    /// The hash of its block; nil while pending, as are the next three.
    public var blockHash: Hash32?
    public var blockNumber: UInt64?
    /// The time of its block, in seconds since 1970. Younger nodes send it.
    public var blockTimestamp: UInt64?
    /// Its position in the block, from 0.
    public var transactionIndex: UInt64?

    /// Members that are not fields of this type, as they were. Written again after the fields.
    public var unknownFields: JSONObject

    /// Of the fields that every known type has, those that an unknown type came without.
    package var lacking: Required = []

    package struct Required: OptionSet, Hashable, Sendable {
        package var rawValue: UInt8

        package init(rawValue: UInt8) { self.rawValue = rawValue }

        package static let hash = Required(rawValue: 1 << 0)
        package static let from = Required(rawValue: 1 << 1)
        package static let nonce = Required(rawValue: 1 << 2)
        package static let gas = Required(rawValue: 1 << 3)
        package static let value = Required(rawValue: 1 << 4)
        package static let input = Required(rawValue: 1 << 5)
        package static let all: Required = [.hash, .from, .nonce, .gas, .value, .input]
    }

    /// What a transaction is (EIP-2718).
    public enum Kind: Hashable, Sendable {
        /// Type 0, and from before there were types.
        case legacy
        /// Type 1, with an access list (EIP-2930).
        case accessList
        /// Type 2, with a dynamic fee (EIP-1559).
        case dynamicFee
        /// Type 3, with blobs (EIP-4844).
        case blob
        /// Type 4, which sets accounts' code (EIP-7702).
        case setCode
        /// Another chain's, or one to come.
        case unknown(UInt64)

        public init(rawValue: UInt64) {
            self =
                switch rawValue {
                case 0: .legacy
                case 1: .accessList
                case 2: .dynamicFee
                case 3: .blob
                case 4: .setCode
                default: .unknown(rawValue)
                }
        }

        /// The number of the type.
        public var rawValue: UInt64 {
            switch self {
            case .legacy: 0
            case .accessList: 1
            case .dynamicFee: 2
            case .blob: 3
            case .setCode: 4
            case .unknown(let value): value
            }
        }
    }

    public init(
        hash: Hash32,
        kind: Kind = .dynamicFee,
        chainID: UInt64? = nil,
        nonce: UInt64,
        from: Address,
        to: Address?,
        value: UInt256 = 0,
        gas: UInt64,
        input: Bytes = Bytes()
    ) {
        self.hash = hash
        self.kind = kind
        self.chainID = chainID
        self.nonce = nonce
        self.from = from
        self.to = to
        self.value = value
        self.gas = gas
        self.input = input
        self.unknownFields = JSONObject()
    }
}
