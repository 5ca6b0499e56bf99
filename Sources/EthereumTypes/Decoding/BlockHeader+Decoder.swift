package import HeadstreamJSON

extension BlockHeader {
    /// Decodes the heads of one subscription: by the shape that its node gives them, else by keys, else as any JSON.
    ///
    /// See ``JSONShape`` and ``JSONMembers``. A copy learns on its own from then on.
    package struct Decoder: Sendable {
        /// What ``decode(_:into:)`` begins with.
        package static let blank = Blank(BlockHeader.self)

        private var shapes: JSONShapes

        /// - Parameter share: see ``JSONShapes/init(sharing:)``.
        package init(sharing share: (@Sendable (JSONShape) -> JSONShape)? = nil) {
            self.shapes = JSONShapes(sharing: share)
        }

        /// Decodes one header.
        ///
        /// - Parameter bytes: one JSON value; at least 64 readable and initialised bytes must follow it.
        /// - Throws: `ValueError` where it is no JSON or no header.
        package mutating func decode(_ bytes: UnsafeRawBufferPointer) throws(ValueError) -> BlockHeader {
            var header = Self.blank.value
            try self.decode(bytes, into: &header)
            return header
        }

        /// Decodes one header into an empty one, which holds anything where it throws.
        @inline(__always)
        package mutating func decode(_ bytes: UnsafeRawBufferPointer, into header: inout BlockHeader) throws(ValueError)
        {
            if !self.decodeByShape(bytes, into: &header) { header = try self.decodeUnusual(bytes) }
        }

        @inline(__always)
        private mutating func decodeByShape(_ bytes: UnsafeRawBufferPointer, into header: inout BlockHeader) -> Bool {
            guard let plan = self.shapes.plan, header.fill(from: bytes, by: plan) else { return false }
            self.shapes.hit()
            return true
        }

        @inline(never)
        private mutating func decodeUnusual(_ bytes: UnsafeRawBufferPointer) throws(ValueError) -> BlockHeader {
            for (index, shape) in self.shapes.others.enumerated() where shape.plan.begins(bytes) {
                var header = Self.blank.value
                if header.fill(from: bytes, by: shape.plan) {
                    self.shapes.hit(other: index)
                    return header
                }
            }
            var header = Self.blank.value
            if !header.fill(from: bytes) {
                var reader = JSONReader(bytes)
                header = try BlockHeader(from: &reader)
                try reader.finish()
            }
            if self.shapes.missed(), let shape = JSONShape(learning: bytes, field: Field.named) {
                self.shapes.add(shape)
            }
            return header
        }
    }

    /// The members of a header on the wire.
    ///
    /// In the order of the bits of `Presence`, so that a field's number is its bit's.
    enum Field: UInt8 {
        case hash, unclesHash, transactionsRoot, receiptsRoot, mixHash, logsBloom, miner, number, nonce, difficulty
        case extraData, withdrawalsRoot, parentBeaconBlockRoot, requestsHash, blockAccessListHash, baseFeePerGas
        case blobGasUsed, excessBlobGas, slotNumber, totalDifficulty, size, parentHash, stateRoot, gasLimit, gasUsed
        case timestamp

        /// The bit that says that the field is there.
        @inline(__always)
        var presence: Presence { Presence(rawValue: 1 &<< UInt32(self.rawValue)) }

        /// The field of a key, by its length first: at most three comparisons.
        @inline(__always)
        init?(_ key: JSONString) {
            switch key.hasEscapes ? key.unescaped().count : key.count {
            case 4 where key == "hash": self = .hash
            case 4 where key == "size": self = .size
            case 5 where key == "miner": self = .miner
            case 5 where key == "nonce": self = .nonce
            case 6 where key == "number": self = .number
            case 7 where key == "mixHash": self = .mixHash
            case 7 where key == "gasUsed": self = .gasUsed
            case 8 where key == "gasLimit": self = .gasLimit
            case 9 where key == "stateRoot": self = .stateRoot
            case 9 where key == "logsBloom": self = .logsBloom
            case 9 where key == "timestamp": self = .timestamp
            case 9 where key == "extraData": self = .extraData
            case 10 where key == "parentHash": self = .parentHash
            case 10 where key == "sha3Uncles": self = .unclesHash
            case 10 where key == "difficulty": self = .difficulty
            case 10 where key == "slotNumber": self = .slotNumber
            case 11 where key == "blobGasUsed": self = .blobGasUsed
            case 12 where key == "receiptsRoot": self = .receiptsRoot
            case 12 where key == "requestsHash": self = .requestsHash
            case 13 where key == "baseFeePerGas": self = .baseFeePerGas
            case 13 where key == "excessBlobGas": self = .excessBlobGas
            case 15 where key == "withdrawalsRoot": self = .withdrawalsRoot
            case 15 where key == "totalDifficulty": self = .totalDifficulty
            case 16 where key == "transactionsRoot": self = .transactionsRoot
            case 19 where key == "blockAccessListHash": self = .blockAccessListHash
            case 21 where key == "parentBeaconBlockRoot": self = .parentBeaconBlockRoot
            default: return nil
            }
        }

        /// The field of a key, which may be written with escapes.
        @inline(__always)
        static func of(_ key: JSONString) -> Field? {
            key.hasEscapes ? key.withUnescaped { Field($0) } : Field(key)
        }

        static let all: [JSONMembers.Member] = [
            .init("hash", Field.hash.rawValue, .hex),
            .init("size", Field.size.rawValue, .hex),
            .init("miner", Field.miner.rawValue, .hex),
            .init("nonce", Field.nonce.rawValue, .hex),
            .init("number", Field.number.rawValue, .hex),
            .init("mixHash", Field.mixHash.rawValue, .hex),
            .init("gasUsed", Field.gasUsed.rawValue, .hex),
            .init("gasLimit", Field.gasLimit.rawValue, .hex),
            .init("stateRoot", Field.stateRoot.rawValue, .hex),
            .init("logsBloom", Field.logsBloom.rawValue, .hex),
            .init("timestamp", Field.timestamp.rawValue, .hex),
            .init("extraData", Field.extraData.rawValue, .hex),
            .init("parentHash", Field.parentHash.rawValue, .hex),
            .init("sha3Uncles", Field.unclesHash.rawValue, .hex),
            .init("difficulty", Field.difficulty.rawValue, .hex),
            .init("slotNumber", Field.slotNumber.rawValue, .hex),
            .init("blobGasUsed", Field.blobGasUsed.rawValue, .hex),
            .init("receiptsRoot", Field.receiptsRoot.rawValue, .hex),
            .init("requestsHash", Field.requestsHash.rawValue, .hex),
            .init("baseFeePerGas", Field.baseFeePerGas.rawValue, .hex),
            .init("excessBlobGas", Field.excessBlobGas.rawValue, .hex),
            .init("withdrawalsRoot", Field.withdrawalsRoot.rawValue, .hex),
            .init("totalDifficulty", Field.totalDifficulty.rawValue, .hex),
            .init("transactionsRoot", Field.transactionsRoot.rawValue, .hex),
            .init("blockAccessListHash", Field.blockAccessListHash.rawValue, .hex),
            .init("parentBeaconBlockRoot", Field.parentBeaconBlockRoot.rawValue, .hex),
        ]

        static func named(_ key: JSONString) -> (number: UInt8, form: JSONShape.Form)? {
            Field.of(key).map { ($0.rawValue, .hex) }
        }
    }

    /// Reads a header of this shape into an empty one; false where it does not fit, and the header then holds anything.
    ///
    /// Not inlined: into a caller's local value it would be copied on its way out.
    @inline(never)
    private mutating func fill(from bytes: UnsafeRawBufferPointer, by plan: JSONShape.Plan) -> Bool {
        var cursor = JSONShapeCursor(bytes, plan)
        var present: Presence = []
        for step in plan.steps {
            guard cursor.take(step) else { return false }
            guard step.field <= Field.timestamp.rawValue else { break }
            let field = unsafeBitCast(step.field, to: Field.self)
            self.take(field, from: &cursor)
            present.formUnion(field.presence)
        }
        self.present = present
        return cursor.isAtEnd
    }

    /// Reads a header whose members are in any order, each once, into an empty one; false where it is written otherwise than
    /// nodes do, and the header then holds anything.
    @inline(never)
    private mutating func fill(from bytes: UnsafeRawBufferPointer) -> Bool {
        var cursor = JSONShapeCursor(bytes)
        var last: JSONShape.Form?
        var present: Presence = []
        let members = Self.members
        while let (number, form) = cursor.takeMember(members, after: last) {
            guard number <= Field.timestamp.rawValue else {
                self.present = present
                return cursor.isAtEnd && present.isSuperset(of: [.required, Field.number.presence])
            }
            let field = unsafeBitCast(number, to: Field.self)
            guard present.isDisjoint(with: field.presence) else { return false }
            present.formUnion(field.presence)
            self.take(field, from: &cursor)
            last = form
        }
        return false
    }

    private static let members = JSONMembers(Field.all)

    /// Takes a field's value.
    @inline(__always)
    private mutating func take(_ field: Field, from cursor: inout JSONShapeCursor) {
        switch field {
        case .hash: cursor.hash(into: &self.hash)
        case .parentHash: cursor.hash(into: &self.parentHash)
        case .unclesHash: cursor.hash(into: &self.unclesHash)
        case .stateRoot: cursor.hash(into: &self.stateRoot)
        case .transactionsRoot: cursor.hash(into: &self.transactionsRoot)
        case .receiptsRoot: cursor.hash(into: &self.receiptsRoot)
        case .mixHash: cursor.hash(into: &self.mixHash)
        case .withdrawalsRoot: cursor.hash(into: &self.withdrawalsRootValue)
        case .parentBeaconBlockRoot: cursor.hash(into: &self.parentBeaconBlockRootValue)
        case .requestsHash: cursor.hash(into: &self.requestsHashValue)
        case .blockAccessListHash: cursor.hash(into: &self.blockAccessListHashValue)
        case .logsBloom: withUnsafeMutablePointer(to: &self.logsBloom) { cursor.hex(into: $0, count: 256) }
        case .miner: cursor.address(into: &self.miner)
        case .number: self.number = cursor.quantity()
        case .timestamp: self.timestamp = cursor.quantity()
        case .gasLimit: self.gasLimit = cursor.quantity()
        case .gasUsed: self.gasUsed = cursor.quantity()
        case .nonce:
            withUnsafeMutablePointer(to: &self.nonce) { cursor.hex(into: $0, count: 8) }
            self.nonce = UInt64(bigEndian: self.nonce)
        case .difficulty: self.difficultyWord = cursor.quantity()
        case .baseFeePerGas: self.baseFeePerGasWord = cursor.quantity()
        case .totalDifficulty: (self.totalDifficultyHigh, self.totalDifficultyLow) = cursor.wideQuantity()
        case .blobGasUsed: self.blobGasUsedValue = cursor.quantity()
        case .excessBlobGas: self.excessBlobGasValue = cursor.quantity()
        case .slotNumber: self.slotNumberValue = cursor.quantity()
        case .size: self.sizeValue = cursor.quantity()
        case .extraData: cursor.bytes(into: &self.extraData)
        }
    }
}
