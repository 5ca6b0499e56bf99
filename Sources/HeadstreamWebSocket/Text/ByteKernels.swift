internal import CHeadstreamBytes

/// The byte work of the hot path.
enum ByteKernels {
    /// Exclusive-ors `bytes` with a mask, whose four bytes are in wire order in memory (RFC 6455 §5.3), beginning at the
    /// mask's byte `offset` modulo 4.
    @inline(__always)
    static func applyMask(_ key: UInt32, to bytes: UnsafeMutableRawBufferPointer, offset: Int = 0) {
        guard let base = bytes.baseAddress else { return }
        hs_xor_mask(base, bytes.count, key, offset & 3)
    }

    /// Whether `bytes` are UTF-8 from the first to the last.
    @inline(__always)
    static func isUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress else { return true }
        return hs_is_utf8(base, bytes.count)
    }

    /// Whether all of `bytes` are ASCII, and so UTF-8.
    @inline(__always)
    static func isASCII(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress else { return true }
        return hs_is_ascii(base, bytes.count)
    }

    /// How many of `bytes` are whole scalars, before the first that is cut short or invalid.
    @inline(__always)
    static func utf8Prefix(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard let base = bytes.baseAddress else { return 0 }
        return hs_utf8_prefix(base, bytes.count)
    }
}
