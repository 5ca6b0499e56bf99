/// Why an opening handshake did not come about, where the peer did not answer with an HTTP status of its own.
package struct HandshakeError: Error, Hashable, Sendable {
    /// The kinds, for decisions.
    package enum Code: Hashable, Sendable {
        /// A host, path or header given by the user must not be sent. Nothing was sent.
        case invalidRequest
        /// What came is not HTTP/1.1: TLS, a banner, HTTP/1.0.
        case notHTTP
        /// HTTP, but the head breaks its rules.
        case malformedHead
        /// The head is over ``HTTPHead/maxSize``.
        case headTooLong
        /// A 101 that does not complete this handshake: accept key, `Upgrade`, `Connection`, or an extension or
        /// subprotocol that was not asked for.
        case invalidUpgrade
        /// The stream ended before the response was there.
        case endOfStream
        /// The deadline was reached before the response was there.
        case timedOut
    }

    package let code: Code
    /// What happened, in one line, without control characters and without the user's values.
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}

extension HandshakeError: CustomStringConvertible {
    package var description: String { self.message }
}
