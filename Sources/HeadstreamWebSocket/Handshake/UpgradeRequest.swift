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
    package var acceptance: [UInt8] { self.acceptance(extensions: nil) }

    /// The same with permessage-deflate (RFC 7692 §5.1), if the client offers it in a way that `options` allow, and
    /// what was agreed on.
    package func acceptance(compression options: DeflateOptions) -> (response: [UInt8], agreement: DeflateAgreement?) {
        let offers = self.head.values(of: "Sec-WebSocket-Extensions")
        guard let accepted = DeflateNegotiation.acceptance(of: offers, within: options) else {
            return (self.acceptance, nil)
        }
        return (self.acceptance(extensions: accepted.answer), accepted.agreement)
    }

    private func acceptance(extensions: String?) -> [UInt8] {
        var lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        lines.append("Sec-WebSocket-Accept: \(AcceptKey.answering(self.key))")
        if let extensions { lines.append("Sec-WebSocket-Extensions: \(extensions)") }
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    }
}
