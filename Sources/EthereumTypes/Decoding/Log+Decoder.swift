package import HeadstreamJSON

extension Log {
    /// Decodes the logs of one subscription: by the shape that its node gives them, else by keys, else as any JSON.
    ///
    /// See ``JSONShape`` and ``JSONMembers``. A copy learns on its own from then on.
    package struct Decoder: Sendable {
        /// What ``decode(_:into:)`` begins with.
        package static let blank = Blank(Log.self)

        private var shapes: JSONShapes

        /// - Parameter share: see ``JSONShapes/init(sharing:)``.
        package init(sharing share: (@Sendable (JSONShape) -> JSONShape)? = nil) {
            self.shapes = JSONShapes(sharing: share)
        }

        /// Decodes one log.
        ///
        /// - Parameter bytes: one JSON value; at least 64 readable and initialised bytes must follow it.
        /// - Throws: `ValueError` where it is no JSON or no log.
        package mutating func decode(_ bytes: UnsafeRawBufferPointer) throws(ValueError) -> Log {
            var log = Self.blank.value
            try self.decode(bytes, into: &log)
            return log
        }

        /// Decodes one log into an empty one, which holds anything where it throws.
        @inline(__always)
        package mutating func decode(_ bytes: UnsafeRawBufferPointer, into log: inout Log) throws(ValueError) {
            if !self.decodeByShape(bytes, into: &log) { log = try self.decodeUnusual(bytes) }
        }

        @inline(__always)
        private mutating func decodeByShape(_ bytes: UnsafeRawBufferPointer, into log: inout Log) -> Bool {
            guard let plan = self.shapes.plan, log.fill(from: bytes, by: plan) else { return false }
            self.shapes.hit()
            return true
        }

        @inline(never)
        private mutating func decodeUnusual(_ bytes: UnsafeRawBufferPointer) throws(ValueError) -> Log {
            for (index, shape) in self.shapes.others.enumerated() where shape.plan.begins(bytes) {
                var log = Self.blank.value
                if log.fill(from: bytes, by: shape.plan) {
                    self.shapes.hit(other: index)
                    return log
                }
            }
            var log = Self.blank.value
            if !log.fill(from: bytes) {
                var reader = JSONReader(bytes)
                log = try Log(from: &reader)
                try reader.finish()
            }
            if self.shapes.missed(), let shape = JSONShape(learning: bytes, field: Field.named) {
                self.shapes.add(shape)
            }
            return log
        }
    }

    /// The members of a log on the wire.
    enum Field: UInt8 {
        case address, topics, data, blockHash, blockNumber, blockTimestamp
        case transactionHash, transactionIndex, logIndex, removed

        /// The field of a key, by its length first: at most two comparisons.
        @inline(__always)
        init?(_ key: JSONString) {
            switch key.hasEscapes ? key.unescaped().count : key.count {
            case 4 where key == "data": self = .data
            case 6 where key == "topics": self = .topics
            case 7 where key == "address": self = .address
            case 7 where key == "removed": self = .removed
            case 8 where key == "logIndex": self = .logIndex
            case 9 where key == "blockHash": self = .blockHash
            case 11 where key == "blockNumber": self = .blockNumber
            case 14 where key == "blockTimestamp": self = .blockTimestamp
            case 15 where key == "transactionHash": self = .transactionHash
            case 16 where key == "transactionIndex": self = .transactionIndex
            default: return nil
            }
        }

        /// The field of a key, which may be written with escapes.
        @inline(__always)
        static func of(_ key: JSONString) -> Field? {
            key.hasEscapes ? key.withUnescaped { Field($0) } : Field(key)
        }

        var bit: UInt32 { 1 &<< UInt32(self.rawValue) }

        /// Without these a log is refused.
        static let required = Field.address.bit | Field.topics.bit | Field.data.bit

        private var form: JSONShape.Form {
            switch self {
            case .topics: .hexArray
            case .removed: .bool
            default: .hex
            }
        }

        private static func member(_ key: StaticString, _ field: Field) -> JSONMembers.Member {
            .init(key, field.rawValue, field.form)
        }

        static let all: [JSONMembers.Member] = [
            member("address", .address),
            member("topics", .topics),
            member("data", .data),
            member("blockHash", .blockHash),
            member("blockNumber", .blockNumber),
            member("blockTimestamp", .blockTimestamp),
            member("transactionHash", .transactionHash),
            member("transactionIndex", .transactionIndex),
            member("logIndex", .logIndex),
            member("removed", .removed),
        ]

        static func named(_ key: JSONString) -> (number: UInt8, form: JSONShape.Form)? {
            guard let field = Field.of(key) else { return nil }
            return (field.rawValue, field.form)
        }
    }

    /// Reads a log of this shape into an empty one; false where it does not fit, and the log then holds anything.
    ///
    /// Not inlined: into a caller's local value it would be copied on its way out.
    @inline(never)
    private mutating func fill(from bytes: UnsafeRawBufferPointer, by plan: JSONShape.Plan) -> Bool {
        var cursor = JSONShapeCursor(bytes, plan)
        for step in plan.steps {
            guard cursor.take(step) else { return false }
            guard let field = Field(rawValue: step.field) else { break }
            self.take(field, from: &cursor)
        }
        return cursor.isAtEnd
    }

    /// Reads a log whose members are in any order, each once, into an empty one; false where it is written otherwise than
    /// nodes do, and the log then holds anything.
    @inline(never)
    private mutating func fill(from bytes: UnsafeRawBufferPointer) -> Bool {
        var cursor = JSONShapeCursor(bytes)
        var last: JSONShape.Form?
        var seen: UInt32 = 0
        let members = Self.members
        while let (number, form) = cursor.takeMember(members, after: last) {
            guard let field = Field(rawValue: number) else {
                return cursor.isAtEnd && seen & Field.required == Field.required
            }
            guard seen & field.bit == 0 else { return false }
            seen |= field.bit
            self.take(field, from: &cursor)
            last = form
        }
        return false
    }

    private static let members = JSONMembers(Field.all)

    /// Takes a field's value.
    ///
    /// `@inline(__always)` is not heeded in the second of its callers, which then has the cursor in memory: a twentieth of
    /// a log in a random order.
    @_transparent
    private mutating func take(_ field: Field, from cursor: inout JSONShapeCursor) {
        switch field {
        case .address: cursor.address(into: &self.address)
        case .topics: self.fillTopics(from: &cursor)
        case .data: cursor.bytes(into: &self.data)
        case .blockHash:
            cursor.hash(into: &self.blockHashValue)
            self.flags.insert(.blockHash)
        case .blockNumber:
            self.blockNumberValue = cursor.quantity()
            self.flags.insert(.blockNumber)
        case .blockTimestamp:
            self.blockTimestampValue = cursor.quantity()
            self.flags.insert(.blockTimestamp)
        case .transactionHash:
            cursor.hash(into: &self.transactionHashValue)
            self.flags.insert(.transactionHash)
        case .transactionIndex:
            self.transactionIndexValue = cursor.quantity()
            self.flags.insert(.transactionIndex)
        case .logIndex:
            self.logIndexValue = cursor.quantity()
            self.flags.insert(.logIndex)
        case .removed: if cursor.bool() { self.flags.insert(.removed) }
        }
    }

    @inline(__always)
    private mutating func fillTopics(from cursor: inout JSONShapeCursor) {
        guard cursor.beginHexElement(isFirst: true) else { return }
        cursor.hash(into: &self.topic0)
        self.topicCount = 1
        guard cursor.beginHexElement(isFirst: false) else { return }
        cursor.hash(into: &self.topic1)
        self.topicCount = 2
        guard cursor.beginHexElement(isFirst: false) else { return }
        cursor.hash(into: &self.topic2)
        self.topicCount = 3
        guard cursor.beginHexElement(isFirst: false) else { return }
        cursor.hash(into: &self.topic3)
        self.topicCount = 4
        // A fifth one does not fit: the next step's run begins with the bracket.
        _ = cursor.beginHexElement(isFirst: false)
    }
}
