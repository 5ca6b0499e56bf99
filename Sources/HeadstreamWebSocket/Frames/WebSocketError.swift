/// How a peer broke the rules of an open connection, and the close code to answer with.
///
/// A trivial value, so that ``FrameParser/Event`` stays one; its text is made when somebody asks.
package struct WebSocketError: Error, Hashable, Sendable {
    /// The rule that was broken.
    package enum Code: Hashable, Sendable {
        /// A reserved bit is set and no extension was agreed on (RFC 6455 §5.2).
        case reservedBits(UInt8)
        /// An opcode that is not defined (§5.2).
        case reservedOpcode(UInt8)
        /// A client's frame without a mask (§5.1).
        case maskMissing
        /// A server's frame with a mask (§5.1).
        case maskForbidden
        /// A control frame of more than 125 bytes (§5.5); the length field's seven bits.
        case controlFrameTooLong
        /// A control frame without FIN (§5.5).
        case controlFrameFragmented
        /// A length in a longer form than it needs (§5.2).
        case lengthNotMinimal(UInt64)
        /// A 64-bit length with its highest bit set (§5.2).
        case lengthOutOfRange
        /// A continuation frame, and no message to continue (§5.4).
        case unexpectedContinuation
        /// A new message inside a fragmented one (§5.4).
        case unfinishedMessage
        /// A text message, or a close frame's reason, that is not UTF-8 (§8.1).
        case invalidUTF8
        /// A close frame whose body is a single byte (§5.5.1).
        case closeFrameTooShort
        /// A close code that must not be sent (§7.4).
        case invalidCloseCode(UInt16)
        /// A message over the limit: its bytes as far as they were announced, and the limit.
        case messageTooBig(size: UInt64, limit: Int)
        /// A compressed message whose output goes over the limit (RFC 7692 §8).
        case inflatedTooBig(limit: Int)
        /// A compressed message that does not inflate.
        case corruptCompression
    }

    package let code: Code

    package init(_ code: Code) {
        self.code = code
    }

    /// The code of the close frame that answers it (RFC 6455 §7.4.1).
    package var closeCode: UInt16 {
        switch self.code {
        case .invalidUTF8, .corruptCompression: CloseCode.invalidPayload
        case .messageTooBig, .inflatedTooBig: CloseCode.messageTooBig
        default: CloseCode.protocolError
        }
    }

    /// What happened, in one line, and what to do where something can be done.
    package var message: String {
        switch self.code {
        case .reservedBits(let bits):
            "frame with reserved bits 0x\(String(bits, radix: 16)) set, but no extension was agreed on"
        case .reservedOpcode(let opcode): "frame with the reserved opcode 0x\(String(opcode, radix: 16))"
        case .maskMissing: "client frame without a mask"
        case .maskForbidden: "server frame with a mask"
        case .controlFrameTooLong: "control frame of more than 125 bytes"
        case .controlFrameFragmented: "fragmented control frame"
        case .lengthNotMinimal(let length): "frame length \(length) in a longer form than it needs"
        case .lengthOutOfRange: "frame length of 2^63 or more"
        case .unexpectedContinuation: "continuation frame without a message to continue"
        case .unfinishedMessage: "new message inside a fragmented one"
        case .invalidUTF8: "text that is not UTF-8"
        case .closeFrameTooShort: "close frame with a body of one byte"
        case .invalidCloseCode(let code): "close frame with the invalid code \(code)"
        case .messageTooBig(let size, let limit):
            "message of \(size) bytes exceeds maxMessageSize \(limit); raise Configuration.maxMessageSize"
        case .inflatedTooBig(let limit):
            "compressed message inflates to more than maxMessageSize \(limit); raise Configuration.maxMessageSize"
        case .corruptCompression: "compressed message that does not inflate"
        }
    }
}

extension WebSocketError: CustomStringConvertible {
    package var description: String { self.message }
}
