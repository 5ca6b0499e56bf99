/// Keccak-256 as Ethereum uses it: the sponge of FIPS 202 with rate 136, and Keccak's own padding byte `0x01`.
public struct Keccak256: Sendable {
    /// Bytes absorbed per permutation.
    package static let rate = 136

    private var state = State()
    private var block = Block()
    private var filled = 0
    private let padding: UInt8

    public init() {
        self.padding = 0x01
    }

    /// - Parameter padding: `0x01` for Keccak, `0x06` for SHA3-256, which serves as the test's oracle.
    package init(padding: UInt8) {
        self.padding = padding
    }

    /// The hash of some bytes.
    public static func hash(_ bytes: some Sequence<UInt8>) -> Hash32 {
        var hasher = Keccak256()
        hasher.update(bytes)
        return hasher.finalize()
    }

    /// The hash of a text's UTF-8.
    public static func hash(utf8 text: some StringProtocol) -> Hash32 {
        self.hash(text.utf8)
    }

    package static func hash(bytes: UnsafeRawBufferPointer) -> Hash32 {
        var hasher = Keccak256()
        hasher.update(bytes: bytes)
        return hasher.finalize()
    }

    /// Adds bytes to what is hashed.
    public mutating func update(_ bytes: some Sequence<UInt8>) {
        let contiguous: Void? = bytes.withContiguousStorageIfAvailable {
            self.update(bytes: UnsafeRawBufferPointer($0))
        }
        if contiguous == nil {
            Array(bytes).withUnsafeBytes { self.update(bytes: $0) }
        }
    }

    package mutating func update(bytes: UnsafeRawBufferPointer) {
        var rest = bytes[...]
        if self.filled > 0 {
            let taken = Swift.min(Self.rate &- self.filled, rest.count)
            let start = self.filled
            withUnsafeMutableBytes(of: &self.block) { block in
                block[start...].copyBytes(from: rest.prefix(taken))
            }
            self.filled &+= taken
            rest = rest.dropFirst(taken)
            guard self.filled == Self.rate else { return }
            withUnsafeBytes(of: self.block) { self.state.absorb($0) }
            self.filled = 0
        }
        while rest.count >= Self.rate {
            self.state.absorb(UnsafeRawBufferPointer(rebasing: rest.prefix(Self.rate)))
            rest = rest.dropFirst(Self.rate)
        }
        if !rest.isEmpty {
            withUnsafeMutableBytes(of: &self.block) { $0.copyBytes(from: rest) }
            self.filled = rest.count
        }
    }

    /// The hash of all bytes added. The hasher itself is unchanged and takes more.
    public func finalize() -> Hash32 {
        var state = self.state
        var block = self.block
        withUnsafeMutableBytes(of: &block) { bytes in
            for index in self.filled..<Self.rate { bytes[index] = 0 }
            bytes[self.filled] = self.padding
            bytes[Self.rate &- 1] |= 0x80
        }
        withUnsafeBytes(of: block) { state.absorb($0) }
        return Hash32(
            w0: state.a00.littleEndian,
            w1: state.a01.littleEndian,
            w2: state.a02.littleEndian,
            w3: state.a03.littleEndian
        )
    }
}

extension Keccak256 {
    /// One rate of bytes, 17 words.
    private struct Block: Sendable {
        var low = Words8()
        var high = Words8()
        var last: UInt64 = 0
    }
}
