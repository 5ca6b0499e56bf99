/// How a connection ended, as its user is told.
package struct WebSocketEnd: Hashable, Sendable {
    /// Who ended it.
    package enum Cause: Hashable, Sendable {
        /// This end asked for the close.
        case local
        /// The peer sent a close frame first.
        case peer
        /// The peer broke a rule.
        case violation(WebSocketError)
        /// The stream ended without a close frame.
        case streamEnded
    }

    package let cause: Cause
    /// The code of the peer's close frame; ``CloseCode/noStatus`` (1005) if it had none, ``CloseCode/abnormal`` (1006)
    /// if there was no close frame (RFC 6455 §7.1.5).
    package let code: UInt16
    /// The reason in the peer's close frame, cleaned to one line.
    package let reason: String
    /// Whether both ends sent a close frame (RFC 6455 §7.1.4).
    package let isClean: Bool

    package init(cause: Cause, code: UInt16, reason: String, isClean: Bool) {
        self.cause = cause
        self.code = code
        self.reason = reason
        self.isClean = isClean
    }
}
