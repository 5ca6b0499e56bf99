/// Appends frames to a caller's bytes (RFC 6455 §5.2).
///
/// Lengths take their shortest form. A client passes a mask, fresh for each frame, and a server none (§5.1).
package enum FrameWriter {
    /// The longest body of a control frame (RFC 6455 §5.5).
    package static let maxControlPayload = 125

    /// Appends a frame.
    ///
    /// - Parameters:
    ///   - opcode: its kind. A control frame's payload is cut at 125 bytes, and `isFinal` does not apply to it.
    ///   - payload: copied, and masked on the way.
    ///   - mask: four unpredictable bytes, fresh for each frame (RFC 6455 §5.3, §10.3); nil for a server.
    ///   - isFinal: false for all fragments of a message but the last.
    ///   - isCompressed: whether it begins a message that ``Deflater`` has compressed (RFC 7692 §6.1).
    ///   - output: what the frame is appended to.
    package static func append(
        _ opcode: Opcode,
        payload: UnsafeRawBufferPointer,
        mask: UInt32?,
        isFinal: Bool = true,
        isCompressed: Bool = false,
        to output: inout [UInt8]
    ) {
        let isControl = opcode.rawValue & 0x08 != 0
        let payload = isControl ? UnsafeRawBufferPointer(rebasing: payload.prefix(Self.maxControlPayload)) : payload
        let count = payload.count
        // The header is put together in two words, lowest byte first, and appended at once.
        var first = UInt64((isFinal || isControl ? 0x80 : 0) | (isCompressed ? 0x40 : 0) | opcode.rawValue)
        var second: UInt64 = 0
        let headerSize: Int
        if count < 126 {
            first |= UInt64(count) << 8
            headerSize = 2
        } else if count <= 0xFFFF {
            first |= 126 << 8 | UInt64(UInt16(truncatingIfNeeded: count).byteSwapped) << 16
            headerSize = 4
        } else {
            let length = UInt64(count).byteSwapped
            first |= 127 << 8 | length << 16
            second = length >> 48
            headerSize = 10
        }
        guard let mask else {
            Self.append(first, second, count: headerSize, to: &output)
            output.append(contentsOf: payload)
            return
        }
        let key = UInt64(mask.littleEndian)
        first |= 0x80 << 8
        switch headerSize {
        case 2: first |= key << 16
        case 4: first |= key << 32
        default: second |= key << 16
        }
        Self.append(first, second, count: headerSize + 4, to: &output)
        let start = output.count
        output.append(contentsOf: payload)
        output.withUnsafeMutableBytes { bytes in
            ByteKernels.applyMask(mask, to: UnsafeMutableRawBufferPointer(rebasing: bytes[start...]))
        }
    }

    @inline(__always)
    private static func append(_ first: UInt64, _ second: UInt64, count: Int, to output: inout [UInt8]) {
        withUnsafeBytes(of: (first.littleEndian, second.littleEndian)) { bytes in
            output.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        }
    }

    /// Appends a close frame (RFC 6455 §5.5.1).
    ///
    /// - Parameters:
    ///   - code: the status, nil for none. One that must not be on the wire (§7.4) becomes none.
    ///   - reason: cut at 123 bytes, between two scalars; left out if there is no code.
    package static func appendClose(code: UInt16?, reason: String = "", mask: UInt32?, to output: inout [UInt8]) {
        var body: [UInt8] = []
        if let code, CloseCode.isAllowedOnWire(code) {
            body.append(UInt8(truncatingIfNeeded: code >> 8))
            body.append(UInt8(truncatingIfNeeded: code))
            for scalar in reason.unicodeScalars {
                let encoded = UTF8.encode(scalar)
                guard let encoded, body.count + encoded.count <= Self.maxControlPayload else { break }
                body.append(contentsOf: encoded)
            }
        }
        body.withUnsafeBytes { Self.append(.close, payload: $0, mask: mask, to: &output) }
    }
}
