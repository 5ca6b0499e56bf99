/// Appends frames to a caller's bytes (RFC 6455 §5.2).
///
/// Lengths take their shortest form. A client passes a mask, fresh for each frame, and a server none (§5.1).
package enum FrameWriter {
    /// The most a frame's header takes.
    package static let maxHeaderSize = 14

    /// The longest body of a control frame (RFC 6455 §5.5).
    package static let maxControlPayload = 125

    /// Appends a frame.
    ///
    /// - Parameters:
    ///   - opcode: its kind. A control frame's payload is cut at 125 bytes, and `isFinal` does not apply to it.
    ///   - payload: copied, and masked on the way.
    ///   - mask: four unpredictable bytes (``MaskKeys``), or nil for a server.
    ///   - isFinal: false for all fragments of a message but the last.
    ///   - output: what the frame is appended to.
    package static func append(
        _ opcode: Opcode,
        payload: UnsafeRawBufferPointer,
        mask: UInt32?,
        isFinal: Bool = true,
        to output: inout [UInt8]
    ) {
        let isControl = opcode.rawValue & 0x08 != 0
        let payload = isControl ? UnsafeRawBufferPointer(rebasing: payload.prefix(Self.maxControlPayload)) : payload
        let count = payload.count
        let maskBit: UInt8 = mask == nil ? 0 : 0x80
        output.append((isFinal || isControl ? 0x80 : 0) | opcode.rawValue)
        if count < 126 {
            output.append(maskBit | UInt8(truncatingIfNeeded: count))
        } else if count <= 0xFFFF {
            output.append(maskBit | 126)
            withUnsafeBytes(of: UInt16(truncatingIfNeeded: count).bigEndian) { output.append(contentsOf: $0) }
        } else {
            output.append(maskBit | 127)
            withUnsafeBytes(of: UInt64(truncatingIfNeeded: count).bigEndian) { output.append(contentsOf: $0) }
        }
        guard let mask else {
            output.append(contentsOf: payload)
            return
        }
        withUnsafeBytes(of: mask) { output.append(contentsOf: $0) }
        let start = output.count
        output.append(contentsOf: payload)
        output.withUnsafeMutableBytes { bytes in
            ByteKernels.applyMask(mask, to: UnsafeMutableRawBufferPointer(rebasing: bytes[start...]))
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
