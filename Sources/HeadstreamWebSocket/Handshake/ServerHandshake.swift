/// A server's opening handshake (RFC 6455 §4.2): reads the request and says what to answer.
///
/// Like ``ClientHandshake`` it holds no bytes: what is not consumed is handed over again in front of the next.
package struct ServerHandshake: Sendable {
    /// What follows from a fact.
    package enum Action: Hashable, Sendable {
        /// Nothing yet. No bytes were consumed.
        case needMore
        /// A valid request. Answer with its ``UpgradeRequest/acceptance``, or with an error of the server's own
        /// (``errorResponse(status:reason:headers:body:)``); frames begin behind the first `consumed` bytes.
        case accepted(UpgradeRequest, consumed: Int)
        /// Not a valid request: send the response, finish writing, read no more.
        case refused(response: [UInt8], status: Int)
    }

    private var scanned = 0
    private var outcome: Action?

    package init() {}

    /// All bytes that are there, from the first one that was not consumed.
    package mutating func received(_ bytes: UnsafeRawBufferPointer) -> Action {
        if let outcome = self.outcome { return outcome }
        guard let end = HTTPHead.end(in: bytes, from: 0, scanned: &self.scanned), end <= HTTPHead.maxSize else {
            guard bytes.count >= HTTPHead.maxSize else { return .needMore }
            return self.refuse(431, "Request Header Fields Too Large")
        }
        let action = self.read(HTTPHead(UnsafeRawBufferPointer(rebasing: bytes[..<end])), end: end)
        self.outcome = action
        return action
    }

    /// An HTTP response that ends the connection, `Content-Length` and `Connection: close` included.
    package static func errorResponse(
        status: Int,
        reason: String,
        headers: [(name: String, value: String)] = [],
        body: String = ""
    ) -> [UInt8] {
        var lines = ["HTTP/1.1 \(status) \(reason)"]
        lines += headers.map { "\($0.name): \($0.value)" }
        lines += ["Content-Length: \(body.utf8.count)", "Connection: close"]
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8)
    }

    private mutating func refuse(_ status: Int, _ reason: String) -> Action {
        let action = Self.refusal(status, reason)
        self.outcome = action
        return action
    }

    private static func refusal(
        _ status: Int,
        _ reason: String,
        headers: [(name: String, value: String)] = [],
        body: String = ""
    ) -> Action {
        .refused(
            response: Self.errorResponse(status: status, reason: reason, headers: headers, body: body),
            status: status
        )
    }

    /// The rules of RFC 6455 §4.2.1, in its order.
    private func read(_ head: HTTPHead, end: Int) -> Action {
        func bad(_ body: String) -> Action { Self.refusal(400, "Bad Request", body: body) }

        let parts = head.startLine.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 3 else { return bad("malformed request line") }
        guard parts[2] == "HTTP/1.1" else { return Self.refusal(505, "HTTP Version Not Supported") }
        guard parts[0] == "GET" else { return Self.refusal(405, "Method Not Allowed", headers: [("Allow", "GET")]) }
        guard parts[1].utf8.first == UInt8(ascii: "/") else { return bad("the target is not a path") }
        if let defect = head.defect { return bad(defect) }
        guard head.values(of: "Host").count == 1 else { return bad("not exactly one Host header") }
        guard head.list(of: "Upgrade").contains("websocket"), head.list(of: "Connection").contains("upgrade") else {
            return Self.refusal(426, "Upgrade Required", headers: [("Upgrade", "websocket")])
        }
        guard head.values(of: "Sec-WebSocket-Version") == ["13"] else {
            return Self.refusal(426, "Upgrade Required", headers: [("Sec-WebSocket-Version", "13")])
        }
        let keys = head.values(of: "Sec-WebSocket-Key")
        guard keys.count == 1, Base64.isSixteenBytes(keys[0]) else { return bad("no valid Sec-WebSocket-Key") }
        return .accepted(UpgradeRequest(target: String(parts[1]), head: head, key: keys[0]), consumed: end)
    }
}
