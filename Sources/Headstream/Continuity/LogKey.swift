package import EthereumTypes
import HeadstreamJSON

/// A log as answers are compared with it: its place in its block, and a digest of what makes it this log and no other.
///
/// 16 bytes for some 350: of blocks that were told and are not audited yet, and of the answers that audit them, nothing
/// else is kept.
package struct LogKey: Hashable, Sendable {
    /// The index of its transaction above that of the log.
    package let place: UInt64
    package let digest: UInt64

    package init(_ log: borrowing Log, seed: UInt64) {
        self = withUnsafePointer(to: log) { Self(at: $0, seed: seed) }
    }

    /// The key of a log where it lies: what is handed over by value is copied first.
    init(at log: UnsafePointer<Log>, seed: UInt64) {
        let transaction = UInt64(UInt32(clamping: log.pointee.transactionIndexValue))
        self.place = transaction << 32 | UInt64(UInt32(clamping: log.pointee.logIndexValue))
        self.digest = Self.digest(log, seed)
    }

    /// Of what identifies a log beside its block, whose hash may have two names: equal indexes with different content are
    /// two logs (erigon 17249), and contracts may write that content. The seed is secret, so that none can make two logs
    /// look like one.
    private static func digest(_ log: UnsafePointer<Log>, _ seed: UInt64) -> UInt64 {
        var digest = WordDigest(seed: seed)
        digest.add(log.pointee.address.w0, log.pointee.address.w1)
        digest.add(UInt64(log.pointee.address.w2), UInt64(log.pointee.topicCount))
        digest.add(log.pointee.transactionHashValue)
        if log.pointee.topicCount > 0 { digest.add(log.pointee.topic0) }
        if log.pointee.topicCount > 1 { digest.add(log.pointee.topic1) }
        if log.pointee.topicCount > 2 { digest.add(log.pointee.topic2) }
        if log.pointee.topicCount > 3 { digest.add(log.pointee.topic3) }
        let isKnown = (log.pointee.logIndex == nil ? 0 : 1) | (log.pointee.transactionHash == nil ? 0 : 2)
        digest.add(log.pointee.logIndexValue, UInt64(log.pointee.data.length) << 2 | UInt64(isKnown))
        if let heap = log.pointee.data.heap {
            heap.withUnsafeBytes { digest.add($0) }
        } else {
            let words = log.pointee.data.inline
            if log.pointee.data.length > 0 { digest.add(words.w0, words.w1) }
            if log.pointee.data.length > 16 { digest.add(words.w2, words.w3) }
            if log.pointee.data.length > 32 { digest.add(words.w4, words.w5) }
            if log.pointee.data.length > 48 { digest.add(words.w6, words.w7) }
        }
        return digest.value
    }
}

/// The keys of one block's logs, from an answer.
package struct BlockLogKeys: Hashable, Sendable {
    package let number: UInt64
    package let hash: Hash32
    package var keys: [LogKey]
}

extension BlockLogKeys {
    /// The keys of logs, those of a block together and in the answer's order, of which the filter wants.
    /// - Returns: nil where a log does not say in which block it is.
    package static func gathered(_ logs: [Log], _ filter: LogFilter, seed: UInt64) -> [BlockLogKeys]? {
        var gathered: [BlockLogKeys] = []
        for log in logs {
            guard gathered.add(log, filter, seed: seed) else { return nil }
        }
        return gathered
    }
}

extension BlockLogKeys {
    /// Reads the keys of an answer without keeping its logs.
    ///
    /// - Parameter bytes: at least 64 readable and initialised bytes must follow them.
    /// - Throws: `ValueError` where it is no array of logs, or one does not say in which block it is.
    static func read(
        _ bytes: UnsafeRawBufferPointer,
        _ filter: LogFilter,
        seed: UInt64
    ) throws(ValueError) -> [BlockLogKeys] {
        var gathered: [BlockLogKeys] = []
        var decoder = Log.Decoder()
        var reader = JSONReader(bytes)
        try reader.beginArray()
        while try reader.nextElement() {
            let log = try decoder.decode(reader.bytes(in: try reader.skipValue()))
            guard gathered.add(log, filter, seed: seed) else {
                throw ValueError(field: "blockHash", reason: "is missing, or blockNumber is")
            }
        }
        try reader.finish()
        return gathered
    }
}

extension [BlockLogKeys] {
    /// Adds the next log of an answer. - Returns: false where it does not say in which block it is.
    package mutating func add(_ log: Log, _ filter: LogFilter, seed: UInt64) -> Bool {
        guard let number = log.blockNumber, let hash = log.blockHash else { return false }
        if self.last?.number != number || self.last?.hash != hash {
            self.append(BlockLogKeys(number: number, hash: hash, keys: []))
        }
        if filter.matches(log) { self[self.count - 1].keys.append(LogKey(log, seed: seed)) }
        return true
    }
}

/// Words folded into one by multiplication, the halves of each product exclusive-ored: fast, and unforeseeable without the
/// seed.
private struct WordDigest {
    private var state: UInt64
    private let seed: UInt64

    init(seed: UInt64) {
        self.state = seed
        self.seed = seed ^ 0x9e37_79b9_7f4a_7c15
    }

    @inline(__always)
    mutating func add(_ first: UInt64, _ second: UInt64) {
        let product = (first ^ self.state).multipliedFullWidth(by: second ^ self.seed)
        // What was before stays in the sum, also where a factor is zero.
        self.state = (product.high ^ product.low) &+ (self.state << 23 | self.state >> 41)
    }

    @inline(__always)
    mutating func add(_ hash: Hash32) {
        self.add(hash.w0, hash.w1)
        self.add(hash.w2, hash.w3)
    }

    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        var offset = 0
        while offset + 16 <= bytes.count {
            self.add(
                bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self),
                bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)
            )
            offset += 16
        }
        var rest: (UInt64, UInt64) = (0, 0)
        withUnsafeMutableBytes(of: &rest) { $0.copyBytes(from: bytes[offset...]) }
        self.add(rest.0, rest.1)
    }

    var value: UInt64 {
        let product = (self.state ^ self.seed).multipliedFullWidth(by: 0xbf58_476d_1ce4_e5b9)
        return product.high ^ product.low
    }
}
