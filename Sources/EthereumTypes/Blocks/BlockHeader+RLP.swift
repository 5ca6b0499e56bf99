public import HeadstreamJSON

extension BlockHeader {
    /// The header in RLP as Ethereum hashes it: 15 fields since Frontier, then those of the forks up to the last that is
    /// there (EIP-1559, 4895, 4844, 4788, 7685, 7928, 7843).
    ///
    /// A field that is missing is encoded as zeros; see ``isComplete``.
    public var rlpEncoded: Bytes {
        var writer = RLPWriter()
        writer.list { list in
            list.append(self.parentHash)
            list.append(self.unclesHash)
            list.append(self.miner)
            list.append(self.stateRoot)
            list.append(self.transactionsRoot)
            list.append(self.receiptsRoot)
            list.append(self.logsBloom)
            list.append(self.difficulty)
            list.append(self.number)
            list.append(self.gasLimit)
            list.append(self.gasUsed)
            list.append(self.timestamp)
            list.append(self.extraData)
            list.append(self.mixHash)
            withUnsafeBytes(of: self.nonce.bigEndian) { list.append($0) }

            // A fork's field that is missing before one that is there is an empty value.
            let forks: [Presence] = [
                .baseFeePerGas, .withdrawalsRoot, .blobGasUsed, .excessBlobGas, .parentBeaconBlockRoot, .requestsHash,
                .blockAccessListHash, .slotNumber,
            ]
            guard let last = forks.lastIndex(where: { self.present.contains($0) }) else { return }
            for index in 0...last {
                switch index {
                case 0: list.append(self.baseFeePerGas ?? 0)
                case 1: list.append(self.withdrawalsRoot)
                case 2: list.append(self.blobGasUsed ?? 0)
                case 3: list.append(self.excessBlobGas ?? 0)
                case 4: list.append(self.parentBeaconBlockRoot)
                case 5: list.append(self.requestsHash)
                case 6: list.append(self.blockAccessListHash)
                default: list.append(self.slotNumber ?? 0)
                }
            }
        }
        return Bytes(writer.bytes)
    }

    /// The hash worked out from the fields by Ethereum's rule: Keccak-256 of ``rlpEncoded``.
    ///
    /// Nil where a field that the hash covers is missing (``isComplete``). It is ``hash`` on Ethereum and on chains with
    /// its header; others have fields or rules of their own, and it differs there without anything being wrong.
    public func computedHash() -> Hash32? {
        guard self.isComplete else { return nil }
        return self.rlpEncoded.withBytes { Keccak256.hash(bytes: $0) }
    }

    /// Reads a header from its RLP; its hash is set to the one of these bytes.
    ///
    /// - Throws: `ValueError` for bad RLP, a field of the wrong size, and fewer than 15 or more than 23 fields.
    public init(rlpEncoded bytes: Bytes) throws(ValueError) {
        guard case .list(let fields) = try RLP.decode(bytes) else {
            throw ValueError(reason: "is RLP bytes where a header's list is expected")
        }
        guard fields.count >= 15, fields.count <= 23 else {
            throw ValueError(value: "\(fields.count) fields", reason: "are not those of a header, 15 to 23")
        }
        self.init()
        var index = 0
        func field<Value>(
            _ name: String,
            _ read: (RLP) throws(ValueError) -> Value
        ) throws(ValueError) -> Value {
            defer { index += 1 }
            do throws(ValueError) { return try read(fields[index]) } catch { throw error.within(name) }
        }
        func hash(_ value: RLP) throws(ValueError) -> Hash32 { try Hash32(bytes: value.asBytes()) }
        func word(_ value: RLP) throws(ValueError) -> UInt64 { try value.asWord() }
        func number(_ value: RLP) throws(ValueError) -> UInt256 { try value.asNumber() }

        self.present = .frontier
        self.parentHash = try field("parentHash", hash)
        self.unclesHash = try field("sha3Uncles", hash)
        self.miner = try field("miner") { (value) throws(ValueError) in try Address(bytes: value.asBytes()) }
        self.stateRoot = try field("stateRoot", hash)
        self.transactionsRoot = try field("transactionsRoot", hash)
        self.receiptsRoot = try field("receiptsRoot", hash)
        self.logsBloom = try field("logsBloom") { (value) throws(ValueError) in try Bloom(bytes: value.asBytes()) }
        self.difficulty = try field("difficulty", number)
        self.number = try field("number", word)
        self.gasLimit = try field("gasLimit", word)
        self.gasUsed = try field("gasUsed", word)
        self.timestamp = try field("timestamp", word)
        self.extraData = try field("extraData") { (value) throws(ValueError) in try value.asBytes() }
        self.mixHash = try field("mixHash", hash)
        self.nonce = try field("nonce") { (value) throws(ValueError) in
            let bytes = try value.asBytes()
            guard bytes.count == 8 else {
                throw ValueError(value: "\(bytes.count) bytes", reason: "are not a nonce of 8 bytes")
            }
            return try UInt256(bigEndian: bytes).l0
        }
        if index < fields.count { self.baseFeePerGas = try field("baseFeePerGas", number) }
        if index < fields.count { self.withdrawalsRoot = try field("withdrawalsRoot", hash) }
        if index < fields.count { self.blobGasUsed = try field("blobGasUsed", word) }
        if index < fields.count { self.excessBlobGas = try field("excessBlobGas", word) }
        if index < fields.count { self.parentBeaconBlockRoot = try field("parentBeaconBlockRoot", hash) }
        if index < fields.count { self.requestsHash = try field("requestsHash", hash) }
        if index < fields.count { self.blockAccessListHash = try field("blockAccessListHash", hash) }
        if index < fields.count { self.slotNumber = try field("slotNumber", word) }
        self.hash = bytes.withBytes { Keccak256.hash(bytes: $0) }
    }
}
