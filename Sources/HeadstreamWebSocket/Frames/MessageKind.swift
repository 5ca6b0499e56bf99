/// What a message is said to hold (RFC 6455 §5.6).
package enum MessageKind: UInt8, Hashable, Sendable {
    /// UTF-8 text; checked before the message is handed out.
    case text = 0x1
    /// Bytes of any kind.
    case binary = 0x2
}
