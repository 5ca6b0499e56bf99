internal import CHeadstreamBytes

/// The byte work of the hot path.
enum ByteKernels {
    /// Exclusive-ors `bytes` with a mask, whose four bytes are in wire order in memory (RFC 6455 §5.3).
    @inline(__always)
    static func applyMask(_ key: UInt32, to bytes: UnsafeMutableRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        let wide = UInt64(key) << 32 | UInt64(key)
        var index = 0
        while bytes.count - index >= 8 {
            let word = base.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            base.storeBytes(of: word ^ wide, toByteOffset: index, as: UInt64.self)
            index += 8
        }
        withUnsafeBytes(of: key) { key in
            while index < bytes.count {
                bytes[index] ^= key[index & 3]
                index += 1
            }
        }
    }

    /// The mask as it stands `count` bytes further on.
    @inline(__always)
    static func rotateMask(_ key: UInt32, by count: Int) -> UInt32 {
        // Byte 0 in memory is the low byte on a little-endian machine, so the bytes move down.
        let bits = UInt32(count & 3) * 8
        let little = key.littleEndian
        return UInt32(littleEndian: bits == 0 ? little : little >> bits | little << (32 - bits))
    }

    /// Whether `bytes` are UTF-8 from the first to the last.
    @inline(__always)
    static func isUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var iterator = 0
        while bytes.count - iterator >= 8 {
            if bytes.loadUnaligned(fromByteOffset: iterator, as: UInt64.self) & 0x8080_8080_8080_8080 != 0 { break }
            iterator += 8
        }
        let rest = UnsafeRawBufferPointer(rebasing: bytes[iterator...])
        return String(validating: rest, as: UTF8.self) != nil
    }
}
