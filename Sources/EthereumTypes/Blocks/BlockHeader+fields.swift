extension BlockHeader {
    /// Whether the node gave the block's hash. Pending blocks have none, and some chains send heads without.
    public var hasHash: Bool { self.present.contains(.hash) }

    /// Whether the node gave the block's number.
    public var hasNumber: Bool { self.present.contains(.number) }

    /// Whether every field that an Ethereum header has had since Frontier is there, so that its hash can be computed.
    public var isComplete: Bool { self.present.isSuperset(of: .frontier) }

    /// The difficulty of proof of work; 0 since the Merge.
    public var difficulty: UInt256 {
        get { self.extra?.difficulty ?? UInt256(self.difficultyWord) }
        set {
            self.present.insert(.difficulty)
            self.difficultyWord = newValue.l0
            self.updateExtra(fits: newValue.fitsWord) { $0.difficulty = newValue.fitsWord ? nil : newValue }
        }
    }

    /// The base fee in wei per gas, since London (EIP-1559).
    public var baseFeePerGas: UInt256? {
        get {
            guard self.present.contains(.baseFeePerGas) else { return nil }
            return self.extra?.baseFeePerGas ?? UInt256(self.baseFeePerGasWord)
        }
        set {
            self.set(.baseFeePerGas, newValue != nil)
            let value = newValue ?? 0
            self.baseFeePerGasWord = value.l0
            self.updateExtra(fits: value.fitsWord) { $0.baseFeePerGas = value.fitsWord ? nil : value }
        }
    }

    /// The difficulty of the chain up to here; nodes left it out after the Merge.
    public var totalDifficulty: UInt256? {
        get {
            guard self.present.contains(.totalDifficulty) else { return nil }
            return self.extra?.totalDifficulty
                ?? UInt256(l0: self.totalDifficultyLow, l1: self.totalDifficultyHigh, l2: 0, l3: 0)
        }
        set {
            self.set(.totalDifficulty, newValue != nil)
            let value = newValue ?? 0
            self.totalDifficultyLow = value.l0
            self.totalDifficultyHigh = value.l1
            let fits = value.l2 | value.l3 == 0
            self.updateExtra(fits: fits) { $0.totalDifficulty = fits ? nil : value }
        }
    }

    /// The root of the withdrawals, since Shanghai (EIP-4895).
    public var withdrawalsRoot: Hash32? {
        get { self.present.contains(.withdrawalsRoot) ? self.withdrawalsRootValue : nil }
        set {
            self.set(.withdrawalsRoot, newValue != nil)
            self.withdrawalsRootValue = newValue ?? Hash32()
        }
    }

    /// The blob gas that the block's transactions used, since Cancun (EIP-4844).
    public var blobGasUsed: UInt64? {
        get { self.present.contains(.blobGasUsed) ? self.blobGasUsedValue : nil }
        set {
            self.set(.blobGasUsed, newValue != nil)
            self.blobGasUsedValue = newValue ?? 0
        }
    }

    /// The running excess of blob gas, which sets the blob base fee, since Cancun (EIP-4844).
    public var excessBlobGas: UInt64? {
        get { self.present.contains(.excessBlobGas) ? self.excessBlobGasValue : nil }
        set {
            self.set(.excessBlobGas, newValue != nil)
            self.excessBlobGasValue = newValue ?? 0
        }
    }

    /// The root of the parent beacon block, since Cancun (EIP-4788).
    public var parentBeaconBlockRoot: Hash32? {
        get { self.present.contains(.parentBeaconBlockRoot) ? self.parentBeaconBlockRootValue : nil }
        set {
            self.set(.parentBeaconBlockRoot, newValue != nil)
            self.parentBeaconBlockRootValue = newValue ?? Hash32()
        }
    }

    /// The hash of the requests to the consensus layer, since Prague (EIP-7685).
    public var requestsHash: Hash32? {
        get { self.present.contains(.requestsHash) ? self.requestsHashValue : nil }
        set {
            self.set(.requestsHash, newValue != nil)
            self.requestsHashValue = newValue ?? Hash32()
        }
    }

    /// The hash of the block access list, since Amsterdam (EIP-7928).
    public var blockAccessListHash: Hash32? {
        get { self.present.contains(.blockAccessListHash) ? self.blockAccessListHashValue : nil }
        set {
            self.set(.blockAccessListHash, newValue != nil)
            self.blockAccessListHashValue = newValue ?? Hash32()
        }
    }

    /// The slot of the beacon chain, since Amsterdam (EIP-7843).
    public var slotNumber: UInt64? {
        get { self.present.contains(.slotNumber) ? self.slotNumberValue : nil }
        set {
            self.set(.slotNumber, newValue != nil)
            self.slotNumberValue = newValue ?? 0
        }
    }

    /// The size of the block in bytes; nodes send it with blocks, most not with heads.
    public var size: UInt64? {
        get { self.present.contains(.size) ? self.sizeValue : nil }
        set {
            self.set(.size, newValue != nil)
            self.sizeValue = newValue ?? 0
        }
    }

    private mutating func set(_ field: Presence, _ isSet: Bool) {
        if isSet { self.present.insert(field) } else { self.present.remove(field) }
    }

    /// Keeps or clears a number that does not fit its words; nothing is made where nothing is kept.
    private mutating func updateExtra(fits: Bool, _ change: (inout ExtraFields.Content) -> Void) {
        if fits && self.extra == nil { return }
        var content = self.extra?.content ?? ExtraFields.Content()
        change(&content)
        self.extra = ExtraFields(content)
    }

    /// The root of an empty trie: of no transactions, no receipts or no withdrawals.
    public static let emptyTrieRoot = Keccak256.hash([0x80])

    /// The hash of an empty list of uncles.
    public static let emptyUnclesHash = Keccak256.hash([0xc0])
}
