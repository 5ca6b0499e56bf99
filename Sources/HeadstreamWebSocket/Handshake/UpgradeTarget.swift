/// What a client's opening handshake says: where to, and which headers.
package struct UpgradeTarget: Sendable {
    /// A name, an IPv4 address or an IPv6 address, with or without brackets; a zone (`%eth0`) is not sent.
    package var host: String
    package var port: UInt16
    /// Whether the connection is TLS (`wss`); decides which port goes unnamed.
    package var isSecure: Bool
    /// Path and query as in the URL, percent-encoded; `/` if empty.
    package var path: String
    /// `user:password` as in the URL, percent-encoded; sent as basic authentication (RFC 7617).
    package var userInfo: String?
    /// The user's own headers. A `User-Agent` or `Authorization` here takes the place of the other.
    package var headers: [(name: String, value: String)]
    /// What the client calls itself: `headstream/1.0.0`.
    package var userAgent: String

    package init(
        host: String,
        port: UInt16,
        isSecure: Bool,
        path: String = "/",
        userInfo: String? = nil,
        headers: [(name: String, value: String)] = [],
        userAgent: String
    ) {
        self.host = host
        self.port = port
        self.isSecure = isSecure
        self.path = path
        self.userInfo = userInfo
        self.headers = headers
        self.userAgent = userAgent
    }

    /// Headers that are the handshake's own, or that would change where it ends.
    private static let ownHeaders: Set<String> = [
        "host", "upgrade", "connection", "content-length", "transfer-encoding", "expect", "te", "trailer",
    ]

    /// The request's bytes.
    ///
    /// - Throws: ``HandshakeError/Code/invalidRequest``, before anything is sent. The message names the place, not
    ///   the value: values may be secrets.
    func request(key: String, extensions: String?) throws(HandshakeError) -> [UInt8] {
        var lines = ["GET \(try self.validPath()) HTTP/1.1", "Host: \(try self.hostField())"]
        lines += ["Upgrade: websocket", "Connection: Upgrade"]
        lines += ["Sec-WebSocket-Key: \(key)", "Sec-WebSocket-Version: 13"]
        if let extensions { lines.append("Sec-WebSocket-Extensions: \(extensions)") }
        var names: Set<String> = []
        for (name, value) in self.headers {
            names.insert(try Self.validName(name))
            let value = try Self.validValue(value, of: "header \(name)")
            lines.append("\(name): \(value)")
        }
        if !names.contains("user-agent") {
            let agent = try Self.validValue(self.userAgent, of: "user agent")
            lines.append("User-Agent: \(agent)")
        }
        if let userInfo = self.userInfo, !names.contains("authorization") {
            lines.append("Authorization: Basic \(try Self.basicCredentials(userInfo, of: "the endpoint"))")
        }
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    }

    private static func invalid(_ text: String) -> HandshakeError {
        HandshakeError(.invalidRequest, text)
    }

    private func validPath() throws(HandshakeError) -> String {
        guard self.path.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") }) else {
            throw Self.invalid(
                "the endpoint's path or query has a control character, a space, a “#” or a character that is not "
                    + "ASCII; percent-encode it"
            )
        }
        return self.path.hasPrefix("/") ? self.path : "/" + self.path
    }

    /// `Host`, with the port unless it is the scheme's own (RFC 9110 §7.2).
    private func hostField() throws(HandshakeError) -> String {
        let host = try Self.validHost(self.host)
        return self.port == (self.isSecure ? 443 : 80) ? host : "\(host):\(self.port)"
    }

    /// The host as it is written in front of a port: an IPv6 address in brackets and without its zone.
    static func validHost(_ host: String) throws(HandshakeError) -> String {
        var name = host[...]
        if name.hasPrefix("["), name.hasSuffix("]") { name = name.dropFirst().dropLast() }
        let isAddress6 = name.contains(":")
        // A zone means something on this machine only (RFC 6874 §4).
        if isAddress6, let zone = name.firstIndex(of: "%") {
            guard name[zone...].utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
                throw Self.invalid("the endpoint's host has an invalid zone")
            }
            name = name[..<zone]
        }
        let isValid =
            !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E: true
                case 0x3A: isAddress6
                case 0x5F, 0x7E: !isAddress6
                default: false
                }
            }
        guard isValid else {
            throw Self.invalid("the endpoint's host is empty or has a character that a host name cannot have")
        }
        return isAddress6 ? "[\(name)]" : String(name)
    }

    /// The name in lower case.
    private static func validName(_ name: String) throws(HandshakeError) -> String {
        guard !name.isEmpty, name.utf8.allSatisfy(HTTPHead.isTokenByte) else {
            throw Self.invalid(
                "the header name “\(CleanText.line(name, limit: 64))” is empty or has a forbidden character"
            )
        }
        let lower = name.lowercased()
        guard !Self.ownHeaders.contains(lower), !lower.hasPrefix("sec-websocket-") else {
            throw Self.invalid("the header \(name) belongs to the WebSocket handshake and cannot be set")
        }
        return lower
    }

    /// No control character but the tab; in particular no CR, LF or NUL (RFC 9110 §5.5).
    static func validValue(_ value: String, of place: String) throws(HandshakeError) -> String {
        guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
            throw Self.invalid("the value of the \(place) has a control character, such as a line break")
        }
        return HTTPHead.trimmed(value)
    }

    /// `user:password`, percent-encoded as in a URL, for basic authentication (RFC 7617 §2).
    ///
    /// - Parameter owner: whose they are, for the message: `the endpoint`.
    static func basicCredentials(_ userInfo: String, of owner: String) throws(HandshakeError) -> String {
        var bytes: [UInt8] = []
        var rest = Array(userInfo.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2)
            guard digits.count == 2, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
            else { throw Self.invalid("the user and password of \(owner) are not percent-encoded correctly") }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        guard bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw Self.invalid("the user or password of \(owner) has a control character")
        }
        if !bytes.contains(UInt8(ascii: ":")) { bytes.append(UInt8(ascii: ":")) }
        return Base64.encode(bytes)
    }
}
