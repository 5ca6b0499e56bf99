/// A client's request to open a WebSocket, as a server reads it.
package struct UpgradeRequest: Hashable, Sendable {
    /// The request's target as it came, percent-encoded, path and query.
    package let target: String
    /// All headers, the handshake's own included.
    package let head: HTTPHead
    /// What the server proves with its accept key that it has read.
    let key: String

    /// The target up to the query.
    package var path: String { String(self.target.prefix { $0 != "?" }) }

    /// What follows the `?`, without it; nil if there is none.
    package var query: String? {
        self.target.firstIndex(of: "?").map { String(self.target[self.target.index(after: $0)...]) }
    }

    /// The 101 that opens the connection (RFC 6455 §4.2.2).
    package var acceptance: [UInt8] {
        Array(
            ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Accept: \(AcceptKey.answering(self.key))\r\n\r\n").utf8
        )
    }
}
