/// A tunnel through an HTTP proxy (`CONNECT`, RFC 9110 §9.3.6): the request to send, and the reading of the answer.
///
/// Like ``ClientHandshake`` it holds no bytes: what is not consumed is handed over again in front of the next. Behind an
/// established tunnel the connection is the node's, from TLS or the WebSocket handshake on.
package struct ProxyTunnel: Sendable {
    /// What follows from a fact.
    package enum Action: Hashable, Sendable {
        /// Nothing yet. No bytes were consumed.
        case needMore
        /// The tunnel stands. The first `consumed` bytes were the proxy's.
        case established(consumed: Int)
        /// The proxy says no, with a status of its own. The connection is to be closed.
        case refused(UpgradeRefusal)
        /// The answer is none. The connection is to be closed.
        case failed(HandshakeError)
    }

    /// The bytes to send.
    package let request: [UInt8]
    private var reader = ResponseReader(.tunnel)

    /// Checks everything a user gave and builds the request.
    ///
    /// - Parameters:
    ///   - host: the node's, a name or an address; the proxy resolves names.
    ///   - port: the node's.
    ///   - userInfo: the proxy's `user:password`, percent-encoded as in a URL (`Proxy-Authorization: Basic`).
    ///   - userAgent: what the client calls itself.
    /// - Throws: ``HandshakeError/Code/invalidRequest`` if a value must not be sent; it names the place, not the value.
    package init(toHost host: String, port: UInt16, userInfo: String?, userAgent: String) throws(HandshakeError) {
        let target = "\(try UpgradeTarget.validHost(host)):\(port)"
        var lines = ["CONNECT \(target) HTTP/1.1", "Host: \(target)"]
        lines.append("User-Agent: \(try UpgradeTarget.validValue(userAgent, of: "user agent"))")
        if let userInfo {
            lines.append("Proxy-Authorization: Basic \(try UpgradeTarget.basicCredentials(userInfo, of: "the proxy"))")
        }
        self.request = Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    }

    /// All bytes that are there, from the first one that was not consumed.
    package mutating func received(_ bytes: UnsafeRawBufferPointer) -> Action {
        self.action(self.reader.received(bytes), of: bytes.count)
    }

    /// The stream ended.
    package mutating func endOfStream() -> Action {
        self.action(self.reader.endOfStream(), of: 0)
    }

    /// The caller's deadline was reached.
    package mutating func deadlineReached() -> Action {
        self.action(self.reader.deadlineReached(), of: 0)
    }

    private func action(_ action: ResponseReader.Action, of count: Int) -> Action {
        switch action {
        case .needMore: .needMore
        case .head(_, _, let end) where count > end:
            // A successful answer has no body (§9.3.6), and a node does not speak before it is spoken to.
            .failed(HandshakeError(.malformedHead, "the proxy sent \(count - end) bytes behind its answer to CONNECT"))
        case .head(_, _, let end): .established(consumed: end)
        case .refused(let refusal): .refused(refusal)
        case .failed(let error): .failed(error)
        }
    }
}
