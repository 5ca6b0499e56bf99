/// Unpredictable masks for a client's frames (RFC 6455 §5.3, §10.3), drawn from a pool so that the system's generator
/// is asked once in a thousand frames.
///
/// One pool may serve all connections of a loop. It cannot be copied, so no mask is given out twice.
package struct MaskKeys: ~Copyable {
    /// Bytes asked for at once.
    package static let poolSize = 4096

    private var pool: [UInt8] = []
    private var used = 0
    private let refill: (UnsafeMutableRawBufferPointer) -> Void

    /// - Parameter refill: fills the bytes from a cryptographically secure generator; called at the first mask, and
    ///   whenever ``poolSize`` bytes are used up.
    package init(refill: @escaping (UnsafeMutableRawBufferPointer) -> Void) {
        self.refill = refill
    }

    /// The next mask, its bytes in wire order in memory.
    package mutating func next() -> UInt32 {
        if self.used >= self.pool.count {
            if self.pool.isEmpty { self.pool = [UInt8](repeating: 0, count: Self.poolSize) }
            self.pool.withUnsafeMutableBytes(self.refill)
            self.used = 0
        }
        let key = self.pool.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: self.used, as: UInt32.self) }
        self.used += 4
        return key
    }
}
